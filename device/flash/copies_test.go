package flash

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
)

// tears are the ways in which one write can be cut: before it, in its middle at places that matter, after it, and with bits at
// random.
func tears(do func(name string, torn int, bits rand.Source)) {
	for _, torn := range []int{0, 1, 3, 4, 59, 60, 61, 63, 64, 65, 128, 255, 256, 512, 540, 2048, 4095, 4096} {
		do(fmt.Sprintf("%d bytes", torn), torn, nil)
	}
	for seed := range uint64(30) {
		do(fmt.Sprintf("bits of seed %d", seed), 0, rand.NewPCG(seed, 1))
	}
}

// everyCut runs op on a chip with the content of the image, once for each of its writes and each way to tear it, and gives what is
// left to look. It returns the number of writes that op takes.
func everyCut(t *testing.T, content []byte, op func(f *Flash) error, look func(what string, mem Memory)) int {
	t.Helper()
	for writes := 0; ; writes++ {
		whole := false
		tears(func(name string, torn int, bits rand.Source) {
			mem := Memory(bytes.Clone(content))
			cut := &PowerCut{Storage: mem, Writes: writes, Torn: torn, Bits: bits}
			f, err := Open(cut, int64(len(content)))
			if err != nil {
				t.Fatal(err)
			}
			err = op(f)
			if !cut.Gone() {
				whole = true
			} else if !errors.Is(err, ErrPowerCut) {
				t.Fatalf("write %d, %s: no power, and the error is %v", writes, name, err)
			}
			look(fmt.Sprintf("write %d, %s", writes, name), mem)
		})
		if whole {
			return writes
		}
	}
}

func copies(mem Memory) (main, backup Control, errMain, errBackup error) {
	f := &Flash{medium: stored{mem}, size: len(mem)}
	main, errMain = f.readControl(ControlMain)
	backup, errBackup = f.readControl(ControlBackup)
	return main, backup, errMain, errBackup
}

// switched is a chip with two good images, and the control section to store next.
func switched(t *testing.T) (content []byte, old, next Control) {
	t.Helper()
	f := chip(t, fresh)
	two, _ := f.Region(Firmware2)
	second, err := MakeImage([BlockLen]byte{4: 19, 5: 8, 6: 1}, bytes.Repeat([]byte("new "), 300))
	if err != nil {
		t.Fatal(err)
	}
	two.WriteAt(second, 0)
	sum, _ := two.Sum(len(second))
	c, _ := f.Control()
	c.Rollback = Slot{Offset: uint32(two.Offset()), Mark: Valid, Version: 0x1381, Size: uint32(len(second)), Sum: sum}
	if old, err = f.SetControl(c); err != nil {
		t.Fatal(err)
	}
	next = old.Switched()
	next.Sequence++
	return readAll(t, f, 0, Size4M), old, next
}

// A switch, cut off before, in the middle of, and after every write: each copy is the old section, the new one, or none, never
// anything else; the section in force is the old or the new one; boot makes both equal; and a new try goes through.
func TestPowerCutsOfTheControlSection(t *testing.T) {
	content, old, next := switched(t)
	seen := map[uint32]int{}
	n := everyCut(t, content, func(f *Flash) error { _, err := f.SetControl(next); return err }, func(what string, mem Memory) {
		main, backup, errMain, errBackup := copies(mem)
		if errMain == nil && main != old && main != next || errBackup == nil && backup != old && backup != next {
			t.Fatalf("%s: main %+v, backup %+v", what, main, backup)
		}
		// The backup first, then the main copy.
		if (errMain != nil || main == next) && (errBackup != nil || backup != next) {
			t.Fatalf("%s: the main copy (%v) is touched before the backup (%v) is done", what, errMain, errBackup)
		}
		f, err := Open(mem, Size4M)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		c, _ := f.Control()
		seen[c.Sequence]++
		b, err := f.Boot()
		if err != nil || b.Worn != nil || b.Control != c || b.Running.Offset != c.Working.Offset || b.Other.Offset != c.Rollback.Offset {
			t.Fatalf("%s: %+v, %v", what, b, err)
		}
		if main, backup, errMain, errBackup = copies(mem); errMain != nil || errBackup != nil || main != c || backup != c {
			t.Fatalf("%s: boot left main %+v (%v), backup %+v (%v)", what, main, errMain, backup, errBackup)
		}
		if again, err := f.SetControl(next); err != nil || again.Working != next.Working {
			t.Fatalf("%s: a new try: %+v, %v", what, again, err)
		}
	})
	if n < 10 || seen[old.Sequence] == 0 || seen[next.Sequence] == 0 || len(seen) != 2 {
		t.Errorf("%d writes, sections in force %v", n, seen)
	}
}

// What boot does to make the copies equal may be cut off as well, as often as it likes.
func TestPowerCutsOfTheRepairAtBoot(t *testing.T) {
	content, old, next := switched(t)
	half := Memory(bytes.Clone(content))
	cut := &PowerCut{Storage: half, Writes: 8, Torn: 2000} // in the main copy
	f, _ := Open(cut, Size4M)
	f.SetControl(next)
	_, backup, errMain, _ := copies(half)
	if errMain == nil || backup != next {
		t.Fatalf("main %v, backup %+v", errMain, backup)
	}
	for name, content := range map[string][]byte{"main bad": half, "backup bad": func() []byte {
		b := bytes.Clone(content)
		clear(b[0x2000:0x2040])
		return b
	}()} {
		want := next
		if name == "backup bad" {
			want = old
		}
		n := everyCut(t, content, func(f *Flash) error { b, err := f.Boot(); return errors.Join(err, b.Worn) }, func(what string, mem Memory) {
			f, err := Open(mem, Size4M)
			if err != nil {
				t.Fatalf("%s, %s: %v", name, what, err)
			}
			if b, err := f.Boot(); err != nil || b.Control != want || b.Worn != nil {
				t.Fatalf("%s, %s: %+v, %v", name, what, b, err)
			}
			if main, backup, errMain, errBackup := copies(mem); main != want || backup != want {
				t.Fatalf("%s, %s: %v, %v", name, what, errMain, errBackup)
			}
		})
		if n < 4 {
			t.Errorf("%s: boot wrote %d times", name, n)
		}
	}
}

// Worn out sectors under the control section: the device starts whatever is wrong, a change says truly whether it is in force, and
// with one copy left there is no change, because that would leave none for a moment.
func TestBadSectorsOfTheControlSection(t *testing.T) {
	for _, bad := range []Badness{FailErase, FailProgram, KeepErase, KeepProgram, FailErase | FailProgram, KeepErase | KeepProgram} {
		for _, sector := range []int{1, 2} {
			t.Run(fmt.Sprintf("sector %d, %d", sector, bad), func(t *testing.T) {
				content, old, next := switched(t)
				mem := Memory(content)
				s := &BadSectors{Storage: mem, Bad: map[int]Badness{sector: bad}}
				f, err := Open(s, Size4M)
				if err != nil {
					t.Fatal(err)
				}
				stored, err := f.SetControl(next)
				want := old
				if sector == 1 {
					want = next // the backup is in force
				}
				if (err == nil) != (want == next) || err == nil && stored != next {
					t.Fatalf("%+v, %v", stored, err)
				}
				for range 2 {
					if b, err := f.Boot(); err != nil || b.Control != want || b.Running.Offset != want.Working.Offset {
						t.Fatalf("boot: %+v, %v", b, err)
					}
				}
				main, backup, _, _ := copies(mem)
				if b, _ := f.Boot(); b.Worn == nil && main != backup {
					t.Error("boot does not say that a sector is worn out")
				}
				again := want.Switched()
				if _, err := f.SetControl(again); err == nil {
					t.Error("the only copy was overwritten")
				}
				if b, err := f.Boot(); err != nil || b.Control != want {
					t.Fatalf("boot after a refused change: %+v, %v", b, err)
				}
				s.Bad = nil // healed
				if _, err := f.SetControl(again); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// The note is ours; a section that somebody else wrote counts without it, and so does a note that is damaged.
func TestNoteBelongsToItsSection(t *testing.T) {
	f := chip(t, fresh)
	c, _ := f.Control()
	if c.Confirmed != 0xa000 || c.Working.Size == 0 || c.Working.Sum == 0 {
		t.Fatalf("fresh: %+v", c)
	}
	c.Starts, c.Confirmed = 3, 0x45000
	c.Rollback = Slot{Offset: 0x45000, Mark: Valid, Version: 5, Size: 6, Sum: 7}
	c, err := f.SetControl(c)
	if got, _ := f.Control(); err != nil || got != c {
		t.Fatalf("stored %+v, read %+v, %v", c, got, err)
	}
	plain := c
	plain.Starts, plain.Confirmed = 0, 0
	plain.Working.Size, plain.Working.Sum, plain.Rollback.Size, plain.Rollback.Sum = 0, 0, 0, 0
	for name, change := range map[string]func(b []byte){
		"note":            func(b []byte) { b[noteAt+13] ^= 1 },
		"mark of note":    func(b []byte) { b[noteAt] ^= 1 },
		"CRC of note":     func(b []byte) { b[noteAt+31] ^= 1 },
		"section, by CRC": func(b []byte) { d := plain; d.LastCheck++; copy(b, d.Append(nil)) },
	} {
		for _, r := range []Region{ControlMain, ControlBackup} {
			p, _ := f.Region(r)
			b := readAll(t, p, 0, SectorSize)
			change(b)
			p.Erase(0, 1)
			p.WriteAt(b, 0)
		}
		got, err := f.Control()
		got.LastCheck = 0
		if err != nil || got != plain {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	// Of what is not valid nothing is known, and nothing was confirmed.
	c.Rollback.Mark = Invalid
	c, _ = f.SetControl(c)
	if c.Rollback.Size != 0 || c.Rollback.Sum != 0 || c.Confirmed != 0 {
		t.Errorf("invalid: %+v", c)
	}
}

// The faults do what they say.
func TestFaults(t *testing.T) {
	ones := bytes.Repeat([]byte{0xff}, Size2M)
	for _, tc := range []struct {
		torn int
		want []byte
	}{{0, []byte{0xff, 0xff, 0xff}}, {2, []byte{1, 2, 0xff}}, {256, []byte{1, 2, 3}}} {
		mem := Memory(bytes.Clone(ones))
		c := &PowerCut{Storage: mem, Torn: tc.torn}
		f, _ := Open(c, Size2M)
		if err := f.Program(0, []byte{1, 2, 3}); !errors.Is(err, ErrPowerCut) || !c.Gone() || !bytes.Equal(mem[:3], tc.want) {
			t.Errorf("torn %d: % x, %v", tc.torn, mem[:3], err)
		}
	}
	mem := Memory(bytes.Clone(ones))
	f, _ := Open(&PowerCut{Storage: mem, Bits: rand.NewPCG(1, 2)}, Size2M)
	f.Program(0, make([]byte, PageSize))
	if n := bytes.Count(mem[:PageSize], []byte{0xff}); n > 20 || bytes.Count(mem[:PageSize], []byte{0}) > 20 || mem[PageSize] != 0xff {
		t.Errorf("bits: % x", mem[:PageSize])
	}
	for _, tc := range []struct {
		bad            Badness
		program, erase error
		want           byte // after a program of 0 over 0xff
		after          byte // after the erase
	}{
		{FailErase, nil, ErrBadSector, 0, 0},
		{FailProgram, ErrBadSector, nil, 0xff, 0xff},
		{KeepErase, nil, nil, 0, 0},
		{KeepProgram, nil, nil, 1, 0xff},
	} {
		mem := Memory(bytes.Clone(ones))
		f, _ := Open(&BadSectors{Storage: mem, Bad: map[int]Badness{1: tc.bad}}, Size2M)
		if err := f.Program(SectorSize, []byte{0}); !errors.Is(err, tc.program) || mem[SectorSize] != tc.want {
			t.Errorf("%d: program: %#x, %v", tc.bad, mem[SectorSize], err)
		}
		if err := f.Erase(SectorSize); !errors.Is(err, tc.erase) || mem[SectorSize] != tc.after {
			t.Errorf("%d: erase: %#x, %v", tc.bad, mem[SectorSize], err)
		}
		if err := f.Program(0, []byte{0}); err != nil || mem[0] != 0 {
			t.Errorf("%d: another sector: %v", tc.bad, err)
		}
	}
}

// A change where only one copy is good, and no boot came in between: that copy is not the first to be written.
func TestPowerCutsOfAChangeWithOneCopy(t *testing.T) {
	content, old, next := switched(t)
	for _, at := range []int{0x1000, 0x2000} {
		one := bytes.Clone(content)
		clear(one[at : at+ControlLen])
		everyCut(t, one, func(f *Flash) error { _, err := f.SetControl(next); return err }, func(what string, mem Memory) {
			f, err := Open(mem, Size4M)
			if err != nil {
				t.Fatalf("copy at %#x bad, %s: %v", at, what, err)
			}
			if c, _ := f.Control(); c != old && c != next {
				t.Fatalf("copy at %#x bad, %s: %+v", at, what, c)
			}
		})
	}
}
