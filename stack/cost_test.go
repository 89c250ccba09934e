package stack

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/understudy-net/understudy/stack/tcp"
)

// What things cost: allocations, bytes, time that grows with the number of sockets.

func TestNoAllocationPerSegment(t *testing.T) {
	l := newBenchLink(t, tcp.Config{})
	x, y := l.connect(t)
	data, buf := make([]byte, 16<<10), make([]byte, 64<<10)
	l.bulk(t, x, y, data, buf, 4<<20)
	if n := testing.AllocsPerRun(200, func() { l.bulk(t, x, y, data, buf, 16<<10) }); n != 0 {
		t.Errorf("bulk: %v allocations for 11 segments", n)
	}
	turn := func() {
		x.Write(l.now, data[:1])
		l.run()
		y.Read(l.now, buf)
		y.Write(l.now, data[:1])
		l.run()
		x.Read(l.now, buf)
		l.drain()
	}
	turn()
	if n := testing.AllocsPerRun(1000, turn); n != 0 {
		t.Errorf("ping-pong: %v allocations for a round trip", n)
	}
}

func TestNoAllocationPerDatagram(t *testing.T) {
	l := newBenchLink(t, tcp.Config{})
	x, _ := l.stacks[0].ListenUDP(l.now, netip.AddrPort{}, UDPConfig{})
	y, _ := l.stacks[1].ListenUDP(l.now, netip.AddrPortFrom(addrB, 9), UDPConfig{})
	data, buf := make([]byte, 1400), make([]byte, 2000)
	turn := func() {
		x.WriteTo(l.now, data, netip.AddrPortFrom(addrB, 9))
		l.run()
		if n, _, err := y.ReadFrom(l.now, buf); n != 1400 {
			t.Fatal(n, err)
		}
		l.drain()
	}
	turn()
	if n := testing.AllocsPerRun(1000, turn); n != 0 {
		t.Errorf("%v allocations for a datagram", n)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestIdleConnectionIsSmall(t *testing.T) {
	l := newBenchLink(t, tcp.Config{})
	ln, err := l.stacks[1].Listen(l.now, netip.AddrPortFrom(addrB, 80), ListenConfig{})
	if err != nil {
		t.Fatal(err)
	}
	open := func(n int) {
		for range n {
			x, err := l.stacks[0].Dial(l.now, netip.AddrPort{}, netip.AddrPortFrom(addrB, 80))
			if err != nil {
				t.Fatal(err)
			}
			l.run()
			y, err := ln.Accept(l.now)
			if err != nil {
				t.Fatal(err)
			}
			var b [10]byte
			x.Write(l.now, b[:]) // used, and idle again
			l.run()
			y.Read(l.now, b[:])
			l.now = l.now.Add(100 * time.Millisecond)
			l.stacks[0].Advance(l.now)
			l.stacks[1].Advance(l.now)
			l.run()
			l.drain()
		}
	}
	open(10)
	before := heap()
	const n = 4000
	open(n)
	per := (heap() - before) / (2 * n)
	t.Logf("%d bytes of heap for one end of an idle connection", per)
	if per > 600 {
		t.Errorf("%d bytes of heap for one end of an idle connection, want at most 600", per)
	}
	runtime.KeepAlive(l)
}

func TestIdleStackIsSmall(t *testing.T) {
	const n = 500
	stacks := make([]*Stack, n)
	c := Config{MAC: [6]byte{2, 0, 0, 0, 0, 1}, Rand: testSource(1), Output: func(time.Time, []byte) {}, ACD: ACD{Off: true}}
	before := heap()
	for i := range stacks {
		s, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		s.SetAddr(start, netip.PrefixFrom(addrA, 24), addrB)
		s.Advance(start.Add(10 * time.Second))
		for s.Pending() {
			s.NextEvent()
		}
		stacks[i] = s
	}
	per := (heap() - before) / n
	t.Logf("%d bytes of heap for an idle stack", per)
	if per > 2048 {
		t.Errorf("%d bytes of heap for an idle stack, want at most 2048", per)
	}
	runtime.KeepAlive(stacks)
}

// TestDeadlineIsCheap counts what Advance looks at: one connection among ten thousand idle ones.
func TestDeadlineDoesNotGrow(t *testing.T) {
	l := newBenchLink(t, tcp.Config{})
	ln, _ := l.stacks[1].Listen(l.now, netip.AddrPortFrom(addrB, 80), ListenConfig{})
	for range 10000 {
		if _, err := l.stacks[0].Dial(l.now, netip.AddrPort{}, netip.AddrPortFrom(addrB, 80)); err != nil {
			t.Fatal(err)
		}
		l.run()
		ln.Accept(l.now)
		l.drain()
	}
	l.now = l.now.Add(time.Minute)
	for _, s := range l.stacks {
		s.Advance(l.now)
		if len(s.timers) != 0 {
			t.Fatalf("%d timers of idle connections", len(s.timers))
		}
	}
}

func BenchmarkNew(b *testing.B) {
	c := Config{MAC: [6]byte{2, 0, 0, 0, 0, 1}, Rand: testSource(1), Output: func(time.Time, []byte) {}}
	b.ReportAllocs()
	for b.Loop() {
		s, err := New(c)
		if err != nil {
			b.Fatal(err)
		}
		s.SetAddr(start, netip.PrefixFrom(addrA, 24), addrB)
	}
}
