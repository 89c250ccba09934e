package flash

import (
	"bytes"
	"errors"
	"testing"
)

const oneAt, twoAt = 0xa000, 0x45000

// onTrial is a chip that has switched to its second image.
func onTrial(t *testing.T) *Flash {
	t.Helper()
	content, old, _ := switched(t)
	f, err := Open(Memory(content), Size4M)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.SetControl(old.Switched()); err != nil {
		t.Fatal(err)
	}
	return f
}

// An image that nobody confirms has its starts, then the one from before runs, for good.
func TestTrialFallsBack(t *testing.T) {
	f := onTrial(t)
	for i := range 3 {
		if b, err := f.BootTrial(3); err != nil || b.Running.Offset != twoAt || !b.Trial || b.Failed || int(b.Control.Starts) != i+1 {
			t.Fatalf("start %d: %+v, %v", i+1, b, err)
		}
	}
	b, err := f.BootTrial(3)
	if err != nil || b.Running.Offset != oneAt || !b.Failed || b.Trial || b.Other.Offset != 0 {
		t.Fatalf("after the trial: %+v, %v", b, err)
	}
	for range 5 {
		b, err := f.BootTrial(3)
		if err != nil || b.Running.Offset != oneAt || b.Failed || b.Trial || b.Control.Rollback.Mark != Invalid || b.Control.Starts != 0 {
			t.Fatalf("later: %+v, %v", b, err)
		}
	}
}

func TestConfirmEndsTheTrial(t *testing.T) {
	f := onTrial(t)
	f.BootTrial(2)
	if err := f.Confirm(); err != nil {
		t.Fatal(err)
	}
	before := f.Stats()
	if err := f.Confirm(); err != nil || f.Stats().Programs != before.Programs {
		t.Errorf("confirmed again: %v, %d programs", err, f.Stats().Programs-before.Programs)
	}
	for range 5 {
		if b, err := f.BootTrial(2); err != nil || b.Running.Offset != twoAt || b.Trial || b.Other.Offset != oneAt {
			t.Fatalf("%+v, %v", b, err)
		}
	}
	// Back to the first one is a switch like any other.
	c, _ := f.Control()
	f.SetControl(c.Switched())
	if b, _ := f.BootTrial(2); !b.Trial || b.Running.Offset != oneAt {
		t.Errorf("rolled back: %+v", b)
	}
}

// No trial: where it is not asked for, and without an image to go back to.
func TestNoTrialWithoutAWayBack(t *testing.T) {
	f := onTrial(t)
	for range 5 {
		if b, err := f.Boot(); err != nil || b.Trial || b.Running.Offset != twoAt || b.Control.Starts != 0 {
			t.Fatalf("nobody asked: %+v, %v", b, err)
		}
	}
	one, _ := f.Region(Firmware1)
	one.Erase(0, 1)
	for range 5 {
		if b, err := f.BootTrial(1); err != nil || b.Trial || b.Running.Offset != twoAt {
			t.Fatalf("the other one is gone: %+v, %v", b, err)
		}
	}
	// A section of somebody else says nothing of what was confirmed.
	f = onTrial(t)
	c, _ := f.Control()
	c.Confirmed = 0
	f.SetControl(c)
	for range 5 {
		if b, err := f.BootTrial(1); err != nil || b.Trial || b.Running.Offset != twoAt {
			t.Fatalf("not known: %+v, %v", b, err)
		}
	}
}

// Every cut of power at a start on trial, the last one included, and at the confirmation: the device starts one of the two
// images, and the trial comes to its end.
func TestPowerCutsOfATrial(t *testing.T) {
	first := readAll(t, onTrial(t), 0, Size4M)
	last := onTrial(t)
	last.BootTrial(1)
	for name, tc := range map[string]struct {
		content []byte
		op      func(f *Flash) error
	}{
		"first start":  {first, func(f *Flash) error { b, err := f.BootTrial(1); return errors.Join(err, b.Worn) }},
		"fallback":     {readAll(t, last, 0, Size4M), func(f *Flash) error { b, err := f.BootTrial(1); return errors.Join(err, b.Worn) }},
		"confirmation": {readAll(t, last, 0, Size4M), (*Flash).Confirm},
	} {
		n := everyCut(t, tc.content, tc.op, func(what string, mem Memory) {
			f, err := Open(mem, Size4M)
			if err != nil {
				t.Fatalf("%s, %s: %v", name, what, err)
			}
			for i := 0; ; i++ {
				b, err := f.BootTrial(1)
				if err != nil || b.Worn != nil {
					t.Fatalf("%s, %s: %+v, %v", name, what, b, err)
				}
				if !b.Trial && !b.Failed {
					break
				}
				if i == 3 {
					t.Fatalf("%s, %s: the trial does not end", name, what)
				}
			}
		})
		if n < 10 {
			t.Errorf("%s: %d writes", name, n)
		}
	}
}

// The sums of the control section catch what an image of somebody else cannot say of itself.
func TestBootKnowsDamagedForeignImages(t *testing.T) {
	f := chip(t, fresh)
	two, _ := f.Region(Firmware2)
	foreign := bytes.Repeat([]byte("foreign"), 3000)
	two.WriteAt(foreign, 0)
	sum, _ := two.Sum(len(foreign))
	c, _ := f.Control()
	c.Rollback = Slot{Offset: twoAt, Mark: Valid, Size: uint32(len(foreign)), Sum: sum}
	f.SetControl(c.Switched())
	if b, err := f.Boot(); err != nil || !b.Running.Foreign || b.Running.Offset != twoAt || b.Other.Offset != oneAt {
		t.Fatalf("%+v, %v", b, err)
	}
	two.WriteAt([]byte{0}, 20_000)
	b, err := f.Boot()
	if err != nil || b.Running.Offset != oneAt || !errors.Is(b.Backup, ErrNoImage) {
		t.Errorf("damaged: %+v, %v", b, err)
	}
	// A size that no slot has is no image, and no more than that.
	c.Rollback.Size = 1<<32 - 1
	f.SetControl(c.Switched())
	if b, err := f.Boot(); err != nil || b.Running.Offset != oneAt {
		t.Errorf("size: %+v, %v", b, err)
	}
}

// Look is what a tool may do with the flash of a device that is off.
func TestLookChangesNothing(t *testing.T) {
	f := onTrial(t)
	p, _ := f.Region(ControlMain)
	p.Erase(0, 1)
	before := readAll(t, f, 0, Size4M)
	b, err := f.Look()
	if err != nil || b.Running.Offset != twoAt || b.Other.Offset != oneAt || !bytes.Equal(before, readAll(t, f, 0, Size4M)) {
		t.Errorf("%+v, %v", b, err)
	}
}

// Whatever stands in the control sections and at the beginning of the slots: boot ends, what it picks is a good image, and it picks the
// same the next time, unless that was the last start of a trial.
func FuzzBoot(f *testing.F) {
	c := Control{
		Format: ControlFormat, Working: Slot{Offset: twoAt}, Rollback: Slot{Offset: oneAt, Mark: Valid}, Confirmed: oneAt,
	}
	sector := append(bytes.Clone(c.Append(nil)), blank[ControlLen:noteAt]...)
	sector = c.appendNote(sector, sector[:ControlLen])
	good, err := MakeImage(fresh.Block, []byte("good"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sector, sector, good, good)
	f.Add(sector, []byte{}, good, []byte("foreign firmware"))
	f.Add([]byte{}, sector[:ControlLen], []byte{}, good)
	base := chip(f, fresh)
	content := readAll(f, base, 0, Size4M)
	f.Fuzz(func(t *testing.T, main, backup, one, two []byte) {
		mem := Memory(bytes.Clone(content))
		for at, b := range map[int][]byte{0x1000: main, 0x2000: backup, oneAt: one, twoAt: two} {
			copy(mem[at:at+SectorSize], blank[:])
			copy(mem[at:at+SectorSize], b)
		}
		f := &Flash{medium: stored{mem}, size: Size4M}
		b, err := f.BootTrial(2)
		if err != nil {
			return
		}
		if b.Worn != nil {
			t.Fatal(b.Worn)
		}
		p, err := f.slot(b.Running.Offset)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := CheckImage(p); err != nil && !b.Running.Foreign {
			t.Fatal(err)
		}
		again, err := f.BootTrial(2)
		if err != nil || again.Running != b.Running && !again.Failed {
			t.Fatalf("%+v, then %+v, %v", b, again, err)
		}
	})
}
