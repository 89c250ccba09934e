package user

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/wire"
	"github.com/understudy-net/understudy/world"
)

// A cable joins a device and an uplink, as an access point does: what one sends is queued, and reaches the other from
// Advance, so that neither re-enters the other.
type cable struct {
	slot     *world.Slot
	queue    []frame
	free     [][]byte
	toUplink func(now time.Time, eth []byte)
	toDevice func(now time.Time, eth []byte)
	tap      func(up bool, eth []byte)
	lossy    *rand.Rand // not nil: one frame in 50 is lost
	sent     int
	lost     int
}

type frame struct {
	up bool
	b  []byte
}

func (c *cable) send(up bool, eth []byte) {
	if c.lossy != nil && c.lossy.IntN(50) == 0 || len(c.queue) > 4096 {
		c.lost++
		return
	}
	c.sent++
	var b []byte
	if n := len(c.free); n > 0 {
		b, c.free = c.free[n-1], c.free[:n-1]
	}
	c.queue = append(c.queue, frame{up, append(b[:0], eth...)})
	if c.slot != nil {
		c.slot.Touch()
	}
}

func (c *cable) Advance(now time.Time) {
	for i := 0; i < len(c.queue); i++ {
		f := c.queue[i]
		if c.tap != nil {
			c.tap(f.up, f.b)
		}
		if f.up {
			c.toUplink(now, f.b)
		} else {
			c.toDevice(now, f.b)
		}
		c.free = append(c.free, f.b)
	}
	c.queue = c.queue[:0]
}

func (c *cable) Deadline() time.Time {
	if len(c.queue) > 0 {
		return time.Unix(1, 0)
	}
	return time.Time{}
}

// A bench is an uplink with one device on a cable, on the wall clock.
type bench struct {
	t     testing.TB
	w     *world.World
	u     *Uplink
	cable *cable
	s     *stack.Stack // the device's
	host  *stack.Host
	slot  *world.Slot
	net   *stack.Net
	addr  netip.Addr

	mu     sync.Mutex
	events []Event
	pongs  chan stack.PingResult

	out func(eth []byte) // of a virtual bench
}

var deviceMAC = wire.MAC{0x02, 0, 0, 0, 0, 0x10}

// newBench makes a bench whose device has the address 10.77.0.10. When the test ends it closes the uplink and looks for goroutines
// that were left behind.
func newBench(t testing.TB, c Config) *bench {
	t.Helper()
	before := runtime.NumGoroutine()
	seed := rand.Uint64()
	b := &bench{t: t, w: world.New(), cable: &cable{}, addr: netip.MustParseAddr("10.77.0.10"), pongs: make(chan stack.PingResult, 16)}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() { defer close(ran); b.w.Run(ctx) }()
	c.World = b.w
	c.Output = func(_ time.Time, eth []byte) { b.cable.send(false, eth) }
	if c.Rand == nil {
		c.Rand = rand.NewPCG(seed, 1)
	}
	if c.Log == nil {
		c.Log = func(e Event) {
			b.mu.Lock()
			b.events = append(b.events, e)
			b.mu.Unlock()
		}
	}
	var err error
	if b.u, err = New(c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.u.Close()
		b.w.Close()
		cancel()
		<-ran
		noGoroutines(t, before)
		if t.Failed() {
			t.Logf("seed %#x\nuplink %+v", seed, b.u.Stats())
		}
	})
	b.device(seed)
	return b
}

// device adds the device's stack to the world.
func (b *bench) device(seed uint64) {
	var err error
	b.s, err = stack.New(stack.Config{
		MAC: deviceMAC, Rand: rand.NewPCG(seed, 2), ACD: stack.ACD{Off: true},
		Output: func(_ time.Time, eth []byte) { b.cable.send(true, eth) },
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.host = &stack.Host{Stack: b.s, Handle: func(now time.Time, e stack.Event) {
		if e.Flags.Has(stack.Pong) {
			b.pongs <- *e.Ping
			return
		}
		stack.HandleSock(now, e)
	}}
	now := b.w.Lock()
	defer b.w.Unlock()
	b.cable.toUplink = b.u.Input
	b.cable.toDevice = func(now time.Time, eth []byte) { b.s.Input(now, eth); b.slot.Touch() }
	b.slot = b.w.Add(b.host)
	b.cable.slot = b.w.Add(b.cable)
	prefix := b.u.Gateway()
	b.s.SetAddr(now, netip.PrefixFrom(b.addr, prefix.Bits()), prefix.Addr(), prefix.Addr())
	b.net = &stack.Net{Owner: b.w, Stack: b.s}
}

// with runs f as the owner of the device.
func (b *bench) with(f func(now time.Time)) {
	now := b.w.Lock()
	defer b.w.Unlock()
	defer b.slot.Touch()
	f(now)
}

// dial connects the device to a port of the host.
func (b *bench) dial(to string) net.Conn {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := b.net.Dial(ctx, "tcp", to)
	if err != nil {
		b.t.Fatalf("dial %s: %v\nevents %v", to, err, b.told())
	}
	return c
}

// told returns what Config.Log was told so far.
func (b *bench) told() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for _, e := range b.events {
		all = append(all, e.String())
	}
	return all
}

// eventually waits until f holds.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

// noGoroutines fails the test if more goroutines than before are left. A fuzzing process starts some of its own, so only ours
// count there.
func noGoroutines(t testing.TB, before int) {
	t.Helper()
	left := func() int { return runtime.NumGoroutine() - before }
	if _, ok := t.(*testing.F); ok {
		left = func() int { return strings.Count(stacks(), "/uplink/user/uplink.go") }
	}
	for end := time.Now().Add(5 * time.Second); left() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("%d goroutines too many:\n%s", left(), stacks())
			return
		}
	}
}

func stacks() string {
	buf := make([]byte, 1<<16)
	return string(buf[:runtime.Stack(buf, true)])
}

// hostPort turns an address of the host's loopback into what devices see.
func hostPort(a net.Addr) string {
	_, port, _ := strings.Cut(a.String(), ":")
	return net.JoinHostPort("10.77.0.2", port)
}

// newVirtualBench makes a bench on a virtual clock without a device: tests put frames in by hand, and what comes
// out goes to b.out.
func newVirtualBench(t testing.TB, c Config) *bench {
	t.Helper()
	before := runtime.NumGoroutine()
	b := &bench{t: t, w: world.NewVirtual(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)), addr: netip.MustParseAddr("10.77.0.10")}
	c.World, c.Rand = b.w, rand.NewPCG(1, 2)
	c.Output = func(_ time.Time, eth []byte) {
		if b.out != nil {
			b.out(eth)
		}
	}
	var err error
	if b.u, err = New(c); err != nil {
		t.Fatal(err)
	}
	b.slot = b.w.Add(idle{})
	t.Cleanup(func() {
		b.u.Close()
		b.w.Close()
		noGoroutines(t, before)
	})
	return b
}

type idle struct{}

func (idle) Advance(time.Time)   {}
func (idle) Deadline() time.Time { return time.Time{} }
