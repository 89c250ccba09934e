package world

import (
	"sync"
	"time"

	"github.com/understudy-net/understudy/sock"
)

// Locker returns a lock whose waiters are parked in the world, first come first
// woken, so that it may be held while sleeping or waiting there. Take it before
// the world's lock, never after. In a virtual world it is for actors; others
// may take it as long as no actor holds it.
func (w *World) Locker() sync.Locker { return &locker{w: w} }

type locker struct {
	w    *World
	held bool
	q    sock.Waiters
}

func (l *locker) Lock() {
	w := l.w
	w.Lock()
	defer w.Unlock()
	for l.held {
		if w.virtual && w.actors.running == 0 {
			panic("world: Lock of a Locker that an actor of a virtual world holds, by a goroutine that is no actor: run it with Do or Go")
		}
		// Not Wait, which would return at once in a closed world, again and
		// again: there the holder is woken, and lets go of the lock.
		w.wait(&l.q, time.Time{}, false)
	}
	l.held = true
}

func (l *locker) Unlock() {
	w := l.w
	w.Lock()
	defer w.Unlock()
	if !l.held {
		panic("world: Unlock of a Locker that is not locked")
	}
	l.held = false
	if x := l.q.Front(); x != nil {
		w.wake(x.Owner.(*parked))
	}
}
