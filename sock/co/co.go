// Package co runs code that must block, such as http.ReadResponse or a TLS
// handshake, as a coroutine of a machine.
//
// [Go] starts a function on a [Conn], whose Read and Write work on a
// non-blocking [sock.Stream] and hand control back to the machine until there
// is something. The machine resumes the function when its socket is ready:
//
//	c := co.Go(stream, now, func(c *co.Conn) error {
//		return request.Write(c)
//	})
//	…
//	c.Resume(now) // the stream became readable or writable
//	if c.Done() { … c.Err() }
//
// Coroutine and machine take turns on one goroutine at a time, in fixed order:
// there is no concurrency, and code in the function never takes the owner's
// lock, which the machine holds already. A parked coroutine costs a parked
// goroutine's memory; Stop ends it.
//
// Under crypto/tls, whose reader may have to write while its writer is
// stalled, use [Buffered]: its Write never hands control back.
package co

import (
	"errors"
	"iter"
	"net"
	"time"

	"github.com/understudy-net/understudy/sock"
)

// ErrStopped is what Read and Write say after Stop.
var ErrStopped = errors.New("co: the coroutine was stopped")

// Conn is a blocking net.Conn for the code of one coroutine. It is of no use
// outside of that function. Deadlines are ignored: the machine stops the
// coroutine instead.
type Conn struct {
	s     sock.Stream
	now   time.Time
	yield func(struct{}) bool
	next  func() (struct{}, bool)
	stop  func()
	dead  bool
	done  bool
	err   error
}

var _ net.Conn = (*Conn)(nil)

// Go runs fn until it blocks for the first time or ends.
func Go(s sock.Stream, now time.Time, fn func(c *Conn) error) *Conn {
	c := &Conn{s: s}
	c.start(fn)
	c.Resume(now)
	return c
}

func (c *Conn) start(fn func(c *Conn) error) {
	c.next, c.stop = iter.Pull(func(yield func(struct{}) bool) {
		c.yield = yield
		c.err = fn(c)
		c.done = true
	})
}

// Resume goes on with the function until it blocks again or ends. It does
// nothing after that.
func (c *Conn) Resume(now time.Time) {
	if c.done || c.dead {
		return
	}
	c.now = now
	c.next()
}

// Stop ends the function: its current and all later reads and writes fail with
// ErrStopped. When Stop returns it has ended. Stopping twice, or after the end,
// is harmless. It must not be called from inside the function.
func (c *Conn) Stop() {
	c.dead = true
	c.stop()
	if !c.done {
		c.done, c.err = true, ErrStopped // it never began
	}
}

// Done says whether the function has ended.
func (c *Conn) Done() bool { return c.done }

// Err is what the function returned; nil before its end.
func (c *Conn) Err() error { return c.err }

// Now is the time of the last Resume.
func (c *Conn) Now() time.Time { return c.now }

// Wait hands control back until the next Resume, for functions that wait for
// something else than their stream.
func (c *Conn) Wait() error {
	if c.dead || !c.yield(struct{}{}) {
		c.dead = true
		return ErrStopped
	}
	return nil
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	for !c.dead {
		n, err := c.s.Read(c.now, p)
		if n > 0 || err != sock.ErrWouldBlock {
			if n > 0 {
				err = nil
			}
			return n, err
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
