package user

import "sync"

// bufferSize is the size of one copy between a device and the host, in bytes: large, so that a lock and a
// system call carry many segments.
const bufferSize = 64 << 10

// A buffer holds bytes on their way. It is taken when there is something to carry and given back after.
type buffer [bufferSize]byte

var buffers = sync.Pool{New: func() any { return new(buffer) }}

func getBuffer() *buffer  { return buffers.Get().(*buffer) }
func putBuffer(b *buffer) { buffers.Put(b) }

// smallDatagram is what a datagram record holds by itself: all that fits into one Ethernet frame.
const smallDatagram = 1472

// A datagram is a payload of a device that waits for the host's socket.
type datagram struct {
	next  *datagram
	n     int
	small [smallDatagram]byte
	big   *buffer // payloads that do not fit into small
}

var datagrams = sync.Pool{New: func() any { return new(datagram) }}

// newDatagram copies p, which is at most bufferSize bytes long.
func newDatagram(p []byte) *datagram {
	d := datagrams.Get().(*datagram)
	d.next, d.n = nil, len(p)
	if len(p) > smallDatagram {
		d.big = getBuffer()
	}
	copy(d.bytes(), p)
	return d
}

func (d *datagram) bytes() []byte {
	if d.big != nil {
		return d.big[:d.n]
	}
	return d.small[:d.n]
}

func (d *datagram) free() {
	if d.big != nil {
		putBuffer(d.big)
		d.big = nil
	}
	datagrams.Put(d)
}

// A queue holds datagrams in order.
type queue struct{ head, tail *datagram }

func (q *queue) push(d *datagram) {
	if q.head == nil {
		q.head = d
	} else {
		q.tail.next = d
	}
	q.tail = d
}

func (q *queue) pop() *datagram {
	d := q.head
	if d != nil {
		q.head, d.next = d.next, nil
	}
	return d
}
