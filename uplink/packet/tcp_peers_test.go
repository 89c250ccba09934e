//go:build linux

package packet_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/understudy-net/understudy/internal/peers"
	"github.com/understudy-net/understudy/uplink/packet"
)

// A bench is a stack on a packet socket at one end of a veth pair. The kernel that it talks to has the other end, in a
// namespace of its own. Offloads are as the kernel has them by default: all on.
type bench struct {
	*peers.Bench
	dut *peers.Namespace // where the socket is
	up  *packet.Uplink
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{}
	b.Bench = peers.NewBench(t, func(now time.Time, eth []byte) { b.up.Input(now, eth) })
	b.dut = peers.NewNamespace(t)
	peers.Veth(t, b.Namespace, "v0", peers.KernelAddr, b.dut, "v1", netip.Prefix{})
	up, err := packet.New(packet.Config{
		World: b.World, Interface: "v1", Namespace: b.dut.Path(),
		Output: func(now time.Time, eth []byte) {
			b.Stack.Input(now, eth)
			b.Slot.Touch()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		up.Close()
		if t.Failed() {
			t.Logf("uplink: %+v", up.Stats())
		}
	})
	b.up = up
	return b
}

func TestKernelTCP(t *testing.T) {
	b := newBench(t)
	b.SetAddr(t)
	peers.CheckTCP(t, b.Bench)
	if s := b.up.Stats(); s.Drops.Unusable+s.Drops.Oversize > 0 {
		t.Errorf("not all frames could be used: %+v", s)
	}
}
