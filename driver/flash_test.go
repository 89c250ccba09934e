package driver_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/reg"
	"github.com/understudy-net/understudy/bus/spi"
	"github.com/understudy-net/understudy/device/flash"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/understudytest"
)

// flashChip is the scripted chip with a flash behind its controller. It checks
// what a chip relies on: the processor stands, the pads are connected.
type flashChip struct {
	*chip
	flash flash.Chip
	ops   []string // operations of the controller, one a line
	regs  []string // writes to the other registers since download mode
	hangs bool     // TR_DONE stays 0
	busy  int      // so many reads of the status say busy
	deaf  bool     // no flash: ones
}

func newFlashChip(t testing.TB, size int) *flashChip {
	c := &flashChip{chip: newChip(t)}
	format := flash.Format{Size: size}
	base, err := format.Base()
	check(t, err)
	c.flash.F = base.New()
	c.slave = spi.NewSlave(c)
	return c
}

func (c *flashChip) ReadReg(now time.Time, a uint32) uint32 {
	if a == reg.FlashTrDone && !c.hangs {
		return 1
	}
	return c.chip.ReadReg(now, a)
}

func (c *flashChip) WriteReg(now time.Time, a, v uint32) {
	c.chip.WriteReg(now, a, v)
	switch {
	case a == reg.FlashCmdCnt:
		c.operate(now, v)
	case a < reg.FlashMode || a > reg.FlashTXCtl:
		c.regs = append(c.regs, fmt.Sprintf("%s=%#x", reg.String(a), v))
	}
}

func (c *flashChip) operate(now time.Time, v uint32) {
	r := c.chip.regs
	if r[reg.FlashPinMux]&reg.FlashPadsMask != reg.FlashPadsConnected {
		c.t.Errorf("operation with pads %#x", r[reg.FlashPinMux])
	}
	if r[reg.BootResetMux]&reg.MuxCPUByRegister == 0 || r[reg.GlobalReset]&reg.CPURun != 0 {
		c.t.Error("operation while the processor runs")
	}
	n, out, in := int(v&reg.FlashCmdBytesMask), int(v&reg.FlashWriteCntMask>>reg.FlashWriteCntShift), int(r[reg.FlashDataCnt])
	if r[reg.FlashBufDir] != 1<<n-1 || v&reg.FlashStart == 0 {
		c.t.Errorf("%d command bytes with directions %#x, trigger %#x", n, r[reg.FlashBufDir], v)
	}
	var cmd [8]byte
	for i := range 4 {
		cmd[i], cmd[4+i] = byte(r[reg.FlashBuf1]>>(8*i)), byte(r[reg.FlashBuf2]>>(8*i))
	}
	c.ops = append(c.ops, fmt.Sprintf("% x out %d in %d @%#x", cmd[:n], out, in, r[reg.FlashDMAAddr]))
	data, answer := make([]byte, out), make([]byte, in)
	c.ReadMem(now, r[reg.FlashDMAAddr], data)
	c.flash.Exec(cmd[:n], data, answer)
	if cmd[0] == flash.OpReadStatus && c.busy > 0 {
		c.busy--
		answer[0] |= flash.StatusBusy
	}
	if c.deaf {
		copy(answer, bytes.Repeat([]byte{0xff}, in))
	}
	if r[reg.FlashDMAAddr] == reg.RcvCtrl1 {
		c.chip.regs[reg.RcvCtrl1] = uint32(answer[0]) | uint32(answer[1])<<8 | uint32(answer[2])<<16 | uint32(answer[3])<<24
		return
	}
	c.WriteMem(now, r[reg.FlashDMAAddr], answer)
}

// did returns the operations since the last call.
func (c *flashChip) did() []string {
	ops := c.ops
	c.ops = nil
	return ops
}

// flashBench is a flash that was opened, on the scripted chip.
func flashBench(t testing.TB, size int) (*flashChip, *driver.Driver, *driver.Flash) {
	t.Helper()
	c := newFlashChip(t, size)
	d := driver.New(c, c.config())
	check(t, d.Tasks())
	c.regs = nil
	f, err := d.OpenFlash()
	check(t, err)
	return c, d, f
}

// Download mode is entered, and the flash operated, by the sequences of
// spec/host-bus.md 4.3 and 6.2, to the register.
func TestFlashUsesTheSequencesOfTheVendorsDriver(t *testing.T) {
	c, _, f := flashBench(t, flash.Size4M)
	if want := []string{
		"BOOT_RESET_MUX=0x1", "ROM_INTR=0x0", "PIN_MUX_0=0x100", "INTR_ENABLE=0x10000",
		"FLASH_PIN_MUX=0x1111000", "FLASH_PIN_MUX=0x10000",
	}; !slices.Equal(c.regs, want) {
		t.Errorf("download mode: %q, want %q", c.regs, want)
	}
	compare := func(what string, want ...string) {
		t.Helper()
		want = append(append([]string{"ab out 0 in 0 @0x0"}, want...), "b9 out 0 in 0 @0x0")
		if got := c.did(); !slices.Equal(got, want) {
			t.Errorf("%s:\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	compare("open", "9f out 0 in 4 @0x1084")

	raw := f.Region(driver.RegionRaw)
	check(t, raw.Erase(0x7f, 1))
	const on, off, status = "06 out 0 in 0 @0x0", "04 out 0 in 0 @0x0", "05 out 0 in 4 @0x1084"
	compare("erase", on, status, "20 07 f0 00 out 0 in 0 @0x0", status, status)

	_, err := raw.WriteAt(make([]byte, 300), 0x7f0f0)
	check(t, err)
	compare("write over a page's end", on, "02 07 f0 f0 out 16 in 0 @0xd0000", status, status, off,
		on, "02 07 f1 00 out 256 in 0 @0xd0000", status, status, off,
		on, "02 07 f2 00 out 28 in 0 @0xd0000", status, status, off)

	_, err = raw.ReadAt(make([]byte, 33<<10), 0)
	check(t, err)
	compare("read", "0b 00 00 00 a5 out 0 in 32768 @0xd0000", "0b 00 80 00 a5 out 0 in 1024 @0xd0000")

	c.busy = 3
	check(t, raw.Erase(0, 1))
	compare("erase that takes time", on, status, "20 00 00 00 out 0 in 0 @0x0", status, status, status)
}

// A processor that runs is halted by a write that is not 0, which would reset
// the chip.
func TestFlashHaltsARunningProcessor(t *testing.T) {
	c := newFlashChip(t, flash.Size4M)
	d := driver.New(noFlashReset{c}, c.config())
	c.SetEnable(true)
	c.SetReset(true)
	c.SetReset(false)
	check(t, d.Tasks())
	c.chip.regs[reg.GlobalReset] |= reg.CPURun
	_, err := d.OpenFlash()
	check(t, err)
	if v := c.chip.regs[reg.GlobalReset]; v != reg.GlobalResetAtReset {
		t.Errorf("GLB_RESET_0 is %#x", v)
	}
}

type noFlashReset struct{ *flashChip }

func (noFlashReset) SetReset(bool) error  { return nil }
func (noFlashReset) SetEnable(bool) error { return nil }

// What goes wrong ends in an error that says so, and the flash is put to sleep
// after it.
func TestFlashFailures(t *testing.T) {
	t.Run("no flash", func(t *testing.T) {
		c := newFlashChip(t, flash.Size4M)
		d := driver.New(c, c.config())
		check(t, d.Tasks())
		c.deaf = true
		_, err := d.OpenFlash()
		wantErr(t, "OpenFlash", err, driver.ErrDeviceFailure)
		if d.Status() != driver.StateError {
			t.Error(d.Status())
		}
		check(t, d.Restart())
	})
	t.Run("controller hangs", func(t *testing.T) {
		c, _, f := flashBench(t, flash.Size4M)
		c.hangs = true
		n, err := f.Region(driver.RegionRaw).ReadAt(make([]byte, 10), 0)
		wantErr(t, "ReadAt", err, driver.ErrBus)
		if n != 0 {
			t.Error(n, "bytes")
		}
	})
	t.Run("flash stays busy", func(t *testing.T) {
		c, _, f := flashBench(t, flash.Size4M)
		c.busy = 1 << 30
		wantErr(t, "Erase", f.Region(driver.RegionRaw).Erase(0, 1), driver.ErrBus)
		c.busy = 0
		if !c.flash.PoweredDown() || c.chip.regs[reg.FlashPinMux] != reg.FlashPadsParked {
			t.Errorf("powered down %v, pads %#x", c.flash.PoweredDown(), c.chip.regs[reg.FlashPinMux])
		}
		check(t, f.Region(driver.RegionRaw).Erase(0, 1))
	})
	t.Run("wires are cut", func(t *testing.T) {
		c, _, f := flashBench(t, flash.Size4M)
		c.fault = func() error { return errors.New("no wire") }
		_, err := f.Region(driver.RegionRaw).ReadAt(make([]byte, 10), 0)
		wantErr(t, "ReadAt", err, driver.ErrBus)
		wantErr(t, "ReadAt", err, driver.ErrRequest)
	})
}

// A firmware that does not start does not keep the flash from being mended.
func TestFlashOpensWithoutAFirmware(t *testing.T) {
	c := newFlashChip(t, flash.Size4M)
	c.revision.Firmware = 0
	d := driver.New(c, c.config())
	wantErr(t, "Tasks", d.Tasks(), driver.ErrDeviceFailure)
	f, err := d.OpenFlash()
	check(t, err)
	if f.Size() != flash.Size4M {
		t.Error(f.Size())
	}
}

func TestFlashSizeFollowsTheID(t *testing.T) {
	for _, size := range []int{flash.Size2M, flash.Size4M, flash.Size8M} {
		_, _, f := flashBench(t, size)
		if f.Size() != int64(size) || f.Region(driver.RegionRaw).Size() != int64(size) {
			t.Errorf("flash of %d: size %d, raw %d", size, f.Size(), f.Region(driver.RegionRaw).Size())
		}
	}
}

// The regions lie where the map of spec/host-bus.md 6.3 has them.
func TestFlashRegions(t *testing.T) {
	_, _, f := flashBench(t, flash.Size8M)
	raw := f.Region(driver.RegionRaw)
	for _, r := range []struct {
		id        driver.RegionID
		off, size int64
	}{
		{driver.RegionRaw, 0, 0x100000}, {driver.RegionActive, 0xa000, 0x3b000}, {driver.RegionInactive, 0x45000, 0x3b000},
		{driver.RegionPLL, 0x3000, 0x400}, {driver.RegionGain, 0x3400, 0xc00}, {driver.RegionPLLGain, 0x3000, 0x1000},
		{driver.RegionRootCerts, 0x4000, 0x1000}, {driver.RegionLocalCerts, 0x5000, 0x2000},
		{driver.RegionConnections, 0x9000, 0x1000}, {driver.RegionHTTP, 0x7000, 0x2000},
		{driver.RegionHostFile, 0x80000, 0x80000},
	} {
		g := f.Region(r.id)
		if g.Size() != r.size {
			t.Errorf("%v: size %#x, want %#x", r.id, g.Size(), r.size)
		}
		end := r.size - 3 // the end of it, which is erased
		if _, err := g.WriteAt([]byte{byte(r.id), 0x5a, 0xf0}, end); err != nil {
			t.Errorf("%v: %v", r.id, err)
		}
		var b [3]byte
		if _, err := raw.ReadAt(b[:], r.off+end); err != nil || b[1] != 0x5a&b[1] || b[2]&0x0f != 0 {
			t.Errorf("%v: % x at %#x, %v", r.id, b, r.off+end, err)
		}
	}
}

// A table behind the control section is believed before the fixed map; without
// a valid section there are no firmware images; a chip of 2 Mbit has no map.
func TestFlashMapFromTheFlash(t *testing.T) {
	c, _, f := flashBench(t, flash.Size8M)
	ctl, err := c.flash.F.Control()
	check(t, err)
	table := flash.Table{Size: flash.Size8M, Entries: []flash.Entry{
		{ID: flash.IDTLSRoot, First: 0x90, Sectors: 2}, {ID: flash.IDFirmware, First: 0xa0, Sectors: 0x20},
		{ID: flash.IDHostFile, First: 0xf8, Sectors: 0x10}, // over the end
	}}
	ctl.Working.Offset = 0xa0000
	raw := f.Region(driver.RegionRaw)
	put := func(at int64, b []byte) {
		t.Helper()
		check(t, raw.Erase(int(at/driver.SectorSize), 1))
		_, err := raw.WriteAt(b, at)
		check(t, err)
	}
	active := f.Region(driver.RegionActive)
	if active.Size() != 0x3b000 {
		t.Error(active.Size())
	}
	for _, at := range []int64{0x2000, 0x1000} { // first the backup counts, then the main copy
		check(t, raw.Erase(1, 2))
		put(at, table.Append(ctl.Append(nil)))
		for id, size := range map[driver.RegionID]int64{
			driver.RegionActive: 0x20000, driver.RegionRootCerts: 0x2000, driver.RegionHTTP: 0x2000, driver.RegionHostFile: 0,
		} {
			if got := f.Region(id).Size(); got != size {
				t.Errorf("table at %#x: %v has %#x bytes, want %#x", at, id, got, size)
			}
		}
		if active.Size() != 0x20000 {
			t.Error("a region that is held does not follow the control section")
		}
	}
	check(t, raw.Erase(1, 2))
	_, err = active.ReadAt(make([]byte, 1), 0)
	wantErr(t, "active firmware without a control section", err, driver.ErrRegion)
	wantErr(t, "active firmware without a control section", err, driver.ErrRequest)
	if got := f.Region(driver.RegionRootCerts).Size(); got != 0x1000 {
		t.Errorf("root certificates without a table: %#x", got)
	}
	put(0x1000, table.Append(append(ctl.Append(nil)[:63], 0x5a))) // a wrong CRC
	_, err = active.ReadAt(make([]byte, 1), 0)
	wantErr(t, "control section with a wrong CRC", err, driver.ErrRegion)

	_, _, small := flashBench(t, flash.Size2M)
	_, err = small.Region(driver.RegionRootCerts).ReadAt(make([]byte, 1), 0)
	wantErr(t, "2 Mbit", err, driver.ErrRegion)
	_, _, middle := flashBench(t, flash.Size4M)
	_, err = middle.Region(driver.RegionHostFile).ReadAt(make([]byte, 1), 0)
	wantErr(t, "host file on 4 Mbit", err, driver.ErrRegion)
}

// Of two valid control sections the newer one counts, as it does at the next boot: a power cut between their writes leaves the
// backup ahead. And the inactive image is never that which the next boot runs, whatever a section says.
func TestFlashMapIsThatOfTheNextBoot(t *testing.T) {
	c, _, f := flashBench(t, flash.Size4M)
	ctl, err := c.flash.F.Control()
	check(t, err)
	raw := f.Region(driver.RegionRaw)
	put := func(at int64, ctl flash.Control) {
		t.Helper()
		check(t, raw.Erase(int(at/driver.SectorSize), 1))
		_, err := raw.WriteAt(ctl.Append(nil), at)
		check(t, err)
	}
	where := func(what string, id driver.RegionID, off int64) {
		t.Helper()
		r := f.Region(id)
		want, got := make([]byte, 16), make([]byte, 16)
		copy(want, fmt.Sprintf("%v %x", what, off))
		_, err := raw.WriteAt(want, off+r.Size()-int64(len(want)))
		check(t, err)
		if _, err := r.ReadAt(got, r.Size()-int64(len(got))); err != nil || string(got) != string(want) {
			t.Errorf("%s: %v is not at %#x: %v", what, id, off, err)
		}
		check(t, raw.Erase(int((off+r.Size())/driver.SectorSize)-1, 1))
	}
	newer := ctl.Switched()
	for _, seq := range []uint32{7, 0xffffffff} { // which wraps
		ctl.Sequence, newer.Sequence = seq, seq+1
		put(0x1000, ctl)
		put(0x2000, newer)
		where("backup", driver.RegionActive, 0x45000)
		where("backup", driver.RegionInactive, 0xa000)
		put(0x1000, newer)
		put(0x2000, ctl)
		where("main", driver.RegionActive, 0x45000)
	}
	for _, off := range []uint32{0, 0xa000, 0x45001} {
		ctl.Rollback.Offset = off
		put(0x1000, ctl)
		put(0x2000, ctl)
		where("odd", driver.RegionActive, 0xa000)
		_, err = f.Region(driver.RegionInactive).ReadAt(make([]byte, 1), 0)
		wantErr(t, fmt.Sprintf("inactive firmware at %#x", off), err, driver.ErrRegion)
	}
}

// Arguments out of range change nothing.
func TestFlashArguments(t *testing.T) {
	c, _, f := flashBench(t, flash.Size4M)
	r := f.Region(driver.RegionRootCerts)
	c.did()
	for what, err := range map[string]error{
		"write below":      second(r.WriteAt(make([]byte, 1), -1)),
		"write beyond":     second(r.WriteAt(make([]byte, 2), 0xfff)),
		"write far beyond": second(r.WriteAt(make([]byte, 2), 1<<62)),
		"read below":       second(r.ReadAt(make([]byte, 1), -1)),
		"erase below":      r.Erase(-1, 1),
		"erase beyond":     r.Erase(1, 1),
		"erase too many":   r.Erase(0, 2),
		"erase none less":  r.Erase(0, -1),
		"erase the tables": f.Region(driver.RegionPLL).Erase(0, 1),
		"erase the gains":  f.Region(driver.RegionGain).Erase(0, 1),
	} {
		wantErr(t, what, err, driver.ErrRange)
	}
	for _, op := range c.did() {
		if strings.HasPrefix(op, "02") || strings.HasPrefix(op, "20") || strings.HasPrefix(op, "06") {
			t.Error("changed something:", op)
		}
	}
	b := make([]byte, 10)
	if n, err := r.ReadAt(b, 0xffc); n != 4 || err != io.EOF {
		t.Error("read over the end:", n, err)
	}
	if n, err := r.ReadAt(b, 0x1000); n != 0 || err != io.EOF {
		t.Error("read at the end:", n, err)
	}
	if n, err := r.WriteAt(nil, 0x1000); n != 0 || err != nil {
		t.Error("write of nothing at the end:", n, err)
	}
	check(t, r.Erase(1, 0))
	_, err := f.Region(99).ReadAt(b, 0)
	wantErr(t, "unknown region", err, driver.ErrInvalid)
	var none *driver.Flash
	_, err = none.Region(driver.RegionRaw).ReadAt(b, 0)
	wantErr(t, "nil", err, driver.ErrInvalid)
	wantErr(t, "nil", none.Close(), driver.ErrInvalid)
	wantErr(t, "zero", new(driver.Flash).Close(), driver.ErrInvalid)
	if none.Size() != 0 || driver.RegionID(99).String() != "region(99)" || driver.RegionHTTP.String() != "HTTP files" {
		t.Error("zero values")
	}
}

func second[T any](_ T, err error) error { return err }

// On the device in software, bytes written by the driver are those that its
// firmware boots from, and NOR rules hold: programming makes no ones.
func TestFlashOfTheDevice(t *testing.T) {
	onRig(t, understudytest.Config{}, func(r *rig) {
		check(t, r.c.Close())
		f, err := r.Driver.OpenFlash()
		check(t, err)
		certs := f.Region(driver.RegionLocalCerts)
		data := make([]byte, certs.Size())
		for i := range data {
			data[i] = byte(i*7) ^ byte(i>>8)
		}
		check(t, certs.Erase(0, 2))
		n, err := certs.WriteAt(data, 0)
		check(t, err)
		got, err := io.ReadAll(io.NewSectionReader(certs, 0, certs.Size()))
		check(t, err)
		if n != len(data) || !bytes.Equal(got, data) {
			t.Errorf("%d bytes written, %d read, equal %v", n, len(got), bytes.Equal(got, data))
		}
		_, err = certs.WriteAt([]byte{0x0f}, 0x11) // over 0x77
		check(t, err)
		check(t, certs.Erase(1, 1))
		got = got[:2]
		for at, want := range map[int64][]byte{0x11: {0x07, 0x7e}, 0x1000: {0xff, 0xff}} {
			if _, err := certs.ReadAt(got, at); err != nil || !bytes.Equal(got, want) {
				t.Errorf("at %#x: % x, %v, want % x", at, got, err, want)
			}
		}
		// Without its control section the device does not boot; mended, it does.
		var save [2 * driver.SectorSize]byte
		raw := f.Region(driver.RegionRaw)
		_, err = raw.ReadAt(save[:], 0x1000)
		check(t, err)
		check(t, raw.Erase(1, 2))
		check(t, f.Close())
		wantErr(t, "Restart without a control section", r.Driver.Restart(), driver.ErrDeviceFailure)
		f, err = r.Driver.OpenFlash()
		check(t, err)
		_, err = f.Region(driver.RegionRaw).WriteAt(save[:], 0x1000)
		check(t, err)
		check(t, f.Close())
		check(t, r.Driver.Restart())
		_, err = r.Driver.Open()
		check(t, err)
	})
}

// A Run goes on while the flash is used and after it, and ends by Close.
func TestRunSurvivesTheUseOfTheFlash(t *testing.T) {
	c := newFlashChip(t, flash.Size4M)
	d := driver.New(c, driver.Config{Now: c.clock.Now, Sleep: c.clock.Sleep, Poll: -1})
	check(t, d.Tasks())
	s := never{asked: make(chan struct{})}
	ended := make(chan error, 1)
	go func() { ended <- d.Run(s) }()
	<-s.asked // it is at work
	f, err := d.OpenFlash()
	check(t, err)
	check(t, f.Close())
	check(t, d.Tasks())
	select {
	case err := <-ended:
		t.Fatal("Run ended:", err)
	default:
	}
	check(t, d.Restart())
	_, err = d.Open()
	check(t, err)
	check(t, d.Close())
	wantErr(t, "Run", <-ended, driver.ErrClosed)
}

// never is a stop that never comes; it tells when Run asks for it.
type never struct{ asked chan struct{} }

func (s never) Done() <-chan struct{} { close(s.asked); return nil }
func (s never) Err() error            { return nil }
