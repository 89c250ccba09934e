package flash

import (
	"errors"
	"io"
	"math"
	"testing"
)

// The map of host-bus 6.3, row by row.
func TestMap(t *testing.T) {
	for r, want := range map[Region]span{
		Raw: {0, Size8M}, BootFirmware: {0, 0x1000}, ControlMain: {0x1000, 0x1000}, ControlBackup: {0x2000, 0x1000},
		PLLTable: {0x3000, 0x400}, GainTable: {0x3400, 0xc00}, PLLGain: {0x3000, 0x1000}, RootCertificates: {0x4000, 0x1000},
		TLSServer: {0x5000, 0x2000}, HTTPFiles: {0x7000, 0x2000}, Connections: {0x9000, 0x1000},
		Firmware1: {0xa000, 0x3b000}, Firmware2: {0x45000, 0x3b000}, FirmwareActive: {0xa000, 0x3b000},
		FirmwareInactive: {0x45000, 0x3b000}, HostFile: {0x80000, 0x80000},
	} {
		p, err := chip(t, Format{Size: Size8M}).Region(r)
		if err != nil || p.Offset() != want.off || p.Size() != want.size {
			t.Errorf("%v: %d bytes at %#x, %v", r, p.Size(), p.Offset(), err)
		}
	}
	small, _ := New(Size2M)
	for r := BootFirmware; r <= HostFile; r++ {
		if _, err := small.Region(r); !errors.Is(err, ErrNoRegion) {
			t.Errorf("%v on 2 Mbit: %v", r, err)
		}
	}
	if _, err := chip(t, fresh).Region(HostFile); !errors.Is(err, ErrNoRegion) {
		t.Errorf("host file on 4 Mbit: %v", err)
	}
	if _, err := chip(t, fresh).Region(HostFile + 1); !errors.Is(err, ErrNoRegion) {
		t.Errorf("unknown region: %v", err)
	}
	empty, _ := New(Size4M)
	if _, err := empty.Region(FirmwareActive); !errors.Is(err, ErrControl) {
		t.Errorf("active image without a control section: %v", err)
	}
}

func TestActiveAndInactiveFollowTheControlSection(t *testing.T) {
	f := chip(t, fresh)
	c, _ := f.Control()
	f.SetControl(c.Switched())
	a, err := f.Region(FirmwareActive)
	if err != nil || a.Offset() != 0x45000 {
		t.Errorf("active at %#x, %v", a.Offset(), err)
	}
	i, err := f.Region(FirmwareInactive)
	if err != nil || i.Offset() != 0xa000 {
		t.Errorf("inactive at %#x, %v", i.Offset(), err)
	}
	c.Working.Offset = 0x12345
	f.SetControl(c)
	if _, err := f.Region(FirmwareActive); !errors.Is(err, ErrControl) {
		t.Errorf("slot at an impossible place: %v", err)
	}
}

func TestPartsAreBounded(t *testing.T) {
	f := chip(t, fresh)
	p, _ := f.Region(HTTPFiles)
	if _, err := p.WriteAt(make([]byte, 2), 0x1fff); !errors.Is(err, ErrRange) {
		t.Errorf("write over the end: %v", err)
	}
	if n, err := p.ReadAt(make([]byte, 2), 0x1fff); n != 1 || err != io.EOF {
		t.Errorf("read over the end: %d, %v", n, err)
	}
	if _, err := p.ReadAt(make([]byte, 2), 0x2000); err != io.EOF {
		t.Errorf("read at the end: %v", err)
	}
	for _, s := range [][2]int{{0, 3}, {2, 1}, {-1, 1}, {0, -1}, {3, 0}, {1, math.MaxInt}} {
		if err := p.Erase(s[0], s[1]); !errors.Is(err, ErrRange) {
			t.Errorf("erase %v: %v", s, err)
		}
	}
	if err := p.Erase(1, 1); err != nil {
		t.Error(err)
	}
	pll, _ := f.Region(PLLTable)
	if err := pll.Erase(0, 0); !errors.Is(err, ErrRange) {
		t.Errorf("erase of a table that is no sector: %v", err)
	}
}
