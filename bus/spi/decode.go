package spi

import (
	"encoding/binary"

	"github.com/understudy-net/understudy/bus/reg"
)

// Access is what a [Decoder] saw: one access of a host, with its result.
type Access struct {
	Op     Op
	Addr   uint32 // with [reg.Clockless] where it applies
	Value  uint32 // of a register
	Size   int    // of a block in bytes, as announced
	Data   []byte // of a block, its first bytes; valid until the decoder is called again
	Reason Reason // 0: it went well; [ReasonEcho]: no answer was seen
	State  State  // for [ReasonState]
}

// MaxDecoded is the most bytes of a block that an [Access] shows.
const MaxDecoded = 1600

// Decoder listens to a bus and finds the accesses in it, however a host cuts them into windows. The zero
// value listens to a chip after a hard reset; it follows checksums being turned on and off.
type Decoder struct {
	off bool // checksums are off
	cmd [maxCommand]byte
	in  int // bytes of cmd that have come
	len int // of the command with CRC7

	phase   decodePhase
	pending bool // a holds an access that was not told yet
	a       Access
	packet  int // size of packets; 0: that after a reset
	left    int // bytes of the block that are in no packet yet
	count   int // bytes of the packet, or of its CRC16, to come
	stray   uint8
	guarded bool
	emit    func(Access)
}

type decodePhase uint8

const (
	decodeIdle decodePhase = iota
	decodeCommand
	decodeEcho
	decodeState
	decodeReadToken
	decodeReadData
	decodeReadCRC
	decodeWriteToken
	decodeWriteData
	decodeWriteCRC
	decodeResponse
	decodeResponseState
)

// Reset forgets everything: the chip went through a hard reset.
func (d *Decoder) Reset() { *d = Decoder{a: Access{Data: d.a.Data[:0]}} }

// Window takes one window, as it was given to Tx, and calls emit for each access that it completes. An
// access that gets no answer is told when the next one begins.
func (d *Decoder) Window(w, r []byte, emit func(Access)) {
	d.emit = emit
	for i := range max(len(w), len(r)) {
		o, b, seen := byte(0), byte(0), i < len(r)
		if i < len(w) {
			o = w[i]
		}
		if seen {
			b = r[i]
		}
		d.slot(o, b, seen)
	}
	d.emit = nil
}

// slot takes one byte time: o to the chip, b from it, if seen.
func (d *Decoder) slot(o, b byte, seen bool) {
	switch d.phase {
	case decodeCommand:
		d.cmd[d.in] = o
		if d.in++; d.in == d.len {
			d.command()
		}
		return
	case decodeWriteData:
		d.keep(o)
		if d.count--; d.count == 0 {
			d.packetEnd(decodeWriteCRC)
		}
		return
	case decodeWriteCRC:
		if d.count--; d.count == 0 {
			d.nextPacket(decodeWriteToken)
		}
		return
	}
	if d.guarded {
		d.guarded = false
		if o == d.stray {
			o = 0
		}
	}
	if d.phase == decodeWriteToken && o >= 0xf0 {
		d.beginPacket(decodeWriteData)
		return
	}
	if o&0xf0 == 0xc0 && commandLen[o&15] > 0 {
		d.tell(ReasonEcho, 0)
		d.phase, d.cmd[0], d.in, d.len = decodeCommand, o, 1, commandLen[o&15]
		if !d.off {
			d.len++
		}
		return
	}
	if seen {
		d.answer(b)
	}
}

// command looks at a command that is complete.
func (d *Decoder) command() {
	c := d.cmd[:commandLen[d.cmd[0]&15]]
	if sum := CRC7(c); d.off {
		d.stray, d.guarded = sum, true
	}
	d.a = Access{Data: d.a.Data[:0]}
	d.pending, d.phase = true, decodeEcho
	switch c[0] {
	case cmdInternalRead, cmdInternalWrite:
		addr := uint32(be.Uint16(c[1:])) & 0x7fff
		if c[1]&clocklessFlag != 0 {
			addr |= reg.Clockless
		} else {
			addr += reg.SPIBlock
		}
		d.a.Op, d.a.Addr = OpReadReg, addr
		if c[0] == cmdInternalWrite {
			d.a.Op, d.a.Value = OpWriteReg, be.Uint32(c[3:])
		}
	case cmdSingleRead:
		d.a.Op, d.a.Addr = OpReadReg, uint24(c[1:])
	case cmdSingleWrite:
		d.a.Op, d.a.Addr, d.a.Value = OpWriteReg, uint24(c[1:]), be.Uint32(c[4:])
	case cmdDMARead, cmdDMAWrite:
		d.a.Op, d.a.Addr, d.a.Size = OpReadBlock, uint24(c[1:]), int(be.Uint16(c[4:]))
	case cmdDMAExtRead, cmdDMAExtWrite:
		d.a.Op, d.a.Addr, d.a.Size = OpReadBlock, uint24(c[1:]), int(uint24(c[4:]))
	case cmdReset:
		d.a.Op = OpReset
	default:
		d.pending, d.phase = false, decodeIdle // C5, C6: no host sends them
	}
	if c[0] == cmdDMAWrite || c[0] == cmdDMAExtWrite {
		d.a.Op = OpWriteBlock
	}
	d.left = d.a.Size
	if d.a.Op == OpReadReg {
		d.left = 4
	}
}

// answer takes a byte from the chip outside of commands and data to it.
func (d *Decoder) answer(b byte) {
	switch d.phase {
	case decodeEcho:
		if b == d.cmd[0] {
			d.phase = decodeState
		}
	case decodeState:
		d.state(b)
	case decodeReadToken:
		if b >= 0xf0 {
			d.beginPacket(decodeReadData)
		}
	case decodeReadData:
		d.keep(b)
		if d.count--; d.count == 0 {
			d.packetEnd(decodeReadCRC)
		}
	case decodeReadCRC:
		if d.count--; d.count == 0 {
			d.nextPacket(decodeReadToken)
		}
	case decodeResponse:
		if b != 0 {
			d.phase = decodeResponseState
			if b != dataLast {
				d.tell(ReasonResponse, 0)
			}
		}
	case decodeResponseState:
		if b != 0 {
			d.tell(ReasonState, State(b))
			return
		}
		d.tell(0, 0)
	}
}

// state takes the state behind an echo.
func (d *Decoder) state(b byte) {
	switch {
	case b != 0:
		d.tell(ReasonState, State(b))
	case d.a.Op == OpWriteReg || d.a.Op == OpReset || d.left == 0:
		d.tell(0, 0)
	case d.a.Op == OpWriteBlock:
		d.phase = decodeWriteToken
	default:
		d.phase = decodeReadToken
	}
}

func (d *Decoder) beginPacket(p decodePhase) {
	size := d.packet
	if size == 0 {
		size = packetSize(reg.SPIConfigAtReset)
	}
	d.phase, d.count = p, min(d.left, size)
	d.left -= d.count
}

// packetEnd goes on to the CRC16 of a packet, in phase p, or to the next packet.
func (d *Decoder) packetEnd(p decodePhase) {
	clockless := d.a.Op == OpReadReg && d.a.Addr&reg.Clockless != 0
	if !d.off && !clockless {
		d.phase, d.count = p, crc16Len
		return
	}
	if p == decodeWriteCRC {
		d.nextPacket(decodeWriteToken)
	} else {
		d.nextPacket(decodeReadToken)
	}
}

// nextPacket waits for the token of the next packet, in phase p, or ends the access.
func (d *Decoder) nextPacket(p decodePhase) {
	switch {
	case d.left > 0:
		d.phase = p
	case p == decodeWriteToken:
		d.phase = decodeResponse
	default:
		d.tell(0, 0)
	}
}

func (d *Decoder) keep(b byte) {
	if len(d.a.Data) < MaxDecoded {
		d.a.Data = append(d.a.Data, b)
	}
}

// tell emits the access, if there is one.
func (d *Decoder) tell(reason Reason, state State) {
	d.phase = decodeIdle
	if !d.pending {
		return
	}
	d.pending = false
	d.a.Reason, d.a.State = reason, state
	if d.a.Op == OpReadReg {
		var v [4]byte
		copy(v[:], d.a.Data)
		d.a.Value = binary.LittleEndian.Uint32(v[:])
	}
	if d.a.Op == OpWriteReg && d.a.Addr == reg.SPIConfig && reason != ReasonState {
		d.off, d.packet = d.a.Value&reg.SPICRC7 == 0, packetSize(d.a.Value)
	}
	d.emit(d.a)
}
