package understudytest_test

// LIF, the part about the exclusive user (spec/driver-api.md 5.1).

import (
	"bytes"
	"context"
	"net"
	"testing"
	"time"

	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/understudytest"
)

func TestLIF05_ExclusiveOpenBesideASharedHandleFails(t *testing.T) {
	behave(t, func(r *rig) {
		f, err := r.Driver.OpenFlash()
		r.refused("OpenFlash beside a client", err, driver.ErrInUse)
		if f != nil || !r.Client.LinkUp() {
			r.fatalf("the refusal gave %v, link up %v", f, r.Client.LinkUp())
		}
		r.ok("Close", r.Client.Close())
		f, err = r.Driver.OpenFlash()
		r.ok("OpenFlash after it", err)
		c, err := r.Driver.Open()
		r.refused("Open beside the flash", err, driver.ErrInUse)
		if c != nil {
			r.fatalf("a client with the error")
		}
		again, err := r.Driver.OpenFlash()
		r.ok("second OpenFlash", err)
		if again != f {
			r.fatalf("two handles of one flash")
		}
	})
}

func TestLIF08_FlashWantsAnExclusiveHandle(t *testing.T) {
	behaveWith(t, understudytest.Config{}, func(r *rig) {
		// A shared handle has no calls of the flash at all; what comes nearest is
		// a flash handle whose exclusive use has ended.
		r.ok("Close of the client", r.Client.Close())
		f, err := r.Driver.OpenFlash()
		r.ok("OpenFlash", err)
		head := make([]byte, 4)
		ctl := f.Region(driver.RegionRaw)
		_, err = ctl.ReadAt(head, 0x1000)
		r.ok("ReadAt", err)
		if !bytes.Equal(head, []byte{0xf9, 0xde, 0xbc, 0x1a}) {
			r.fatalf("the control section begins with % x", head)
		}
		r.ok("Close of the flash", f.Close())

		notReady := func(when string) {
			r.t.Helper()
			_, err := ctl.ReadAt(head, 0)
			r.refused("ReadAt "+when, err, driver.ErrNotOpen)
			_, err = ctl.WriteAt(head, 0)
			r.refused("WriteAt "+when, err, driver.ErrNotOpen)
			r.refused("Erase "+when, ctl.Erase(0, 1), driver.ErrNotOpen)
			r.refused("Close "+when, f.Close(), driver.ErrNotOpen)
		}
		notReady("after Close")
		_, err = r.Driver.Open()
		r.refused("Open before Restart", err, driver.ErrNotReady)
		_, err = r.Driver.OpenFlash()
		r.refused("OpenFlash before Restart", err, driver.ErrNotReady)
		r.ok("Tasks", r.Driver.Tasks())

		r.ok("Restart", r.Driver.Restart())
		c, err := r.Driver.Open()
		r.ok("Open", err)
		r.Client = c
		r.attach()
		notReady("on a shared driver")
		r.ok("Join", r.Join())
		r.Sleep(patience)
		peer := r.AddHost("peer.test")
		s, conn := r.dial(peer, 80)
		r.send(s, []byte("as before"))
		r.peerReads(conn, []byte("as before"))
		r.close(s)
	})
}

// The Net above hears that its driver is used otherwise, and goes on after a
// Restart.
func TestNetWhileTheFlashIsOpen(t *testing.T) {
	behave(t, func(r *rig) {
		r.ok("Close of the client", r.Client.Close())
		f, err := r.Driver.OpenFlash()
		r.ok("OpenFlash", err)
		if _, err := r.Net.Client(); err == nil {
			r.fatalf("a client beside the flash")
		}
		r.ok("Close of the flash", f.Close())
		if _, err := r.Net.Client(); err == nil {
			r.fatalf("a client of a chip that stands")
		}
		r.ok("Restart", r.Driver.Restart())
		c, err := r.Net.Client()
		r.ok("Client", err)
		r.Client = c
		r.attach()
		r.ok("Join", r.Join())
		r.AddHost("peer.test").HandleTCP(80, func(c net.Conn) { c.Write([]byte("x")) })
		conn, err := r.Net.DialContext(context.Background(), "tcp", "peer.test:80")
		r.ok("Dial", err)
		conn.SetDeadline(r.Now().Add(time.Minute))
		_, err = conn.Read(make([]byte, 1))
		r.ok("Read", err)
		conn.Close()
	})
}
