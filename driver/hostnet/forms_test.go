package hostnet_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/understudy-net/understudy/internal/overbus"
	"github.com/understudy-net/understudy/understudytest"
)

// quick is how much virtual time a test may take to be shown on the wall clock
// too.
const quick = 2 * time.Second

// inForms runs f, in subtests, on benches that have joined their network: in
// virtual time, which is memory's business; in a bubble with a bus socket over a
// pipe; and, if it was quick, on the wall clock with one over a Unix socket.
func inForms(t *testing.T, memory func(t *testing.T, f func(t *testing.T, b *understudytest.Bench)), f func(t *testing.T, b *understudytest.Bench)) {
	t.Helper()
	took := time.Duration(-1)
	play := func(t *testing.T, b *understudytest.Bench) {
		begun := b.Now()
		f(t, b)
		took = b.Now().Sub(begun)
	}
	joined := func(t *testing.T, c understudytest.Config) {
		b := understudytest.NewConfig(t, c)
		if err := b.Join(); err != nil {
			t.Fatal("join: ", err)
		}
		play(t, b)
	}
	t.Run("memory", func(t *testing.T) { memory(t, play) })
	t.Run("pipe", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { joined(t, understudytest.Config{Bus: overbus.Pipe(t)}) })
	})
	if took >= quick || testing.Short() {
		return
	}
	t.Parallel() // from here on it waits most of the time
	t.Run("unix", func(t *testing.T) {
		if took < 0 {
			t.Skip("it is not known how long this takes: run another form too")
		}
		joined(t, understudytest.Config{Bus: overbus.Unix(t)})
	})
}

// inWorld and inBubble are forms in memory: virtual time without and with
// goroutines that know nothing of the world.
func inWorld(t *testing.T, f func(t *testing.T, b *understudytest.Bench)) {
	t.Helper()
	virtual(t, func(b *understudytest.Bench) { f(t, b) })
}

func inBubble(t *testing.T, f func(t *testing.T, b *understudytest.Bench)) { t.Helper(); bubble(t, f) }
