package driver

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/understudy-net/understudy/bus/spi"
)

// RegionID names a part of the flash, with the order of the document
// (spec/driver-api.md 2.11). Where the regions are is in spec/host-bus.md 6.3.
type RegionID uint8

// The regions. Sizes are those of a flash of 4 Mbit.
const (
	RegionRaw         RegionID = iota // all of it
	RegionActive                      // firmware image that runs, 236 KiB
	RegionInactive                    // firmware image that can be switched to
	RegionPLL                         // PLL table, 1 KiB
	RegionGain                        // gain table, 3 KiB
	RegionPLLGain                     // both, one sector
	RegionRootCerts                   // root certificates, 4 KiB
	RegionLocalCerts                  // keys and certificates of our own, 8 KiB
	RegionConnections                 // what Reconnect knows, 4 KiB
	RegionHTTP                        // pages of web provisioning, 8 KiB
	RegionHostFile                    // flash of 8 Mbit only: file storage of the host, with its directory
	regions
)

var regionNames = [...]string{"raw", "active firmware", "inactive firmware", "PLL table", "gain table", "PLL and gain tables",
	"root certificates", "local certificates", "connection parameters", "HTTP files", "host file"}

func (r RegionID) String() string {
	if r < regions {
		return regionNames[r]
	}
	return "region(" + strconv.Itoa(int(r)) + ")"
}

// extent is a place in the flash, in bytes.
type extent struct{ off, size int64 }

// fixedMap is where regions are that no table tells of (6.3).
var fixedMap = map[RegionID]extent{
	RegionPLLGain:     {0x03000, 0x1000},
	RegionRootCerts:   {0x04000, 0x1000},
	RegionLocalCerts:  {0x05000, 0x2000},
	RegionHTTP:        {0x07000, 0x2000},
	RegionConnections: {0x09000, 0x1000},
}

// The control section, its backup, and what is read of either: the section and the table behind it (6.4).
const (
	controlMain   = 0x1000
	controlBackup = 0x2000
	controlLen    = 64
	tableHead     = 12
	tableEntry    = 8
	tableMax      = 32
	controlMagic  = 0x1abcdef9
	slotSize      = 0x3b000
	slotFirst     = 0x0a000
	slotSecond    = 0x45000
	pllSize       = 0x400 // of the sector of PLL and gain tables
)

// tableIDs are the names of regions in the flexible map of 19.7.7 (6.4).
var tableIDs = map[RegionID]uint16{
	RegionPLLGain: 0x21, RegionRootCerts: 0x31, RegionLocalCerts: 0x33, RegionConnections: 0x34, RegionHTTP: 0x35,
	RegionHostFile: 0x41,
}

const tableFirmware = 0x11

// flashLayout is what a flash says about itself.
type flashLayout struct {
	size             int64
	control          bool // valid: active and inactive are known
	active, inactive int64
	sequence         uint32
	table            []tableRow // the flexible map; nil: there is none
}

type tableRow struct {
	id uint16
	at extent
}

// layout reads the control section, with the table behind it: of the main copy
// and the backup the one that is valid, of two valid ones the newer, which is the
// main copy unless the power went between the writes of the two. Neither being
// valid is no error: the fixed map holds then, without firmware images. Lock held,
// flash awake.
func (f *Flash) layout() (flashLayout, error) {
	best := flashLayout{size: f.size}
	if f.size < flash4M {
		return best, nil
	}
	var b [controlLen + tableHead + tableMax*tableEntry]byte
	for _, at := range []int64{controlMain, controlBackup} {
		if _, err := f.d.flashRead(b[:], at); err != nil {
			return best, err
		}
		l := flashLayout{size: f.size}
		if l.parse(b[:]) && (!best.control || int32(l.sequence-best.sequence) > 0) { // it wraps
			best = l
		}
	}
	return best, nil
}

var le = binary.LittleEndian

// parse takes a copy of the control section, and reports whether it is valid.
func (l *flashLayout) parse(b []byte) bool {
	// The CRC is that of commands, which is shifted there to make room for a stop bit.
	if le.Uint32(b) != controlMagic || le.Uint32(b[controlLen-4:]) != uint32(spi.CRC7(b[:controlLen-4])>>1) {
		return false
	}
	l.sequence = le.Uint32(b[8:])
	l.control, l.active, l.inactive = true, int64(le.Uint32(b[16:])), int64(le.Uint32(b[24:]))
	t := b[controlLen:]
	n := le.Uint32(t[8:])
	if le.Uint32(t) != controlMagic || n > tableMax {
		return true
	}
	for i := range int(n) {
		e := t[tableHead+tableEntry*i:]
		l.table = append(l.table, tableRow{le.Uint16(e), extent{int64(e[2]) * flashSector, int64(e[3]) * flashSector}})
	}
	return true
}

// find returns where a region is: ErrRegion if it is nowhere. A table, where
// there is one, is believed before the fixed map.
func (l *flashLayout) find(r RegionID) (extent, error) {
	e, ok := extent{}, false
	switch {
	case r == RegionRaw:
		e, ok = extent{0, l.size}, true
	case l.size < flash4M: // has no map
	case r == RegionActive || r == RegionInactive:
		e, ok = l.firmware(r)
	case r == RegionPLL || r == RegionGain:
		if e, ok = l.named(RegionPLLGain); r == RegionPLL {
			e.size = min(e.size, pllSize)
		} else {
			e = extent{e.off + pllSize, e.size - pllSize}
		}
	default:
		e, ok = l.named(r)
	}
	if !ok || e.size <= 0 || e.off+e.size > l.size {
		return extent{}, fmt.Errorf("%w: %v on a flash of %d KiB", ErrRegion, r, l.size>>10)
	}
	return e, nil
}

func (l *flashLayout) named(r RegionID) (extent, bool) {
	for _, row := range l.table {
		if row.id == tableIDs[r] {
			return row.at, true
		}
	}
	if r == RegionHostFile {
		return extent{flash4M, flash8M - flash4M}, l.size >= flash8M
	}
	e, ok := fixedMap[r]
	return e, ok
}

// firmware is an image that the control section names, in a slot that the map has.
// One that is both active and inactive is no place to write to.
func (l *flashLayout) firmware(r RegionID) (extent, bool) {
	off := l.active
	if r == RegionInactive {
		if off = l.inactive; off == l.active {
			return extent{}, false
		}
	}
	for _, row := range l.table {
		if row.id == tableFirmware && row.at.off == off {
			return row.at, l.control
		}
	}
	return extent{off, slotSize}, l.control && (off == slotFirst || off == slotSecond)
}
