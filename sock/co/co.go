package co

import (
	"errors"
	"iter"
	"net"
	"time"

	"github.com/understudy-net/understudy/sock"
)

// ErrStopped is what Read, Write and Wait say after Stop.
var ErrStopped = errors.New("co: the coroutine was stopped")

// Conn is a blocking net.Conn for the code of one coroutine. Its methods Read,
// Write, Close, CloseWrite and Wait are of use inside of the function only,
// Resume and Stop outside. Deadlines are ignored: the machine, which knows the
// time, stops the coroutine instead.
type Conn struct {
	s     sock.Stream
	now   time.Time
	yield func(struct{}) bool
	next  func() (struct{}, bool)
	stop  func()

	running bool
	again   bool // resumed while it ran
	dead    bool
	done    bool
	err     error
}

var _ net.Conn = (*Conn)(nil)

// Go makes a coroutine of fn and runs it until it blocks for the first time or
// ends.
func Go(s sock.Stream, now time.Time, fn func(c *Conn) error) *Conn {
	c := &Conn{s: s}
	c.start(func() error { return fn(c) })
	c.Resume(now)
	return c
}

func (c *Conn) start(fn func() error) {
	c.next, c.stop = iter.Pull(func(yield func(struct{}) bool) {
		c.yield = yield
		err := ErrStopped // if fn ends its goroutine
		defer func() { c.done, c.err = true, err }()
		err = fn()
	})
}

// Resume goes on with the function until it blocks again or ends; after that it
// does nothing. When the function itself brings Resume about (its Write made a
// stream report an event), it is resumed once more instead of blocking.
func (c *Conn) Resume(now time.Time) {
	if c.done || c.dead {
		return
	}
	c.now = now
	if c.running {
		c.again = true
		return
	}
	c.running = true
	defer func() { c.running = false }()
	for {
		c.again = false
		c.next()
		if !c.again || c.done {
			return
		}
	}
}

// Stop ends the function: its current and all later reads and writes fail with
// ErrStopped. When Stop returns it has ended, and no goroutine is left. Stopping
// twice, or after the end, is harmless. It must not be called from inside of
// the function.
func (c *Conn) Stop() {
	c.dead = true
	c.stop()
}

// Done says whether the function has ended.
func (c *Conn) Done() bool { return c.done }

// Err is what the function returned; nil before its end.
func (c *Conn) Err() error { return c.err }

// Now is the time of the last Resume.
func (c *Conn) Now() time.Time { return c.now }

// Stream returns what the conn was made of.
func (c *Conn) Stream() sock.Stream { return c.s }

// Wait hands control back until the next Resume, for functions that wait for
// something else than their stream.
func (c *Conn) Wait() error {
	if c.dead || !c.yield(struct{}{}) {
		c.dead = true
		return ErrStopped
	}
	return nil
}

// Read implements net.Conn. An error that the stream reports together with
// bytes is left for the next call.
func (c *Conn) Read(p []byte) (int, error) {
	for !c.dead {
		n, err := c.s.Read(c.now, p)
		if n > 0 || len(p) == 0 {
			return n, nil
		}
		if err != sock.ErrWouldBlock {
			return 0, err
		}
		if c.Wait() != nil {
			break
		}
	}
	return 0, ErrStopped
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (done int, err error) {
	for !c.dead {
		n, err := c.s.Write(c.now, p[done:])
		done += n
		switch {
		case done == len(p):
			return done, nil
		case err != nil && err != sock.ErrWouldBlock:
			return done, err
		}
		if n == 0 && c.Wait() != nil {
			break
		}
	}
	return done, ErrStopped
}

// Close closes the stream.
func (c *Conn) Close() error { return c.s.Close(c.now) }

// CloseWrite says that no more bytes follow.
func (c *Conn) CloseWrite() error { return c.s.CloseWrite(c.now) }

// LocalAddr returns a *net.TCPAddr.
func (c *Conn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.s.LocalAddr()) }

// RemoteAddr returns a *net.TCPAddr.
func (c *Conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.s.RemoteAddr()) }

// SetDeadline does nothing.
func (c *Conn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (c *Conn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (c *Conn) SetWriteDeadline(time.Time) error { return nil }
