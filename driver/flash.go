package driver

import (
	"errors"
	"fmt"

	"github.com/understudy-net/understudy/bus/reg"
)

// Flash is the exclusive user of the driver, made by Driver.OpenFlash: the
// firmware is stopped and the serial flash of the module is ours, to read, to
// program and to erase. Its methods block until the flash has done what they
// say. Nil and the zero value are invalid: ErrInvalid; after Close methods
// return ErrNotOpen.
type Flash struct {
	d    *Driver
	size int64

	// Guarded by the driver's lock.
	open    bool
	changes uint64 // writes and erases: what was read of the map before is old
}

// OpenFlash stops the firmware and returns the exclusive user: there is no
// Client beside it, all settings, sockets and callbacks (but for those of
// OnSocket and OnResolve) of earlier ones are gone, and Open fails with
// ErrInUse. While it is open, OpenFlash returns the same one. Only what is done
// by Flash works then; Tasks and Run find nothing to do.
//
// ErrInUse while a client is open: close it first. ErrNotReady before start-up
// has finished or after the driver was closed. A chip whose firmware does not
// start (ErrDeviceFailure) can be opened, so that its flash can be mended. If
// the chip does not do as it is told, the driver is in StateError, and the error
// matches ErrDeviceNotFound or ErrDeviceFailure. It stands for WDRV_WINC_Open
// with the intent DRV_IO_INTENT_EXCLUSIVE.
func (d *Driver) OpenFlash() (*Flash, error) {
	if d.Status() == StateBusy { // start-up has the lock
		return nil, ErrNotReady
	}
	d.lock()
	switch err := d.ready(); {
	case d.flash != nil:
		f := d.flash
		d.unlock()
		return f, nil
	case d.client != nil:
		d.unlock()
		return nil, ErrInUse
	case err != nil && !errors.Is(d.err, ErrDeviceFailure):
		d.unlock()
		return nil, err
	}
	f, err := d.enterDownload()
	d.unlock()
	d.changed()
	return f, err
}

// enterDownload takes the chip into download mode. Lock held.
func (d *Driver) enterDownload() (*Flash, error) {
	d.shutDown()
	id, err := d.download()
	size := flashSize(id)
	if err == nil && size == 0 {
		err = fmt.Errorf("%w: no flash answers, its id is %#x", ErrDeviceFailure, id)
	}
	if err != nil {
		err = fmt.Errorf("download mode: %w", err)
		d.become(StateError, err)
		return nil, err
	}
	d.flash = &Flash{d: d, size: size, open: true}
	d.become(StateReady, nil)
	d.trace("driver: download mode, flash of %d KiB, id %#x", size>>10, id)
	return d.flash, nil
}

// download resets the chip and keeps its processor from running (spec/host-bus.md
// 4.3, in the order of the 19.7.7 drivers, which trust the reset line). It returns
// the id of the flash.
func (d *Driver) download() (id uint32, err error) {
	if err := d.hardReset(); err != nil {
		return 0, fmt.Errorf("hard reset: %w: %w", ErrBus, err)
	}
	if err := d.spi.Init(); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrDeviceNotFound, err)
	}
	if err := d.identify(); err != nil {
		return 0, err
	}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"halt the processor", d.haltCPU},
		{"disable the ROM's interrupts", func() error { return d.spi.WriteReg(reg.ROMIntr, 0) }},
		{"enable the interrupt", d.enableInterrupt},
		{"identify the flash", func() error {
			return d.withFlash(func() (err error) { id, err = d.flashID(); return err })
		}},
	} {
		if err := step.do(); err != nil {
			return 0, fmt.Errorf("%w: %s: %w", ErrDeviceFailure, step.name, err)
		}
	}
	return id, nil
}

// haltCPU puts the processor's reset under our command and sets it.
func (d *Driver) haltCPU() error {
	if err := d.setBits(reg.BootResetMux, reg.MuxCPUByRegister); err != nil {
		return err
	}
	v, err := d.spi.ReadReg(reg.GlobalReset)
	if err != nil || v&reg.CPURun == 0 {
		return err
	}
	if err := d.spi.WriteReg(reg.GlobalReset, v&^reg.CPURun); err != nil { // not 0, which would reset the chip
		return err
	}
	_, err = d.spi.ReadReg(reg.GlobalReset)
	return err
}

// Close ends the exclusive use. The firmware stays stopped, as the documented
// driver leaves it: the driver is not ready (Open says ErrNotReady) until
// Driver.Restart, or a new Driver.Run, brings the chip up again. A Run that is at
// work goes on. Closing twice is ErrNotOpen. It stands for WDRV_WINC_Close of an
// exclusive handle.
func (f *Flash) Close() error {
	d, err := f.enter()
	if err != nil {
		return err
	}
	f.open = false
	d.flash, d.halted = nil, true
	d.become(StateUninitialised, nil)
	d.unlock()
	d.changed()
	return nil
}

// Size is that of the whole flash in bytes, 0 for an invalid handle. It stands
// for no documented function: the vendor's driver asks the flash's id.
func (f *Flash) Size() int64 {
	if f == nil {
		return 0
	}
	return f.size
}

// enter takes the lock if f can be used. The caller unlocks unless there is an
// error.
func (f *Flash) enter() (*Driver, error) {
	if f == nil || f.d == nil {
		return nil, ErrInvalid
	}
	f.d.lock()
	if !f.open {
		f.d.unlock()
		return nil, ErrNotOpen
	}
	return f.d, nil
}
