package wifi

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/wire"
	"github.com/understudy-net/understudy/world"
)

// TestInAWorld has a world call the machines: it looks only at those that say that they were touched.
func TestInAWorld(t *testing.T) {
	const n = 20
	w := world.NewVirtual(world.Epoch)
	a := air.New(air.Config{Rand: rand.NewPCG(1, 1), Delay: air.TypicalDelay})
	a.OnSend = w.Add(a).Touch
	var pmks PMKCache
	heard := 0
	var slot *world.Slot
	ap, err := NewAccessPoint(APConfig{Air: a, MAC: apMAC, Rand: rand.NewPCG(1, 2), SSID: ssid, Channel: 6,
		Passphrase: passphrase, PMKs: &pmks, Touch: func() { slot.Touch() },
		Output: func(time.Time, []byte) { heard++ }})
	if err != nil {
		t.Fatal(err)
	}
	slot = w.Add(ap)
	left := 0
	for i := range n {
		mac := wire.MAC{2, 0, 0, 0, 1, byte(i)}
		var slot *world.Slot
		var s *Station
		s, err = NewStation(StationConfig{Air: a, MAC: mac, Rand: rand.NewPCG(2, uint64(i)), PMKs: &pmks,
			Touch: func() { slot.Touch() },
			Handle: func(now time.Time, e Event) {
				switch e.Kind {
				case EventScanDone:
					if err := s.Join(now, wpa); err != nil {
						t.Error(err)
					}
				case EventJoined:
					s.Send(now, eth(apMAC, mac, "hello"))
				case EventLeft:
					left++
				default:
					t.Errorf("%v: %v", mac, e)
				}
			}})
		if err != nil {
			t.Fatal(err)
		}
		slot = w.Add(s)
		now := w.Lock()
		if err := s.Scan(now, ScanParams{}); err != nil {
			t.Fatal(err)
		}
		w.Unlock()
	}
	now := w.Lock()
	ap.Start(now)
	w.Unlock()
	until := func(d time.Duration) {
		for end := w.Now().Add(d); w.Now().Before(end) && w.Step(); {
		}
	}
	until(5 * time.Second)
	if heard != n {
		t.Fatalf("%d of %d stations joined and said hello", heard, n)
	}
	w.Lock()
	ap.Vanish()
	w.Unlock()
	until(5 * time.Second)
	if left != n {
		t.Errorf("%d of %d stations noticed that the access point is gone", left, n)
	}
	if w.Step() {
		t.Errorf("something goes on at %v when all is idle", w.Now())
	}
}
