package ota

import (
	"errors"
	"hash/crc32"

	"github.com/understudy-net/understudy/device/flash"
)

var errBadSector = errors.New("what the flash has kept is not what was written to it")

// writer programs a part of the flash page by page. Each sector is erased just before its first page, so a download that starts over
// only goes back to the beginning.
type writer struct {
	part flash.Part
	from int // where in the part it begins, at a sector
	page [flash.PageSize]byte
	n    int    // bytes in page
	at   int    // bytes that are programmed
	sum  uint32 // CRC-32 of them
}

// rewind begins anew.
func (w *writer) rewind() { w.n, w.at, w.sum = 0, 0, 0 }

// room is how many bytes there are for.
func (w *writer) room() int { return w.part.Size() - w.from }

func (w *writer) write(p []byte) error {
	for len(p) > 0 {
		k := copy(w.page[w.n:], p)
		w.n, p = w.n+k, p[k:]
		if w.n == len(w.page) {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush programs what is collected.
func (w *writer) flush() error {
	if w.n == 0 {
		return nil
	}
	off := w.from + w.at
	if off%flash.SectorSize == 0 {
		if err := w.part.Erase(off/flash.SectorSize, 1); err != nil {
			return err
		}
	}
	if _, err := w.part.WriteAt(w.page[:w.n], int64(off)); err != nil {
		return err
	}
	w.sum = crc32.Update(w.sum, crc32.IEEETable, w.page[:w.n])
	w.at, w.n = w.at+w.n, 0
	return nil
}

// verify writes the rest and reads it all again: a flash with a bad sector does not say so.
func (w *writer) verify() error {
	if err := w.flush(); err != nil {
		return err
	}
	sum := uint32(0)
	for off := 0; off < w.at; off += len(w.page) {
		b := w.page[:min(len(w.page), w.at-off)]
		if _, err := w.part.ReadAt(b, int64(w.from+off)); err != nil {
			return err
		}
		sum = crc32.Update(sum, crc32.IEEETable, b)
	}
	if sum != w.sum {
		return errBadSector
	}
	return nil
}
