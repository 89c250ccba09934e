package tinygo

import (
	"sync"

	"github.com/understudy-net/understudy/bus"
)

// SPI is what [Port] needs of an SPI controller; machine.SPI has it. Mode 0, at most 48 MHz.
type SPI interface {
	Tx(w, r []byte) error
}

// Output is an output pin; machine.Pin is one.
type Output interface{ Set(high bool) }

// Input is an input pin; machine.Pin is one.
type Input interface{ Get() bool }

// Wiring says where a module is. The pins must be configured: outputs, and IRQ an input with a pull-up.
type Wiring struct {
	SPI    SPI
	CS     Output // chip select; nil: the controller drives it
	Reset  Output // RESET_N
	Enable Output // CHIP_EN; nil: tied high
	IRQ    Input  // IRQN
}

// Port is the bus of a module.
type Port struct {
	w Wiring

	mu sync.Mutex
	fn func()
}

var _ bus.Port = (*Port)(nil)

// NewPort makes a bus. It sets chip select high.
func NewPort(w Wiring) *Port {
	if w.CS != nil {
		w.CS.Set(true)
	}
	return &Port{w: w}
}

// Tx clocks one window.
func (p *Port) Tx(w, r []byte) error {
	if len(w) == 0 && len(r) == 0 {
		return nil
	}
	if p.w.CS != nil {
		p.w.CS.Set(false)
		defer p.w.CS.Set(true)
	}
	return p.w.SPI.Tx(w, r)
}

// SetReset drives RESET_N.
func (p *Port) SetReset(low bool) error {
	p.w.Reset.Set(!low)
	return nil
}

// SetEnable drives CHIP_EN, if it is wired.
func (p *Port) SetEnable(high bool) error {
	if p.w.Enable != nil {
		p.w.Enable.Set(high)
	}
	return nil
}

// IRQ reads the interrupt line.
func (p *Port) IRQ() (asserted bool, err error) { return !p.w.IRQ.Get(), nil }

// OnIRQ sets the function that [Port.Fell] calls.
func (p *Port) OnIRQ(fn func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fn = fn
}

// Fell tells the driver that the interrupt line has fallen. Nobody needs to call it for a [Device], which looks at the line;
// it is for those who use driver.Driver.Run. Not for interrupt handlers: it takes a lock.
func (p *Port) Fell() {
	p.mu.Lock()
	fn := p.fn
	p.mu.Unlock()
	if fn != nil {
		fn()
	}
}
