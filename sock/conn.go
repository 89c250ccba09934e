package sock

import (
	"io"
	"net"
	"net/netip"
	"time"
)

// Conn is a net.Conn over a [Stream].
type Conn struct {
	o       Owner
	s       Stream
	rd, wr  direction
	turn    Waiters // those who wait for another Write to end
	writing bool

	closed        bool
	local, remote netip.AddrPort // of a closed one, whose stream has forgotten
}

var _ net.Conn = (*Conn)(nil)

// NewConn makes a conn of s, which o owns. It may be called with o's lock held
// or not. Somebody has to call Ready when s becomes ready.
func NewConn(o Owner, s Stream) *Conn { return &Conn{o: o, s: s} }

// Stream returns what the conn was made of. Use it with the owner's lock held.
func (c *Conn) Stream() Stream { return c.s }

// Ready wakes blocked calls: readable those of Read, writable those of Write.
// An error or the end of the stream is both. To say too much costs a look, to
// say too little leaves a call waiting. The owner's lock is held.
func (c *Conn) Ready(readable, writable bool) {
	if readable {
		c.o.Wake(&c.rd.q)
	}
	if writable {
		c.o.Wake(&c.wr.q)
	}
}

// Read implements net.Conn. An error that the stream reports together with
// bytes is left for the next call.
func (c *Conn) Read(p []byte) (int, error) {
	now := c.o.Lock()
	defer c.o.Unlock()
	for {
		if err := c.rd.mayNot(c.o, c.closed, now); err != nil {
			return 0, c.wrap("read", err)
		}
		if len(p) == 0 {
			return 0, nil
		}
		n, err := c.s.Read(now, p)
		if n > 0 {
			return n, nil
		}
		if err != ErrWouldBlock {
			return 0, c.wrap("read", err)
		}
		now = c.o.Wait(&c.rd.q, c.rd.deadline)
	}
}

// Write implements net.Conn: it takes all of p, or less with an error. The
// bytes of concurrent calls do not mix.
func (c *Conn) Write(p []byte) (done int, err error) {
	now := c.o.Lock()
	defer c.o.Unlock()
	for c.writing {
		if err := c.wr.mayNot(c.o, c.closed, now); err != nil {
			return 0, c.wrap("write", err)
		}
		now = c.o.Wait(&c.turn, c.wr.deadline)
	}
	c.writing = true
	done, err = c.write(now, p)
	c.writing = false
	c.o.Wake(&c.turn)
	return done, c.wrap("write", err)
}

func (c *Conn) write(now time.Time, p []byte) (done int, err error) {
	for {
		if err := c.wr.mayNot(c.o, c.closed, now); err != nil {
			return done, err
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
			return done, err
		case n == 0:
			now = c.o.Wait(&c.wr.q, c.wr.deadline)
		}
	}
}

// CloseWrite says that no more bytes follow; Read goes on. The error is
// errors.ErrUnsupported, wrapped, where the stream cannot do that.
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
	c.local, c.remote = c.s.LocalAddr(), c.s.RemoteAddr()
	c.closed = true
	err := c.s.Close(now)
	c.look(true, true)
	return c.wrap("close", err)
}

// LocalAddr returns a *net.TCPAddr.
func (c *Conn) LocalAddr() net.Addr {
	c.o.Lock()
	defer c.o.Unlock()
	local, _ := c.addrs()
	return net.TCPAddrFromAddrPort(local)
}

// RemoteAddr returns a *net.TCPAddr.
func (c *Conn) RemoteAddr() net.Addr {
	c.o.Lock()
	defer c.o.Unlock()
	_, remote := c.addrs()
	return net.TCPAddrFromAddrPort(remote)
}

func (c *Conn) addrs() (local, remote netip.AddrPort) {
	if c.closed {
		return c.local, c.remote
	}
	return c.s.LocalAddr(), c.s.RemoteAddr()
}

// SetDeadline sets both deadlines, instants on the owner's clock; zero: none.
func (c *Conn) SetDeadline(t time.Time) error { return c.setDeadline(t, true, true) }

// SetReadDeadline sets the deadline of Read.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadline(t, true, false) }

// SetWriteDeadline sets the deadline of Write. Bytes that Write took before
// are on their way.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(t, false, true) }

func (c *Conn) setDeadline(t time.Time, read, write bool) error {
	c.o.Lock()
	defer c.o.Unlock()
	if c.closed || c.o.Closed() {
		return c.wrap("set", net.ErrClosed)
	}
	if read {
		c.rd.deadline = t
	}
	if write {
		c.wr.deadline = t
	}
	c.look(read, write) // they wait with the old one
	return nil
}

// look makes blocked calls look again at deadlines and at closed.
func (c *Conn) look(read, write bool) {
	c.Ready(read, write)
	if write {
		c.o.Wake(&c.turn)
	}
}

// wrap makes the *net.OpError. Lock held.
func (c *Conn) wrap(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	local, remote := c.addrs()
	return &net.OpError{Op: op, Net: "tcp", Source: net.TCPAddrFromAddrPort(local), Addr: net.TCPAddrFromAddrPort(remote), Err: err}
}
