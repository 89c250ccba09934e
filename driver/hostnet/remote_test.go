package hostnet_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/remote"
	"github.com/understudy-net/understudy/device"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/driver/hostnet"
	"github.com/understudy-net/understudy/understudytest"
	"github.com/understudy-net/understudy/wire"
	"github.com/understudy-net/understudy/world"
)

// remoteNet is a Net whose bus goes through a Unix socket to a device of its own
// on the air of b.
func remoteNet(t *testing.T, b *understudytest.Bench) (n *hostnet.Net, cut func()) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "bus"))
	if err != nil {
		t.Fatal(err)
	}
	var slot *world.Slot
	dev, err := device.New(device.Config{
		MAC: wire.MAC{2, 1, 1, 1, 1, 1}, Rand: rand.NewPCG(1, 2), Air: b.Air, Touch: func() { slot.Touch() },
	})
	if err != nil {
		t.Fatal(err)
	}
	b.World.Lock()
	slot = b.World.Add(dev)
	b.World.Unlock()
	serving, cancel := context.WithCancel(bg)
	served := make(chan error, 1)
	go func() { served <- remote.Serve(serving, l, dev.Port(b.World, slot.Touch)) }()
	port, err := remote.Dial(bg, "unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	d := driver.New(port, driver.Config{ResetHold: time.Millisecond, ResetSettle: time.Millisecond})
	running, stop := context.WithCancel(bg)
	ended := make(chan error, 1)
	go func() { ended <- d.Run(running) }()
	t.Cleanup(func() {
		stop()
		<-ended
		port.Close()
		cancel()
		<-served
	})
	return hostnet.New(d, hostnet.Config{}), cancel
}

func TestOverARemoteBus(t *testing.T) {
	b := understudytest.NewConfig(t, understudytest.Config{NoBoot: true, Delay: 1})
	n, cut := remoteNet(t, b)
	if err := n.Join(bg, b.BSS(), b.Auth()); err != nil {
		t.Fatal(err)
	}
	h := b.AddHost("peer.test")
	h.HandleTCP(7, echo)
	c, err := n.DialContext(bg, "tcp", "peer.test:7")
	if err != nil {
		t.Fatal(err)
	}
	want := noise(300_000)
	go c.Write(want)
	got := make([]byte, len(want))
	start := time.Now()
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
		t.Error("echo differs: ", err)
	}
	t.Logf("%.1f MB/s each way", float64(len(want))/time.Since(start).Seconds()/1e6)

	// The device goes away in the middle of a call.
	failed := make(chan error, 1)
	go func() {
		_, err := c.Read(got)
		failed <- err
	}()
	cut()
	select {
	case err := <-failed:
		if err == nil || errors.Is(err, io.EOF) {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Read hangs on a device that is gone")
	}
	if err := n.Driver().Err(); !errors.Is(err, driver.ErrDeviceFailure) {
		t.Error(err)
	}
	if _, err := n.DialContext(bg, "tcp", "peer.test:7"); err == nil {
		t.Error("dialled on a device that is gone")
	}
	c.Close()
}
