package world_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/understudy-net/understudy/sock"
	"github.com/understudy-net/understudy/world"
)

// ticker is a machine that ticks every so often.
type ticker struct {
	every time.Duration
	next  time.Time
	tick  func(now time.Time)
}

func (m *ticker) Deadline() time.Time { return m.next }
func (m *ticker) Advance(now time.Time) {
	m.next = now.Add(m.every)
	m.tick(now)
}

func TestStepGoesFromDeadlineToDeadline(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	var got []string
	add := func(name string, every time.Duration) {
		w.Add(&ticker{every, world.Epoch.Add(every), func(now time.Time) {
			got = append(got, fmt.Sprint(name, now.Sub(world.Epoch)))
		}})
	}
	w.Lock()
	add("a", 2*time.Second)
	add("b", 3*time.Second)
	w.Unlock()
	for range 4 {
		w.Step()
	}
	// At 6 s both are due: the one that was set first comes first.
	if s := strings.Join(got, " "); s != "a2s b3s a4s b6s a6s" {
		t.Error(s)
	}
}

func TestRemovedMachineIsNotCalled(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	w.Lock()
	s := w.Add(&ticker{time.Second, world.Epoch.Add(time.Second), func(time.Time) { t.Error("called") }})
	s.Touch()
	s.Remove()
	s.Touch()
	w.Unlock()
	if w.Step() {
		t.Error("something was due")
	}
}

func TestOverdueMachinesTakeTurns(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	var got strings.Builder
	w.Lock()
	for _, name := range []string{"a", "b"} {
		n := 0
		m := &ticker{next: world.Epoch.Add(-time.Hour)}
		m.tick = func(time.Time) {
			got.WriteString(name)
			m.next = world.Epoch.Add(-time.Minute)
			if n++; n == 3 {
				m.next = time.Time{}
			}
		}
		w.Add(m)
	}
	w.Unlock()
	if got.String() != "ababab" {
		t.Error(got.String())
	}
}

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

// inWall runs f with a wall world that Run drives, inside of a bubble.
func inWall(t *testing.T, f func(t *testing.T, w *world.World)) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New()
		ctx, cancel := context.WithCancel(t.Context())
		end := make(chan error)
		go func() { end <- w.Run(ctx) }()
		f(t, w)
		cancel()
		if err := <-end; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestRunFiresOnTime(t *testing.T) {
	inWall(t, func(t *testing.T, w *world.World) {
		start := time.Now()
		var at []time.Duration
		synctest.Wait() // Run sleeps for long: Unlock has to wake it
		w.Lock()
		w.Add(&ticker{time.Second, start.Add(time.Second), func(now time.Time) { at = append(at, now.Sub(start)) }})
		w.Unlock()
		time.Sleep(3500 * time.Millisecond)
		w.Lock()
		defer w.Unlock()
		if fmt.Sprint(at) != "[1s 2s 3s]" {
			t.Error(at)
		}
	})
}

func TestWaitEndsByWakeOrAtItsLimit(t *testing.T) {
	inWall(t, func(t *testing.T, w *world.World) {
		var q sock.Waiters
		start := time.Now()
		time.AfterFunc(time.Second, func() { w.Lock(); w.Wake(&q); w.Unlock() })
		now := w.Lock()
		now = w.Wait(&q, now.Add(time.Minute))
		if d := now.Sub(start); d != time.Second {
			t.Error("woken after", d)
		}
		now = w.Wait(&q, now.Add(time.Minute))
		if d := now.Sub(start); d != time.Minute+time.Second {
			t.Error("limit after", d)
		}
		w.Unlock()
	})
}

func TestCloseWakesAll(t *testing.T) {
	inWall(t, func(t *testing.T, w *world.World) {
		var q sock.Waiters
		end := make(chan bool)
		for range 3 {
			go func() {
				w.Lock()
				for !w.Closed() {
					w.Wait(&q, time.Time{})
				}
				w.Unlock()
				end <- true
			}()
		}
		synctest.Wait()
		w.Close()
		for range 3 {
			<-end
		}
	})
}

func TestMachineDueForEverIsAMistake(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second")
	}
	w := world.NewVirtual(world.Epoch)
	defer func() {
		if s := fmt.Sprint(recover()); !strings.Contains(s, "ticker") {
			t.Error(s)
		}
	}()
	w.Lock()
	w.Add(&ticker{0, world.Epoch, func(time.Time) {}})
	w.Unlock()
}

// A machine of an hour's tick, in virtual time.
func Example() {
	w := world.NewVirtual(world.Epoch)
	w.Lock()
	w.Add(&ticker{time.Hour, world.Epoch.Add(time.Hour), func(now time.Time) { fmt.Println("tick at", now.Format(time.TimeOnly)) }})
	w.Unlock()
	w.Do(func() { w.Sleep(3 * time.Hour) })
	// Output:
	// tick at 01:00:00
	// tick at 02:00:00
	// tick at 03:00:00
}

func BenchmarkLockTouchUnlock(b *testing.B) {
	for _, n := range []int{1, 10_000} {
		b.Run(fmt.Sprint(n, " machines"), func(b *testing.B) {
			w := world.New()
			now := w.Lock()
			var s *world.Slot
			for range n {
				s = w.Add(&ticker{time.Hour, now.Add(time.Hour), func(time.Time) {}})
			}
			w.Unlock()
			b.ReportAllocs()
			for b.Loop() {
				w.Lock()
				s.Touch()
				w.Unlock()
			}
		})
	}
}

func BenchmarkActorSleep(b *testing.B) {
	w := world.NewVirtual(world.Epoch)
	b.ReportAllocs()
	w.Do(func() {
		for b.Loop() {
			w.Sleep(time.Millisecond)
		}
	})
}
