package world

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/understudy-net/understudy/sock"
)

// Machine is what a world owns. Both methods are called with its lock held.
type Machine interface {
	// Advance does what is due at now.
	Advance(now time.Time)
	// Deadline says when Advance is wanted next; zero: never; in the past: at
	// once, because output or events are pending.
	Deadline() time.Time
}

// Epoch is when virtual worlds begin by convention: a fixed date in the past,
// so that a stray deadline made of time.Now is late, never early.
var Epoch = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// ErrStalled says that all actors of a virtual world wait for something that
// will not happen: no deadline is left, or none woke an actor for two days.
var ErrStalled = errors.New("world: stalled: every actor waits and nothing is due that could wake one")

const (
	// patience is how much virtual time may pass without waking an actor.
	patience = 48 * time.Hour
	// tooOften is how many machines may be fired at one instant of one call.
	tooOften = 5_000_000
)

// World owns machines. Make it with New or NewVirtual.
type World struct {
	mu      sync.Mutex
	virtual bool
	now     time.Time
	closed  bool

	due   queue
	dirty []*Slot // touched since they were last put into the queue

	free   *parked // records of calls that wait no longer
	parked parkedList

	// Wall: when Run will wake up, and how to wake it earlier.
	armed time.Time
	poke  chan struct{}

	// Virtual.
	running int           // actors that hold the baton: 0 or 1
	doing   int           // calls of Do that have not ended
	ready   fifo          // woken actors, in order of waking
	stalled bool          // nothing can move
	stall   chan struct{} // closed when it stalls
	woke    time.Time     // when an actor was woken last
}

// New makes a world on the wall clock.
func New() *World {
	return &World{poke: make(chan struct{}, 1), stall: make(chan struct{})}
}

// NewVirtual makes a world whose clock stands at at and moves by itself only
// while actors wait. See Epoch.
func NewVirtual(at time.Time) *World {
	w := New()
	w.virtual, w.now, w.woke = true, at, at
	return w
}

var _ sock.Owner = (*World)(nil)

// Virtual says whether the world was made by NewVirtual.
func (w *World) Virtual() bool { return w.virtual }

// Slot is a machine's place in its world.
type Slot struct {
	entry
	w     *World
	m     Machine
	dirty bool
	gone  bool
}

// Add makes the world the owner of m. Lock held.
func (w *World) Add(m Machine) *Slot {
	s := &Slot{w: w, m: m}
	s.entry = entry{index: -1, slot: s}
	s.Touch()
	return s
}

// Touch says that the machine was called, so that its Deadline is read again
// before the lock is given back. It costs the same with any number of
// machines. Lock held.
func (s *Slot) Touch() {
	if !s.dirty && !s.gone {
		s.dirty = true
		s.w.dirty = append(s.w.dirty, s)
	}
}

// Remove ends the ownership: the machine is not called any more. Lock held.
func (s *Slot) Remove() {
	s.gone = true
	s.w.due.remove(&s.entry)
}

// Lock takes the lock, reads the clock, fires what is due, and returns the
// time.
func (w *World) Lock() time.Time {
	w.mu.Lock()
	w.readClock()
	w.settle()
	return w.now
}

// Unlock fires what became due by what the caller did, and gives the lock back.
func (w *World) Unlock() {
	w.settle()
	if w.virtual {
		w.handOn()
		w.mu.Unlock()
		return
	}
	poke := w.runsLate()
	w.mu.Unlock()
	if poke {
		w.rouse()
	}
}

// Now returns the time.
func (w *World) Now() time.Time {
	now := w.Lock()
	w.Unlock()
	return now
}

func (w *World) readClock() {
	if !w.virtual {
		w.now = time.Now()
	}
}

// settle reads the deadlines of touched machines and fires what is due, until
// nothing is.
func (w *World) settle() {
	for n := 0; ; n++ {
		for i := 0; i < len(w.dirty); i++ {
			s := w.dirty[i]
			s.dirty = false
			if !s.gone {
				w.due.set(&s.entry, w.notPast(s.m.Deadline()))
			}
		}
		w.dirty = w.dirty[:0]
		e := w.due.first()
		if e == nil || e.at.After(w.now) {
			return
		}
		w.fire(e)
		if n > tooOften {
			panic(fmt.Sprintf("world: %d calls of Advance at one instant, the last one of a %T: its Deadline stays in the past", n, e.machine()))
		}
	}
}

// notPast makes all that is overdue due now: it then comes in the order in
// which it was touched.
func (w *World) notPast(at time.Time) time.Time {
	if !at.IsZero() && at.Before(w.now) {
		return w.now
	}
	return at
}

func (w *World) fire(e *entry) {
	w.due.remove(e)    // and to the end of its instant, if it is due again
	if e.slot == nil { // the time limit of a waiting call
		w.wake(e.parked)
		return
	}
	e.slot.Touch()
	e.slot.m.Advance(w.now)
}

// Step moves the clock of a virtual world without actors to the next deadline
// and fires what is due then; false when nothing is left.
func (w *World) Step() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settle()
	return w.step()
}

func (w *World) step() bool {
	e := w.due.first()
	if e == nil {
		return false
	}
	if e.at.After(w.now) {
		w.now = e.at
	}
	w.settle()
	return true
}

// runsLate says whether Run sleeps beyond the next deadline.
func (w *World) runsLate() bool {
	e := w.due.first()
	return e != nil && !w.armed.IsZero() && e.at.Before(w.armed)
}

func (w *World) rouse() {
	select {
	case w.poke <- struct{}{}:
	default:
	}
}

// Run fires what is due on the wall clock until ctx ends or the world is
// closed, and returns ctx.Err() or nil. In a virtual world it only waits.
func (w *World) Run(ctx context.Context) error {
	const long = time.Hour
	timer := time.NewTimer(long)
	defer timer.Stop()
	for {
		w.Lock()
		closed := w.closed
		d := long
		if e := w.due.first(); e != nil && !w.virtual {
			d = min(d, e.at.Sub(w.now))
		}
		w.armed = w.now.Add(d)
		w.mu.Unlock() // settled by Lock
		if closed {
			return nil
		}
		timer.Reset(d)
		select {
		case <-ctx.Done():
			w.mu.Lock()
			w.armed = time.Time{}
			w.mu.Unlock()
			return ctx.Err()
		case <-w.poke:
		case <-timer.C:
		}
	}
}

// Close ends the world: Closed says true and all who wait are woken. Machines
// are still fired.
func (w *World) Close() {
	w.Lock()
	w.closed = true
	for p := w.parked.head; p != nil; p = p.next {
		w.wake(p)
	}
	w.Unlock()
	w.rouse()
}

// Closed says whether Close was called. Lock held.
func (w *World) Closed() bool { return w.closed }

// yield lets others take the lock.
func (w *World) yield() {
	w.mu.Unlock()
	runtime.Gosched()
	w.mu.Lock()
	w.readClock()
}
