package flash

import (
	"errors"
	"fmt"
	"io"
)

// Storage is what can hold the bytes of a chip: a file, or anything else that has them at fixed places.
type Storage interface {
	io.ReaderAt
	io.WriterAt
}

// Open returns the chip whose bytes are in s. It reads the control sections and changes nothing: a size that no chip has is
// ErrSize, a chip of 4 Mbit or more without a valid control section is [ErrControl].
func Open(s Storage, size int64) (*Flash, error) {
	if !validSize(size) {
		return nil, fmt.Errorf("%w: %d bytes", ErrSize, size)
	}
	f := &Flash{medium: stored{s}, size: int(size)}
	if size < Size4M {
		return f, nil // has no map
	}
	if _, err := f.Control(); err != nil {
		return nil, err
	}
	return f, nil
}

// stored is a medium over a Storage. Each program and each erase is one WriteAt.
type stored struct{ s Storage }

func (m stored) read(p []byte, off int) error {
	n, err := m.s.ReadAt(p, int64(off))
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (m stored) write(p []byte, off int) error {
	_, err := m.s.WriteAt(p, int64(off))
	return err
}

func (m stored) erase(i int) error { return m.write(blank[:], i*SectorSize) }

// Memory is a Storage of plain bytes, for tests.
type Memory []byte

// ReadAt reads as [io.ReaderAt] does.
func (m Memory) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= int64(len(m)) {
		return 0, io.EOF
	}
	n := copy(p, m[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt overwrites; it does not grow.
func (m Memory) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off+int64(len(p)) > int64(len(m)) {
		return 0, io.ErrShortWrite
	}
	return copy(m[off:], p), nil
}
