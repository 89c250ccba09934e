package user

import (
	"io"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"
)

// transfer sends n bytes from a server on the host to the device, or the other way.
func transfer(t testing.TB, b *bench, c net.Conn, up bool, n int) {
	t.Helper()
	p := make([]byte, 128<<10)
	for done := 0; done < n; {
		var k int
		var err error
		if up {
			k, err = c.Write(p)
		} else {
			k, err = c.Read(p)
		}
		if err != nil {
			t.Fatal(err)
		}
		done += k
	}
}

// pump serves a connection that sends for ever, or takes all.
func pump(up bool) func(c *net.TCPConn) {
	return func(c *net.TCPConn) {
		if up {
			io.Copy(io.Discard, c)
			return
		}
		p := make([]byte, 128<<10)
		for {
			if _, err := c.Write(p); err != nil {
				return
			}
		}
	}
}

func eachWay(f func(name string, up bool)) {
	f("to the device", false)
	f("to the host", true)
}

func TestTCPSegmentsCostNoAllocation(t *testing.T) {
	eachWay(func(name string, up bool) {
		at := listen(t, pump(up))
		b := newBench(t, Config{AllowHost: true})
		c := b.dial(hostPort(at))
		defer c.Close()
		transfer(t, b, c, up, 4<<20) // until rings and pools are there
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		const n = 16 << 20
		transfer(t, b, c, up, n)
		runtime.ReadMemStats(&after)
		if perSegment := float64(after.Mallocs-before.Mallocs) / (n / 1460); perSegment > 0.05 {
			t.Errorf("%s: %.2f allocations a segment", name, perSegment)
		}
	})
}

func TestUDPDatagramsCostNoAllocation(t *testing.T) {
	at := echoUDP(t)
	b := newBench(t, Config{AllowHost: true})
	to := netip.MustParseAddrPort(hostPort(at))
	eth := b.datagramFrom(1000, to.String(), "hello")
	var answers int
	back := make(chan bool, 1)
	b.with(func(time.Time) {
		b.cable.tap = func(up bool, eth []byte) {
			if !up && len(eth) > 23 && eth[23] == 17 {
				answers++
				back <- true
			}
		}
	})
	roundTrip := func() {
		now := b.w.Lock()
		b.u.Input(now, eth)
		b.w.Unlock()
		<-back
	}
	for range 100 {
		roundTrip()
	}
	if n := testing.AllocsPerRun(1000, roundTrip); n > 0 {
		t.Errorf("%v allocations a round trip", n)
	}
	if answers < 1000 {
		t.Errorf("%d answers", answers)
	}
}

func BenchmarkTCP(b *testing.B) {
	eachWay(func(name string, up bool) {
		b.Run(name, func(b *testing.B) {
			at := listen(b, pump(up))
			bench := newBench(b, Config{AllowHost: true})
			c := bench.dial(hostPort(at))
			defer c.Close()
			const n = 1 << 20
			b.SetBytes(n)
			b.ReportAllocs()
			for b.Loop() {
				transfer(b, bench, c, up, n)
			}
		})
	})
}

func BenchmarkUDPRoundTrip(b *testing.B) {
	at := echoUDP(b)
	bench := newBench(b, Config{AllowHost: true})
	c := bench.dialUDP(hostPort(at))
	defer c.Close()
	c.SetDeadline(time.Time{})
	p := make([]byte, 1400)
	b.SetBytes(2 * int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		c.Write(p)
		if _, err := c.Read(p); err != nil {
			b.Fatal(err)
		}
	}
}
