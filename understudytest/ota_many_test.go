package understudytest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/understudy-net/understudy/device"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/driver/hostnet"
	"github.com/understudy-net/understudy/understudytest"
	"github.com/understudy-net/understudy/wire"
	"github.com/understudy-net/understudy/world"
)

// crowd is one of many devices on a bench, with its host.
type crowd struct {
	dev *device.Device
	drv *driver.Driver
	net *hostnet.Net
	err error
	end bool
}

// join adds a device and its host to the bench, which do something as an actor.
func (m *crowd) join(b *understudytest.Bench, n int, do func(m *crowd) error) error {
	var slot *world.Slot
	b.World.Lock()
	d, err := device.New(device.Config{
		MAC: wire.MAC{2, 0x64, 0, 0, 0, byte(n)}, Rand: rand.NewPCG(b.Seed, uint64(n)), Air: b.Air,
		Touch: func() { slot.Touch() },
	})
	if err == nil {
		slot = b.World.Add(d)
	}
	b.World.Unlock()
	if err != nil {
		return err
	}
	w := hostnet.InWorld(b.World)
	m.dev = d
	m.drv = driver.New(d.Port(b.World, slot.Touch), driver.Config{
		Now: w.Now, Sleep: w.Sleep, Lock: w.Lock, Idle: w.Idle, Wake: w.Wake, OnIRQ: w.OnIRQ,
	})
	m.net = hostnet.New(m.drv, hostnet.Config{Rand: rand.NewPCG(b.Seed, uint64(1000+n)), World: b.World})
	b.Go(func() {
		m.err, m.end = do(m), true
		m.drv.Close()
	})
	return nil
}

// updated joins a network, updates, switches, and starts the new firmware.
func (m *crowd) updated(b *understudytest.Bench, at driver.BSS) error {
	ctx := context.Background()
	for _, step := range []func() error{
		func() error { return m.net.Ready(ctx) },
		func() error { return m.net.Join(ctx, at, b.Auth()) },
		func() error { return m.net.Update(ctx, otaURL, nil) },
		func() error { return m.net.SwitchImage(ctx) },
		m.drv.Restart,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	c, err := m.net.Client()
	if err != nil {
		return err
	}
	if v, err := c.Firmware(); err != nil || v != newVersion {
		return fmt.Errorf("%v runs, %v", v, err)
	}
	return nil
}

// A hundred devices update at once, from one server, in one process: a full slot each.
func TestHundredDevicesUpdateAtOnce(t *testing.T) {
	const devices = 100
	b := understudytest.VirtualConfig(t, understudytest.Config{NoBoot: true})
	body := firmware(t, newVersion, fullSlot)
	s := &otaServer{Host: b.AddHost("ota.test")}
	most := 0
	err := s.HandleTCP(80, func(c net.Conn) {
		s.serve(c, func(c net.Conn, _ int, _ *http.Request) {
			most = max(most, s.open)
			file(c, body)
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	second := wire.MAC{0x02, 0x61, 0x70, 0, 0, 2} // an access point has room for 64
	b.AddAP(second, 11)
	all := make([]crowd, devices)
	begin, wall := b.Now(), time.Now()
	for i := range all {
		at := driver.BSS{SSID: understudytest.SSID, BSSID: driver.MAC(understudytest.BSSID)}
		if i%2 == 1 {
			at.BSSID = driver.MAC(second)
		}
		if err := all[i].join(b, i+1, func(m *crowd) error { return m.updated(b, at) }); err != nil {
			t.Fatal(err)
		}
	}
	stalled := b.Run(func() {
		for i := range all {
			for !all[i].end && b.Now().Sub(begin) < time.Hour {
				b.Sleep(100 * time.Millisecond)
			}
		}
	})
	if stalled != nil {
		t.Fatal(stalled)
	}
	for i := range all {
		if all[i].err != nil || !all[i].end {
			t.Errorf("device %d: %v, ended: %v", i+1, all[i].err, all[i].end)
		}
	}
	if len(s.asked) != devices {
		t.Errorf("%d requests", len(s.asked))
	}
	t.Logf("%d devices, %d at a time, in %v of theirs and %v of ours", devices, most, b.Now().Sub(begin), time.Since(wall).Round(time.Millisecond))
}
