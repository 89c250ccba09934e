package flash

import (
	"encoding/binary"
	"fmt"
	"strconv"
)

var le = binary.LittleEndian

// Control is the control section: which firmware image runs, and whether the other one may. 64 bytes, 16 words,
// little-endian. Spec host-bus 6.4.
type Control struct {
	Format    uint32 // byte 0 version of the structure, byte 1 of the map
	Sequence  uint32 // one more with each update
	LastCheck uint32 // time of the latest check for an update
	Working   Slot   // what runs; Mark is not stored
	Rollback  Slot   // what can be switched to

	// Host application images of releases before 19.6.1; nothing here uses them.
	AppWorking, AppRollback Slot

	// What follows, and Size and Sum of the slots, is ours: it lies in a note behind the table of regions, and is zero of
	// sections that others have written.
	Confirmed uint32 // offset of the slot whose image has shown that it works, see [Flash.BootTrial]; 0: not known
	Starts    uint8  // of the working image since it was switched to, while it is not the confirmed one
}

// Slot is an image as the control section knows it.
type Slot struct {
	Offset  uint32 // where its slot begins
	Mark    Mark
	Version uint32 // firmware in the low half, least driver in the high half, as in register 0x207AC; 0: not known

	Size uint32 // bytes of the image; 0: not known
	Sum  uint32 // CRC-32 (IEEE) of these bytes, which the slot must show at boot
}

// Mark says whether an image may be switched to.
type Mark uint32

// The two marks. Whatever else stands there counts as invalid.
const (
	Valid   Mark = 0x12526285
	Invalid Mark = 0x23987718
)

// String prints valid, invalid, or the number.
func (m Mark) String() string {
	switch m {
	case Valid:
		return "valid"
	case Invalid:
		return "invalid"
	}
	return "mark(0x" + strconv.FormatUint(uint64(m), 16) + ")"
}

// ControlLen is the length of a control section in bytes.
const ControlLen = 64

// Values of the control section.
const (
	Magic         = 0x1abcdef9
	structVersion = 1 // with sequence number and CRC, since 19.3.0
	mapVersion    = 4 // as 19.7.7 has it
	ControlFormat = structVersion | mapVersion<<8
)

// ParseControl reads a control section. It is valid if the magic is right, the structure is one that has a CRC, and
// the CRC agrees; otherwise the error is [ErrControl] and says why. More than 64 bytes are ignored.
func ParseControl(b []byte) (Control, error) {
	var c Control
	if len(b) < ControlLen {
		return c, fmt.Errorf("%w: %d bytes", ErrControl, len(b))
	}
	w := func(i int) uint32 { return le.Uint32(b[4*i:]) }
	switch {
	case w(0) == 0xffffffff:
		return c, fmt.Errorf("%w: erased", ErrControl)
	case w(0) != Magic:
		return c, fmt.Errorf("%w: magic %#x, want %#x", ErrControl, w(0), uint32(Magic))
	case w(15) != crc7(b[:60]):
		return c, fmt.Errorf("%w: CRC %#x, want %#x", ErrControl, w(15), crc7(b[:60]))
	case b[4] < structVersion:
		return c, fmt.Errorf("%w: structure version %d has no CRC", ErrControl, b[4])
	}
	c = Control{
		Format: w(1), Sequence: w(2), LastCheck: w(3),
		Working:     Slot{Offset: w(4), Version: w(5)},
		Rollback:    Slot{Offset: w(6), Mark: Mark(w(7)), Version: w(8)},
		AppWorking:  Slot{Offset: w(9), Mark: Mark(w(10)), Version: w(11)},
		AppRollback: Slot{Offset: w(12), Mark: Mark(w(13)), Version: w(14)},
	}
	return c, nil
}

// Append appends the section with its magic and CRC.
func (c Control) Append(b []byte) []byte {
	n := len(b)
	for _, v := range []uint32{
		Magic, c.Format, c.Sequence, c.LastCheck, c.Working.Offset, c.Working.Version,
		c.Rollback.Offset, uint32(c.Rollback.Mark), c.Rollback.Version,
		c.AppWorking.Offset, uint32(c.AppWorking.Mark), c.AppWorking.Version,
		c.AppRollback.Offset, uint32(c.AppRollback.Mark), c.AppRollback.Version,
	} {
		b = le.AppendUint32(b, v)
	}
	return le.AppendUint32(b, crc7(b[n:]))
}

// Switched returns the section after a switch: what ran can be switched back to. The caller checks Rollback.Mark first.
func (c Control) Switched() Control {
	c.Working, c.Rollback = c.Rollback, c.Working
	c.Working.Mark, c.Rollback.Mark = 0, Valid
	c.Starts = 0
	return c
}

// Inactive returns the offset of the slot that an update may overwrite: the one that the working image does not lie in, whatever the
// section says of the other. A host can write the section itself.
func (c Control) Inactive() uint32 {
	one, two := uint32(theMap[Firmware1].off), uint32(theMap[Firmware2].off)
	switch c.Working.Offset {
	case one:
		return two
	case two:
		return one
	}
	return c.Rollback.Offset
}

// crc7 is the CRC of host-bus 2.3 (x⁷+x³+1, start 0x7F, most significant bit first), not shifted.
func crc7(b []byte) uint32 {
	r := byte(0x7f)
	for _, v := range b {
		for i := 7; i >= 0; i-- {
			top := (r>>6 ^ v>>i) & 1
			r = r << 1 & 0x7f
			if top != 0 {
				r ^= 0x09
			}
		}
	}
	return uint32(r)
}
