package understudytest_test

// What the device boots, as a host sees it: dead flashes, new firmware on trial,
// and cuts of power through the whole machine. All cuts of all operations of the
// flash are shown in package ota, where they cost less.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
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

// Power cut anywhere in an update and a switch, through driver, bus, device and air: the next device with that flash boots, and its
// host can update it. A sample, drawn from a seed.
func TestOTA22_PowerCutsThroughTheWholeMachine(t *testing.T) {
	const seed = 6
	r := rand.New(rand.NewPCG(seed, 0))
	content := make(flash.Memory, flash.Size8M)
	if _, err := freshFlash(t).ReadAt(content, 0); err != nil {
		t.Fatal(err)
	}
	first, second := firmware(t, newVersion, 20_000), firmware(t, newVersion+1, 20_000)
	whole := &flash.PowerCut{Storage: flash.Memory(bytes.Clone(content)), Writes: -1}
	if got := life(t, whole, first); got != newVersion {
		t.Fatalf("without a cut: %v", got)
	}
	ran := map[driver.Version]int{}
	for i := range 16 {
		mem := flash.Memory(bytes.Clone(content))
		cut := &flash.PowerCut{Storage: mem, Writes: r.IntN(whole.Done), Torn: r.IntN(flash.SectorSize)}
		if i%4 == 0 { // in the switch, which is short
			cut.Writes = whole.Done - 1 - r.IntN(10)
		}
		if i%2 == 0 {
			cut.Bits = rand.NewPCG(seed, uint64(i))
		}
		life(t, cut, first)
		if !cut.Gone() {
			t.Fatalf("seed %d, cut %d: the power did not go", seed, i)
		}
		f, err := flash.Open(mem, flash.Size8M)
		if err != nil {
			t.Fatalf("seed %d, cut %d: %v", seed, i, err)
		}
		b, err := f.Look()
		if err != nil {
			t.Fatalf("seed %d, cut %d: %v", seed, i, err)
		}
		ran[driver.Version(b.Running.Version)]++
		if got := life(t, mem, second); got != newVersion+1 {
			t.Errorf("seed %d, cut %d after %d of %d writes: afterwards %v ran", seed, i, cut.Writes, whole.Done, got)
		}
	}
	if ran[oldVersion] == 0 || ran[newVersion] == 0 || len(ran) != 2 {
		t.Errorf("after the cuts ran %v", ran)
	}
}

// life is that of a device with this flash until its power goes: it boots, joins, updates, switches and boots again. It returns what
// ran at the end, 0 if it did not come to that.
func life(t *testing.T, s flash.Storage, file_ []byte) (runs driver.Version) {
	t.Helper()
	f, err := flash.Open(s, flash.Size8M)
	if err != nil {
		t.Fatal(err)
	}
	b := understudytest.VirtualConfig(t, understudytest.Config{Seed: 1, Device: device.Config{Flash: f}})
	server := &otaServer{Host: b.AddHost("ota.test")}
	err = server.HandleTCP(80, func(c net.Conn) {
		server.serve(c, func(c net.Conn, _ int, _ *http.Request) { file(c, file_) })
	})
	if err != nil {
		t.Fatal(err)
	}
	stalled := b.Run(func() {
		ctx := context.Background()
		for _, step := range []func() error{
			b.Join,
			func() error { return b.Net.Update(ctx, otaURL, nil) },
			func() error { return b.Net.SwitchImage(ctx) },
			b.Driver.Restart,
		} {
			if step() != nil {
				return
			}
		}
		c, err := b.Net.Client()
		if err == nil {
			runs, _ = c.Firmware()
		}
	})
	if stalled != nil {
		t.Error(stalled)
	}
	b.Close()
	return runs
}
