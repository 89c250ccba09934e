package device

import (
	"bytes"
	"strings"
	"testing"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
	"github.com/understudy-net/understudy/device/flash"
)

// reboot pulls the reset line and starts the firmware, as a host does.
func (b *bench) reboot() {
	b.t.Helper()
	b.dev.Reset(b.now, true)
	b.dev.Reset(b.now, false)
	b.h = newHost(b)
	b.h.boot()
}

// runs wants these versions to be published: of the image that runs, and of the one that stands by, "" if there is none.
func (b *bench) runs(what, running, standby string) {
	b.t.Helper()
	p, err := hif.ParsePointers(b.h.block(reg.DataMemory|b.h.read(reg.GP2), hif.PointersLen))
	if err != nil {
		b.t.Fatal(err)
	}
	other := ""
	if p.OTARev != 0 {
		rev, _ := hif.ParseRevision(b.h.block(reg.DataMemory|uint32(p.OTARev), hif.RevisionLen))
		other = rev.Firmware.String()
	}
	if v := hif.VersionWord(b.h.read(reg.Rev)).Low().String(); v != running || other != standby {
		b.t.Errorf("%s: %s runs and %q stands by, want %s and %q", what, v, other, running, standby)
	}
}

// switchTo puts an image into the second slot and switches to it.
func (b *bench) switchTo(payload []byte) {
	b.t.Helper()
	f := b.dev.flash.F
	two, _ := f.Region(flash.Firmware2)
	two.WriteAt(payload, 0)
	c, err := f.Control()
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := f.SetControl(c.Switched()); err != nil {
		b.t.Fatal(err)
	}
}

func newerImage(t *testing.T) []byte {
	t.Helper()
	p := WINC1500()
	p.Firmware = hif.MakeVersion(19, 8, 1)
	b, err := flash.MakeImage(p.FlashFormat().Block, []byte("new firmware"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// New firmware that no host gets on with: starts alone prove nothing, and after the last one the old firmware is back.
func TestTrialOfNewFirmwareFallsBack(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Profile = Unlimited() })
	b.switchTo(newerImage(t))
	for range b.dev.profile.Update.TrialStarts {
		b.reboot()
		b.runs("on trial", "19.8.1", "19.7.7")
		if s := b.dev.Snapshot(); !s.Flash.Trial || !strings.Contains(strings.Join(s.Stuck, "\n"), "on trial") {
			t.Errorf("%+v, stuck %q", s.Flash, s.Stuck)
		}
	}
	b.reboot()
	b.runs("after the trial", "19.7.7", "")
	b.reboot()
	b.runs("for good", "19.7.7", "")
}

// The first message of a host that arrives whole is the proof.
func TestTrialOfNewFirmwareIsPassed(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Profile = Unlimited() })
	b.switchTo(newerImage(t))
	b.reboot()
	send(b.h, hif.OpGetRSSI, hif.None{})
	await(b.h, 0, hif.OpRSSI, hif.ParseRSSI)
	if s := b.dev.Snapshot(); s.Flash.Trial {
		t.Errorf("%+v", s.Flash)
	}
	for range 6 {
		b.reboot()
		b.runs("proven", "19.8.1", "19.7.7")
	}
}

// The real part believes every image.
func TestNoTrialInTheOrdinaryProfile(t *testing.T) {
	b := newBench(t)
	b.switchTo(newerImage(t))
	for range 6 {
		b.reboot()
		b.runs("believed", "19.8.1", "19.7.7")
	}
	for _, n := range []int{-1, 256} {
		p := WINC1500()
		p.Update.TrialStarts = n
		if p.check() == nil {
			t.Errorf("%d starts were taken", n)
		}
	}
}

// What foreign firmware is said to be: what the profile says of it, or the control section, or the profile's own version. Images of
// ours say it themselves.
func TestVersionsOfForeignFirmware(t *testing.T) {
	foreign := bytes.Repeat([]byte("somebody else's "), 100)
	b := newBench(t)
	b.switchTo(foreign)
	b.reboot()
	b.runs("nothing known", "19.7.7", "19.7.7")
	c, _ := b.dev.flash.F.Control()
	c.Working.Version = 0x13301361
	b.dev.flash.F.SetControl(c)
	b.reboot()
	b.runs("control section", "19.6.1", "19.7.7")
	b.dev.profile.Update.ForeignVersion = hif.MakeVersion(19, 9, 2)
	b.reboot()
	b.runs("profile", "19.9.2", "19.7.7")
	b.dev.flash.F.SetControl(c.Switched())
	b.reboot()
	b.runs("switched back", "19.7.7", "19.9.2")
}

// A worn out copy of the control section keeps nobody from starting.
func TestDeviceStartsFromOneCopyOfTheControlSection(t *testing.T) {
	base, err := WINC1500().FlashFormat().Base()
	if err != nil {
		t.Fatal(err)
	}
	content := make(flash.Memory, flash.Size8M)
	base.New().ReadAt(content, 0)
	for sector := 1; sector <= 2; sector++ {
		mem := bytes.Clone(content)
		clear(mem[sector*flash.SectorSize : sector*flash.SectorSize+64])
		f, err := flash.Open(&flash.BadSectors{
			Storage: flash.Memory(mem), Bad: map[int]flash.Badness{sector: flash.FailErase | flash.FailProgram},
		}, flash.Size8M)
		if err != nil {
			t.Fatal(err)
		}
		b := newBench(t, func(c *Config) { c.Flash = f })
		b.h.boot()
		b.runs("one copy", "19.7.7", "")
	}
}

// What a device without trials did, or a host that wrote the control section itself, is no reason to have no trial ever again: an image
// that a host has got on with is confirmed, on trial or not.
func TestTrialsBeginAgain(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Profile = Unlimited() })
	f := b.dev.flash.F
	c, err := f.Control()
	if err != nil {
		t.Fatal(err)
	}
	c.Confirmed = 0
	if _, err := f.SetControl(c); err != nil {
		t.Fatal(err)
	}
	b.reboot()
	send(b.h, hif.OpGetRSSI, hif.None{})
	await(b.h, 0, hif.OpRSSI, hif.ParseRSSI)
	b.switchTo(newerImage(t))
	for range b.dev.profile.Update.TrialStarts {
		b.reboot()
		if s := b.dev.Snapshot(); !s.Flash.Trial {
			t.Errorf("no trial: %+v", s.Flash)
		}
	}
	b.reboot()
	b.runs("after the trial", "19.7.7", "")
}
