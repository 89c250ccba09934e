package world

import (
	"runtime"
	"sync"
	"time"

	"github.com/understudy-net/understudy/sock"
)

// Epoch is when virtual worlds begin by convention: a fixed date in the past,
// so that a stray deadline made of time.Now is late, never early.
var Epoch = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// World owns machines. Make it with New or NewVirtual. Its methods may be
// called from any goroutine; those whose comment says "lock held" only between
// Lock and Unlock.
type World struct {
	mu      sync.Mutex
	virtual bool
	now     time.Time
	base    time.Time // wall: from which the clock is read; see readClock
	closed  bool

	due   queue
	dirty []*Slot // touched since they were last put into the queue
	round uint64  // counts calls of settle

	free   *parked // records of calls that wait no longer
	parked parkedList

	// Wall: when Run will wake up (zero: it does not run), and how to wake it
	// earlier.
	armed time.Time
	poke  chan struct{}

	actors actors // virtual
}

// New makes a world on the wall clock.
func New() *World {
	w := &World{poke: make(chan struct{}, 1), base: time.Now()}
	w.actors.rest.L = &w.mu
	return w
}

// NewVirtual makes a world whose clock stands at at and moves only in Do and
// Step. See Epoch.
func NewVirtual(at time.Time) *World {
	w := New()
	w.virtual, w.now, w.actors.woke = true, at, at
	return w
}

var _ sock.Owner = (*World)(nil)

// Virtual says whether the world was made by NewVirtual.
func (w *World) Virtual() bool { return w.virtual }

// Lock takes the lock, reads the clock, fires what is due, and returns the
// time.
func (w *World) Lock() time.Time {
	w.mu.Lock()
	settled := false
	defer func() {
		if !settled { // a machine panicked: leave others a way to clean up
			w.mu.Unlock()
		}
	}()
	w.readClock()
	w.settle()
	settled = true
	return w.now
}

// Unlock fires what became due by what the caller did, and gives the lock back.
// In a virtual world, if no actor runs, it lets those run that were woken and
// returns when they wait again.
func (w *World) Unlock() {
	if w.release() {
		w.rouse()
	}
}

func (w *World) release() (late bool) {
	defer w.mu.Unlock()
	w.settle()
	if w.virtual {
		w.letOthersRun()
		return false
	}
	return w.runsLate()
}

// Now returns the time.
func (w *World) Now() time.Time {
	now := w.Lock()
	w.Unlock()
	return now
}

// readClock reads the monotonic clock alone, which costs half of what both cost.
// The wall clock's reading in w.now is that of base, which Run renews.
func (w *World) readClock() {
	if !w.virtual {
		w.now = w.base.Add(time.Since(w.base))
	}
}

// Close ends the world: Closed says true from now on, and all who wait are
// woken. Machines are still fired when somebody takes the lock; Run returns.
// Closing twice does nothing.
func (w *World) Close() {
	w.Lock()
	if !w.closed {
		w.closed = true
		for p := w.parked.head; p != nil; p = p.next {
			w.wake(p)
		}
	}
	w.Unlock()
	if !w.virtual {
		w.rouse()
	}
}

// Closed says whether Close was called. Lock held.
func (w *World) Closed() bool { return w.closed }

// yield lets others take the lock of a wall world.
func (w *World) yield() {
	w.mu.Unlock()
	runtime.Gosched()
	w.mu.Lock()
	w.readClock()
	w.settle()
}
