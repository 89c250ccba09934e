package stack

import (
	"net/netip"
	"testing"
	"time"

	"github.com/understudy-net/understudy/stack/tcp"
)

// wire of 25 ms each way, at any rate: how long n bytes take, and what the buffers have become.
func longPath(t *testing.T, conf func(*Config), slow bool, n int) (took time.Duration, a, b tcp.Info) {
	t.Helper()
	l := newBadLink(5, impairments{delay: 25 * time.Millisecond}, false)
	for _, s := range l.stacks {
		conf(&s.cfg)
	}
	ln, err := l.stacks[1].Listen(l.now, netip.AddrPortFrom(addrB, 80), ListenConfig{})
	if err != nil {
		t.Fatal(err)
	}
	x, err := l.stacks[0].Dial(l.now, netip.AddrPort{}, netip.AddrPortFrom(addrB, 80))
	if err != nil {
		t.Fatal(err)
	}
	for l.step(l.now.Add(time.Second)) {
	}
	y, err := ln.Accept(l.now)
	if err != nil {
		t.Fatal(err)
	}
	began := l.now
	buf := make([]byte, 256<<10)
	for sent, got := 0, 0; got < n; {
		k, _ := x.Write(l.now, buf[:min(len(buf), n-sent)])
		sent += k
		part := buf
		if slow {
			part = buf[:100]
		}
		for {
			k, err := y.Read(l.now, part)
			got += k
			if err != nil || slow {
				break
			}
		}
		l.step(l.now.Add(time.Second))
		if l.now.Sub(began) > time.Hour {
			t.Fatal("does not end")
		}
		for _, s := range l.stacks {
			for s.Pending() {
				s.NextEvent()
			}
		}
	}
	return l.now.Sub(began), x.Info(), y.Info()
}

func TestBuffersGrowWithThePath(t *testing.T) {
	const n = 32 << 20
	took, a, b := longPath(t, func(c *Config) {}, false, n)
	if a.SendBuffer < 512<<10 || b.RecvBuffer < 512<<10 || b.RecvBuffer > 1<<20 || a.SendBuffer > 1<<20 {
		t.Errorf("buffers are %d and %d", a.SendBuffer, b.RecvBuffer)
	}
	fixed, a, b := longPath(t, func(c *Config) { c.TCP.SendBuffer, c.TCP.RecvBuffer = 64<<10, 64<<10 }, false, n)
	if a.SendBuffer != 64<<10 || b.RecvBuffer != 64<<10 {
		t.Errorf("fixed buffers are %d and %d", a.SendBuffer, b.RecvBuffer)
	}
	t.Logf("32 MiB over a round trip of 50 ms: %v, with fixed buffers %v", took, fixed)
	if took*5 > fixed {
		t.Errorf("took %v, with fixed buffers %v", took, fixed)
	}
	_, _, b = longPath(t, func(c *Config) { c.TCP.MaxBuffer = 256 << 10 }, false, 8<<20)
	if b.RecvBuffer != 256<<10 {
		t.Errorf("buffer is %d, beyond its bound", b.RecvBuffer)
	}
}

func TestBuffersDoNotGrowForSlowReaders(t *testing.T) {
	_, _, b := longPath(t, func(c *Config) {}, true, 200<<10)
	if b.RecvBuffer != 64<<10 {
		t.Errorf("buffer is %d", b.RecvBuffer)
	}
}

func TestBuffersDoNotGrowOnShortPaths(t *testing.T) {
	l := newBenchLink(t, tcp.Config{})
	x, y := l.connect(t)
	data, buf := make([]byte, 64<<10), make([]byte, 64<<10)
	l.bulk(t, x, y, data, buf, 16<<20)
	if a, b := x.Info(), y.Info(); a.SendBuffer != 64<<10 || b.RecvBuffer != 64<<10 {
		t.Errorf("buffers are %d and %d", a.SendBuffer, b.RecvBuffer)
	}
}
