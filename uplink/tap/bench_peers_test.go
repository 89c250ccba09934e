//go:build linux

package tap_test

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/uplink/internal/peers"
	"github.com/understudy-net/understudy/uplink/tap"
	"github.com/understudy-net/understudy/wire"
	"github.com/understudy-net/understudy/world"
)

// The network of the tests: the kernel is at .1, our stack at .2.
var (
	kernelAddr = netip.MustParsePrefix("10.77.0.1/24")
	stackAddr  = netip.MustParsePrefix("10.77.0.2/24")
	stackMAC   = wire.MAC{0x02, 0x73, 0x74, 0x61, 0x63, 0x6b}
)

// quickACD checks an address in a moment: nobody else is on these networks.
var quickACD = stack.ACD{Probes: 1, ProbeWait: -1, ProbeMin: time.Millisecond, ProbeMax: time.Millisecond, AnnounceWait: time.Millisecond}

// newWorld makes a world on the wall clock that ends with the test.
func newWorld(t testing.TB) *world.World {
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

// A wire bench is a stack of ours whose cable is a TAP device of a namespace.
type wireBench struct {
	*peers.Namespace
	w     *world.World
	stack *stack.Stack
	net   stack.Net
	up    *tap.Uplink
}

// newWire makes a stack and a namespace with a cable between them. The kernel has kernelAddr; the
// stack has no address yet.
func newWire(t testing.TB) *wireBench {
	t.Helper()
	peers.Need(t)
	b := &wireBench{Namespace: peers.NewNamespace(t), w: newWorld(t)}
	up, err := tap.New(tap.Config{
		World: b.w, Name: "tap0", Namespace: b.Path(), Addrs: []netip.Prefix{kernelAddr},
		Output: func(now time.Time, eth []byte) { b.stack.Input(now, eth) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { up.Close() })
	b.up = up
	b.addStack(t, up.Input)
	return b
}

func (b *wireBench) addStack(t testing.TB, output func(time.Time, []byte)) {
	t.Helper()
	b.w.Lock()
	defer b.w.Unlock()
	var slot *world.Slot
	s, err := stack.New(stack.Config{
		MAC: stackMAC, Rand: rand.NewPCG(1, 2), Output: output, ACD: quickACD,
		Touch: func() { slot.Touch() },
	})
	if err != nil {
		t.Fatal(err)
	}
	b.stack = s
	slot = b.w.Add(&stack.Host{Stack: s})
	b.net = stack.Net{Owner: b.w, Stack: s}
}

func (b *wireBench) setAddr(t testing.TB) {
	t.Helper()
	if err := b.net.SetAddr(t.Context(), stackAddr, kernelAddr.Addr(), kernelAddr.Addr()); err != nil {
		t.Fatal(err)
	}
}
