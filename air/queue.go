package air

import "time"

// packet is a frame in flight. Its buffer is recycled.
type packet struct {
	f    Frame // Data lies in buf
	buf  []byte
	from *Port
	at   time.Time // when the air delivers it, before what links add
	seq  uint64
	refs int // the fifo and copies in the heap
	next *packet
}

// bufSize holds a full Ethernet frame; the rare longer one gets a buffer of its own size.
const bufSize = 1536

// keepFree bounds the packets that are kept for reuse, some 6 MB.
const keepFree = 4096

// pool recycles packets.
type pool struct {
	free  *packet
	nfree int
	inUse int
}

func (l *pool) get(n int) *packet {
	p := l.free
	if p == nil {
		p = &packet{buf: make([]byte, max(n, bufSize))}
	} else {
		l.free, p.next = p.next, nil
		l.nfree--
		if cap(p.buf) < n {
			p.buf = make([]byte, n)
		}
	}
	l.inUse++
	p.refs = 1
	return p
}

func (l *pool) put(p *packet) {
	l.inUse--
	if l.nfree >= keepFree {
		return
	}
	p.from, p.f.Data = nil, nil
	p.next, l.free = l.free, p
	l.nfree++
}

// copyOf queues nothing: it makes a packet with f and a copy of its data, on account of the port from.
func (a *Air) copyOf(f Frame, from *Port) *packet {
	p := a.pool.get(len(f.Data))
	p.f, p.from = f, from
	p.f.Data = p.buf[:copy(p.buf[:cap(p.buf)], f.Data)]
	from.inFlight++
	return p
}

// release gives up one reference to p.
func (a *Air) release(p *packet) {
	if p.refs--; p.refs == 0 {
		p.from.inFlight--
		a.pool.put(p)
	}
}

// fifo holds packets in order of sending, which is the order of their times because all have the same delay.
type fifo struct {
	head, tail *packet
}

func (q *fifo) push(p *packet) {
	if q.tail == nil {
		q.head, q.tail = p, p
		return
	}
	if p.at.Before(q.tail.at) {
		p.at = q.tail.at // the clock went back: order is kept
	}
	q.tail.next, q.tail = p, p
}

func (q *fifo) pop() *packet {
	p := q.head
	q.head, p.next = p.next, nil
	if q.head == nil {
		q.tail = nil
	}
	return p
}

func (q *fifo) next() (time.Time, bool) {
	if q.head == nil {
		return time.Time{}, false
	}
	return q.head.at, true
}

// lateEntry is a copy of a packet for one receiver.
type lateEntry struct {
	at   time.Time
	seq  uint64
	p    *packet
	to   *Port
	rssi int8
}

func (e lateEntry) before(o lateEntry) bool {
	if e.at.Equal(o.at) {
		return e.seq < o.seq
	}
	return e.at.Before(o.at)
}

// lateHeap is a binary heap ordered by time and sequence.
type lateHeap []lateEntry

func (h *lateHeap) push(e lateEntry) {
	s := append(*h, e)
	i := len(s) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !s[i].before(s[up]) {
			break
		}
		s[i], s[up] = s[up], s[i]
		i = up
	}
	*h = s
}

func (h *lateHeap) pop() lateEntry {
	s := *h
	top := s[0]
	n := len(s) - 1
	s[0], s[n] = s[n], lateEntry{}
	s = s[:n]
	for i := 0; ; {
		c := 2*i + 1
		if c >= n {
			break
		}
		if c+1 < n && s[c+1].before(s[c]) {
			c++
		}
		if !s[c].before(s[i]) {
			break
		}
		s[i], s[c] = s[c], s[i]
		i = c
	}
	*h = s
	return top
}
