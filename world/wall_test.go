package world_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/understudy-net/understudy/sock"
	"github.com/understudy-net/understudy/world"
)

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

// Without Run, calls from outside fire what is due.
func TestCallsFromOutsideFireWhatIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New()
		n := 0
		now := w.Lock()
		w.Add(&ticker{time.Second, now.Add(time.Second), func(time.Time) { n++ }})
		w.Unlock()
		time.Sleep(1500 * time.Millisecond)
		w.Now()
		if n != 1 {
			t.Error(n)
		}
	})
}

func TestRunEndsWithTheWorldOrItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, w := range []*world.World{world.New(), world.NewVirtual(world.Epoch)} {
			ctx, cancel := context.WithCancelCause(t.Context())
			end := make(chan error)
			go func() { end <- w.Run(ctx) }()
			synctest.Wait()
			cancel(nil)
			if err := <-end; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		w := world.New()
		end := make(chan error)
		go func() { end <- w.Run(t.Context()) }()
		synctest.Wait()
		w.Close()
		if err := <-end; err != nil {
			t.Error(err)
		}
	})
}

// Waits with limits and wakes that come at about the same time, on the real
// clock: none may be lost, none may come twice.
func TestNoWakeUpIsLost(t *testing.T) {
	w := world.New()
	ctx, cancel := context.WithCancel(context.Background())
	end := make(chan error)
	go func() { end <- w.Run(ctx) }()

	const turns = 300
	var q sock.Waiters
	tickets := 0
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			now := w.Lock()
			defer w.Unlock()
			for range turns {
				for tickets == 0 {
					now = w.Wait(&q, now.Add(time.Duration(tickets%7+1)*10*time.Microsecond))
				}
				tickets--
			}
		})
		wg.Go(func() {
			for i := range turns {
				w.Lock()
				tickets++
				w.Wake(&q)
				w.Unlock()
				if i%10 == 0 {
					time.Sleep(10 * time.Microsecond)
				}
			}
		})
	}
	wg.Wait()
	if !q.Empty() || tickets != 0 {
		t.Error("left behind:", tickets)
	}
	cancel()
	<-end
}

// The same without limits: who is not woken hangs.
func TestWakeReachesAllWhoWait(t *testing.T) {
	w := world.New()
	var q sock.Waiters
	n := 0
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			w.Lock()
			defer w.Unlock()
			for m := n; n == m; {
				w.Wait(&q, time.Time{})
			}
		})
	}
	done := make(chan bool)
	go func() { wg.Wait(); close(done) }()
	for {
		w.Lock()
		n++
		w.Wake(&q)
		w.Unlock()
		select {
		case <-done:
			return
		default:
		}
	}
}

func TestLockerInAWallWorld(t *testing.T) {
	inWall(t, func(t *testing.T, w *world.World) {
		l := w.Locker()
		start := time.Now()
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				l.Lock()
				time.Sleep(time.Second) // a sync.Mutex would keep the bubble's clock from moving
				l.Unlock()
			})
		}
		wg.Wait()
		if d := time.Since(start); d != 5*time.Second {
			t.Error(d)
		}
	})
}
