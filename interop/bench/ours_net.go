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
	link  *worldLink
	end   context.CancelFunc
	ended sync.WaitGroup
}

// worldLink carries frames between two stacks of a world: it is a machine that
// is due as soon as there is a frame.
type worldLink struct {
	out   [2]frames
	hosts [2]*stack.Host
	slots [2]*world.Slot
	slot  *world.Slot
	due   time.Time
}

func (l *worldLink) Deadline() time.Time { return l.due }

func (l *worldLink) Advance(now time.Time) {
	for i := range l.out {
		for f := l.out[i].pop(); f != nil; f = l.out[i].pop() {
			l.hosts[1-i].Stack.Input(now, f)
			l.slots[1-i].Touch()
		}
	}
	if l.out[0].tail == 0 {
		l.due = time.Time{}
	}
}

func (l *worldLink) send(i int, now time.Time, f []byte) {
	l.out[i].push(f)
	if l.due.IsZero() {
		l.due = now
		l.slot.Touch()
	}
}

func newNetPair() (*netPair, error) {
	p := &netPair{w: world.New(), link: &worldLink{}}
	p.w.Lock()
	p.link.slot = p.w.Add(p.link)
	for i := range p.nets {
		s, err := newStack(i, func(now time.Time, f []byte) { p.link.send(i, now, f) })
		if err != nil {
			return nil, err
		}
		h := &stack.Host{Stack: s, Handle: stack.HandleSock}
		p.link.hosts[i], p.link.slots[i] = h, p.w.Add(h)
		p.nets[i] = stack.Net{Owner: p.w, Stack: s}
	}
	p.w.Unlock()
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
