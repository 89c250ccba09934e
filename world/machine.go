package world

import (
	"fmt"
	"time"
)

// Machine is what a world owns. Both methods are called with its lock held.
type Machine interface {
	// Advance does what is due at now. It may touch slots, wake calls, add and
	// remove machines, and Spawn; it never takes the world's lock and never
	// waits.
	Advance(now time.Time)
	// Deadline says when Advance is wanted next; zero: never; in the past: at
	// once, because output or events are pending.
	Deadline() time.Time
}

// Slot is a machine's place in its world.
type Slot struct {
	entry
	w     *World
	m     Machine
	dirty bool
	gone  bool

	round uint64 // the settling that fired it last, and how often it did
	fired int
}

// Add makes the world the owner of m, and asks for its Deadline before the lock
// is given back. Lock held.
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

// Remove ends the ownership: the machine is not called any more, and Touch does
// nothing. A machine may be removed while it is being advanced. Lock held.
func (s *Slot) Remove() {
	s.gone = true
	s.w.due.remove(&s.entry)
}

// tooOften is how many times one machine may be fired while nothing else can
// happen. A busy machine needs one call a segment; a million in a row is a
// Deadline that Advance does not move.
const tooOften = 1_000_000

// settle reads the deadlines of touched machines and fires what is due, until
// nothing is.
func (w *World) settle() {
	w.round++
	for {
		w.readDeadlines()
		e := w.due.first()
		if e == nil || e.at.After(w.now) {
			return
		}
		w.due.remove(e) // if it is due again, it comes after its equals
		if e.slot == nil {
			w.wake(e.parked) // the time limit of a waiting call
			continue
		}
		w.fire(e.slot)
	}
}

func (w *World) readDeadlines() {
	for i := 0; i < len(w.dirty); i++ {
		s := w.dirty[i]
		w.dirty[i] = nil
		s.dirty = false
		if !s.gone {
			w.due.set(&s.entry, w.notPast(s.m.Deadline()))
		}
	}
	w.dirty = w.dirty[:0]
}

func (w *World) fire(s *Slot) {
	if s.round != w.round {
		s.round, s.fired = w.round, 0
	}
	if s.fired++; s.fired > tooOften {
		panic(fmt.Sprintf("world: a machine of type %T was due %d times at one instant (%v): its Advance leaves its Deadline (%v) in the past",
			s.m, tooOften, w.now, s.m.Deadline()))
	}
	s.Touch()
	s.m.Advance(w.now)
}

// notPast makes all that is overdue due now: it then comes in the order in
// which it was touched, so that two busy machines take turns.
func (w *World) notPast(at time.Time) time.Time {
	if !at.IsZero() && at.Before(w.now) {
		return w.now
	}
	return at
}
