package understudytest_test

// OTA-22: the power goes while the flash is written (spec/driver-api.md 5.14).

import (
	"testing"
	"time"

	"github.com/understudy-net/understudy/device"
	"github.com/understudy-net/understudy/device/flash"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/understudytest"
)

// mains is what a flash is kept in whose power can go at any write, and come back.
// It belongs to the device, and so to the world.
type mains struct {
	flash.Memory
	left int // writes until the power goes; below 0: it stays
	torn int // bytes of the write that come through all the same
	gone bool
}

func (m *mains) ReadAt(p []byte, off int64) (int, error) {
	if m.gone {
		return 0, flash.ErrPowerCut
	}
	return m.Memory.ReadAt(p, off)
}

func (m *mains) WriteAt(p []byte, off int64) (int, error) {
	switch {
	case m.gone:
		return 0, flash.ErrPowerCut
	case m.left == 0:
		m.gone = true
		m.Memory.WriteAt(p[:min(m.torn, len(p))], off)
		return 0, flash.ErrPowerCut
	case m.left > 0:
		m.left--
	}
	return m.Memory.WriteAt(p, off)
}

// fill makes the contents of a new flash, with power for so many writes.
func (m *mains) fill(content []byte, writes, torn int) {
	copy(m.Memory, content)
	m.left, m.torn, m.gone = writes, torn, false
}

// flashContent is what a device has in its flash when it is new.
func flashContent(t *testing.T) []byte {
	t.Helper()
	base, err := flash.Format{}.Base()
	if err != nil {
		t.Fatal(err)
	}
	content := make([]byte, base.New().Size())
	if _, err := base.New().ReadAt(content, 0); err != nil {
		t.Fatal(err)
	}
	return content
}

// The power goes at each write of an update and of the switch after it, before
// or in the middle of it. What is cut is the flash alone: what the chip would say
// with the last of its power is not looked at.
func TestOTA22_PowerCutAtEachWrite(t *testing.T) {
	content := flashContent(t)
	image := firmware(t, newVersion, 6000)
	var m *mains // of the bench that is made next
	inForms(t, func(t *testing.T) understudytest.Config {
		m = &mains{Memory: make(flash.Memory, len(content))}
		m.fill(content, -1, 0)
		f, err := flash.Open(m, int64(len(content)))
		if err != nil {
			t.Fatal(err)
		}
		return understudytest.Config{Device: device.Config{Flash: f}}
	}, func(r *rig) {
		m := m
		r.serveFile(image)
		booted := map[driver.Version]int{}
		for writes := 0; ; writes++ {
			r.locked(func(time.Time) { m.fill(content, writes, writes%2*100) })
			r.Sleep(2 * time.Minute) // the server forgets the ports of connections that it has closed
			r.restart()
			var gone bool
			cut := func() bool { r.locked(func(time.Time) { gone = m.gone }); return gone }
			r.ok("Update", r.Client.Update(otaURL, hear[driver.OTAStatus](r)))
			downloaded := want[driver.OTAStatus](r, none) == driver.OTAComplete
			if downloaded != !cut() {
				r.fatalf("cut at write %d: the download is complete: %v", writes, downloaded)
			}
			if downloaded {
				r.ok("SwitchImage", r.Client.SwitchImage(hear[driver.OTAStatus](r)))
				want[driver.OTAStatus](r, none)
			}
			all := !cut()
			r.locked(func(time.Time) { m.left, m.gone = -1, false })
			r.restart()
			runs, err := r.Client.Firmware()
			r.ok("Firmware", err)
			booted[runs]++
			if runs != oldVersion && (runs != newVersion || !downloaded) || all && runs != newVersion {
				r.fatalf("cut at write %d: %v runs; downloaded %v, switched %v", writes, runs, downloaded, all)
			}
			r.update(otaURL, driver.OTAComplete) // it can be tried again
			if all {
				break
			}
		}
		if booted[oldVersion] < 20 || booted[newVersion] < 2 {
			r.fatalf("what ran after the cuts: %v", booted)
		}
	})
}
