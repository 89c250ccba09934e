package tcp

import (
	"math/bits"

	"github.com/understudy-net/understudy/wire"
)

// Sizes of a ring: powers of two, 1 KiB to 4 MiB.
const (
	minRingShift = 10
	maxRingShift = 22
	ringClasses  = maxRingShift - minRingShift + 1

	// MaxRing is the most bytes that a [Ring] can hold.
	MaxRing = 1 << maxRingShift
)

// Pool is a set of free ring buffers, shared by the sockets of one owner. The zero value is
// ready. It keeps at most Keep bytes; the rest is left to the garbage collector.
type Pool struct {
	Keep int // bytes; 0 means 1 MiB
	held int
	free *[ringClasses][][]byte
}

const defaultKeep = 1 << 20

func class(n int) int {
	if n <= 1<<minRingShift {
		return 0
	}
	return bits.Len(uint(n-1)) - minRingShift
}

// get returns a buffer of at least n bytes, its size a power of two. Its contents are old.
func (p *Pool) get(n int) []byte {
	k := class(n)
	if p.free != nil {
		if l := p.free[k]; len(l) > 0 {
			b := l[len(l)-1]
			l[len(l)-1] = nil
			p.free[k] = l[:len(l)-1]
			p.held -= len(b)
			return b
		}
	}
	return make([]byte, 1<<(k+minRingShift))
}

func (p *Pool) put(b []byte) {
	keep := p.Keep
	if keep == 0 {
		keep = defaultKeep
	}
	if p.held+len(b) > keep {
		return
	}
	if p.free == nil {
		p.free = new([ringClasses][][]byte)
	}
	k := class(len(b))
	p.free[k] = append(p.free[k], b)
	p.held += len(b)
}

// Trim gives all free buffers to the garbage collector.
func (p *Pool) Trim() { p.free, p.held = nil, 0 }

// Held returns the bytes of the free buffers that the pool keeps.
func (p *Pool) Held() int { return p.held }

// Ring is a queue of bytes over a buffer that it borrows from a [Pool] while it has something to
// hold. It grows by doubling; who writes to it keeps the bound. The zero value is empty.
type Ring struct {
	buf  []byte // nil, or a power of two long
	r, n uint32 // first byte, number of bytes
	peak uint32 // the most bytes since the buffer was taken
	hint uint32 // size worth taking at once
}

// Len returns the number of bytes held.
func (q *Ring) Len() int { return int(q.n) }

// Cap returns the size of the buffer that is borrowed at the moment.
func (q *Ring) Cap() int { return len(q.buf) }

// room makes place for n bytes in all.
func (q *Ring) room(p *Pool, n int) {
	if n <= len(q.buf) {
		return
	}
	b := p.get(max(n, int(q.hint)))
	if q.buf != nil {
		q.copyOut(b[:q.span()], 0)
		p.put(q.buf)
	}
	q.buf, q.r = b, 0
}

// span is how much of the buffer may hold bytes worth keeping: all of it, since out-of-order data
// stands behind Len.
func (q *Ring) span() int { return len(q.buf) }

// Write appends b.
func (q *Ring) Write(p *Pool, b []byte) {
	q.WriteAt(p, 0, b)
	q.Extend(len(b))
}

// WriteAt puts b where it will stand once off more bytes have been appended; see Extend.
func (q *Ring) WriteAt(p *Pool, off int, b []byte) {
	q.room(p, int(q.n)+off+len(b))
	i := int(q.r+q.n+uint32(off)) & (len(q.buf) - 1)
	k := copy(q.buf[i:], b)
	copy(q.buf, b[k:])
}

// Extend makes n bytes that WriteAt put there part of the queue.
func (q *Ring) Extend(n int) {
	q.n += uint32(n)
	q.peak = max(q.peak, q.n)
}

// copyOut copies the bytes from off on to b; all of them must be in the buffer.
func (q *Ring) copyOut(b []byte, off int) {
	i := int(q.r+uint32(off)) & (len(q.buf) - 1)
	k := copy(b, q.buf[i:])
	copy(b[k:], q.buf)
}

// sumCopy is copyOut with the sum of the bytes added to acc.
func (q *Ring) sumCopy(acc uint64, b []byte, off int) uint64 {
	i := int(q.r+uint32(off)) & (len(q.buf) - 1)
	k := min(len(b), len(q.buf)-i)
	acc = wire.SumCopy(acc, b[:k], q.buf[i:i+k])
	if k == len(b) {
		return acc
	}
	return wire.Combine(acc, k, wire.SumCopy(0, b[k:], q.buf[:len(b)-k]))
}

// Peek copies up to len(b) bytes from the front, without taking them away.
func (q *Ring) Peek(b []byte) int {
	n := min(len(b), int(q.n))
	if n > 0 {
		q.copyOut(b[:n], 0)
	}
	return n
}

// PeekAt copies len(b) bytes that begin off bytes behind the front; all of them must be there.
func (q *Ring) PeekAt(b []byte, off int) {
	if len(b) > 0 {
		q.copyOut(b, off)
	}
}

// Discard takes n bytes away from the front.
func (q *Ring) Discard(n int) {
	q.r += uint32(n)
	q.n -= uint32(n)
}

// Release gives the buffer back if the ring is empty.
func (q *Ring) Release(p *Pool) {
	if q.n != 0 || q.buf == nil {
		return
	}
	// The next burst is likely to be like this one: take that size at once, but forget about a
	// single great one.
	q.hint = max(q.peak, q.hint/2)
	p.put(q.buf)
	q.buf, q.r, q.peak = nil, 0, 0
}

// Reset empties the ring and gives its buffer back.
func (q *Ring) Reset(p *Pool) {
	q.n = 0
	q.Release(p)
}
