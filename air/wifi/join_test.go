package wifi

import (
	"errors"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/wire"
)

func TestJoinOpen(t *testing.T) {
	b := newBench(t, 1)
	ap := b.accessPoint(APConfig{})
	s := b.station(staMAC)
	s.Send(b.now, eth(apMAC, staMAC, "too early"))
	s.mustJoin(JoinParams{SSID: ssid})
	b.run(time.Second)
	if n := s.Network(); n.SSID != ssid || n.BSSID != apMAC || n.Channel != 6 || n.Security != Open || n.RSSI >= 0 {
		t.Errorf("network is %v", n)
	}
	if s.BSSID() != apMAC || s.RSSI() >= 0 {
		t.Errorf("BSSID %v, RSSI %d", s.BSSID(), s.RSSI())
	}
	if got := s.Counters().EAPOL; got != (EAPOLCounters{}) {
		t.Errorf("EAPOL on an open network: %+v", got)
	}
	s.Send(b.now, eth(wire.MAC{2, 9, 9, 9, 9, 9}, staMAC, "up"))
	ap.Send(b.now, eth(staMAC, wire.MAC{2, 9, 9, 9, 9, 9}, "down"))
	b.run(10 * time.Millisecond)
	b.wantPayloads("to the distribution side", ap.got, "up")
	b.wantPayloads("to the station", s.got, "down")
	if c := s.Counters(); c.NotJoined != 1 || c.Sent != 1 || c.Received != 1 {
		t.Errorf("counters: %+v", c)
	}
}

func TestJoinWPA2MakesTheSameKeysOnBothSides(t *testing.T) {
	b := newBench(t, 2)
	ap := b.accessPoint(wpaAP)
	s := b.station(staMAC)
	s.mustJoin(wpa)
	b.run(time.Second)
	p := ap.peers[staMAC]
	if p == nil || p.phase != phaseJoined {
		t.Fatal("the access point does not think that the station has joined")
	}
	if p.keys.ptk != s.keys.last || p.keys.ptk == (ptk{}) {
		t.Error("the sides have different pairwise keys")
	}
	if s.keys.gtk != ap.gtk || ap.gtk == [gtkLen]byte{} {
		t.Error("the sides have different group keys")
	}
	want := EAPOLCounters{Sent: 2, Received: 2}
	if got := s.Counters().EAPOL; got != want {
		t.Errorf("station: %+v, want %+v", got, want)
	}
	if got := ap.Counters().EAPOL; got != want {
		t.Errorf("access point: %+v, want %+v", got, want)
	}
	if e, ok := ap.NextEvent(); !ok || e != (APEvent{Kind: StationJoined, MAC: staMAC}) {
		t.Errorf("access point's event: %v", e)
	}
}

func TestJoinWithThePMKItself(t *testing.T) {
	b := newBench(t, 3)
	b.accessPoint(wpaAP)
	pmk, err := MakePMK(ssid, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	s := b.station(staMAC)
	s.mustJoin(JoinParams{SSID: ssid, PMK: pmk})
}

func TestJoinTakesTheStrongestAccessPoint(t *testing.T) {
	b := newBench(t, 4)
	near, far := wire.MAC{2, 0, 0, 0, 0, 1}, wire.MAC{2, 0, 0, 0, 0, 2}
	b.accessPoint(APConfig{MAC: far, Channel: 1})
	b.accessPoint(APConfig{MAC: near, Channel: 11})
	b.air.SetLink(far, staMAC, air.Link{RSSI: -80})
	b.air.SetLink(near, staMAC, air.Link{RSSI: -50})
	s := b.station(staMAC)
	s.mustJoin(JoinParams{SSID: ssid})
	if s.BSSID() != near || s.RSSI() != -50 {
		t.Errorf("joined %v at %d dBm", s.BSSID(), s.RSSI())
	}
	s.Leave(b.now)
	s.want("leave", time.Second, EventLeft, ReasonLocal)
	s.mustJoin(JoinParams{BSSID: far})
	if s.BSSID() != far {
		t.Errorf("joined %v, asked for %v", s.BSSID(), far)
	}
}

func TestJoinHiddenNetworkByName(t *testing.T) {
	b := newBench(t, 5)
	c := wpaAP
	c.Hidden = true
	b.accessPoint(c)
	s := b.station(staMAC)
	s.mustJoin(wpa)
	if n := s.Network(); n.SSID != ssid {
		t.Errorf("network is %v", n)
	}
}

func TestJoinOnAKnownChannelIsQuick(t *testing.T) {
	b := newBench(t, 6)
	b.accessPoint(wpaAP)
	s := b.station(staMAC)
	start := b.now
	p := wpa
	p.Channel, p.BSSID = 6, apMAC
	s.mustJoin(p)
	if d := b.now.Sub(start); d > 20*time.Millisecond {
		t.Errorf("took %v", d)
	}
}

func TestJoinFailsInBoundedTime(t *testing.T) {
	for _, c := range []struct {
		name   string
		ap     *APConfig
		join   JoinParams
		link   air.Link
		within time.Duration
		reason Reason
		code   ReasonCode
		status StatusCode
	}{
		{"no access point", nil, wpa, air.Link{}, 6 * time.Second, ReasonNoAP, 0, 0},
		{"another name", &APConfig{}, JoinParams{SSID: "other"}, air.Link{}, 6 * time.Second, ReasonNoAP, 0, 0},
		{"on another channel", &APConfig{}, JoinParams{SSID: ssid, Channel: 7}, air.Link{}, time.Second, ReasonNoAP, 0, 0},
		{"wrong passphrase", &wpaAP, JoinParams{SSID: ssid, Passphrase: "wrong horse"}, air.Link{}, 4 * time.Second,
			ReasonAuthenticationFailed, CodeInvalidAuth, 0},
		{"passphrase too short", &wpaAP, JoinParams{SSID: ssid, Passphrase: "short"}, air.Link{}, time.Second,
			ReasonAuthenticationFailed, 0, 0},
		{"64 characters that are no key", &wpaAP, JoinParams{SSID: ssid,
			Passphrase: "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"}, air.Link{}, 2 * time.Second,
			ReasonAuthenticationFailed, 0, 0},
		{"no key for a protected network", &wpaAP, JoinParams{SSID: ssid}, air.Link{}, 2 * time.Second,
			ReasonSecurityMismatch, 0, 0},
		{"a key for an open network", &APConfig{}, wpa, air.Link{}, 2 * time.Second, ReasonSecurityMismatch, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, 7)
			if c.ap != nil {
				b.accessPoint(*c.ap)
			}
			s := b.station(staMAC)
			s.join(c.join)
			e := s.want("join", c.within, EventJoinFailed, c.reason)
			if e.Code != c.code || e.Status != c.status {
				t.Errorf("got %v, want code %v and status %v", e, c.code, c.status)
			}
			if s.State() != StateIdle || s.Network() != (Network{}) || s.RSSI() != 0 {
				t.Errorf("afterwards: %v, %v, %d dBm", s.State(), s.Network(), s.RSSI())
			}
			b.run(10 * time.Second)
			s.wantNoEvent("afterwards")
			if d := s.Deadline(); !d.IsZero() {
				t.Errorf("an idle station has a deadline %v", d)
			}
		})
	}
}

func TestWrongPassphraseIsSeenByTheAccessPoint(t *testing.T) {
	b := newBench(t, 8)
	ap := b.accessPoint(wpaAP)
	s := b.station(staMAC)
	s.join(JoinParams{SSID: ssid, Passphrase: "wrong horse"})
	s.want("join", 5*time.Second, EventJoinFailed, ReasonAuthenticationFailed)
	if c := ap.Counters(); c.EAPOL.MICFailures != maxMICFailures || c.Joined != 0 {
		t.Errorf("counters: %+v", c)
	}
	if len(ap.Stations()) != 0 {
		t.Errorf("still there: %v", ap.Stations())
	}
	s.mustJoin(wpa) // and the right one still works
}

func TestJoinFailsWhenTheAccessPointFallsSilent(t *testing.T) {
	for _, c := range []struct {
		after  Subtype // the access point's message after which it is switched off
		reason Reason
	}{
		{ProbeResponse, ReasonNoAnswer},
		{Authentication, ReasonNoAnswer},
		{AssociationResponse, ReasonAuthenticationFailed},
	} {
		b := newBench(t, 9)
		ap := b.accessPoint(wpaAP)
		s := b.station(staMAC)
		b.air.Tap(func(now time.Time, f air.Frame) {
			if f.From == apMAC && f.Kind == air.KindManagement && Subtype(f.Data[0]) == c.after {
				ap.port.SetChannel(air.ChannelOff)
			}
		})
		s.join(wpa)
		start := b.now
		s.want(c.after.String(), 13*time.Second, EventJoinFailed, c.reason)
		t.Logf("silent after %v: %v", c.after, b.now.Sub(start))
	}
}

func TestJoinOverALinkThatLosesAFifth(t *testing.T) {
	for seed := range uint64(300) {
		b := newBench(t, seed)
		b.accessPoint(wpaAP)
		b.air.SetLink(wire.MAC{}, wire.MAC{}, air.Link{Loss: 0.2, Delay: 5 * time.Millisecond, Jitter: 5 * time.Millisecond})
		s := b.station(staMAC)
		s.mustJoin(wpa)
		if t.Failed() {
			return
		}
	}
}

func TestJoinOverALinkThatDoesEverything(t *testing.T) {
	joined := 0
	for seed := range uint64(100) {
		b := newBench(t, seed)
		ap := b.accessPoint(wpaAP)
		b.air.SetLink(wire.MAC{}, wire.MAC{}, air.Link{
			Loss: 0.1, Duplicate: 0.2, Reorder: 0.2, Corrupt: 0.05, Delay: 20 * time.Millisecond, Jitter: 30 * time.Millisecond})
		s := b.station(staMAC)
		s.join(wpa)
		var e Event
		if !b.runUntil(20*time.Second, func() (ok bool) { e, ok = s.NextEvent(); return ok }) {
			t.Fatalf("seed %d: no event in 20 s, state %v", seed, s.State())
		}
		if e.Kind != EventJoined {
			t.Logf("seed %d: %v", seed, e)
		}
		if s.Joined() {
			joined++
			if p := ap.peers[staMAC]; p != nil && p.phase == phaseJoined && p.keys.ptk != s.keys.last {
				t.Fatalf("seed %d: joined with different keys", seed)
			}
		}
	}
	if joined < 95 {
		t.Errorf("%d of 100 joined", joined)
	}
}

func TestJoinOverASlowLink(t *testing.T) {
	b := newBench(t, 10)
	b.accessPoint(wpaAP)
	b.air.SetLink(wire.MAC{}, wire.MAC{}, air.Link{Delay: 150 * time.Millisecond})
	s := b.station(staMAC)
	s.mustJoin(wpa)
}

func TestSameSeedSameJoin(t *testing.T) {
	run := func() []string {
		b := newBench(t, 11)
		b.accessPoint(wpaAP)
		b.air.SetLink(wire.MAC{}, wire.MAC{}, air.Link{Loss: 0.3, Jitter: time.Millisecond})
		s, s2 := b.station(staMAC), b.station(sta2)
		s.join(wpa)
		s2.join(wpa)
		b.run(5 * time.Second)
		return b.trace
	}
	one, two := run(), run()
	if len(one) != len(two) || len(one) < 20 {
		t.Fatalf("%d and %d frames", len(one), len(two))
	}
	for i := range one {
		if one[i] != two[i] {
			t.Fatalf("frame %d differs:\n%s\n%s", i, one[i], two[i])
		}
	}
}

func TestJoinWhileJoiningIsRefusedAndTheFirstGoesOn(t *testing.T) {
	b := newBench(t, 12)
	b.accessPoint(wpaAP)
	s := b.station(staMAC)
	s.join(wpa)
	if err := s.Join(b.now, JoinParams{SSID: "other"}); !errors.Is(err, ErrBusy) {
		t.Errorf("second join: %v", err)
	}
	s.want("first join", 5*time.Second, EventJoined, ReasonNone)
}

func TestJoinWhenJoinedLeavesFirst(t *testing.T) {
	b := newBench(t, 13)
	ap := b.accessPoint(wpaAP)
	b.accessPoint(APConfig{MAC: wire.MAC{2, 0, 0, 0, 0, 7}, SSID: "other", Channel: 1})
	s := b.station(staMAC)
	s.mustJoin(wpa)
	s.join(JoinParams{SSID: "other"})
	s.want("old network", time.Second, EventLeft, ReasonLocal)
	s.want("new network", 5*time.Second, EventJoined, ReasonNone)
	if n := ap.Stations(); len(n) != 0 {
		t.Errorf("the old access point still has %v", n)
	}
}

func TestLeaveEndsAnAttempt(t *testing.T) {
	for _, at := range []time.Duration{0, 10 * time.Millisecond, 561 * time.Millisecond, 561500 * time.Microsecond} {
		b := newBench(t, 14)
		b.accessPoint(wpaAP)
		s := b.station(staMAC)
		s.join(wpa)
		b.run(at)
		if s.Joined() || s.State() == StateIdle {
			t.Fatalf("at %v: %v", at, s.State())
		}
		t.Logf("at %v: %v", at, s.State())
		s.Leave(b.now)
		s.want("leave", time.Second, EventJoinFailed, ReasonLocal)
		b.run(5 * time.Second)
		s.wantNoEvent("afterwards")
		s.mustJoin(wpa)
	}
}

func TestJoinErrors(t *testing.T) {
	b := newBench(t, 15)
	s := b.station(staMAC)
	for _, c := range []struct {
		p    JoinParams
		want error
	}{
		{JoinParams{SSID: ssid, Security: WEP, Passphrase: "0123456789"}, ErrUnsupported},
		{JoinParams{SSID: ssid, Security: Enterprise}, ErrUnsupported},
		{JoinParams{SSID: ssid, Security: 9}, ErrInvalid},
		{JoinParams{}, ErrInvalid},
		{JoinParams{SSID: "123456789012345678901234567890123"}, ErrInvalid},
		{JoinParams{SSID: ssid, Channel: 15}, ErrInvalid},
	} {
		if err := s.Join(b.now, c.p); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v, want %v", c.p, err, c.want)
		}
		if s.State() != StateIdle {
			t.Fatalf("%+v: state %v", c.p, s.State())
		}
	}
	b.run(time.Second)
	s.wantNoEvent("after errors")
}

func TestPassphraseIsDerivedOnceForAll(t *testing.T) {
	var c PMKCache
	start := time.Now()
	for range 10000 {
		if _, err := c.Get(ssid, passphrase); err != nil {
			t.Fatal(err)
		}
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("10,000 look-ups took %v", d)
	}
	c.Max = 3
	for _, s := range []string{"a", "b", "c", "d"} {
		if _, err := c.Get(s, passphrase); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.keys) != 3 || len(c.order) != 3 {
		t.Errorf("holds %d keys, want 3", len(c.keys))
	}
}
