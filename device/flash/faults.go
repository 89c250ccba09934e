package flash

import (
	"errors"
	"math/rand/v2"
)

// ErrPowerCut is the error of a [PowerCut] that has come.
var ErrPowerCut = errors.New("flash: power is gone")

// PowerCut is a Storage for tests of what a cut of power leaves behind: it lets Writes writes through, of the next one a
// part, and fails from then on with [ErrPowerCut]. A program of a page and an erase of a sector are one write each.
//
// Of the write that is cut the first Torn bytes are done: none of them, some, or all. With Bits it is each bit or not, as
// these random numbers say, which is what cells look like that had not the time.
type PowerCut struct {
	Storage
	Writes int // that still get through; below 0: all
	Torn   int // bytes of the write that is cut
	Bits   rand.Source
	Done   int // writes that got through so far
	cut    bool
}

// Gone reports whether the power is gone.
func (c *PowerCut) Gone() bool { return c.cut }

// WriteAt writes, as long as there is power.
func (c *PowerCut) WriteAt(p []byte, off int64) (int, error) {
	switch {
	case c.cut:
		return 0, ErrPowerCut
	case c.Writes < 0 || c.Done < c.Writes:
		c.Done++
		return c.Storage.WriteAt(p, off)
	}
	c.cut = true
	n, err := c.tear(p, off)
	if err == nil {
		err = ErrPowerCut
	}
	return n, err
}

func (c *PowerCut) tear(p []byte, off int64) (int, error) {
	if c.Bits == nil {
		return c.Storage.WriteAt(p[:min(c.Torn, len(p))], off)
	}
	b := make([]byte, len(p))
	if _, err := c.Storage.ReadAt(b, off); err != nil {
		return 0, err
	}
	for i, v := range p {
		take := byte(c.Bits.Uint64())
		b[i] = b[i]&^take | v&take
	}
	return c.Storage.WriteAt(b, off)
}

// ReadAt reads, as long as there is power.
func (c *PowerCut) ReadAt(p []byte, off int64) (int, error) {
	if c.cut {
		return 0, ErrPowerCut
	}
	return c.Storage.ReadAt(p, off)
}

// ErrBadSector is the error of a [BadSectors] that says what it could not do.
var ErrBadSector = errors.New("flash: a bad sector")

// Badness is what is wrong with a sector; more than one thing can be.
type Badness uint8

// What can be wrong. A chip that fails says so in its status or, worse, does not.
const (
	FailErase   Badness = 1 << iota // erases fail, and leave what was there
	FailProgram                     // programs fail, and leave what was there
	KeepErase                       // erases seem to work, and leave what was there
	KeepProgram                     // programs seem to work, and leave the lowest bit of each byte as it was
)

// BadSectors is a Storage for tests with worn out sectors, by their number from the beginning of the chip.
type BadSectors struct {
	Storage
	Bad map[int]Badness
}

// WriteAt writes, where the sector still can.
func (s *BadSectors) WriteAt(p []byte, off int64) (int, error) {
	bad := s.Bad[int(off/SectorSize)]
	fail, keep := FailProgram, KeepProgram
	if len(p) == SectorSize {
		fail, keep = FailErase, KeepErase
	}
	switch {
	case bad&fail != 0:
		return 0, ErrBadSector
	case bad&keep == 0:
		return s.Storage.WriteAt(p, off)
	case keep == KeepErase:
		return len(p), nil
	}
	b := make([]byte, len(p))
	if _, err := s.Storage.ReadAt(b, off); err != nil {
		return 0, err
	}
	for i, v := range p {
		b[i] = b[i]&1 | v&^1
	}
	return s.Storage.WriteAt(b, off)
}
