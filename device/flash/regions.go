package flash

import (
	"fmt"
	"io"
	"strconv"
)

// Region is a named part of the map. Spec host-bus 6.3, driver-api 2.11.
type Region uint8

// The regions.
const (
	Raw              Region = iota // the whole chip
	BootFirmware                   // 4 KiB
	ControlMain                    // control section
	ControlBackup                  // its backup
	PLLTable                       // 1 KiB
	GainTable                      // 3 KiB
	PLLGain                        // both, one sector
	RootCertificates               // 4 KiB
	TLSServer                      // keys and certificates of our own, 8 KiB
	HTTPFiles                      // pages of provisioning, 8 KiB
	Connections                    // what DEFAULT_CONNECT remembers, 4 KiB
	Firmware1                      // slot of a firmware image, 236 KiB
	Firmware2
	FirmwareActive   // the slot that the control section says runs
	FirmwareInactive // the other one
	HostFile         // 8 Mbit only: 512 KiB, the first sector for its directory
)

var regionNames = [...]string{
	"raw", "boot firmware", "control section", "control section backup", "PLL table", "gain table", "PLL and gain tables",
	"root certificates", "TLS server store", "HTTP files", "connection parameters", "firmware image 1", "firmware image 2",
	"active firmware image", "inactive firmware image", "host file",
}

// String prints what the map calls the region.
func (r Region) String() string {
	if int(r) < len(regionNames) {
		return regionNames[r]
	}
	return "region(" + strconv.Itoa(int(r)) + ")"
}

// SlotSize is the size of a firmware slot.
const SlotSize = 0x3b000

// span is a place in the map.
type span struct{ off, size int }

// theMap is the map of host-bus 6.3, without those regions that depend on the chip or its content.
var theMap = [...]span{
	BootFirmware:     {0x00000, 0x1000},
	ControlMain:      {0x01000, 0x1000},
	ControlBackup:    {0x02000, 0x1000},
	PLLTable:         {0x03000, 0x0400},
	GainTable:        {0x03400, 0x0c00},
	PLLGain:          {0x03000, 0x1000},
	RootCertificates: {0x04000, 0x1000},
	TLSServer:        {0x05000, 0x2000},
	HTTPFiles:        {0x07000, 0x2000},
	Connections:      {0x09000, 0x1000},
	Firmware1:        {0x0a000, SlotSize},
	Firmware2:        {0x45000, SlotSize},
}

// Part is a piece of a chip. Offsets count from its beginning.
type Part struct {
	f   *Flash
	off int
	len int
}

// Region returns a region of the chip. A chip of 2 Mbit has only Raw, one of 4 Mbit no host file: ErrNoRegion. The active
// and inactive firmware image are found through the control section; without a valid one the error is ErrControl.
func (f *Flash) Region(r Region) (Part, error) {
	switch {
	case r == Raw:
		return Part{f, 0, f.size}, nil
	case r > HostFile || f.size < Size4M || r == HostFile && f.size < Size8M:
		return Part{}, fmt.Errorf("%w: %v on %d KiB", ErrNoRegion, r, f.size>>10)
	case r == HostFile:
		return Part{f, Size4M, Size8M - Size4M}, nil
	case r == FirmwareActive || r == FirmwareInactive:
		c, err := f.Control()
		if err != nil {
			return Part{}, err
		}
		off := c.Working.Offset
		if r == FirmwareInactive {
			off = c.Inactive()
		}
		return f.slot(off)
	}
	return Part{f, theMap[r].off, theMap[r].size}, nil
}

// slot returns the firmware slot at off.
func (f *Flash) slot(off uint32) (Part, error) {
	for _, r := range []Region{Firmware1, Firmware2} {
		if int64(off) == int64(theMap[r].off) && f.size >= Size4M {
			return Part{f, theMap[r].off, SlotSize}, nil
		}
	}
	return Part{}, fmt.Errorf("%w: no firmware slot at %#x", ErrControl, off)
}

// Size returns the length of the part in bytes.
func (p Part) Size() int { return p.len }

// Offset returns where in the chip the part begins.
func (p Part) Offset() int { return p.off }

// ReadAt reads as [io.ReaderAt] does.
func (p Part) ReadAt(b []byte, off int64) (int, error) {
	switch {
	case off < 0:
		return 0, fmt.Errorf("%w: offset %d", ErrRange, off)
	case off >= int64(p.len):
		return 0, io.EOF
	}
	n := min(len(b), p.len-int(off))
	k, err := p.f.ReadAt(b[:n], int64(p.off)+off)
	if err == nil && n < len(b) {
		err = io.EOF
	}
	return k, err
}

// WriteAt programs, see [Flash.WriteAt]. What does not fit into the part is ErrRange, and nothing is written.
func (p Part) WriteAt(b []byte, off int64) (int, error) {
	if off < 0 || off+int64(len(b)) > int64(p.len) {
		return 0, fmt.Errorf("%w: %d bytes at %#x of %d", ErrRange, len(b), off, p.len)
	}
	return p.f.WriteAt(b, int64(p.off)+off)
}

// Erase erases n sectors from sector first on. A part that does not consist of whole sectors (the two tables) cannot be
// erased, and sectors outside of it neither: ErrRange, and nothing is erased.
func (p Part) Erase(first, n int) error {
	if p.off%SectorSize != 0 || p.len%SectorSize != 0 || first < 0 || n < 0 || first > p.len/SectorSize || n > p.len/SectorSize-first {
		return fmt.Errorf("%w: sectors %d to %d of a part of %d bytes at %#x", ErrRange, first, first+n, p.len, p.off)
	}
	for i := first; i < first+n; i++ {
		if err := p.f.Erase(p.off + i*SectorSize); err != nil {
			return err
		}
	}
	return nil
}
