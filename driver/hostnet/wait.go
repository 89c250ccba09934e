package hostnet

import (
	"context"
	"net"
	"time"

	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/sock"
)

// waiter is a record of a waiting call, kept for reuse.
type waiter struct {
	*sock.Waiter
	timer *time.Timer // made at the first time limit
	next  *waiter
}

func (n *Net) takeWaiter() *waiter {
	x := n.free
	if x == nil {
		return &waiter{Waiter: sock.NewWaiter()}
	}
	n.free, x.next = x.next, nil
	return x
}

// Wait implements sock.Owner. Without Driver.Run the waiting call pumps the
// driver itself.
func (n *Net) Wait(q *sock.Waiters, until time.Time) time.Time {
	x := n.takeWaiter()
	x.Woken = false
	q.Push(x.Waiter)
	limit := n.limit(until)
	if n.idle != nil {
		n.pump(x, limit)
	} else {
		n.park(x, limit)
	}
	x.Remove()
	x.next, n.free = n.free, x
	now := n.now()
	if !n.retryAt.IsZero() && !now.Before(n.retryAt) {
		n.retryAt = time.Time{}
		for _, e := range n.table {
			if e.ep != nil {
				e.ep.retry()
			}
		}
	}
	return now
}

// limit is until, or the moment in which a refused send is due again.
func (n *Net) limit(until time.Time) time.Time {
	if !n.retryAt.IsZero() && (until.IsZero() || n.retryAt.Before(until)) {
		return n.retryAt
	}
	return until
}

// pump takes messages, and if that did not wake the call waits for more, which
// the next pump takes: callers look again after any Wait. Lock held, but not
// meanwhile.
func (n *Net) pump(x *waiter, limit time.Time) {
	n.mu.Unlock()
	_ = n.d.Tasks() // its failure reaches everybody as a notice
	n.mu.Lock()
	if x.Woken || !limit.IsZero() && !n.now().Before(limit) {
		return
	}
	// In a virtual world nobody else runs between these two lines; elsewhere
	// Idle knows of a Wake that came before it.
	n.mu.Unlock()
	n.idle(limit)
	n.mu.Lock()
}

// park waits for the pump of Driver.Run to wake the call. Lock held, but not
// meanwhile.
func (n *Net) park(x *waiter, limit time.Time) {
	if limit.IsZero() {
		n.mu.Unlock()
		<-x.C
		n.mu.Lock()
		return
	}
	d := limit.Sub(n.now())
	if x.timer == nil {
		x.timer = time.NewTimer(d)
	} else {
		x.timer.Reset(d)
	}
	n.mu.Unlock()
	select {
	case <-x.C:
		x.timer.Stop()
		n.mu.Lock()
	case <-x.timer.C:
		n.mu.Lock()
		if x.Woken {
			<-x.C
		}
	}
}

// Wake implements sock.Owner.
func (n *Net) Wake(q *sock.Waiters) {
	woke := false
	for x := q.Front(); x != nil; x = x.Next() {
		if !x.Woken {
			x.Woken, woke = true, true
			if n.idle == nil {
				x.C <- struct{}{}
			}
		}
	}
	if woke && n.idle != nil && n.wake != nil {
		n.wake()
	}
}

// await waits on q until done, which is called with the lock held. The error is
// that of ctx, or net.ErrClosed.
func (n *Net) await(ctx context.Context, q *sock.Waiters, done func() bool) error {
	until, _ := ctx.Deadline()
	return n.awaitUntil(ctx, until, q, done)
}

func (n *Net) awaitUntil(ctx context.Context, until time.Time, q *sock.Waiters, done func() bool) error {
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, func() { n.cancelled(q) })
		defer stop()
	}
	for now := n.now(); !done(); now = n.Wait(q, until) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !until.IsZero() && !now.Before(until) {
			return context.DeadlineExceeded
		}
		if n.Closed() {
			return net.ErrClosed
		}
	}
	return nil
}

// answered waits until done, as await does, at most for the time that the device
// has to answer: ErrNoAnswer. It ends with the client. Lock held.
func (n *Net) answered(ctx context.Context, c *driver.Client, q *sock.Waiters, done func() bool) error {
	until := n.now().Add(n.cfg.AnswerLimit)
	own := true
	if d, ok := ctx.Deadline(); ok && d.Before(until) {
		until, own = d, false
	}
	ended := false
	err := n.awaitUntil(ctx, until, q, func() bool {
		ended = !done() && c.Err() != nil
		return ended || done()
	})
	switch {
	case err == context.DeadlineExceeded && own && ctx.Err() == nil:
		return ErrNoAnswer
	case err == nil && ended:
		return closedErr(c.Err())
	}
	return err
}

// cancelled makes the calls on q look at their contexts. It runs on a goroutine
// of its own, which is no actor of a virtual world and may not wait there.
func (n *Net) cancelled(q *sock.Waiters) {
	if n.idle != nil {
		if n.wake != nil {
			n.wake()
		}
		return
	}
	n.mu.Lock()
	n.Wake(q)
	n.mu.Unlock()
}
