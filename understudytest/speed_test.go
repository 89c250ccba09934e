package understudytest_test

import (
	"context"
	"io"
	"net"
	"testing"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/bus"
	"github.com/understudy-net/understudy/internal/overbus"
	"github.com/understudy-net/understudy/understudytest"
)

// BenchmarkTCP is one TCP stream through the whole machine, on the wall clock:
// driver, bus, device, air, access point, peer. The bus is in memory, or a Unix
// socket as between two processes. An operation is 1400 bytes.
func BenchmarkTCP(b *testing.B) {
	buses := map[string]func(b *testing.B) func(bus.Port) bus.Port{
		"memory": func(*testing.B) func(bus.Port) bus.Port { return nil },
		"unix":   func(b *testing.B) func(bus.Port) bus.Port { return overbus.Unix(b) },
	}
	for _, name := range []string{"memory", "unix"} {
		b.Run("bus="+name+"/up", func(b *testing.B) { benchmarkTCP(b, buses[name](b), upload) })
		b.Run("bus="+name+"/down", func(b *testing.B) { benchmarkTCP(b, buses[name](b), download) })
	}
}

const unit = 1400

// upload sends b.N units from the driver's host to the peer, download the other way.
func upload(b *testing.B, host, peer net.Conn) error   { return pour(b, host, peer) }
func download(b *testing.B, host, peer net.Conn) error { return pour(b, peer, host) }

func pour(b *testing.B, from, to net.Conn) error {
	read := make(chan error, 1)
	total := int64(b.N) * unit
	go func() {
		_, err := io.CopyN(io.Discard, to, total)
		read <- err
	}()
	buf := make([]byte, 16*unit)
	for left := total; left > 0; {
		n, err := from.Write(buf[:min(left, int64(len(buf)))])
		if err != nil {
			return err
		}
		left -= int64(n)
	}
	return <-read
}

func benchmarkTCP(b *testing.B, over func(bus.Port) bus.Port, run func(*testing.B, net.Conn, net.Conn) error) {
	bench := understudytest.NewConfig(b, understudytest.Config{Bus: over, Delay: 1})
	host := bench.AddHost("peer.test")
	l, err := host.Listen("tcp", ":80")
	if err != nil {
		b.Fatal(err)
	}
	if err := bench.Join(); err != nil {
		b.Fatal(err)
	}
	bench.SetLink(air.Link{})
	c, err := bench.Net.DialContext(context.Background(), "tcp", "peer.test:80")
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	peer, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(unit)
	b.ReportAllocs()
	b.ResetTimer()
	if err := run(b, c, peer); err != nil {
		b.Fatal(err)
	}
}
