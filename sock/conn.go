package sock

import (
	"io"
	"net"
	"net/netip"
	"os"
	"time"
)

// Conn is a net.Conn over a [Stream].
type Conn struct {
	o      Owner
	s      Stream
	rq, wq Waiters
	rd, wd time.Time
	closed bool
}

var _ net.Conn = (*Conn)(nil)

// NewConn makes a conn of s, which o owns. It may be called with o's lock held
// or not. Somebody has to call Ready when s becomes ready.
func NewConn(o Owner, s Stream) *Conn { return &Conn{o: o, s: s} }

// Stream returns what the conn was made of. Use it with the owner's lock held.
func (c *Conn) Stream() Stream { return c.s }

// Ready wakes blocked calls: readable those of Read, writable those of Write.
// An error or the end of the stream is both. The owner's lock is held.
func (c *Conn) Ready(readable, writable bool) {
	if readable {
		c.o.Wake(&c.rq)
	}
	if writable {
		c.o.Wake(&c.wq)
	}
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	now := c.o.Lock()
	defer c.o.Unlock()
	for {
		if err := blocked(c.closed || c.o.Closed(), now, c.rd); err != nil {
			return 0, c.wrap("read", err)
		}
		if len(p) == 0 {
			return 0, nil
		}
		n, err := c.s.Read(now, p)
		if n > 0 || err != ErrWouldBlock {
			if n > 0 {
				err = nil // it is still there for the next call
			}
			return n, c.wrap("read", err)
		}
		now = c.o.Wait(&c.rq, c.rd)
	}
}

// Write implements net.Conn: it returns early only with an error.
func (c *Conn) Write(p []byte) (done int, err error) {
	now := c.o.Lock()
	defer c.o.Unlock()
	for {
		if err := blocked(c.closed || c.o.Closed(), now, c.wd); err != nil {
			return done, c.wrap("write", err)
		}
		if len(p) == 0 {
			return 0, nil
		}
		n, err := c.s.Write(now, p[done:])
		done += n
		switch {
		case done == len(p):
			return done, nil
		case err != nil && err != ErrWouldBlock:
			return done, c.wrap("write", err)
		case n == 0:
			now = c.o.Wait(&c.wq, c.wd)
		}
	}
}

// CloseWrite says that no more bytes follow; Read goes on.
func (c *Conn) CloseWrite() error {
	now := c.o.Lock()
	defer c.o.Unlock()
	if c.closed || c.o.Closed() {
		return c.wrap("close", net.ErrClosed)
	}
	return c.wrap("close", c.s.CloseWrite(now))
}

// Close implements net.Conn. Blocked calls return net.ErrClosed; a second
// Close does too.
func (c *Conn) Close() error {
	now := c.o.Lock()
	defer c.o.Unlock()
	if c.closed {
		return c.wrap("close", net.ErrClosed)
	}
	c.closed = true
	err := c.s.Close(now)
	c.Ready(true, true)
	return c.wrap("close", err)
}

// LocalAddr returns a *net.TCPAddr.
func (c *Conn) LocalAddr() net.Addr { return tcpAddr(c.o, c.s.LocalAddr) }

// RemoteAddr returns a *net.TCPAddr.
func (c *Conn) RemoteAddr() net.Addr { return tcpAddr(c.o, c.s.RemoteAddr) }

// SetDeadline sets both deadlines, instants on the owner's clock; zero: none.
func (c *Conn) SetDeadline(t time.Time) error { return c.setDeadline(&t, &t) }

// SetReadDeadline sets the deadline of Read.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadline(&t, nil) }

// SetWriteDeadline sets the deadline of Write. Bytes that Write took before
// are on their way.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(nil, &t) }

func (c *Conn) setDeadline(r, w *time.Time) error {
	c.o.Lock()
	defer c.o.Unlock()
	if c.closed || c.o.Closed() {
		return c.wrap("set", net.ErrClosed)
	}
	if r != nil {
		c.rd = *r
	}
	if w != nil {
		c.wd = *w
	}
	c.Ready(r != nil, w != nil) // they wait with the old one
	return nil
}

// wrap makes the *net.OpError. Lock held.
func (c *Conn) wrap(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "tcp",
		Source: net.TCPAddrFromAddrPort(c.s.LocalAddr()), Addr: net.TCPAddrFromAddrPort(c.s.RemoteAddr()), Err: err}
}

// blocked says why a call must not go on.
func blocked(closed bool, now, deadline time.Time) error {
	switch {
	case closed:
		return net.ErrClosed
	case !deadline.IsZero() && !now.Before(deadline):
		return os.ErrDeadlineExceeded
	}
	return nil
}

func tcpAddr(o Owner, addr func() netip.AddrPort) net.Addr {
	o.Lock()
	defer o.Unlock()
	return net.TCPAddrFromAddrPort(addr())
}
