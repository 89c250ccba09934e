//go:build linux

package tap_test

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/internal/peers"
	"github.com/understudy-net/understudy/uplink/tap"
	"github.com/understudy-net/understudy/wire"
	"github.com/understudy-net/understudy/world"
)

// A bench is a stack whose way to the kernel is a TAP device.
type bench struct {
	*peers.Bench
	up  *tap.Uplink
	air *air.Air // of newAir
}

// newWire makes a bench whose network is the cable between a TAP device and the stack. The kernel
// has an address, the stack none yet.
func newWire(t testing.TB) *bench {
	t.Helper()
	b := &bench{}
	b.Bench = peers.NewBench(t, func(now time.Time, eth []byte) { b.up.Input(now, eth) })
	b.addTAP(t, func(now time.Time, eth []byte) {
		b.Stack.Input(now, eth)
		b.Slot.Touch()
	})
	return b
}

// newAir makes a bench with an access point whose far side is a TAP device, and a station with the stack behind
// it, which has joined.
func newAir(t testing.TB) *bench {
	t.Helper()
	b := &bench{}
	var sta *wifi.Station
	var staSlot *world.Slot
	b.Bench = peers.NewBench(t, func(now time.Time, eth []byte) {
		sta.Send(now, eth)
		staSlot.Touch()
	})
	b.air = newMedium(b.World)
	ap, apSlot := addAP(t, b.World, b.air, func(now time.Time, eth []byte) { b.up.Input(now, eth) })
	b.addTAP(t, func(now time.Time, eth []byte) {
		ap.Send(now, eth)
		apSlot.Touch()
	})
	now := b.World.Lock()
	sta, err := wifi.NewStation(wifi.StationConfig{
		Air: b.air, MAC: peers.StackMAC, Rand: rand.NewPCG(5, 6),
		Output: func(now time.Time, eth []byte) {
			b.Stack.Input(now, eth)
			b.Slot.Touch()
		},
		Touch: func() { staSlot.Touch() },
	})
	if err != nil {
		t.Fatal(err)
	}
	staSlot = b.World.Add(sta)
	err = sta.Join(now, joinParams)
	b.World.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	peers.Poll(t, "the station to join", nil, func() bool {
		b.World.Lock()
		defer b.World.Unlock()
		return sta.Joined()
	})
	return b
}

// newMedium makes an air in a world.
func newMedium(w *world.World) *air.Air {
	w.Lock()
	defer w.Unlock()
	a := air.New(air.Config{Rand: rand.NewPCG(3, 4)})
	a.OnSend = w.Add(a).Touch
	return a
}

var (
	apMAC      = wire.MAC{0x02, 0x61, 0x70, 0, 0, 1}
	joinParams = wifi.JoinParams{SSID: "peers", Passphrase: "correct horse battery staple"}
)

// addAP puts an access point on the air.
func addAP(t testing.TB, w *world.World, a *air.Air, output func(time.Time, []byte)) (*wifi.AccessPoint, *world.Slot) {
	t.Helper()
	now := w.Lock()
	defer w.Unlock()
	var slot *world.Slot
	ap, err := wifi.NewAccessPoint(wifi.APConfig{
		Air: a, MAC: apMAC, Rand: rand.NewPCG(7, 8), SSID: joinParams.SSID, Passphrase: joinParams.Passphrase, Channel: 6,
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
		World: b.World, Name: "tap0", Namespace: b.Path(), Addrs: []netip.Prefix{peers.KernelAddr}, Output: output,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		up.Close()
		if t.Failed() {
			t.Logf("uplink: %+v", up.Stats())
			if b.air != nil {
				b.World.Lock()
				defer b.World.Unlock()
				t.Logf("air: %+v", b.air.Counters())
			}
		}
	})
	b.up = up
}
