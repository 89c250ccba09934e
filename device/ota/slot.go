package ota

import (
	"errors"
	"fmt"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/device/flash"
	"github.com/understudy-net/understudy/device/image"
)

// Reasons about jobs and slots.
var (
	errBusy    = errors.New("a download runs")
	errIdle    = errors.New("no download runs")
	errOld     = errors.New("the image is too old")
	errNoImage = errors.New("the other slot holds no valid image")
)

// stored makes the status of an error of the flash: one that has no room for two images is too small.
func stored(err error) error {
	if errors.Is(err, flash.ErrNoRegion) {
		return &Error{hif.UpdateNoFlash, err}
	}
	return &Error{hif.UpdateFailed, err}
}

// slot is the sink of a firmware image: the file is checked while it passes, its payload goes into the inactive slot, and the
// control section says at the end that it is valid.
type slot struct {
	c     *Config
	out   writer
	check *image.Checker
}

// open marks the inactive image invalid, which comes before everything else.
func (s *slot) open(cfg *Config) error {
	f := cfg.Flash
	c, err := f.Control()
	if err != nil {
		return stored(err)
	}
	if err := freed(f, c); err != nil {
		return err
	}
	p, err := f.Region(flash.FirmwareInactive)
	if err != nil {
		return stored(err)
	}
	*s = slot{c: cfg, out: writer{part: p}}
	return nil
}

// freed stores that nothing in the inactive slot may be switched to. Where the working image is not good, so that the boot firmware
// has started the other one, that other one becomes the working image first: its slot must not be touched.
func freed(f *flash.Flash, c flash.Control) error {
	next := c
	if _, err := checked(f, flash.FirmwareActive); err != nil {
		if _, err := checked(f, flash.FirmwareInactive); err != nil || c.Rollback.Mark != flash.Valid {
			return &Error{hif.UpdateFailed, fmt.Errorf("neither slot holds a good image: %w", err)}
		}
		next = c.Switched()
	}
	next.Rollback.Mark, next.Rollback.Version = flash.Invalid, 0
	if next == c {
		return nil
	}
	if _, err := f.SetControl(next); err != nil {
		return stored(err)
	}
	return nil
}

// checked reads the image of a slot and checks it; the head of a foreign one is zero.
func checked(f *flash.Flash, r flash.Region) (image.Head, error) {
	p, err := f.Region(r)
	if err != nil {
		return image.Head{}, err
	}
	h, err := image.Check(p, int64(p.Size()))
	if errors.Is(err, image.ErrForeign) {
		err = nil
	}
	return h, err
}

// swap makes the inactive image the working one, if it is valid.
func swap(f *flash.Flash) error {
	c, err := f.Control()
	if err != nil {
		return stored(err)
	}
	if c.Rollback.Mark != flash.Valid {
		return &Error{hif.UpdateNoRollback, errNoImage}
	}
	if _, err := checked(f, flash.FirmwareInactive); err != nil {
		return &Error{hif.UpdateNoRollback, err}
	}
	if _, err := f.SetControl(c.Switched()); err != nil {
		return stored(err)
	}
	return nil
}

func (s *slot) begin(n int64) error {
	if n > int64(s.out.room()) {
		return &Error{hif.UpdateNoFlash, fmt.Errorf("a file of %d bytes for a slot of %d", n, s.out.room())}
	}
	s.check = image.NewChecker(s.out.room())
	s.check.Chip, s.check.Key = s.c.Chip, s.c.Key
	s.out.rewind()
	return nil
}

func (s *slot) Write(p []byte) error {
	payload, err := s.check.Write(p)
	if err != nil {
		return bad(err)
	}
	if err := s.out.write(payload); err != nil {
		return stored(err)
	}
	if h := s.check.Head(); h != nil && h.Version() < s.c.Oldest {
		return bad(fmt.Errorf("%w: %v, and at least %v is wanted", errOld, h.Version(), s.c.Oldest))
	}
	return nil
}

// bad makes the status of an error of the file.
func bad(err error) error {
	if errors.Is(err, image.ErrTooLarge) {
		return &Error{hif.UpdateNoFlash, err}
	}
	return &Error{hif.UpdateBadImage, err}
}

func (s *slot) expected() int64 {
	if s.check == nil {
		return 0
	}
	return s.check.Expected()
}

// finish checks the file, and what the flash has made of it, and marks the image valid.
func (s *slot) finish() error {
	if err := s.check.Close(); err != nil {
		return bad(err)
	}
	if err := s.out.verify(); err != nil {
		return stored(err)
	}
	h, err := checked(s.c.Flash, flash.FirmwareInactive)
	if err != nil {
		return &Error{hif.UpdateBadImage, err}
	}
	c, err := s.c.Flash.Control()
	if err != nil {
		return stored(err)
	}
	c.Rollback.Mark, c.Rollback.Version = flash.Valid, versionWord(h)
	if _, err := s.c.Flash.SetControl(c); err != nil {
		return stored(err)
	}
	return nil
}

// versionWord is what the control section says of an image, 0 of a foreign one.
func versionWord(h image.Head) uint32 { return uint32(h.MinDriver())<<16 | uint32(h.Version()) }
