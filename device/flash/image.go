package flash

import (
	"errors"
	"fmt"
	"hash/crc32"
)

// Image is the head of a firmware image of ours. The code of a chip is nothing that we can run, so an image carries what
// can be seen of it from outside: its version block. 64 bytes, little-endian; the format is our own but for the first
// word, which boot ROMs look for (spec host-bus 6.4):
//
//	 0  4  "NMIS"
//	 4  4  "USTD"
//	 8  4  size of the image, this head included
//	12  4  CRC-32 (IEEE) of everything from offset 16 to the end
//	16 40  version block (host-bus 4.5)
//	56  8  zero
//
// An image without the second mark is foreign: it is carried as it is, and its version is what the control section says.
type Image struct {
	Size  uint32
	Block [BlockLen]byte // version block
}

// Lengths in bytes.
const (
	ImageHead = 64
	BlockLen  = 40
)

const (
	imageMark = "NMIS"
	oursMark  = "USTD"
)

// ErrForeign is the error of [ParseImage] for an image that is not ours.
var ErrForeign = errors.New("flash: not an image of ours")

// MakeImage builds an image: head, and body behind it. It is ErrFull if it is longer than a slot.
func MakeImage(block [BlockLen]byte, body []byte) ([]byte, error) {
	n := ImageHead + len(body)
	if n > SlotSize {
		return nil, fmt.Errorf("%w: an image of %d bytes, a slot has %d", ErrFull, n, SlotSize)
	}
	b := make([]byte, 0, n)
	b = append(b, imageMark+oursMark...)
	b = le.AppendUint32(b, uint32(n))
	b = le.AppendUint32(b, 0)
	b = append(b, block[:]...)
	b = append(b, make([]byte, 8)...)
	b = append(b, body...)
	le.PutUint32(b[12:], crc32.ChecksumIEEE(b[16:]))
	return b, nil
}

// ParseImage reads the head of an image; the rest of the image may be missing. No mark of ours is [ErrForeign], erased or
// cut off or an impossible size ErrNoImage.
func ParseImage(b []byte) (Image, error) {
	var m Image
	switch {
	case len(b) < ImageHead:
		return m, fmt.Errorf("%w: %d bytes", ErrNoImage, len(b))
	case le.Uint64(b) == 0xffffffff_ffffffff:
		return m, fmt.Errorf("%w: erased", ErrNoImage)
	case string(b[:8]) != imageMark+oursMark:
		return m, ErrForeign
	}
	m.Size = le.Uint32(b[8:])
	copy(m.Block[:], b[16:])
	if m.Size < ImageHead || m.Size > SlotSize {
		return m, fmt.Errorf("%w: size %d", ErrNoImage, m.Size)
	}
	return m, nil
}

// CheckImage reads the image in a slot and checks it: an image of ours by its CRC, a foreign one only for not being
// erased, which is ErrForeign. A slot without an image is ErrNoImage.
func CheckImage(p Part) (Image, error) {
	var head [ImageHead]byte
	if _, err := p.ReadAt(head[:], 0); err != nil {
		return Image{}, err
	}
	m, err := ParseImage(head[:])
	if err != nil {
		return m, err
	}
	sum := crc32.ChecksumIEEE(head[16:])
	var b [PageSize]byte
	for off := ImageHead; off < int(m.Size); off += len(b) {
		n := min(len(b), int(m.Size)-off)
		if _, err := p.ReadAt(b[:n], int64(off)); err != nil {
			return m, err
		}
		sum = crc32.Update(sum, crc32.IEEETable, b[:n])
	}
	if want := le.Uint32(head[12:]); sum != want {
		return m, fmt.Errorf("%w: CRC %#08x, want %#08x", ErrNoImage, sum, want)
	}
	return m, nil
}

// Booted is what the device starts.
type Booted struct {
	Control Control
	Running Found // the image that runs
	Other   Found // the one that can be switched to; Offset 0: there is none
	Backup  error // why Running is not the working image of the control section, nil if it is
}

// Found is a good image.
type Found struct {
	Offset  uint32         // of its slot
	Version uint32         // as the control section has it, 0 if not known
	Block   [BlockLen]byte // its version block; zero of a foreign image
	Foreign bool
}

// Boot picks the image to run, as the boot firmware does: the working image of the control section in force if it is good,
// else the other one if that is marked valid and good, else none: ErrNoImage. It makes the two copies of the control section
// equal. A chip of 2 Mbit has no map: ErrNoRegion.
func (f *Flash) Boot() (Booted, error) {
	c, err := f.Control()
	if err != nil {
		return Booted{}, err
	}
	if err := f.Repair(); err != nil {
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

// find checks the image of a slot.
func (f *Flash) find(s Slot) (Found, error) {
	p, err := f.slot(s.Offset)
	if err != nil {
		return Found{}, err
	}
	m, err := CheckImage(p)
	foreign := errors.Is(err, ErrForeign)
	if err != nil && !foreign {
		return Found{}, err
	}
	return Found{Offset: s.Offset, Version: s.Version, Block: m.Block, Foreign: foreign}, nil
}
