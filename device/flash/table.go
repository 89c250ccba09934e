package flash

import "errors"

// Table is the flexible map: the list of regions behind the control section, which hosts of release 19.7.7 read. Spec
// host-bus 6.4.
type Table struct {
	Size    uint32 // of the chip in bytes [an inference; the specification calls it "max size"]
	Entries []Entry
}

// Entry is a region in a [Table].
type Entry struct {
	ID             uint16
	First, Sectors uint8
}

// Ids of entries.
const (
	IDFirmware    = 0x11
	IDPLLGain     = 0x21
	IDTLSRoot     = 0x31
	IDTLSClient   = 0x32
	IDTLSServer   = 0x33
	IDConnections = 0x34
	IDHTTP        = 0x35
	IDTLSCommon   = 0x36
	IDHostFile    = 0x41
)

// MaxEntries is the most entries of a table.
const MaxEntries = 32

// ErrTable is the error of a table that cannot be read.
var ErrTable = errors.New("flash: no valid table of regions")

// TableOf returns the table for a chip of the size: its map in sectors.
func TableOf(size int) Table {
	t := Table{Size: uint32(size)}
	for _, e := range []struct {
		id uint16
		r  Region
	}{
		{IDFirmware, Firmware1}, {IDFirmware, Firmware2}, {IDPLLGain, PLLGain}, {IDTLSRoot, RootCertificates},
		{IDTLSServer, TLSServer}, {IDConnections, Connections}, {IDHTTP, HTTPFiles},
	} {
		s := theMap[e.r]
		t.Entries = append(t.Entries, Entry{e.id, uint8(s.off / SectorSize), uint8(s.size / SectorSize)})
	}
	if size >= Size8M {
		t.Entries = append(t.Entries, Entry{IDHostFile, Size4M / SectorSize, (Size8M - Size4M) / SectorSize})
	}
	return t
}

const tableHead = 12

// ParseTable reads a table; what follows it is ignored. A wrong magic, more than 32 entries and entries that are cut off
// are [ErrTable].
func ParseTable(b []byte) (Table, error) {
	if len(b) < tableHead || le.Uint32(b) != Magic {
		return Table{}, ErrTable
	}
	t, n := Table{Size: le.Uint32(b[4:])}, le.Uint32(b[8:])
	if n > MaxEntries || len(b) < tableHead+8*int(n) {
		return Table{}, ErrTable
	}
	for i := range int(n) {
		e := b[tableHead+8*i:]
		t.Entries = append(t.Entries, Entry{ID: le.Uint16(e), First: e[2], Sectors: e[3]})
	}
	return t, nil
}

// Append appends the table, at most 32 entries of it.
func (t Table) Append(b []byte) []byte {
	es := t.Entries[:min(len(t.Entries), MaxEntries)]
	b = le.AppendUint32(b, Magic)
	b = le.AppendUint32(b, t.Size)
	b = le.AppendUint32(b, uint32(len(es)))
	for _, e := range es {
		b = le.AppendUint16(b, e.ID)
		b = append(b, e.First, e.Sectors, 0, 0, 0, 0)
	}
	return b
}
