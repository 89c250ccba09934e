package wifi

import (
	"testing"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/wire"
)

var otherAP = wire.MAC{2, 0, 0, 0, 0, 0x42}

// roamBench is a station that has joined the stronger of two access points of one network.
func roamBench(t *testing.T, seed uint64, roaming bool) (b *bench, s *node, here, there *apNode) {
	t.Helper()
	b = newBench(t, seed)
	here = b.accessPoint(wpaAP)
	c := wpaAP
	c.MAC, c.Channel = otherAP, 11
	there = b.accessPoint(c)
	b.signal(otherAP, -60)
	s = b.station(staMAC)
	s.SetRoaming(roaming)
	s.mustJoin(wpa)
	if s.BSSID() != apMAC {
		t.Fatalf("joined %v", s.BSSID())
	}
	return b, s, here, there
}

// signal sets how strongly the station hears an access point.
func (b *bench) signal(ap wire.MAC, dBm int8) {
	b.Helper()
	if err := b.air.SetLink(ap, staMAC, air.Link{RSSI: dBm}); err != nil {
		b.Fatal(err)
	}
}

// talks shows that data pass both ways through ap.
func (n *node) talks(ap *apNode) {
	n.b.Helper()
	n.b.run(10 * time.Millisecond) // the last message of the handshake
	n.got, ap.got = nil, nil
	far := wire.MAC{2, 9, 9, 9, 9, 9}
	n.Send(n.b.now, eth(far, staMAC, "up"))
	ap.Send(n.b.now, eth(staMAC, far, "down"))
	n.b.run(10 * time.Millisecond)
	n.b.wantPayloads("to the distribution side", ap.got, "up")
	n.b.wantPayloads("to the station", n.got, "down")
}

func TestRoamsWhenTheAccessPointVanishes(t *testing.T) {
	b, s, here, there := roamBench(t, 70, true)
	s.talks(here)
	here.Vanish()
	e := s.want("no beacons", 10*time.Second, EventRoamed, ReasonNone)
	if e.Network.BSSID != otherAP || s.BSSID() != otherAP || e.Network.Channel != 11 {
		t.Errorf("roamed to %v", e.Network)
	}
	s.talks(there)
	if c := s.Counters(); c.Roamed != 1 || c.BeaconsLost != 1 {
		t.Errorf("counters: %+v", c)
	}
	// And back, when that one sends it away.
	here.Start(b.now)
	there.Stop(b.now)
	if e := s.want("sent away", 10*time.Second, EventRoamed, ReasonNone); e.Network.BSSID != apMAC {
		t.Errorf("roamed to %v", e.Network)
	}
	s.talks(here)
}

func TestRoamsToAStrongerAccessPoint(t *testing.T) {
	b, s, here, there := roamBench(t, 71, true)
	for _, step := range []struct{ here, there int8 }{{-70, -50}, {-74, -40}, {-80, -74}} {
		b.signal(apMAC, step.here)
		b.signal(otherAP, step.there)
		b.run(20 * time.Second)
		s.wantNoEvent("good enough, or no better one")
	}
	b.signal(apMAC, -80)
	b.signal(otherAP, -72)
	e := s.want("a better one", 10*time.Second, EventRoamed, ReasonNone)
	if e.Network.BSSID != otherAP {
		t.Errorf("roamed to %v", e.Network)
	}
	s.talks(there)
	if len(here.Stations()) != 0 {
		t.Error("the first access point was not told")
	}
	b.run(time.Minute)
	s.wantNoEvent("it stays there")
}

func TestRoamingFindsNothing(t *testing.T) {
	b, s, here, there := roamBench(t, 72, true)
	there.Vanish()
	here.Vanish()
	e := s.want("nobody is there", 15*time.Second, EventLeft, ReasonBeaconLost)
	if e.Network.BSSID != apMAC || s.State() != StateIdle {
		t.Errorf("%v, state %v", e, s.State())
	}
	b.run(time.Minute)
	s.wantNoEvent("it has given up")
}

// Another network of the same name with another key, or open, is not taken for ours.
func TestRoamingWantsTheSameNetwork(t *testing.T) {
	b := newBench(t, 73)
	here := b.accessPoint(wpaAP)
	b.accessPoint(APConfig{MAC: otherAP, Channel: 11}) // open
	s := b.station(staMAC)
	s.SetRoaming(true)
	s.mustJoin(wpa)
	here.Vanish()
	s.want("only an open one", 15*time.Second, EventLeft, ReasonBeaconLost)
}

// When the better access point refuses, the one from before is taken again.
func TestRoamingIsRefused(t *testing.T) {
	b := newBench(t, 74)
	b.accessPoint(wpaAP)
	c := wpaAP
	c.MAC, c.Channel, c.MaxStations = otherAP, 11, 1
	b.accessPoint(c)
	b.signal(otherAP, -60)
	first := b.station(wire.MAC{2, 0, 0, 0, 0, 0x77})
	p := wpa
	p.BSSID = otherAP
	first.mustJoin(p)
	s := b.station(staMAC)
	s.SetRoaming(true)
	s.mustJoin(wpa)
	b.signal(apMAC, -85)
	e := s.want("full", 20*time.Second, EventRoamed, ReasonNone)
	if e.Network.BSSID != apMAC {
		t.Errorf("roamed to %v", e.Network)
	}
}

func TestLeaveWhileRoaming(t *testing.T) {
	b, s, here, there := roamBench(t, 75, true)
	here.Vanish()
	there.Vanish()
	if !b.runUntil(10*time.Second, func() bool { return s.State() == StateFinding }) {
		t.Fatal("does not look for another")
	}
	if s.Joined() || s.RSSI() != 0 {
		t.Error("joined, while it looks")
	}
	s.Leave(b.now)
	s.want("left", time.Second, EventLeft, ReasonLocal)
	b.run(time.Minute)
	s.wantNoEvent("it was told to leave")
}

func TestWithoutRoamingTheNetworkIsLost(t *testing.T) {
	b, s, here, _ := roamBench(t, 76, false)
	b.signal(apMAC, -90)
	b.run(20 * time.Second)
	s.wantNoEvent("a weak signal is no reason")
	here.Vanish()
	s.want("no beacons", 4*time.Second, EventLeft, ReasonBeaconLost)
}
