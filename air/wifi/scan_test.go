package wifi

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/wire"
)

func (n *node) mustScan(p ScanParams) []Network {
	n.b.Helper()
	if err := n.Scan(n.b.now, p); err != nil {
		n.b.Fatal(err)
	}
	if n.Results() != nil || !n.Scanning() {
		n.b.Fatal("results while scanning, or not scanning")
	}
	n.want("scan", 10*time.Second, EventScanDone, ReasonNone)
	if n.Scanning() {
		n.b.Fatal("still scanning after the event")
	}
	return n.Results()
}

func names(list []Network) (s []string) {
	for _, n := range list {
		s = append(s, n.SSID)
	}
	return s
}

// neighbourhood is an air with networks on three channels.
func neighbourhood(t *testing.T) (*bench, *node) {
	b := newBench(t, 20)
	for i, c := range []APConfig{
		{SSID: "weak", Channel: 1},
		{SSID: "strong", Channel: 6, Passphrase: passphrase},
		{SSID: "middle", Channel: 13},
		{SSID: "secret", Channel: 6, Hidden: true},
	} {
		c.MAC = wire.MAC{2, 0, 0, 0, 0, byte(i + 1)}
		b.accessPoint(c)
		b.air.SetLink(c.MAC, staMAC, air.Link{RSSI: []int8{-90, -30, -60, -70}[i]})
	}
	return b, b.station(staMAC)
}

func TestScanFindsAllStrongestFirst(t *testing.T) {
	b, s := neighbourhood(t)
	start := b.now
	got := s.mustScan(ScanParams{})
	if d := b.now.Sub(start); d != 14*2*30*time.Millisecond {
		t.Errorf("took %v: want 14 channels of 2 slots of 30 ms", d)
	}
	// The hidden one was heard by a beacon, perhaps: it has no name.
	list := names(got)
	if len(got) == 4 && got[2].Hidden && got[2].SSID == "" {
		list = append(list[:2], list[3])
	}
	b.wantPayloads("networks", list, "strong", "middle", "weak")
	if n := got[0]; n.Security != WPA2PSK || n.Channel != 6 || n.RSSI != -30 || n.BSSID != (wire.MAC{2, 0, 0, 0, 0, 2}) {
		t.Errorf("strong: %v", n)
	}
	if n := got[1]; n.Security != Open || n.Channel != 13 {
		t.Errorf("middle: %v", n)
	}
}

func TestPassiveScanSendsNothing(t *testing.T) {
	b, s := neighbourhood(t)
	sent := 0
	b.air.Tap(func(_ time.Time, f air.Frame) {
		if f.From == staMAC {
			sent++
		}
	})
	start := b.now
	got := s.mustScan(ScanParams{Passive: true})
	if d := b.now.Sub(start); sent != 0 || d != 14*300*time.Millisecond {
		t.Errorf("sent %d frames in %v", sent, d)
	}
	b.wantPayloads("networks", names(got), "strong", "middle", "", "weak")
	if !got[2].Hidden {
		t.Errorf("%v is not known to be hidden", got[2])
	}
}

func TestScanOfOneChannelAndOfAMask(t *testing.T) {
	b, s := neighbourhood(t)
	b.wantPayloads("channel 13", names(s.mustScan(ScanParams{Channel: 13})), "middle")
	b.wantPayloads("channel 2", names(s.mustScan(ScanParams{Channel: 2})))
	start := b.now
	got := names(s.mustScan(ScanParams{Channel: 255, Channels: 0x07ff}))
	if d := b.now.Sub(start); d != 11*60*time.Millisecond {
		t.Errorf("11 channels took %v", d)
	}
	for _, n := range got {
		if n == "middle" {
			t.Error("found a network on channel 13 with channels 1 to 11 allowed")
		}
	}
}

func TestScanForAHiddenNetworkByName(t *testing.T) {
	b, s := neighbourhood(t)
	got := s.mustScan(ScanParams{Channel: 6, SSIDs: []string{"nobody", "secret"}})
	b.wantPayloads("networks", names(got), "strong", "secret")
	if got[1].BSSID != (wire.MAC{2, 0, 0, 0, 0, 4}) {
		t.Errorf("secret: %v", got[1])
	}
}

// TestAPD15 shows the air's side of spec/driver-api.md, APD-15.
func TestAPD15_HiddenNetworkHasAnEmptyNameInBeaconsAndAnswersOnlyDirectedProbes(t *testing.T) {
	b := newBench(t, 21)
	b.accessPoint(APConfig{Hidden: true})
	beacons, responses := 0, 0
	b.air.Tap(func(_ time.Time, f air.Frame) {
		m, err := ParseManagement(f.Data)
		if err != nil {
			t.Fatal(err)
		}
		switch m.Subtype {
		case Beacon:
			beacons++
			if len(m.SSID) != 0 {
				t.Errorf("beacon names %q", m.SSID)
			}
		case ProbeResponse:
			responses++
			if string(m.SSID) != ssid {
				t.Errorf("probe response names %q", m.SSID)
			}
		}
	})
	s := b.station(staMAC)
	s.mustScan(ScanParams{Channel: 6})
	if beacons == 0 || responses != 0 {
		t.Errorf("%d beacons, %d responses to probes for anybody", beacons, responses)
	}
	s.mustScan(ScanParams{Channel: 6, SSIDs: []string{ssid}})
	if responses == 0 {
		t.Error("no response to a probe by name")
	}
}

func TestScanStopsAtTheFirst(t *testing.T) {
	b, s := neighbourhood(t)
	start := b.now
	b.wantPayloads("networks", names(s.mustScan(ScanParams{StopAtFirst: true})), "weak")
	if d := b.now.Sub(start); d > 60*time.Millisecond {
		t.Errorf("took %v", d)
	}
	got := s.mustScan(ScanParams{StopAtFirst: true, SSIDs: []string{"strong"}})
	for _, n := range got {
		if n.SSID == "middle" {
			t.Error("went on to channel 13 after the network that it looked for")
		}
	}
}

func TestScanDisturbsNeitherTrafficNorMembership(t *testing.T) {
	b := newBench(t, 22)
	ap := b.accessPoint(wpaAP)
	s := b.station(staMAC)
	s.mustJoin(wpa)
	b.run(10 * time.Millisecond) // message 4 arrives
	if err := s.Scan(b.now, ScanParams{Passive: true}); err != nil {
		t.Fatal(err)
	}
	for range 40 {
		ap.Send(b.now, eth(staMAC, apMAC, "x"))
		b.run(100 * time.Millisecond)
	}
	s.want("scan", time.Second, EventScanDone, ReasonNone)
	if len(s.got) != 40 || !s.Joined() {
		t.Errorf("%d of 40 frames arrived, state %v", len(s.got), s.State())
	}
}

func TestScanAndJoinAtTheSameTime(t *testing.T) {
	b := newBench(t, 23)
	b.accessPoint(wpaAP)
	s := b.station(staMAC)
	s.join(wpa)
	if err := s.Scan(b.now, ScanParams{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Scan(b.now, ScanParams{}); !errors.Is(err, ErrBusy) {
		t.Errorf("second scan: %v", err)
	}
	s.want("join", 2*time.Second, EventJoined, ReasonNone)
	s.want("scan", 2*time.Second, EventScanDone, ReasonNone)
	b.wantPayloads("networks", names(s.Results()), ssid)
}

func TestScanResultsAreBoundedAndKeepTheStrongest(t *testing.T) {
	b := newBench(t, 24)
	p := b.air.NewPort(wire.MAC{2, 1, 1, 1, 1, 1}, nil)
	p.SetChannel(3)
	s := b.station(staMAC)
	if err := s.Scan(b.now, ScanParams{Channel: 3, Passive: true}); err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		mac := wire.MAC{2, 2, 2, 2, byte(i >> 8), byte(i)}
		b.air.SetLink(mac, wire.MAC{}, air.Link{})
		m := Management{Subtype: Beacon, Capability: CapabilityESS, SSID: fmt.Appendf(nil, "net %d", i), Channel: 3}
		p.SetMAC(mac)
		b.air.SetLink(mac, staMAC, air.Link{RSSI: int8(-99 + i%70)})
		p.Send(b.now, air.Frame{Kind: air.KindManagement, To: wire.Broadcast, Data: m.Append(nil)})
		b.run(500 * time.Microsecond)
	}
	s.want("scan", time.Second, EventScanDone, ReasonNone)
	got := s.Results()
	if len(got) != MaxResults {
		t.Fatalf("%d results, want %d", len(got), MaxResults)
	}
	if got[0].RSSI != -30 || got[MaxResults-1].RSSI < -99+54 {
		t.Errorf("from %d to %d dBm", got[0].RSSI, got[MaxResults-1].RSSI)
	}
}

func TestScanIgnoresWhatIsNoAccessPoint(t *testing.T) {
	b := newBench(t, 25)
	p := b.air.NewPort(wire.MAC{2, 1, 1, 1, 1, 1}, nil)
	s := b.station(staMAC)
	if err := s.Scan(b.now, ScanParams{Channel: 1, Passive: true}); err != nil {
		t.Fatal(err)
	}
	good := Management{Subtype: Beacon, Capability: CapabilityESS, SSID: []byte("good")}
	adHoc := good
	adHoc.Capability = 0
	broken := good.Append(nil)
	broken[20]++
	for _, f := range []air.Frame{
		{Kind: air.KindManagement, Data: adHoc.Append(nil)},
		{Kind: air.KindManagement, Data: broken},
		{Kind: air.KindManagement, Data: nil},
		{Kind: air.KindManagement, Data: []byte{0x80}},
		{Kind: air.KindManagement, From: wire.MAC{3, 1, 1, 1, 1, 1}, Data: good.Append(nil)},
		{Kind: air.KindData, Data: good.Append(nil)},
	} {
		f.To = wire.Broadcast
		p.Send(b.now, f)
	}
	s.want("scan", time.Second, EventScanDone, ReasonNone)
	if got := s.Results(); len(got) != 0 {
		t.Errorf("found %v", got)
	}
	if c := s.Counters(); c.Malformed != 3 {
		t.Errorf("%d malformed, want 3", c.Malformed)
	}
}

func TestScanErrors(t *testing.T) {
	b := newBench(t, 26)
	s := b.station(staMAC)
	for _, p := range []ScanParams{
		{Channel: 15},
		{Passive: true, SSIDs: []string{"a"}},
		{SSIDs: []string{"1", "2", "3", "4", "5"}},
		{SSIDs: []string{"123456789012345678901234567890123"}},
		{Slots: -1}, {Slots: 256}, {Probes: 9}, {SlotTime: -1}, {SlotTime: 3 * time.Second},
	} {
		if err := s.Scan(b.now, p); !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v: %v", p, err)
		}
	}
	if s.Scanning() {
		t.Error("scanning after errors")
	}
}
