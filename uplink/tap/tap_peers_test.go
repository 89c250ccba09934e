//go:build linux

package tap_test

import (
	"bytes"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-net/understudy/internal/peers"
	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/uplink/frames"
	"github.com/understudy-net/understudy/uplink/tap"
	"github.com/understudy-net/understudy/wire"
)

func discard(time.Time, []byte) {}

func TestDeviceIsSetUpAndGoesAway(t *testing.T) {
	peers.Need(t)
	n, w := peers.NewNamespace(t), peers.NewWorld(t)
	goroutines := runtime.NumGoroutine()
	mac := wire.MAC{2, 3, 4, 5, 6, 7}
	addrs := []netip.Prefix{peers.KernelAddr, netip.MustParsePrefix("10.78.0.1/16")}
	up, err := tap.New(tap.Config{World: w, Output: discard, Namespace: n.Path(), Name: "un%d", MAC: mac, Addrs: addrs, MTU: 1400})
	if err != nil {
		t.Fatal(err)
	}
	if up.Name() != "un0" {
		t.Errorf("the name is %q, want un0", up.Name())
	}
	find := func() (*net.Interface, error) {
		return peers.Do2(n, func() (*net.Interface, error) { return net.InterfaceByName("un0") })
	}
	i, err := find()
	if err != nil {
		t.Fatal(err)
	}
	if i.MTU != 1400 || !bytes.Equal(i.HardwareAddr, mac[:]) || i.Flags&net.FlagUp == 0 {
		t.Errorf("MTU %d, MAC %v, flags %v", i.MTU, i.HardwareAddr, i.Flags)
	}
	has, err := peers.Do2(n, i.Addrs)
	if err != nil || len(has) != 2 || has[0].String() != addrs[0].String() || has[1].String() != addrs[1].String() {
		t.Errorf("addresses %v, %v", has, err)
	}
	if err := up.Close(); err != nil {
		t.Error(err)
	}
	if err := up.Close(); err != nil {
		t.Errorf("the second time: %v", err)
	}
	if _, err := find(); err == nil {
		t.Error("the device is still there")
	}
	up.Input(w.Now(), make([]byte, 60))
	if s := up.Stats(); s.Drops.Closed != 1 {
		t.Errorf("a frame after Close: %+v", s)
	}
	peers.Poll(t, "goroutines to end", nil, func() bool { return runtime.NumGoroutine() <= goroutines })
}

func TestErrorsSayWhatToDo(t *testing.T) {
	peers.Need(t)
	n, w := peers.NewNamespace(t), peers.NewWorld(t)
	first, err := tap.New(tap.Config{World: w, Output: discard, Namespace: n.Path(), Name: "tap0"})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	for _, c := range []struct {
		name   string
		change func(*tap.Config)
		is     error
		says   string
	}{
		{"taken", func(c *tap.Config) { c.Name = "tap0" }, syscall.EBUSY, "another process has it open"},
		{"no TAP device", func(c *tap.Config) { c.Name = "lo" }, syscall.EINVAL, "no TAP device"},
		{"long name", func(c *tap.Config) { c.Name = strings.Repeat("x", 16) }, syscall.EINVAL, "1 to 15 characters"},
		{"bad MAC", func(c *tap.Config) { c.MAC = wire.Broadcast }, syscall.EADDRNOTAVAIL, "MAC ff:ff:ff:ff:ff:ff"},
		{"no namespace", func(c *tap.Config) { c.Namespace = "understudy-has-no-such" }, fs.ErrNotExist, "ip netns add understudy-has-no-such"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conf := tap.Config{World: w, Output: discard, Namespace: n.Path()}
			c.change(&conf)
			up, err := tap.New(conf)
			if err == nil {
				up.Close()
				t.Fatal("no error")
			}
			var e *frames.Error
			if !errors.As(err, &e) || !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v\nwant %v, and %q in it", err, c.is, c.says)
			}
		})
	}
}

// TestWithoutRights has a thread that gave up its rights open a device.
func TestWithoutRights(t *testing.T) {
	peers.Need(t)
	n, w := peers.NewNamespace(t), peers.NewWorld(t)
	err := n.Unprivileged(func() error {
		up, err := tap.New(tap.Config{World: w, Output: discard, Name: "tap7"})
		if err == nil {
			up.Close()
		}
		return err
	})
	if !frames.Denied(err) || !strings.Contains(err.Error(), "ip tuntap add dev tap7 mode tap user") {
		t.Errorf("%v", err)
	}
}

func TestDeviceThatIsDeletedIsTold(t *testing.T) {
	peers.Need(t)
	n, w := peers.NewNamespace(t), peers.NewWorld(t)
	told := make(chan error, 1)
	up, err := tap.New(tap.Config{World: w, Output: discard, Namespace: n.Path(), Name: "tap0", Failed: func(err error) { told <- err }})
	if err != nil {
		t.Fatal(err)
	}
	defer up.Close()
	n.Delete("tap0")
	select {
	case err := <-told:
		if !errors.Is(err, frames.ErrDeviceGone) {
			t.Errorf("told %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("not told")
	}
}

// TestFramesOfAnyLengthPassBothWays sends frames to the kernel that it sends back.
func TestFramesOfAnyLengthPassBothWays(t *testing.T) {
	b := newWire(t)
	b.SetAddr(t)
	for _, size := range []int{1, 32, 1472, 1473, 8000, 65507} {
		r, err := b.Net.Ping(t.Context(), peers.KernelAddr.Addr(), stack.PingConfig{Size: size})
		if err != nil || r.Size != size {
			t.Errorf("ping with %d bytes: %d came back, %v", size, r.Size, err)
		}
	}
	if s := b.up.Stats(); s.Drops.Total() != 0 || s.FromHost == 0 || s.ToHost == 0 {
		t.Errorf("%+v", s)
	}
}

func TestLinkThatIsDownRefuses(t *testing.T) {
	b := newWire(t)
	b.SetAddr(t)
	b.SetDown("tap0")
	b.up.Input(b.World.Now(), make([]byte, 60))
	peers.Poll(t, "a frame to be counted", nil, func() bool { return b.up.Stats().Drops.Refused > 0 })
	b.SetUp("tap0", netip.Prefix{})
	if _, err := b.Net.Ping(t.Context(), peers.KernelAddr.Addr(), stack.PingConfig{}); err != nil {
		t.Errorf("ping when it is up again: %v", err)
	}
}
