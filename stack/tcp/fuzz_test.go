package tcp

import (
	"testing"
	"time"

	"github.com/understudy-net/understudy/wire"
)

// FuzzRecovery sends ACKs with SACK blocks of all kinds, data with holes, reports of the path and
// timeouts to an established connection. Its books must stay in order, and it must not talk for ever.
func FuzzRecovery(f *testing.F) {
	f.Add([]byte{0, 100, 1, 0, 3, 5, 0, 100, 1, 0, 7, 9, 0, 100, 1, 0, 12, 14, 4, 30, 0, 200, 2, 1, 2, 3})
	f.Add([]byte{0, 200, 4, 40, 4, 40, 4, 40, 4, 40, 1, 5, 0, 0, 5, 90, 0, 255, 4, 255})
	f.Add([]byte{2, 10, 1, 2, 40, 1, 2, 10, 2, 3, 50, 6, 0, 0, 100})
	f.Fuzz(func(t *testing.T, b []byte) {
		cfg := Config{}
		var c Conn
		now := Instant(time.Hour)
		out := make([]byte, 2000)
		next := func() int {
			if len(b) == 0 {
				return 0
			}
			v := b[0]
			b = b[1:]
			return int(v)
		}
		syn := wire.TCP{Seq: 1000, Flags: wire.SYN, Wnd: 65535}
		syn.Opt.MSS, syn.Opt.SACKPermitted, syn.Opt.HasWScale, syn.Opt.WScale = 1460, true, true, 3
		if next()%2 == 1 {
			cfg.Congestion = NewReno
		}
		c.Accept(now, &cfg, Params{LocalPort: 1, RemotePort: 2, MSS: 1460, ISS: 0xffffe000}, &syn, false)
		c.Output(now, out)
		now = now.Add(20 * time.Millisecond)
		seq := uint32(1001)
		c.Input(now, &wire.TCP{Seq: seq, Ack: c.iss + 1, Flags: wire.ACK, Wnd: 8000}, nil)
		for len(b) > 0 && c.State() != StateClosed {
			switch next() % 8 {
			case 0: // the user writes
				c.Write(now, out[:min(next()*8, 1900)])
			case 1: // an ACK with a block
				seg := wire.TCP{Seq: seq, Ack: c.snd.una + uint32(next())*100, Flags: wire.ACK, Wnd: uint16(next()) * 64}
				l, r := uint32(next())*100, uint32(next())*100
				seg.Opt.NSACK = 1 + next()%2
				seg.Opt.SACK[0] = wire.SACKBlock{Left: c.snd.una + l, Right: c.snd.una + r}
				seg.Opt.SACK[1] = wire.SACKBlock{Left: c.snd.una + r + 50, Right: c.snd.una + r + l}
				c.Input(now, &seg, nil)
			case 2: // data somewhere
				off, n := next()*50, next()%200
				c.Input(now, &wire.TCP{Seq: c.rcv.nxt + uint32(off) - 500, Ack: c.snd.una, Flags: wire.ACK, Wnd: 8000}, out[:n])
			case 3: // the next data
				c.Input(now, &wire.TCP{Seq: c.rcv.nxt, Ack: c.snd.una, Flags: wire.ACK, Wnd: 8000}, out[:next()%200])
			case 4: // time passes
				now = now.Add(time.Duration(next()) * 10 * time.Millisecond)
				c.Advance(now)
			case 5: // the path
				c.SetPathMTU(now, next()*8)
			case 6:
				c.Read(out)
			case 7: // an ACK of all
				c.Input(now, &wire.TCP{Seq: c.rcv.nxt, Ack: c.snd.nxt, Flags: wire.ACK, Wnd: 8000}, nil)
			}
			for i := 0; ; i++ {
				n := c.Output(now, out)
				if n == 0 {
					break
				}
				if n > 1480 {
					t.Fatalf("a segment of %d bytes", n)
				}
				if i > 500 {
					t.Fatal("Output does not end")
				}
			}
			if wire.SeqLT(c.snd.pos, c.snd.una) || wire.SeqGT(c.snd.pos, c.snd.nxt) || wire.SeqGT(c.snd.nxt, c.end()+1) || wire.SeqLT(c.rcv.edge, c.rcv.nxt) {
				t.Fatalf("una %d, pos %d, nxt %d, end %d; rcv.nxt %d, edge %d", c.snd.una, c.snd.pos, c.snd.nxt, c.end(), c.rcv.nxt, c.rcv.edge)
			}
			if c.flight() > 0 && c.state.sends() && c.rtxAt == 0 {
				t.Fatal("data are in flight, and no timer is on")
			}
			if s := c.sacked; s != nil {
				sum := uint32(0)
				for i, r := range s.ranges[:s.n] {
					sum += r.right - r.left
					if !wire.SeqLT(r.left, r.right) || i > 0 && !wire.SeqLT(s.ranges[i-1].right, r.left) || wire.SeqGT(r.right, c.snd.nxt) || wire.SeqLEQ(r.left, c.snd.una) {
						t.Fatalf("ranges %v between %d and %d", s.ranges[:s.n], c.snd.una, c.snd.nxt)
					}
				}
				if sum != s.bytes {
					t.Fatalf("%d bytes are SACKed, not %d", sum, s.bytes)
				}
				if p := s.pipe(c.snd.una, c.snd.nxt, c.segMSS()); p > 2*c.flight() {
					t.Fatalf("pipe is %d of %d in flight", p, c.flight())
				}
			}
			if c.cc.cwnd > maxCwnd || c.cc.cwnd == 0 {
				t.Fatalf("cwnd %d", c.cc.cwnd)
			}
		}
	})
}
