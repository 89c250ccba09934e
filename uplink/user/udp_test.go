package user

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-net/understudy/wire"
)

// echoUDP starts a server on the host's loopback that sends everything back.
func echoUDP(t testing.TB) net.Addr {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		p := make([]byte, 64<<10)
		for {
			n, from, err := c.ReadFromUDPAddrPort(p)
			if err != nil {
				return
			}
			c.WriteToUDPAddrPort(p[:n], from)
		}
	})
	t.Cleanup(func() { c.Close(); wg.Wait() })
	return c.LocalAddr()
}

func (b *bench) dialUDP(to string) net.Conn {
	b.t.Helper()
	c, err := b.net.Dial(context.Background(), "udp", to)
	if err != nil {
		b.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

func TestUDPEchoOfAllSizes(t *testing.T) {
	at := echoUDP(t)
	b := newBench(t, Config{AllowHost: true})
	c := b.dialUDP(hostPort(at))
	defer c.Close()
	p := make([]byte, 64<<10)
	for _, n := range []int{1, 0, 100, 1472, 1473, 9000} { // the last two travel in fragments
		data := random(n)
		if _, err := c.Write(data); err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		got, err := c.Read(p)
		if err != nil || !bytes.Equal(p[:got], data) {
			t.Fatalf("%d bytes: got %d, %v", n, got, err)
		}
	}
	if s := b.u.Stats(); s.UDP.Opened != 1 || s.UDP.Active != 1 || s.UDP.ToHost != s.UDP.ToDevice || s.UDP.Overflow != 0 {
		t.Errorf("%+v", s.UDP)
	}
}

func TestUDPRefusedPortIsTold(t *testing.T) {
	l, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := hostPort(l.LocalAddr())
	l.Close()
	b := newBench(t, Config{AllowHost: true})
	c := b.dialUDP(at)
	defer c.Close()
	c.Write([]byte("anybody?"))
	if _, err := c.Read(make([]byte, 10)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("the device sees %v", err)
	}
	if s := b.u.Stats(); s.Refused.Of(ReasonRefused) == 0 {
		t.Errorf("not counted: %v", s.Refused)
	}
}

func TestUDPToClosedAddresses(t *testing.T) {
	d := &stub{}
	b := newBench(t, Config{Dial: d.dial})
	for i, to := range []string{"10.77.0.2:123", "169.254.169.254:80"} {
		c := b.dialUDP(to)
		c.Write([]byte("hello"))
		if _, err := c.Read(make([]byte, 10)); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: the device sees %v, want unreachable", to, err)
		}
		c.Close()
		if n := b.u.Stats().Refused.Total(); n != uint64(i+1) {
			t.Errorf("%s: %d counted", to, n)
		}
	}
	if d.dials.Load() != 0 {
		t.Error("the host dialled")
	}
}

// A fakeUDP is a socket of the host that says nothing.
type fakeUDP struct {
	net.Conn
	closed chan struct{}
	once   sync.Once
	sent   chan []byte
}

func newFakeUDP() *fakeUDP {
	return &fakeUDP{closed: make(chan struct{}), sent: make(chan []byte, 1000)}
}

func (f *fakeUDP) Read(p []byte) (int, error) { <-f.closed; return 0, net.ErrClosed }
func (f *fakeUDP) Write(p []byte) (int, error) {
	select {
	case f.sent <- append([]byte(nil), p...):
	default:
	}
	return len(p), nil
}
func (f *fakeUDP) Close() error { f.once.Do(func() { close(f.closed) }); return nil }

// datagramFrom makes a frame with a datagram of the device.
func (b *bench) datagramFrom(port uint16, to string, payload string) []byte {
	dst := netip.MustParseAddrPort(to)
	udp := wire.UDP{SrcPort: port, DstPort: dst.Port()}.Append(nil, b.addr, dst.Addr(), []byte(payload))
	return b.packet(wire.ProtoUDP, dst.Addr(), 64, udp)
}

// packet makes a frame of the device to the gateway.
func (b *bench) packet(proto wire.Proto, dst netip.Addr, ttl uint8, body []byte) []byte {
	eth := wire.Ethernet{Dst: b.u.c.MAC, Src: deviceMAC, Type: wire.EtherTypeIPv4}.Append(nil)
	ip := wire.IPv4{TTL: ttl, Proto: proto, Src: b.addr, Dst: dst}
	return append(ip.Append(eth, len(body)), body...)
}

func (b *bench) input(eth []byte) {
	b.with(func(now time.Time) { b.u.Input(now, eth) })
}

func TestUDPLimitEvictsTheOldest(t *testing.T) {
	var mu sync.Mutex
	conns := map[uint16]*fakeUDP{}
	b := newBench(t, Config{MaxUDP: 3, Dial: func(_ context.Context, _ string, to netip.AddrPort) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		conns[to.Port()] = newFakeUDP()
		return conns[to.Port()], nil
	}})
	conn := func(port uint16) *fakeUDP {
		mu.Lock()
		defer mu.Unlock()
		return conns[port]
	}
	send := func(to string) {
		b.input(b.datagramFrom(1000, to, "x"))
	}
	send("192.0.2.1:53") // in the other list
	send("192.0.2.1:1")
	send("192.0.2.1:2")
	eventually(t, "three sockets", func() bool { return b.u.Stats().UDP.Opened == 3 })
	send("192.0.2.1:53") // renewed: port 1 is the oldest now
	send("192.0.2.1:3")
	<-conn(1).closed
	if s := b.u.Stats(); s.UDP.Active != 3 || s.UDP.Evicted != 1 {
		t.Errorf("%+v", s.UDP)
	}
	send("192.0.2.1:4")
	<-conn(2).closed
	send("192.0.2.1:5")
	<-conn(53).closed
}

func TestUDPFlowsExpire(t *testing.T) {
	b := newVirtualBench(t, Config{Dial: func(context.Context, string, netip.AddrPort) (net.Conn, error) { return newFakeUDP(), nil }})
	start := b.w.Lock()
	b.u.Input(start, b.datagramFrom(1000, "192.0.2.1:53", "x"))
	b.u.Input(start, b.datagramFrom(1000, "192.0.2.1:123", "x"))
	b.w.Unlock()
	eventually(t, "two sockets", func() bool { return b.u.Stats().UDP.Opened == 2 })
	var at []time.Duration
	for last := b.u.Stats().UDP.Active; last > 0 && b.w.Step(); {
		if n := b.u.Stats().UDP.Active; n != last {
			at, last = append(at, b.w.Now().Sub(start)), n
		}
	}
	if len(at) != 2 || at[0] != 10*time.Second || at[1] != 60*time.Second {
		t.Errorf("flows ended after %v, want 10 s and 60 s", at)
	}
	if s := b.u.Stats(); s.UDP.Finished != 2 {
		t.Errorf("%+v", s.UDP)
	}
}

func TestUDPQueueIsBounded(t *testing.T) {
	release := make(chan struct{})
	f := newFakeUDP()
	b := newBench(t, Config{Dial: func(ctx context.Context, _ string, _ netip.AddrPort) (net.Conn, error) {
		<-release
		return f, nil
	}})
	for range 100 {
		b.input(b.datagramFrom(1000, "192.0.2.1:7", "x"))
	}
	if s := b.u.Stats(); s.UDP.Overflow != 100-udpQueueFlow {
		t.Errorf("%d dropped, want %d", s.UDP.Overflow, 100-udpQueueFlow)
	}
	close(release)
	for range udpQueueFlow {
		<-f.sent
	}
	b.with(func(time.Time) {
		if b.u.udp.queued != 0 {
			t.Errorf("%d bytes still queued", b.u.udp.queued)
		}
	})
}

func TestForeignSourcesAndGroupsAreDropped(t *testing.T) {
	d := &stub{}
	b := newBench(t, Config{Dial: d.dial})
	own := b.addr
	b.addr = netip.MustParseAddr("192.0.2.9")
	b.input(b.datagramFrom(1, "192.0.2.1:7", "x"))
	b.addr = own
	if s := b.u.Stats(); s.Refused.Of(ReasonSource) != 1 || s.Refused.Total() != 1 {
		t.Errorf("%v", s.Refused)
	}
	b.with(func(now time.Time) {
		frames := b.cable.sent
		b.u.Input(now, b.datagramFrom(1, "10.77.0.255:137", "x"))
		eth := b.datagramFrom(1, "255.255.255.255:137", "x")
		copy(eth, wire.Broadcast[:])
		b.u.Input(now, eth)
		if b.cable.sent != frames {
			t.Error("an error about a broadcast")
		}
	})
	if s := b.u.Stats(); s.Refused.Of(ReasonBroadcast) != 2 {
		t.Errorf("%v", s.Refused)
	}
	if d.dials.Load() != 0 {
		t.Error("the host dialled")
	}
}
