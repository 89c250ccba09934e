//go:build linux

package peers

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/wire"
	"github.com/understudy-net/understudy/world"
)

// The network of the benches: the kernel is at .1, a stack of ours at .2.
var (
	KernelAddr = netip.MustParsePrefix("10.77.0.1/24")
	StackAddr  = netip.MustParsePrefix("10.77.0.2/24")
	StackMAC   = wire.MAC{0x02, 0x73, 0x74, 0x61, 0x63, 0x6b}
)

// QuickACD checks an address in a moment: nobody else is on these networks.
var QuickACD = stack.ACD{Probes: 1, ProbeWait: -1, ProbeMin: time.Millisecond, ProbeMax: time.Millisecond, AnnounceWait: time.Millisecond}

// A Bench is a stack of ours on one network with the kernel of a namespace.
type Bench struct {
	*Namespace
	World *world.World // on the wall clock; ends with the test
	Stack *stack.Stack
	Slot  *world.Slot // of the stack
	Net   stack.Net
}

// NewBench makes a world, a namespace and a stack. output is the stack's way to the kernel;
// it is not used before the stack has an address.
func NewBench(t testing.TB, output func(now time.Time, eth []byte)) *Bench {
	t.Helper()
	Need(t)
	b := &Bench{Namespace: NewNamespace(t), World: NewWorld(t)}
	b.Stack, b.Slot = NewStack(t, b.World, StackMAC, output)
	b.Net = stack.Net{Owner: b.World, Stack: b.Stack}
	t.Cleanup(func() {
		if t.Failed() {
			b.World.Lock()
			defer b.World.Unlock()
			t.Logf("stack: %+v", *b.Stack.Stats())
		}
	})
	return b
}

// NewWorld makes a world on the wall clock that ends with the test.
func NewWorld(t testing.TB) *world.World {
	w := world.New()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Run(context.Background())
	}()
	t.Cleanup(func() {
		w.Close()
		<-done
	})
	return w
}

// NewStack adds a stack to a world.
func NewStack(t testing.TB, w *world.World, mac wire.MAC, output func(now time.Time, eth []byte)) (*stack.Stack, *world.Slot) {
	t.Helper()
	w.Lock()
	defer w.Unlock()
	var slot *world.Slot
	s, err := stack.New(stack.Config{
		MAC: mac, Rand: rand.NewPCG(1, uint64(mac[5])), Output: output, ACD: QuickACD,
		Touch: func() { slot.Touch() },
	})
	if err != nil {
		t.Fatal(err)
	}
	slot = w.Add(&stack.Host{Stack: s})
	return s, slot
}

// SetAddr gives the stack its static address, with the kernel as gateway and DNS server.
func (b *Bench) SetAddr(t testing.TB) {
	t.Helper()
	if err := b.Net.SetAddr(t.Context(), StackAddr, KernelAddr.Addr(), KernelAddr.Addr()); err != nil {
		t.Fatal(err)
	}
}

// Dialed connects the stack to a listener of the kernel.
func (b *Bench) Dialed(t testing.TB) (ours, theirs net.Conn) {
	t.Helper()
	l := b.Listen(netip.AddrPortFrom(KernelAddr.Addr(), 0))
	accepted := make(chan net.Conn, 1)
	go func() {
		defer close(accepted)
		if c, err := l.Accept(); err != nil {
			t.Error(err)
		} else {
			accepted <- c
		}
	}()
	ours, err := b.Net.Dial(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	theirs, ok := <-accepted
	if !ok {
		t.FailNow()
	}
	t.Cleanup(func() { theirs.Close() })
	return ours, theirs
}

// Accepted is Dialed the other way round: the kernel connects to the stack.
func (b *Bench) Accepted(t testing.TB) (ours, theirs net.Conn) {
	t.Helper()
	l, err := b.Net.Listen("tcp", ":7")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	theirs = b.Dial(netip.AddrPortFrom(StackAddr.Addr(), 7))
	if ours, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	return ours, theirs
}

// Bulk is how many bytes go each way on a clean link: UNDERSTUDY_BULK_MIB in the environment,
// or 64 MiB.
func Bulk(t testing.TB) int64 {
	s := os.Getenv("UNDERSTUDY_BULK_MIB")
	if s == "" {
		return 64 << 20
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		t.Fatalf("UNDERSTUDY_BULK_MIB: %v", err)
	}
	return n << 20
}

// CheckExchange sends n bytes each way, one after the other or both at once, and tells how fast they went.
func CheckExchange(t testing.TB, ours, theirs net.Conn, n int64, atOnce bool) {
	t.Helper()
	there, back, err := Exchange(ours, theirs, n, atOnce, 30*time.Second+time.Duration(n>>22)*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	rate := func(d time.Duration) float64 { return float64(n) * 8 / d.Seconds() / 1e6 }
	t.Logf("%d MiB to the kernel at %.0f Mbit/s, back at %.0f Mbit/s", n>>20, rate(there), rate(back))
}

// CheckTCP is the whole of TCP with the kernel on a clean link.
func CheckTCP(t *testing.T, b *Bench) {
	n := Bulk(t)
	t.Run("we dial", func(t *testing.T) {
		ours, theirs := b.Dialed(t)
		CheckExchange(t, ours, theirs, n, false)
	})
	t.Run("the kernel dials, both ways at once", func(t *testing.T) {
		ours, theirs := b.Accepted(t)
		CheckExchange(t, ours, theirs, min(n, 16<<20), true)
	})
	// The kernel may lack each of these: then we must do without.
	for _, s := range []struct{ name, value string }{
		{"tcp_sack", "0"},
		{"tcp_timestamps", "0"},
		{"tcp_window_scaling", "0"},
		{"tcp_congestion_control", "reno"},
		{"tcp_rmem", "4096 8192 8192"},
		{"tcp_wmem", "4096 8192 8192"},
	} {
		t.Run(s.name+"="+s.value, func(t *testing.T) {
			b.Sysctl(t, "net/ipv4/"+s.name, s.value)
			ours, theirs := b.Dialed(t)
			CheckExchange(t, ours, theirs, 2<<20, false)
		})
	}
}
