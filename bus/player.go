package bus

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
	"github.com/understudy-net/understudy/bus/spi"
)

// Player is a [Port] that plays the chip of a transcript: it answers a host with what was recorded, and checks that the
// host does what was recorded, access by access and in order. How the host cuts its accesses into windows, and whether
// checksums are on, does not matter.
//
// An interrupt comes when the line before it in the transcript has been played; so a host that waits does not wait for
// long, and the time at the beginning of lines is not looked at.
//
// When host and transcript part, calls fail with a [*DeviationError] from then on.
type Player struct {
	mu      sync.Mutex
	steps   []step
	next    int // the step that is due
	err     error
	slave   *spi.Slave
	decoder spi.Decoder
	low     bool // the interrupt line
	irq     func()
	edges   int // to be told, once the lock is free
}

// DeviationError says where a host left the transcript.
type DeviationError struct {
	Line      int // of the transcript, from 1; 0: behind its end
	Got, Want string
}

// Error says what the host did instead of what.
func (e *DeviationError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("bus: the host does %q, the transcript is at its end", e.Got)
	}
	return fmt.Sprintf("bus: transcript line %d: the host does %q, recorded was %q", e.Line, e.Got, e.Want)
}

// NewPlayer reads a transcript. Accesses must have been recorded with all their bytes (see [TapConfig]), and reads that
// failed cannot be played; the error says which line is wrong.
func NewPlayer(transcript io.Reader) (*Player, error) {
	steps, err := readTranscript(transcript)
	if err != nil {
		return nil, err
	}
	p := &Player{steps: steps}
	p.slave = spi.NewSlave((*recorded)(p))
	p.interrupts()
	return p, nil
}

// Done returns nil when all of the transcript was played, and otherwise the deviation, or what is left.
func (p *Player) Done() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil && p.next < len(p.steps) {
		s := p.steps[p.next]
		return fmt.Errorf("bus: transcript line %d: the host never does %q", s.line, s.text)
	}
	return p.err
}

// deviate ends the play. Lock held.
func (p *Player) deviate(got string) error {
	if p.err == nil {
		e := &DeviationError{Got: got}
		if p.next < len(p.steps) {
			e.Line, e.Want = p.steps[p.next].line, p.steps[p.next].text
		}
		p.err = e
	}
	return p.err
}

// advance goes to the next step that the host must do. Lock held.
func (p *Player) advance() {
	p.next++
	p.interrupts()
}

// interrupts plays the interrupts that are due. Lock held.
func (p *Player) interrupts() {
	for ; p.next < len(p.steps) && p.steps[p.next].kind == stepIRQ; p.next++ {
		p.low = true
		p.edges++
	}
}

// tell tells the edges. Lock not held.
func (p *Player) tell() {
	p.mu.Lock()
	n, fn := p.edges, p.irq
	p.edges = 0
	p.mu.Unlock()
	for ; n > 0 && fn != nil; n-- {
		fn()
	}
}

// Tx plays one window.
func (p *Player) Tx(w, r []byte) error {
	defer p.tell()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return p.err
	}
	p.slave.Transfer(time.Time{}, w, r)
	p.decoder.Window(w, r, p.check)
	return p.err
}

// check compares an access with the step that is due.
func (p *Player) check(a spi.Access) {
	if p.err != nil {
		return
	}
	if p.next == len(p.steps) || p.steps[p.next].kind != stepAccess || !same(p.steps[p.next].access, a) {
		p.deviate(accessText(a, spi.MaxDecoded))
		return
	}
	if a.Op == spi.OpWriteReg && a.Addr == reg.RcvCtrl0 && !hif.ParseNotice(a.Value).Pending {
		p.low = false // the message is taken (spec host-bus 1.3)
	}
	p.advance()
}

// same says whether a host does what was recorded. Only the first bytes of a long block are known.
func same(want, got spi.Access) bool {
	if want.Op != got.Op || want.Addr != got.Addr {
		return false
	}
	switch got.Op {
	case spi.OpReadReg, spi.OpWriteReg:
		return want.Value == got.Value
	case spi.OpReadBlock, spi.OpWriteBlock:
		n := min(got.Size, spi.MaxDecoded)
		return want.Size == got.Size && len(got.Data) == n && bytes.Equal(want.Data[:n], got.Data)
	}
	return true
}

// SetReset plays RESET_N.
func (p *Player) SetReset(low bool) error {
	defer p.tell()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.level(stepReset, "RESET", !low, low)
}

// SetEnable plays CHIP_EN.
func (p *Player) SetEnable(high bool) error {
	defer p.tell()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.level(stepEnable, "ENABLE", high, !high)
}

// level plays a line; dead says that the chip forgets everything. Lock held.
func (p *Player) level(kind stepKind, name string, high, dead bool) error {
	if p.err != nil {
		return p.err
	}
	if p.next == len(p.steps) || p.steps[p.next].kind != kind || p.steps[p.next].high != high {
		if high {
			return p.deviate(name + " high")
		}
		return p.deviate(name + " low")
	}
	if dead {
		p.slave.HardReset()
		p.decoder.Reset()
		p.low = false
	}
	p.advance()
	return nil
}

// IRQ reads the interrupt line. It falls as recorded and rises when the host takes the message.
func (p *Player) IRQ() (asserted bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.low, p.err
}

// OnIRQ sets the function for falling edges. They come within Tx, SetReset and SetEnable, after the chip has answered.
func (p *Player) OnIRQ(fn func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.irq = fn
}

// recorded is the memory of the chip: what the host reads next in the transcript. Writes are checked when the whole
// access has passed.
type recorded Player

// inFlight is how many accesses may have begun that check has not seen yet: those whose answer the host did not read.
const inFlight = 4

// find returns the next recorded access that fits.
func (p *recorded) find(got string, fits func(a spi.Access) bool) (spi.Access, bool) {
	for i := p.next; i < len(p.steps) && i < p.next+inFlight; i++ {
		if p.steps[i].kind == stepAccess && fits(p.steps[i].access) {
			return p.steps[i].access, true
		}
	}
	(*Player)(p).deviate(got)
	return spi.Access{}, false
}

// ReadReg answers the read of a register.
func (p *recorded) ReadReg(_ time.Time, addr uint32) uint32 {
	a, _ := p.find("R "+reg.String(addr), func(a spi.Access) bool { return a.Op == spi.OpReadReg && a.Addr == addr })
	return a.Value
}

// ReadMem answers a part of the read of a block.
func (p *recorded) ReadMem(_ time.Time, addr uint32, b []byte) {
	inside := func(a spi.Access) bool {
		return a.Op == spi.OpReadBlock && a.Addr <= addr && addr+uint32(len(b)) <= a.Addr+uint32(a.Size)
	}
	clear(b)
	if a, ok := p.find(fmt.Sprintf("R %s, %d bytes", reg.String(addr), len(b)), inside); ok {
		copy(b, a.Data[addr-a.Addr:])
	}
}

// WriteReg is checked later.
func (p *recorded) WriteReg(time.Time, uint32, uint32) {}

// WriteMem is checked later.
func (p *recorded) WriteMem(time.Time, uint32, []byte) {}
