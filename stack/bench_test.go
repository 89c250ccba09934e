package stack

import (
	"net/netip"
	"testing"
	"time"

	"github.com/understudy-net/understudy/stack/tcp"
	"github.com/understudy-net/understudy/wire"
)

// benchLink joins two stacks by two rings of recycled frames, as a virtual medium would.
type benchLink struct {
	now    time.Time
	stacks [2]*Stack
	rings  [2]frameRing
}

type frameRing struct {
	frames     [64][]byte
	head, tail int
	dropped    int
}

func (r *frameRing) push(f []byte) {
	if r.tail-r.head == len(r.frames) {
		r.dropped++
		return
	}
	i := r.tail % len(r.frames)
	r.frames[i] = append(r.frames[i][:0], f...)
	r.tail++
}

func newBenchLink(tb testing.TB, c tcp.Config) *benchLink {
	l := &benchLink{now: start}
	for i := range l.stacks {
		s, err := New(Config{
			MAC: wire.MAC{2, 0, 0, 0, 0, byte(i + 1)}, Rand: testSource(uint64(i)), TCP: c,
			ACD:    ACD{Off: true, Announces: -1},
			Output: func(now time.Time, f []byte) { l.rings[i].push(f) },
		})
		if err != nil {
			tb.Fatal(err)
		}
		s.SetAddr(l.now, netip.PrefixFrom([]netip.Addr{addrA, addrB}[i], 24), netip.Addr{})
		l.stacks[i] = s
	}
	return l
}

func (l *benchLink) run() {
	for {
		quiet := true
		for i := range l.rings {
			r := &l.rings[i]
			for r.head < r.tail {
				f := r.frames[r.head%len(r.frames)]
				r.head++
				l.stacks[1-i].Input(l.now, f)
				quiet = false
			}
			r.head, r.tail = 0, 0 // the frames used last are warm
		}
		if quiet {
			return
		}
	}
}

func (l *benchLink) connect(tb testing.TB) (a, b TCP) {
	ln, err := l.stacks[1].Listen(l.now, netip.AddrPort{}, ListenConfig{})
	if err != nil {
		tb.Fatal(err)
	}
	a, err = l.stacks[0].Dial(l.now, netip.AddrPort{}, netip.AddrPortFrom(addrB, ln.Addr().Port()))
	if err != nil {
		tb.Fatal(err)
	}
	l.run()
	b, err = ln.Accept(l.now)
	if err != nil {
		tb.Fatal(err)
	}
	ln.Close(l.now)
	l.drain()
	return a, b
}

func (l *benchLink) drain() {
	for _, s := range l.stacks {
		for s.Pending() {
			s.NextEvent()
		}
	}
}

// bulk moves n bytes from a to b.
func (l *benchLink) bulk(tb testing.TB, a, b TCP, data, buf []byte, n int) {
	for done := 0; done < n; {
		a.Write(l.now, data)
		l.now = l.now.Add(time.Microsecond)
		l.run()
		for {
			k, err := b.Read(l.now, buf)
			done += k
			if err != nil {
				break
			}
		}
		l.run()
		l.drain()
		for _, s := range l.stacks {
			if d := s.Deadline(); !d.IsZero() && !d.After(l.now) {
				s.Advance(l.now)
			}
		}
	}
}

// BenchmarkBulk is one stream; a unit is 1460 bytes.
func BenchmarkBulk(b *testing.B) {
	for _, c := range []struct {
		name string
		conf tcp.Config
	}{{"timestamps", tcp.Config{}}, {"plain", tcp.Config{NoTimestamps: true}}} {
		b.Run(c.name, func(b *testing.B) {
			l := newBenchLink(b, c.conf)
			x, y := l.connect(b)
			data, buf := make([]byte, 16<<10), make([]byte, 64<<10)
			l.bulk(b, x, y, data, buf, 4<<20)
			b.SetBytes(1460)
			b.ReportAllocs()
			b.ResetTimer()
			l.bulk(b, x, y, data, buf, b.N*1460)
			b.StopTimer()
			if r := x.Info().Retransmits; r != 0 {
				b.Fatalf("%d retransmissions on a clean link, %d dropped", r, l.rings[0].dropped)
			}
		})
	}
}

// BenchmarkFloor is what no stack can be without: two copies and two checksums of 1460 bytes.
func BenchmarkFloor(b *testing.B) {
	src, mid, dst := make([]byte, 1460), make([]byte, 1460), make([]byte, 1460)
	b.SetBytes(1460)
	var sum uint64
	for b.Loop() {
		copy(mid, src)
		sum = wire.Sum(sum, mid)
		sum = wire.Sum(sum, mid)
		copy(dst, mid)
	}
	_ = sum
}

// BenchmarkPingPong is one round trip of one byte.
func BenchmarkPingPong(b *testing.B) {
	l := newBenchLink(b, tcp.Config{})
	x, y := l.connect(b)
	var buf [16]byte
	turn := func() {
		x.Write(l.now, buf[:1])
		l.run()
		y.Read(l.now, buf[:])
		y.Write(l.now, buf[:1])
		l.run()
		x.Read(l.now, buf[:])
		l.drain()
		l.now = l.now.Add(time.Microsecond)
	}
	turn()
	before := l.stacks[0].stats.FramesIn + l.stacks[0].stats.FramesOut
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		turn()
		n++
	}
	b.ReportMetric(float64(l.stacks[0].stats.FramesIn+l.stacks[0].stats.FramesOut-before)/float64(n), "packets/op")
}

// BenchmarkConnect opens and closes a connection.
func BenchmarkConnect(b *testing.B) {
	l := newBenchLink(b, tcp.Config{MSL: time.Microsecond})
	ln, err := l.stacks[1].Listen(l.now, netip.AddrPortFrom(addrB, 80), ListenConfig{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		x, err := l.stacks[0].Dial(l.now, netip.AddrPort{}, netip.AddrPortFrom(addrB, 80))
		if err != nil {
			b.Fatal(err)
		}
		l.run()
		y, err := ln.Accept(l.now)
		if err != nil {
			b.Fatal(err)
		}
		x.Close(l.now)
		l.run()
		y.Close(l.now)
		l.run()
		l.drain()
		l.now = l.now.Add(10 * time.Microsecond)
		l.stacks[0].Advance(l.now)
		l.stacks[1].Advance(l.now)
	}
}

// BenchmarkUDP is one datagram.
func BenchmarkUDP(b *testing.B) {
	for _, size := range []int{64, 1400} {
		b.Run(map[int]string{64: "64", 1400: "1400"}[size], func(b *testing.B) {
			l := newBenchLink(b, tcp.Config{})
			x, err := l.stacks[0].ListenUDP(l.now, netip.AddrPort{}, UDPConfig{})
			if err != nil {
				b.Fatal(err)
			}
			y, err := l.stacks[1].ListenUDP(l.now, netip.AddrPortFrom(addrB, 9), UDPConfig{})
			if err != nil {
				b.Fatal(err)
			}
			data, buf := make([]byte, size), make([]byte, 2048)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				x.WriteTo(l.now, data, netip.AddrPortFrom(addrB, 9))
				l.run()
				y.ReadFrom(l.now, buf)
				l.drain()
			}
		})
	}
}
