package flash

import (
	"errors"
	"fmt"

	"github.com/understudy-net/understudy/device/image"
)

// Booted is what the device starts.
type Booted struct {
	Control Control
	Running Found // the image that runs
	Other   Found // the one that can be switched to; Offset 0: there is none
	Backup  error // why Running is not the working image of the control section, nil if it is
	Trial   bool  // Running has not been confirmed yet
	Failed  bool  // this start gave up the image on trial: Running is the one from before
	Worn    error // why the control section could not be put in order, which is no reason not to start; nil: it is
}

// Found is a good image.
type Found struct {
	Offset  uint32         // of its slot
	Version uint32         // as the control section has it, 0 if not known
	Block   [BlockLen]byte // its version block; zero of a foreign image
	Foreign bool
}

// Look finds the image that Boot would pick, and changes nothing: the working image of the control section in force if it
// is good, else the other one if that is marked valid and good, else none: ErrNoImage. No valid control section is
// ErrControl. A chip of 2 Mbit has no map: ErrNoRegion.
func (f *Flash) Look() (Booted, error) {
	c, err := f.Control()
	if err != nil {
		return Booted{}, err
	}
	b := Booted{Control: c}
	b.Running, b.Backup = f.find(c.Working)
	if c.Rollback.Mark == Valid && c.Rollback.Offset != c.Working.Offset {
		if other, err := f.find(c.Rollback); err == nil {
			b.Other = other
		}
	}
	if b.Backup == nil {
		return b, nil
	}
	if b.Other.Offset == 0 {
		return b, fmt.Errorf("%w: working image: %v; the other one is %v", ErrNoImage, b.Backup, c.Rollback.Mark)
	}
	b.Running, b.Other = b.Other, Found{}
	return b, nil
}

// Boot picks the image to run as the boot firmware does (see [Flash.Look]), and makes the two copies of the control section
// equal.
func (f *Flash) Boot() (Booted, error) { return f.BootTrial(0) }

// BootTrial is Boot for a device that tries new images: an image that was switched to has so many starts to show that it
// works, which [Flash.Confirm] says. If none of them was confirmed, the next start goes back to the image that was
// confirmed last, and marks the failed one invalid. Without such an image, which is valid and good, there is no trial, and
// with starts 0 neither.
func (f *Flash) BootTrial(starts int) (Booted, error) {
	b, err := f.Look()
	if err != nil {
		return b, err
	}
	b.Worn = f.Repair()
	c := b.Control
	if starts <= 0 || b.Other.Offset == 0 || c.Confirmed != b.Other.Offset {
		return b, nil
	}
	if c.Starts < uint8(min(starts, 255)) {
		b.Trial = true
		c.Starts++
	} else {
		b.Failed = true
		b.Running, b.Other = b.Other, Found{}
		c = c.Switched()
		c.Rollback.Mark = Invalid
	}
	if c, b.Worn = f.SetControl(c); b.Worn == nil {
		b.Control = c
	}
	return b, nil
}

// Confirm ends the trial of the working image: it works. It writes only if there is something to say.
func (f *Flash) Confirm() error {
	c, err := f.Control()
	if err != nil || c.Confirmed == c.Working.Offset {
		return err
	}
	c.Confirmed, c.Starts = c.Working.Offset, 0
	_, err = f.SetControl(c)
	return err
}

// find checks the image of a slot: by its sum, if there is one, and by what it says of itself.
func (f *Flash) find(s Slot) (Found, error) {
	p, err := f.slot(s.Offset)
	if err != nil {
		return Found{}, err
	}
	if s.Size != 0 {
		if sum, err := p.Sum(int(s.Size)); err != nil || sum != s.Sum {
			return Found{}, errors.Join(fmt.Errorf("%w: CRC %#08x of %d bytes, want %#08x", ErrNoImage, sum, s.Size, s.Sum), err)
		}
	}
	m, err := CheckImage(p)
	foreign := errors.Is(err, image.ErrForeign)
	if err != nil && !foreign {
		return Found{}, err
	}
	return Found{Offset: s.Offset, Version: s.Version, Block: m.Block, Foreign: foreign}, nil
}
