package world

import (
	"bytes"
	"runtime"
	"slices"
	"sync"
	"time"
)

// patience is how much virtual time may pass in Do while no actor was woken and
// none has a time limit. Leases of a day expire within it; what repeats for ever
// (a beacon, say) does not make it longer.
const patience = 48 * time.Hour

// actors is what a virtual world knows about blocking code. At most one actor
// runs: it has the baton.
type actors struct {
	running int       // actors with the baton: 0 or 1
	ready   fifo      // woken actors, in order of waking
	visits  []*visit  // calls of Do under way: time moves for them only
	limits  int       // waiting calls that have a time limit
	woke    time.Time // when an actor was given the baton last
	rest    sync.Cond // signalled when nobody runs and nobody is ready
}

// visit is a call of Do.
type visit struct {
	returned bool        // f returned, rather than ending its goroutine
	ended    bool        // its actor has left the world
	stalled  *StallError // or never will
}

// Do runs f as an actor of a virtual world and returns when f has ended and
// the others wait. It is called from outside, never by an actor; time moves
// while it is under way. The error is a [*StallError] (and errors.Is
// [ErrStalled]) when f and all other actors wait for what cannot happen: they
// stay where they are until the world is closed. If f ends its goroutine, as
// testing's FailNow does, Do ends the caller's.
//
// In a wall world it just calls f.
func (w *World) Do(f func()) error {
	if !w.virtual {
		f()
		return nil
	}
	v := &visit{}
	w.Lock()
	if w.actors.running > 0 && isActor() { // it would wait for itself
		w.Unlock()
		panic("world: Do called by an actor: use Go, and wait for its end in the world")
	}
	w.actors.visits = append(w.actors.visits, v)
	w.spawn(func() { f(); v.returned = true }, v)
	w.settle()
	w.handOn()
	for v.stalled == nil && !(v.ended && w.quiet()) {
		w.actors.rest.Wait()
	}
	w.mu.Unlock()
	switch {
	case v.stalled != nil:
		return v.stalled
	case !v.returned:
		runtime.Goexit()
	}
	return nil
}

// isActor says whether the caller's goroutine is an actor, of any world.
func isActor() bool {
	buf := make([]byte, 64<<10)
	buf = buf[:runtime.Stack(buf, false)]
	return bytes.Contains(buf, []byte("/world.(*World).spawn.func"))
}

// Go starts f as an actor of a virtual world, or as a goroutine in a wall
// world. Called from outside while no actor runs, it returns when f and those
// whom it woke wait; time does not move for it. See [World.Do].
func (w *World) Go(f func()) {
	w.Lock()
	w.Spawn(f)
	w.Unlock()
}

// Spawn is Go for those who have the lock, machines in their Advance too: f
// counts as ready from here on, and begins when it is its turn.
func (w *World) Spawn(f func()) {
	if !w.virtual {
		go f()
		return
	}
	w.spawn(f, nil)
}

func (w *World) spawn(f func(), v *visit) {
	p := w.newParked()
	w.wake(p)
	go func() {
		<-p.C
		w.mu.Lock()
		w.recycle(p)
		w.mu.Unlock()
		defer w.leave(v)
		f()
	}()
}

// leave is what an actor does last, when f returned or ended its goroutine.
func (w *World) leave(v *visit) {
	if r := recover(); r != nil {
		panic(r) // the process ends: do not let others run on
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.actors.running--
	if v != nil {
		v.ended = true
		if i := slices.Index(w.actors.visits, v); i >= 0 {
			w.actors.visits = slices.Delete(w.actors.visits, i, i+1)
		}
		w.actors.rest.Broadcast() // Do looks
	}
	w.settle()
	w.handOn()
}

// handOn gives the baton to the next woken actor. When there is none and a Do
// is under way, time moves on until one is woken.
func (w *World) handOn() {
	a := &w.actors
	for a.running == 0 {
		if p := a.ready.pop(); p != nil {
			a.running = 1
			a.woke = w.now
			p.C <- struct{}{}
			return
		}
		if len(a.visits) == 0 {
			break
		}
		if a.limits == 0 && w.now.Sub(a.woke) > patience || !w.step() {
			w.stall()
			break
		}
	}
	a.rest.Broadcast()
}

// quiet says that all actors wait. While a Do is under way that is its
// business: others need not stay for it.
func (w *World) quiet() bool {
	a := &w.actors
	return len(a.visits) > 0 || a.running == 0 && a.ready.head == nil
}

// letOthersRun is for goroutines outside of the world: it returns when the
// actors that they woke wait again. For an actor, who has the baton, it does
// nothing: the others run when it waits.
func (w *World) letOthersRun() {
	if w.actors.running > 0 || w.actors.ready.head == nil {
		return
	}
	w.handOn()
	for !w.quiet() {
		w.actors.rest.Wait()
	}
}

// fifo is a queue of woken actors.
type fifo struct{ head, tail *parked }

func (q *fifo) push(p *parked) {
	p.after = nil
	if q.tail != nil {
		q.tail.after = p
	} else {
		q.head = p
	}
	q.tail = p
}

func (q *fifo) pop() *parked {
	p := q.head
	if p == nil {
		return nil
	}
	if q.head = p.after; q.head == nil {
		q.tail = nil
	}
	p.after = nil
	return p
}
