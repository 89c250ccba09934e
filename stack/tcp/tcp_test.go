package tcp

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/understudy-net/understudy/wire"
)

// The state machine is tested by package stack's scripts, which see what a peer sees. Here are the
// parts.

func TestRingAgainstModel(t *testing.T) {
	for seed := uint64(1); seed <= 50; seed++ {
		rnd := rand.New(rand.NewPCG(seed, 0))
		var p Pool
		var q Ring
		var model []byte
		next := byte(0)
		for range 300 {
			switch rnd.IntN(4) {
			case 0, 1:
				b := make([]byte, rnd.IntN(3000))
				for i := range b {
					b[i] = next
					next++
				}
				if len(model)+len(b) > 100000 {
					continue
				}
				q.Write(&p, b)
				model = append(model, b...)
			case 2:
				n := rnd.IntN(len(model) + 1)
				q.Discard(n)
				q.Release(&p)
				model = model[n:]
			case 3:
				off := rnd.IntN(len(model) + 1)
				b := make([]byte, rnd.IntN(len(model)-off+1))
				if len(b) == 0 {
					continue
				}
				acc := q.sumCopy(0, b, off)
				if !bytes.Equal(b, model[off:off+len(b)]) || wire.Fold(acc) != wire.Fold(wire.Sum(0, b)) {
					t.Fatalf("seed %d: sumCopy of %d bytes at %d is wrong", seed, len(b), off)
				}
			}
			got := make([]byte, len(model)+5)
			if n := q.Peek(got); n != len(model) || !bytes.Equal(got[:n], model) {
				t.Fatalf("seed %d: ring and model differ", seed)
			}
			if len(model) == 0 && q.Cap() != 0 && q.Len() == 0 {
				q.Release(&p)
				if q.Cap() != 0 {
					t.Fatalf("seed %d: an empty ring keeps its buffer", seed)
				}
			}
		}
	}
}

func TestPoolIsBounded(t *testing.T) {
	p := Pool{Keep: 10000}
	rings := make([]Ring, 20)
	for i := range rings {
		rings[i].Write(&p, make([]byte, 1000))
	}
	for i := range rings {
		rings[i].Reset(&p)
	}
	if p.Held() > 10000 || p.Held() < 9000 {
		t.Fatalf("%d bytes are kept", p.Held())
	}
	if n := testing.AllocsPerRun(100, func() {
		rings[0].Write(&p, []byte("x"))
		rings[0].Reset(&p)
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
	p.Trim()
	if p.Held() != 0 {
		t.Fatal("not trimmed")
	}
}

func TestReassemblyAgainstModel(t *testing.T) {
	for seed := uint64(1); seed <= 200; seed++ {
		rnd := rand.New(rand.NewPCG(seed, 0))
		var p Pool
		var ring Ring
		var o reassembly
		base := rnd.Uint32() // sequence numbers wrap now and then
		const size = 3000
		var have [size]bool
		var data [size]byte
		nxt := 0
		for nxt < size {
			from := rnd.IntN(size)
			to := min(from+1+rnd.IntN(200), size)
			if rnd.IntN(5) == 0 {
				from, to = nxt, min(nxt+1+rnd.IntN(100), size)
			}
			if to <= nxt {
				continue
			}
			from = max(from, nxt)
			b := make([]byte, to-from)
			for i := range b {
				b[i] = byte(rnd.Uint32()) // other bytes each time: the first copy wins
			}
			if !o.add(&p, &ring, base+uint32(nxt), base+uint32(from), b) {
				continue
			}
			for i := range b {
				if !have[from+i] {
					have[from+i], data[from+i] = true, b[i]
				}
			}
			n := int(o.take(base + uint32(nxt)))
			ring.Extend(n)
			want := 0
			for nxt+want < size && have[nxt+want] {
				want++
			}
			if n != want {
				t.Fatalf("seed %d: %d bytes are in order, want %d", seed, n, want)
			}
			got := make([]byte, n)
			ring.Peek(got)
			if !bytes.Equal(got, data[nxt:nxt+n]) {
				t.Fatalf("seed %d: data at %d differ", seed, nxt)
			}
			ring.Discard(n)
			nxt += n
			for i := 1; i < o.n; i++ {
				if !wire.SeqLT(o.ranges[i-1].right, o.ranges[i].left) {
					t.Fatalf("seed %d: ranges are out of order: %v", seed, o.ranges[:o.n])
				}
			}
		}
		if !o.empty() {
			t.Fatalf("seed %d: ranges are left", seed)
		}
	}
}

func TestRTTBounds(t *testing.T) {
	var r rtt
	r.onSample(time.Microsecond)
	if r.rto() != minRTO {
		t.Fatal(r.rto())
	}
	for range 100 {
		r.onTimeout()
	}
	if r.rto() != maxRTO { // RTO-3: bounded, at 60 s
		t.Fatal(r.rto())
	}
	r.onSample(200 * time.Second)
	if r.rto() != maxRTO {
		t.Fatal(r.rto())
	}
}

func TestInitialWindow(t *testing.T) {
	for _, c := range []struct{ mss, want uint32 }{{1460, 14600}, {536, 5360}, {1448, 14480}, {8960, 17920}, {64, 640}} {
		if got := initialWindow(c.mss); got != c.want { // RFC 6928, 2
			t.Errorf("IW of %d is %d, want %d", c.mss, got, c.want)
		}
	}
}

func TestCongestionAvoidance(t *testing.T) {
	// CC-2: one segment for each round trip, without extras (RFC 2525, 2.4).
	g := congestion{cwnd: 14600, ssthresh: 14600}
	for range 10 { // one window
		g.onAck(1, 0, 1460, 1460, true)
	}
	if g.cwnd != 16060 {
		t.Fatal(g.cwnd)
	}
	g.onAck(1, 0, 100000, 1460, false)
	if g.cwnd != 16060 {
		t.Fatal("grew without being used")
	}
}

func TestReset(t *testing.T) {
	in := wire.TCP{SrcPort: 1, DstPort: 2, Seq: 100, Flags: wire.SYN | wire.FIN}
	if r, ok := Reset(&in, 5); !ok || r.Ack != 107 || r.Seq != 0 || r.Flags != wire.RST|wire.ACK || r.SrcPort != 2 {
		t.Fatal(r, ok)
	}
	in.Flags |= wire.RST
	if _, ok := Reset(&in, 5); ok {
		t.Fatal("a RST was answered")
	}
}

func TestStrings(t *testing.T) {
	if s := StateFinWait1.String() + " " + State(77).String() + " " + CauseReset.String() + " " + Cause(9).String(); s != "FIN-WAIT-1 state(77) reset cause(9)" {
		t.Fatal(s)
	}
}

// TestOptionsOfSYN: MUST-14, MUST-65, MUST-68, MUST-69, WS-1, TS-1.
func TestOptionsOfSYN(t *testing.T) {
	var cfg Config
	var c Conn
	c.Open(1e9, &cfg, Params{LocalPort: 1, RemotePort: 2, MSS: 1460})
	b := make([]byte, 2000)
	n := c.Output(1e9, b)
	if n != 20+4+12+4 || b[12]>>4 != 10 {
		t.Fatalf("%x", b[:n])
	}
	if n := c.Output(1e9, b); n != 0 {
		t.Fatalf("and %x", b[:n])
	}
}

func FuzzConn(f *testing.F) {
	f.Add([]byte{0x10, 0, 0, 0, 1, 0, 0, 0, 1, 255, 255, 5})
	f.Add([]byte{0x12, 0, 0, 0, 0, 0, 0, 0, 1, 255, 255, 0, 0x11, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		var cfg Config
		var c Conn
		now := Instant(1e9)
		c.Open(now, &cfg, Params{LocalPort: 1, RemotePort: 2, MSS: 1460})
		out := make([]byte, 2000)
		for len(b) >= 12 && c.State() != StateClosed {
			seg := wire.TCP{Flags: wire.TCPFlags(b[0]), Wnd: uint16(b[9])<<8 | uint16(b[10]), Opt: wire.TCPOptions{TS: b[1]&1 != 0, TSVal: uint32(b[2])}}
			seg.Seq = uint32(int8(b[3]))*100 + uint32(b[4])
			seg.Ack = uint32(int8(b[7]))*100 + uint32(b[8])
			c.Input(now, &seg, b[12:min(12+int(b[11]), len(b))])
			switch b[5] & 7 {
			case 1:
				c.Write(now, b)
			case 2:
				c.Read(out[:100])
			case 3:
				c.CloseWrite(now)
			case 4:
				now = now.Add(time.Duration(b[6]) * 100 * time.Millisecond)
				c.Advance(now)
			}
			for i := 0; c.Output(now, out) > 0; i++ {
				if i > 100 {
					t.Fatal("Output does not end")
				}
			}
			if int32(c.snd.nxt-c.snd.una) < 0 || wire.SeqLT(c.snd.pos, c.snd.una) || wire.SeqGT(c.snd.pos, c.snd.nxt) || wire.SeqLT(c.rcv.edge, c.rcv.nxt) {
				t.Fatalf("una %d, pos %d, nxt %d; rcv.nxt %d, edge %d", c.snd.una, c.snd.pos, c.snd.nxt, c.rcv.nxt, c.rcv.edge)
			}
			b = b[12:]
		}
	})
}
