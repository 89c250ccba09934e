package flash

import (
	"encoding/binary"
	"errors"
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
}

// Slot is an image as the control section knows it.
type Slot struct {
	Offset  uint32 // where its slot begins
	Mark    Mark
	Version uint32 // firmware in the low half, least driver in the high half, as in register 0x207AC; 0: not known
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
	return c
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

// Control returns the section in force: of two valid copies the one with the higher sequence number (which may have
// wrapped), else the one that is valid. With neither the error is ErrControl and says what is wrong with both. A chip of
// 2 Mbit has no map: ErrNoRegion.
func (f *Flash) Control() (Control, error) {
	if _, err := f.Region(ControlMain); err != nil {
		return Control{}, err
	}
	main, errMain := f.readControl(ControlMain)
	backup, errBackup := f.readControl(ControlBackup)
	switch {
	case errMain != nil && errBackup != nil:
		return Control{}, fmt.Errorf("%w (main copy: %v; backup: %v)", ErrControl, errMain, errBackup)
	case errMain != nil, errBackup == nil && int32(backup.Sequence-main.Sequence) > 0:
		return backup, nil
	}
	return main, nil
}

func (f *Flash) readControl(r Region) (Control, error) {
	p, err := f.Region(r)
	if err != nil {
		return Control{}, err
	}
	var b [ControlLen]byte
	if _, err := p.ReadAt(b[:], 0); err != nil {
		return Control{}, err
	}
	return ParseControl(b[:])
}

// SetControl stores c under the next sequence number, and returns it as stored. The backup is written first, then the
// main copy: at every moment one of the two is valid, and after a cut of power the section in force is the old one or the
// new one.
//
// With both copies bad there is nothing to number on from; c is stored as it is.
func (f *Flash) SetControl(c Control) (Control, error) {
	old, err := f.Control()
	switch {
	case err == nil:
		// The copy that is written first must not be the only good one.
		if err := f.Repair(); err != nil {
			return c, err
		}
		c.Sequence = old.Sequence + 1
	case !errors.Is(err, ErrControl):
		return c, err
	}
	for _, r := range []Region{ControlBackup, ControlMain} {
		if err := f.writeControl(r, c); err != nil {
			return c, err
		}
	}
	return c, nil
}

// Repair makes the two copies equal, that in force being the right one, as the device does at boot: after a cut of power
// between the two writes of SetControl they differ. It writes only if they do.
func (f *Flash) Repair() error {
	c, err := f.Control()
	if err != nil {
		return err
	}
	for _, r := range []Region{ControlBackup, ControlMain} {
		if have, err := f.readControl(r); err == nil && have == c {
			continue
		} else if err != nil && !errors.Is(err, ErrControl) {
			return err
		}
		if err := f.writeControl(r, c); err != nil {
			return err
		}
	}
	return nil
}

// writeControl replaces one copy. What stands behind the 64 bytes is the table of regions, made anew. The section is
// programmed last, so a copy that reads as valid has its table.
func (f *Flash) writeControl(r Region, c Control) error {
	p, err := f.Region(r)
	if err != nil {
		return err
	}
	if err := p.Erase(0, 1); err != nil {
		return err
	}
	if _, err := p.WriteAt(TableOf(f.size).Append(nil), ControlLen); err != nil {
		return err
	}
	_, err = p.WriteAt(c.Append(nil), 0)
	return err
}
