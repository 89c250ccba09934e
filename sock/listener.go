package sock

import (
	"net"
	"net/netip"
	"time"
)

// Listener is a net.Listener over an [Acceptor].
type Listener struct {
	o       Owner
	a       Acceptor
	newConn func(Stream) *Conn
	in      direction

	closed bool
	addr   netip.AddrPort // of a closed one
}

var _ net.Listener = (*Listener)(nil)

// NewListener makes a listener of a, which o owns. wrap makes the conn of each
// accepted stream, with the owner's lock held, and sees to it that its Ready
// will be called; nil: NewConn.
func NewListener(o Owner, a Acceptor, wrap func(Stream) *Conn) *Listener {
	if wrap == nil {
		wrap = func(s Stream) *Conn { return NewConn(o, s) }
	}
	return &Listener{o: o, a: a, newConn: wrap}
}

// Acceptor returns what the listener was made of. Use it with the owner's lock
// held.
func (l *Listener) Acceptor() Acceptor { return l.a }

// Ready wakes blocked Accepts: a connection waits, or an error. Lock held.
func (l *Listener) Ready() { l.o.Wake(&l.in.q) }

// Accept implements net.Listener; the conn is a *[Conn].
func (l *Listener) Accept() (net.Conn, error) {
	now := l.o.Lock()
	defer l.o.Unlock()
	for {
		if err := l.in.mayNot(l.o, l.closed, now); err != nil {
			return nil, l.wrap("accept", err)
		}
		s, err := l.a.Accept(now)
		if err == nil {
			return l.newConn(s), nil
		}
		if err != ErrWouldBlock {
			return nil, l.wrap("accept", err)
		}
		now = l.o.Wait(&l.in.q, l.in.deadline)
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
	l.addr = l.a.Addr()
	l.closed = true
	err := l.a.Close(now)
	l.Ready()
	return l.wrap("close", err)
}

// Addr returns a *net.TCPAddr.
func (l *Listener) Addr() net.Addr {
	l.o.Lock()
	defer l.o.Unlock()
	return net.TCPAddrFromAddrPort(l.addrPort())
}

func (l *Listener) addrPort() netip.AddrPort {
	if l.closed {
		return l.addr
	}
	return l.a.Addr()
}

// SetDeadline sets the deadline of Accept, as *net.TCPListener has it.
func (l *Listener) SetDeadline(t time.Time) error {
	l.o.Lock()
	defer l.o.Unlock()
	if l.closed || l.o.Closed() {
		return l.wrap("set", net.ErrClosed)
	}
	l.in.deadline = t
	l.Ready()
	return nil
}

func (l *Listener) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return &net.OpError{Op: op, Net: "tcp", Addr: net.TCPAddrFromAddrPort(l.addrPort()), Err: err}
}
