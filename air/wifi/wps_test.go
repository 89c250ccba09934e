package wifi

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/air/pcap"
	"github.com/understudy-net/understudy/air/wps"
	"github.com/understudy-net/understudy/wire"
)

func (n *node) startWPS(p WPSParams) {
	n.b.Helper()
	if err := n.StartWPS(n.b.now, p); err != nil {
		n.b.Fatal(err)
	}
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// The button of the access point, then that of the station; the other way round; a PIN; an open network. What was handed over
// joins.
func TestWPS(t *testing.T) {
	for i, tc := range []struct {
		name   string
		ap     APConfig
		pin    string
		first  bool // the access point's button is pushed first
		secret string
	}{
		{"access point first", wpaAP, "", true, passphrase},
		{"station first", wpaAP, "", false, passphrase},
		{"PIN", wpaAP, "12345670", false, passphrase},
		{"open", APConfig{}, "", true, ""},
		{"by key", APConfig{PMK: PMK{1, 2, 3}}, "", true, "010203" + strings.Repeat("00", 29)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, uint64(100+i))
			tc.ap.MaxStations = 1
			ap := b.accessPoint(tc.ap)
			s := b.station(staMAC)
			push := func() {
				if tc.pin != "" {
					b.must(ap.AllowPIN(b.now, tc.pin))
				} else {
					b.must(ap.PushButton(b.now))
				}
			}
			if tc.first {
				push()
				b.run(30 * time.Second)
				s.startWPS(WPSParams{PIN: tc.pin, Name: "lamp"})
			} else {
				s.startWPS(WPSParams{PIN: tc.pin})
				b.run(30 * time.Second)
				s.wantNoEvent("before the button")
				push()
			}
			e := s.want("WPS", 10*time.Second, EventEnrolled, ReasonNone)
			if e.Key != tc.secret || e.Network.SSID != ssid || e.Network.Channel != 6 || e.Network.BSSID != apMAC || (e.Network.Security == Open) != (tc.secret == "") {
				t.Errorf("%+v", e)
			}
			if s.State() != StateIdle || !ap.WPS().IsZero() {
				t.Error("afterwards:", s.State(), ap.WPS())
			}
			if e, ok := ap.NextEvent(); !ok || e != (APEvent{Kind: StationEnrolled, MAC: staMAC}) {
				t.Error("the access point says", e)
			}
			s.mustJoin(JoinParams{SSID: e.Network.SSID, Passphrase: e.Key, Security: e.Network.Security})
			s.startWPSfails(ErrBusy, WPSParams{})
		})
	}
}

func (n *node) startWPSfails(want error, p WPSParams) {
	n.b.Helper()
	if err := n.StartWPS(n.b.now, p); !errors.Is(err, want) {
		n.b.Errorf("%v, want %v", err, want)
	}
}

// A network that nobody opens is not given; two minutes are enough to find that out.
func TestWPSNobodyPushes(t *testing.T) {
	b := newBench(t, 110)
	ap := b.accessPoint(wpaAP)
	s := b.station(staMAC)
	s.startWPSfails(ErrInvalid, WPSParams{PIN: "12345671"})
	start := b.now
	s.startWPS(WPSParams{})
	s.startWPSfails(ErrBusy, WPSParams{})
	s.want("nobody pushes", WPSTime+5*time.Second, EventEnrollFailed, ReasonNoAP)
	if d := b.now.Sub(start); d < WPSTime {
		t.Error("gave up after", d)
	}
	// And the other way round: the window closes.
	b.must(ap.PushButton(b.now))
	until := b.now.Add(WPSTime)
	if ap.WPS() != until {
		t.Error("open until", ap.WPS())
	}
	b.run(WPSTime - time.Millisecond)
	if ap.WPS().IsZero() {
		t.Error("closed too soon")
	}
	b.run(time.Second)
	if !ap.WPS().IsZero() {
		t.Error("still open")
	}
	if ap.AllowPIN(b.now, "12345671") == nil {
		t.Error("a PIN without its checksum is taken")
	}
	ap.Stop(b.now)
	if err := ap.PushButton(b.now); !errors.Is(err, ErrInvalid) {
		t.Error("pushed while stopped:", err)
	}
	if ap.Counters().Enrolled != 0 {
		t.Error("somebody was given the network")
	}
}

func TestWPSIsLeft(t *testing.T) {
	b := newBench(t, 111)
	ap := b.accessPoint(wpaAP)
	s := b.station(staMAC)
	s.startWPS(WPSParams{})
	b.run(time.Second)
	s.Leave(b.now)
	s.want("searching", time.Second, EventEnrollFailed, ReasonLocal)
	b.must(ap.PushButton(b.now))
	s.startWPS(WPSParams{})
	b.runUntil(10*time.Second, func() bool { return s.State() == StateHandshake })
	s.Leave(b.now)
	s.want("in the exchange", time.Second, EventEnrollFailed, ReasonLocal)
	b.run(time.Second)
	if ap.hand.peer != nil || len(ap.peers) != 0 || ap.WPS().IsZero() {
		t.Error("the access point still has it, or has closed its window")
	}
	s.startWPS(WPSParams{})
	b.runUntil(10*time.Second, func() bool { return s.State() == StateHandshake })
	ap.CancelWPS(b.now)
	s.want("cancelled", WPSTime+5*time.Second, EventEnrollFailed, ReasonNoAP)
}

// A wrong PIN closes the window: eleven thousand tries would be enough otherwise.
func TestWPSWrongPIN(t *testing.T) {
	for _, pin := range []string{"02345673", "12340002"} { // wrong in its first half, and in its second
		b := newBench(t, 112)
		ap := b.accessPoint(wpaAP)
		b.must(ap.AllowPIN(b.now, "12345670"))
		s := b.station(staMAC)
		s.startWPS(WPSParams{PIN: pin})
		s.want(pin, 10*time.Second, EventEnrollFailed, ReasonWPSPIN)
		b.run(time.Second)
		if !ap.WPS().IsZero() || ap.Counters().Enrolled != 0 {
			t.Error("the window is still open")
		}
	}
}

// More than one button within two minutes: nobody gets anything.
func TestWPSOverlap(t *testing.T) {
	// Two access points.
	b := newBench(t, 113)
	one := b.accessPoint(wpaAP)
	two := b.accessPoint(APConfig{MAC: wire.MAC{2, 0, 0, 0, 0, 9}, SSID: "other", Channel: 11, Passphrase: "another horse"})
	b.must(one.PushButton(b.now))
	b.must(two.PushButton(b.now))
	s := b.station(staMAC)
	s.startWPS(WPSParams{})
	s.want("two access points", 10*time.Second, EventEnrollFailed, ReasonWPSOverlap)

	// Two stations, before the button of the access point.
	b = newBench(t, 114)
	ap := b.accessPoint(wpaAP)
	x, y := b.station(staMAC), b.station(sta2)
	x.startWPS(WPSParams{})
	y.startWPS(WPSParams{})
	b.run(10 * time.Second)
	if err := ap.PushButton(b.now); !errors.Is(err, ErrWPSOverlap) {
		t.Error(err)
	}
	x.Leave(b.now)
	x.want("left", time.Second, EventEnrollFailed, ReasonLocal)
	b.run(WPSTime - 20*time.Second)
	y.want("gave up", WPSTime, EventEnrollFailed, ReasonNoAP)
	b.run(WPSTime)
	b.must(ap.PushButton(b.now)) // forgotten by now

	// And behind it: the first one that asks is not the only one.
	y.startWPS(WPSParams{})
	ap.hand.heard(b.now, [16]byte{7})
	y.want("another one", 20*time.Second, EventEnrollFailed, ReasonWPSOverlap)
	b.run(time.Second)
	if !ap.WPS().IsZero() || ap.Counters().Enrolled != 0 {
		t.Error("the window is still open")
	}
}

// Stations that ask are remembered, but not without bound.
func TestWPSRemembersFew(t *testing.T) {
	var h handover
	for i := range 100 {
		h.heard(epoch.Add(time.Duration(i)*time.Second), [16]byte{byte(i)})
	}
	if len(h.asked) != maxEnrollees || !h.overlap(epoch.Add(100*time.Second), [16]byte{99}) || h.overlap(epoch.Add(time.Hour), [16]byte{}) {
		t.Error(len(h.asked), "remembered")
	}
}

// A link that loses a fifth of its frames, duplicates and reorders only makes it slower.
func TestWPSOverABadLink(t *testing.T) {
	for seed := range uint64(10) {
		b := newBench(t, 120+seed)
		ap := b.accessPoint(wpaAP)
		b.must(b.air.SetLink(wire.MAC{}, wire.MAC{}, air.Link{Loss: 0.2, Duplicate: 0.1, Reorder: 0.1, Corrupt: 0.02}))
		b.must(ap.PushButton(b.now))
		s := b.station(staMAC)
		s.startWPS(WPSParams{})
		e := s.want(fmt.Sprint("seed ", seed), WPSTime, EventEnrolled, ReasonNone)
		if e.Key != passphrase {
			t.Errorf("%+v", e)
		}
	}
}

// The network is handed over to one; while that goes on others' data does not pass, and theirs who have joined does.
func TestWPSIsNotAWayIn(t *testing.T) {
	b := newBench(t, 130)
	ap := b.accessPoint(wpaAP)
	friend := b.station(sta2)
	friend.mustJoin(wpa)
	ask := Management{Subtype: AssociationRequest, Capability: CapabilityESS, SSID: []byte(ssid), Extra: (wps.Request{}).AppendAssociation(nil)}
	port := b.air.NewPort(staMAC, func(time.Time, air.Frame) {})
	port.SetChannel(6)
	send := func(m Management) {
		port.Send(b.now, air.Frame{Kind: air.KindManagement, To: apMAC, Data: m.Append(nil)})
		b.run(10 * time.Millisecond)
	}
	send(Management{Subtype: Authentication, Algorithm: openSystem, Sequence: 1})
	send(ask)
	if p := ap.peers[staMAC]; p == nil || p.aid != 0 || ap.Counters().Refused != 1 {
		t.Error("associated without a button:", p)
	}
	b.must(ap.PushButton(b.now))
	send(ask)
	if p := ap.peers[staMAC]; p == nil || p.phase != phaseEnrolling {
		t.Fatal("not associated")
	}
	data := func(payload []byte, typ wire.EtherType) {
		f := append(wire.Ethernet{Dst: apMAC, Src: staMAC, Type: typ}.Append(nil), payload...)
		port.Send(b.now, air.Frame{Kind: air.KindData, To: apMAC, Data: f})
		b.run(time.Millisecond)
	}
	data([]byte("let me in"), wire.EtherTypeIPv4)
	for _, junk := range [][]byte{nil, {2, 0}, {2, 0, 0xff, 0xff}, {2, 9, 0, 0}, {9, 0, 0, 0}, {2, 3, 0, 1, 0}, {2, 0, 0, 4, 2, 0, 0, 4}, bytes.Repeat([]byte{2}, 200)} {
		data(junk, wire.EtherTypeEAPOL)
	}
	ap.Send(b.now, eth(staMAC, sta2, "x"))
	friend.Send(b.now, eth(wire.MAC{2, 9, 9, 9, 9, 9}, sta2, "hello"))
	b.run(10 * time.Millisecond)
	b.wantPayloads("to the distribution side", ap.got, "hello")
	b.run(20 * time.Second)
	if ap.peers[staMAC] != nil || ap.Counters().Enrolled != 0 {
		t.Error("a station that does not answer stays:", ap.peers[staMAC])
	}
}

// TestWPSAgainstTshark shows an exchange to tshark, which knows the protocol.
func TestWPSAgainstTshark(t *testing.T) {
	file := filepath.Join(t.TempDir(), "wps.pcapng")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := pcap.NewWriter(f, pcap.Options{Application: "test"})
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, 140)
	ap := b.accessPoint(wpaAP)
	cancel := Capture(b.air, apMAC, w, 0, func(err error) { t.Error(err) })
	b.must(ap.PushButton(b.now))
	s := b.station(staMAC)
	s.startWPS(WPSParams{Name: "lamp"})
	s.want("WPS", 10*time.Second, EventEnrolled, ReasonNone)
	cancel()
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	out := peerProgram(t, "tshark", "tshark", "-n", "-r", file, "-T", "fields", "-e", "eap.code", "-e", "eap.type", "-e", "wps.message_type",
		"-e", "wps.device_password_id", "-e", "wps.device_name", "-e", "_ws.malformed")
	var got []string
	for line := range strings.Lines(out) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"1 1", "", "2 1", // identity, with EAPOL-Start in between
		"1 254", "2 254 0x04 0x0004 lamp", "1 254 0x05 0x0004 " + ssid, "2 254 0x07", "1 254 0x08", "2 254 0x09",
		"1 254 0x0a", "2 254 0x0b", "1 254 0x0c", "2 254 0x0f", "4",
	}
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Errorf("tshark sees\n%q\nwant\n%q", got, want)
	}
	if text := peerProgram(t, "tshark", "tshark", "-n", "-V", "-r", file); strings.Contains(text, "Malformed") || strings.Contains(text, "Expert Info (Error") {
		t.Errorf("tshark complains:\n%s", text)
	}
}
