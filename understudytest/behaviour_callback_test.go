package understudytest_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/stack/dns"
	"github.com/understudy-net/understudy/understudytest"
)

// Section 5.13: the callbacks of sockets and of the resolver.

func TestCBK01_OneFunctionHearsAllSockets(t *testing.T) {
	behave(t, func(r *rig) {
		h := r.AddHost("peer.test")
		tcp1, c1 := r.dial(h, 7)
		tcp2, c2 := r.dialIn(r.listener(8), h, 8)
		udp := r.bound(driver.Datagram, 9)
		for _, s := range []driver.Socket{tcp1, tcp2} {
			r.recv(s, 100)
		}
		r.recvFrom(udp, 100)
		r.peerWrites(c2, "to the second")
		r.peerSends(r.peerSocket(h, 9), "to the datagram socket", r.at(9))
		r.peerWrites(c1, "to the first")
		r.wantData(tcp1, "to the first")
		r.wantData(tcp2, "to the second")
		r.wantDatagram(udp, "to the datagram socket")
	})
}

func TestCBK02_NameIsResolved(t *testing.T) {
	behave(t, func(r *rig) {
		h := r.AddHost("www.test")
		for _, name := range []string{"www.test", "WWW.Test"} { // exactly as it was asked
			if a := r.resolve(name); a != h.Addr {
				r.fatalf("%s is %v, want %v", name, a, h.Addr)
			}
		}
		r.wantPacket("query", 0, queryFor("www.test"), to(understudytest.RouterAddr))
	})
}

func TestCBK03_NameThatDoesNotExist(t *testing.T) {
	behave(t, func(r *rig) {
		since := r.mark()
		if a := r.resolve("nowhere.test"); a.IsValid() {
			r.fatalf("resolved %v", a)
		}
		r.wantPacket("NXDOMAIN", since, down, port(53), func(p *packet) bool {
			var m dnsmessage.Message
			return m.Unpack(p.body) == nil && m.RCode == dnsmessage.RCodeNameError
		})
	})
}

func TestCBK04_SilentDNSServer(t *testing.T) {
	behave(t, func(r *rig) {
		r.AddHost("www.test")
		r.deaf(r.Router, 53)
		since, start := r.mark(), r.Now()
		r.ok("Resolve", r.Client.Resolve("www.test"))
		m, e := wantWithin[resolved](r, none, time.Minute)
		if m.addr.IsValid() || m.name != "www.test" {
			r.fatalf("resolved %+v", m)
		}
		if d := e.at.Sub(start); d < 28*time.Second || d > 32*time.Second {
			r.fatalf("given up after %v, want about 30 s", d)
		}
		if n := len(r.packets(since, queryFor("www.test"))); n < 2 {
			r.fatalf("%d queries", n)
		}
		r.quiet(time.Minute, "once")
	})
}

func TestCBK05_LongestName(t *testing.T) {
	behave(t, func(r *rig) {
		since, name := r.mark(), strings.Repeat("a", 63)
		r.refused("64 characters", r.Client.Resolve(name+"a"), driver.ErrSockArg)
		r.quiet(time.Minute, "refused")
		r.noPacket("refused", since, isQuery)
		r.resolve(name)
		r.wantPacket("query", since, queryFor(name))
	})
}

func TestCBK06_ChainOfAliases(t *testing.T) {
	behave(t, func(r *rig) {
		h := r.AddHost("end.test")
		r.locked(func(time.Time) {
			for from, to := range map[string]string{"www.test": "web.test", "web.test": "cdn.test", "cdn.test": "end.test"} {
				if err := r.Names.SetAlias(from, 0, to); err != nil {
					t.Error(err)
				}
			}
		})
		if a := r.resolve("www.test"); a != h.Addr {
			r.fatalf("resolved %v, want %v", a, h.Addr)
		}
	})
}

func TestCBK07_NewFunctionReplacesTheOld(t *testing.T) {
	behave(t, func(r *rig) {
		h := r.AddHost("peer.test")
		s, c := r.dial(h, 7)
		r.recv(s, 100)
		r.ok("Resolve", r.Client.Resolve("peer.test"))
		r.ok("OnSocket", r.Client.OnSocket(func(s driver.Socket, m driver.Msg) { r.tell(none, fmt.Sprintf("new: %v", m.Kind())) }))
		r.ok("OnResolve", r.Client.OnResolve(func(name string, a netip.Addr) { r.tell(none, "new: "+name) }))
		r.peerWrites(c, "data")
		got := []string{want[string](r, none), want[string](r, none)}
		if !slices.Contains(got, "new: peer.test") || !slices.Contains(got, fmt.Sprintf("new: %v", driver.KindRecv)) {
			r.fatalf("the new functions heard %q", got)
		}
	})
}

func TestCBK08_NilSilences(t *testing.T) {
	behave(t, func(r *rig) {
		h := r.AddHost("peer.test")
		s, c := r.dial(h, 7)
		r.ok("OnSocket", r.Client.OnSocket(nil))
		r.ok("OnResolve", r.Client.OnResolve(nil))
		since := r.mark()
		r.ok("Send", s.Send([]byte("works all the same")))
		r.peerReads(c, []byte("works all the same"))
		buf := make([]byte, 100)
		r.ok("Recv", s.Recv(buf, 0))
		r.peerWrites(c, "and back")
		r.ok("Resolve", r.Client.Resolve("peer.test"))
		r.wantPacket("DNS answer", since, down, port(53))
		r.quiet(patience, "nil")
		if got := string(buf[:8]); got != "and back" {
			r.fatalf("in the buffer: %q", got)
		}
		r.attach()
		r.send(s, []byte("loud again"))
		r.resolve("peer.test")
	})
}

func TestCBK09_RegistrationOutlivesClients(t *testing.T) {
	behave(t, func(r *rig) {
		r.ok("Close", r.Client.Close())
		r.attach() // succeeds on the closed handle
		for range 2 {
			c, err := r.Driver.Open()
			r.ok("Open", err)
			if c == r.Client {
				r.fatalf("Open returned the closed handle")
			}
			r.Client = c
			r.ok("Connect", c.Connect(r.BSS(), r.Auth(), nil))
			r.Sleep(patience)
			r.bound(driver.Stream, 7)
			if a := r.resolve("router.test"); a != understudytest.RouterAddr {
				r.fatalf("resolved %v", a)
			}
			r.ok("Close", c.Close()) // from here on without registering again
		}
	})
}

func TestCBK10_NamesBackToBack(t *testing.T) {
	behave(t, func(r *rig) {
		one, two := r.AddHost("one.test"), r.AddHost("two.test")
		r.ok("Resolve", r.Client.Resolve("one.test"))
		r.ok("Resolve", r.Client.Resolve("two.test"))
		got := map[string]netip.Addr{}
		for range 2 {
			m := want[resolved](r, none)
			got[m.name] = m.addr
		}
		if len(got) != 2 || got["one.test"] != one.Addr || got["two.test"] != two.Addr {
			r.fatalf("resolved %v", got)
		}
	})
}

func TestCBK12_ForgedAnswersAreIgnored(t *testing.T) {
	behave(t, func(r *rig) {
		h := r.AddHost("www.test")
		var liar dns.Server
		r.ok("liar's table", liar.Set("www.test", 0, far))
		queries := 0
		r.takeQueries(func(query []byte, send func(from uint16, p []byte)) {
			if queries++; queries > 1 {
				answer, _ := r.Names.Reply(nil, query)
				send(dns.Port, answer)
				return
			}
			lie, _ := liar.Reply(nil, query)
			send(5353, lie) // from another port
			binary.BigEndian.PutUint16(lie, binary.BigEndian.Uint16(lie)+1)
			send(dns.Port, lie) // with a wrong id
		})
		since := r.mark()
		r.ok("Resolve", r.Client.Resolve("www.test"))
		r.wantPackets(patience, "forged answers", 2, since, down, isUDP)
		r.nothingMore("forged answers") // it waits for the true one
		if m := want[resolved](r, none); m.addr != h.Addr || queries < 2 {
			r.fatalf("resolved %v after %d queries, want %v", m.addr, queries, h.Addr)
		}
	})
}

func TestCBK13_DottedQuadIsNotAskedFor(t *testing.T) {
	behave(t, func(r *rig) {
		since := r.mark()
		if a := r.resolve("192.0.2.1"); a != far {
			r.fatalf("resolved %v", a)
		}
		r.Sleep(time.Minute)
		r.noPacket("dotted quad", since, up)
	})
}

// The whole work of this test is done inside of the callback: it answers on
// one connection, closes it, and goes on with the other one.
func TestCBK14_CallbackMayCall(t *testing.T) {
	behave(t, func(r *rig) {
		h := r.AddHost("peer.test")
		a, ca := r.dial(h, 7)
		b, cb := r.dial(h, 8)
		check := func(what string, err error) {
			if err != nil {
				r.tell(none, fmt.Sprintf("%s: %v", what, err)) // nobody takes it
			}
		}
		r.ok("OnSocket", r.Client.OnSocket(func(s driver.Socket, m driver.Msg) {
			switch m := m.(type) {
			case driver.RecvMsg:
				if s == a {
					check("send on the own socket", a.Send(m.Data))
					check("recv on the own socket", a.Recv(make([]byte, 10), 0))
					check("send on the other", b.Send([]byte("from a")))
					check("recv on the other", b.Recv(make([]byte, 10), 0))
				} else {
					check("close the other", a.Close())
					check("close the own socket", b.Close())
				}
			case driver.SendMsg:
				check("SEND", m.Err)
			}
		}))
		r.recv(a, 10)
		r.peerWrites(ca, "hello")
		r.peerReads(ca, []byte("hello"))
		r.peerReads(cb, []byte("from a"))
		r.peerWrites(cb, "bye")
		r.peerReadsEnd(ca, io.EOF)
		r.peerReadsEnd(cb, io.EOF)
		r.refused("Send after it", a.Send([]byte("x")), driver.ErrClosed)
	})
}
