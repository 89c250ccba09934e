package understudytest_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/stack/dhcp"
	"github.com/understudy-net/understudy/understudytest"
)

// Section 5.7: sockets, when the link is lost, and 5.11: the link check.

// onlineWithPeer runs body on a bench that is online, with a peer.
func onlineWithPeer(t *testing.T, body func(r *rig, h *understudytest.Host)) {
	t.Helper()
	behaveWith(t, understudytest.Config{}, func(r *rig) {
		r.online()
		body(r, r.AddHost("peer.test"))
	})
}

func TestWIF01_LinkIsDownBeforeSocketsHear(t *testing.T) {
	onlineWithPeer(t, func(r *rig, h *understudytest.Host) {
		s, _ := r.dial(h, 7)
		r.recv(s, 10)
		r.LoseWiFi()
		c, down := r.wantConn(driver.Disconnected)
		if c.linkUp || c.addr.IsValid() {
			r.fatalf("inside the callback LinkUp is %v, Addr %v", c.linkUp, c.addr)
		}
		if _, recv := wantWithin[driver.RecvMsg](r, s, patience); recv.n < down.n {
			r.fatalf("the socket heard of it first")
		}
	})
}

func TestWIF02_PendingRecvFails(t *testing.T) {
	onlineWithPeer(t, func(r *rig, h *understudytest.Host) {
		s, _ := r.dial(h, 7)
		r.recv(s, 10)
		r.LoseWiFi()
		r.wantConn(driver.Disconnected)
		r.wantEnd(s, driver.ErrConnAborted)
	})
}

func TestWIF03_PendingConnectFails(t *testing.T) {
	onlineWithPeer(t, func(r *rig, h *understudytest.Host) {
		since := r.mark()
		s, silent := r.stream(), r.puppet()
		r.ok("Connect", s.Connect(netip.AddrPortFrom(silent.addr, 7)))
		r.wantPacket("SYN", since, up, port(7))
		r.LoseWiFi()
		r.wantConn(driver.Disconnected)
		r.verdict("CONNECT", s, want[driver.ConnectMsg](r, s).Err, driver.ErrConnAborted)
	})
}

func TestWIF04_PendingResolveFails(t *testing.T) {
	onlineWithPeer(t, func(r *rig, h *understudytest.Host) {
		r.deaf(r.Router, 53)
		r.ok("Resolve", r.Client.Resolve("peer.test"))
		r.LoseWiFi()
		r.wantConn(driver.Disconnected)
		if m := want[resolved](r, none); m.addr.IsValid() || m.name != "peer.test" {
			r.fatalf("resolved %+v", m)
		}
	})
}

func TestWIF05_OldSocketsAreDeadAndNewOnesWork(t *testing.T) {
	onlineWithPeer(t, func(r *rig, h *understudytest.Host) {
		tcp, _ := r.dial(h, 7)
		udp := r.bound(driver.Datagram, 9)
		listener := r.listener(8)
		r.LoseWiFi()
		r.wantConn(driver.Disconnected)
		r.RestoreWiFi()
		r.online()

		peer := netip.AddrPortFrom(h.Addr, 7)
		for range 2 { // every request, not only the first
			r.ok("Send", tcp.Send([]byte("x")))
			wantRefusal(r, tcp, want[driver.SendMsg](r, tcp).Err)
			r.ok("Recv", tcp.Recv(make([]byte, 1), 0))
			wantRefusal(r, tcp, want[driver.RecvMsg](r, tcp).Err)
			r.ok("Connect", tcp.Connect(peer))
			wantRefusal(r, tcp, want[driver.ConnectMsg](r, tcp).Err)
			r.ok("SendTo", udp.SendTo([]byte("x"), peer))
			wantRefusal(r, udp, want[driver.SendToMsg](r, udp).Err)
			r.ok("RecvFrom", udp.RecvFrom(make([]byte, 1), 0))
			wantRefusal(r, udp, want[driver.RecvFromMsg](r, udp).Err)
			r.ok("Bind", udp.Bind(r.at(10)))
			wantRefusal(r, udp, want[driver.BindMsg](r, udp).Err)
			r.ok("Listen", listener.Listen(0))
			wantRefusal(r, listener, want[driver.ListenMsg](r, listener).Err)
		}
		s, _ := r.dial(h, 7)
		r.send(s, []byte("new ones work"))
		for _, s := range []driver.Socket{tcp, udp, listener} {
			r.close(s)
		}
		r.listener(8)
		r.bound(driver.Datagram, 9)
	})
}

// wantRefusal wants the device to have answered a request with an error.
func wantRefusal(r *rig, s driver.Socket, err error) {
	r.t.Helper()
	var code driver.SockErr
	if !errors.As(err, &code) {
		r.fatalf("request on %v: got %v, want an error of the socket layer", s, err)
	}
}

func TestWIF06_RenewalLeavesConnectionsAlone(t *testing.T) {
	behaveWith(t, understudytest.Config{LeaseTime: 2 * time.Minute}, func(r *rig) {
		addr := r.online()
		s, c := r.dial(r.AddHost("peer.test"), 7)
		for range 3 {
			since := r.mark()
			r.Sleep(time.Minute)
			r.wantPacket("renewal", since, down, dhcpType(dhcp.Ack))
			if l := want[leaseHeard](r, none); l.given != addr {
				r.fatalf("renewed as %v, was %v", l.given, addr)
			}
			r.send(s, []byte("still here"))
			r.peerReads(c, []byte("still here"))
			r.recv(s, 10)
			r.peerWrites(c, "me too")
			r.wantData(s, "me too")
		}
	})
}

func TestLNK01_DHCPLinkIsUpWithTheLease(t *testing.T) {
	behaveWith(t, understudytest.Config{}, func(r *rig) {
		r.serveDHCP(dhcp.ServerConfig{}, nil)
		ackAt := func() bool { return len(r.packets(0, dhcpType(dhcp.Ack))) > 0 }
		r.ok("UseDHCP", r.Client.UseDHCP(r.onLease))
		if c := r.associate(); c.linkUp || c.addr.IsValid() {
			r.fatalf("in the connected callback LinkUp is %v, Addr %v", c.linkUp, c.addr)
		}
		for !ackAt() { // all the time until then
			r.linkIs("before DHCPACK", false, noAddr)
			r.Sleep(time.Millisecond)
		}
		l := want[leaseHeard](r, none)
		if !l.linkUp {
			r.fatalf("LinkUp is false in the address callback")
		}
		r.linkIs("after the callback", true, l.given)
	})
}

func TestLNK02_StaticLinkIsUpInTheConnectedCallback(t *testing.T) {
	behaveWith(t, understudytest.Config{}, func(r *rig) {
		r.ok("SetAddr", r.Client.SetAddr(staticAddr))
		r.linkIs("before connecting", false, noAddr)
		if c := r.associate(); !c.linkUp || c.addr != staticAddr.Addr() {
			r.fatalf("in the connected callback LinkUp is %v, Addr %v", c.linkUp, c.addr)
		}
		r.linkIs("after it", true, staticAddr.Addr())
	})
}

func TestLNK03_LinkIsDownWhenDisconnectReturns(t *testing.T) {
	onlineWithPeer(t, func(r *rig, _ *understudytest.Host) {
		r.linkIs("before", true, understudytest.FirstLease)
		r.ok("Disconnect", r.Client.Disconnect())
		r.linkIs("right after Disconnect", false, noAddr)
		r.nothingMore("Disconnect returned") // the callback did not run yet
		r.wantConn(driver.Disconnected)
	})
}

func TestLNK04_LinkIsDownInTheDisconnectedCallback(t *testing.T) {
	for _, lose := range []func(*rig){(*rig).vanish, (*rig).sendAway} {
		onlineWithPeer(t, func(r *rig, _ *understudytest.Host) {
			lose(r)
			if c, _ := r.wantConn(driver.Disconnected); c.linkUp || c.addr.IsValid() {
				r.fatalf("in the callback LinkUp is %v, Addr %v", c.linkUp, c.addr)
			}
			r.linkIs("after it", false, noAddr)
			r.quiet(time.Minute, "once only")
			r.linkIs("and later", false, noAddr)
		})
	}
}

func (r *rig) vanish()   { r.LoseWiFi() } // power failure
func (r *rig) sendAway() { r.StopWiFi() } // deauthentication

func TestLNK05_LinkIsDownOnAHandleThatIsNone(t *testing.T) {
	behave(t, func(r *rig) {
		if (*driver.Client)(nil).LinkUp() || new(driver.Client).LinkUp() {
			r.fatalf("LinkUp is true on an invalid handle")
		}
		r.linkIs("open", true, understudytest.FirstLease)
		closed := r.Client
		r.ok("Close", closed.Close())
		if closed.LinkUp() {
			r.fatalf("LinkUp is true on a closed handle")
		}
		c, err := r.Driver.Open()
		r.ok("Open", err)
		r.ok("Connect", c.Connect(r.BSS(), r.Auth(), nil))
		r.Sleep(patience)
		if !c.LinkUp() || closed.LinkUp() {
			r.fatalf("with another client online: LinkUp is %v, and %v on the closed handle", c.LinkUp(), closed.LinkUp())
		}
	})
}
