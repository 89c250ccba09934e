package bus

import (
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
	"github.com/understudy-net/understudy/bus/spi"
)

// TapConfig has the settings of a [Tap].
type TapConfig struct {
	// Line is called with each line, without its end. It may be called from several goroutines, one
	// at a time; it must not call back into the port.
	Line func(string)
	// Now gives the time to write before each line, counted from the first line; nil: no times.
	Now func() time.Time
	// Windows writes the bytes of each window too: "> " those to the chip, "< " those from it.
	Windows bool
	// Bytes is the most bytes of a block that are written; 0: 32.
	Bytes int
}

const defaultTapBytes = 32

// Tap is a [Port] that writes down what passes, decoded, one line an access:
//
//	RESET low
//	R CHIPID = 0x1003a0
//	W NMI_STATE = 0x80501                               WIFI/GET_CONN_INFO 8
//	R RCV_CTRL_0 = 0x31                                 pending, 12 bytes
//	W 0xd0100 [8] 01 05 08 00 00 00 00 00               WIFI/GET_CONN_INFO 8
//	IRQ falls
//
// An access that went wrong has "!" and the reason behind it.
type Tap struct {
	port Port
	conf TapConfig

	mu      sync.Mutex
	began   time.Time
	decoder spi.Decoder
	granted uint32 // where the host was told to put its message
	posted  uint32 // where the message of the device is
}

// NewTap puts a tap on a port.
func NewTap(p Port, c TapConfig) *Tap {
	if c.Bytes <= 0 {
		c.Bytes = defaultTapBytes
	}
	if c.Line == nil {
		c.Line = func(string) {}
	}
	return &Tap{port: p, conf: c}
}

// Tx clocks a window and writes down what it did.
func (t *Tap) Tx(w, r []byte) error {
	err := t.port.Tx(w, r)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conf.Windows {
		t.window(w, r)
	}
	if err != nil {
		t.line("! " + err.Error())
		return err
	}
	t.decoder.Window(w, r, t.access)
	return nil
}

// SetReset drives RESET_N; low makes the tap forget what it knew of the chip.
func (t *Tap) SetReset(low bool) error {
	err := t.port.SetReset(low)
	t.mu.Lock()
	defer t.mu.Unlock()
	if low {
		t.decoder.Reset()
	}
	t.level("RESET", !low, err)
	return err
}

// SetEnable drives CHIP_EN.
func (t *Tap) SetEnable(high bool) error {
	err := t.port.SetEnable(high)
	t.mu.Lock()
	defer t.mu.Unlock()
	if !high {
		t.decoder.Reset()
	}
	t.level("ENABLE", high, err)
	return err
}

// IRQ reads the interrupt line; hosts do it often, so it is not written down.
func (t *Tap) IRQ() (asserted bool, err error) { return t.port.IRQ() }

// OnIRQ sets the function for falling edges, which are written down as well.
func (t *Tap) OnIRQ(fn func()) {
	if fn == nil {
		t.port.OnIRQ(nil)
		return
	}
	t.port.OnIRQ(func() {
		t.mu.Lock()
		t.line("IRQ falls")
		t.mu.Unlock()
		fn()
	})
}

func (t *Tap) level(line string, high bool, err error) {
	s := line + " low"
	if high {
		s = line + " high"
	}
	if err != nil {
		s += "  ! " + err.Error()
	}
	t.line(s)
}

// line writes one line, with its time.
func (t *Tap) line(s string) {
	if t.conf.Now != nil {
		now := t.conf.Now()
		if t.began.IsZero() {
			t.began = now
		}
		s = fmt.Sprintf("%11.6f  %s", now.Sub(t.began).Seconds(), s)
	}
	t.conf.Line(s)
}

// window writes the bytes of a window.
func (t *Tap) window(w, r []byte) {
	s := ""
	if w != nil {
		s = "> " + t.bytes(w)
	}
	if r != nil {
		if s != "" {
			s += "  "
		}
		s += "< " + t.bytes(r)
	}
	t.line(s)
}

// bytes prints the first of some bytes.
func (t *Tap) bytes(b []byte) string {
	if len(b) > t.conf.Bytes {
		return fmt.Sprintf("% X ...", b[:t.conf.Bytes])
	}
	return fmt.Sprintf("% X", b)
}

// remarkColumn is where remarks begin.
const remarkColumn = 52

// access writes an access in words.
func (t *Tap) access(a spi.Access) {
	s, remark := "", ""
	switch a.Op {
	case spi.OpReadReg:
		s = "R " + reg.String(a.Addr) + " = " + hex(a.Value)
		remark = t.register(a, false)
	case spi.OpWriteReg:
		s = "W " + reg.String(a.Addr) + " = " + hex(a.Value)
		remark = t.register(a, true)
	case spi.OpReadBlock:
		s = fmt.Sprintf("R %s [%d] %s", reg.String(a.Addr), a.Size, t.bytes(a.Data))
		remark = header(a, t.posted)
	case spi.OpWriteBlock:
		s = fmt.Sprintf("W %s [%d] %s", reg.String(a.Addr), a.Size, t.bytes(a.Data))
		remark = header(a, t.granted)
	case spi.OpReset:
		s = "SPI reset"
	}
	if remark != "" {
		s = fmt.Sprintf("%-*s%s", remarkColumn, s, remark)
	}
	if a.Reason != 0 {
		s += "  ! " + a.Reason.String()
		if a.Reason == spi.ReasonState {
			s += ": " + a.State.String()
		}
	}
	t.line(s)
}

func hex(v uint32) string { return "0x" + strconv.FormatUint(uint64(v), 16) }

// register says what the value of a register means, and remembers where messages are.
func (t *Tap) register(a spi.Access, write bool) string {
	switch {
	case a.Addr == reg.State && write:
		// At boot the register has other meanings: a version word, and 0.
		r := hif.ParseRequest(a.Value)
		if !r.Op.Group().Deliverable() || r.Len < hif.HeaderLen || r.Len > hif.MaxLen {
			return ""
		}
		s := fmt.Sprintf("%v %d", r.Op, r.Len)
		if r.Data {
			s += " data"
		}
		return s
	case a.Addr == reg.RcvCtrl4 && !write:
		if t.granted = a.Value; a.Value == 0 {
			return "no buffer"
		}
	case a.Addr == reg.RcvCtrl1 && !write:
		t.posted = a.Value
	case a.Addr == reg.RcvCtrl0:
		return notice(hif.ParseNotice(a.Value), write)
	case a.Addr == reg.RcvCtrl3 && write && a.Value&reg.Doorbell != 0:
		return "doorbell " + hex(a.Value>>reg.DoorbellShift)
	}
	return ""
}

// notice says what a read or a write of RCV_CTRL_0 means.
func notice(n hif.Notice, write bool) string {
	switch {
	case write && n.Done:
		return "RX done"
	case write:
		return "taken"
	case n.Pending:
		return fmt.Sprintf("pending, %d bytes", n.Size)
	}
	return ""
}

// header names the message whose first bytes a block has, if it stands at addr.
func header(a spi.Access, addr uint32) string {
	if addr == 0 || a.Addr != addr {
		return ""
	}
	h, err := hif.ParseHeader(a.Data)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%v %d", h.Op, h.Len)
}
