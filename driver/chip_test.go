package driver_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
	"github.com/understudy-net/understudy/bus/spi"
	"github.com/understudy-net/understudy/driver"
)

// clock is virtual time for one goroutine: sleeping moves it.
type clock struct{ now time.Time }

func newClock() *clock {
	return &clock{time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}
}

func (c *clock) Now() time.Time        { return c.now }
func (c *clock) Sleep(d time.Duration) { c.now = c.now.Add(d) }

// chip is a controller that a test scripts: registers, memory and the mailbox
// are real, what the messages mean is up to the test. It checks the habits that
// a chip relies on.
type chip struct {
	t     testing.TB
	clock *clock
	slave *spi.Slave
	regs  map[uint32]uint32
	mem   map[uint32]byte

	enable, reset bool
	log           []string // lines and registers at boot
	fault         func() error
	dead          bool // the bus gives zeros

	id       uint32
	revision hif.Revision
	standby  hif.Revision
	bootAt   time.Time // the boot ROM is ready then
	bootTime time.Duration

	requests []request
	seen     int
	onReq    func(request)
	refuse   func(hif.Request) bool
	grants   int  // polls until a grant
	never    bool // no grant at all
	granted  hif.Request

	queue  [][]byte
	open   bool // a message is posted and not done
	taken  bool // and bit 0 was cleared
	irq    bool
	onIRQ  func()
	dones  int
	posted int
	sizes  func(n int) int // announced size of a message of n bytes
}

type request struct {
	op      hif.Op
	data    bool
	payload []byte
}

const (
	bufferAt  = 0xd0100
	messageAt = 0xd0800
	gpAt      = 0x0c08
	macAt     = 0x0cc0
	otpAt     = 0x0cc8
	revAt     = 0x0c40
	otaRevAt  = 0x0c80
)

var chipMAC = [6]byte{0xf8, 0xf0, 0x05, 1, 2, 3}

func newChip(t testing.TB) *chip {
	c := &chip{
		t: t, clock: newClock(), id: reg.ChipID1500, bootTime: 3 * time.Millisecond,
		revision: hif.Revision{ChipID: reg.ChipID1500, Firmware: hif.V19_7_7, MinDriver: hif.V19_3_0},
		regs:     map[uint32]uint32{}, mem: map[uint32]byte{},
	}
	c.slave = spi.NewSlave(c)
	return c
}

func (c *chip) config() driver.Config {
	return driver.Config{Now: c.clock.Now, Sleep: c.clock.Sleep}
}

// bus.Port

func (c *chip) Tx(w, r []byte) error {
	if c.fault != nil {
		if err := c.fault(); err != nil {
			return err
		}
	}
	if c.dead || c.reset || !c.enable {
		clear(r)
		return nil
	}
	c.slave.Transfer(c.clock.now, w, r)
	return nil
}

func (c *chip) SetReset(low bool) error {
	c.note(fmt.Sprintf("reset low=%v", low))
	if c.reset && !low {
		c.hardReset()
	}
	c.reset = low
	return nil
}

func (c *chip) SetEnable(high bool) error {
	c.note(fmt.Sprintf("enable high=%v", high))
	c.enable = high
	return nil
}

func (c *chip) IRQ() (bool, error) {
	if c.fault != nil {
		if err := c.fault(); err != nil {
			return false, err
		}
	}
	return c.irq, nil
}

func (c *chip) OnIRQ(fn func()) { c.onIRQ = fn }

func (c *chip) note(s string) {
	c.log = append(c.log, fmt.Sprintf("%v %s", c.clock.now.Sub(newClock().now), s))
}

func (c *chip) hardReset() {
	c.slave.HardReset()
	c.regs = map[uint32]uint32{reg.GlobalReset: reg.GlobalResetAtReset, reg.EfuseControl: reg.EfuseLoaded}
	c.queue, c.open, c.taken, c.irq = nil, false, false, false
	c.bootAt = c.clock.now.Add(c.bootTime)
}

// spi.Memory

func (c *chip) ReadReg(now time.Time, a uint32) uint32 {
	switch a {
	case reg.ClocksEn:
		return reg.ClocksRunning
	case reg.ChipID:
		return c.id
	case reg.BootROM:
		if now.Before(c.bootAt) {
			return 0
		}
		return reg.BootROMFinished
	case reg.RcvCtrl2:
		if c.regs[a]&reg.RequestBuffer != 0 && !c.never {
			if c.grants--; c.grants < 0 {
				c.regs[a] &^= reg.RequestBuffer
			}
		}
	}
	return c.regs[a]
}

func (c *chip) WriteReg(now time.Time, a, v uint32) {
	switch a {
	case reg.RcvCtrl0:
		c.released(v)
		return
	case reg.RcvCtrl2:
		c.granted = hif.ParseRequest(c.regs[reg.State])
		c.regs[reg.RcvCtrl4] = bufferAt
		if c.refuse != nil && c.refuse(c.granted) {
			c.regs[reg.RcvCtrl4] = 0
		}
		if c.grants <= 0 && !c.never {
			c.grants = 0
			v &^= reg.RequestBuffer
		}
	case reg.RcvCtrl3:
		c.doorbell(v)
		return
	case reg.BootROM:
		if v == reg.StartFirmware {
			c.start()
		}
		return
	}
	c.regs[a] = v
}

func (c *chip) ReadMem(now time.Time, a uint32, p []byte) {
	for i := range p {
		p[i] = c.mem[a+uint32(i)]
	}
}

func (c *chip) WriteMem(now time.Time, a uint32, p []byte) {
	for i, b := range p {
		c.mem[a+uint32(i)] = b
	}
}

func (c *chip) start() {
	c.note(fmt.Sprintf("start, version word %#x, config %#x", c.regs[reg.State], c.regs[reg.GP1]))
	c.regs[reg.GP2] = gpAt
	p := hif.Pointers{MAC: macAt, OTPMAC: otpAt, Rev: revAt}
	if c.standby.Firmware != 0 {
		p.OTARev = otaRevAt
	}
	c.WriteMem(c.clock.now, reg.DataMemory|gpAt, p.Append(nil))
	c.WriteMem(c.clock.now, reg.DataMemory|revAt, c.revision.Append(nil))
	c.WriteMem(c.clock.now, reg.DataMemory|otaRevAt, c.standby.Append(nil))
	c.WriteMem(c.clock.now, reg.DataMemory|macAt, chipMAC[:])
	c.WriteMem(c.clock.now, reg.DataMemory|otpAt, chipMAC[:])
	c.regs[reg.State] = reg.FirmwareReady
}

// doorbell takes a request, checking what a chip relies on.
func (c *chip) doorbell(v uint32) {
	if v&3 != reg.Doorbell || v>>reg.DoorbellShift != bufferAt {
		c.t.Errorf("doorbell %#x for buffer %#x", v, bufferAt)
	}
	h := make([]byte, hif.MaxLen+8)
	c.ReadMem(c.clock.now, bufferAt, h)
	hd, err := hif.ParseHeader(h)
	if err != nil || hd.Len != c.granted.Len || hd.Op != c.granted.Op || hd.Len > hif.MaxLen {
		c.t.Errorf("header %v len %d (%v) after request %+v", hd.Op, hd.Len, err, c.granted)
		return
	}
	if [4]byte(h[4:8]) != [4]byte{} || h[1]&0x80 != 0 {
		c.t.Errorf("header % x: spare bytes and the data bit must be zero", h[:8])
	}
	r := request{hd.Op, c.granted.Data, h[hif.HeaderLen:hd.Len]}
	c.granted = hif.Request{}
	c.requests = append(c.requests, r)
	if c.onReq != nil {
		c.onReq(r)
	}
}

// post queues a message to the host.
func (c *chip) post(op hif.Op, p hif.Payload) {
	if p == nil {
		p = hif.None{}
	}
	msg := hif.Header{Op: op}.Append(nil)
	msg = p.Append(msg)
	msg[2], msg[3] = byte(len(msg)), byte(len(msg)>>8)
	c.postRaw(msg)
}

func (c *chip) postRaw(msg []byte) {
	c.queue = append(c.queue, msg)
	c.next()
}

func (c *chip) next() {
	if c.open || len(c.queue) == 0 {
		return
	}
	msg := c.queue[0]
	c.queue = c.queue[1:]
	size := (len(msg) + 3) &^ 3
	if c.sizes != nil {
		size = c.sizes(len(msg))
	}
	c.WriteMem(c.clock.now, messageAt, msg)
	c.regs[reg.RcvCtrl1] = messageAt
	c.regs[reg.RcvCtrl0] = hif.Notice{Pending: true, Size: size}.Word()
	c.open, c.taken, c.irq = true, false, true
	c.posted++
	if c.onIRQ != nil {
		c.onIRQ()
	}
}

// released is a host's write to the notice: taking a message, or RX done.
func (c *chip) released(v uint32) {
	n := hif.ParseNotice(v)
	switch {
	case !c.open:
		c.t.Errorf("write %#x to RCV_CTRL_0 without a message", v)
	case n.Pending:
		c.t.Errorf("host sets the pending bit: %#x", v)
	case !n.Done:
		if c.taken {
			c.t.Errorf("message taken twice")
		}
		c.taken, c.irq = true, false
		c.regs[reg.RcvCtrl0] = v
	default:
		if !c.taken {
			c.t.Errorf("RX done before the message was taken")
		}
		c.dones++
		c.open = false
		c.regs[reg.RcvCtrl0] = 0
		c.next()
	}
}

// take returns the requests since the last call.
func (c *chip) take() []request {
	r := c.requests[c.seen:]
	c.seen = len(c.requests)
	return r
}

// ops lists the opcodes of the requests since the last call.
func (c *chip) ops() (ops []hif.Op) {
	for _, r := range c.take() {
		ops = append(ops, r.op)
	}
	return ops
}

// want is the only request since the last call.
func want[M any](c *chip, op hif.Op, parse func([]byte) (M, error)) (m M) {
	c.t.Helper()
	rs := c.take()
	if len(rs) != 1 || rs[0].op != op {
		c.t.Fatalf("device got %v, want %v alone", rs, op)
	}
	m, err := parse(rs[0].payload)
	if err != nil {
		c.t.Fatalf("%v: %v", op, err)
	}
	return m
}

// bench is a driver on a chip, ready and open.
type bench struct {
	*chip
	d *driver.Driver
	c *driver.Client
}

func newBench(t testing.TB) *bench {
	t.Helper()
	c := newChip(t)
	b := &bench{chip: c, d: driver.New(c, c.config())}
	b.tasks()
	var err error
	if b.c, err = b.d.Open(); err != nil {
		t.Fatal(err)
	}
	b.take()
	return b
}

func (b *bench) tasks() {
	b.t.Helper()
	if err := b.d.Tasks(); err != nil {
		b.t.Fatal("Tasks: ", err)
	}
}

// tell posts a message and pumps it.
func (b *bench) tell(op hif.Op, p hif.Payload) {
	b.t.Helper()
	b.post(op, p)
	b.tasks()
	if b.dones != b.posted {
		b.t.Fatalf("%d messages posted, RX done %d times [BH-15]", b.posted, b.dones)
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}
