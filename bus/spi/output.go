package spi

import (
	"encoding/binary"
	"time"

	"github.com/understudy-net/understudy/bus/reg"
)

// output is what a slave has yet to say: some queued bytes, then the packets of a read. The packets
// are made as they are clocked out, so the longest read takes no memory.
type output struct {
	queue      [8]byte
	head, tail int
	fill       byte // what is said when there is nothing to say: 0, or a repeated error state

	src    packetSource
	left   uint32 // bytes of the read that are in no packet yet
	packet int    // bytes of the packet to come
	begun  bool   // the packet is not the first
	sum    uint16 // CRC16 of the packet so far

	last      packetSource // the last packet, for C6
	lastLen   int
	lastToken byte
}

// packetSource says where the bytes of a packet come from: the value of a register or the memory.
type packetSource struct {
	addr     uint32 // in memory, or index in value
	value    [4]byte
	register bool
	crc      bool // followed by CRC16 if that is on
}

// clear drops everything that was not said yet.
func (o *output) clear() {
	o.head, o.tail, o.fill = 0, 0, 0
	o.left, o.packet = 0, 0
}

// pending says whether there is something to say.
func (o *output) pending() bool { return o.head < o.tail || o.packet > 0 || o.left > 0 }

// push queues bytes; what was said makes room.
func (o *output) push(b ...byte) {
	if o.head == o.tail {
		o.head, o.tail = 0, 0
	}
	o.tail += copy(o.queue[o.tail:], b)
}

// register queues the packet of a register read: 4 bytes, little-endian, CRC16 unless clockless (2.7).
func (o *output) register(v uint32, crc bool) {
	o.src = packetSource{register: true, crc: crc}
	binary.LittleEndian.PutUint32(o.src.value[:], v)
	o.left, o.begun = 4, false
}

// block queues the packets of a block read.
func (o *output) block(addr, size uint32) {
	o.src = packetSource{addr: addr, crc: true}
	o.left, o.begun = size, false
}

// repeat queues the last packet again (C6).
func (o *output) repeat() {
	if o.lastLen == 0 {
		return
	}
	o.src, o.packet, o.sum = o.last, o.lastLen, crc16Init
	o.push(o.lastToken)
}

// beginPacket queues the token of the next packet (2.7).
func (o *output) beginPacket(s *Slave) {
	n := min(o.left, uint32(packetSize(s.config)))
	o.left -= n
	token := byte(tokenInner)
	switch {
	case o.left == 0:
		token = tokenLast
	case !o.begun:
		token = tokenFirst
	}
	o.last, o.lastLen, o.lastToken = o.src, int(n), token
	o.begun, o.packet, o.sum = true, int(n), crc16Init
	o.push(token)
}

// endPacket queues the CRC16.
func (o *output) endPacket(s *Slave) {
	if o.src.crc && s.config&reg.SPICRC16 != 0 {
		o.push(byte(o.sum>>8), byte(o.sum))
	}
}

// read fills p with what goes to the host.
func (o *output) read(now time.Time, s *Slave, p []byte) {
	for len(p) > 0 {
		n := 0
		switch {
		case o.head < o.tail:
			n = copy(p, o.queue[o.head:o.tail])
			o.head += n
		case o.packet > 0:
			n = min(len(p), o.packet)
			o.fetch(now, s, p[:n])
			if o.packet -= n; o.packet == 0 {
				o.endPacket(s)
			}
		case o.left > 0:
			o.beginPacket(s)
		case o.fill == 0:
			clear(p)
			return
		default:
			for i := range p {
				p[i] = o.fill
			}
			return
		}
		p = p[n:]
	}
}

// skip drops n bytes to the host. Bytes of a packet are fetched even so: their CRC16 may be read.
func (o *output) skip(now time.Time, s *Slave, n int) {
	for n > 0 && o.pending() {
		k := min(n, len(s.scratch))
		o.read(now, s, s.scratch[:k])
		n -= k
	}
}

// fetch fills p with bytes of the packet.
func (o *output) fetch(now time.Time, s *Slave, p []byte) {
	data := p
	for len(p) > 0 {
		n := 0
		if o.src.register {
			n = copy(p, o.src.value[o.src.addr:])
			o.src.addr += uint32(n)
		} else {
			n = min(len(p), int(reg.AddrMask+1-o.src.addr))
			s.mem.ReadMem(now, o.src.addr, p[:n])
			o.src.addr = (o.src.addr + uint32(n)) & reg.AddrMask
		}
		p = p[n:]
	}
	if o.src.crc && s.config&reg.SPICRC16 != 0 {
		o.sum = updateCRC16(o.sum, data)
	}
}
