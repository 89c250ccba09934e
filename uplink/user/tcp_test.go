package user

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-net/understudy/wire"
)

// listen starts a server on the host's loopback, which serves each connection with f.
func listen(t testing.TB, f func(c *net.TCPConn)) net.Addr {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer c.Close(); f(c.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr()
}

func random(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(b)
	return b
}

func TestTCPHalfCloseByTheDevice(t *testing.T) {
	at := listen(t, func(c *net.TCPConn) {
		in, _ := io.ReadAll(c) // ends with the device's half-close
		fmt.Fprintf(c, "%x", sha256.Sum256(in))
	})
	b := newBench(t, Config{AllowHost: true})
	c := b.dial(hostPort(at))
	defer c.Close()
	data := random(300_000)
	if _, err := c.Write(data); err != nil {
		t.Fatal(err)
	}
	c.(interface{ CloseWrite() error }).CloseWrite()
	got, err := io.ReadAll(c)
	if want := fmt.Sprintf("%x", sha256.Sum256(data)); err != nil || string(got) != want {
		t.Fatalf("got %q, %v; want %q", got, err, want)
	}
	c.Close()
	eventually(t, "the flow is finished", func() bool { s := b.u.Stats(); return s.TCP.Finished == 1 && s.TCP.Active == 0 })
	if s := b.u.Stats(); s.TCP.ToHost != 300_000 || s.TCP.ToDevice != 64 || s.TCP.Aborted != 0 {
		t.Errorf("%+v", s.TCP)
	}
}

func TestTCPHalfCloseByTheHost(t *testing.T) {
	data := random(300_000)
	heard := make(chan []byte, 1)
	at := listen(t, func(c *net.TCPConn) {
		c.Write(data)
		c.CloseWrite()
		in, _ := io.ReadAll(c)
		heard <- in
	})
	b := newBench(t, Config{AllowHost: true})
	c := b.dial(hostPort(at))
	defer c.Close()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("got %d bytes, %v", len(got), err)
	}
	if _, err := c.Write([]byte("still here")); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if in := <-heard; string(in) != "still here" {
		t.Errorf("the host heard %q after its half-close", in)
	}
	eventually(t, "the flow is finished", func() bool { return b.u.Stats().TCP.Finished == 1 })
}

func TestHTTPWithLargeBodiesBothWays(t *testing.T) {
	up, down := random(5<<20), random(6<<20+1)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in, err := io.ReadAll(r.Body)
		if err != nil || !bytes.Equal(in, up) {
			http.Error(w, fmt.Sprintf("%d bytes, %v", len(in), err), http.StatusBadRequest)
			return
		}
		w.Write(down)
	})}
	done := make(chan struct{})
	go func() { defer close(done); server.Serve(l) }()
	t.Cleanup(func() { server.Close(); <-done })

	b := newBench(t, Config{AllowHost: true})
	tr := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		return b.net.Dial(ctx, "tcp", hostPort(l.Addr()))
	}}
	defer tr.CloseIdleConnections()
	start := time.Now()
	resp, err := (&http.Client{Transport: tr}).Post("http://host.internal/", "application/octet-stream", bytes.NewReader(up))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != 200 || err != nil || !bytes.Equal(got, down) {
		t.Fatalf("%s: %d bytes, %v", resp.Status, len(got), err)
	}
	t.Logf("%.0f Mbit/s", float64(len(up)+len(down))*8/time.Since(start).Seconds()/1e6)
}

func TestTCPOverALossyCable(t *testing.T) {
	data := random(400_000)
	at := listen(t, func(c *net.TCPConn) { io.Copy(c, c); c.CloseWrite() })
	b := newBench(t, Config{AllowHost: true})
	c := b.dial(hostPort(at))
	defer c.Close()
	b.with(func(time.Time) { b.cable.lossy = rand.New(rand.NewPCG(1, 2)) })
	defer b.with(func(time.Time) {
		if b.cable.lost == 0 {
			t.Error("the cable lost nothing")
		}
	})
	var wg sync.WaitGroup
	wg.Go(func() { c.Write(data); c.(interface{ CloseWrite() error }).CloseWrite() })
	got, err := io.ReadAll(c)
	wg.Wait()
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("got %d bytes of %d, %v", len(got), len(data), err)
	}
}

func TestRefusedPortIsRefused(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := hostPort(l.Addr())
	l.Close()
	b := newBench(t, Config{AllowHost: true})
	_, err = b.net.Dial(context.Background(), "tcp", at)
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("got %v, want a refusal", err)
	}
	if s := b.u.Stats(); s.Refused.Of(ReasonRefused) != 1 || s.TCP.Active != 0 || s.TCP.Opened != 0 {
		t.Errorf("%+v", s)
	}
}

// A stub answers dials as a test wants.
type stub struct {
	dials   atomic.Int32
	release chan struct{} // closed: the dial goes on
	err     error
}

func (d *stub) dial(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
	d.dials.Add(1)
	if d.release != nil {
		select {
		case <-d.release:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if d.err != nil {
		return nil, d.err
	}
	r, w := io.Pipe()
	return loop{nil, &duplex{r, w}}, nil
}

// A loop is a connection with somebody who sends everything back.
type loop struct {
	net.Conn
	d *duplex
}

func (l loop) Read(p []byte) (int, error)  { return l.d.Read(p) }
func (l loop) Write(p []byte) (int, error) { return l.d.Write(p) }
func (l loop) CloseWrite() error           { return l.d.CloseWrite() }
func (l loop) Close() error                { return l.d.Close() }

func TestSilentHostMeansSilence(t *testing.T) {
	d := &stub{release: make(chan struct{})} // never
	b := newBench(t, Config{Dial: d.dial, DialTimeout: 50 * time.Millisecond})
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	_, err := b.net.Dial(ctx, "tcp", "192.0.2.1:80")
	if err == nil || errors.Is(err, syscall.ECONNREFUSED) || ctx.Err() == nil {
		t.Fatalf("got %v after %v, want silence until the caller gives up", err, ctx.Err())
	}
	eventually(t, "one time-out is counted", func() bool { return b.u.Stats().Refused.Of(ReasonTimeout) == 1 })
}

func TestNoSYNACKBeforeTheHostAnswered(t *testing.T) {
	d := &stub{release: make(chan struct{})}
	b := newBench(t, Config{Dial: d.dial})
	connected := make(chan net.Conn, 1)
	go func() {
		c, err := b.net.Dial(context.Background(), "tcp", "192.0.2.1:80")
		if err != nil {
			t.Error(err)
		}
		connected <- c
	}()
	eventually(t, "the host dials", func() bool { return d.dials.Load() == 1 })
	select {
	case <-connected:
		t.Fatal("connected while the host still dials")
	case <-time.After(50 * time.Millisecond):
	}
	close(d.release)
	c := <-connected
	defer c.Close()
	io.WriteString(c, "ping")
	got := make([]byte, 4)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "ping" {
		t.Fatalf("%q %v", got, err)
	}
}

func TestResetOfAHeldSYNEndsTheDial(t *testing.T) {
	began, ended := make(chan bool, 1), make(chan error, 1)
	b := newBench(t, Config{Dial: func(ctx context.Context, _ string, _ netip.AddrPort) (net.Conn, error) {
		began <- true
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}})
	dst := netip.MustParseAddr("192.0.2.1")
	segment := func(h wire.TCP) {
		h.SrcPort, h.DstPort = 1000, 80
		b.input(b.packet(wire.ProtoTCP, dst, 64, h.Append(nil, b.addr, dst, nil)))
	}
	segment(wire.TCP{Seq: 7, Flags: wire.SYN, Wnd: 1000})
	<-began
	segment(wire.TCP{Seq: 8, Flags: wire.RST})
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Fatal("the dial goes on after the device's reset")
	}
	eventually(t, "no flow is left", func() bool { s := b.u.Stats(); return s.TCP.Active == 0 && s.TCP.Aborted == 1 })
}

func TestDeviceThatVanishesIsForgotten(t *testing.T) {
	host := newFakeUDP()
	b := newVirtualBench(t, Config{Dial: func(context.Context, string, netip.AddrPort) (net.Conn, error) { return host, nil }})
	synack := make(chan wire.TCP, 1)
	b.out = func(eth []byte) {
		ip, body, err := wire.ParseIPv4(eth[wire.EthernetLen:])
		if h, _, err2 := wire.ParseTCP(body, ip.Src, ip.Dst); err == nil && err2 == nil && h.Flags == wire.SYN|wire.ACK {
			select {
			case synack <- h:
			default:
			}
		}
	}
	dst := netip.MustParseAddr("192.0.2.1")
	segment := func(h wire.TCP, data string) {
		h.SrcPort, h.DstPort, h.Wnd = 1000, 80, 1000
		b.input(b.packet(wire.ProtoTCP, dst, 64, h.Append(nil, b.addr, dst, []byte(data))))
	}
	arp := wire.Ethernet{Dst: wire.Broadcast, Src: deviceMAC, Type: wire.EtherTypeARP}.Append(nil)
	b.input(wire.ARP{Op: wire.ARPRequest, SenderMAC: deviceMAC, SenderIP: b.addr, TargetIP: b.u.policy.gateway}.Append(arp))
	segment(wire.TCP{Seq: 7, Flags: wire.SYN}, "")
	h := <-synack
	segment(wire.TCP{Seq: 8, Ack: h.Seq + 1, Flags: wire.ACK}, "hello")
	if got := <-host.sent; string(got) != "hello" {
		t.Fatalf("the host got %q", got)
	}
	start := b.w.Now()
	for b.u.Stats().TCP.Active > 0 && b.w.Step() {
	}
	want := keepAliveIdle + keepAliveCount*keepAliveInterval
	if d := b.w.Now().Sub(start); d < want-time.Second || d > want+keepAliveInterval {
		t.Errorf("forgotten after %v, want about %v", d, want)
	}
	<-host.closed
	if s := b.u.Stats(); s.TCP.Aborted != 1 {
		t.Errorf("%+v", s.TCP)
	}
}

func TestUnreachableHost(t *testing.T) {
	d := &stub{err: &net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}}
	b := newBench(t, Config{Dial: d.dial})
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if _, err := b.net.Dial(ctx, "tcp", "192.0.2.1:80"); err == nil || ctx.Err() != nil {
		t.Fatalf("got %v, want an error at once", err)
	}
	if n := b.u.Stats().Refused.Of(ReasonUnreachable); n != 1 {
		t.Errorf("%d counted, want 1", n)
	}
}

func TestClosedDestinationsAreRefusedAndTold(t *testing.T) {
	d := &stub{}
	b := newBench(t, Config{Dial: d.dial})
	for _, c := range []struct {
		to     string
		reason Reason
	}{
		{"10.77.0.2:80", ReasonHost},
		{"169.254.169.254:80", ReasonMetadata},
		{"169.254.3.4:80", ReasonLinkLocal},
		{"100.100.100.200:80", ReasonMetadata},
		{"10.77.0.1:80", ReasonPort},
	} {
		_, err := b.net.Dial(context.Background(), "tcp", c.to)
		if err == nil {
			t.Fatalf("%s: connected", c.to)
		}
		if n := b.u.Stats().Refused.Of(c.reason); n == 0 {
			t.Errorf("%s: not counted as %v: %v", c.to, c.reason, b.u.Stats().Refused)
		}
		eventually(t, "told of "+c.to, func() bool {
			all := strings.Join(b.told(), "\n")
			return strings.Contains(all, c.to) && strings.Contains(all, c.reason.String())
		})
	}
	if n := d.dials.Load(); n != 0 {
		t.Errorf("the host dialled %d times", n)
	}
}

func TestTCPLimit(t *testing.T) {
	d := &stub{}
	b := newBench(t, Config{Dial: d.dial, MaxTCP: 2})
	var open []net.Conn
	for range 2 {
		open = append(open, b.dial("192.0.2.1:80"))
	}
	if _, err := b.net.Dial(context.Background(), "tcp", "192.0.2.1:80"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("the third one: %v", err)
	}
	if n := b.u.Stats().Refused.Of(ReasonTooMany); n != 1 {
		t.Errorf("%d counted", n)
	}
	open[0].Close()
	eventually(t, "room again", func() bool { return b.u.Stats().TCP.Active == 1 })
	b.dial("192.0.2.1:80").Close()
	open[1].Close()
}

func TestResetOfTheHostResetsTheDevice(t *testing.T) {
	at := listen(t, func(c *net.TCPConn) {
		io.ReadFull(c, make([]byte, 1))
		c.SetLinger(0)
	})
	b := newBench(t, Config{AllowHost: true})
	c := b.dial(hostPort(at))
	defer c.Close()
	c.Write([]byte{1})
	if _, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("the device sees %v", err)
	}
	if s := b.u.Stats(); s.TCP.Aborted != 1 || s.TCP.Active != 0 {
		t.Errorf("%+v", s.TCP)
	}
}

func TestResetOfTheDeviceResetsTheHost(t *testing.T) {
	heard := make(chan error, 1)
	at := listen(t, func(c *net.TCPConn) {
		_, err := io.ReadAll(c)
		heard <- err
	})
	b := newBench(t, Config{AllowHost: true})
	var c interface{ Abort(time.Time) error }
	b.with(func(now time.Time) {
		s, err := b.s.Dial(now, netip.AddrPort{}, netip.MustParseAddrPort(hostPort(at)))
		if err != nil {
			t.Fatal(err)
		}
		c = s
	})
	eventually(t, "connected", func() bool { return b.u.Stats().TCP.Opened == 1 })
	b.with(func(now time.Time) { c.Abort(now) })
	select {
	case err := <-heard:
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("the host sees %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the host hears nothing of the reset")
	}
}

func TestBackPressureTowardsTheDevice(t *testing.T) {
	var sent atomic.Int64
	stop := make(chan struct{})
	at := listen(t, func(c *net.TCPConn) {
		p := make([]byte, 64<<10)
		go func() { <-stop; c.Close() }()
		for {
			n, err := c.Write(p)
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	b := newBench(t, Config{AllowHost: true})
	c := b.dial(hostPort(at)) // and never reads
	defer c.Close()
	defer close(stop)
	stalled(t, &sent)
	// What the kernel's sockets hold is not ours; ours are a buffer of the splice, the gateway's and the device's.
	if s := b.u.Stats(); s.TCP.ToDevice > 1<<20 {
		t.Errorf("%d bytes buffered towards a device that does not read", s.TCP.ToDevice)
	}
}

func TestBackPressureTowardsTheHost(t *testing.T) {
	stop := make(chan struct{})
	at := listen(t, func(c *net.TCPConn) { <-stop }) // never reads
	b := newBench(t, Config{AllowHost: true})
	c := b.dial(hostPort(at))
	var sent atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		p := make([]byte, 64<<10)
		for {
			n, err := c.Write(p)
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	stalled(t, &sent)
	c.Close()
	wg.Wait()
	close(stop)
}

// stalled waits until n has grown and stopped to.
func stalled(t *testing.T, n *atomic.Int64) {
	t.Helper()
	last, since := int64(-1), time.Now()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		switch v := n.Load(); {
		case v != last:
			last, since = v, time.Now()
		case v > 0 && time.Since(since) > 250*time.Millisecond:
			return
		}
		if time.Now().After(end) {
			t.Fatal("no back pressure: it goes on and on")
		}
	}
}

func TestCloseEndsEverything(t *testing.T) {
	at := listen(t, func(c *net.TCPConn) { io.Copy(io.Discard, c) })
	d := &stub{release: make(chan struct{})} // never
	b := newBench(t, Config{AllowHost: true, Dial: func(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
		if to.Addr() == loopback {
			return dialHost(ctx, network, to)
		}
		return d.dial(ctx, network, to)
	}})
	c := b.dial(hostPort(at))
	defer c.Close()
	b.with(func(now time.Time) {
		for i := range 5 {
			b.s.Dial(now, netip.AddrPort{}, netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(80+i)))
		}
	})
	eventually(t, "six flows", func() bool { return b.u.Stats().TCP.Active == 6 && d.dials.Load() == 5 })
	b.u.Close()
	if s := b.u.Stats(); s.TCP.Active != 0 || s.TCP.Aborted != 6 {
		t.Errorf("%+v", s.TCP)
	}
	if _, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the device sees %v, want a reset", err)
	}
	b.u.Close() // once more does no harm; the bench looks for goroutines
}

func TestManyConnectionsAtOnce(t *testing.T) {
	at := listen(t, func(c *net.TCPConn) { io.Copy(c, c); c.CloseWrite() })
	b := newBench(t, Config{AllowHost: true})
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			c, err := b.net.Dial(context.Background(), "tcp", hostPort(at))
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			data := random(20_000 + i)
			var in sync.WaitGroup
			in.Go(func() { c.Write(data); c.(interface{ CloseWrite() error }).CloseWrite() })
			got, err := io.ReadAll(c)
			in.Wait()
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("connection %d: %d bytes, %v", i, len(got), err)
			}
		})
	}
	wg.Wait()
	eventually(t, "all finished", func() bool { s := b.u.Stats(); return s.TCP.Active == 0 && s.TCP.Finished == 50 })
}
