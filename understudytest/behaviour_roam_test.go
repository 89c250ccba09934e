package understudytest_test

// LNK-08 and the rest of roaming (spec/driver-api.md 2.2, 3.8).

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/stack/dhcp"
	"github.com/understudy-net/understudy/understudytest"
	"github.com/understudy-net/understudy/wire"
)

var (
	secondAP = wire.MAC{0x02, 0x61, 0x70, 0, 0, 2}
	roamTime = 10 * time.Second // from the loss of an access point to the other one
)

// roaming is a device that has joined the first of two access points, with an
// address and a connection.
func roaming(t *testing.T, set driver.Roaming, body func(r *rig, s driver.Socket, peer net.Conn)) {
	t.Helper()
	behaveWith(t, understudytest.Config{}, func(r *rig) {
		r.AddAP(secondAP, 11)
		r.SetSignal(secondAP, -65)
		r.ok("SetRoaming", r.Client.SetRoaming(set))
		r.online()
		r.Sleep(patience)
		s, peer := r.dial(r.AddHost("peer.test"), 80)
		r.atAP(understudytest.BSSID)
		body(r, s, peer)
	})
}

// atAP wants the device to be at this access point.
func (r *rig) atAP(bssid wire.MAC) {
	r.t.Helper()
	r.World.Lock()
	at := r.Device.Snapshot().Network.BSSID
	r.World.Unlock()
	if at != bssid {
		r.fatalf("the device is at %v, want %v", at, bssid)
	}
}

// wantRoamed wants the host to be told so next, the link being up.
func (r *rig) wantRoamed() {
	r.t.Helper()
	c, _ := wantWithin[connHeard](r, none, roamTime)
	if c.State != driver.Roamed || c.Err != nil || !r.Client.LinkUp() {
		r.fatalf("got %v, %v, link up %v, want %v", c.State, c.Err, r.Client.LinkUp(), driver.Roamed)
	}
}

// bothWays shows that the connection of before lives.
func (r *rig) bothWays(s driver.Socket, peer net.Conn) {
	r.t.Helper()
	r.send(s, []byte("up"))
	r.peerReads(peer, []byte("up"))
	r.recv(s, 100)
	r.peerWrites(peer, "down")
	r.wantData(s, "down")
}

func TestLNK08_LinkStaysUpThroughARoam(t *testing.T) {
	roaming(t, driver.RoamOn, func(r *rig, s driver.Socket, peer net.Conn) {
		addr := r.Client.Addr()
		r.LoseWiFi()
		// In the time without an access point data are kept, and the link is up.
		r.Sleep(3 * time.Second)
		r.nothingMore("before it has found the other")
		if !r.Client.LinkUp() {
			r.fatalf("the link is down while the device looks for another access point")
		}
		r.send(s, []byte("meanwhile"))
		r.wantRoamed()
		r.atAP(secondAP)
		if r.Client.Addr() != addr {
			r.fatalf("address %v after %v", r.Client.Addr(), addr)
		}
		r.peerReads(peer, []byte("meanwhile"))
		r.bothWays(s, peer)
		r.quiet(patience, "no renewal was asked for")
		r.ok("Disconnect", r.Client.Disconnect())
		r.wantConn(driver.Disconnected)
	})
}

func TestRoamWithRenewal(t *testing.T) {
	roaming(t, driver.RoamRenew, func(r *rig, s driver.Socket, peer net.Conn) {
		addr := r.Client.Addr()
		r.LoseWiFi()
		r.wantRoamed()
		if l := want[leaseHeard](r, none); l.given != addr || !l.linkUp {
			r.fatalf("lease %v, link up %v", l.given, l.linkUp)
		}
		r.bothWays(s, peer)
	})
}

// The server of the new place gives another address: sockets of the old one end.
func TestRoamToAnotherAddress(t *testing.T) {
	roaming(t, driver.RoamRenew, func(r *rig, s driver.Socket, peer net.Conn) {
		old := r.Client.Addr()
		r.moveDHCP(netip.MustParsePrefix("10.9.1.1/24"))
		r.recv(s, 100)
		r.LoseWiFi()
		r.wantRoamed()
		r.wantEnd(s, driver.ErrConnAborted)
		l, _ := wantWithin[leaseHeard](r, none, 30*time.Second)
		for !l.given.IsValid() { // the loss of the old one
			l, _ = wantWithin[leaseHeard](r, none, 30*time.Second)
		}
		if l.given == old || !r.Client.LinkUp() || r.Client.Addr() != l.given {
			r.fatalf("lease %v after %v, link up %v", l.given, old, r.Client.LinkUp())
		}
		r.close(s)
	})
}

// moveDHCP has the router's DHCP server serve another network: what it knows
// nothing of it refuses.
func (r *rig) moveDHCP(p netip.Prefix) {
	r.t.Helper()
	now := r.World.Lock()
	defer r.World.Unlock()
	r.Router.Stack.StopServingDHCP()
	_, err := r.Router.Stack.ServeDHCP(now, dhcp.ServerConfig{
		Addr: p, First: p.Addr().Next(), Last: p.Addr().Next(), Router: p.Addr(),
	}, nil)
	r.ok("ServeDHCP", err)
}

func TestRoamToAStrongerAccessPoint(t *testing.T) {
	roaming(t, driver.RoamOn, func(r *rig, s driver.Socket, peer net.Conn) {
		r.SetSignal(understudytest.BSSID, -85)
		r.wantRoamed()
		r.atAP(secondAP)
		r.bothWays(s, peer)
		r.SetSignal(secondAP, -90)
		r.SetSignal(understudytest.BSSID, -50)
		r.wantRoamed()
		r.atAP(understudytest.BSSID)
		r.bothWays(s, peer)
	})
}

func TestRoamingThatFindsNothingIsALoss(t *testing.T) {
	behaveWith(t, understudytest.Config{}, func(r *rig) {
		r.ok("SetRoaming", r.Client.SetRoaming(driver.RoamOn))
		r.online()
		r.LoseWiFi()
		c, _ := wantWithin[connHeard](r, none, 20*time.Second)
		if c.State != driver.Disconnected || c.Err != nil || r.Client.LinkUp() {
			r.fatalf("got %v, %v, link up %v", c.State, c.Err, r.Client.LinkUp())
		}
		r.RestoreWiFi()
		r.associate()
		want[leaseHeard](r, none)
	})
}

func TestWithoutRoamingTheLinkIsLost(t *testing.T) {
	roaming(t, driver.RoamOff, func(r *rig, s driver.Socket, peer net.Conn) {
		r.LoseWiFi()
		r.wantConn(driver.Disconnected)
		if r.Client.LinkUp() {
			r.fatalf("the link is up")
		}
		r.close(s)
	})
}
