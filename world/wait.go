package world

import (
	"runtime"
	"sync"
	"time"

	"github.com/understudy-net/understudy/sock"
)

// parked is a waiting call, or an actor that has not begun.
type parked struct {
	*sock.Waiter
	limit      entry // in the queue while there is a time limit
	next, prev *parked
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

// Wait implements sock.Owner. In a virtual world only actors may call it.
// After Close it returns at once, having let others run.
func (w *World) Wait(q *sock.Waiters, until time.Time) time.Time {
	if w.virtual && w.running == 0 {
		panic("world: Wait in a virtual world outside of its actors; use Do or Go")
	}
	if w.closed && !w.virtual {
		w.yield()
		return w.now
	}
	p := w.newParked()
	q.Push(p.Waiter)
	w.parked.push(p)
	w.due.set(&p.limit, w.notPast(until))
	if w.closed {
		w.wake(p) // others go first
	}
	w.park(p)
	p.Remove()
	w.parked.remove(p)
	w.due.remove(&p.limit)
	p.next, w.free = w.free, p
	return w.now
}

// park gives the lock back until p is woken, and takes it again.
func (w *World) park(p *parked) {
	w.settle()
	poke := false
	if w.virtual {
		w.running--
		w.handOn()
	} else {
		poke = w.runsLate()
	}
	w.mu.Unlock()
	if poke {
		w.rouse()
	}
	<-p.C
	w.mu.Lock()
	w.readClock()
	w.settle()
}

// Wake implements sock.Owner.
func (w *World) Wake(q *sock.Waiters) {
	for x := q.Front(); x != nil; x = x.Next() {
		w.wake(x.Owner.(*parked))
	}
}

func (w *World) wake(p *parked) {
	if p.Woken {
		return
	}
	p.Woken = true
	if w.virtual {
		w.ready.push(p)
		return
	}
	p.C <- struct{}{}
}

// Sleep lets d pass.
func (w *World) Sleep(d time.Duration) {
	var nobody sock.Waiters
	now := w.Lock()
	for end := now.Add(d); now.Before(end) && !w.closed; {
		now = w.Wait(&nobody, end)
	}
	w.Unlock()
}

// handOn gives the baton of a virtual world to the next woken actor. When
// there is none, time moves on until one is woken, for as long as a Do is under
// way: so it stands still between two of them.
func (w *World) handOn() {
	for w.running == 0 {
		if p := w.ready.pop(); p != nil {
			w.running = 1
			w.woke, w.stalled = w.now, false
			p.C <- struct{}{}
			return
		}
		if w.doing == 0 || w.parked.head == nil || w.stalled {
			return
		}
		if w.now.Sub(w.woke) > patience || !w.step() {
			w.stalled = true
			close(w.stall)
			w.stall = make(chan struct{})
			return
		}
	}
}

// Spawn starts f as an actor of a virtual world, or as a goroutine in a wall
// world. It counts from here on, not from when the goroutine first runs. Lock
// held.
func (w *World) Spawn(f func()) {
	if !w.virtual {
		go f()
		return
	}
	w.spawn(f, nil)
}

// spawn is Spawn in a virtual world; after, if not nil, makes it the actor of a
// Do and is called when it has left the world.
func (w *World) spawn(f, after func()) {
	p := w.newParked()
	w.wake(p)
	go func() {
		<-p.C
		w.mu.Lock()
		p.next, w.free = w.free, p
		w.mu.Unlock()
		defer func() {
			w.mu.Lock()
			w.running--
			if after != nil {
				w.doing--
			}
			w.settle()
			w.handOn()
			w.mu.Unlock()
			if after != nil {
				after()
			}
		}()
		f()
	}()
}

// Go is Spawn without the lock held.
func (w *World) Go(f func()) {
	w.Lock()
	w.Spawn(f)
	w.Unlock()
}

// Do runs f as an actor and waits for its end, from outside of the world. In a
// wall world it just calls f. The error is ErrStalled when the world stalled
// before f ended: f's goroutine then waits for ever, unless the world is
// closed. If f ends its goroutine (as testing's FailNow does), so does Do.
func (w *World) Do(f func()) error {
	if !w.virtual {
		f()
		return nil
	}
	done := make(chan struct{})
	returned := false
	w.Lock()
	stall := w.stall
	w.doing++
	w.spawn(func() {
		f()
		returned = true
	}, func() { close(done) })
	w.Unlock()
	select {
	case <-done:
		if !returned {
			runtime.Goexit()
		}
		return nil
	case <-stall:
		return ErrStalled
	}
}

// Locker returns a lock whose waiters are parked in the world, so that it may
// be held while sleeping or waiting there.
func (w *World) Locker() sync.Locker { return &locker{w: w} }

type locker struct {
	w    *World
	held bool
	q    sock.Waiters
}

func (l *locker) Lock() {
	l.w.Lock()
	for l.held {
		l.w.Wait(&l.q, time.Time{})
	}
	l.held = true
	l.w.Unlock()
}

func (l *locker) Unlock() {
	l.w.Lock()
	l.held = false
	if x := l.q.Front(); x != nil {
		l.w.wake(x.Owner.(*parked))
	}
	l.w.Unlock()
}

// fifo is a queue of woken actors.
type fifo struct {
	items []*parked
	head  int
}

func (q *fifo) push(p *parked) { q.items = append(q.items, p) }

func (q *fifo) pop() *parked {
	if q.head == len(q.items) {
		return nil
	}
	p := q.items[q.head]
	q.items[q.head] = nil
	q.head++
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
	return p
}

// parkedList holds all waiting calls, in order.
type parkedList struct{ head, tail *parked }

func (l *parkedList) push(p *parked) {
	p.prev, p.next = l.tail, nil
	if l.tail != nil {
		l.tail.next = p
	} else {
		l.head = p
	}
	l.tail = p
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
}
