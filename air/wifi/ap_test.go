package wifi

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/wire"
)

func TestBridgeBetweenStations(t *testing.T) {
	b := newBench(t, 30)
	ap := b.accessPoint(wpaAP)
	one, two := b.station(staMAC), b.station(sta2)
	one.mustJoin(wpa)
	two.mustJoin(wpa)
	b.run(time.Second)

	one.Send(b.now, eth(sta2, staMAC, "to two"))
	one.Send(b.now, eth(wire.Broadcast, staMAC, "to all"))
	two.Send(b.now, eth(apMAC, sta2, "to the access point"))
	ap.Send(b.now, eth(wire.Broadcast, apMAC, "from the access point"))
	ap.Send(b.now, eth(staMAC, apMAC, "to one"))
	ap.Send(b.now, eth(wire.MAC{2, 9, 9, 9, 9, 9}, apMAC, "to nobody"))
	b.run(10 * time.Millisecond)

	b.wantPayloads("one", one.got, "from the access point", "to one")
	b.wantPayloads("two", two.got, "from the access point", "to two", "to all")
	b.wantPayloads("distribution side", ap.got, "to all", "to the access point")
	if c := ap.Counters(); c.Unknown != 1 || c.Bridged != 2 || c.FromAir != 3 || c.ToDS != 2 {
		t.Errorf("counters: %+v", c)
	}
	if c := one.Counters(); c.Echo != 1 {
		t.Errorf("one heard its own broadcast %d times, want once", c.Echo)
	}
}

func TestIsolatedStationsHearOnlyTheDistributionSide(t *testing.T) {
	b := newBench(t, 31)
	ap := b.accessPoint(APConfig{Isolate: true})
	one, two := b.station(staMAC), b.station(sta2)
	one.mustJoin(JoinParams{SSID: ssid})
	two.mustJoin(JoinParams{SSID: ssid})
	one.Send(b.now, eth(sta2, staMAC, "to two"))
	one.Send(b.now, eth(wire.Broadcast, staMAC, "to all"))
	b.run(10 * time.Millisecond)
	b.wantPayloads("two", two.got)
	b.wantPayloads("distribution side", ap.got, "to all")
}

func TestFramesWithAForgedSourceAreDropped(t *testing.T) {
	b := newBench(t, 32)
	ap := b.accessPoint(APConfig{})
	one, two := b.station(staMAC), b.station(sta2)
	one.mustJoin(JoinParams{SSID: ssid})
	two.mustJoin(JoinParams{SSID: ssid})
	one.Send(b.now, eth(apMAC, sta2, "I am two"))
	b.run(10 * time.Millisecond)
	ap.Send(b.now, eth(sta2, apMAC, "for two"))
	b.run(10 * time.Millisecond)
	b.wantPayloads("distribution side", ap.got)
	b.wantPayloads("two", two.got, "for two")
	b.wantPayloads("one", one.got)
	if c := ap.Counters(); c.Spoofed != 1 {
		t.Errorf("counters: %+v", c)
	}
}

func TestNoDataPassesBeforeTheHandshakeIsDone(t *testing.T) {
	b := newBench(t, 33)
	ap := b.accessPoint(wpaAP)
	victim := b.station(sta2)
	victim.mustJoin(wpa)
	p := b.air.NewPort(staMAC, nil)
	p.SetChannel(6)
	send := func(f air.Frame) {
		f.To = apMAC
		p.Send(b.now, f)
		b.run(time.Millisecond)
	}
	data := air.Frame{Data: eth(apMAC, staMAC, "let me in")}
	send(data) // not even authenticated
	send(air.Frame{Kind: air.KindManagement, Data: Management{Subtype: Authentication, Sequence: 1}.Append(nil)})
	send(data) // not associated
	send(air.Frame{Kind: air.KindManagement, Data: Management{Subtype: AssociationRequest, SSID: []byte(ssid), RSN: rsnPSK}.Append(nil)})
	send(data)
	send(air.Frame{Data: eth(sta2, staMAC, "let me in")})
	send(air.Frame{Data: eth(wire.Broadcast, staMAC, "let me in")})
	// EAPOL passes, but only to the access point.
	eapol := wire.Ethernet{Dst: sta2, Src: staMAC, Type: wire.EtherTypeEAPOL}.Append(nil)
	send(air.Frame{Data: eapol})
	ap.Send(b.now, eth(staMAC, apMAC, "down"))
	b.wantPayloads("distribution side", ap.got)
	b.wantPayloads("the other station", victim.got)
	c := ap.Counters()
	if c.NotAStation != 2 || c.Blocked != 3 || c.EAPOLBridge != 1 || c.Unknown != 1 {
		t.Errorf("counters: %+v", c)
	}
	b.run(10 * time.Second)
	if n := ap.Stations(); len(n) != 1 {
		t.Errorf("stations: %v", n)
	}
}

// TestAPD11 shows the air's side of spec/driver-api.md, APD-11.
func TestAPD11_SecondStationIsRefusedWhileTheFirstIsThere(t *testing.T) {
	b := newBench(t, 34)
	c := wpaAP
	c.MaxStations = 1
	ap := b.accessPoint(c)
	one, two := b.station(staMAC), b.station(sta2)
	one.mustJoin(wpa)
	two.join(wpa)
	e := two.want("second", 5*time.Second, EventJoinFailed, ReasonAssociationFailed)
	if e.Status != StatusFull || !one.Joined() {
		t.Errorf("%v; first is %v", e, one.State())
	}
	one.Leave(b.now)
	two.mustJoin(wpa)
	if n := ap.Stations(); len(n) != 1 || n[0].MAC != sta2 || n[0].AID != 1 {
		t.Errorf("stations: %v", n)
	}
}

func TestDeauthentication(t *testing.T) {
	b := newBench(t, 35)
	ap := b.accessPoint(wpaAP)
	s := b.station(staMAC)
	s.mustJoin(wpa)
	b.run(time.Second)
	if !ap.Disconnect(b.now, staMAC, CodeUnspecified) || ap.Disconnect(b.now, sta2, 0) {
		t.Error("Disconnect is wrong about who is there")
	}
	if e := s.want("sent away", time.Second, EventLeft, ReasonDeauthenticated); e.Code != CodeUnspecified {
		t.Errorf("code %v", e.Code)
	}
	s.mustJoin(wpa)
	b.run(time.Second)
	s.Leave(b.now)
	s.want("leave", time.Second, EventLeft, ReasonLocal)
	b.run(time.Second)
	if n := ap.Stations(); len(n) != 0 {
		t.Errorf("stations: %v", n)
	}
	var got []APEvent
	for e, ok := ap.NextEvent(); ok; e, ok = ap.NextEvent() {
		got = append(got, e)
	}
	want := []APEvent{{StationJoined, staMAC, 0}, {StationLeft, staMAC, CodeUnspecified},
		{StationJoined, staMAC, 0}, {StationLeft, staMAC, CodeLeavingDeauth}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("events: %v, want %v", got, want)
	}
}

// TestAPD18 shows the air's side of spec/driver-api.md, APD-18.
func TestAPD18_StopEndsBeaconsAndSendsStationsAway(t *testing.T) {
	b := newBench(t, 36)
	ap := b.accessPoint(wpaAP)
	s := b.station(staMAC)
	s.mustJoin(wpa)
	ap.Stop(b.now)
	if e := s.want("stop", time.Second, EventLeft, ReasonDeauthenticated); e.Code != CodeLeavingDeauth {
		t.Errorf("code %v", e.Code)
	}
	before := ap.Counters().Beacons
	b.run(time.Second)
	if ap.Counters().Beacons != before || !ap.Deadline().IsZero() {
		t.Error("a stopped access point beacons")
	}
	old := ap.gtk
	ap.Start(b.now)
	s.mustJoin(wpa)
	if ap.gtk == old {
		t.Error("the same group key after a restart")
	}
}

func TestBeaconLoss(t *testing.T) {
	b := newBench(t, 37)
	ap := b.accessPoint(wpaAP)
	s := b.station(staMAC)
	s.mustJoin(wpa)
	b.run(time.Minute)
	s.wantNoEvent("while there are beacons")
	start := b.now
	ap.Vanish()
	e := s.want("no beacons", 3*time.Second, EventLeft, ReasonBeaconLost)
	if d := b.now.Sub(start); d < 2*time.Second || e.Network.BSSID != apMAC {
		t.Errorf("after %v: %v", d, e)
	}
	if s.Counters().BeaconsLost != 1 {
		t.Error("not counted")
	}
}

func TestBeaconsOnABadLinkAreEnough(t *testing.T) {
	b := newBench(t, 38)
	b.accessPoint(wpaAP)
	s := b.station(staMAC)
	s.mustJoin(wpa)
	b.air.SetLink(wire.MAC{}, wire.MAC{}, air.Link{Loss: 0.3})
	b.run(10 * time.Minute)
	s.wantNoEvent("with 30 % loss")
}

func TestStationNoticesThatTheAccessPointHasForgottenIt(t *testing.T) {
	b := newBench(t, 39)
	ap := b.accessPoint(wpaAP)
	s := b.station(staMAC)
	s.mustJoin(wpa)
	ap.Vanish()
	ap.Start(b.now) // within the beacon time-out
	s.Send(b.now, eth(apMAC, staMAC, "hello?"))
	if e := s.want("restart", time.Second, EventLeft, ReasonDeauthenticated); e.Code != CodeClass3 {
		t.Errorf("code %v", e.Code)
	}
	s.mustJoin(wpa)
	ap.Vanish()
	ap.Start(b.now)
	s.want("restart, with nothing to send", keepAliveAfter+time.Second, EventLeft, ReasonDeauthenticated)
}

func TestStationsThatVanishMakeRoom(t *testing.T) {
	b := newBench(t, 40)
	ap := b.accessPoint(APConfig{MaxStations: 1})
	s := b.station(staMAC)
	s.mustJoin(JoinParams{SSID: ssid})
	b.run(5 * time.Minute)
	s.wantNoEvent("idle for long")
	if len(ap.Stations()) != 1 {
		t.Fatal("an idle station was sent away")
	}
	s.port.Close() // the power fails
	b.run(DefaultInactivity + time.Second)
	if n := ap.Stations(); len(n) != 0 {
		t.Errorf("stations: %v", n)
	}
}

func TestStationThatStartsAfreshJoinsAgain(t *testing.T) {
	b := newBench(t, 41)
	ap := b.accessPoint(wpaAP)
	s := b.station(staMAC)
	s.mustJoin(wpa)
	b.run(time.Second)
	s.port.Close()
	b.machines = b.machines[:2]
	again := b.station(staMAC)
	again.mustJoin(wpa)
	b.run(time.Second)
	if n := ap.Stations(); len(n) != 1 || !n[0].Joined || n[0].RSSI >= 0 {
		t.Errorf("stations: %v", n)
	}
	if c := ap.Counters(); c.Joined != 2 || c.Left != 1 {
		t.Errorf("joined %d, left %d", c.Joined, c.Left)
	}
}

func TestTablesAreBounded(t *testing.T) {
	b := newBench(t, 42)
	c := wpaAP
	c.MaxStations = 100
	ap := b.accessPoint(c)
	p := b.air.NewPort(wire.MAC{2, 1, 1, 1, 1, 1}, nil)
	p.SetChannel(6)
	flood := func(n int, m Management) {
		for i := range n {
			p.Send(b.now, air.Frame{Kind: air.KindManagement, To: apMAC,
				From: wire.MAC{2, 7, 0, byte(i >> 16), byte(i >> 8), byte(i)}, Data: m.Append(nil)})
			b.run(100 * time.Microsecond)
		}
	}
	flood(2000, Management{Subtype: Authentication, Sequence: 1})
	b.run(time.Millisecond)
	if len(ap.peers) != 100 || ap.waiting.n != 100 || ap.Counters().Evicted != 1900 {
		t.Errorf("%d peers, %d waiting, %d evicted", len(ap.peers), ap.waiting.n, ap.Counters().Evicted)
	}
	s := b.station(staMAC)
	s.mustJoin(wpa) // a good one gets through
	b.run(associateWithin + time.Second)
	if len(ap.peers) != 1 || len(ap.timers) != 1 || ap.waiting.n != 0 || ap.waiting.head != nil {
		t.Errorf("later: %d peers, %d timers, %d waiting", len(ap.peers), len(ap.timers), ap.waiting.n)
	}
	// Associations that never answer message 1 go away as well.
	for i := range 300 {
		from := wire.MAC{2, 8, 0, 0, byte(i >> 8), byte(i)}
		for _, m := range []Management{{Subtype: Authentication, Sequence: 1},
			{Subtype: AssociationRequest, SSID: []byte(ssid), RSN: rsnPSK}} {
			p.Send(b.now, air.Frame{Kind: air.KindManagement, To: apMAC, From: from, Data: m.Append(nil)})
		}
		b.run(time.Millisecond)
	}
	if n := len(ap.Stations()); n != 100 {
		t.Errorf("%d associated, want 100", n)
	}
	b.run(10 * time.Second)
	if n := ap.Stations(); len(n) != 1 || n[0].MAC != staMAC || len(ap.peers) != 1 {
		t.Errorf("left: %v, %d peers", n, len(ap.peers))
	}
}

func TestAssociationIsJudged(t *testing.T) {
	for _, c := range []struct {
		name string
		ap   APConfig
		m    Management
		want StatusCode
	}{
		{"good", wpaAP, Management{SSID: []byte(ssid), RSN: rsnPSK}, StatusSuccess},
		{"other name", wpaAP, Management{SSID: []byte("other"), RSN: rsnPSK}, StatusRefused},
		{"no RSN element", wpaAP, Management{SSID: []byte(ssid)}, StatusInvalidElement},
		{"RSN element of version 2", wpaAP, Management{SSID: []byte(ssid), RSN: []byte{2, 0}}, StatusInvalidElement},
		{"RSN element cut short", wpaAP, Management{SSID: []byte(ssid), RSN: rsnPSK[:9]}, StatusInvalidElement},
		{"TKIP group", wpaAP, Management{SSID: []byte(ssid), RSN: patch(rsnPSK, 5, 2)}, StatusInvalidGroup},
		{"TKIP pairwise", wpaAP, Management{SSID: []byte(ssid), RSN: patch(rsnPSK, 11, 2)}, StatusInvalidPairwise},
		{"802.1X", wpaAP, Management{SSID: []byte(ssid), RSN: patch(rsnPSK, 17, 1)}, StatusInvalidAKM},
		{"defaults", wpaAP, Management{SSID: []byte(ssid), RSN: []byte{1, 0}}, StatusInvalidAKM},
		{"RSN for an open network", APConfig{}, Management{SSID: []byte(ssid), RSN: rsnPSK}, StatusInvalidElement},
	} {
		b := newBench(t, 43)
		ap := b.accessPoint(c.ap)
		if got := ap.judge(&peer{}, c.m); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func patch(b []byte, at int, v byte) []byte {
	b = append([]byte(nil), b...)
	b[at] = v
	return b
}

func TestAssociationWithoutAuthenticationAndSharedKey(t *testing.T) {
	b := newBench(t, 44)
	b.accessPoint(wpaAP)
	var got []Management
	p := b.air.NewPort(staMAC, func(_ time.Time, f air.Frame) {
		if m, err := ParseManagement(f.Data); err == nil && m.Subtype != Beacon {
			got = append(got, m)
		}
	})
	p.SetChannel(6)
	for _, m := range []Management{
		{Subtype: AssociationRequest, SSID: []byte(ssid), RSN: rsnPSK},
		{Subtype: Authentication, Algorithm: 1, Sequence: 1},
		{Subtype: Authentication, Sequence: 3},
	} {
		p.Send(b.now, air.Frame{Kind: air.KindManagement, To: apMAC, Data: m.Append(nil)})
	}
	b.run(10 * time.Millisecond)
	if len(got) != 3 || got[0].Reason != CodeNotAuthenticated || got[1].Status != StatusUnsupportedAuth || got[2].Status != StatusOutOfSequence {
		t.Errorf("answers: %v", got)
	}
}

func TestElementsAppearInBeaconsAndProbeResponses(t *testing.T) {
	b := newBench(t, 45)
	extra := []byte{0xdd, 4, 1, 2, 3, 4}
	ap := b.accessPoint(APConfig{})
	if err := ap.SetElements(extra); err != nil {
		t.Fatal(err)
	}
	if err := ap.SetElements(extra[:5]); !errors.Is(err, ErrInvalid) {
		t.Errorf("half an element: %v", err)
	}
	seen := map[Subtype]string{}
	b.air.Tap(func(_ time.Time, f air.Frame) {
		m, _ := ParseManagement(f.Data)
		seen[m.Subtype] = string(m.Extra)
	})
	b.station(staMAC).mustScan(ScanParams{Channel: 6, Slots: 8})
	if seen[Beacon] != string(extra) || seen[ProbeResponse] != string(extra) {
		t.Errorf("beacon has %x, probe response %x", seen[Beacon], seen[ProbeResponse])
	}
}

func TestAccessPointErrors(t *testing.T) {
	a := air.New(air.Config{})
	good := APConfig{Air: a, MAC: apMAC, Rand: rand.NewPCG(1, 1), SSID: ssid}
	for _, c := range []struct {
		change func(*APConfig)
		want   error
	}{
		{func(c *APConfig) { c.Air = nil }, nil},
		{func(c *APConfig) { c.Rand = nil }, nil},
		{func(c *APConfig) { c.MAC = wire.Broadcast }, nil},
		{func(c *APConfig) { c.SSID = "" }, ErrInvalid},
		{func(c *APConfig) { c.Channel = 15 }, ErrInvalid},
		{func(c *APConfig) { c.MaxStations = -1 }, ErrInvalid},
		{func(c *APConfig) { c.Inactivity = -1 }, ErrInvalid},
		{func(c *APConfig) { c.BeaconInterval = time.Second * 2 }, ErrInvalid},
		{func(c *APConfig) { c.Elements = []byte{1} }, ErrInvalid},
		{func(c *APConfig) { c.Security = WEP }, ErrUnsupported},
		{func(c *APConfig) { c.Security = Enterprise }, ErrUnsupported},
		{func(c *APConfig) { c.Security = 7 }, ErrInvalid},
		{func(c *APConfig) { c.Security = WPA2PSK }, ErrPassphrase},
		{func(c *APConfig) { c.Passphrase = "7 chars" }, ErrPassphrase},
	} {
		bad := good
		c.change(&bad)
		ap, err := NewAccessPoint(bad)
		if err == nil || ap != nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%+v: %v, want %v", bad, err, c.want)
		}
	}
	if _, err := NewAccessPoint(good); err != nil {
		t.Error(err)
	}
}

func TestEventsThatNobodyReadsDoNotKeepTheOwnerBusy(t *testing.T) {
	b := newBench(t, 46)
	ap := b.accessPoint(APConfig{})
	s := b.station(staMAC)
	for range 300 {
		s.mustJoin(JoinParams{SSID: ssid, BSSID: apMAC, Channel: 6})
		s.Leave(b.now)
		s.want("leave", time.Second, EventLeft, ReasonLocal)
	}
	b.run(time.Second) // fails when time stands still
	if n := len(ap.events.list); n != maxEvents || ap.Counters().EventsLost != 600-maxEvents {
		t.Errorf("%d events kept, %d lost", n, ap.Counters().EventsLost)
	}
}

func TestHandleIsGivenEvents(t *testing.T) {
	b := newBench(t, 47)
	ap := b.accessPoint(APConfig{})
	var got []string
	ap.events.handle = func(_ time.Time, e APEvent) { got = append(got, e.String()) }
	s := b.station(staMAC)
	s.events.handle = func(now time.Time, e Event) {
		got = append(got, e.Kind.String())
		if e.Kind == EventJoined {
			s.Leave(now)
		}
	}
	s.join(JoinParams{SSID: ssid, Channel: 6})
	b.run(time.Second)
	b.wantPayloads("events", got, "station joined 02:00:5e:00:53:01", "joined", "left",
		"station left 02:00:5e:00:53:01 (LEAVING_NETWORK_DEAUTH)")
}

func TestSetMAC(t *testing.T) {
	b := newBench(t, 48)
	ap := b.accessPoint(wpaAP)
	s := b.station(staMAC)
	s.mustJoin(wpa)
	if err := s.SetMAC(b.now, wire.Broadcast); !errors.Is(err, ErrInvalid) {
		t.Errorf("broadcast: %v", err)
	}
	if err := s.SetMAC(b.now, sta2); err != nil {
		t.Fatal(err)
	}
	s.want("new address", time.Second, EventLeft, ReasonLocal)
	s.mustJoin(wpa)
	if n := ap.Stations(); len(n) != 1 || n[0].MAC != sta2 {
		t.Errorf("stations: %v", n)
	}
}

func TestThousandsJoin(t *testing.T) {
	const n = 1000
	b := newBench(t, 49)
	c := wpaAP
	c.MaxStations = n
	c.Isolate = true
	ap := b.accessPoint(c)
	// The bench looks at every machine at every step; a world does not, and neither can this test with so many.
	w := b.crowd()
	for i := range n {
		mac := wire.MAC{2, 0, 0, 0, byte(i >> 8), byte(i)}
		s, err := NewStation(StationConfig{Air: b.air, MAC: mac, Rand: rand.NewPCG(b.seed, uint64(i)), PMKs: &b.pmks})
		if err != nil {
			t.Fatal(err)
		}
		w.add(s)
		if err := s.Join(b.now, wpa); err != nil {
			t.Fatal(err)
		}
	}
	w.run(3 * time.Second)
	if got := ap.Counters().Joined; got != n {
		t.Errorf("%d joined, want %d", got, n)
	}
	aids := map[uint16]bool{}
	for _, s := range ap.Stations() {
		aids[s.AID] = true
	}
	if len(aids) != n {
		t.Errorf("%d different AIDs", len(aids))
	}
}

func TestDataCostsNoAllocation(t *testing.T) {
	b := newBench(t, 50)
	b.air = air.New(air.Config{})
	b.machines = []machine{b.air}
	ap := b.accessPoint(wpaAP)
	s := b.station(staMAC)
	s.mustJoin(wpa)
	ap.cfg.Output, s.cfg.Output = nil, nil
	up, down := eth(apMAC, staMAC, string(make([]byte, 1400))), eth(staMAC, apMAC, string(make([]byte, 1400)))
	all := eth(wire.Broadcast, staMAC, "all")
	if n := testing.AllocsPerRun(100, func() {
		s.Send(b.now, up)
		s.Send(b.now, all)
		ap.Send(b.now, down)
		b.air.Advance(b.now)
		b.air.Advance(b.now)
		ap.sendBeacon(b.now)
		b.air.Advance(b.now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if c := s.Counters(); c.Received < 100 || c.Echo < 100 {
		t.Errorf("counters: %+v", c)
	}
}
