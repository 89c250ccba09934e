package world_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/understudy-net/understudy/sock"
	"github.com/understudy-net/understudy/world"
)

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

// Two actors wake each other: one hand-off of the baton a turn.
func BenchmarkActorHandOff(b *testing.B) {
	w := world.NewVirtual(world.Epoch)
	b.ReportAllocs()
	w.Do(func() {
		var ping, pong sock.Waiters
		done := false
		w.Go(func() {
			w.Lock()
			defer w.Unlock()
			for !done {
				w.Wait(&ping, time.Time{})
				w.Wake(&pong)
			}
		})
		w.Sleep(time.Second)
		w.Lock()
		defer w.Unlock()
		for b.Loop() {
			w.Wake(&ping)
			w.Wait(&pong, time.Time{})
		}
		done = true
		w.Wake(&ping)
	})
}
