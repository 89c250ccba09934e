package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/understudy-net/understudy/sock"
	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/world"
)

// netPair is two of our stacks in a world on the wall clock, for code that
// blocks on the net adapters. Calls run on the caller's goroutine, frames and
// timers included; one goroutine waits for the timers of quiet times.
type netPair struct {
	w     *world.World
	nets  [2]stack.Net
	link  *couple
	end   context.CancelFunc
	ended sync.WaitGroup
}

// couple is two hosts and the link between them as one machine: its world looks
// at one deadline instead of three.
type couple struct {
	hosts [2]*stack.Host
	out   [2]frames
	slot  *world.Slot
	now   time.Time
}

// Deadline is the past while there are frames on the link.
func (l *couple) Deadline() time.Time {
	if l.out[0].tail+l.out[1].tail > 0 {
		return l.now
	}
	a, b := l.hosts[0].Deadline(), l.hosts[1].Deadline()
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Advance carries frames until the link is quiet, and lets the hosts do what is due.
func (l *couple) Advance(now time.Time) {
	for l.out[0].tail+l.out[1].tail > 0 {
		for i := range l.out {
			if l.out[i].tail > 0 {
				l.hosts[1-i].Stack.InputBatch(now, l.out[i].pop)
			}
		}
	}
	for _, h := range l.hosts {
		if d := h.Deadline(); !d.IsZero() && !d.After(now) {
			h.Advance(now)
		}
	}
}

func newNetPair() (*netPair, error) {
	p := &netPair{w: world.New(), link: &couple{}}
	now := p.w.Lock()
	defer p.w.Unlock()
	l := p.link
	l.now = now
	touch := func() {
		if l.slot != nil {
			l.slot.Touch()
		}
	}
	for i := range p.nets {
		s, err := newStack(i, func(_ time.Time, f []byte) { l.out[i].push(f); touch() }, touch)
		if err != nil {
			return nil, err
		}
		l.hosts[i] = &stack.Host{Stack: s, Handle: stack.HandleSock}
		p.nets[i] = stack.Net{Owner: p.w, Stack: s}
	}
	l.slot = p.w.Add(l)
	ctx, end := context.WithCancel(context.Background())
	p.end = end
	p.ended.Go(func() { p.w.Run(ctx) })
	return p, nil
}

func (p *netPair) packets() uint64 {
	p.w.Lock()
	defer p.w.Unlock()
	return p.link.out[0].total + p.link.out[1].total
}

func (p *netPair) close() {
	p.end()
	p.w.Close()
	p.ended.Wait()
}

func (p *netPair) connect() (a, b net.Conn, err error) {
	ln, err := p.nets[1].Listen("tcp", ":80")
	if err != nil {
		return
	}
	defer ln.Close()
	if a, err = p.nets[0].Dial(context.Background(), "tcp", netip.AddrPortFrom(addrB, 80).String()); err != nil {
		return
	}
	if b, err = ln.Accept(); err != nil {
		return
	}
	return a, b, errors.Join(noDelay(p.w, a), noDelay(p.w, b))
}

// noDelay turns Nagle's algorithm off, as it is with the others: else each
// round would end with the wait for a delayed ACK.
func noDelay(w *world.World, c net.Conn) error {
	w.Lock()
	defer w.Unlock()
	return c.(*sock.Conn).Stream().(stack.TCP).SetNoDelay(true)
}

func oursPingPongBlocking() (*work, error) {
	p, err := newNetPair()
	if err != nil {
		return nil, err
	}
	a, b, err := p.connect()
	if err != nil {
		return nil, err
	}
	return &work{packets: p.packets, close: p.close, run: func(n int) error { return blockingPingPong(a, b, n) }}, nil
}

// oursBulkBlocking is one stream over the net adapters.
func oursBulkBlocking() (*work, error) {
	p, err := newNetPair()
	if err != nil {
		return nil, err
	}
	a, b, err := p.connect()
	if err != nil {
		return nil, err
	}
	ss := []*blockingStream{newBlockingStream(a, b)}
	return &work{packets: p.packets, close: p.close, run: func(n int) error { return runBlocking(ss, n) }}, nil
}
