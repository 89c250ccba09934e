package flash

import (
	"errors"
	"fmt"
	"io"
)

// Geometry. Spec host-bus 6.3.
const (
	PageSize   = 256
	SectorSize = 4096

	Size2M = 256 << 10 // 2 Mbit: too small for the map; only raw access
	Size4M = 512 << 10 // 4 Mbit: the map fills it exactly
	Size8M = 1 << 20   // 8 Mbit: the upper half holds the host's file
)

// Errors of this package; errors.Is finds them in what its functions return.
var (
	ErrSize     = errors.New("flash: not the size of a chip (256 KiB, 512 KiB or 1 MiB)")
	ErrRange    = errors.New("flash: outside of the chip or region")
	ErrControl  = errors.New("flash: no valid control section")
	ErrNoRegion = errors.New("flash: a chip of this size has no such region")
	ErrNoImage  = errors.New("flash: no valid firmware image")
	ErrFull     = errors.New("flash: does not fit into its region")
)

// Stats counts what was done to a chip.
type Stats struct {
	Reads    uint64 // calls
	Programs uint64 // pages
	Erases   uint64 // sectors
	Failed   uint64 // of these three, by errors of the storage
}

// medium is where the bytes are. Writes do not cross a page, and are what the page holds afterwards.
type medium interface {
	read(p []byte, off int) error
	write(p []byte, off int) error
	erase(sector int) error
}

// Flash is a chip. Make one with [New], [Base.New], [Open] or [OpenFile]. It has no lock: one owner.
type Flash struct {
	medium
	size  int
	stats Stats
	err   error
	close func() error

	buf, old [PageSize]byte // of Program
}

// New returns an erased chip in memory. Size is [Size2M], [Size4M] or [Size8M], else the error is [ErrSize].
func New(size int) (*Flash, error) {
	if !validSize(int64(size)) {
		return nil, fmt.Errorf("%w: %d bytes", ErrSize, size)
	}
	return (&Base{size: size}).New(), nil
}

func validSize(n int64) bool { return n == Size2M || n == Size4M || n == Size8M }

// Size returns the size in bytes.
func (f *Flash) Size() int { return f.size }

// Stats returns the counters since the chip was made.
func (f *Flash) Stats() Stats { return f.stats }

// Err returns the first error of the storage, nil if there was none. The wire has no way to tell it to a host.
func (f *Flash) Err() error { return f.err }

// Close gives back what OpenFile took; for other chips it does nothing. The chip must not be used afterwards.
func (f *Flash) Close() error {
	if f.close == nil {
		return nil
	}
	return f.close()
}

// ReadAt reads len(p) bytes from off on, as an [io.ReaderAt] does: what is beyond the end is cut off with io.EOF.
func (f *Flash) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("%w: offset %d", ErrRange, off)
	}
	if off >= int64(f.size) {
		return 0, io.EOF
	}
	n := min(len(p), f.size-int(off))
	f.stats.Reads++
	if err := f.read(p[:n], int(off)); err != nil {
		return 0, f.failed(err)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt programs p from off on, page by page, as an [io.WriterAt]. It does not erase: bits that are 0 stay 0. What
// does not fit is ErrRange, and nothing is written.
func (f *Flash) WriteAt(p []byte, off int64) (n int, err error) {
	if off < 0 || off+int64(len(p)) > int64(f.size) {
		return 0, fmt.Errorf("%w: %d bytes at %#x", ErrRange, len(p), off)
	}
	for len(p) > 0 {
		k := min(len(p), PageSize-int(off)%PageSize)
		if err := f.Program(int(off), p[:k]); err != nil {
			return n, err
		}
		n, off, p = n+k, off+int64(k), p[k:]
	}
	return n, nil
}

// Program is one page program as the chip does it: p goes into a page buffer that begins at off and wraps at the end of
// the page, later bytes replace earlier ones, and what is 0 in the buffer becomes 0 in the array. Off beyond the chip is
// ErrRange. Spec host-bus 6.2.
func (f *Flash) Program(off int, p []byte) error {
	if off < 0 || off >= f.size {
		return fmt.Errorf("%w: page at %#x", ErrRange, off)
	}
	f.stats.Programs++
	page, start := off&^(PageSize-1), off%PageSize
	if err := f.read(f.old[:], page); err != nil {
		return f.failed(err)
	}
	copy(f.buf[:], blank[:])
	if start == 0 && len(p) <= PageSize {
		copy(f.buf[:], p)
	} else {
		for i, v := range p {
			f.buf[(start+i)%PageSize] = v
		}
	}
	changed := false
	for i := 0; i < PageSize; i += 8 {
		was := le.Uint64(f.old[i:])
		is := was & le.Uint64(f.buf[i:])
		changed = changed || is != was
		le.PutUint64(f.buf[i:], is)
	}
	if !changed {
		return nil
	}
	return f.failed(f.write(f.buf[:], page))
}

// Erase erases the sector that off lies in. Off beyond the chip is ErrRange.
func (f *Flash) Erase(off int) error {
	if off < 0 || off >= f.size {
		return fmt.Errorf("%w: sector at %#x", ErrRange, off)
	}
	f.stats.Erases++
	return f.failed(f.erase(off / SectorSize))
}

// failed keeps the first error.
func (f *Flash) failed(err error) error {
	if err == nil {
		return nil
	}
	f.stats.Failed++
	err = fmt.Errorf("flash: storage: %w", err)
	if f.err == nil {
		f.err = err
	}
	return err
}
