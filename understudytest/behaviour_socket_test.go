package understudytest_test

// SOC: allocation of sockets and its limits (spec/driver-api.md 5.2).

import (
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/understudytest"
)

// onBench runs body on a bench that was booted and no more.
func onBench(t *testing.T, body func(r *rig)) {
	t.Helper()
	behaveWith(t, understudytest.Config{}, body)
}

// take makes n sockets and returns their ids in order of size.
func (r *rig) take(n int, typ driver.SockType) (made []driver.Socket, ids []int) {
	r.t.Helper()
	for range n {
		s := r.socket(typ)
		made, ids = append(made, s), append(ids, s.ID())
	}
	slices.Sort(ids)
	return made, ids
}

// noSocket wants that no socket can be made.
func (r *rig) noSocket(typ driver.SockType, is error) {
	r.t.Helper()
	s, err := r.Client.Socket(typ, driver.Plain)
	r.refused("socket", err, is)
	if s.Valid() {
		r.fatalf("a socket that was refused is valid: %v", s)
	}
}

func TestSOC01_SevenStreams(t *testing.T) {
	onBench(t, func(r *rig) {
		if _, ids := r.take(7, driver.Stream); !slices.Equal(ids, []int{0, 1, 2, 3, 4, 5, 6}) {
			r.fatalf("ids %v", ids)
		}
	})
}

func TestSOC02_NoEighthStream(t *testing.T) {
	onBench(t, func(r *rig) {
		r.take(7, driver.Stream)
		r.noSocket(driver.Stream, driver.ErrMaxTCP)
	})
}

func TestSOC03_FourDatagrams(t *testing.T) {
	onBench(t, func(r *rig) {
		if _, ids := r.take(4, driver.Datagram); !slices.Equal(ids, []int{7, 8, 9, 10}) {
			r.fatalf("ids %v", ids)
		}
	})
}

func TestSOC04_NoFifthDatagram(t *testing.T) {
	onBench(t, func(r *rig) {
		r.take(4, driver.Datagram)
		r.noSocket(driver.Datagram, driver.ErrMaxUDP)
	})
}

func TestSOC05_DatagramsDoNotNeedStreams(t *testing.T) {
	onBench(t, func(r *rig) {
		r.take(7, driver.Stream)
		r.take(4, driver.Datagram)
	})
}

func TestSOC06_ClosingOneMakesRoomForOne(t *testing.T) {
	onBench(t, func(r *rig) {
		streams, _ := r.take(7, driver.Stream)
		datagrams, _ := r.take(4, driver.Datagram)
		for range 2 { // also of those that took the room
			r.close(streams[3])
			streams[3] = r.stream()
			r.noSocket(driver.Stream, driver.ErrMaxTCP)
			r.close(datagrams[2])
			r.noSocket(driver.Stream, driver.ErrMaxTCP)
			datagrams[2] = r.datagram()
			r.noSocket(driver.Datagram, driver.ErrMaxUDP)
		}
	})
}

// The family is IPv4 by the types of Go; addresses of another one are refused.
func TestSOC07_UnknownTypeOrFamily(t *testing.T) {
	onBench(t, func(r *rig) {
		for _, typ := range []driver.SockType{0, 3, 255} {
			r.noSocket(typ, driver.ErrSockArg)
		}
		_, err := r.Client.Socket(driver.Stream, 3)
		r.refused("unknown configuration", err, driver.ErrSockArg)
		s, u, six := r.stream(), r.datagram(), netip.MustParseAddrPort("[2001:db8::1]:80")
		r.refused("Bind", s.Bind(six), driver.ErrSockArg)
		r.refused("Connect", s.Connect(six), driver.ErrSockArg)
		r.refused("SendTo", u.SendTo([]byte("x"), six), driver.ErrSockArg)
		r.quiet(patience, "nothing was accepted")
	})
}

// socketCalls are the calls on a socket, with valid arguments.
var socketCalls = map[string]func(s driver.Socket) error{
	"Accept":    driver.Socket.Accept,
	"Bind":      func(s driver.Socket) error { return s.Bind(netip.MustParseAddrPort("0.0.0.0:80")) },
	"Close":     driver.Socket.Close,
	"Connect":   func(s driver.Socket) error { return s.Connect(netip.MustParseAddrPort("10.9.0.1:80")) },
	"Join":      func(s driver.Socket) error { return s.Join(netip.MustParseAddr("239.1.2.3")) },
	"Leave":     func(s driver.Socket) error { return s.Leave(netip.MustParseAddr("239.1.2.3")) },
	"Listen":    func(s driver.Socket) error { return s.Listen(1) },
	"Opt":       func(s driver.Socket) error { _, err := s.Opt(driver.OptKeepIdle); return err },
	"Recv":      func(s driver.Socket) error { return s.Recv(make([]byte, 10), time.Second) },
	"RecvFrom":  func(s driver.Socket) error { return s.RecvFrom(make([]byte, 10), time.Second) },
	"RecvHook":  func(s driver.Socket) error { return s.RecvHook(10, time.Second) },
	"Send":      func(s driver.Socket) error { return s.Send([]byte("x")) },
	"SendTo":    func(s driver.Socket) error { return s.SendTo([]byte("x"), netip.MustParseAddrPort("10.9.0.1:80")) },
	"ALPN":      func(s driver.Socket) error { _, err := s.ALPN(); return err },
	"ErrDetail": func(s driver.Socket) error { _, err := s.ErrDetail(); return err },
	"Secure":    driver.Socket.Secure,
	"SetALPN":   func(s driver.Socket) error { return s.SetALPN("h2") },
	"SetSNI":    func(s driver.Socket) error { return s.SetSNI("peer.test") },
	"SetOpt":    func(s driver.Socket) error { return s.SetOpt(driver.OptKeepIdle, 4) },
}

// noCalls are methods of Socket that ask nothing of the device or the driver.
var noCalls = map[string]bool{"ID": true, "String": true, "Valid": true}

// refuses makes all calls on s and wants them to fail with one of errs, and to
// produce neither an event nor a packet.
func (r *rig) refuses(s driver.Socket, errs ...error) {
	r.t.Helper()
	from := r.mark()
	typ := reflect.TypeFor[driver.Socket]()
	for i := range typ.NumMethod() {
		name := typ.Method(i).Name
		call := socketCalls[name]
		switch {
		case noCalls[name]:
		case call == nil:
			r.t.Errorf("Socket.%s is not in the table of this test", name)
		default:
			if err := call(s); !slices.ContainsFunc(errs, func(is error) bool { return errors.Is(err, is) }) {
				r.t.Errorf("%s of %v: error %v, want %v", name, s, err, errs)
			}
		}
	}
	r.quiet(patience, "all was refused")
	r.noPacket("all was refused", from, up)
}

// The zero Socket is the one with the id -1; ids above 10 and those that were
// never given out cannot be said in Go.
func TestSOC08_CallsOnNoSocket(t *testing.T) {
	behave(t, func(r *rig) { r.refuses(driver.Socket{}, driver.ErrSockArg) })
}

func TestSOC09_CallsOnAClosedSocket(t *testing.T) {
	behave(t, func(r *rig) {
		for _, typ := range []driver.SockType{driver.Stream, driver.Datagram} {
			s := r.bound(typ, 80)
			r.close(s)
			r.refuses(s, driver.ErrClosed, driver.ErrSockArg)
			if typ == driver.Stream {
				r.refused("Send", s.Send([]byte("x")), driver.ErrClosed)
			}
		}
	})
}

// successor closes old and returns a new socket with the same id, of which there
// must be no other free.
func (r *rig) successor(old driver.Socket) driver.Socket {
	r.t.Helper()
	r.close(old)
	typ := driver.Stream
	if old.ID() >= driver.MaxTCPSockets {
		typ = driver.Datagram
	}
	s := r.socket(typ)
	if s.ID() != old.ID() || s == old {
		r.fatalf("%v after %v: want the same id, and not the same socket", s, old)
	}
	return s
}

func TestSOC10_NoEventsOfAnEarlierOwner(t *testing.T) {
	t.Run("answers that lie ready", answersThatLieReady)
	t.Run("requests under way", requestsUnderWay)
	t.Run("events that wait", eventsThatWait)
}

// The answer for the old socket lies ready when that is closed, and the new one
// asks the same at once, for which the answer is another.
func answersThatLieReady(t *testing.T) {
	withPeer(t, func(r *rig, peer datagramPeer) {
		r.take(6, driver.Stream) // so that the id is the same each time
		r.take(3, driver.Datagram)
		any80 := netip.MustParseAddrPort("0.0.0.0:80")
		end := func(s driver.Socket) {
			r.t.Helper()
			r.quiet(time.Minute, "all was answered")
			r.close(s)
		}

		s := r.stream()
		r.ok("Bind", s.Bind(any80))
		s = r.successor(s)
		r.bind(s, 0, driver.ErrSockAddress)
		end(s)

		s = r.bound(driver.Stream, 80)
		r.ok("Listen", s.Listen(1))
		s = r.successor(s)
		r.ok("Listen", s.Listen(1))
		r.verdict("LISTEN", s, want[driver.ListenMsg](r, s).Err, driver.ErrSockInvalid)
		end(s)

		s = r.stream()
		r.ok("Connect", s.Connect(netip.AddrPortFrom(peer.Addr, 0))) // which is impossible
		s = r.successor(s)
		r.connect(s, netip.AddrPortFrom(peer.Addr, 81), driver.ErrConnAborted)
		end(s)

		s, c := r.dial(peer.Host, 80)
		r.peerWrites(c, "hello")
		r.Sleep(time.Second)
		r.recv(s, 100)
		s = r.successor(s)
		r.recv(s, 100)
		r.wantEnd(s, driver.ErrSockInvalid)
		end(s)

		u := r.bound(driver.Datagram, 9)
		r.ok("SendTo", u.SendTo([]byte("hello"), peer.at))
		u = r.successor(u)
		r.ok("SendTo", u.SendTo([]byte("x"), netip.AddrPort{}))
		r.verdict("SENDTO", u, want[driver.SendToMsg](r, u).Err, driver.ErrAddrRequired)
		end(u)

		u = r.bound(driver.Datagram, 9)
		r.sendTo(u, []byte("hello"), peer.at)
		r.ok("Send", u.Send([]byte("hello")))
		u = r.successor(u)
		r.ok("Send", u.Send([]byte("x")))
		r.verdict("SEND", u, want[driver.SendMsg](r, u).Err, driver.ErrAddrRequired)
		end(u)

		u = r.bound(driver.Datagram, 9)
		peer.sends("hello", 9)
		r.Sleep(time.Second)
		r.recvFrom(u, 100)
		u = r.successor(u)
		r.recvFrom(u, 100)
		r.verdict("RECVFROM", u, want[driver.RecvFromMsg](r, u).Err, driver.ErrSockInvalid)
		end(u)
	})
}

// The network goes on with what the old socket has asked for.
func requestsUnderWay(t *testing.T) {
	behave(t, func(r *rig) {
		peer, silent := r.AddHost("peer.test"), r.puppet()
		r.take(6, driver.Stream)
		unharmed := func(old driver.Socket, what string) {
			r.t.Helper()
			s := r.successor(old)
			r.quiet(time.Minute, "after "+what+" on the socket before")
			r.bind(s, 2000, nil)
			r.close(s)
		}
		s := r.stream()
		r.ok("Connect", s.Connect(netip.AddrPortFrom(peer.Addr, 81))) // will be refused
		unharmed(s, "Connect")

		s = r.stream()
		r.ok("Connect", s.Connect(silent.port(81))) // will not be answered
		unharmed(s, "Connect to nobody")

		s, c := r.dial(peer, 80)
		r.ok("Send", s.Send([]byte("hello")))
		unharmed(s, "Send")
		c.Close()

		s, c = r.dial(peer, 80)
		r.ok("Recv", s.Recv(make([]byte, 10), 10*time.Second))
		r.peerWrites(c, "too late")
		unharmed(s, "Recv")
		c.Close()
	})
}

// Events that wait for the dispatcher when their socket is closed are void.
func eventsThatWait(t *testing.T) {
	withPeer(t, func(r *rig, peer datagramPeer) {
		r.take(6, driver.Stream)
		r.take(3, driver.Datagram)
		s, u := r.stream(), r.bound(driver.Datagram, 9)
		release := r.hold()
		before := r.Driver.Stats().Received
		r.ok("Bind", s.Bind(netip.MustParseAddrPort("0.0.0.0:80")))
		r.ok("SendTo", u.SendTo([]byte("x"), peer.at))
		r.Sleep(time.Second)
		r.ok("Tasks", r.Driver.Tasks())
		if n := r.Driver.Stats().Received - before; n != 2 {
			r.fatalf("%d messages were taken, want 2", n)
		}
		r.successor(s)
		r.successor(u)
		release()
		r.quiet(patience, "their sockets are closed")
	})
}

func TestSOC11_PlainSocketsAreSilent(t *testing.T) {
	behave(t, func(r *rig) {
		from := r.mark()
		for _, s := range r.allSockets() {
			r.close(s)
		}
		r.quiet(patience, "close has no event")
		r.noPacket("sockets were only made and closed", from, up)
	})
}

func TestSOC12_OptionThatWasNeverSet(t *testing.T) {
	onBench(t, func(r *rig) {
		for _, s := range []driver.Socket{r.stream(), r.datagram()} {
			for o := driver.Opt(0); o < 20; o++ {
				_, err := s.Opt(o)
				r.refused("Opt of "+o.String(), err, driver.ErrSockArg)
			}
		}
	})
}

func TestSOC13_AcceptIsAnEmptyShell(t *testing.T) {
	behave(t, func(r *rig) {
		for _, s := range []driver.Socket{r.stream(), r.datagram(), r.listener(80)} {
			r.ok("Accept", s.Accept())
		}
		r.quiet(time.Minute, "accept has no event")
	})
}
