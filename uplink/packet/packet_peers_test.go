//go:build linux

package packet_test

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-net/understudy/internal/peers"
	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/uplink/frames"
	"github.com/understudy-net/understudy/uplink/packet"
	"github.com/understudy-net/understudy/wire"
)

func discard(time.Time, []byte) {}

// pair makes two namespaces with v0 in the first and v1 in the second.
func pair(t *testing.T) (net, dut *peers.Namespace) {
	t.Helper()
	peers.Need(t)
	net, dut = peers.NewNamespace(t), peers.NewNamespace(t)
	peers.Veth(t, net, "v0", peers.KernelAddr, dut, "v1", netip.Prefix{})
	return net, dut
}

func TestErrorsSayWhatToDo(t *testing.T) {
	_, dut := pair(t)
	w := peers.NewWorld(t)
	open := func(name string) error {
		up, err := packet.New(packet.Config{World: w, Output: discard, Interface: name, Namespace: dut.Path()})
		if err == nil {
			up.Close()
		}
		return err
	}
	check := func(what string, err, is error, says string) {
		t.Helper()
		var e *frames.Error
		if !errors.As(err, &e) || is != nil && !errors.Is(err, is) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v\nwant %v, and %q in it", what, err, is, says)
		}
	}
	check("no such interface", open("nosuch"), nil, "see what interfaces there are")
	dut.SetDown("v1")
	check("an interface that is down", open("v1"), syscall.ENETDOWN, "take the interface up")
	dut.SetUp("v1", netip.Prefix{})
	err := dut.Unprivileged(func() error {
		up, err := packet.New(packet.Config{World: w, Output: discard, Interface: "lo"})
		if err == nil {
			up.Close()
		}
		return err
	})
	if !frames.Denied(err) {
		t.Errorf("without rights: %v", err)
	}
	check("without rights", err, nil, "run as root")
}

func TestCloseLeavesNothing(t *testing.T) {
	_, dut := pair(t)
	w := peers.NewWorld(t)
	goroutines := runtime.NumGoroutine()
	up, err := packet.New(packet.Config{World: w, Output: discard, Interface: "v1", Namespace: dut.Path()})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := up.Close(); err != nil {
			t.Error(err)
		}
	}
	up.Input(w.Now(), make([]byte, 60))
	if s := up.Stats(); s.Drops.Closed != 1 {
		t.Errorf("a frame after Close: %+v", s)
	}
	peers.Poll(t, "goroutines to end", nil, func() bool { return runtime.NumGoroutine() <= goroutines })
}

func TestInterfaceThatIsDeletedIsTold(t *testing.T) {
	_, dut := pair(t)
	w := peers.NewWorld(t)
	told := make(chan error, 1)
	up, err := packet.New(packet.Config{World: w, Output: discard, Interface: "v1", Namespace: dut.Path(), Failed: func(err error) { told <- err }})
	if err != nil {
		t.Fatal(err)
	}
	defer up.Close()
	dut.Delete("v1")
	// What is sent says so at the latest.
	peers.Poll(t, "the uplink to tell", nil, func() bool {
		up.Input(w.Now(), make([]byte, 60))
		return len(told) > 0
	})
	if err := <-told; !errors.Is(err, frames.ErrDeviceGone) {
		t.Errorf("told %v", err)
	}
}

func TestInterfaceThatGoesDownAndUpGoesOn(t *testing.T) {
	b := newBench(t)
	b.SetAddr(t)
	b.dut.SetDown("v1")
	b.dut.SetUp("v1", netip.Prefix{})
	peers.Poll(t, "ping to work again", nil, func() bool {
		_, err := b.Net.Ping(t.Context(), peers.KernelAddr.Addr(), stack.PingConfig{Timeout: 100 * time.Millisecond})
		return err == nil
	})
}

// TestOwnHostIsNotHeard: what the interface's own host sends is no concern of the devices; what others send to
// anybody is.
func TestOwnHostIsNotHeard(t *testing.T) {
	net, dut := pair(t)
	w := peers.NewWorld(t)
	// A type of experiments (IEEE 802) marks the frames of this test.
	frame := func(from byte) []byte {
		b := wire.Ethernet{Dst: wire.MAC{2, 9, 9, 9, 9, 9}, Src: wire.MAC{2, 0, 0, 0, 0, from}, Type: 0x88b5}.Append(nil)
		return append(b, make([]byte, 46)...)
	}
	var fromHere, fromThere atomic.Int32
	hear := func(_ time.Time, eth []byte) {
		switch {
		case binary.BigEndian.Uint16(eth[12:]) != 0x88b5:
		case eth[11] == 1:
			fromHere.Add(1)
		default:
			fromThere.Add(1)
		}
	}
	open := func(n *peers.Namespace, name string, output func(time.Time, []byte)) *packet.Uplink {
		up, err := packet.New(packet.Config{World: w, Output: output, Interface: name, Namespace: n.Path()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { up.Close() })
		return up
	}
	open(dut, "v1", hear)
	here := open(dut, "v1", discard) // plays the part of the host: another socket of the same interface
	there := open(net, "v0", discard)
	here.Input(w.Now(), frame(1))
	peers.Poll(t, "the frame to be sent", nil, func() bool { return here.Stats().ToHost == 1 })
	peers.Poll(t, "a frame from the wire", nil, func() bool {
		there.Input(w.Now(), frame(2)) // the kernel may drop some
		return fromThere.Load() > 0
	})
	if n := fromHere.Load(); n != 0 {
		t.Errorf("heard %d frames that its own host sent", n)
	}
}
