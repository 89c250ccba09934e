package bus

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
	"github.com/understudy-net/understudy/bus/spi"
)

// chip is a port with a slave behind it.
type chip struct {
	slave *spi.Slave
	regs  map[uint32]uint32
	mem   [4096]byte
	irq   func()
	fail  error
}

func newChip() *chip {
	c := &chip{regs: map[uint32]uint32{reg.ChipID: reg.ChipID1500}}
	c.slave = spi.NewSlave(c)
	return c
}

func (c *chip) ReadReg(_ time.Time, a uint32) uint32     { return c.regs[a] }
func (c *chip) WriteReg(_ time.Time, a, v uint32)        { c.regs[a] = v }
func (c *chip) ReadMem(_ time.Time, a uint32, p []byte)  { copy(p, c.mem[a&0xfff:]) }
func (c *chip) WriteMem(_ time.Time, a uint32, p []byte) { copy(c.mem[a&0xfff:], p) }
func (c *chip) Tx(w, r []byte) error {
	c.slave.Transfer(time.Time{}, w, r)
	return c.fail
}

func (c *chip) SetReset(low bool) error {
	if low {
		c.slave.HardReset()
	}
	return c.fail
}
func (c *chip) SetEnable(bool) error { return c.fail }
func (c *chip) IRQ() (bool, error)   { return true, c.fail }
func (c *chip) OnIRQ(fn func())      { c.irq = fn }

var (
	_ Port = (*Tap)(nil)
	_ Port = (*Faults)(nil)
)

// The exchange of a message in both directions, as a tap writes it.
const transcript = `
RESET low
ENABLE high
RESET high
R SPI_CONFIG = 0x2e
W SPI_CONFIG = 0x52
R CHIPID = 0x1003a0
W NMI_STATE = 0x13301377
W NMI_STATE = 0x0
W NMI_STATE = 0x80501                               WIFI/GET_CONN_INFO 8
W RCV_CTRL_2 = 0x2
R RCV_CTRL_4 = 0xd0100
W 0xd0100 [8] 01 05 08 00 00 00 00 00               WIFI/GET_CONN_INFO 8
W RCV_CTRL_3 = 0x340402                             doorbell 0xd0100
H> WIFI/GET_CONN_INFO (0)
W NMI_STATE = 0x5dc502                              IP/SEND 93 data
R RCV_CTRL_4 = 0x0                                  no buffer
IRQ falls
R RCV_CTRL_0 = 0x31                                 pending, 12 bytes
W RCV_CTRL_0 = 0x30                                 taken
R RCV_CTRL_1 = 0xd0800
R 0xd0800 [4] 01 2C 0C 00                           WIFI/CON_STATE_CHANGED 12
R 0xd0808 [4] 01 00 00 00
<D WIFI/CON_STATE_CHANGED (4) {State:connected Error:ok}
W RCV_CTRL_0 = 0x32                                 RX done
SPI reset
W WAKE_CLK = 0x2
W GLB_RESET_0 = 0x0  ! no echo of the command
R CHIPID = 0x1003a0
`

func TestTranscript(t *testing.T) {
	for _, multi := range []bool{false, true} {
		c := newChip()
		var out strings.Builder
		tap := NewTap(c, TapConfig{Line: func(s string) { out.WriteString(s + "\n") }})
		edges := 0
		tap.OnIRQ(func() { edges++ })
		tap.SetReset(true)
		tap.SetEnable(true)
		tap.SetReset(false)
		m := spi.NewMaster(tap, spi.MasterConfig{MultiWindow: multi})
		must(t, m.Init())
		must(t, m.WriteReg(reg.State, uint32(hif.MakeVersionWord(hif.V19_7_7, hif.V19_3_0))))
		must(t, m.WriteReg(reg.State, 0))
		must(t, m.WriteReg(reg.State, hif.Request{Op: hif.OpGetConnInfo, Len: 8}.Word()))
		must(t, m.WriteReg(reg.RcvCtrl2, reg.RequestBuffer))
		c.regs[reg.RcvCtrl4] = 0xd0100
		m.ReadReg(reg.RcvCtrl4)
		must(t, m.WriteBlock(0xd0100, hif.AppendMessage(nil, hif.OpGetConnInfo, hif.None{})))
		must(t, m.WriteReg(reg.RcvCtrl3, 0xd0100<<2|reg.Doorbell))
		must(t, m.WriteReg(reg.State, hif.Request{Op: hif.OpSend, Data: true, Len: 93}.Word()))
		c.regs[reg.RcvCtrl4] = 0
		m.ReadReg(reg.RcvCtrl4)
		copy(c.mem[0x800:], hif.AppendMessage(nil, hif.OpStateChanged, hif.StateChanged{State: hif.Connected}))
		c.regs[reg.RcvCtrl0], c.regs[reg.RcvCtrl1] = 0x31, 0xd0800
		c.irq()
		m.ReadReg(reg.RcvCtrl0)
		must(t, m.WriteReg(reg.RcvCtrl0, 0x30))
		m.ReadReg(reg.RcvCtrl1)
		must(t, m.ReadBlock(0xd0800, make([]byte, 4)))
		must(t, m.ReadBlock(0xd0808, make([]byte, 4)))
		must(t, m.WriteReg(reg.RcvCtrl0, 0x32))
		must(t, m.Reset())
		must(t, m.WriteReg(reg.WakeClk, reg.WakeClkHost))
		must(t, m.WriteReg(reg.GlobalReset, 0))
		m.ReadReg(reg.ChipID)
		got := strings.Split(strings.TrimSpace(out.String()), "\n")
		want := strings.Split(strings.TrimSpace(transcript), "\n")
		for i := range max(len(got), len(want)) {
			g, w := "", ""
			if i < len(got) {
				g = got[i]
			}
			if i < len(want) {
				w = want[i]
			}
			if g != w {
				t.Fatalf("multi %v, line %d: got %q, want %q", multi, i+1, g, w)
			}
		}
		if edges != 1 {
			t.Errorf("%d edges", edges)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestTapWritesTimesAndWindows(t *testing.T) {
	c := newChip()
	var lines []string
	now := time.Unix(5, 0)
	tap := NewTap(c, TapConfig{Line: func(s string) { lines = append(lines, s) }, Windows: true, Bytes: 6,
		Now: func() time.Time { now = now.Add(1500 * time.Microsecond); return now }})
	if err := tap.Tx([]byte{0xca, 0, 0x10, 0, 0xca}, nil); err != nil {
		t.Fatal(err)
	}
	r := make([]byte, 9)
	if err := tap.Tx(make([]byte, 9), r); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"   0.000000  > CA 00 10 00 CA",
		"   0.001500  > 00 00 00 00 00 00 ...  < CA 00 F3 A0 03 10 ...",
		"   0.003000  R CHIPID = 0x1003a0",
	}
	if got := strings.Join(lines, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestTapTellsErrors(t *testing.T) {
	c := newChip()
	c.fail = errors.New("pulled out")
	var lines []string
	tap := NewTap(c, TapConfig{Line: func(s string) { lines = append(lines, s) }})
	for _, err := range []error{tap.Tx([]byte{1}, nil), tap.SetReset(true), tap.SetEnable(false)} {
		if !errors.Is(err, c.fail) {
			t.Error(err)
		}
	}
	if _, err := tap.IRQ(); !errors.Is(err, c.fail) {
		t.Error(err)
	}
	if got, want := strings.Join(lines, ", "), "! pulled out, RESET low  ! pulled out, ENABLE low  ! pulled out"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	tap.OnIRQ(nil)
	if c.irq != nil {
		t.Error("OnIRQ(nil) leaves a function")
	}
}

func TestFaultsNeedASource(t *testing.T) {
	if _, err := NewFaults(newChip(), FaultConfig{}); err == nil {
		t.Error("no error")
	}
}

// With checksums on and bits flipping from the chip, the master tries again and what it returns is right.
func TestFaultsFromTheChip(t *testing.T) {
	const seed = 3
	c := newChip()
	f, err := NewFaults(c, FaultConfig{Rand: rand.NewPCG(seed, 0)})
	must(t, err)
	m := spi.NewMaster(f, spi.MasterConfig{CRC: true, Sleep: func(time.Duration) {}})
	must(t, m.Init())
	f.Set(FaultConfig{FlipIn: 0.01})
	for i := range 300 {
		if v, err := m.ReadReg(reg.ChipID); err != nil || v != reg.ChipID1500 {
			t.Fatalf("seed %d, read %d: %#x, %v", seed, i, v, err)
		}
	}
	if f.Stats().FlippedIn == 0 || m.Stats().Retries == 0 {
		t.Errorf("seed %d: %+v, %+v", seed, f.Stats(), m.Stats())
	}
}

// With CRC7, a flipped bit in a command never writes another register or value.
func TestFaultsToTheChip(t *testing.T) {
	const seed = 4
	c := newChip()
	f, err := NewFaults(c, FaultConfig{Rand: rand.NewPCG(seed, 0)})
	must(t, err)
	m := spi.NewMaster(f, spi.MasterConfig{CRC: true, Sleep: func(time.Duration) {}})
	must(t, m.Init())
	f.Set(FaultConfig{FlipOut: 0.005}) // one bit in a command, rarely more
	c.regs = map[uint32]uint32{}
	for range 300 {
		must(t, m.WriteReg(reg.GP1, 0x102))
	}
	if len(c.regs) != 1 || c.regs[reg.GP1] != 0x102 {
		t.Errorf("seed %d: registers %v", seed, c.regs)
	}
	if f.Stats().FlippedOut == 0 || c.slave.Stats().CRC7Errors == 0 {
		t.Errorf("seed %d: %+v, %+v", seed, f.Stats(), c.slave.Stats())
	}
}

func TestFaultsLeaveWhatTheyWereGiven(t *testing.T) {
	f, err := NewFaults(newChip(), FaultConfig{Rand: rand.NewPCG(1, 0), FlipOut: 1})
	must(t, err)
	w := make([]byte, 100)
	must(t, f.Tx(w, nil))
	if !bytes.Equal(w, make([]byte, 100)) || f.Stats().FlippedOut != 100 {
		t.Errorf("%+v", f.Stats())
	}
}

func TestSameSeedSameFaults(t *testing.T) {
	run := func() string {
		f, err := NewFaults(newChip(), FaultConfig{Rand: rand.NewPCG(9, 9), FlipIn: 0.2, FailTx: 0.1, LoseIRQ: 0.5})
		must(t, err)
		var s strings.Builder
		for range 100 {
			r := make([]byte, 8)
			if err := f.Tx(nil, r); err != nil && !errors.Is(err, ErrFault) {
				t.Error(err)
			}
			s.Write(r)
		}
		return s.String()
	}
	if first, second := run(), run(); first != second {
		t.Error("two runs differ")
	}
}

func TestFaultsLoseInterrupts(t *testing.T) {
	c := newChip()
	f, err := NewFaults(c, FaultConfig{Rand: rand.NewPCG(1, 2), LoseIRQ: 0.5})
	must(t, err)
	told := uint64(0)
	f.OnIRQ(func() { told++ })
	for range 100 {
		c.irq()
	}
	if lost := f.Stats().LostIRQ; lost == 0 || told == 0 || lost+told != 100 {
		t.Errorf("%d told, %d lost", told, lost)
	}
}

func TestFaultsHoldTheInterruptLine(t *testing.T) {
	c := newChip()
	f, err := NewFaults(c, FaultConfig{Rand: rand.NewPCG(1, 2)})
	must(t, err)
	told := 0
	f.OnIRQ(func() { told++ })
	for stuck, want := range map[StuckLine]bool{StuckIdle: false, StuckLow: true} {
		f.Set(FaultConfig{StickIRQ: stuck})
		c.irq()
		if low, err := f.IRQ(); low != want || err != nil || told != 0 {
			t.Errorf("stuck %d: line %v, %v, %d edges", stuck, low, err, told)
		}
	}
	f.Set(FaultConfig{})
	if c.irq(); told != 1 {
		t.Errorf("%d edges when it is free again", told)
	}
}

func TestFaultsSlowTheBus(t *testing.T) {
	var passed time.Duration
	f, err := NewFaults(newChip(), FaultConfig{
		Rand: rand.NewPCG(1, 2), Delay: time.Millisecond, Slow: func(d time.Duration) { passed += d },
	})
	must(t, err)
	for range 100 {
		must(t, f.Tx(make([]byte, 4), nil))
	}
	if passed < 20*time.Millisecond || passed > 100*time.Millisecond {
		t.Errorf("100 windows took %v", passed)
	}
}
