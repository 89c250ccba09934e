package spi

import (
	"time"

	"github.com/understudy-net/understudy/bus/reg"
)

// Wire is what a master needs of a bus: one chip-select window. w and r have the same length, or one
// of them is nil: then zeros go out, or what comes in is dropped.
type Wire interface {
	Tx(w, r []byte) error
}

// MasterConfig has the settings of a [Master]. The zero value is good for a device in software.
type MasterConfig struct {
	// Sleep waits between attempts; nil: time.Sleep.
	Sleep func(time.Duration)
	// MultiWindow clocks each phase of an access in a window of its own, and writes no data before
	// the device has answered the command: for real chips, which need time between phases, and for
	// wires that cannot do full duplex. By default a whole access is one window.
	MultiWindow bool
	// ChunkSize is the most bytes that one command moves; longer blocks are cut. 0: 2040, as the
	// vendor's drivers do. A device in software takes up to 8192 and more in one.
	ChunkSize int
	// CRC keeps the checksums on after Init. By default Init turns them off, as vendor drivers do.
	CRC bool
	// Attempts is the number of tries of an access before it fails; 0: 10.
	Attempts int
}

// Defaults of [MasterConfig].
const (
	DefaultChunkSize = 2040
	DefaultAttempts  = 10
)

const minPacket = 256

// retryDelay is slept before and after the reset between two attempts (2.12).
const retryDelay = time.Millisecond

// Master is the host's end of the protocol. Make it with [NewMaster], then call Init after each hard
// reset of the chip. It is for one caller at a time: a whole access, and above it a whole exchange of
// a message, must not be interleaved with another [host-bus BH-12].
type Master struct {
	wire Wire
	conf MasterConfig

	crc    bool // the device has CRC7 and CRC16 on; one switch for both (2.5)
	packet int  // size of data packets

	w     []byte // bytes of a window to the device; zero from dirty on
	r     []byte // bytes from the device
	dirty int
	rx    []byte // received, not looked at yet
	one   [1]byte
	pair  [2]byte // the two bytes that stand for one (2.11)
	sum   [crc16Len]byte
	value [4]byte
	stats MasterStats
}

// MasterStats counts what a master did.
type MasterStats struct {
	Accesses uint64 // attempts at an access
	Retries  uint64 // accesses tried again
	Failures uint64 // accesses given up
}

// NewMaster returns a master on a wire. Until Init it assumes a chip after a hard reset: CRC on,
// packets of 1024 bytes.
func NewMaster(wire Wire, c MasterConfig) *Master {
	if c.Sleep == nil {
		c.Sleep = time.Sleep
	}
	if c.ChunkSize < 2 {
		c.ChunkSize = DefaultChunkSize
	}
	if c.Attempts < 1 {
		c.Attempts = DefaultAttempts
	}
	m := &Master{wire: wire, conf: c}
	n := maxCommand
	if !c.MultiWindow {
		n += 2 + c.ChunkSize + 3*(c.ChunkSize/minPacket+1) + 3
	}
	m.w = make([]byte, n)
	m.assumeReset()
	return m
}

func (m *Master) assumeReset() {
	m.crc, m.packet = true, packetSize(reg.SPIConfigAtReset)
}

// Stats returns the counters.
func (m *Master) Stats() MasterStats { return m.stats }

// CRC says whether the master takes checksums to be on.
func (m *Master) CRC() bool { return m.crc }

// Init finds out whether the device has checksums on, sets them and the packet size of 8192 bytes, and
// tries a register. It works on a chip after a hard reset and on one that a former session left with
// checksums off (2.5, 2.13) [host-bus BH-02, BH-03, BH-04].
func (m *Master) Init() error {
	m.assumeReset()
	v, err := m.ReadReg(reg.SPIConfig)
	if err != nil && !isWire(err) {
		m.crc = false
		v, err = m.ReadReg(reg.SPIConfig)
	}
	if err != nil {
		return err
	}
	if err := m.configure(v, m.conf.CRC); err != nil {
		return err
	}
	_, err = m.ReadReg(reg.ChipID)
	return err
}

// SetCRC turns the checksums of commands and data on or off.
func (m *Master) SetCRC(on bool) error {
	v, err := m.ReadReg(reg.SPIConfig)
	if err != nil {
		return err
	}
	return m.configure(v, on)
}

// configure writes SPI_CONFIG. The write itself still goes by the old setting (2.5).
func (m *Master) configure(v uint32, crc bool) error {
	v = v&^(reg.SPICRC7|reg.SPICRC16|reg.SPIPacketMask) | reg.SPIPacketMax<<reg.SPIPacketShift
	if crc {
		v |= reg.SPICRC7 | reg.SPICRC16
	}
	if err := m.WriteReg(reg.SPIConfig, v); err != nil {
		return err
	}
	m.crc, m.packet = crc, packetSize(v)
	return nil
}

// isWire says whether the wire itself failed, so trying again makes no sense.
func isWire(err error) bool {
	e, ok := err.(*BusError)
	return ok && e.Reason == ReasonWire
}

// ReadReg reads a register. Addresses with the mark [reg.Clockless] and unmarked ones up to 0xff are
// read as clockless; of their answer only the token is checked, as echo and state of real chips are
// odd there (2.6) [host-bus BH-08]. Errors are of type [*BusError].
func (m *Master) ReadReg(addr uint32) (uint32, error) {
	a := access{op: OpReadReg, addr: addr}
	err := m.do(&a)
	return a.value, err
}

// WriteReg writes a register. Addresses with the mark [reg.Clockless] and unmarked ones up to 0x30
// are written as clockless, and the answer is not looked at; neither is that to a write of
// [reg.GlobalReset], which need not come [host-bus BH-09]. Errors are of type [*BusError].
func (m *Master) WriteReg(addr, v uint32) error {
	a := access{op: OpWriteReg, addr: addr, value: v}
	return m.do(&a)
}

// ReadBlock fills p from the memory at addr, in as many commands as it takes. Errors are of type
// [*BusError]; p then holds what came.
func (m *Master) ReadBlock(addr uint32, p []byte) error {
	return m.blocks(OpReadBlock, addr, p)
}

// WriteBlock writes p to the memory at addr, in as many commands as it takes. Chips cannot move a
// single byte: a p of one byte is written with a zero behind it (2.11) [host-bus BH-05]. Errors are
// of type [*BusError]; how much was written is then unknown.
func (m *Master) WriteBlock(addr uint32, p []byte) error {
	return m.blocks(OpWriteBlock, addr, p)
}

// blocks cuts a block into pieces of the chunk size, none of which has one byte unless p has.
func (m *Master) blocks(op Op, addr uint32, p []byte) error {
	for len(p) > 0 {
		n := min(len(p), m.conf.ChunkSize)
		if len(p)-n == 1 && n > 2 {
			n--
		}
		a := access{op: op, addr: addr, p: p[:n]}
		if err := m.do(&a); err != nil {
			return err
		}
		addr += uint32(n)
		p = p[n:]
	}
	return nil
}

// Reset sends CF: the device drops what it was doing and keeps registers and settings (2.12). Hosts
// send it after each wake [host-bus BH-10].
func (m *Master) Reset() error {
	a := access{op: OpReset}
	f := m.try(&a)
	if f.reason == 0 {
		return nil
	}
	return m.giveUp(&a, f, 1)
}

// access is one command and what belongs to it.
type access struct {
	op    Op
	addr  uint32
	value uint32
	p     []byte
}

// failure is how an attempt failed; the zero value is success.
type failure struct {
	reason Reason
	state  State
	err    error
}

// do tries an access until it succeeds, with a reset between two attempts (2.12).
func (m *Master) do(a *access) error {
	for n := 1; ; n++ {
		f := m.try(a)
		if f.reason == 0 {
			return nil
		}
		if f.reason == ReasonWire || n >= m.conf.Attempts {
			return m.giveUp(a, f, n)
		}
		m.stats.Retries++
		m.conf.Sleep(retryDelay)
		reset := access{op: OpReset}
		m.try(&reset) // hosts do not look at the result
		m.conf.Sleep(retryDelay)
	}
}

func (m *Master) giveUp(a *access, f failure, attempts int) error {
	m.stats.Failures++
	return &BusError{Op: a.op, Addr: a.addr, Reason: f.reason, State: f.state, Attempts: attempts, Err: f.err}
}

// try does one attempt.
func (m *Master) try(a *access) failure {
	m.stats.Accesses++
	switch a.op {
	case OpReadReg:
		return m.tryReadReg(a)
	case OpWriteReg:
		return m.tryWriteReg(a)
	case OpReadBlock:
		return m.tryReadBlock(a)
	case OpWriteBlock:
		return m.tryWriteBlock(a)
	}
	return m.tryReset()
}
