package co

import (
	"io"
	"time"

	"github.com/understudy-net/understudy/sock"
)

// highWater is how many bytes may wait for Flush before Read keeps what the peer
// sent from the function, which could only answer with more.
const highWater = 64 << 10

// Buffered is a [Conn] whose Write never hands control back: it appends to a
// buffer, which the machine drains with Flush. It is the conn under
// crypto/tls. There a reader that must send an alert waits for a lock that a
// stalled writer would hold; since Write never stalls, no peer can freeze the
// machine. So only the handshake and Read need the coroutine, and the machine
// calls tls.Conn.Write straight.
//
// To bound the buffer, the machine gives tls.Conn.Write at most 16 KiB, and only
// while Pending is 0; and Read waits while more than 64 KiB are pending, so that
// a peer who reads nothing cannot make answers pile up.
type Buffered struct {
	Conn
	out      []byte
	flushing bool

	finish, closing  bool // wanted after the last byte
	finished, closed bool // and done
}

// GoBuffered makes a coroutine of fn, runs it until it blocks for the first time
// or ends, then flushes. An error of the stream comes with the next Flush.
func GoBuffered(s sock.Stream, now time.Time, fn func(c *Buffered) error) *Buffered {
	b := &Buffered{Conn: Conn{s: s}}
	b.start(func() error { return fn(b) })
	b.Resume(now)
	return b
}

// Resume goes on with the function until it blocks again or ends, and flushes
// what it wrote. The error is that of the stream, as from Flush.
func (b *Buffered) Resume(now time.Time) error {
	_ = b.Flush(now) // make room: Read may wait for it
	b.Conn.Resume(now)
	return b.Flush(now)
}

// Read implements net.Conn, as that of Conn.
func (b *Buffered) Read(p []byte) (int, error) {
	for len(b.out) > highWater {
		if err := b.Wait(); err != nil {
			return 0, err
		}
	}
	return b.Conn.Read(p)
}

// Write keeps p for Flush; inside of the function or outside.
func (b *Buffered) Write(p []byte) (int, error) {
	if b.finish || b.closing {
		return 0, io.ErrClosedPipe
	}
	b.out = append(b.out, p...)
	return len(p), nil
}

// Close closes the stream, after Flush has given it all that was written.
func (b *Buffered) Close() error {
	b.closing = true
	return nil
}

// CloseWrite says that no more bytes follow, after Flush has given the stream
// all that was written.
func (b *Buffered) CloseWrite() error {
	b.finish = true
	return nil
}

// Flush gives the stream as much as it takes; nil when that was all or the
// stream would block. The machine calls it when the stream became writable, and
// after it wrote. It also does what Close and CloseWrite were asked to do, once
// all is given; it works after the function's end and after Stop.
func (b *Buffered) Flush(now time.Time) error {
	if b.flushing { // a stream that reports events from its Write came back here
		return nil
	}
	b.flushing = true
	defer func() { b.flushing = false }()
	for len(b.out) > 0 {
		n, err := b.s.Write(now, b.out)
		b.out = append(b.out[:0], b.out[n:]...)
		switch {
		case len(b.out) == 0:
		case err != nil && err != sock.ErrWouldBlock:
			return err
		case n == 0:
			return nil
		}
	}
	return b.end(now)
}

// end does what was wanted after the last byte, once.
func (b *Buffered) end(now time.Time) error {
	switch {
	case b.closing && !b.closed:
		b.closed = true
		return b.s.Close(now)
	case b.finish && !b.finished && !b.closed:
		b.finished = true
		return b.s.CloseWrite(now)
	}
	return nil
}

// Pending is the number of bytes that wait for Flush.
func (b *Buffered) Pending() int { return len(b.out) }
