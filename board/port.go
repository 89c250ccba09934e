package board

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"periph.io/x/conn/v3"
	"periph.io/x/conn/v3/gpio"

	"github.com/understudy-net/understudy/bus"
)

// Pins are the lines of a module besides SPI.
type Pins struct {
	IRQ    gpio.PinIn  // IRQN
	Reset  gpio.PinOut // RESET_N
	Enable gpio.PinOut // CHIP_EN; nil if it is tied high
}

// Port is the bus of a module. Make it with [Open] or [New].
type Port struct {
	spi  conn.Conn
	max  int // bytes in one transfer
	pins Pins

	mu sync.Mutex
	fn func()

	stop    chan struct{}
	closing sync.Once
	watcher sync.WaitGroup
	release func() error
}

var _ bus.Port = (*Port)(nil)

const (
	// spidevBuffer is the buffer of spidev, unless it says otherwise.
	spidevBuffer = 4096
	// watch is how long the interrupt line is waited for at a time: after it, the level is looked at, so that a lost
	// edge does not matter for long, and Close is noticed.
	watch = 100 * time.Millisecond
)

// New makes a bus of an SPI connection in mode 0 with 8 bits a word, and pins. It sets the direction of the pins: the
// interrupt line becomes an input with a pull-up, where there is one; outputs stay as they are until they are set. A
// goroutine watches the interrupt line until Close. The connection may have a limit on the length of transfers
// (conn.Limits).
func New(spi conn.Conn, pins Pins) (*Port, error) {
	switch {
	case spi == nil || pins.IRQ == nil || pins.Reset == nil:
		return nil, errors.New("board: SPI and the pins IRQ and Reset are needed")
	case spi.Duplex() == conn.Half:
		return nil, fmt.Errorf("board: %v is half duplex; the bus wants both directions at once", spi)
	}
	p := &Port{spi: spi, max: spidevBuffer, pins: pins, stop: make(chan struct{})}
	if l, ok := spi.(conn.Limits); ok && l.MaxTxSize() > 0 {
		p.max = l.MaxTxSize()
	}
	err := pins.IRQ.In(gpio.PullUp, gpio.FallingEdge)
	if err != nil { // not every controller has pull-ups
		err = pins.IRQ.In(gpio.PullNoChange, gpio.FallingEdge)
	}
	if err != nil {
		return nil, fmt.Errorf("board: interrupt line %v: %w", pins.IRQ, err)
	}
	p.watcher.Go(p.watch)
	return p, nil
}

// Tx clocks one window, or, if it is longer than the SPI port takes at a time, several: the protocol does not care
// (spec/host-bus.md 1.2).
func (p *Port) Tx(w, r []byte) error {
	if w != nil && r != nil && len(w) != len(r) {
		return fmt.Errorf("board: window of %d bytes to the chip and %d from it", len(w), len(r))
	}
	for n := max(len(w), len(r)); n > 0; {
		k := min(n, p.max)
		if err := p.spi.Tx(w[:min(k, len(w))], r[:min(k, len(r))]); err != nil {
			return fmt.Errorf("board: %w", err)
		}
		w, r, n = w[min(k, len(w)):], r[min(k, len(r)):], n-k
	}
	return nil
}

// SetReset drives RESET_N.
func (p *Port) SetReset(low bool) error {
	if err := p.pins.Reset.Out(gpio.Level(!low)); err != nil {
		return fmt.Errorf("board: RESET_N: %w", err)
	}
	return nil
}

// SetEnable drives CHIP_EN. Without such a pin nothing happens.
func (p *Port) SetEnable(high bool) error {
	if p.pins.Enable == nil {
		return nil
	}
	if err := p.pins.Enable.Out(gpio.Level(high)); err != nil {
		return fmt.Errorf("board: CHIP_EN: %w", err)
	}
	return nil
}

// IRQ reads the interrupt line.
func (p *Port) IRQ() (asserted bool, err error) { return p.pins.IRQ.Read() == gpio.Low, nil }

// OnIRQ sets the function that a goroutine of the port calls when the interrupt line has fallen. While it stays low, the
// function is called again ten times a second.
func (p *Port) OnIRQ(fn func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fn = fn
}

// watch waits for edges.
func (p *Port) watch() {
	for {
		began := time.Now()
		fell := p.pins.IRQ.WaitForEdge(watch)
		select {
		case <-p.stop:
			return
		default:
		}
		if fell || p.pins.IRQ.Read() == gpio.Low {
			p.signal()
		}
		// A pin that cannot wait must not keep a core busy.
		if rest := watch - time.Since(began); !fell && rest > watch/2 {
			select {
			case <-p.stop:
				return
			case <-time.After(rest):
			}
		}
	}
}

func (p *Port) signal() {
	p.mu.Lock()
	fn := p.fn
	p.mu.Unlock()
	if fn != nil {
		fn()
	}
}

// Close ends the watch of the interrupt line, and gives back what Open opened. The lines stay as they are. It must not be
// called from the function of OnIRQ.
func (p *Port) Close() error {
	var err error
	p.closing.Do(func() {
		close(p.stop)
		p.watcher.Wait()
		if p.release != nil {
			err = p.release()
		}
	})
	return err
}
