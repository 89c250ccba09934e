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
	// at a time, perhaps with the device's lock held: it must not block or call back into the port.
	Line func(string)
	// Now gives the time to write before each line, counted from the first line; nil: no times. It is called as Line
	// is: time.Now is fine, a clock that wants the device's lock is not.
	Now func() time.Time
	// Windows writes the bytes of each window too: "> " those to the chip, "< " those from it.
	Windows bool
	// Bytes is the most bytes of a block that are written; 0: 32. A transcript that is to be played needs all of
	// them: spi.MaxDecoded.
	Bytes int
}

const defaultTapBytes = 32

// Tap is a [Port] that writes down what passes, decoded, one line an access, and behind them the messages:
//
//	RESET low
//	R CHIPID = 0x1003a0
//	W NMI_STATE = 0xc0241                               IP/BIND 12
//	W 0xd0100 [20] 02 41 14 00 00 00 00 00 02 00 ...    IP/BIND 20
//	W RCV_CTRL_3 = 0x340402                             doorbell 0xd0100
//	H> IP/BIND (12) {Addr:0.0.0.0:80 Sock:7 Session:1}
//	IRQ falls
//	R RCV_CTRL_0 = 0x31                                 pending, 12 bytes
//	W RCV_CTRL_0 = 0x32                                 RX done
//
// An access that went wrong has "!" and the reason behind it. What was written with enough
// [TapConfig.Bytes], a [Player] plays back.
type Tap struct {
	port Port
	conf TapConfig

	mu       sync.Mutex
	began    time.Time
	decoder  spi.Decoder
	sent     message // of the host
	posted   message // of the device
	clocking bool    // a window is on its way: edges are told after it
	fell     int     // edges to be told
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
	t.mu.Lock()
	t.clocking = true
	t.mu.Unlock()
	err := t.port.Tx(w, r)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clocking = false
	defer t.edges()
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

// edges tells the edges that came with a window.
func (t *Tap) edges() {
	for ; t.fell > 0; t.fell-- {
		t.line("IRQ falls")
	}
}

// SetReset drives RESET_N; low makes the tap forget what it knew of the chip.
func (t *Tap) SetReset(low bool) error {
	err := t.port.SetReset(low)
	t.mu.Lock()
	defer t.mu.Unlock()
	if low {
		t.forget()
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
		t.forget()
	}
	t.level("ENABLE", high, err)
	return err
}

// forget drops what the tap knew of the chip.
func (t *Tap) forget() {
	t.decoder.Reset()
	t.sent.begin(0)
	t.posted.begin(0)
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
		t.fell++
		if !t.clocking {
			t.edges()
		}
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

// accessText prints what an access is, and at most max bytes of a block.
func accessText(a spi.Access, max int) string {
	switch a.Op {
	case spi.OpReadReg:
		return "R " + reg.String(a.Addr) + " = " + hexadecimal(a.Value)
	case spi.OpWriteReg:
		return "W " + reg.String(a.Addr) + " = " + hexadecimal(a.Value)
	case spi.OpReadBlock:
		return fmt.Sprintf("R %s [%d] %s", reg.String(a.Addr), a.Size, bytesText(a.Data, max))
	case spi.OpWriteBlock:
		return fmt.Sprintf("W %s [%d] %s", reg.String(a.Addr), a.Size, bytesText(a.Data, max))
	}
	return "SPI reset"
}

// window writes the bytes of a window.
func (t *Tap) window(w, r []byte) {
	s := ""
	if w != nil {
		s = "> " + bytesText(w, t.conf.Bytes)
	}
	if r != nil {
		if s != "" {
			s += "  "
		}
		s += "< " + bytesText(r, t.conf.Bytes)
	}
	t.line(s)
}

// bytesText prints the first of some bytes.
func bytesText(b []byte, max int) string {
	if len(b) > max {
		return fmt.Sprintf("% X ...", b[:max])
	}
	return fmt.Sprintf("% X", b)
}

// remarkColumn is where remarks begin.
const remarkColumn = 52

// access writes an access in words.
func (t *Tap) access(a spi.Access) {
	s, remark := accessText(a, t.conf.Bytes), ""
	switch a.Op {
	case spi.OpReadReg:
		remark = t.register(a, false)
	case spi.OpWriteReg:
		remark = t.register(a, true)
	case spi.OpReadBlock:
		remark = t.posted.add(a)
	case spi.OpWriteBlock:
		remark = t.sent.add(a)
	}
	if remark != "" {
		s = fmt.Sprintf("%-*s  %s", remarkColumn-2, s, remark)
	}
	if a.Reason != 0 {
		s += "  ! " + a.Reason.String()
		if a.Reason == spi.ReasonState {
			s += ": " + a.State.String()
		}
	}
	t.line(s)
	t.messages(a)
}

// messages tells the message that an access made complete.
func (t *Tap) messages(a spi.Access) {
	switch {
	case a.Op == spi.OpWriteReg && a.Addr == reg.RcvCtrl3 && a.Value&reg.Doorbell != 0:
		if a.Value>>reg.DoorbellShift == t.sent.addr {
			t.message(&t.sent, false)
		}
		t.sent.begin(0)
	case a.Op == spi.OpReadBlock && t.posted.complete(), a.Op == spi.OpWriteReg && a.Addr == reg.RcvCtrl0 && a.Value&reg.RcvDone != 0:
		t.message(&t.posted, true)
	}
}

// message tells a message, once.
func (t *Tap) message(m *message, toHost bool) {
	h, payload, ok := m.take()
	if ok {
		t.line(MessageText(h.Op, toHost, h.Len-hif.HeaderLen, payload))
	}
}

func hexadecimal(v uint32) string { return "0x" + strconv.FormatUint(uint64(v), 16) }

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
		if t.sent.begin(a.Value); a.Value == 0 {
			return "no buffer"
		}
	case a.Addr == reg.RcvCtrl1 && !write:
		t.posted.begin(a.Value)
	case a.Addr == reg.RcvCtrl0:
		return notice(hif.ParseNotice(a.Value), write)
	case a.Addr == reg.RcvCtrl3 && write && a.Value&reg.Doorbell != 0:
		return "doorbell " + hexadecimal(a.Value>>reg.DoorbellShift)
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
