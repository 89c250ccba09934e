package understudytest_test

// TCP-01 to TCP-13: connections opened by the device, and sending
// (spec/driver-api.md 5.4).

import (
	"errors"
	"io"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/wire"
)

// port is a port of the puppet.
func (p *puppet) port(n uint16) netip.AddrPort { return netip.AddrPortFrom(p.addr, n) }

// dialPuppet connects a new socket to a puppet and returns both ends.
func (r *rig) dialPuppet(p *puppet, port uint16) (driver.Socket, *script) {
	r.t.Helper()
	s, from := r.stream(), r.mark()
	r.ok("Connect", s.Connect(p.port(port)))
	c := p.answer(from, port)
	r.verdict("CONNECT", s, want[driver.ConnectMsg](r, s).Err, nil)
	return s, c
}

// acks matches segments that acknowledge all before seq.
func acks(seq uint32) match {
	return func(p *packet) bool {
		return p.kind == kindTCP && p.tcp.Flags.Has(wire.ACK) && wire.SeqGEQ(p.tcp.Ack, seq)
	}
}

func TestTCP01_ConnectSucceedsAfterTheSynAck(t *testing.T) {
	behave(t, func(r *rig) {
		p, s, from := r.puppet(), r.stream(), r.mark()
		r.ok("Connect", s.Connect(p.port(80)))
		r.wantPacket("SYN", from, up, port(80), flags(wire.SYN))
		r.quiet(5*time.Second, "there was no SYN,ACK")
		p.answer(from, 80)
		m, e := wantWithin[driver.ConnectMsg](r, s, patience)
		r.verdict("CONNECT", s, m.Err, nil)
		if synAck := r.wantPacket("SYN,ACK", from, down, port(80), flags(wire.SYN|wire.ACK)); e.n < synAck.n {
			r.fatalf("CONNECT came before the SYN,ACK")
		}
	})
}

func TestTCP02_ConnectReturnsBeforeAnyAnswer(t *testing.T) {
	behave(t, func(r *rig) {
		peer := r.AddHost("peer.test")
		l, err := peer.Listen("tcp", ":80")
		r.ok("peer listens", err)
		s, from := r.stream(), r.mark()
		r.ok("Connect", s.Connect(netip.AddrPortFrom(peer.Addr, 80)))
		r.notef("Connect returned")
		r.noPacket("Connect has only just returned", from, down)
		r.verdict("CONNECT", s, want[driver.ConnectMsg](r, s).Err, nil)
		l.Close()
	})
}

func TestTCP03_ConnectToAClosedPort(t *testing.T) {
	behave(t, func(r *rig) {
		peer, s := r.AddHost("peer.test"), r.stream()
		r.ok("Connect", s.Connect(netip.AddrPortFrom(peer.Addr, 80)))
		m, _ := wantWithin[driver.ConnectMsg](r, s, 2*time.Second)
		r.verdict("CONNECT", s, m.Err, driver.ErrConnAborted)
		r.verdict("CONNECT", s, m.Err, syscall.ECONNREFUSED)
	})
}

func TestTCP04_ConnectToASilentHost(t *testing.T) {
	behave(t, func(r *rig) {
		p, s, from, start := r.puppet(), r.stream(), r.mark(), r.Now()
		r.ok("Connect", s.Connect(p.port(80)))
		m, e := wantWithin[driver.ConnectMsg](r, s, time.Minute)
		r.verdict("CONNECT", s, m.Err, driver.ErrTimedOut)
		if took := e.at.Sub(start); took < 25*time.Second || took > 35*time.Second {
			r.fatalf("CONNECT after %v, want about 30 s", took)
		}
		syns := r.packets(from, up, port(80), flags(wire.SYN))
		if len(syns) < 3 {
			r.fatalf("%d SYNs, want retransmissions", len(syns))
		}
		for _, syn := range syns {
			if syn.tcp.Seq != syns[0].tcp.Seq {
				r.fatalf("a SYN differs from the first: %v", syn)
			}
		}
	})
}

func TestTCP05_ConnectOnADatagramSocket(t *testing.T) {
	behave(t, func(r *rig) {
		to := netip.AddrPortFrom(r.AddHost("peer.test").Addr, 80)
		from := r.mark()
		r.connect(r.datagram(), to, driver.ErrSockInvalid)
		r.connect(r.bound(driver.Datagram, 9), to, driver.ErrSockInvalid)
		r.noPacket("connect is not for datagrams", from, up)
	})
}

func TestTCP06_IDStaysAfterAFailedConnect(t *testing.T) {
	behave(t, func(r *rig) {
		s := r.stream()
		r.connect(s, netip.AddrPortFrom(r.AddHost("peer.test").Addr, 80), driver.ErrConnAborted)
		r.take(driver.MaxTCPSockets-1, driver.Stream)
		r.noSocket(driver.Stream, driver.ErrMaxTCP)
		r.close(s)
		r.take(1, driver.Stream)
	})
}

func TestTCP07_Send1400(t *testing.T) {
	behave(t, func(r *rig) {
		s, c := r.dial(r.AddHost("peer.test"), 80)
		r.send(s, pattern(1400))
		r.peerReads(c, pattern(1400))
		r.close(s)
		r.peerReadsEnd(c, io.EOF) // just these
	})
}

func TestTCP08_Send1401(t *testing.T) {
	behave(t, func(r *rig) {
		s, c := r.dial(r.AddHost("peer.test"), 80)
		from := r.mark()
		r.refused("Send", s.Send(pattern(1401)), driver.ErrSockArg)
		r.quiet(patience, "the call was refused")
		r.noPacket("the call was refused", from, up)
		r.send(s, []byte("fine"))
		r.peerReads(c, []byte("fine"))
	})
}

func TestTCP09_SendEventMeansAcknowledged(t *testing.T) {
	behave(t, func(r *rig) {
		peer := r.AddHost("peer.test")
		s, _ := r.dial(peer, 80)
		r.SetCable(peer, air.Link{Delay: 50 * time.Millisecond})
		for range 5 {
			from := r.mark()
			r.ok("Send", s.Send(pattern(1400)))
			m, e := wantWithin[driver.SendMsg](r, s, patience)
			r.verdict("SEND", s, m.Err, nil)
			data := r.packets(from, up, port(80), hasData)
			last := data[len(data)-1]
			ack := r.wantPacket("its acknowledgement", from, down, port(80), acks(last.tcp.Seq+uint32(len(last.body))))
			if e.n < ack.n {
				r.fatalf("SEND came before the acknowledgement")
			}
		}
	})
}

func TestTCP10_LateAcknowledgement(t *testing.T) {
	behave(t, func(r *rig) {
		s, c := r.dialPuppet(r.puppet(), 80)
		from := r.mark()
		r.ok("Send", s.Send([]byte("patience")))
		r.quiet(time.Second, "nothing was acknowledged")
		sent := r.packets(from, up, port(80), hasData)
		if len(sent) < 2 {
			r.fatalf("the data was sent %d times, want it again", len(sent))
		}
		for _, p := range sent {
			if p.tcp.Seq != c.ack || string(p.body) != "patience" {
				r.fatalf("not the same data: %v", p)
			}
		}
		c.ack += uint32(len("patience"))
		c.send(wire.ACK, nil)
		r.wantSent(s, len("patience"))
	})
}

func TestTCP11_TenSends(t *testing.T) {
	behave(t, func(r *rig) {
		s, c := r.dial(r.AddHost("peer.test"), 80)
		lengths := []int{1, 1400, 7, 700, 1399, 64, 1024, 333, 2, 1200}
		stream, sent := pattern(8000), 0
		var accepted []int
		for _, n := range lengths {
			err := s.Send(stream[sent : sent+n])
			if errors.Is(err, driver.ErrBufferFull) {
				continue
			}
			r.ok("Send", err)
			accepted, sent = append(accepted, n), sent+n
		}
		if len(accepted) < 2 {
			r.fatalf("%d of the sends were accepted", len(accepted))
		}
		for _, n := range accepted {
			r.wantSent(s, n)
		}
		r.close(s)
		r.peerReads(c, stream[:sent])
		r.peerReadsEnd(c, io.EOF)
	})
}

func TestTCP12_FloodOfSends(t *testing.T) {
	behave(t, func(r *rig) {
		s, c := r.dial(r.AddHost("peer.test"), 80) // which does not read
		stream := pattern(1400 * 1000)
		sent := 0
		flood := func() {
			r.t.Helper()
			for {
				err := s.Send(stream[1400*sent : 1400*(sent+1)])
				if errors.Is(err, driver.ErrBufferFull) {
					return
				}
				r.ok("Send", err)
				if sent++; sent == 999 {
					r.fatalf("%d sends were accepted, and nobody reads", sent)
				}
			}
		}
		answered := 0
		for i := 0; ; i++ { // until the peer's window and the device's buffers are full
			flood()
			if r.takeFirst(time.Second, func(e *event) bool { return e.msg == driver.SendMsg{N: 1400} }) == nil {
				break
			}
			answered++
		}
		done := false
		r.Go(func() {
			r.peerReads(c, stream[:1400*(sent+1)])
			r.now(func() { done = true })
		})
		r.wantSent(s, 1400)
		r.ok("Send after the next event", s.Send(stream[1400*sent:1400*(sent+1)]))
		sent++
		for answered++; answered < sent; answered++ {
			r.wantSent(s, 1400)
		}
		if !r.until(patience, func() bool { return done }) {
			r.fatalf("the peer has not read all")
		}
	})
}

func TestTCP13_SendBufferIsFreeAtOnce(t *testing.T) {
	behave(t, func(r *rig) {
		s, c := r.dial(r.AddHost("peer.test"), 80)
		p := make([]byte, 1000)
		stream := pattern(3000)
		for sent := 0; sent < len(stream); sent += len(p) {
			copy(p, stream[sent:])
			r.ok("Send", s.Send(p))
			clear(p)
		}
		for range 3 {
			r.wantSent(s, 1000)
		}
		r.peerReads(c, stream)
	})
}
