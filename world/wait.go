package world

import (
	"time"

	"github.com/understudy-net/understudy/sock"
)

// parked is a waiting call, or an actor that has not begun. Records are reused.
type parked struct {
	*sock.Waiter
	limit      entry   // in the queue while there is a time limit
	next, prev *parked // in World.parked, or next in World.free
	after      *parked // the next one in actors.ready
}

func (w *World) newParked() *parked {
	p := w.free
	if p == nil {
		p = &parked{Waiter: sock.NewWaiter()}
		p.Waiter.Owner = p
		p.limit = entry{index: -1, parked: p}
	} else {
		w.free = p.next
	}
	p.next, p.Woken = nil, false
	return p
}

func (w *World) recycle(p *parked) { p.next, w.free = w.free, p }

// Wait implements sock.Owner: it gives the lock back until Wake(q), until
// (zero: no limit), or Close, and returns the time. A nil q waits for the time
// alone. Callers look again at what they waited for; woken calls go on in the
// order in which they waited.
//
// After Close it returns at once, having let others run: callers look at
// Closed. In a virtual world only actors may call it; elsewhere it panics. In a
// wall world the limit is kept by Run.
func (w *World) Wait(q *sock.Waiters, until time.Time) time.Time {
	switch {
	case w.virtual && w.actors.running == 0:
		panic("world: Wait in a virtual world by a goroutine that is no actor of it: run it with Do or Go")
	case w.closed && !w.virtual:
		w.yield()
		return w.now
	}
	return w.wait(q, until, w.closed)
}

// wait parks the caller; at the end of those who are ready if woken.
func (w *World) wait(q *sock.Waiters, until time.Time, woken bool) time.Time {
	p := w.newParked()
	if q != nil {
		q.Push(p.Waiter)
	}
	w.parked.push(p)
	if !until.IsZero() {
		w.due.set(&p.limit, w.notPast(until))
		w.actors.limits++
	}
	if woken {
		w.wake(p)
	}
	w.park(p)
	if !until.IsZero() {
		w.due.remove(&p.limit)
		w.actors.limits--
	}
	w.parked.remove(p)
	p.Remove()
	w.recycle(p)
	return w.now
}

// park gives the lock back until p is woken, and takes it again. The time is that of
// whoever had the lock last, at the earliest that of the waking: it is not
// worth a look at the clock.
func (w *World) park(p *parked) {
	w.settle()
	late := false
	if w.virtual {
		w.actors.running--
		w.handOn()
	} else {
		late = w.runsLate()
	}
	w.mu.Unlock()
	if late {
		w.rouse()
	}
	<-p.C
	w.mu.Lock()
}

// Wake implements sock.Owner: all calls that wait on q go on, in the order in
// which they waited. It never blocks. Lock held.
func (w *World) Wake(q *sock.Waiters) {
	for x := q.Front(); x != nil; x = x.Next() {
		w.wake(x.Owner.(*parked))
	}
}

// wake makes p go on. A call is woken once: when its time limit and a Wake
// coincide, or a second Wake comes before it has the lock again, the later one
// finds it woken, and the call sees the effect of both.
func (w *World) wake(p *parked) {
	if p.Woken {
		return
	}
	p.Woken = true
	if w.virtual {
		w.actors.ready.push(p)
		return
	}
	p.C <- struct{}{} // capacity 1, and empty: see Woken
}

// Sleep lets d pass, or less if the world is closed.
func (w *World) Sleep(d time.Duration) {
	now := w.Lock()
	defer w.Unlock()
	for end := now.Add(d); now.Before(end) && !w.closed; {
		now = w.Wait(nil, end)
	}
}

// parkedList holds all waiting calls, in order.
type parkedList struct {
	head, tail *parked
	n          int
}

func (l *parkedList) push(p *parked) {
	p.prev, p.next = l.tail, nil
	if l.tail != nil {
		l.tail.next = p
	} else {
		l.head = p
	}
	l.tail = p
	l.n++
}

func (l *parkedList) remove(p *parked) {
	if p.prev != nil {
		p.prev.next = p.next
	} else {
		l.head = p.next
	}
	if p.next != nil {
		p.next.prev = p.prev
	} else {
		l.tail = p.prev
	}
	p.prev, p.next = nil, nil
	l.n--
}
