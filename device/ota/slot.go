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

// open marks the inactive image invalid, which comes before everything else. Where the working image is not good, so that the boot
// firmware takes the other one, that other one becomes the working image first: its slot must not be touched.
func (s *slot) open(cfg *Config) error {
	f := cfg.Flash
	b, err := f.Look()
	if err != nil {
		return stored(err)
	}
	next := b.Control
	if b.Backup != nil {
		next = next.Switched()
	}
	next.Rollback = flash.Slot{Offset: next.Inactive(), Mark: flash.Invalid}
	if next != b.Control {
		if _, err := f.SetControl(next); err != nil {
			return stored(err)
		}
	}
	p, err := f.Region(flash.FirmwareInactive)
	if err != nil {
		return stored(err)
	}
	*s = slot{c: cfg, out: writer{part: p}}
	return nil
}

// swap makes the inactive image the working one, if it is valid and good.
func swap(f *flash.Flash) error {
	b, err := f.Look()
	switch {
	case errors.Is(err, flash.ErrNoRegion), err == nil && b.Other.Offset == 0:
		return &Error{hif.UpdateNoRollback, errNoImage}
	case err != nil:
		return stored(err)
	}
	if _, err := f.SetControl(b.Control.Switched()); err != nil {
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
	f := s.c.Flash
	c, err := f.Control()
	if err != nil {
		return stored(err)
	}
	c.Rollback = flash.Slot{
		Offset: c.Rollback.Offset, Mark: flash.Valid, Version: versionWord(s.check.Head()),
		Size: uint32(s.check.Stored()), Sum: s.check.Sum(),
	}
	if _, err := f.SetControl(c); err != nil {
		return stored(err)
	}
	if b, err := f.Look(); err != nil || b.Other.Offset != c.Rollback.Offset { // as the boot firmware will look
		c.Rollback.Mark = flash.Invalid
		_, again := f.SetControl(c)
		return &Error{hif.UpdateFailed, errors.Join(errBadSector, err, again)}
	}
	return nil
}

// versionWord is what the control section says of an image, 0 of a foreign one, whose head is nil.
func versionWord(h *image.Head) uint32 {
	if h == nil {
		return 0
	}
	return uint32(h.MinDriver())<<16 | uint32(h.Version())
}
