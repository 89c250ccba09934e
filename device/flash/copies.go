package flash

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
)

// ErrVerify says that a sector does not keep what is written to it.
var ErrVerify = errors.New("flash: what was written does not read back")

// The note of ours in the sector of a control section, little-endian: what the section has no room for.
//
//	 0  4  "USTN"
//	 4  4  confirmed slot
//	 8  4  starts
//	12  8  size and CRC-32 of the working image
//	20  8  size and CRC-32 of the other one
//	28  4  CRC-32 of the section and of the note up to here
//
// The last field ties it to the section: where somebody else has written a new one, the note counts for nothing.
const (
	noteAt   = 0x200
	noteLen  = 32
	noteMark = "USTN"
)

// appendNote appends the note to section, which is that of c.
func (c *Control) appendNote(b, section []byte) []byte {
	n := len(b)
	b = append(b, noteMark...)
	for _, v := range []uint32{c.Confirmed, uint32(c.Starts), c.Working.Size, c.Working.Sum, c.Rollback.Size, c.Rollback.Sum} {
		b = le.AppendUint32(b, v)
	}
	return le.AppendUint32(b, crc32.Update(crc32.ChecksumIEEE(section), crc32.IEEETable, b[n:]))
}

// readNote takes over what the note says, if it belongs to the section.
func (c *Control) readNote(b, section []byte) {
	sum := crc32.Update(crc32.ChecksumIEEE(section), crc32.IEEETable, b[:28])
	if string(b[:4]) != noteMark || le.Uint32(b[28:]) != sum {
		return
	}
	c.Confirmed, c.Starts = le.Uint32(b[4:]), b[8]
	c.Working.Size, c.Working.Sum = le.Uint32(b[12:]), le.Uint32(b[16:])
	c.Rollback.Size, c.Rollback.Sum = le.Uint32(b[20:]), le.Uint32(b[24:])
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
	c, err := ParseControl(b[:])
	if err != nil {
		return c, err
	}
	var note [noteLen]byte
	if _, err := p.ReadAt(note[:], noteAt); err != nil {
		return Control{}, err
	}
	c.readNote(note[:], b[:])
	return c, nil
}

// SetControl stores c under the next sequence number, and returns it as stored. Of a slot that is not marked valid it stores
// neither size and sum nor that it was confirmed: what is there is about to change.
//
// The backup is written first, then the main copy: at every moment one of the two is valid, and after a cut of power the
// section in force is the old one or the new one. An error says that it is the old one. Where a sector is worn out, so that
// only one copy is left, it refuses: writing that one would leave none for a while.
//
// With both copies bad there is nothing to number on from; c is stored as it is.
func (f *Flash) SetControl(c Control) (Control, error) {
	if c.Rollback.Mark != Valid {
		c.Rollback.Size, c.Rollback.Sum = 0, 0
		if c.Confirmed == c.Rollback.Offset {
			c.Confirmed = 0
		}
	}
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
	if err := f.writeControl(ControlBackup, c); err != nil {
		return c, err
	}
	if err := f.writeControl(ControlMain, c); err != nil {
		if now, e := f.Control(); e != nil || now != c {
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

// writeControl replaces one copy, and reads it back. What stands behind the 64 bytes is the table of regions, and the note,
// made anew.
//
// The magic decides: it is the first thing to go, and comes when all else is in place. An erase that loses its power can
// leave any mixture of old bits and ones, a program any of old and new ones, and seven bits of CRC let one in 128 of those
// pass; with the magic gone nothing of the kind is taken for a section.
func (f *Flash) writeControl(r Region, c Control) error {
	p, err := f.Region(r)
	if err != nil {
		return err
	}
	err = f.replaceControl(p, c)
	if errors.Is(err, ErrVerify) {
		p.WriteAt(make([]byte, 4), 0) // a copy that has not become what it should must not pass for one
	}
	return err
}

func (f *Flash) replaceControl(p Part, c Control) error {
	section := c.Append(nil)
	content := make([]byte, noteAt+noteLen)
	for i := range content {
		content[i] = 0xff
	}
	copy(content, section)
	copy(content[ControlLen:noteAt], TableOf(f.size).Append(nil))
	copy(content[noteAt:], c.appendNote(nil, section))

	var magic [4]byte
	if _, err := p.ReadAt(magic[:], 0); err != nil {
		return err
	}
	if le.Uint32(magic[:]) == Magic {
		if _, err := p.WriteAt(make([]byte, 4), 0); err != nil {
			return err
		}
	}
	if err := p.Erase(0, 1); err != nil {
		return err
	}
	for _, part := range []struct{ from, to int }{{noteAt, len(content)}, {4, noteAt}, {0, 4}} {
		if _, err := p.WriteAt(content[part.from:part.to], int64(part.from)); err != nil {
			return err
		}
		have := make([]byte, part.to-part.from)
		if _, err := p.ReadAt(have, int64(part.from)); err != nil {
			return err
		}
		if !bytes.Equal(have, content[part.from:part.to]) {
			return fmt.Errorf("%w: control section at %#x", ErrVerify, p.off)
		}
	}
	return nil
}
