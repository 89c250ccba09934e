package flash

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
)

var fresh = Format{Size: Size4M, Block: [BlockLen]byte{0xa0, 3, 0x10, 0, 19, 7, 7, 19, 3, 0}, Version: 0x13301377}

func chip(t testing.TB, f Format) *Flash {
	t.Helper()
	b, err := f.Base()
	if err != nil {
		t.Fatal(err)
	}
	return b.New()
}

// The CRC is that of host-bus 2.3 without the shift; two of its vectors.
func TestCRC7(t *testing.T) {
	for _, v := range []struct {
		cmd  string
		want uint32
	}{{"ca001000", 0xca >> 1}, {"c900e82400000052", 0x5c >> 1}, {"c70d0100000008", 0x3a >> 1}} {
		b, _ := hex.DecodeString(v.cmd)
		if got := crc7(b); got != v.want {
			t.Errorf("%s: %#x, want %#x", v.cmd, got, v.want)
		}
	}
}

// Golden bytes of host-bus 6.4, field by field.
func TestControlBytes(t *testing.T) {
	c := Control{
		Format: 0x401, Sequence: 5, LastCheck: 6,
		Working:     Slot{Offset: 0xa000, Version: 0x13301377},
		Rollback:    Slot{Offset: 0x45000, Mark: Valid, Version: 0x13301361},
		AppWorking:  Slot{Offset: 9, Mark: 10, Version: 11},
		AppRollback: Slot{Offset: 12, Mark: 13, Version: 14},
	}
	want := "f9debc1a" + "01040000" + "05000000" + "06000000" + "00a00000" + "77133013" + "00500400" + "85625212" +
		"61133013" + "09000000" + "0a000000" + "0b000000" + "0c000000" + "0d000000" + "0e000000"
	b := c.Append(nil)
	if got := hex.EncodeToString(b[:60]); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if le.Uint32(b[60:]) != crc7(b[:60]) {
		t.Errorf("CRC % x", b[60:])
	}
	if got, err := ParseControl(b); err != nil || got != c {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestBrokenControls(t *testing.T) {
	good := Control{Format: ControlFormat}.Append(nil)
	change := func(i int, v byte) []byte {
		b := bytes.Clone(good)
		b[i] ^= v
		return b
	}
	old := Control{Format: 0}.Append(nil)
	for name, b := range map[string][]byte{
		"empty":       nil,
		"short":       good[:63],
		"magic":       change(0, 1),
		"field":       change(17, 0x40),
		"crc":         change(60, 1),
		"crc, high":   change(63, 0x80),
		"erased":      blank[:64],
		"zero":        make([]byte, 64),
		"version 0":   old,
		"half erased": append(bytes.Clone(good[:32]), blank[:32]...),
	} {
		if _, err := ParseControl(b); !errors.Is(err, ErrControl) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzControl(f *testing.F) {
	f.Add(Control{Format: ControlFormat, Working: Slot{Offset: 0xa000}}.Append(nil))
	f.Add(blank[:64])
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseControl(b)
		if err != nil {
			return
		}
		// The mark of a working application image of old releases is a field; that of the working image is not.
		if got := c.Append(nil); !bytes.Equal(got, b[:ControlLen]) {
			t.Errorf("% x comes back as % x", b[:ControlLen], got)
		}
	})
}

// Which copy is in force: the higher sequence number, counted modulo 2³², of those that are valid.
func TestChoiceOfTheControlSection(t *testing.T) {
	for _, tc := range []struct {
		name         string
		main, backup int64 // sequence numbers; -1: bad
		want         int64 // -1: none
	}{
		{"equal", 3, 3, 3},
		{"main newer", 4, 3, 4},
		{"backup newer", 3, 4, 4},
		{"main bad", -1, 3, 3},
		{"backup bad", 3, -1, 3},
		{"both bad", -1, -1, -1},
		{"wrapped", 0, 0xffffffff, 0},
		{"wrapped, backup", 0xffffffff, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := chip(t, fresh)
			for r, seq := range map[Region]int64{ControlMain: tc.main, ControlBackup: tc.backup} {
				p, _ := f.Region(r)
				p.Erase(0, 1)
				if seq >= 0 {
					p.WriteAt(Control{Format: ControlFormat, Sequence: uint32(seq)}.Append(nil), 0)
				}
			}
			c, err := f.Control()
			if tc.want < 0 {
				if !errors.Is(err, ErrControl) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil || c.Sequence != uint32(tc.want) {
				t.Fatalf("sequence %d, %v; want %d", c.Sequence, err, tc.want)
			}
			before := f.Stats()
			if err := f.Repair(); err != nil {
				t.Fatal(err)
			}
			wrote := f.Stats().Programs != before.Programs
			if wrote != (tc.main != tc.backup) {
				t.Errorf("repair wrote: %v", wrote)
			}
			for _, r := range []Region{ControlMain, ControlBackup} {
				if got, err := f.readControl(r); err != nil || got != c {
					t.Errorf("%v after repair: %+v, %v", r, got, err)
				}
			}
		})
	}
}

// The table that 19.7.7 reads stands behind both copies, whatever was done to them.
func TestTableBehindTheControlSection(t *testing.T) {
	for _, size := range []int{Size4M, Size8M} {
		f := chip(t, Format{Size: size})
		c, _ := f.Control()
		f.SetControl(c)
		for _, r := range []Region{ControlMain, ControlBackup} {
			p, _ := f.Region(r)
			b := readAll(t, p, 0x40, 300)
			got, err := ParseTable(b)
			if err != nil || len(got.Entries) != len(TableOf(size).Entries) || int(got.Size) != size {
				t.Errorf("%v: %+v, %v", r, got, err)
			}
			if want := "f9debc1a"; hex.EncodeToString(b[:4]) != want {
				t.Errorf("magic % x", b[:4])
			}
		}
		covered := map[int]bool{}
		for _, e := range TableOf(size).Entries {
			for i := int(e.First); i < int(e.First)+int(e.Sectors); i++ {
				if covered[i] || i*SectorSize >= size {
					t.Errorf("entry %#x: sector %d", e.ID, i)
				}
				covered[i] = true
			}
		}
		if len(covered) != size/SectorSize-3 { // all but boot firmware and control
			t.Errorf("%d sectors of %d covered", len(covered), size/SectorSize)
		}
	}
	for name, b := range map[string][]byte{
		"empty": nil, "magic": make([]byte, 300), "cut": TableOf(Size4M).Append(nil)[:30],
		"many": le.AppendUint32(le.AppendUint32(le.AppendUint32(nil, Magic), 0), 33),
	} {
		if _, err := ParseTable(b); !errors.Is(err, ErrTable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzTable(f *testing.F) {
	f.Add(TableOf(Size8M).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := ParseTable(b)
		if err == nil && len(v.Append(nil)) > len(b) {
			t.Errorf("%d entries in %d bytes", len(v.Entries), len(b))
		}
	})
}
