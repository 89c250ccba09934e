package device

import (
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
)

// outbox is the way to the host: one posted message, and a bounded queue behind it. Spec host-bus 5.3, hif-messages 1.5.
//
// The queue holds ready messages and, for what sockets have to say, only the socket's id: its answer is made when its
// turn comes, straight into the buffer that the host reads. So received data are copied once, and as much as has
// come meanwhile goes into one answer.
type outbox struct {
	queue []outEntry // ring
	head  int
	n     int

	open  bool   // a message is posted and RX done has not come
	op    hif.Op // of the posted message
	turn  int    // the buffer of the posted message
	base  uint32 // where the first buffer lies
	bufs  [outBuffers][]byte
	heard bool // the host has asked for something since the firmware started: only then may we talk [BD-14]
}

// outBuffers is more than one because a known host reads on after RX done (dependencies, habit 5).
const outBuffers = 4

// Bounds of the queue. What a host asks for and does not fetch fills it up to maxReplies; connection events and sockets
// have the room above to themselves, and each socket has at most a few entries.
const (
	maxReplies = 128
	maxQueue   = 1024
)

// entryKind says what an entry of the queue is.
type entryKind uint8

const (
	entryMessage  entryKind = iota // buf holds the payload
	entryRecv                      // the answer to the RECV of a socket
	entrySend                      // the answers to the SENDs of a socket
	entryAccept                    // buf holds the event, child says for whom
	entryRandom                    // buf holds the head of GET_PRNG, count says how many bytes follow
	entryStation                   // buf holds news of a Soft-AP, gen says of which
	entryProgress                  // how far an update is when its turn comes
	entryFrame                     // the next frame of Ethernet mode
)

type outEntry struct {
	kind     entryKind
	sock     int8   // -1: of no socket
	gen      uint32 // of the socket: when it was closed meanwhile, the entry is void [HM-11]
	tok      uint32 // likewise, for entryRecv and entrySend
	child    int8   // of entryAccept: the new socket
	childGen uint32
	op       hif.Op
	count    int // of entryRandom
	len      int
	buf      [112]byte // all payloads but those of group CRYPTO have at most 100 bytes
	rest     []byte    // of entryMessage: what does not fit into buf
}

func (o *outbox) reset() {
	o.head, o.n = 0, 0
	o.open, o.heard = false, false
}

// addr is where buffer i lies.
func (o *outbox) addr(i int) uint32 { return o.base + uint32(i)*bufferGap }

// at returns the memory from address a to the end of its buffer, and the number of bytes to the next one; 0 if a belongs
// to no buffer. Messages stay readable after RX done until their buffer's turn comes again (BD-16, HM-13).
func (o *outbox) at(a uint32) ([]byte, int) {
	if a < o.base || a >= o.base+outBuffers*bufferGap {
		return nil, 0
	}
	i, off := (a-o.base)/bufferGap, (a-o.base)%bufferGap
	if b := o.bufs[i]; int(off) < len(b) {
		return b[off:], int(bufferGap - off)
	}
	return nil, int(bufferGap - off)
}

// push makes room for an entry, nil if there are already limit.
func (o *outbox) push(limit int) *outEntry {
	if o.n >= limit {
		return nil
	}
	if o.n == len(o.queue) {
		o.grow()
	}
	e := &o.queue[(o.head+o.n)%len(o.queue)]
	o.n++
	e.sock, e.gen, e.tok, e.count, e.len, e.rest = -1, 0, 0, 0, 0, nil
	return e
}

func (o *outbox) grow() {
	q := make([]outEntry, max(8, 2*len(o.queue)))
	for i := range o.n {
		q[i] = o.queue[(o.head+i)%len(o.queue)]
	}
	o.queue, o.head = q, 0
}

// pop takes the first entry; it may be read until the next push.
func (o *outbox) pop() *outEntry {
	e := &o.queue[o.head]
	o.head = (o.head + 1) % len(o.queue)
	o.n--
	return e
}

// reply queues a message that answers a request or reports an event, or counts it as lost when the queue is full.
func reply[P hif.Payload](d *Device, op hif.Op, m P) { enqueue(d, op, m, -1, 0, maxReplies) }

// event queues a message that a host must not miss: it has the whole queue.
func event[P hif.Payload](d *Device, op hif.Op, m P) { enqueue(d, op, m, -1, 0, maxQueue) }

func enqueue[P hif.Payload](d *Device, op hif.Op, m P, sock int8, gen uint32, limit int) {
	e := d.out.push(limit)
	if e == nil {
		d.counters.RepliesLost++
		return
	}
	e.kind, e.op, e.sock, e.gen = entryMessage, op, sock, gen
	e.len = len(m.Append(e.buf[:0]))
}

// post puts the next message before the host, if none is open. Spec host-bus 5.3: the frame, its address, its size with
// bit 0 set and bit 1 clear, and only then the interrupt.
func (d *Device) post(now time.Time) {
	o := &d.out
	for !o.open && o.heard && o.n > 0 {
		e := o.pop()
		i := (o.turn + 1) % outBuffers
		if o.bufs[i] == nil {
			o.bufs[i] = make([]byte, max(hif.MaxLen+4, hif.HeaderLen+hif.RecvReplyLen+d.profile.SendBytes))
		}
		op, n := d.fw.build(now, e, o.bufs[i][hif.HeaderLen:])
		if n < 0 {
			continue
		}
		o.turn, o.op, o.open = i, op, true
		n += hif.HeaderLen
		hif.Header{Op: op, Len: n}.Append(o.bufs[i][:0])
		d.regs.messageAt, d.regs.flashFresh = o.addr(i), false
		d.regs.receive = hif.Notice{Pending: true, Size: n}.Word()
		d.counters.Messages++
		d.trace(now, EventMessage, op, o.bufs[i][hif.HeaderLen:n], "")
		d.updateIRQ()
	}
}

// build makes the message of e in b, behind its header, and returns its opcode and length; -1 if it is void.
func (f *firmware) build(now time.Time, e *outEntry, b []byte) (hif.Op, int) {
	switch {
	case e.kind == entryAccept:
		return e.op, f.buildAccept(now, e, b)
	case e.kind == entryStation && e.gen != f.apLife:
		return 0, -1 // it has stopped meanwhile
	case e.kind == entryProgress:
		return e.op, f.ota.build(b)
	case e.kind == entryFrame:
		return e.op, f.bypass.build(b)
	}
	var s *socket
	if e.sock >= 0 {
		if s = f.live(e); s == nil {
			return 0, -1
		}
	}
	switch e.kind {
	case entryRecv:
		return s.buildRecv(now, b)
	case entrySend:
		return s.buildSend(now, b)
	case entryRandom:
		n := copy(b, e.buf[:e.len])
		f.fillRandom(b[n:][:e.count])
		return e.op, n + e.count
	}
	n := copy(b, e.buf[:e.len])
	return e.op, n + copy(b[n:], e.rest)
}

// live returns the socket of e, nil if what was queued for it is void.
func (f *firmware) live(e *outEntry) *socket {
	if int(e.sock) >= len(f.sockets) {
		return nil
	}
	s := &f.sockets[e.sock]
	if s.gen != e.gen || (e.kind == entryRecv || e.kind == entrySend) && s.tok != e.tok {
		f.d.counters.RepliesStale++
		return nil
	}
	return s
}

// writeReceive is a write to WIFI_HOST_RCV_CTRL_0. With bit 1 clear the host takes the message: the line goes idle. With
// bit 1 set it is RX done: the buffer is free, the next message may come.
//
// A known host says RX done twice, so one that finds nothing open is ignored, and so is one that finds a message which was
// not taken yet: that message is a later one (dependencies, habit 5).
func (d *Device) writeReceive(now time.Time, v uint32) {
	o := &d.out
	was, n := hif.ParseNotice(d.regs.receive), hif.ParseNotice(v)
	switch {
	case !o.open:
		if n.Done {
			d.counters.StrayDone++
		}
	case n.Done && was.Pending:
		d.counters.StrayDone++
	case n.Done:
		o.open = false
		d.regs.receive = 0 // a host with a false interrupt must not see a stale size (5.3)
		d.trace(now, EventTaken, o.op, nil, "")
		d.post(now)
	case !n.Pending:
		d.regs.receive = hif.Notice{Size: was.Size}.Word()
		d.updateIRQ()
	}
}

// updateIRQ sets the line: asserted while a posted message was not taken, and the host wants interrupts. It rises when
// the host takes the message and cannot fall again before RX done (1.3).
func (d *Device) updateIRQ() {
	pending := d.out.open && d.regs.receive&reg.RcvPending != 0
	d.setIRQ(pending && d.regs.intr&reg.IntrHost != 0)
}
