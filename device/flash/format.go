package flash

import (
	"fmt"
	"hash/crc32"
)

// Format says what a fresh chip holds. Of the map only the control section, the table and the first firmware slot are
// written; all else is erased.
type Format struct {
	Size    int            // 0: Size8M
	Block   [BlockLen]byte // version block of the firmware in the first slot
	Version uint32         // of that firmware, as [Slot.Version]
}

// Base returns a base with the content of a fresh chip. A size that no chip has is ErrSize.
func (t Format) Base() (*Base, error) {
	f, err := New(t.size())
	if err != nil {
		return nil, err
	}
	if err := t.write(f); err != nil {
		return nil, err
	}
	return f.Base()
}

func (t Format) size() int {
	if t.Size == 0 {
		return Size8M
	}
	return t.Size
}

// write formats an erased chip. The control sections come last: a chip without one is not taken for a good one.
func (t Format) write(f *Flash) error {
	if f.size < Size4M {
		return nil
	}
	image, err := MakeImage(t.Block, nil)
	if err != nil {
		return err
	}
	slot, err := f.Region(Firmware1)
	if err != nil {
		return err
	}
	if _, err := slot.WriteAt(image, 0); err != nil {
		return fmt.Errorf("flash: format: %w", err)
	}
	_, err = f.SetControl(Control{
		Format: ControlFormat, Sequence: 1,
		Working: Slot{
			Offset: uint32(slot.off), Version: t.Version, Size: uint32(len(image)), Sum: crc32.ChecksumIEEE(image),
		},
		Rollback:    Slot{Offset: uint32(theMap[Firmware2].off), Mark: Invalid},
		AppWorking:  Slot{Mark: Invalid},
		AppRollback: Slot{Mark: Invalid},
		Confirmed:   uint32(slot.off),
	})
	return err
}
