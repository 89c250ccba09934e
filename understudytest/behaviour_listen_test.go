package understudytest_test

// BND, LSN: bind and listen (spec/driver-api.md 5.3).

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/wire"
)

func TestBND01_Bind(t *testing.T) {
	behave(t, func(r *rig) { r.bind(r.stream(), 80, nil) })
}

func TestBND02_BindToPortZero(t *testing.T) {
	behave(t, func(r *rig) {
		r.bind(r.stream(), 0, driver.ErrSockAddress)
		r.bind(r.datagram(), 0, driver.ErrSockAddress)
	})
}

func TestBND03_PortIsTaken(t *testing.T) {
	behave(t, func(r *rig) {
		for _, typ := range []driver.SockType{driver.Stream, driver.Datagram} {
			first := r.bound(typ, 80)
			r.bind(r.socket(typ), 80, driver.ErrAddrInUse)
			r.close(first)
			r.bind(r.socket(typ), 80, nil) // it is free again
		}
	})
}

func TestBND04_ProtocolsHaveTheirOwnPorts(t *testing.T) {
	behave(t, func(r *rig) {
		r.bind(r.stream(), 80, nil)
		r.bind(r.datagram(), 80, nil)
	})
}

func TestBND05_ForeignAddress(t *testing.T) {
	behave(t, func(r *rig) {
		for _, typ := range []driver.SockType{driver.Stream, driver.Datagram} {
			r.bindAt(r.socket(typ), netip.MustParseAddrPort("10.9.0.99:80"), driver.ErrSockAddress)
			r.bindAt(r.socket(typ), r.at(80), nil)
		}
	})
}

func TestBND06_AnyAddressIsTheStations(t *testing.T) {
	behave(t, func(r *rig) {
		peer := r.AddHost("peer.test")
		u := r.bound(driver.Datagram, 80)
		r.recvFrom(u, 100)
		r.peerSends(r.peerSocket(peer, 99), "datagram", r.at(80))
		r.wantDatagram(u, "datagram")

		s, c := r.dialIn(r.listener(80), peer, 80)
		r.peerWrites(c, "stream")
		r.recv(s, 100)
		r.wantData(s, "stream")
	})
}

func TestBND07_BindTwice(t *testing.T) {
	behave(t, func(r *rig) {
		for _, typ := range []driver.SockType{driver.Stream, driver.Datagram} {
			s := r.bound(typ, 80)
			r.bind(s, 81, driver.ErrSockInvalid)
			r.bind(s, 80, driver.ErrSockInvalid)
			r.bind(r.socket(typ), 81, nil) // 81 was not taken
		}
	})
}

func TestLSN01_Listen(t *testing.T) {
	behave(t, func(r *rig) { r.listener(80) })
}

func TestLSN02_ListenUnbound(t *testing.T) {
	behave(t, func(r *rig) {
		for _, s := range []driver.Socket{r.stream(), r.datagram()} {
			r.ok("Listen", s.Listen(1))
			r.verdict("LISTEN", s, want[driver.ListenMsg](r, s).Err, driver.ErrSockInvalid)
		}
	})
}

func TestLSN03_ConnectionComesIn(t *testing.T) {
	behave(t, func(r *rig) {
		peer, l, from := r.AddHost("peer.test"), r.listener(80), r.mark()
		c, err := peer.Dial(context.Background(), "tcp", r.at(80).String())
		r.ok("peer dials", err)
		m, e := wantWithin[driver.AcceptMsg](r, l, patience)
		r.verdict("ACCEPT", l, m.Err, nil)

		syn := r.wantPacket("SYN", from, down, port(80), flags(wire.SYN))
		synAck := r.wantPacket("SYN,ACK", syn.n, up, port(80), flags(wire.SYN|wire.ACK))
		ack := r.wantPacket("ACK", synAck.n, down, port(80), flags(wire.ACK))
		if synAck.tcp.Ack != syn.tcp.Seq+1 || ack.tcp.Ack != synAck.tcp.Seq+1 || e.n < ack.n {
			r.fatalf("not a handshake and then ACCEPT")
		}
		if m.Socket == l || m.Socket.ID() == l.ID() || m.Socket.ID() < 0 || m.Socket.ID() >= driver.MaxTCPSockets {
			r.fatalf("ACCEPT of %v gives %v", l, m.Socket)
		}
		if m.Peer.String() != c.LocalAddr().String() {
			r.fatalf("ACCEPT says peer %v, want %v", m.Peer, c.LocalAddr())
		}
	})
}

func TestLSN04_TwoConnections(t *testing.T) {
	behave(t, func(r *rig) {
		l := r.listener(80)
		s1, c1 := r.dialIn(l, r.AddHost("one.test"), 80)
		s2, c2 := r.dialIn(l, r.AddHost("two.test"), 80)
		if s1.ID() == s2.ID() {
			r.fatalf("two connections have the id %d", s1.ID())
		}
		r.recv(s1, 100)
		r.recv(s2, 100)
		r.peerWrites(c2, "of the second")
		r.wantData(s2, "of the second")
		r.quiet(patience, "the first has sent nothing")
		r.peerWrites(c1, "of the first")
		r.wantData(s1, "of the first")
	})
}

func TestLSN05_NoSlotForAConnection(t *testing.T) {
	behave(t, func(r *rig) {
		peer, l := r.AddHost("peer.test"), r.listener(80)
		var conns []driver.Socket
		for range driver.MaxTCPSockets - 1 {
			s, _ := r.dialIn(l, peer, 80)
			conns = append(conns, s)
		}
		type dialed struct {
			c   net.Conn
			err error
		}
		from := r.mark()
		r.Go(func() {
			c, err := peer.Dial(context.Background(), "tcp", r.at(80).String())
			r.tell(none, dialed{c, err})
		})
		r.quiet(4*time.Second, "no slot is free")
		syns := r.packets(from, down, port(80), flags(wire.SYN))
		if len(syns) < 2 {
			r.fatalf("the peer has tried %d times, want more", len(syns))
		}
		r.noPacket("no slot is free", from, up, port(80))

		r.close(conns[2])
		r.verdict("ACCEPT", l, want[driver.AcceptMsg](r, l).Err, nil)
		r.ok("the peer's dial", want[dialed](r, none).err)
	})
}

func TestLSN06_ClosedListener(t *testing.T) {
	behave(t, func(r *rig) {
		peer, l := r.AddHost("peer.test"), r.listener(80)
		s, c := r.dialIn(l, peer, 80)
		r.close(l)
		from := r.mark()
		_, err := peer.Dial(context.Background(), "tcp", r.at(80).String())
		r.refused("dial to a closed listener", err, syscall.ECONNREFUSED)
		r.wantPacket("RST", from, up, port(80), withFlag(wire.RST))

		r.send(s, []byte("still here"))
		r.peerReads(c, []byte("still here"))
		r.recv(s, 100)
		r.peerWrites(c, "so am I")
		r.wantData(s, "so am I")
	})
}

func TestLSN07_NobodyListens(t *testing.T) {
	behave(t, func(r *rig) {
		peer := r.AddHost("peer.test")
		r.bound(driver.Stream, 80) // bound and no more
		for _, port80 := range []uint16{80, 81} {
			from := r.mark()
			_, err := peer.Dial(context.Background(), "tcp", r.at(port80).String())
			r.refused(fmt.Sprintf("dial to port %d", port80), err, syscall.ECONNREFUSED)
			r.wantPacket("RST", from, up, port(port80), withFlag(wire.RST))
		}
	})
}

func TestLSN08_NothingIsReadUnasked(t *testing.T) {
	behave(t, func(r *rig) {
		s, c := r.dialIn(r.listener(80), r.AddHost("peer.test"), 80)
		r.peerWrites(c, "early ")
		r.quiet(patience, "nobody has called recv")
		r.peerWrites(c, "bird")
		r.quiet(patience, "nobody has called recv")
		r.recv(s, 100)
		r.wantData(s, "early bird")
	})
}
