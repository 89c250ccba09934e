package world_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/understudy-net/understudy/sock"
	"github.com/understudy-net/understudy/world"
)

func TestActorsRunInTheSameOrderEveryTime(t *testing.T) {
	play := func() string {
		w := world.NewVirtual(world.Epoch)
		var log strings.Builder
		err := w.Do(func() {
			var q sock.Waiters
			n := 0
			w.Lock()
			for i := range 20 {
				w.Spawn(func() {
					for j := range 3 {
						w.Sleep(time.Duration((i*j)%5) * time.Second)
						fmt.Fprintf(&log, "%d.%d ", i, j)
					}
					w.Lock()
					n++
					w.Wake(&q)
					w.Unlock()
				})
			}
			for n < 20 {
				w.Wait(&q, time.Time{})
			}
			w.Unlock()
		})
		if err != nil {
			t.Fatal(err)
		}
		return log.String()
	}
	want := play()
	for range 20 {
		if got := play(); got != want {
			t.Fatalf("another order:\n%s\n%s", want, got)
		}
	}
}

func TestVirtualSleepTakesExactlyItsTime(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	if err := w.Do(func() { w.Sleep(365 * 24 * time.Hour) }); err != nil {
		t.Fatal(err)
	}
	if d := w.Now().Sub(world.Epoch); d != 365*24*time.Hour {
		t.Error(d)
	}
}

func TestStalledWorldSaysSo(t *testing.T) {
	for name, prepare := range map[string]func(w *world.World){
		"nothing is due": func(*world.World) {},
		"only a beacon":  func(w *world.World) { w.Add(&ticker{time.Minute, world.Epoch, func(time.Time) {}}) },
	} {
		t.Run(name, func(t *testing.T) {
			w := world.NewVirtual(world.Epoch)
			w.Lock()
			prepare(w)
			w.Unlock()
			ended := make(chan bool)
			err := w.Do(func() {
				defer close(ended)
				var q sock.Waiters
				w.Lock()
				for !w.Closed() {
					w.Wait(&q, time.Time{})
				}
				w.Unlock()
			})
			if !errors.Is(err, world.ErrStalled) {
				t.Fatal(err)
			}
			w.Close() // ends the actor
			<-ended
		})
	}
}

func TestLockerMayBeHeldWhileSleeping(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	l := w.Locker()
	var got []string
	err := w.Do(func() {
		for i := range 3 {
			w.Go(func() {
				l.Lock()
				w.Sleep(time.Second)
				got = append(got, fmt.Sprint(i, w.Now().Sub(world.Epoch)))
				l.Unlock()
			})
		}
		w.Sleep(10 * time.Second)
	})
	if err != nil {
		t.Fatal(err)
	}
	if s := strings.Join(got, " "); s != "0 1s 1 2s 2 3s" && s != "01s 12s 23s" {
		t.Error(s)
	}
}

// beacon is a machine that never rests.
func beacon() *ticker { return &ticker{100 * time.Millisecond, world.Epoch, func(time.Time) {}} }

// server waits for requests for ever and counts them.
func server(w *world.World, requests *sock.Waiters, n *int) func() {
	return func() {
		w.Lock()
		defer w.Unlock()
		for !w.Closed() {
			w.Wait(requests, time.Time{})
			*n++
		}
	}
}

func TestClockStandsStillBetweenTwoCallsOfDo(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	w.Lock()
	w.Add(beacon())
	w.Unlock()
	var q sock.Waiters
	n := 0
	w.Go(server(w, &q, &n))
	for i := range 3 {
		if d := w.Now().Sub(world.Epoch); d != time.Duration(i)*time.Hour {
			t.Errorf("after %d calls: %v", i, d)
		}
		if err := w.Do(func() { w.Sleep(time.Hour) }); err != nil {
			t.Fatal(err)
		}
	}
	w.Lock()
	w.Wake(&q)
	w.Unlock()
	if n != 1 { // no lock needed: the server waits again
		t.Error("the server served", n)
	}
}

func TestGoReturnsWhenActorWaits(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	var got []string
	for _, name := range []string{"a", "b"} {
		w.Go(func() {
			got = append(got, name+"1")
			w.Sleep(time.Second)
			got = append(got, name+"2")
		})
		got = append(got, "-")
	}
	for w.Step() {
		got = append(got, "|")
	}
	if s := strings.Join(got, ""); s != "a1-b1-a2b2|" {
		t.Error(s)
	}
}

func TestOneActorAtATime(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	var inside atomic.Int32
	turn := func() {
		if inside.Add(1) != 1 {
			t.Error("two actors run at once")
		}
		runtime.Gosched()
		inside.Add(-1)
	}
	err := w.Do(func() {
		for i := range 10 {
			w.Go(func() {
				for range 10 {
					turn()
					w.Sleep(time.Duration(i%3) * time.Second)
				}
			})
		}
		turn()
		w.Sleep(time.Hour)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestWokenInTheOrderOfWaiting(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	var q sock.Waiters
	var got []int
	for i := range 5 {
		w.Go(func() {
			w.Lock()
			defer w.Unlock()
			until := time.Time{}
			if i == 2 {
				until = world.Epoch.Add(time.Second) // leaves early
			}
			w.Wait(&q, until)
			got = append(got, i)
		})
	}
	err := w.Do(func() {
		w.Sleep(2 * time.Second)
		w.Lock()
		w.Wake(&q)
		w.Unlock()
		w.Sleep(time.Second)
	})
	if s := fmt.Sprint(got); err != nil || s != "[2 0 1 3 4]" {
		t.Error(s, err)
	}
}

// The call must wake once, see the wake-up, and leave nothing behind for the
// next Wait.
func TestLimitAndWakeAtTheSameInstant(t *testing.T) {
	for _, wakeFirst := range []bool{false, true} {
		w := world.NewVirtual(world.Epoch)
		at := world.Epoch.Add(time.Second)
		var q sock.Waiters
		ready := false
		m := &ticker{time.Hour, at, func(time.Time) { ready = true; w.Wake(&q) }}
		err := w.Do(func() {
			w.Lock()
			defer w.Unlock()
			if wakeFirst {
				w.Add(m)
				w.Unlock() // m is put into the queue before the limit
				w.Lock()
			}
			if !wakeFirst {
				w.Spawn(func() { // after the limit: when this actor waits
					w.Lock()
					w.Add(m)
					w.Unlock()
				})
			}
			now := w.Wait(&q, at)
			if !now.Equal(at) || !ready {
				t.Errorf("wake first %v: at %v, ready %v", wakeFirst, now.Sub(world.Epoch), ready)
			}
			if now = w.Wait(&q, at.Add(time.Minute)); now.Sub(at) != time.Minute {
				t.Errorf("wake first %v: the next Wait took %v", wakeFirst, now.Sub(at))
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestStallErrorTellsWhoWaitsWhere(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	var q sock.Waiters
	n := 0
	w.Go(server(w, &q, &n))
	err := w.Do(func() {
		w.Sleep(time.Minute)
		w.Lock()
		defer w.Unlock()
		w.Wait(&q, time.Time{})
	})
	var stall *world.StallError
	if !errors.As(err, &stall) || stall.Waiting != 2 || stall.Now.Sub(world.Epoch) != time.Minute {
		t.Fatalf("%+v", err)
	}
	if s := err.Error(); strings.Count(s, "actors_test.go:") < 2 || !strings.Contains(s, "TestStallErrorTellsWhoWaitsWhere") {
		t.Error(s)
	}
	w.Close()
	if w.Do(func() { w.Sleep(time.Hour) }) != nil {
		t.Error("a closed world stalls")
	}
}

// What repeats for ever must not be taken for a stall while an actor has a
// time limit, however late.
func TestLongSleepIsNoStall(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	w.Lock()
	w.Add(&ticker{time.Minute, world.Epoch, func(time.Time) {}})
	w.Unlock()
	if err := w.Do(func() { w.Sleep(30 * 24 * time.Hour) }); err != nil {
		t.Error(err)
	}
}

func TestWorldGoesOnAfterAStall(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	var q sock.Waiters
	woken := false
	if err := w.Do(func() {
		w.Lock()
		defer w.Unlock()
		w.Wait(&q, time.Time{})
		woken = true
	}); !errors.Is(err, world.ErrStalled) {
		t.Fatal(err)
	}
	if err := w.Do(func() { w.Lock(); w.Wake(&q); w.Unlock() }); err != nil || !woken {
		t.Error(err, woken)
	}
}

func TestDoEndsTheCallersGoroutineWithItsActors(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	ended := make(chan bool)
	returned := false
	go func() {
		defer close(ended)
		w.Do(func() { w.Sleep(time.Second); runtime.Goexit() }) // as t.FailNow does
		returned = true
	}()
	<-ended
	if returned {
		t.Error("Do returned")
	}
	if err := w.Do(func() { w.Sleep(time.Second) }); err != nil {
		t.Error(err)
	}
}

func TestOnlyActorsWait(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	l := w.Locker()
	w.Go(func() { l.Lock(); w.Sleep(time.Hour); l.Unlock() })
	for name, f := range map[string]func(){
		"Sleep": func() { w.Sleep(time.Second) },
		"Lock":  l.Lock,
	} {
		func() {
			defer func() {
				if s := fmt.Sprint(recover()); !strings.Contains(s, "Do or Go") {
					t.Errorf("%s: %s", name, s)
				}
			}()
			f()
		}()
	}
	w.Close()
	l.Lock() // it was given back
	defer l.Unlock()
}

func TestLockerInAClosedWorld(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	l := w.Locker()
	var got []int
	for i := range 3 {
		w.Go(func() {
			l.Lock()
			defer l.Unlock()
			w.Sleep(time.Hour)
			got = append(got, i)
		})
	}
	w.Close()
	if s := fmt.Sprint(got); s != "[0 1 2]" {
		t.Error(s)
	}
}

func TestWaitInAClosedWorldReturnsAtOnce(t *testing.T) {
	for _, w := range []*world.World{world.New(), world.NewVirtual(world.Epoch)} {
		w.Close()
		w.Close()
		n := 0
		if err := w.Do(func() {
			var q sock.Waiters
			w.Lock()
			defer w.Unlock()
			for ; n < 10; n++ {
				w.Wait(&q, time.Time{})
			}
			if !q.Empty() {
				t.Error("somebody was left in the queue")
			}
		}); err != nil || n != 10 {
			t.Error(n, err)
		}
	}
}

func TestActorsAreSpawnedByMachines(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	var got []string
	w.Lock()
	m := &ticker{every: time.Second, next: world.Epoch.Add(time.Second)}
	m.tick = func(now time.Time) {
		w.Spawn(func() {
			got = append(got, fmt.Sprint(w.Now().Sub(world.Epoch)))
			w.Sleep(time.Second / 2)
			got = append(got, fmt.Sprint(w.Now().Sub(world.Epoch)))
		})
	}
	w.Add(m)
	w.Unlock()
	if err := w.Do(func() { w.Sleep(2 * time.Second) }); err != nil {
		t.Fatal(err)
	}
	// The sleeper's limit was set before the machine's second deadline: it
	// ends, and Do with it, when all who are ready at that instant have run.
	if s := strings.Join(got, " "); s != "1s 1.5s 2s" {
		t.Error(s)
	}
}

func TestWaitingDoesNotAllocate(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	err := w.Do(func() {
		var q sock.Waiters
		w.Sleep(time.Second)
		if n := testing.AllocsPerRun(100, func() {
			now := w.Lock()
			w.Wait(&q, now.Add(time.Second))
			w.Unlock()
			w.Sleep(time.Second)
		}); n > 0 {
			t.Error(n, "allocations")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestDoIsNotForActors(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	err := w.Do(func() {
		defer func() {
			if s := fmt.Sprint(recover()); !strings.Contains(s, "use Go") {
				t.Error(s)
			}
		}()
		w.Do(func() {})
	})
	if err != nil {
		t.Fatal(err)
	}
}
