package hostnet_test

import (
	"io"
	"net"
	"testing"

	"github.com/understudy-net/understudy/understudytest"
)

// pipe is a conn of the driver and the conn of its peer.
func pipe(tb testing.TB, b *understudytest.Bench) (near, far net.Conn) {
	tb.Helper()
	h := b.AddHost("peer.test")
	l, err := h.Listen("tcp", ":7")
	if err != nil {
		tb.Fatal(err)
	}
	near, err = b.Net.DialContext(bg, "tcp", h.Addr.String()+":7")
	if err != nil {
		tb.Fatal(err)
	}
	far, err = l.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	return near, far
}

func joined(tb testing.TB) *understudytest.Bench {
	b := understudytest.NewConfig(tb, understudytest.Config{Delay: 1}) // no time on the air: what counts is the work
	if err := b.Join(); err != nil {
		tb.Fatal(err)
	}
	return b
}

// The whole way: Write, HIF, SPI, device, TCP, air, access point, cable, peer.
func BenchmarkWrite(b *testing.B) {
	near, far := pipe(b, joined(b))
	go io.Copy(io.Discard, far)
	p := make([]byte, 64<<10)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := near.Write(p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	near, far := pipe(b, joined(b))
	p := make([]byte, 64<<10)
	go func() {
		q := make([]byte, len(p))
		for {
			if _, err := far.Write(q); err != nil {
				return
			}
		}
	}()
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := io.ReadFull(near, p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPingPong(b *testing.B) {
	near, far := pipe(b, joined(b))
	go io.Copy(far, far)
	p := make([]byte, 1)
	b.ReportAllocs()
	for b.Loop() {
		near.Write(p)
		if _, err := near.Read(p); err != nil {
			b.Fatal(err)
		}
	}
}
