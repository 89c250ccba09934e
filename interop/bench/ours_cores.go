package main

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/understudy-net/understudy/stack"
)

// spsc carries frames from one goroutine to another: a ring of slots that are
// used again, without a lock. Who finds it empty spins for a while, and then sleeps.
type spsc struct {
	slots [128][]byte
	_     [64]byte
	head  atomic.Uint64 // taken by the receiver
	_     [64]byte
	tail  atomic.Uint64 // put by the sender
	_     [64]byte
	lost  atomic.Uint64
}

func (q *spsc) push(f []byte) {
	t := q.tail.Load()
	if t-q.head.Load() == uint64(len(q.slots)) {
		q.lost.Add(1)
		return
	}
	s := &q.slots[t%uint64(len(q.slots))]
	*s = append((*s)[:0], f...)
	q.tail.Store(t + 1)
}

// side is one stack with its goroutine.
type side struct {
	s       *stack.Stack
	in, out *spsc
	asleep  atomic.Bool
	wake    chan struct{}
	peer    *side
	now     time.Time
}

// corePair is two of our stacks, each driven by a goroutine of its own.
type corePair struct{ sides [2]*side }

func newCorePair() (*corePair, error) {
	p := &corePair{}
	ab, ba := &spsc{}, &spsc{}
	p.sides[0] = &side{in: ba, out: ab, wake: make(chan struct{}, 1)}
	p.sides[1] = &side{in: ab, out: ba, wake: make(chan struct{}, 1)}
	for i, d := range p.sides {
		d.peer, d.now = p.sides[1-i], time.Now()
		s, err := newStack(i, func(_ time.Time, f []byte) { d.out.push(f) }, nil)
		if err != nil {
			return nil, err
		}
		d.s = s
	}
	return p, nil
}

// take hands the frames that have arrived to the stack, and says whether there were any.
func (d *side) take() bool {
	d.now = time.Now()
	if t := d.s.Deadline(); !t.IsZero() && !t.After(d.now) {
		d.s.Advance(d.now)
	}
	h := d.in.head.Load()
	n := d.in.tail.Load() - h
	var i uint64
	d.s.InputBatch(d.now, func() []byte {
		d.in.head.Store(h + i) // those before are done with
		if i == n {
			return nil
		}
		i++
		return d.in.slots[(h+i-1)%uint64(len(d.in.slots))]
	})
	for d.s.Pending() {
		d.s.NextEvent()
	}
	return n > 0
}

// ring wakes the other side if it sleeps and there is something for it.
func (d *side) ring() {
	if d.out.tail.Load() != d.out.head.Load() && d.peer.asleep.Load() {
		select {
		case d.peer.wake <- struct{}{}:
		default:
		}
	}
}

const spins = 200

// idle waits until something arrives, or for the stack's deadline.
func (d *side) idle() {
	d.ring()
	for range spins {
		if d.in.tail.Load() != d.in.head.Load() {
			return
		}
		runtime.Gosched()
	}
	d.asleep.Store(true)
	defer d.asleep.Store(false)
	if d.in.tail.Load() != d.in.head.Load() {
		return
	}
	wait := 20 * time.Millisecond
	if t := d.s.Deadline(); !t.IsZero() {
		wait = min(wait, time.Until(t))
	}
	t := time.NewTimer(max(wait, 0))
	defer t.Stop()
	select {
	case <-d.wake:
	case <-t.C:
	}
}

// oursCores is one stream, each end its own goroutine.
func oursCores() (*work, error) {
	p, err := newCorePair()
	if err != nil {
		return nil, err
	}
	a, b, err := p.connect()
	if err != nil {
		return nil, err
	}
	var src source
	var dst sink
	total := 0
	buf := make([]byte, readSize)
	return &work{
		packets: func() uint64 { return p.sides[0].out.tail.Load() + p.sides[1].out.tail.Load() },
		run: func(n int) error {
			end := total + n*unit
			var done atomic.Bool
			var g sync.WaitGroup
			var werr, rerr error
			g.Go(func() {
				d := p.sides[0]
				for left := n * unit; !done.Load(); {
					busy := d.take()
					k, err := a.Write(d.now, src.next(min(left, writeSize)))
					if err != nil && left > 0 && a.Err() != nil {
						werr = errors.Join(err, a.Err())
						return
					}
					src.took(k)
					left -= k
					d.ring()
					if !busy && k == 0 {
						d.idle()
					}
				}
			})
			g.Go(func() {
				defer done.Store(true)
				for d := p.sides[1]; total < end; {
					busy := d.take()
					k, err := b.Read(d.now, buf)
					if k > 0 {
						if rerr = dst.got(buf[:k]); rerr != nil {
							return
						}
						total += k
					} else if b.Err() != nil {
						rerr = err
						return
					}
					d.ring()
					if !busy && k == 0 {
						d.idle()
					}
				}
			})
			g.Wait()
			if n := p.sides[0].out.lost.Load() + p.sides[1].out.lost.Load(); n > 0 {
				return fmt.Errorf("the link lost %d frames", n)
			}
			return errors.Join(werr, rerr)
		},
	}, nil
}

func (p *corePair) connect() (a, b stack.TCP, err error) {
	x, y := p.sides[0], p.sides[1]
	ln, err := y.s.Listen(y.now, netip.AddrPortFrom(addrB, 80), stack.ListenConfig{})
	if err != nil {
		return
	}
	if a, err = x.s.Dial(x.now, netip.AddrPort{}, ln.Addr()); err != nil {
		return
	}
	for busy := true; busy; {
		busy = y.take()
		busy = x.take() || busy
	}
	b, err = ln.Accept(y.now)
	a.SetNoDelay(true)
	b.SetNoDelay(true)
	return
}
