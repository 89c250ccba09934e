package bus

import (
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// FaultConfig says what goes wrong on a bus. Probabilities are from 0 to 1; the zero value disturbs
// nothing.
type FaultConfig struct {
	Rand    rand.Source // needed: the same source and the same calls give the same faults
	FlipOut float64     // a byte to the chip gets one bit flipped
	FlipIn  float64     // a byte from the chip gets one bit flipped
	LoseIRQ float64     // a falling edge is not told
	FailTx  float64     // a window is not clocked, and Tx fails with ErrFault

	// StickIRQ holds the interrupt line: no edges are told, and IRQ says the level that it is stuck at.
	StickIRQ StuckLine
	// Slow is called before each window with a time up to Delay that it should let pass; nil or a Delay of 0: none. It is
	// the bus of a slow device or of a busy host.
	Slow  func(time.Duration)
	Delay time.Duration
}

// StuckLine says where the interrupt line of a [Faults] is stuck.
type StuckLine uint8

// The states of the line.
const (
	NotStuck  StuckLine = iota
	StuckIdle           // never asserted
	StuckLow            // asserted for ever
)

// FaultStats counts the faults that were made.
type FaultStats struct {
	FlippedOut, FlippedIn, LostIRQ, FailedTx uint64
}

// ErrFault is the error of a window that [Faults] made fail.
var ErrFault = errors.New("bus: window failed (injected fault)")

// Faults is a [Port] that disturbs another one.
type Faults struct {
	port Port

	mu    sync.Mutex // edges come from other goroutines
	conf  FaultConfig
	rnd   *rand.Rand
	stats FaultStats
	w     []byte
}

// NewFaults puts faults on a port. A nil source of randomness is an error.
func NewFaults(p Port, c FaultConfig) (*Faults, error) {
	if c.Rand == nil {
		return nil, errors.New("bus: FaultConfig.Rand is nil; give it a seeded source, for example rand.NewPCG")
	}
	return &Faults{port: p, conf: c, rnd: rand.New(c.Rand)}, nil
}

// Set changes the probabilities from now on; the source of randomness stays.
func (f *Faults) Set(c FaultConfig) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c.Rand = f.conf.Rand
	f.conf = c
}

// Stats returns the counters.
func (f *Faults) Stats() FaultStats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stats
}

// Tx clocks a window with flipped bits, or fails with [ErrFault]. w is not changed.
func (f *Faults) Tx(w, r []byte) error {
	f.slow()
	w, err := f.out(w)
	if err != nil {
		return err
	}
	if err := f.port.Tx(w, r); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stats.FlippedIn += f.flip(r, f.conf.FlipIn)
	return nil
}

// slow lets the time of a slow bus pass. The lock is not held meanwhile.
func (f *Faults) slow() {
	f.mu.Lock()
	slow, d := f.conf.Slow, f.conf.Delay
	if slow == nil || d <= 0 {
		f.mu.Unlock()
		return
	}
	d = time.Duration(f.rnd.Int64N(int64(d)) + 1)
	f.mu.Unlock()
	slow(d)
}

// out returns what goes to the chip instead of w.
func (f *Faults) out(w []byte) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hit(f.conf.FailTx) {
		f.stats.FailedTx++
		return nil, ErrFault
	}
	if w == nil || f.conf.FlipOut <= 0 {
		return w, nil
	}
	f.w = append(f.w[:0], w...)
	f.stats.FlippedOut += f.flip(f.w, f.conf.FlipOut)
	return f.w, nil
}

func (f *Faults) hit(p float64) bool { return p > 0 && f.rnd.Float64() < p }

// flip flips a bit in each byte that is hit, and returns how many.
func (f *Faults) flip(b []byte, p float64) (n uint64) {
	if p <= 0 {
		return 0
	}
	for i := range b {
		if f.hit(p) {
			b[i] ^= 1 << f.rnd.IntN(8)
			n++
		}
	}
	return n
}

// SetReset drives RESET_N of the port below.
func (f *Faults) SetReset(low bool) error { return f.port.SetReset(low) }

// SetEnable drives CHIP_EN of the port below.
func (f *Faults) SetEnable(high bool) error { return f.port.SetEnable(high) }

// IRQ reads the interrupt line of the port below, unless it is stuck.
func (f *Faults) IRQ() (asserted bool, err error) {
	f.mu.Lock()
	stuck := f.conf.StickIRQ
	f.mu.Unlock()
	if stuck != NotStuck {
		return stuck == StuckLow, nil
	}
	return f.port.IRQ()
}

// OnIRQ sets the function for falling edges, of which some are lost.
func (f *Faults) OnIRQ(fn func()) {
	if fn == nil {
		f.port.OnIRQ(nil)
		return
	}
	f.port.OnIRQ(func() {
		f.mu.Lock()
		lost := f.conf.StickIRQ != NotStuck || f.hit(f.conf.LoseIRQ)
		if lost {
			f.stats.LostIRQ++
		}
		f.mu.Unlock()
		if !lost {
			fn()
		}
	})
}
