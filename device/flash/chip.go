package flash

// Opcodes of the serial interface. Spec host-bus 6.2.
const (
	OpPageProgram  = 0x02
	OpRead         = 0x03 // no known host uses it
	OpWriteDisable = 0x04
	OpReadStatus   = 0x05
	OpWriteEnable  = 0x06
	OpFastRead     = 0x0b
	OpSectorErase  = 0x20
	OpReadID       = 0x9f
	OpRelease      = 0xab // from deep power-down
	OpPowerDown    = 0xb9
)

// Bits of the status register.
const (
	StatusBusy         = 1 << 0 // never set: everything is done when the command is over
	StatusWriteEnabled = 1 << 1
)

// Chip is the serial interface of a [Flash]: what the flash does with the bytes that come after its chip select fell. Its
// state is the write enable latch and deep power-down. The zero value with F set has just been powered.
type Chip struct {
	F *Flash

	writeEnabled bool
	down         bool
	stats        ChipStats
}

// ChipStats counts commands.
type ChipStats struct {
	Commands uint64
	Ignored  uint64 // programs and erases without write enable, and everything in deep power-down
	Unknown  uint64 // opcodes that mean nothing here, and commands that are cut off
}

// Stats returns the counters.
func (c *Chip) Stats() ChipStats { return c.stats }

// PoweredDown reports whether the chip is in deep power-down.
func (c *Chip) PoweredDown() bool { return c.down }

// Power puts the chip into the state after power-up. Counters stay.
func (c *Chip) Power() { c.writeEnabled, c.down = false, false }

// Exec runs one command: cmd are its opcode, address and dummy bytes, data what is sent behind them, and answer takes what the
// chip says after that. A chip that says nothing leaves the line high: ones. Addresses beyond the size wrap.
func (c *Chip) Exec(cmd, data, answer []byte) {
	for i := range answer {
		answer[i] = 0xff
	}
	if len(cmd) == 0 {
		c.stats.Unknown++
		return
	}
	c.stats.Commands++
	if c.down && cmd[0] != OpRelease {
		c.stats.Ignored++
		return
	}
	switch cmd[0] {
	case OpReadID:
		id := c.id()
		fill(answer, id[:])
	case OpReadStatus:
		fill(answer, []byte{c.status()})
	case OpWriteEnable:
		c.writeEnabled = true
	case OpWriteDisable:
		c.writeEnabled = false
	case OpPowerDown:
		c.down = true
	case OpRelease:
		c.down = false
	case OpFastRead:
		c.read(cmd, 5, answer)
	case OpRead:
		c.read(cmd, 4, answer)
	case OpPageProgram:
		c.change(cmd, func(at int) { c.F.Program(at, data) }) // Err keeps the error: the wire has none
	case OpSectorErase:
		c.change(cmd, func(at int) { c.F.Erase(at) }) // any address in the sector (BD-18)
	default:
		c.stats.Unknown++
	}
}

// fill repeats b: the chip says id and status over and over.
func fill(answer, b []byte) {
	for len(answer) > 0 {
		answer = answer[copy(answer, b):]
	}
}

// id is manufacturer, type, and the size as 2ⁿ bytes. Both are examples of host-bus 6.2.
func (c *Chip) id() [3]byte {
	switch c.F.size {
	case Size2M:
		return [3]byte{0xef, 0x30, 0x12}
	case Size4M:
		return [3]byte{0xc2, 0x20, 0x13}
	}
	return [3]byte{0xc2, 0x20, 0x14}
}

func (c *Chip) status() byte {
	if c.writeEnabled {
		return StatusWriteEnabled
	}
	return 0
}

// address is that of the command, most significant byte first.
func (c *Chip) address(cmd []byte) int {
	return (int(cmd[1])<<16 | int(cmd[2])<<8 | int(cmd[3])) & (c.F.size - 1)
}

// read reads on over the end of the chip, where it starts again.
func (c *Chip) read(cmd []byte, need int, answer []byte) {
	if len(cmd) < need {
		c.stats.Unknown++
		return
	}
	for at := c.address(cmd); len(answer) > 0; at = 0 {
		n := min(len(answer), c.F.size-at)
		if _, err := c.F.ReadAt(answer[:n], int64(at)); err != nil {
			return
		}
		answer = answer[n:]
	}
}

// change runs what needs the write enable latch, which it clears.
func (c *Chip) change(cmd []byte, do func(at int)) {
	switch {
	case len(cmd) < 4:
		c.stats.Unknown++
	case !c.writeEnabled:
		c.stats.Ignored++
	default:
		c.writeEnabled = false
		do(c.address(cmd))
	}
}
