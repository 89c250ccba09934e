package device

import (
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
)

// inbox holds the buffers in which a host builds its requests. A host builds one at a time; a buffer outlives its
// request only while the data of a SEND wait for room in the socket. Spec host-bus 5.2, hif-messages 1.4, 1.6.
type inbox struct {
	slots   []inSlot
	base    uint32 // where the first lies
	size    int    // bytes of a buffer: the longest request and some slack for hosts that write one byte too many (2.11)
	held    int    // buffers that wait for a socket
	granted int    // the buffer that the host fills now, -1 for none
	request hif.Request
}

type inSlot struct {
	buf  []byte // made when first granted
	held bool
}

// bufferSlack is more than the one byte that hosts write past the end.
const bufferSlack = 8

func (b *inbox) init(p *Profile) {
	b.slots = make([]inSlot, p.SendBuffers+1) // one more, so that no control message is ever refused [HM-08]
	b.granted, b.base = -1, inBase
	b.size = max(hif.MaxLen+4, tlsAppDataOffset+p.SendBytes) + bufferSlack
}

// reset takes all buffers back.
func (b *inbox) reset() {
	for i := range b.slots {
		b.slots[i].held = false
	}
	b.held, b.granted = 0, -1
}

// addr is where buffer i lies. Never 0, and 4-byte aligned.
func (b *inbox) addr(i int) uint32 { return b.base + uint32(i)*bufferGap }

// at returns the memory from address a to the end of its buffer, and the number of bytes to the next buffer; 0 if a
// belongs to no buffer. Only buffers in use have memory.
func (b *inbox) at(a uint32) ([]byte, int) {
	if a < b.base || a >= b.base+uint32(len(b.slots))*bufferGap {
		return nil, 0
	}
	i, off := (a-b.base)/bufferGap, (a-b.base)%bufferGap
	s := &b.slots[i]
	if int(i) != b.granted || int(off) >= len(s.buf) {
		return nil, int(bufferGap - off) // a buffer that was not granted is nobody's
	}
	return s.buf[off:], int(bufferGap - off)
}

// grant picks a free buffer for the host. There always is one: at most len(slots)-1 are held.
func (b *inbox) grant(r hif.Request) int {
	for i := range b.slots {
		s := &b.slots[i]
		if s.held {
			continue
		}
		if s.buf == nil {
			s.buf = make([]byte, b.size)
		}
		b.granted, b.request = i, r
		return i
	}
	return -1
}

// hold keeps buffer i until release, because its data wait.
func (b *inbox) hold(i int) {
	b.slots[i].held = true
	b.held++
}

// release frees a held buffer.
func (b *inbox) release(i int) {
	if b.slots[i].held {
		b.slots[i].held = false
		b.held--
	}
}

// writeRequest is a write to WIFI_HOST_RCV_CTRL_2. Bit 1 asks for a buffer for the message whose head is in
// NMI_STATE_REG; the answer is there before the write is over.
func (d *Device) writeRequest(now time.Time, v uint32) {
	d.regs.request = v
	if v&reg.RequestBuffer == 0 || d.fw == nil {
		return // without firmware the bit stays, and the host gives up
	}
	if d.in.granted >= 0 {
		d.counters.Cancelled++ // the host had an error in between (5.2)
		d.in.granted = -1
	}
	d.out.heard = true
	r := hif.ParseRequest(d.regs.state)
	d.regs.grantAt = d.grant(now, r)
	d.regs.request = v &^ reg.RequestBuffer // only now: the host reads the address next
}

// roomForControl is the part of the queue of answers that is kept for control messages, which are never refused.
const roomForControl = 32

// grant returns the address of a buffer for r, or 0. Only data messages are ever refused [HM-08].
func (d *Device) grant(now time.Time, r hif.Request) uint32 {
	if r.Data && d.in.held >= d.profile.SendBuffers {
		d.counters.Refused++
		d.trace(now, EventRefused, r.Op, nil, "all send buffers are taken")
		return 0
	}
	if r.Data && d.out.n >= maxReplies-roomForControl {
		d.counters.Refused++
		d.trace(now, EventRefused, r.Op, nil, "the host does not fetch its messages")
		return 0
	}
	if r.Data && r.Len > d.in.size-bufferSlack {
		d.counters.Oversize++
		d.trace(now, EventRefused, r.Op, nil, "longer than a buffer")
		return 0
	}
	return d.in.addr(d.in.grant(r))
}

// writeDoorbell is a write to WIFI_HOST_RCV_CTRL_3: the message at value>>2 is complete.
func (d *Device) writeDoorbell(now time.Time, v uint32) {
	if v&reg.Doorbell == 0 || d.fw == nil {
		return
	}
	i := d.in.granted
	if i < 0 || v>>reg.DoorbellShift != d.in.addr(i) {
		d.counters.NoGrant++
		return
	}
	d.in.granted = -1
	d.take(now, i)
}

// take reads the message in buffer i and lets the firmware act on it.
func (d *Device) take(now time.Time, i int) {
	buf := d.in.slots[i].buf
	h, err := hif.ParseHeader(buf)
	if err != nil || h.Len > d.in.size-bufferSlack {
		d.counters.Malformed++
		d.trace(now, EventDropped, h.Op, nil, "length in the header is impossible")
		return
	}
	d.counters.Requests++
	if d.unproven {
		d.proven(now)
	}
	payload := buf[hif.HeaderLen:h.Len]
	d.trace(now, EventRequest, h.Op, payload, "")
	d.fw.dispatch(now, request{Op: h.Op, payload: payload, buffer: i})
}
