package driver

import (
	"fmt"
	"io"
)

// Finer forms of ErrRequest, of the flash.
var (
	// ErrInUse: the driver is open for another use; close that one first.
	ErrInUse error = &requestError{"the driver is open for another use; close that client first"}
	// ErrRegion: this flash has no such region, or its control section, which
	// says where the firmware images are, is broken in both copies.
	ErrRegion error = &requestError{"the flash has no such region, or its control section is broken"}
	// ErrRange: not inside the region, or not whole sectors; nothing was done.
	ErrRange error = &requestError{"outside of the region of the flash"}
)

// SectorSize is what Region.Erase erases, in bytes.
const SectorSize = flashSector

// Region is a part of the flash: an io.ReaderAt and an io.WriterAt with offsets
// that count from its beginning. Where a region is, is looked up in the flash when
// it is first used, and again after anything was written.
type Region struct {
	f  *Flash
	id RegionID

	// Guarded by the driver's lock.
	found   bool
	changes uint64 // of the flash, when at was found
	at      extent
}

var (
	_ io.ReaderAt = (*Region)(nil)
	_ io.WriterAt = (*Region)(nil)
)

// Region returns a part of the flash. A region that does not exist shows when it
// is used. It stands for no documented function: there it is an argument.
func (f *Flash) Region(id RegionID) *Region { return &Region{f: f, id: id} }

// ReadAt reads as io.ReaderAt says: fewer bytes than len(p) come with io.EOF at
// the end of the region. Errors: ErrNotOpen, ErrInvalid for an unknown region or
// handle, ErrRegion, ErrRange for an offset below 0, ErrBus. It stands for
// WDRV_WINC_NVMRead.
func (r *Region) ReadAt(p []byte, off int64) (n int, err error) {
	err = r.use("read", func(d *Driver) error {
		if off < 0 {
			return fmt.Errorf("%w: offset %d", ErrRange, off)
		}
		if off >= r.at.size {
			return io.EOF
		}
		k := int(min(int64(len(p)), r.at.size-off))
		n, err = d.flashRead(p[:k], r.at.off+off)
		if err != nil {
			return flashFault(err)
		}
		if k < len(p) {
			return io.EOF
		}
		return nil
	})
	return n, err
}

// WriteAt programs p: it can only make zeros of ones, so what is not erased must
// be erased before. What does not fit into the region is ErrRange, and nothing is
// written; other errors as of ReadAt, with the number of bytes that are known to be
// programmed. It stands for WDRV_WINC_NVMWrite.
func (r *Region) WriteAt(p []byte, off int64) (n int, err error) {
	err = r.use("write", func(d *Driver) error {
		if off < 0 || off > r.at.size || int64(len(p)) > r.at.size-off {
			return fmt.Errorf("%w: %d bytes at %#x of %#x", ErrRange, len(p), off, r.at.size)
		}
		r.f.changes++
		n, err = d.flashWrite(p, r.at.off+off)
		return flashFault(err)
	})
	return n, err
}

// Erase makes n sectors of SectorSize bytes, from sector first of the region on,
// all ones. The PLL table and the gain table, which are parts of a sector, can only
// be erased together, as RegionPLLGain. Sectors outside of the region: ErrRange,
// and nothing is erased; other errors as of ReadAt. It stands for
// WDRV_WINC_NVMEraseSector.
func (r *Region) Erase(first, n int) error {
	return r.use("erase", func(d *Driver) error {
		all := r.at.size / flashSector
		if r.at.off%flashSector != 0 || r.at.size%flashSector != 0 {
			return fmt.Errorf("%w: the region is no whole sectors", ErrRange)
		}
		if first < 0 || n < 0 || int64(first) > all || int64(n) > all-int64(first) {
			return fmt.Errorf("%w: %d sectors from %d on, of %d", ErrRange, n, first, all)
		}
		r.f.changes++
		for i := range n {
			if err := d.flashEraseSector(r.at.off + int64(first+i)*flashSector); err != nil {
				return flashFault(err)
			}
		}
		return nil
	})
}

// Size is the length of the region in bytes, 0 if it does not exist or cannot be
// used. It stands for no documented function: the NVM functions check it inside.
func (r *Region) Size() int64 {
	var size int64
	_ = r.use("size", func(*Driver) error { size = r.at.size; return nil })
	return size
}

// use does f with the lock held, the flash awake and the region found.
func (r *Region) use(what string, f func(d *Driver) error) error {
	if r == nil || r.id >= regions {
		return ErrInvalid
	}
	d, err := r.f.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	var verdict error
	err = d.withFlash(func() error {
		if verdict = r.find(); verdict == nil {
			verdict = f(d)
		}
		return nil
	})
	if verdict == nil {
		verdict = flashFault(err)
	}
	if verdict == nil || verdict == io.EOF {
		return verdict
	}
	return fmt.Errorf("%s of flash, %v: %w", what, r.id, verdict)
}

// find finds the region, unless that is still known.
func (r *Region) find() error {
	if r.found && r.changes == r.f.changes {
		return nil
	}
	if r.id == RegionRaw { // needs no map
		r.at, r.found, r.changes = extent{0, r.f.size}, true, r.f.changes
		return nil
	}
	l, err := r.f.layout()
	if err != nil {
		return flashFault(err)
	}
	r.at, err = l.find(r.id)
	r.found, r.changes = err == nil, r.f.changes
	return err
}

// flashFault is a failure of the bus or of the flash.
func flashFault(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrBus, err)
}
