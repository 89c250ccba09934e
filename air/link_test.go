package air

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/understudy-net/understudy/wire"
)

// stream sends n numbered frames over a link, one a millisecond, and returns what arrives.
func stream(t *testing.T, seed uint64, n int, l Link) (*Air, *hearer) {
	t.Helper()
	a := New(Config{Rand: rand.NewPCG(seed, 0), Delay: time.Millisecond})
	one, two := listen(a, mac(1), 1), listen(a, mac(2), 1)
	if err := a.SetLink(mac(1), mac(2), l); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		now := epoch.Add(time.Duration(i) * time.Millisecond)
		for at := a.Deadline(); !at.IsZero() && !at.After(now); at = a.Deadline() {
			a.Advance(at)
		}
		one.Send(now, frame(mac(2), fmt.Sprintf("%06d", i)))
	}
	settle(t, a)
	return a, two
}

func inOrder(got []string) bool {
	for i := 1; i < len(got); i++ {
		if got[i] < got[i-1] {
			return false
		}
	}
	return true
}

func near(got, n int, p float64) bool {
	mean, dev := float64(n)*p, math.Sqrt(float64(n)*p*(1-p))
	return math.Abs(float64(got)-mean) <= 5*dev
}

func TestLinkLosesAsManyAsItShould(t *testing.T) {
	for seed := range uint64(5) {
		a, two := stream(t, seed, 4000, Link{Loss: 0.25})
		lost := a.Counters().Drops.Loss
		if !near(int(lost), 4000, 0.25) || len(two.got)+int(lost) != 4000 || !inOrder(two.got) {
			t.Errorf("seed %d: %d of 4000 lost at 0.25, %d heard", seed, lost, len(two.got))
		}
	}
}

func TestLinkDuplicates(t *testing.T) {
	a, two := stream(t, 1, 4000, Link{Duplicate: 0.25})
	n := a.Counters().Duplicated
	if !near(int(n), 4000, 0.25) || len(two.got) != 4000+int(n) || !inOrder(two.got) {
		t.Errorf("%d duplicates, %d heard, in order %v", n, len(two.got), inOrder(two.got))
	}
}

func TestLinkDelaysAndJitterKeepsTheOrder(t *testing.T) {
	a, two := stream(t, 2, 4000, Link{Delay: 20 * time.Millisecond, Jitter: 50 * time.Millisecond})
	if len(two.got) != 4000 || !inOrder(two.got) {
		t.Fatalf("%d heard, in order %v", len(two.got), inOrder(two.got))
	}
	spread := map[time.Duration]bool{}
	for i, at := range two.at {
		d := at - time.Duration(i)*time.Millisecond
		if d < 21*time.Millisecond || d >= 71*time.Millisecond {
			t.Fatalf("frame %d took %v", i, d)
		}
		spread[d.Truncate(10*time.Millisecond)] = true
	}
	if len(spread) < 3 {
		t.Errorf("delays in %d classes of 10 ms", len(spread))
	}
	if c := a.Counters(); c.Reordered != 0 {
		t.Errorf("counters %+v", c)
	}
}

func TestLinkReorders(t *testing.T) {
	for _, delay := range []time.Duration{0, 20 * time.Millisecond} {
		a, two := stream(t, 3, 4000, Link{Reorder: 0.1, Delay: delay})
		n := a.Counters().Reordered
		behind := 0
		for i := 1; i < len(two.got); i++ {
			if two.got[i] < two.got[i-1] {
				behind++
			}
		}
		if !near(int(n), 4000, 0.1) || len(two.got) != 4000 || behind < 100 {
			t.Errorf("delay %v: %d held back, %d heard, %d behind a later one", delay, n, len(two.got), behind)
		}
	}
}

func TestLinkFlipsOneBitForOneReceiver(t *testing.T) {
	a := New(Config{Rand: rand.NewPCG(4, 0)})
	one, two, three := listen(a, mac(1), 1), listen(a, mac(2), 1), listen(a, mac(3), 1)
	if err := a.SetLink(mac(1), mac(2), Link{Corrupt: 1}); err != nil {
		t.Fatal(err)
	}
	const text = "the text as it was sent"
	for range 100 {
		one.Send(epoch, frame(wire.Broadcast, text))
		settle(t, a)
	}
	different := map[string]bool{}
	for i := range 100 {
		flipped := 0
		for j := range text {
			flipped += bits.OnesCount8(text[j] ^ two.got[i][j])
		}
		if flipped != 1 || three.got[i] != text {
			t.Fatalf("%d bits flipped; the other hears %q", flipped, three.got[i])
		}
		different[two.got[i]] = true
	}
	if len(different) < 50 || a.Counters().Corrupted != 100 {
		t.Errorf("%d different, %d counted", len(different), a.Counters().Corrupted)
	}
	one.Send(epoch, frame(mac(2), "")) // no bit to flip
	settle(t, a)
}

func TestLinkDownAndUpInOneDirection(t *testing.T) {
	a := New(Config{})
	one, two := listen(a, mac(1), 1), listen(a, mac(2), 1)
	if err := a.SetLink(mac(1), mac(2), Link{Down: true}); err != nil {
		t.Fatal(err)
	}
	one.Send(epoch, frame(mac(2), "a"))
	two.Send(epoch, frame(mac(1), "b"))
	settle(t, a)
	two.want(t, "two")
	one.want(t, "one", "b")
	if c := a.Counters(); c.Drops != (Drops{Down: 1}) {
		t.Errorf("drops %+v", c.Drops)
	}
	if err := a.SetLink(mac(1), mac(2), Link{}); err != nil {
		t.Fatal(err)
	}
	one.Send(epoch, frame(mac(2), "c"))
	settle(t, a)
	two.want(t, "two", "c")
}

func TestMostExactLinkWins(t *testing.T) {
	a := New(Config{RSSI: -10})
	one, two, three := listen(a, mac(1), 1), listen(a, mac(2), 1), listen(a, mac(3), 1)
	set := func(from, to wire.MAC, rssi int8) {
		t.Helper()
		if err := a.SetLink(from, to, Link{RSSI: rssi}); err != nil {
			t.Fatal(err)
		}
	}
	heard := func(want ...int8) {
		t.Helper()
		one.Send(epoch, frame(mac(2), ""))
		one.Send(epoch, frame(mac(3), ""))
		three.Send(epoch, frame(mac(2), ""))
		two.Send(epoch, frame(mac(3), ""))
		settle(t, a)
		got := []int8{two.rssi[0], three.rssi[0], two.rssi[1], three.rssi[1]}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("1>2, 1>3, 3>2, 2>3 at %v, want %v", got, want)
		}
		two.rssi, three.rssi = nil, nil
	}
	heard(-10, -10, -10, -10)
	set(wire.MAC{}, wire.MAC{}, -20)
	heard(-20, -20, -20, -20)
	set(wire.MAC{}, mac(2), -30)
	heard(-30, -20, -30, -20)
	set(mac(1), wire.MAC{}, -40)
	heard(-40, -40, -30, -20)
	set(mac(1), mac(2), -50)
	heard(-50, -40, -30, -20)
	set(mac(1), mac(2), 0) // the air's
	heard(-10, -40, -30, -20)
}

func TestAFasterLinkDoesNotOvertakeTheSlowerBeforeIt(t *testing.T) {
	a := New(Config{})
	one, two := listen(a, mac(1), 1), listen(a, mac(2), 1)
	if err := a.SetLink(mac(1), mac(2), Link{Delay: time.Second}); err != nil {
		t.Fatal(err)
	}
	one.Send(epoch, frame(mac(2), "slow"))
	a.Advance(epoch)
	if err := a.SetLink(mac(1), mac(2), Link{}); err != nil {
		t.Fatal(err)
	}
	one.Send(epoch, frame(mac(2), "fast"))
	settle(t, a)
	two.want(t, "two", "slow", "fast")
}

func TestOneSeedOneOutcome(t *testing.T) {
	everything := Link{Loss: 0.2, Duplicate: 0.2, Reorder: 0.2, Corrupt: 0.2, Delay: time.Millisecond, Jitter: 10 * time.Millisecond}
	_, one := stream(t, 7, 1000, everything)
	_, two := stream(t, 7, 1000, everything)
	_, three := stream(t, 8, 1000, everything)
	if fmt.Sprint(one.got, one.at) != fmt.Sprint(two.got, two.at) {
		t.Error("the same seed gave two outcomes")
	}
	if fmt.Sprint(one.got, one.at) == fmt.Sprint(three.got, three.at) {
		t.Error("two seeds gave one outcome")
	}
}

func TestLinkErrors(t *testing.T) {
	a := New(Config{})
	for _, l := range []Link{{Loss: -0.1}, {Duplicate: 1.1}, {Reorder: math.NaN()}, {Corrupt: 2}, {Delay: -1}, {Jitter: -1}} {
		if err := a.SetLink(mac(1), mac(2), l); err == nil {
			t.Errorf("%+v is accepted", l)
		}
	}
	if err := a.SetLink(mac(1), mac(2), Link{Loss: 0.5}); !errors.Is(err, ErrNoRand) {
		t.Errorf("chance without a source: %v", err)
	}
	if !a.links.empty() {
		t.Error("a refused link was set")
	}
}

func TestDelayedCopiesAreBounded(t *testing.T) {
	a := New(Config{MaxFrames: 100, Queue: 100})
	one := listen(a, mac(1), 1)
	for i := range 20 {
		listen(a, mac(10+i), 1)
	}
	if err := a.SetLink(mac(1), wire.MAC{}, Link{Delay: time.Second}); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		one.Send(epoch, frame(wire.Broadcast, "x"))
	}
	a.Advance(epoch)
	if n := len(a.late); n != 100 || a.Counters().Drops.QueueFull != 1900 {
		t.Errorf("%d copies wait, %+v", n, a.Counters().Drops)
	}
	settle(t, a)
}
