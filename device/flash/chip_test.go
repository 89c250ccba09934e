package flash

import (
	"bytes"
	"testing"
)

func exec(c *Chip, n int, cmd ...byte) []byte {
	b := make([]byte, n)
	c.Exec(cmd, nil, b)
	return b
}

func TestIDSaysTheSize(t *testing.T) {
	for size, want := range map[int]uint32{Size2M: 0x12, Size4M: 0x13, Size8M: 0x14} {
		f, _ := New(size)
		c := &Chip{F: f}
		id := le.Uint32(exec(c, 4, OpReadID))
		// Spec host-bus 6.2: 2ⁿ Mbit, n = bits 23:16 - 0x11.
		if id>>16&0xff != want || 1<<(want-0x11)*(Size2M/2) != size {
			t.Errorf("%d KiB: id %#x", size>>10, id)
		}
	}
	// The two examples of the specification.
	small, _ := New(Size2M)
	if b := exec(&Chip{F: small}, 3, OpReadID); !bytes.Equal(b, []byte{0xef, 0x30, 0x12}) {
		t.Errorf("2 Mbit: % x", b)
	}
	medium, _ := New(Size4M)
	if id := le.Uint32(exec(&Chip{F: medium}, 4, OpReadID)); id != 0xc21320c2 {
		t.Errorf("4 Mbit: %#x", id)
	}
}

func TestWriteEnable(t *testing.T) {
	f, _ := New(Size4M)
	c := &Chip{F: f}
	program := func(v byte) { c.Exec([]byte{OpPageProgram, 0, 0, 0}, []byte{v}, nil) }
	first := func() byte { return exec(c, 1, OpFastRead, 0, 0, 0, 0)[0] }
	program(0)
	if first() != 0xff || c.Stats().Ignored != 1 {
		t.Errorf("programmed without write enable: %#x, %+v", first(), c.Stats())
	}
	exec(c, 0, OpWriteEnable)
	if s := exec(c, 4, OpReadStatus); !bytes.Equal(s, []byte{2, 2, 2, 2}) {
		t.Errorf("status % x", s)
	}
	program(0x55)
	if s := exec(c, 1, OpReadStatus)[0]; first() != 0x55 || s != 0 {
		t.Errorf("%#x, status %#x: a program clears write enable", first(), s)
	}
	exec(c, 0, OpSectorErase, 0, 0, 0)
	if first() != 0x55 {
		t.Error("erased without write enable")
	}
	exec(c, 0, OpWriteEnable)
	exec(c, 0, OpWriteDisable)
	exec(c, 0, OpSectorErase, 0, 0, 0)
	if first() != 0x55 {
		t.Error("erased after write disable")
	}
	exec(c, 0, OpWriteEnable)
	exec(c, 0, OpSectorErase, 0, 0, 10)
	if s := exec(c, 1, OpReadStatus)[0]; first() != 0xff || s != 0 {
		t.Errorf("%#x, status %#x after erase", first(), s)
	}
}

// Hosts erase at the address of a step plus 10; the chip takes the sector that it lies in.
func TestBD18_EraseAddressesAreMasked(t *testing.T) {
	f, _ := New(Size4M)
	c := &Chip{F: f}
	for _, off := range []int{0, 10, 4095} {
		f.WriteAt(make([]byte, 3*SectorSize), SectorSize)
		at := 2*SectorSize + off
		exec(c, 0, OpWriteEnable)
		exec(c, 0, OpSectorErase, byte(at>>16), byte(at>>8), byte(at))
		for i := 1; i <= 3; i++ {
			want := byte(0)
			if i == 2 {
				want = 0xff
			}
			b := readAll(t, f, int64(i*SectorSize), SectorSize)
			if !bytes.Equal(b, bytes.Repeat([]byte{want}, SectorSize)) {
				t.Errorf("sector %d after an erase at %#x", i, at)
			}
		}
	}
}

func TestReadsWrapAtTheEnd(t *testing.T) {
	f, _ := New(Size2M)
	c := &Chip{F: f}
	f.WriteAt([]byte{1, 2}, 0)
	f.WriteAt([]byte{9}, Size2M-1)
	if b := exec(c, 3, OpFastRead, 3, 0xff, 0xff, 0xa5); !bytes.Equal(b, []byte{9, 1, 2}) {
		t.Errorf("% x", b)
	}
	if b := exec(c, 2, OpRead, 0xf4, 0, 0); !bytes.Equal(b, []byte{1, 2}) {
		t.Errorf("address beyond the size: % x", b)
	}
}

func TestDeepPowerDown(t *testing.T) {
	f, _ := New(Size4M)
	c := &Chip{F: f}
	f.WriteAt([]byte{1}, 0)
	exec(c, 0, OpPowerDown)
	if b := exec(c, 4, OpReadID); !c.PoweredDown() || !bytes.Equal(b, []byte{0xff, 0xff, 0xff, 0xff}) {
		t.Errorf("id in power-down % x", b)
	}
	if b := exec(c, 1, OpFastRead, 0, 0, 0, 0); b[0] != 0xff {
		t.Errorf("read in power-down %#x", b[0])
	}
	exec(c, 0, OpRelease)
	if b := exec(c, 1, OpFastRead, 0, 0, 0, 0); b[0] != 1 || c.PoweredDown() {
		t.Errorf("read after release %#x", b[0])
	}
	exec(c, 0, OpPowerDown)
	c.Power()
	if b := exec(c, 1, OpFastRead, 0, 0, 0, 0); b[0] != 1 {
		t.Errorf("read after power-up %#x", b[0])
	}
}

func TestUnknownCommands(t *testing.T) {
	f, _ := New(Size4M)
	c := &Chip{F: f}
	for _, cmd := range [][]byte{nil, {0x2b}, {0x98}, {0x30}, {OpFastRead, 0, 0}, {OpRead, 0}} {
		if b := exec(c, 2, cmd...); !bytes.Equal(b, []byte{0xff, 0xff}) {
			t.Errorf("% x: % x", cmd, b)
		}
	}
	if n := c.Stats().Unknown; n != 6 {
		t.Errorf("%d unknown", n)
	}
}

// A chip never changes but by a program or an erase that was enabled, and its memory is bounded.
func FuzzCommands(f *testing.F) {
	f.Add([]byte{1, OpWriteEnable, 4, OpSectorErase, 0, 0, 10, 1, OpWriteEnable, 4, OpPageProgram, 0, 0, 250, 5, OpFastRead, 0, 0, 0, 0})
	base, err := fresh.Base()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		chip := base.New()
		c := &Chip{F: chip}
		answer := make([]byte, 40)
		for len(b) > 0 {
			n := min(int(b[0]&7), len(b)-1)
			cmd := b[1 : 1+n]
			b = b[1+n:]
			data := b[:min(len(b), 300)]
			enabled, before := c.writeEnabled, chip.Stats()
			c.Exec(cmd, data, answer)
			after := chip.Stats()
			if changed := after.Programs+after.Erases != before.Programs+before.Erases; changed && !enabled {
				t.Fatalf("% x changed the chip without write enable", cmd)
			}
			if c.writeEnabled && c.down && !enabled {
				t.Fatal("write enable in power-down")
			}
		}
		if n := chip.medium.(*memory).owned(); n > Size4M/SectorSize {
			t.Fatalf("%d sectors", n)
		}
	})
}
