package flash

import "fmt"

// Base is the content that any number of chips in memory start from and share. It never changes. Make one with [NewBase]
// or [Format.Base].
type Base struct {
	size    int
	sectors []*sector // nil: erased; shorter than the chip: the rest is erased
}

type sector [SectorSize]byte

// blank is the erased sector that all share.
var blank = func() (s sector) {
	for i := range s {
		s[i] = 0xff
	}
	return s
}()

// NewBase returns a base with the content of an image of a whole chip, which is copied. Other lengths than those of
// chips are ErrSize.
func NewBase(image []byte) (*Base, error) {
	if !validSize(int64(len(image))) {
		return nil, fmt.Errorf("%w: %d bytes", ErrSize, len(image))
	}
	b := &Base{size: len(image), sectors: make([]*sector, len(image)/SectorSize)}
	for i := range b.sectors {
		s := sector(image[i*SectorSize:])
		if s != blank {
			b.sectors[i] = &s
		}
	}
	return b, nil
}

// New returns a chip with the content of b.
func (b *Base) New() *Flash { return &Flash{medium: &memory{base: b}, size: b.size} }

// Base returns the present content of a chip as a base for others.
func (f *Flash) Base() (*Base, error) {
	image := make([]byte, f.size)
	if _, err := f.ReadAt(image, 0); err != nil {
		return nil, err
	}
	return NewBase(image)
}

func (b *Base) sector(i int) *sector {
	if i < len(b.sectors) && b.sectors[i] != nil {
		return b.sectors[i]
	}
	return &blank
}

// memory is a medium of sectors that differ from a base, copy on write.
type memory struct {
	base *Base
	own  []*sector // nil as a whole until something is written; of each: as in the base; &blank: erased
}

func (m *memory) sector(i int) *sector {
	if m.own != nil && m.own[i] != nil {
		return m.own[i]
	}
	return m.base.sector(i)
}

func (m *memory) set(i int, s *sector) {
	if m.own == nil {
		m.own = make([]*sector, m.base.size/SectorSize)
	}
	m.own[i] = s
}

func (m *memory) read(p []byte, off int) error {
	for len(p) > 0 {
		n := copy(p, m.sector(off / SectorSize)[off%SectorSize:])
		p, off = p[n:], off+n
	}
	return nil
}

func (m *memory) write(p []byte, off int) error {
	i := off / SectorSize
	s := m.sector(i)
	if s == &blank || s == m.base.sector(i) {
		c := *s
		s = &c
		m.set(i, s)
	}
	copy(s[off%SectorSize:], p)
	return nil
}

func (m *memory) erase(i int) error {
	switch {
	case m.base.sector(i) == &blank:
		if m.own != nil {
			m.own[i] = nil
		}
	default:
		m.set(i, &blank)
	}
	return nil
}

// owned is the number of sectors that cost memory.
func (m *memory) owned() (n int) {
	for _, s := range m.own {
		if s != nil && s != &blank {
			n++
		}
	}
	return n
}
