//go:build linux

package tap_test

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/air/wifi"
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
	apMAC      = wire.MAC{0x02, 0x61, 0x70, 0, 0, 1}
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

// A bench is a stack of ours on one network with the kernel of a namespace.
type bench struct {
	*peers.Namespace
	w     *world.World
	stack *stack.Stack
	net   stack.Net
	up    *tap.Uplink

	air *air.Air // of newAir
}

// newWire makes a bench whose network is the cable between a TAP device and the stack. The kernel
// has kernelAddr, the stack none yet.
func newWire(t testing.TB) *bench {
	t.Helper()
	peers.Need(t)
	b := &bench{Namespace: peers.NewNamespace(t), w: newWorld(t)}
	slot := b.addStack(t, func(now time.Time, eth []byte) { b.up.Input(now, eth) })
	b.addTAP(t, func(now time.Time, eth []byte) {
		b.stack.Input(now, eth)
		slot.Touch()
	})
	return b
}

// newAir makes a bench with an access point whose far side is a TAP device, and a station with the stack behind
// it, which has joined.
func newAir(t testing.TB) *bench {
	t.Helper()
	peers.Need(t)
	b := &bench{Namespace: peers.NewNamespace(t), w: newWorld(t)}
	now := b.w.Lock()
	b.air = air.New(air.Config{Rand: rand.NewPCG(3, 4)})
	b.air.OnSend = b.w.Add(b.air).Touch
	b.w.Unlock()
	ap, apSlot := addAP(t, b.w, b.air, func(now time.Time, eth []byte) { b.up.Input(now, eth) })

	now = b.w.Lock()
	var staSlot *world.Slot
	sta, err := wifi.NewStation(wifi.StationConfig{
		Air: b.air, MAC: stackMAC, Rand: rand.NewPCG(5, 6),
		Output: func(now time.Time, eth []byte) { b.stack.Input(now, eth) },
		Touch:  func() { staSlot.Touch() },
	})
	if err != nil {
		t.Fatal(err)
	}
	staSlot = b.w.Add(sta)
	err = sta.Join(now, joinParams)
	b.w.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	b.addStack(t, func(now time.Time, eth []byte) {
		sta.Send(now, eth)
		staSlot.Touch()
	})
	b.addTAP(t, func(now time.Time, eth []byte) {
		ap.Send(now, eth)
		apSlot.Touch()
	})
	peers.Poll(t, "the station to join", nil, func() bool {
		b.w.Lock()
		defer b.w.Unlock()
		return sta.State() == wifi.StateJoined
	})
	return b
}

const passphrase = "correct horse battery staple"

var joinParams = wifi.JoinParams{SSID: "peers", Passphrase: passphrase}

// addAP puts an access point on the air.
func addAP(t testing.TB, w *world.World, a *air.Air, output func(time.Time, []byte)) (*wifi.AccessPoint, *world.Slot) {
	t.Helper()
	now := w.Lock()
	defer w.Unlock()
	var slot *world.Slot
	ap, err := wifi.NewAccessPoint(wifi.APConfig{
		Air: a, MAC: apMAC, Rand: rand.NewPCG(7, 8), SSID: joinParams.SSID, Passphrase: passphrase, Channel: 6,
		Output: output, Touch: func() { slot.Touch() },
	})
	if err != nil {
		t.Fatal(err)
	}
	slot = w.Add(ap)
	ap.Start(now)
	return ap, slot
}

func (b *bench) addTAP(t testing.TB, output func(time.Time, []byte)) {
	t.Helper()
	up, err := tap.New(tap.Config{
		World: b.w, Name: "tap0", Namespace: b.Path(), Addrs: []netip.Prefix{kernelAddr}, Output: output,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		up.Close()
		if t.Failed() {
			t.Logf("uplink: %+v", up.Stats())
			b.w.Lock()
			defer b.w.Unlock()
			t.Logf("stack: %+v", *b.stack.Stats())
			if b.air != nil {
				t.Logf("air: %+v", b.air.Counters())
			}
		}
	})
	b.up = up
}

func (b *bench) addStack(t testing.TB, output func(time.Time, []byte)) *world.Slot {
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
	return slot
}

// setAddr gives the stack its static address.
func (b *bench) setAddr(t testing.TB) {
	t.Helper()
	if err := b.net.SetAddr(t.Context(), stackAddr, kernelAddr.Addr(), kernelAddr.Addr()); err != nil {
		t.Fatal(err)
	}
}

// dialed connects the stack to a listener of the kernel; ours is first.
func (b *bench) dialed(t testing.TB) (ours, theirs net.Conn) {
	t.Helper()
	l := b.Listen(netip.AddrPortFrom(kernelAddr.Addr(), 0))
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	ours, err := b.net.Dial(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	theirs = <-accepted
	t.Cleanup(func() { theirs.Close() })
	return ours, theirs
}

// accepted is dialed the other way round: the kernel connects to the stack.
func (b *bench) accepted(t testing.TB) (ours, theirs net.Conn) {
	t.Helper()
	l, err := b.net.Listen("tcp", ":7")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	theirs = b.Dial(netip.AddrPortFrom(stackAddr.Addr(), 7))
	if ours, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	return ours, theirs
}
