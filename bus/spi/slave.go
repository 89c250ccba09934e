package spi

import (
	"encoding/binary"
	"time"

	"github.com/understudy-net/understudy/bus/reg"
)

// Memory is what stands behind a slave: registers of 32 bits and bytes, in one space of 24-bit
// addresses. Clockless registers come with the mark [reg.Clockless] in their address; only the low 8
// bits of their value reach the host. [reg.SPIConfig] never comes: the slave has it itself.
//
// The methods are called from [Slave.Transfer], in the order of the bytes on the wire. Slices belong
// to the slave; a call does not cross the end of the address space, where addresses start again at 0.
type Memory interface {
	ReadReg(now time.Time, addr uint32) uint32
	WriteReg(now time.Time, addr, v uint32)
	ReadMem(now time.Time, addr uint32, p []byte)
	WriteMem(now time.Time, addr uint32, p []byte)
}

// SlaveStats counts what a slave saw.
type SlaveStats struct {
	Windows     uint64 // chip-select windows
	Slots       uint64 // bytes clocked
	Commands    uint64 // executed
	CRC7Errors  uint64 // commands dropped for their checksum
	Unsupported uint64 // command bytes that mean nothing
	Flushed     uint64 // answers cut off by a new command
	Aborted     uint64 // block writes that a command ended before their last byte
	StrayCRC    uint64 // CRC7 bytes of a host that thinks CRC is on (2.13)
}

// Slave is the controller's end of the protocol: the byte-stream machine of spec host-bus 2.14. Make
// it with [NewSlave].
//
// For each slot it first chooses the byte to the host, then looks at the byte from the host:
//
//	idle ──C1..CA, CF──▶ command ──complete──▶ executed: answer queued ──▶ idle
//	                                  │ C1, C7
//	                                  ▼
//	                     token ──Fx──▶ data ──packet end──▶ [crc] ──▶ token, or idle after the last
//
// Where it departs from 2.14: an error state is repeated until the next command, so that hosts
// that poll the state see it (2.10), and CF as a window of its own gets through in the middle of
// a data packet too, because it must end any transaction (2.12).
type Slave struct {
	mem    Memory
	config uint32 // SPI_CONFIG
	stats  SlaveStats

	in      inState
	cmd     [maxCommand]byte
	have    int    // bytes in cmd
	need    int    // length of the command with its CRC7
	stray   uint8  // the CRC7 that the last command did not have
	guarded bool   // the next byte is ignored if it is stray
	write   window // block write in progress
	crcLeft int    // bytes of CRC16 to come

	out     output
	scratch [128]byte // bytes to the host that nobody wants
}

type inState uint8

const (
	inIdle inState = iota
	inCommand
	inToken
	inData
	inCRC
)

// window is a block write in progress.
type window struct {
	addr   uint32
	left   uint32 // bytes to come
	packet int    // of which in this packet
	inside bool   // some bytes of this packet have come
	later  bool   // not the first packet
}

// NewSlave returns a slave after a hard reset.
func NewSlave(mem Memory) *Slave {
	s := &Slave{mem: mem}
	s.HardReset()
	return s
}

// HardReset is RESET_N: everything as after power-up, CRC on (1.4). Counters stay.
func (s *Slave) HardReset() {
	*s = Slave{mem: s.mem, config: reg.SPIConfigAtReset, stats: s.stats}
}

// Config returns the value of SPI_CONFIG: CRC on or off, size of packets (2.5).
func (s *Slave) Config() uint32 { return s.config }

// Stats returns the counters.
func (s *Slave) Stats() SlaveStats { return s.stats }

// zeros is what a host clocks that only reads.
var zeros [512]byte

// Transfer clocks one chip-select window: w are the bytes from the host, r takes those to the host.
// Either may be nil: then zeros come, or what goes out is dropped; otherwise they have the same
// length (if not, the shorter one is taken as filled up in the same way). They must not overlap.
func (s *Slave) Transfer(now time.Time, w, r []byte) {
	s.stats.Windows++
	s.stats.Slots += uint64(max(len(w), len(r)))
	if s.in == inData && s.write.inside && s.isReset(w) {
		s.in = inIdle
		s.stats.Aborted++
	}
	if n := min(len(w), len(r)); n > 0 {
		s.run(now, w[:n], r[:n])
		w, r = w[n:], r[n:]
	}
	if len(w) > 0 {
		s.run(now, w, nil)
	}
	for len(r) > 0 {
		n := min(len(r), len(zeros))
		s.run(now, zeros[:n], r[:n])
		r = r[n:]
	}
}

// isReset says whether the window is the command CF and nothing else. No known host cuts a data
// packet into windows, so in the middle of one these bytes are a host that wants out (2.12).
func (s *Slave) isReset(w []byte) bool {
	return (len(w) == 4 || len(w) == 5) && w[0] == cmdReset && w[1] == 0xff && w[2] == 0xff && w[3] == 0xff
}

// run clocks len(w) slots. Bytes that belong to one step of the machine are handled as one run: the
// bytes to the host of a run do not depend on those from the host in it.
func (s *Slave) run(now time.Time, w, r []byte) {
	for len(w) > 0 {
		n, act := s.span(w)
		if r != nil {
			s.out.read(now, s, r[:n])
			r = r[n:]
		} else {
			s.out.skip(now, s, n)
		}
		if act {
			s.take(now, w[:n])
		}
		w = w[n:]
	}
}

// span returns how many of the bytes w belong to the next step, at least one, and whether the step
// has something to do with them; otherwise they are ignored.
func (s *Slave) span(w []byte) (n int, act bool) {
	switch s.in {
	case inCommand:
		return min(len(w), s.need-s.have), true
	case inData:
		return min(len(w), s.write.packet), true
	case inCRC:
		return min(len(w), s.crcLeft), true
	}
	if s.guarded {
		s.guarded = false
		if w[0] == s.stray && w[0] != 0 {
			s.stats.StrayCRC++
			return 1, false
		}
	}
	for n < len(w) {
		if n = skipZeros(w, n); n == len(w) {
			break
		}
		if s.wakes(w[n]) {
			if n == 0 {
				return 1, true
			}
			break // the byte itself is the next step
		}
		n++
	}
	return n, false
}

// skipZeros returns the index of the first byte from i on that is not zero, or len(w).
func skipZeros(w []byte, i int) int {
	for i+8 <= len(w) && binary.NativeEndian.Uint64(w[i:]) == 0 {
		i += 8
	}
	for i < len(w) && w[i] == 0 {
		i++
	}
	return i
}

// wakes says whether the byte means something in the idle and token states.
func (s *Slave) wakes(b byte) bool {
	if s.in == inToken {
		return b >= 0xf0 || b == cmdReset || b == cmdTerminate
	}
	return b&0xf0 == 0xc0
}

// take consumes a run of bytes.
func (s *Slave) take(now time.Time, b []byte) {
	switch s.in {
	case inIdle:
		s.start(b[0])
	case inCommand:
		s.have += copy(s.cmd[s.have:], b)
		if s.have == s.need {
			s.complete(now)
		}
	case inToken:
		if b[0] < 0xf0 {
			s.stats.Aborted++
			s.start(b[0])
			return
		}
		// The order nibble is not looked at: some hosts send F1 for a single packet (2.8).
		s.write.packet = int(min(s.write.left, uint32(packetSize(s.config))))
		s.write.inside = false
		s.in = inData
	case inData:
		s.store(now, b)
	case inCRC:
		// Hosts send zeros for CRC16: anything is accepted (2.4).
		if s.crcLeft -= len(b); s.crcLeft == 0 {
			s.packetDone()
		}
	}
}

// start begins a command, or says that there is none such.
func (s *Slave) start(b byte) {
	// Some hosts do not read the answer to a write of GLB_RESET_0: what is unread goes [BD-06].
	if s.out.pending() {
		s.stats.Flushed++
	}
	s.out.clear()
	n := commandLen[b&15]
	if n == 0 {
		s.stats.Unsupported++
		s.fail(b, StateUnsupported)
		return
	}
	s.in, s.cmd[0], s.have, s.need = inCommand, b, 1, n
	if s.config&reg.SPICRC7 != 0 {
		s.need++
	}
}

// fail queues echo and error state, and repeats the state until the next command (2.10).
func (s *Slave) fail(echo byte, state State) {
	s.in = inIdle
	s.out.push(echo, byte(state))
	s.out.fill = byte(state)
}

// complete checks and executes the command in s.cmd.
func (s *Slave) complete(now time.Time) {
	n := commandLen[s.cmd[0]&15]
	sum := CRC7(s.cmd[:n])
	if s.need > n {
		if s.cmd[n] != sum {
			s.stats.CRC7Errors++
			s.fail(s.cmd[0], StateCRC7)
			return
		}
	} else {
		s.stray, s.guarded = sum, true
	}
	s.stats.Commands++
	s.in = inIdle
	s.execute(now, s.cmd[0])
}

// store takes bytes of a block write.
func (s *Slave) store(now time.Time, b []byte) {
	s.write.inside = true
	s.write.packet -= len(b)
	s.write.left -= uint32(len(b))
	for len(b) > 0 {
		n := min(len(b), int(reg.AddrMask+1-s.write.addr))
		s.mem.WriteMem(now, s.write.addr, b[:n])
		s.write.addr = (s.write.addr + uint32(n)) & reg.AddrMask
		b = b[n:]
	}
	if s.write.packet > 0 {
		return
	}
	if s.config&reg.SPICRC16 != 0 {
		s.in, s.crcLeft = inCRC, 2
		return
	}
	s.packetDone()
}

// packetDone queues the answer to a data packet: one byte later when CRC is off (2.8) [BD-05].
func (s *Slave) packetDone() {
	s.out.clear()
	if s.config&reg.SPICRC16 == 0 {
		s.out.push(0)
	}
	switch {
	case s.write.left == 0:
		s.out.push(dataLast, 0)
		s.in = inIdle
		return
	case !s.write.later:
		s.out.push(dataFirst, 0)
	default:
		s.out.push(dataInner, 0)
	}
	s.write.later = true
	s.in = inToken
}
