package device

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
	"github.com/understudy-net/understudy/device/flash"
)

// FlashFormat says what a fresh flash of the profile holds: its firmware in the first slot. Give it to [flash.OpenFile], or to
// [flash.Format.Base] for many devices that share a content of their own.
func (p Profile) FlashFormat() flash.Format {
	p = p.withDefaults()
	rev := hif.Revision{
		ChipID: p.ChipID, Firmware: p.Firmware, MinDriver: p.MinHost,
		BuildDate: buildDate, BuildTime: buildTime, Understudy: true,
	}
	f := flash.Format{Size: p.FlashSize, Version: uint32(p.versionWord())}
	rev.Append(f.Block[:0])
	return f
}

// standardFlash is what all devices with the ordinary profiles start from.
var standardFlash = sync.OnceValues(func() (*flash.Base, error) { return WINC1500().FlashFormat().Base() })

// freshFlash makes the flash of a device that was not given one.
func freshFlash(p Profile) (*flash.Flash, error) {
	format := p.FlashFormat()
	base, err := standardFlash()
	if format != WINC1500().FlashFormat() {
		base, err = format.Base()
	}
	if err != nil {
		return nil, fmt.Errorf("device: profile %q: %w", p.Name, err)
	}
	return base.New(), nil
}

// flashCommand is a write to CMD_CNT, the trigger of the flash controller. The registers say how many command bytes there
// are, how many bytes follow them from memory, how many are read after them, and where those go; the operation is over when
// the write is, so TR_DONE always reads 1 [BD-13]. Spec host-bus 6.1.
func (d *Device) flashCommand(now time.Time, v uint32) {
	if v&reg.FlashStart == 0 {
		return
	}
	s := d.regs.stored
	var cmd [8]byte
	le.PutUint32(cmd[:], s[reg.FlashBuf1])
	le.PutUint32(cmd[4:], s[reg.FlashBuf2])
	var data []byte
	if n := v & reg.FlashWriteCntMask >> reg.FlashWriteCntShift; n > 0 {
		skip := uint32(0) // of more than a page only the end stays in the page buffer
		if n > 2*flash.PageSize {
			skip = (n/flash.PageSize - 2) * flash.PageSize
		}
		data = make([]byte, n-skip)
		chip{d}.ReadMem(now, s[reg.FlashDMAAddr]+skip, data)
	}
	var answer []byte
	if n := s[reg.FlashDataCnt]; n > 0 {
		answer = make([]byte, min(n, reg.StagingLen))
	}
	d.flash.Exec(cmd[:min(v&reg.FlashCmdBytesMask, uint32(len(cmd)))], data, answer)
	if answer != nil {
		d.flashAnswer(now, s[reg.FlashDMAAddr], answer)
	}
}

// flashAnswer stores what was read. Hosts give a register as the address for short reads: the one that also holds the
// address of a posted message. So that a host may ask for the flash's id while a message waits, the answer then stands
// there for one read.
func (d *Device) flashAnswer(now time.Time, to uint32, b []byte) {
	if to != reg.RcvCtrl1 {
		chip{d}.WriteMem(now, to, b)
		return
	}
	var w [4]byte
	copy(w[:], b)
	d.regs.flashShort, d.regs.flashFresh = le.Uint32(w[:]), true
}

// readMessageAt is a read of WIFI_HOST_RCV_CTRL_1.
func (d *Device) readMessageAt() uint32 {
	r := &d.regs
	if r.flashFresh {
		if d.out.open {
			r.flashFresh = false
		}
		return r.flashShort
	}
	return r.messageAt
}

// bootFlash picks the firmware to run (host-bus 6.4). A flash too small for the map runs what the profile says.
func (d *Device) bootFlash(now time.Time) error {
	b, err := d.flash.F.BootTrial(d.profile.Update.TrialStarts)
	d.boot, d.bootErr = b, err
	// Also one that is not on trial is confirmed: the trial of the next one needs an image to go back to.
	c := b.Control
	d.unproven = err == nil && d.profile.Update.TrialStarts > 0 && b.Backup == nil && !b.Failed && c.Confirmed != c.Working.Offset
	if b.Failed {
		d.trace(now, EventUpdate, 0, nil, "the new firmware has not shown that it works: back to the one before it")
	}
	for _, e := range []error{b.Backup, b.Worn} {
		if e != nil && err == nil {
			d.trace(now, EventFlash, 0, nil, e.Error())
		}
	}
	if errors.Is(err, flash.ErrNoRegion) {
		d.bootErr = nil
		d.boot.Running = flash.Found{Foreign: true}
	}
	d.loadNetworks()
	return d.bootErr
}

// proven confirms the firmware, which ends its trial: a host has started it and was understood.
func (d *Device) proven(now time.Time) {
	d.unproven, d.boot.Trial = false, false
	if err := d.flash.F.Confirm(); err != nil {
		d.trace(now, EventFlash, 0, nil, err.Error())
	}
}

// revision is the version block of an image. One that is not of ours has none that we can read: then what the profile says of
// foreign images counts, or the control section, or at last the profile's own version.
func (d *Device) revision(i flash.Found) hif.Revision {
	p := &d.profile
	rev, err := hif.ParseRevision(i.Block[:])
	if err != nil || i.Foreign || rev.Firmware == 0 {
		rev = hif.Revision{Firmware: p.Firmware, MinDriver: p.MinHost, BuildDate: buildDate, BuildTime: buildTime}
		if v := p.Update.ForeignVersion; v != 0 && i.Offset != 0 {
			rev.Firmware = v
		} else if w := hif.VersionWord(i.Version); w.Low() != 0 {
			rev.Firmware = w.Low()
			rev.MinDriver = w.High()
		}
	}
	if rev.MinDriver == 0 {
		rev.MinDriver = p.MinHost
	}
	rev.ChipID = p.ChipID
	rev.Understudy = true // it is the device that knows the extension, whatever image runs
	return rev
}

// standby reports whether there is an image that can be switched to.
func (d *Device) standby() bool { return d.boot.Other.Offset != 0 }
