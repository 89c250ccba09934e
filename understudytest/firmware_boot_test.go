package understudytest_test

// What the device boots, as a host sees it: dead flashes, and new firmware on
// trial.

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/device"
	"github.com/understudy-net/understudy/device/flash"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/understudytest"
)

// freshFlash is the flash of a new device.
func freshFlash(t *testing.T) *flash.Flash {
	t.Helper()
	base, err := device.WINC1500().FlashFormat().Base()
	if err != nil {
		t.Fatal(err)
	}
	return base.New()
}

// A chip with nothing to start answers on its bus and never gets ready: the host is told so, and where to look; and it can mend the
// flash.
func TestDeadFlashIsABootFailure(t *testing.T) {
	for name, kill := range map[string]func(f *flash.Flash) error{
		"no image":           func(f *flash.Flash) error { return f.Erase(0xa000) },
		"image damaged":      func(f *flash.Flash) error { return f.Program(0xa000+20, make([]byte, 10)) },
		"no control section": func(f *flash.Flash) error { return errors.Join(f.Erase(0x1000), f.Erase(0x2000)) },
		"other not valid": func(f *flash.Flash) error {
			var b [64]byte
			f.ReadAt(b[:], 0xa000)
			_, err := f.WriteAt(b[:], 0x45000)
			return errors.Join(err, f.Erase(0xa000))
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := freshFlash(t)
			whole := make([]byte, 0x10000)
			if _, err := f.ReadAt(whole, 0); err != nil {
				t.Fatal(err)
			}
			if err := kill(f); err != nil {
				t.Fatal(err)
			}
			b := understudytest.VirtualConfig(t, understudytest.Config{NoBoot: true, Device: device.Config{Flash: f}})
			stalled := b.Run(func() {
				began := b.Now()
				err := b.Boot()
				if !errors.Is(err, driver.ErrDeviceFailure) || !strings.Contains(err.Error(), "the flash may hold no valid image") {
					t.Errorf("boot: %v", err)
				}
				if d := b.Now().Sub(began); d > 30*time.Second {
					t.Errorf("it took %v to find out", d)
				}
				if c, err := b.Driver.Open(); c != nil || !errors.Is(err, driver.ErrNotReady) || !errors.Is(err, driver.ErrDeviceFailure) {
					t.Errorf("Open: %v, %v", c, err)
				}
				b.World.Lock()
				s := b.Device.Snapshot()
				b.World.Unlock()
				if s.Power != "boot ROM" || s.Flash.Err == nil || len(s.Stuck) != 1 || !strings.HasPrefix(s.Stuck[0], "device: flash: no valid ") {
					t.Errorf("%s, %v, stuck %q", s.Power, s.Flash.Err, s.Stuck)
				}
				if err := mend(b, whole); err != nil {
					t.Errorf("mended: %v", err)
				}
			})
			if stalled != nil {
				t.Error(stalled)
			}
		})
	}
}

// mend writes the beginning of the flash anew through the host's driver, and starts.
func mend(b *understudytest.Bench, content []byte) error {
	f, err := b.Driver.OpenFlash()
	if err != nil {
		return err
	}
	raw := f.Region(driver.RegionRaw)
	if err := raw.Erase(0, len(content)/driver.SectorSize); err != nil {
		return err
	}
	if _, err := raw.WriteAt(content, 0); err != nil {
		return err
	}
	if err := errors.Join(f.Close(), b.Driver.Restart()); err != nil {
		return err
	}
	c, err := b.Driver.Open()
	if err != nil {
		return err
	}
	if v, err := c.Firmware(); err != nil || v != oldVersion {
		return fmt.Errorf("%v runs, %v", v, err)
	}
	return nil
}

// New firmware that a host starts and talks to has passed its trial with that: it stays, and so does the way back.
func TestNewFirmwarePassesItsTrial(t *testing.T) {
	c := understudytest.Config{Device: device.Config{Profile: device.Unlimited()}}
	behaveWith(t, c, func(r *rig) {
		r.settled()
		r.serveFile(firmware(t, newVersion, otaSize))
		r.update(otaURL, driver.OTAComplete)
		r.switchImage(driver.OTAComplete)
		for range device.Unlimited().Update.TrialStarts + 2 {
			r.ok("Restart", r.Driver.Restart())
			c, err := r.Driver.Open()
			r.ok("Open", err)
			r.Client = c
			r.versions(newVersion, oldVersion)
		}
		r.attach()
	})
}
