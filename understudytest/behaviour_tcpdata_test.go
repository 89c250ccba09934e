package understudytest_test

// TCP-14 to TCP-31: receiving, the end of a connection, bad links
// (spec/driver-api.md 5.4).

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/wire"
)

func TestTCP14_RecvDeliversAllBytesInPieces(t *testing.T) {
	behave(t, func(r *rig) {
		s, c := r.dial(r.AddHost("peer.test"), 80)
		stream := string(pattern(25))
		r.peerWrites(c, stream)
		r.quiet(time.Second, "nobody has called recv")
		for _, piece := range []string{stream[:10], stream[10:20], stream[20:]} {
			r.recv(s, 10)
			r.wantData(s, piece)
		}
	})
}

func TestTCP15_RecvTimesOut(t *testing.T) {
	behave(t, func(r *rig) {
		s, _ := r.dial(r.AddHost("peer.test"), 80)
		start := r.Now()
		r.ok("Recv", s.Recv(make([]byte, 10), 500*time.Millisecond))
		m, e := wantWithin[driver.RecvMsg](r, s, patience)
		r.verdict("RECV", s, m.Err, driver.ErrTimedOut)
		if took := e.at.Sub(start); took < 400*time.Millisecond || took > 600*time.Millisecond {
			r.fatalf("RECV after %v, want 500 ms", took)
		}
	})
}

func TestTCP16_RecvAfterATimeOut(t *testing.T) {
	behave(t, func(r *rig) {
		s, c := r.dial(r.AddHost("peer.test"), 80)
		r.ok("Recv", s.Recv(make([]byte, 10), 500*time.Millisecond))
		r.wantEnd(s, driver.ErrTimedOut)
		r.recv(s, 10)
		r.quiet(time.Second, "the peer is silent")
		r.peerWrites(c, "later")
		r.wantData(s, "later")
	})
}

func TestTCP17_RecvWithoutTimeOut(t *testing.T) {
	behave(t, func(r *rig) {
		s, c := r.dial(r.AddHost("peer.test"), 80)
		r.recv(s, 10)
		r.quiet(10*time.Minute, "there is no time-out")
		r.peerWrites(c, "at last")
		r.wantData(s, "at last")
	})
}

func TestTCP18_RecvWithoutABuffer(t *testing.T) {
	behave(t, func(r *rig) {
		s, c := r.dial(r.AddHost("peer.test"), 80)
		r.peerWrites(c, "data")
		r.refused("Recv of nil", s.Recv(nil, 0), driver.ErrSockArg)
		r.refused("Recv of 0 bytes", s.Recv([]byte{}, 0), driver.ErrSockArg)
		r.quiet(patience, "both were refused")
		r.recv(s, 10)
		r.wantData(s, "data")
	})
}

func TestTCP19_SecondRecvReplacesTheBuffer(t *testing.T) {
	behave(t, func(r *rig) {
		s, c := r.dial(r.AddHost("peer.test"), 80)
		first, second := make([]byte, 100), make([]byte, 100)
		r.ok("Recv", s.Recv(first, 0))
		r.ok("second Recv", s.Recv(second, 0))
		r.peerWrites(c, "data")
		r.wantData(s, "data")
		r.quiet(patience, "one segment, one event")
		if !bytes.Equal(first, make([]byte, 100)) || string(second[:4]) != "data" {
			r.fatalf("data went to %q and %q", first[:4], second[:4])
		}
	})
}

// recvAll receives n bytes, piece by piece.
func (r *rig) recvAll(s driver.Socket, n int) []byte {
	r.t.Helper()
	var got []byte
	for len(got) < n {
		r.recv(s, 1400)
		m := want[driver.RecvMsg](r, s)
		r.verdict("RECV", s, m.Err, nil)
		got = append(got, m.Data...)
	}
	return got
}

func TestTCP20_WindowClosesAndOpens(t *testing.T) {
	behave(t, func(r *rig) {
		s, c := r.dial(r.AddHost("peer.test"), 80)
		stream, from := pattern(200_000), r.mark()
		r.Go(func() { c.Write(stream) }) // it is checked below what arrives
		isClosed := func(p *packet) bool { return p.tcp.Wnd == 0 }
		isOpen := func(p *packet) bool { return p.tcp.Wnd > 0 }
		closed := r.wantPacket("window of zero", from, up, port(80), isClosed)
		arrived, window := 0, ^uint16(0)
		for _, e := range r.since(from)[:closed.n+1-from] {
			switch p := e.pkt; {
			case p == nil || p.kind != kindTCP:
			case !p.up:
				arrived += len(p.body)
			case p.tcp.Wnd > window:
				r.fatalf("nobody reads and the window grows: %v", p)
			default:
				window = p.tcp.Wnd
			}
		}
		if arrived < 1400 || arrived >= len(stream) {
			r.fatalf("the window is closed after %d bytes", arrived)
		}
		r.quiet(10*time.Second, "nobody has called recv")
		r.noPacket("nobody has called recv", closed.n, up, port(80), isOpen)

		reading := r.mark()
		got := r.recvAll(s, arrived)
		r.wantPackets(time.Millisecond, "window that opens", 1, reading, up, port(80), isOpen) // not for a probe of the peer's
		got = append(got, r.recvAll(s, len(stream)-len(got))...)
		if !bytes.Equal(got, stream) {
			r.fatalf("%d bytes are not those that the peer has sent", len(got))
		}
	})
}

func TestTCP21_AllDataBeforeTheEnd(t *testing.T) {
	behave(t, func(r *rig) {
		s, c := r.dial(r.AddHost("peer.test"), 80)
		stream := string(pattern(2000))
		r.peerWrites(c, stream)
		r.ok("peer closes", c.Close())
		r.quiet(time.Second, "nobody has called recv")
		for _, piece := range []string{stream[:1000], stream[1000:1500], stream[1500:]} {
			r.recv(s, len(piece))
			r.wantData(s, piece)
		}
		r.recv(s, 100)
		r.wantEnd(s, io.EOF)
	})
}

func TestTCP22_IDStaysAfterTheEnd(t *testing.T) {
	behave(t, func(r *rig) {
		s, c := r.dial(r.AddHost("peer.test"), 80)
		r.recv(s, 100)
		r.ok("peer closes", c.Close())
		r.wantEnd(s, io.EOF)
		r.take(driver.MaxTCPSockets-1, driver.Stream)
		r.noSocket(driver.Stream, driver.ErrMaxTCP)
		r.close(s)
		r.take(1, driver.Stream)
	})
}

func TestTCP23_ResetByThePeer(t *testing.T) {
	behave(t, func(r *rig) {
		s, c := r.dialPuppet(r.puppet(), 80)
		r.recv(s, 100)
		r.quiet(time.Second, "the peer is silent")
		c.send(wire.RST, nil)
		r.wantEnd(s, driver.ErrConnAborted)
	})
}

func TestTCP24_ResetOfAnotherConnection(t *testing.T) {
	behave(t, func(r *rig) {
		p := r.puppet()
		s1, c1 := r.dialPuppet(p, 80)
		s2, c2 := r.dialPuppet(p, 81)
		r.recv(s1, 100)
		r.recv(s2, 100)
		c1.send(wire.RST, nil)
		r.wantEnd(s1, driver.ErrConnAborted)
		r.quiet(patience, "the other connection lives")
		c2.send(wire.ACK, []byte("alive"))
		r.wantData(s2, "alive")
		from := r.mark()
		r.ok("Send", s2.Send([]byte("and well")))
		data := r.wantPacket("data", from, up, port(81), hasData)
		c2.seq += uint32(len("alive"))
		c2.ack += uint32(len(data.body))
		c2.send(wire.ACK, nil)
		r.wantSent(s2, len("and well"))
	})
}

func TestTCP25_CloseOfAnIdleConnection(t *testing.T) {
	behave(t, func(r *rig) {
		s, c := r.dial(r.AddHost("peer.test"), 80)
		from := r.mark()
		r.close(s)
		r.peerReadsEnd(c, io.EOF)
		c.Close()
		r.quiet(patience, "close has no event")
		if fins := r.packets(from, up, port(80), withFlag(wire.FIN)); len(fins) != 1 {
			r.fatalf("%d FINs on the air, want 1", len(fins))
		}
		r.noPacket("an orderly close", from, withFlag(wire.RST))
	})
}

func TestTCP26_CloseWithAReceivePending(t *testing.T) {
	behave(t, func(r *rig) {
		s, c := r.dial(r.AddHost("peer.test"), 80)
		r.recv(s, 100)
		r.close(s)
		r.peerWrites(c, "too late")
		c.Close()
		r.quiet(time.Minute, "the socket is closed")
	})
}

// echo serves what comes back as it is.
func echo(c net.Conn) { io.Copy(c, c) }

func TestTCP27_MegabyteOverABadLink(t *testing.T) {
	behave(t, func(r *rig) {
		peer, s := r.AddHost("peer.test"), r.stream()
		r.ok("peer serves", peer.HandleTCP(7, echo))
		r.connect(s, netip.AddrPortFrom(peer.Addr, 7), nil)
		r.SetLink(air.Link{Loss: 0.05, Duplicate: 0.05, Reorder: 0.05})
		stream := pattern(1 << 20)
		var got []byte
		sent, answered := 0, 0
		r.recv(s, 1400)
		for len(got) < len(stream) || answered < sent {
			for sent < len(stream) {
				n := min(1400, len(stream)-sent)
				if err := s.Send(stream[sent : sent+n]); errors.Is(err, driver.ErrBufferFull) {
					break
				} else if r.ok("Send", err); err == nil {
					sent += n
				}
			}
			e := r.takeFirst(2*time.Minute, func(*event) bool { return true })
			if e == nil {
				r.fatalf("%d bytes sent, %d received, and nothing more happens", sent, len(got))
			}
			switch m := e.msg.(type) {
			case driver.SendMsg:
				r.verdict("SEND", s, m.Err, nil)
				answered += m.N
			case driver.RecvMsg:
				r.verdict("RECV", s, m.Err, nil)
				if got = append(got, m.Data...); len(got) < len(stream) {
					r.recv(s, 1400)
				}
			}
		}
		if !bytes.Equal(got, stream) {
			r.fatalf("the echo differs from what was sent")
		}
		n := r.Air.Counters()
		if n.Drops.Loss < 20 || n.Duplicated < 20 || n.Reordered < 20 {
			r.fatalf("the link was not that bad: %+v", n)
		}
	})
}

func TestTCP28_SegmentsOutOfOrder(t *testing.T) {
	behave(t, func(r *rig) {
		s, c := r.dialPuppet(r.puppet(), 80)
		r.recv(s, 100)
		c.sendIP(wire.ProtoTCP, c.segment(wire.ACK, c.seq+10, []byte("third")))
		c.sendIP(wire.ProtoTCP, c.segment(wire.ACK, c.seq+5, []byte("2nd, ")))
		r.quiet(time.Second, "the first one is missing")
		c.send(wire.ACK, []byte("1st, "))
		r.wantData(s, "1st, 2nd, third")
	})
}

func TestTCP29_WrongChecksum(t *testing.T) {
	behave(t, func(r *rig) {
		s, c := r.dialPuppet(r.puppet(), 80)
		r.recv(s, 100)
		from := r.mark()
		bad := c.segment(wire.ACK, c.seq, []byte("data"))
		bad[len(bad)-1] ^= 1
		c.sendIP(wire.ProtoTCP, bad)
		r.quiet(patience, "the checksum was wrong")
		r.noPacket("the checksum was wrong", from, up, acks(c.seq+4))
		c.send(wire.ACK, []byte("data"))
		r.wantData(s, "data")
		r.wantPacket("acknowledgement of the good one", from, up, acks(c.seq+4))
	})
}

// probe matches keep-alive probes of a connection that has sent all before seq:
// segments without news, one byte back (RFC 9293, 3.8.4).
func probe(seq uint32) match {
	return func(p *packet) bool { return p.kind == kindTCP && p.tcp.Seq == seq-1 && len(p.body) <= 1 }
}

func TestTCP30_KeepAlive(t *testing.T) {
	behave(t, func(r *rig) {
		peer := r.AddHost("peer.test")
		s, _ := r.dial(peer, 80)
		start, from := r.Now(), r.mark()
		r.ok("SetOpt", s.SetOpt(driver.OptKeepAlive, 1))
		r.ok("SetOpt", s.SetOpt(driver.OptKeepIdle, 4))
		r.ok("SetOpt", s.SetOpt(driver.OptKeepInterval, 2))
		r.ok("SetOpt", s.SetOpt(driver.OptKeepCount, 3))
		r.SetCable(peer, air.Link{Down: true})
		r.recv(s, 100)
		m, e := wantWithin[driver.RecvMsg](r, s, time.Minute)
		r.verdict("RECV", s, m.Err, driver.ErrConnAborted)
		if took := e.at.Sub(start); took < 4500*time.Millisecond || took > 5500*time.Millisecond {
			r.fatalf("RECV after %v, want about 5 s", took)
		}
		syn := r.packets(0, up, port(80), flags(wire.SYN))[0]
		probes := r.packets(from, up, port(80), probe(syn.tcp.Seq+1))
		if len(probes) != 3 {
			r.fatalf("%d probes on the air, want 3", len(probes))
		}
		if first := probes[0].at.Sub(start); first < 1900*time.Millisecond || first > 2100*time.Millisecond {
			r.fatalf("first probe after %v, want 2 s", first)
		}
	})
}

func TestTCP31_NoProbesUnlessAsked(t *testing.T) {
	behave(t, func(r *rig) {
		s, c := r.dial(r.AddHost("peer.test"), 80)
		from := r.mark()
		r.quiet(time.Hour, "nothing happens")
		r.noPacket("the connection is idle", from, up, port(80))
		r.send(s, []byte("after an hour"))
		r.peerReads(c, []byte("after an hour"))
	})
}
