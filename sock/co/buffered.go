package co

import (
	"time"

	"github.com/understudy-net/understudy/sock"
)

// Buffered is a [Conn] whose Write never hands control back: it appends to a
// buffer, which the machine drains with Flush. It is the conn under
// crypto/tls. There a reader that must send an alert waits for a lock that a
// stalled writer would hold; since Write never stalls, no peer can freeze the
// machine. So only the handshake and Read need the coroutine, and the machine
// calls tls.Conn.Write straight.
//
// To bound the buffer, give tls.Conn.Write at most 16 KiB, and only while
// Pending is 0.
type Buffered struct {
	Conn
	out []byte
}

// GoBuffered runs fn until it blocks for the first time or ends, then flushes.
func GoBuffered(s sock.Stream, now time.Time, fn func(c *Buffered) error) *Buffered {
	b := &Buffered{Conn: Conn{s: s}}
	b.start(func(*Conn) error { return fn(b) })
	b.Resume(now)
	return b
}

// Resume goes on with the function and flushes what it wrote. The error is
// that of the stream.
func (b *Buffered) Resume(now time.Time) error {
	b.Conn.Resume(now)
	return b.Flush(now)
}

// Write keeps p for Flush.
func (b *Buffered) Write(p []byte) (int, error) {
	if b.dead {
		return 0, ErrStopped
	}
	b.out = append(b.out, p...)
	return len(p), nil
}

// Flush gives the stream as much as it takes; nil when that was all or the
// stream would block.
func (b *Buffered) Flush(now time.Time) error {
	for len(b.out) > 0 {
		n, err := b.s.Write(now, b.out)
		b.out = append(b.out[:0], b.out[n:]...)
		switch {
		case err == sock.ErrWouldBlock, n == 0 && err == nil:
			return nil
		case err != nil:
			return err
		}
	}
	return nil
}

// Pending is the number of bytes that wait for Flush.
func (b *Buffered) Pending() int { return len(b.out) }
