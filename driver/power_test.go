package driver_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
	"github.com/understudy-net/understudy/bus/spi"
	"github.com/understudy-net/understudy/driver"
)

// sleepyChip is the scripted chip that really sleeps: in a power-save mode its
// clocked registers and its memory are out of reach unless the host has woken it,
// by the book of spec/host-bus.md 5.6, or a message lies ready.
type sleepyChip struct {
	*chip
	dozes    bool
	upAfter  time.Duration // from the request for clocks until they run
	asked    time.Time     // when it was made; zero: it is not
	flushed  bool          // CF came since the clocks ran
	busy     int           // reads of CORT_HOST_COMM that say busy
	wakes    int
	clocks   int // reads of CLOCKS_EN
	trespass int
}

func newSleepyBench(t *testing.T) (*bench, *sleepyChip) {
	t.Helper()
	s := &sleepyChip{chip: newChip(t), upAfter: 4 * time.Millisecond}
	s.slave = spi.NewSlave(s)
	s.onReq = func(r request) {
		if m, err := hif.ParseSleep(r.payload); r.op == hif.OpSleep && err == nil {
			s.dozes = m.Mode != hif.NoPowerSave
		}
	}
	b := &bench{chip: s.chip, d: driver.New(s, s.config())}
	b.tasks()
	var err error
	b.c, err = b.d.Open()
	check(t, err)
	b.take()
	return b, s
}

func (s *sleepyChip) Tx(w, r []byte) error {
	err := s.chip.Tx(w, r)
	if len(w) > 0 && w[0] == 0xcf && s.running() {
		s.flushed = true
	}
	return err
}

// running says whether the clocks run because the host has asked for them.
func (s *sleepyChip) running() bool {
	return !s.asked.IsZero() && s.clock.now.Sub(s.asked) >= s.upAfter && s.regs[reg.HostCortComm]&reg.HostAwake != 0
}

// clocked is an access to what sleeps.
func (s *sleepyChip) clocked() {
	if s.dozes && !s.open && !(s.running() && s.flushed) {
		s.trespass++
	}
}

func (s *sleepyChip) ReadReg(now time.Time, a uint32) uint32 {
	switch {
	case a == reg.ClocksEn:
		s.clocks++
		if s.running() {
			return reg.ClocksRunning
		}
		return 0
	case a == reg.CortHostComm && s.busy > 0:
		s.busy--
		return reg.CortBusy
	case a&reg.Clockless == 0:
		s.clocked()
	}
	return s.chip.ReadReg(now, a)
}

func (s *sleepyChip) WriteReg(now time.Time, a, v uint32) {
	switch {
	case a == reg.WakeClk && v&reg.WakeClkHost != 0:
		s.asked, s.flushed = now, false
		s.wakes++
	case a == reg.WakeClk:
		s.asked = time.Time{}
	case a&reg.Clockless == 0:
		s.clocked()
	}
	s.chip.WriteReg(now, a, v)
}

func (s *sleepyChip) ReadMem(now time.Time, a uint32, p []byte) {
	s.clocked()
	s.chip.ReadMem(now, a, p)
}

func (s *sleepyChip) WriteMem(now time.Time, a uint32, p []byte) {
	s.clocked()
	s.chip.WriteMem(now, a, p)
}

// asleep fails unless the host has let go of the chip and never touched it asleep.
func (s *sleepyChip) asleep(t *testing.T, when string, wakes int) {
	t.Helper()
	if s.trespass > 0 || s.wakes != wakes || !s.asked.IsZero() || s.regs[reg.HostCortComm]&reg.HostAwake != 0 {
		t.Errorf("%s: %d accesses to a sleeping chip; woken %d times, want %d; clocks asked for %v, host awake %#x",
			when, s.trespass, s.wakes, wakes, !s.asked.IsZero(), s.regs[reg.HostCortComm])
	}
	s.trespass, s.wakes = 0, 0
}

// BH-10, and the rest of spec/host-bus.md 5.6: each request wakes the chip, flushes
// the SPI block and lets go again; the one that sets the mode goes by the old mode.
func TestBH10_AccessesWakeAChipThatSleeps(t *testing.T) {
	b, s := newSleepyBench(t)
	s.asleep(t, "mode off", 0)
	check(t, b.c.SetPower(driver.PowerAutoLow))
	s.asleep(t, "the request that sets the mode", 0)
	if m := want(b.chip, hif.OpSleep, hif.ParseSleep); m != (hif.Sleep{Mode: hif.PSDeep}) {
		t.Errorf("%+v", m)
	}
	check(t, b.c.SetName("sleepy"))
	s.asleep(t, "a request", 1)
	b.tell(hif.OpSysTime, hif.SysTime{}) // which is taken without waking: the chip is awake
	s.asleep(t, "a message", 0)
	b.refuse = func(hif.Request) bool { return true }
	wantErr(t, "a refused request", b.c.SetName("x"), driver.ErrBus)
	s.asleep(t, "a refused request", 1)
	b.refuse = nil
	so, err := b.c.Socket(driver.Stream, driver.Plain)
	check(t, err)
	check(t, so.Bind(addrPort("0.0.0.0:80")))
	s.asleep(t, "bind", 1)
	check(t, so.Close())
	s.asleep(t, "close", 1)
	s.busy = 3
	check(t, b.c.SetName("busy"))
	s.asleep(t, "a busy chip", 1)
	if s.busy != 0 {
		t.Error("the host did not wait for the chip to be done")
	}
	check(t, b.c.SetPower(driver.PowerSaveOff))
	s.asleep(t, "the request that ends the mode", 1)
	check(t, b.c.SetName("awake"))
	s.asleep(t, "mode off again", 0)
}

// Run, which also looks when there was no interrupt, does so with the chip awake.
func TestLookingForMailWakesTheChip(t *testing.T) {
	b, s := newSleepyBench(t)
	check(t, b.c.SetPower(driver.PowerAutoHigh))
	fails := true
	b.fault = func() error { // one failed attempt makes the pump look by itself
		if fails {
			fails = false
			return errors.New("cut")
		}
		return nil
	}
	b.tasks()
	s.asleep(t, "a look", 1)
}

// A chip whose clocks do not come is given up after five looks.
func TestAChipThatDoesNotWake(t *testing.T) {
	b, s := newSleepyBench(t)
	check(t, b.c.SetPower(driver.PowerAutoHigh))
	s.upAfter = 10 * time.Millisecond // 3 ms, then looks 2 ms apart: at the fifth it is 11 ms
	s.clocks = 0
	check(t, b.c.SetName("late"))
	if s.clocks != 5 {
		t.Errorf("%d looks at the clocks, want 5", s.clocks)
	}
	s.upAfter, s.clocks = 12*time.Millisecond, 0
	wantErr(t, "a request", b.c.SetName("never"), driver.ErrBus)
	if s.clocks != 5 || b.d.Stats().BusError == 0 {
		t.Errorf("%d looks at the clocks, want 5; %d bus errors", s.clocks, b.d.Stats().BusError)
	}
	s.trespass, s.asked = 0, time.Time{}
}

// The listen interval comes with the mode, broadcasts being wanted with it, and
// nothing is sent for what is so already (spec/driver-api.md 2.10).
func TestListenInterval(t *testing.T) {
	b := newBench(t)
	sent := func() (mode []hif.Sleep, interval []uint16) {
		for _, r := range b.take() {
			switch r.op {
			case hif.OpSleep:
				m, err := hif.ParseSleep(r.payload)
				check(t, err)
				mode = append(mode, m)
			case hif.OpListenInterval:
				m, err := hif.ParseSetting16(r.payload)
				check(t, err)
				interval = append(interval, m.Value)
			default:
				t.Errorf("sent %v", r.op)
			}
		}
		return mode, interval
	}
	check(t, b.c.SetListen(0))
	if m, i := sent(); m != nil || i != nil {
		t.Error("unchanged:", m, i)
	}
	check(t, b.c.SetPower(driver.PowerAutoMedium))
	check(t, b.c.SetListen(300))
	if m, i := sent(); !slices.Equal(m, []hif.Sleep{{Mode: hif.PSHAutomatic}, {Mode: hif.PSHAutomatic, Broadcast: true}}) ||
		!slices.Equal(i, []uint16{300}) {
		t.Error("changed:", m, i)
	}
	check(t, b.c.SetListen(300))
	if m, i := sent(); m != nil || i != nil {
		t.Error("unchanged:", m, i)
	}
	b.refuse = func(r hif.Request) bool { return r.Op == hif.OpSleep }
	wantErr(t, "SetListen", b.c.SetListen(1), driver.ErrBus)
	b.refuse = nil
	b.take()
	check(t, b.c.SetListen(300)) // as before the failure
	check(t, b.c.Close())        // gives back what was set
	if m, i := sent(); len(m) != 2 || m[1] != (hif.Sleep{}) || !slices.Equal(i, []uint16{0}) {
		t.Error("after Close:", m, i)
	}
}

func TestPowerModes(t *testing.T) {
	b := newBench(t)
	if m := b.c.Power(); m != driver.PowerSaveOff {
		t.Error("at first", m)
	}
	wantErr(t, "unknown mode", b.c.SetPower(5), driver.ErrInvalid)
	wantErr(t, "invalid mode", b.c.SetPower(driver.PowerInvalid), driver.ErrInvalid)
	wantErr(t, "Sleep without manual mode", b.c.Sleep(time.Second), driver.ErrMode)
	check(t, b.c.SetPower(driver.PowerManual))
	for _, d := range []time.Duration{0, -1, 1<<32*time.Millisecond - time.Microsecond} {
		wantErr(t, "Sleep for "+d.String(), b.c.Sleep(d), driver.ErrInvalid)
	}
	b.take()
	check(t, b.c.Sleep(1500*time.Microsecond))
	if m := want(b.chip, hif.OpDoze, hif.ParseDoze); m.Milliseconds != 2 {
		t.Errorf("%+v", m)
	}
	b.refuse = func(hif.Request) bool { return true }
	wantErr(t, "SetPower", b.c.SetPower(driver.PowerAutoLow), driver.ErrBus)
	if m := b.c.Power(); m != driver.PowerManual {
		t.Error("after a refusal:", m)
	}
	b.refuse = nil
	check(t, b.d.Restart())
	c, err := b.d.Open()
	check(t, err)
	if m := c.Power(); m != driver.PowerSaveOff {
		t.Error("after Restart:", m)
	}
	if b.c.Power() != driver.PowerInvalid || (*driver.Client)(nil).Power() != driver.PowerInvalid {
		t.Error("a closed client's mode is not invalid")
	}
	check(t, c.StartAP(driver.BSS{SSID: "x", Channel: 1}, driver.OpenAuth, nil))
	wantErr(t, "as Soft-AP", c.SetPower(driver.PowerAutoLow), driver.ErrMode)
	if driver.PowerAutoHigh.String() != "auto high" || driver.PowerMode(9).String() != "power(9)" || driver.PowerInvalid.String() != "power(-1)" {
		t.Error("names")
	}
}
