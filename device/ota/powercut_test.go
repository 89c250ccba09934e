package ota

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/device/flash"
	"github.com/understudy-net/understudy/device/image"
)

// plugged is a fake network whose updater works on a chip with this storage.
func plugged(t *testing.T, s flash.Storage, file []byte) *fake {
	t.Helper()
	f, err := flash.Open(s, flash.Size4M)
	if err != nil {
		t.Fatal(err)
	}
	n := newFake(t, func(int, string) []step { return ok(file) })
	n.f, n.u = f, New(Config{Flash: f, Net: n, Chip: chip})
	return n
}

// act is a request of the host, which runs to its end.
func (n *fake) act(do func()) Event {
	n.t.Helper()
	do()
	n.collect()
	return n.end()
}

// deed is what the power is cut in.
type deed struct {
	name string
	from []byte // the chip before it
	do   func(n *fake) Event
	file []byte // that the server has

	old, new image.Version // what may run after the cut; new is 0 where nothing new may
}

// content is a chip of 4 Mbit as a device first has it, with 19.7.7.
func content(t *testing.T) flash.Memory {
	t.Helper()
	format := flash.Format{Size: flash.Size4M, Version: 0x1330_1377}
	first, err := image.Build(image.Spec{Version: 0x1377, Chip: chip, Size: 700})
	if err != nil {
		t.Fatal(err)
	}
	copy(format.Block[:], first[image.FileHeadLen+16:])
	base, err := format.Base()
	if err != nil {
		t.Fatal(err)
	}
	mem := make(flash.Memory, flash.Size4M)
	if _, err := base.New().ReadAt(mem, 0); err != nil {
		t.Fatal(err)
	}
	return mem
}

// deeds is the life of a device: an update, the switch to it, the way back, an update over the image that it could go back to,
// and one of somebody else's firmware.
func deeds(t *testing.T, size int) (all []deed) {
	t.Helper()
	mem := content(t)
	update := func(n *fake) Event { return n.act(func() { n.u.Update(n.now, Request{URL: imageURL}) }) }
	for _, d := range []deed{
		{name: "update", do: update, file: build(t, 0x1381, size), old: 0x1377},
		{name: "switch", do: func(n *fake) Event { return n.act(func() { n.u.Switch(n.now) }) }, old: 0x1377, new: 0x1381},
		{name: "rollback", do: func(n *fake) Event { return n.act(func() { n.u.Rollback(n.now) }) }, old: 0x1381, new: 0x1377},
		{name: "update over an image", do: update, file: build(t, 0x1382, size-100), old: 0x1377},
		{name: "update with foreign firmware", do: update, file: image.Wrap(bytes.Repeat([]byte("foreign "), size/8-5)), old: 0x1377},
		{name: "switch to foreign firmware", do: func(n *fake) Event { return n.act(func() { n.u.Switch(n.now) }) }, old: 0x1377, new: foreignVersion},
	} {
		d.from = bytes.Clone(mem)
		n := plugged(t, mem, d.file)
		if e := d.do(n); e.Status != hif.UpdateOK {
			t.Fatalf("%s: %v", d.name, e.Err)
		}
		if _, err := n.f.Boot(); err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	return all
}

// foreignVersion stands for the version of firmware that says none.
const foreignVersion = 1

// boots starts the device and returns the version that runs.
func boots(f *flash.Flash) (image.Version, error) {
	b, err := f.Boot()
	if err == nil {
		err = b.Worn
	}
	if b.Running.Foreign {
		return foreignVersion, err
	}
	h := image.Head{Block: b.Running.Block}
	return h.Version(), err
}

// cut does d on a chip whose power goes after so many writes, and in the next. It reports whether the power went, and what ran
// afterwards.
func (d *deed) cut(t *testing.T, writes, torn int, bits rand.Source, next []byte) (gone bool, ran image.Version) {
	t.Helper()
	where := fmt.Sprintf("%s, cut at write %d after %d bytes", d.name, writes, torn)
	if bits != nil {
		where = fmt.Sprintf("%s, cut at write %d between bits", d.name, writes)
	}
	mem := flash.Memory(bytes.Clone(d.from))
	power := &flash.PowerCut{Storage: mem, Writes: writes, Torn: torn, Bits: bits}
	e := d.do(plugged(t, power, d.file))
	if power.Gone() && (e.Status == hif.UpdateOK || !errors.Is(e.Err, flash.ErrPowerCut)) {
		t.Fatalf("%s: %v, %v", where, e.Status, e.Err)
	}
	f, err := flash.Open(mem, flash.Size4M)
	if err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	if ran, err = boots(f); err != nil || ran != d.old && ran != d.new {
		t.Fatalf("%s: %v runs, %v; want %v or %v", where, ran, err, d.old, d.new)
	}
	// And a new update goes through.
	n := plugged(t, mem, next)
	if e := n.update(imageURL); e.Status != hif.UpdateOK {
		t.Fatalf("%s: new update: %v", where, e.Err)
	}
	if e := n.act(func() { n.u.Switch(n.now) }); e.Status != hif.UpdateOK {
		t.Fatalf("%s: new switch: %v", where, e.Err)
	}
	if v, err := boots(n.f); err != nil || v != nextVersion {
		t.Fatalf("%s: after a new update %v runs, %v", where, v, err)
	}
	return power.Gone(), ran
}

// nextVersion is that of the update after a cut.
const nextVersion image.Version = 0x1391

// Power cut at every operation of the flash in an update, a switch and a rollback: before each erase and each page program, in the
// middle of each, with bits at random, and after it. Afterwards the device boots the old image or the new one, and a new update
// succeeds.
func TestOTA22_PowerCutAtEveryFlashOperation(t *testing.T) {
	next := build(t, nextVersion, 1500)
	for _, d := range deeds(t, 5000) {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			ran := map[image.Version]int{}
			cuts, writes := 0, 0
			for goes := true; goes; writes++ {
				for _, torn := range []int{0, 1, 4, 63, 100, 255, 256, 2048, 4095, 4096} {
					gone, v := d.cut(t, writes, torn, nil, next)
					ran[v]++
					goes = gone
				}
				for seed := range uint64(3) {
					_, v := d.cut(t, writes, 0, rand.NewPCG(seed, uint64(writes)), next)
					ran[v]++
				}
				cuts += 13
			}
			writes-- // the last time there was no cut
			t.Logf("%d writes, %d cuts; what ran afterwards: %v", writes, cuts-13, ran)
			least := 10 // two copies of the control section, five writes each
			if d.file != nil {
				least += 2 + 19 // sectors and pages
			}
			if d.file != nil && d.name != "update" {
				least += 10 // an image that was valid is marked first
			}
			if writes < least || ran[d.old] == 0 || d.new != 0 && ran[d.new] == 0 {
				t.Errorf("%d writes, want at least %d; ran %v", writes, least, ran)
			}
		})
	}
}

// The same for images that fill their slot, at places drawn from a seed.
func TestOTA22_PowerCutsOfAFullSlot(t *testing.T) {
	const seed = 22
	next := build(t, nextVersion, image.SlotSize)
	all := deeds(t, image.SlotSize)
	r := rand.New(rand.NewPCG(seed, 0))
	sample := 60
	if testing.Short() {
		sample = 12
	}
	for i := range sample {
		d := all[i%len(all)]
		mem := flash.Memory(bytes.Clone(d.from))
		whole := &flash.PowerCut{Storage: mem, Writes: -1}
		d.do(plugged(t, whole, d.file))
		if d.file != nil && whole.Done < 20+59+900 {
			t.Fatalf("%s: %d writes", d.name, whole.Done)
		}
		var bits rand.Source
		if r.IntN(2) == 0 {
			bits = rand.NewPCG(seed, uint64(i))
		}
		if gone, _ := d.cut(t, r.IntN(whole.Done), r.IntN(flash.SectorSize+1), bits, next); !gone {
			t.Fatalf("seed %d, sample %d: no cut", seed, i)
		}
	}
}

// Cuts one after the other: each time the power goes in the attempt to update again, or while it starts.
func TestOTA22_PowerCutsInARow(t *testing.T) {
	const seed = 5
	r := rand.New(rand.NewPCG(seed, 1))
	mem := content(t)
	running := image.Version(0x1377)
	cuts, switches := 0, 0
	for i := range 300 {
		offered := image.Version(0x1380 + i%16)
		power := &flash.PowerCut{Storage: mem, Writes: r.IntN(70), Torn: r.IntN(flash.PageSize)}
		if r.IntN(2) == 0 {
			power.Bits = rand.NewPCG(seed, uint64(i))
		}
		n := plugged(t, power, build(t, offered, 5000))
		boots(n.f)
		stored := n.update(imageURL).Status == hif.UpdateOK
		if stored {
			n.act(func() { n.u.Switch(n.now) })
		}
		if power.Gone() {
			cuts++
		}
		f, err := flash.Open(mem, flash.Size4M)
		if err != nil {
			t.Fatalf("seed %d, round %d: %v", seed, i, err)
		}
		v, err := boots(f)
		if err != nil || v != running && !(stored && v == offered) {
			t.Fatalf("seed %d, round %d: %v runs, %v; had %v, was offered %v (stored: %v)", seed, i, v, err, running, offered, stored)
		}
		if v != running {
			switches++
		}
		running = v
	}
	if cuts < 100 || switches < 30 {
		t.Errorf("%d cuts, %d switches", cuts, switches)
	}
}

// A sector of the slot that is worn out, whichever and however, fails the update and nothing else: the old image runs.
func TestUpdateOverBadSectors(t *testing.T) {
	file := build(t, 0x1381, 3*flash.SectorSize)
	second := 0x45000 / flash.SectorSize
	for _, bad := range []flash.Badness{flash.FailErase, flash.FailProgram, flash.KeepErase, flash.KeepProgram} {
		for i := range 4 {
			mem := content(t)
			for at := 0x45000; at < flash.Size4M; at++ {
				mem[at] = byte(at) &^ 0x55 // an old image
			}
			n := plugged(t, &flash.BadSectors{Storage: mem, Bad: map[int]flash.Badness{second + i: bad}}, file)
			want := hif.UpdateFailed
			if i == 3 {
				want = hif.UpdateOK // the image does not go so far
			}
			if e := n.update(imageURL); e.Status != want {
				t.Errorf("sector %d, %d: %v, %v", i, bad, e.Status, e.Err)
			}
			if v, err := boots(n.f); err != nil || v != 0x1377 {
				t.Errorf("sector %d, %d: %v runs, %v", i, bad, v, err)
			}
			if e := n.act(func() { n.u.Switch(n.now) }); (e.Status == hif.UpdateOK) != (i == 3) {
				t.Errorf("sector %d, %d: switch %v", i, bad, e.Status)
			}
		}
	}
}
