package sock

import (
	"net"
	"time"
)

// Listener is a net.Listener over an [Acceptor].
type Listener struct {
	o      Owner
	a      Acceptor
	wrapFn func(Stream) *Conn
	q      Waiters
	d      time.Time
	closed bool
}

var _ net.Listener = (*Listener)(nil)

// NewListener makes a listener of a, which o owns. wrap makes the conn of each
// accepted stream, with the owner's lock held, and sees to it that its Ready
// will be called; nil: NewConn.
func NewListener(o Owner, a Acceptor, wrap func(Stream) *Conn) *Listener {
	if wrap == nil {
		wrap = func(s Stream) *Conn { return NewConn(o, s) }
	}
	return &Listener{o: o, a: a, wrapFn: wrap}
}

// Acceptor returns what the listener was made of. Use it with the owner's lock held.
func (l *Listener) Acceptor() Acceptor { return l.a }

// Ready wakes blocked Accepts: a connection waits, or an error. Lock held.
func (l *Listener) Ready() { l.o.Wake(&l.q) }

// Accept implements net.Listener; the conn is a *[Conn].
func (l *Listener) Accept() (net.Conn, error) {
	now := l.o.Lock()
	defer l.o.Unlock()
	for {
		if err := blocked(l.closed || l.o.Closed(), now, l.d); err != nil {
			return nil, l.wrap("accept", err)
		}
		s, err := l.a.Accept(now)
		switch {
		case err == nil:
			return l.wrapFn(s), nil
		case err != ErrWouldBlock:
			return nil, l.wrap("accept", err)
		}
		now = l.o.Wait(&l.q, l.d)
	}
}

// Close implements net.Listener. Accepted connections stay; those that nobody
// accepted are up to the acceptor.
func (l *Listener) Close() error {
	now := l.o.Lock()
	defer l.o.Unlock()
	if l.closed {
		return l.wrap("close", net.ErrClosed)
	}
	l.closed = true
	err := l.a.Close(now)
	l.Ready()
	return l.wrap("close", err)
}

// Addr returns a *net.TCPAddr.
func (l *Listener) Addr() net.Addr { return tcpAddr(l.o, l.a.Addr) }

// SetDeadline sets the deadline of Accept, as *net.TCPListener has it.
func (l *Listener) SetDeadline(t time.Time) error {
	l.o.Lock()
	defer l.o.Unlock()
	if l.closed || l.o.Closed() {
		return l.wrap("set", net.ErrClosed)
	}
	l.d = t
	l.Ready()
	return nil
}

func (l *Listener) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return &net.OpError{Op: op, Net: "tcp", Addr: net.TCPAddrFromAddrPort(l.a.Addr()), Err: err}
}
