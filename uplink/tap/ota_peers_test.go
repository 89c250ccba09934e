//go:build linux

package tap_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/device"
	"github.com/understudy-net/understudy/device/flash"
	"github.com/understudy-net/understudy/device/image"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/driver/hostnet"
	"github.com/understudy-net/understudy/internal/peers"
	"github.com/understudy-net/understudy/wire"
	"github.com/understudy-net/understudy/world"
)

// An updated is a device with its host, whose way to the kernel is an access point with a TAP device; and an nginx there.
type updated struct {
	*bench
	t     *testing.T
	rng   *rand.Rand
	dev   *device.Device
	flash *flash.Flash
	drv   *driver.Driver
	net   *hostnet.Net
	nginx *peers.Process
	conf  string
	dir   string
	files [2][]byte // of two versions
	which int       // that the server has
}

var deviceMAC = wire.MAC{0x02, 0x64, 0, 0, 0, 7}

const updateURL = "http://10.77.0.1/slow"

func newUpdated(t *testing.T, seed uint64) *updated {
	t.Helper()
	u := &updated{bench: newAir(t), t: t, rng: rand.New(rand.NewPCG(seed, 0))}
	base, err := device.WINC1500().FlashFormat().Base()
	if err != nil {
		t.Fatal(err)
	}
	u.flash = base.New()
	var slot *world.Slot
	u.World.Lock()
	u.dev, err = device.New(device.Config{
		MAC: deviceMAC, Rand: rand.NewPCG(seed, 1), Air: u.air, Flash: u.flash, Touch: func() { slot.Touch() },
	})
	if err == nil {
		slot = u.World.Add(u.dev)
	}
	u.World.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	u.drv = driver.New(u.dev.Port(u.World, slot.Touch), driver.Config{})
	u.net = hostnet.New(u.drv, hostnet.Config{Rand: rand.NewPCG(seed, 2)})
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() { u.drv.Run(ctx) })
	t.Cleanup(func() { cancel(); run.Wait() })
	u.join()
	for i, v := range []image.Version{0x1381, 0x1382} {
		if u.files[i], err = image.Build(image.Spec{Version: v, Size: image.SlotSize}); err != nil {
			t.Fatal(err)
		}
	}
	u.conf, u.dir = peers.Config(t, "nginx.conf", fmt.Sprintf(`
daemon off; master_process off; pid DIR/pid; error_log stderr; user root;
events { worker_connections 64; }
http {
 access_log off; client_body_temp_path DIR/b; proxy_temp_path DIR/p; fastcgi_temp_path DIR/f; uwsgi_temp_path DIR/u; scgi_temp_path DIR/s;
 server { listen %v:80; root DIR; sendfile_max_chunk 16k; limit_rate 3m; }
}`, peers.KernelAddr.Addr()))
	u.publish(0)
	u.serve()
	return u
}

// join brings the device into the network, with a static address.
func (u *updated) join() {
	u.t.Helper()
	ctx, cancel := context.WithTimeout(u.t.Context(), 20*time.Second)
	defer cancel()
	if err := u.net.Ready(ctx); err != nil {
		u.t.Fatal(err)
	}
	c, err := u.net.Client()
	if err == nil {
		err = c.SetAddr(netip.MustParsePrefix("10.77.0.3/24"))
	}
	for range 5 { // a beacon may be missed
		if err == nil || errors.Is(err, driver.ErrConnected) {
			err = u.net.Join(ctx, driver.BSS{SSID: joinParams.SSID}, driver.WPA(joinParams.Passphrase))
		}
		if err == nil {
			return
		}
		err = nil
	}
	u.t.Fatalf("the device has not joined: %v", err)
}

// publish makes the server have one of the two versions: a new file under the old name.
func (u *updated) publish(i int) {
	u.t.Helper()
	u.which = i
	part := filepath.Join(u.dir, "part")
	err := os.WriteFile(part, u.files[i], 0o644)
	if err == nil {
		err = os.Rename(part, filepath.Join(u.dir, "slow"))
	}
	if err != nil {
		u.t.Fatal(err)
	}
}

func (u *updated) serve() {
	u.t.Helper()
	u.nginx = u.Start("nginx", "-c", u.conf, "-e", filepath.Join(u.dir, "errors"), "-p", u.dir)
	u.WaitListen("tcp", 80, u.nginx)
}

// radio sets the link between device and access point.
func (u *updated) radio(l air.Link) {
	u.World.Lock()
	defer u.World.Unlock()
	u.air.SetLink(apMAC, deviceMAC, l)
	u.air.SetLink(deviceMAC, apMAC, l)
}

// look is what the updater does, and what the flash holds.
func (u *updated) look() (device.UpdateState, flash.Booted, error) {
	u.World.Lock()
	defer u.World.Unlock()
	b, err := u.flash.Look()
	return u.dev.Snapshot().Update, b, err
}

// stored waits until a part of the file has come, or the download is over, which was to be one more than jobs.
func (u *updated) stored(n int64, jobs int) {
	for {
		if s, _, _ := u.look(); s.Job != "none" && s.Stored >= n || s.Jobs != jobs {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// fault is what happens during an update. It returns the verdicts that are right then.
type fault struct {
	often int // in how many of all
	name  string
	do    func(u *updated, ctx context.CancelFunc) []driver.OTAStatus
}

var done = []driver.OTAStatus{driver.OTAComplete}

var faults = []fault{
	{3, "nothing", func(u *updated, _ context.CancelFunc) []driver.OTAStatus { return done }},
	{2, "the server is killed and starts again", func(u *updated, _ context.CancelFunc) []driver.OTAStatus {
		u.nginx.Stop()
		u.serve()
		return done
	}},
	{2, "the server starts again with another file", func(u *updated, _ context.CancelFunc) []driver.OTAStatus {
		u.nginx.Stop()
		u.publish(1 - u.which)
		u.serve()
		return done
	}},
	{3, "the server stands still", func(u *updated, _ context.CancelFunc) []driver.OTAStatus {
		u.nginx.Signal(syscall.SIGSTOP)
		time.Sleep(time.Duration(u.rng.IntN(300)) * time.Millisecond)
		u.nginx.Signal(syscall.SIGCONT)
		return done
	}},
	{3, "the radio is silent for a while", func(u *updated, _ context.CancelFunc) []driver.OTAStatus {
		u.radio(air.Link{Down: true})
		time.Sleep(time.Duration(20+u.rng.IntN(200)) * time.Millisecond)
		u.radio(air.Link{})
		return done
	}},
	{3, "the radio loses, doubles, mixes up and spoils", func(u *updated, _ context.CancelFunc) []driver.OTAStatus {
		u.radio(air.Link{Loss: 0.05, Duplicate: 0.05, Reorder: 0.05, Corrupt: 0.02})
		time.Sleep(300 * time.Millisecond)
		u.radio(air.Link{})
		return done
	}},
	{3, "the host aborts", func(u *updated, abort context.CancelFunc) []driver.OTAStatus {
		abort()
		return []driver.OTAStatus{driver.OTAComplete, driver.OTAAborted}
	}},
	{1, "the network is lost", func(u *updated, _ context.CancelFunc) []driver.OTAStatus {
		u.radio(air.Link{Down: true})
		return []driver.OTAStatus{driver.OTAComplete, driver.OTAConnError}
	}},
	{1, "the chip is reset", func(u *updated, _ context.CancelFunc) []driver.OTAStatus {
		u.drv.Restart()
		return []driver.OTAStatus{driver.OTAComplete, driver.OTAFail}
	}},
}

// pick draws a fault.
func (u *updated) pick() fault {
	all := 0
	for _, f := range faults {
		all += f.often
	}
	n := u.rng.IntN(all)
	for _, f := range faults {
		if n -= f.often; n < 0 {
			return f
		}
	}
	panic("unreachable")
}

// round is one update with one fault, somewhere in the middle; it returns whether it succeeded.
func (u *updated) round(f fault) bool {
	u.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	update, abort := context.WithCancel(ctx)
	defer abort()
	before, _, _ := u.look()
	verdict := make(chan error, 1)
	go func() { verdict <- u.net.Update(update, updateURL, nil) }()
	u.stored(int64(1+u.rng.IntN(image.SlotSize)), before.Jobs)
	right := f.do(u, abort)
	err := <-verdict
	var s driver.OTAStatus
	if err != nil && !errors.As(err, &s) && update.Err() == nil && !strings.Contains(f.name, "reset") {
		u.t.Fatalf("%s: %v", f.name, err)
	}
	if f.name == "the host aborts" && err != nil {
		s = driver.OTAAborted
	}
	if f.name == "the chip is reset" && err != nil {
		s = driver.OTAFail
	}
	ok := false
	for _, r := range right {
		ok = ok || r == s
	}
	state, b, bad := u.look()
	if !ok {
		u.t.Fatalf("%s: %v, %v; %+v", f.name, s, err, state)
	}
	u.radio(air.Link{})
	if c, err := u.net.Client(); err != nil || !c.LinkUp() {
		u.join()
	}
	if bad != nil || b.Backup != nil || (b.Other.Offset != 0) != (s == driver.OTAComplete) {
		u.t.Fatalf("%s: %v; the flash: %+v, %v", f.name, s, b, bad)
	}
	return s == driver.OTAComplete
}

// 100 updates in a row from a real server, with random faults: each ends as it should, none leaves anything but the image that
// runs and a whole new one, or none.
func TestUpdatesFromNginxWithFaults(t *testing.T) {
	peers.Need(t, "nginx")
	if testing.Short() {
		t.Skip("takes a minute")
	}
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	u := newUpdated(t, seed)
	count := map[string]int{}
	complete := 0
	for i := range 100 {
		f := u.pick()
		count[f.name]++
		if !u.round(f) {
			continue
		}
		complete++
		if i%10 != 0 {
			continue
		}
		want := u.files[u.which]
		if err := u.net.SwitchImage(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := u.drv.Restart(); err != nil {
			t.Fatal(err)
		}
		u.join()
		h, _ := image.Parse(want)
		c, err := u.net.Client()
		if err != nil {
			t.Fatal(err)
		}
		if v, _ := c.Firmware(); uint16(v) != uint16(h.Head.Version()) {
			t.Fatalf("%v runs, want %v", v, h.Head.Version())
		}
	}
	t.Logf("%d of 100 complete; %v", complete, count)
}
