package driver_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/driver"
)

// lock is the driver's in these tests: under it the chip can be touched.
type lock chan struct{}

func (l lock) Lock()   { l <- struct{}{} }
func (l lock) Unlock() { <-l }

func (l lock) do(f func()) {
	l.Lock()
	f()
	l.Unlock()
}

// running is a driver that Run pumps, in a bubble.
func running(t *testing.T, f func(b *bench, l lock, cancel func(), ended chan error)) {
	synctest.Test(t, func(t *testing.T) {
		c := newChip(t)
		c.bootTime = 0
		l := make(lock, 1)
		b := &bench{chip: c, d: driver.New(c, driver.Config{Lock: l})}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- b.d.Run(ctx) }()
		time.Sleep(time.Second)
		synctest.Wait()
		var err error
		if b.c, err = b.d.Open(); err != nil {
			t.Fatal(err)
		}
		f(b, l, cancel, ended)
		cancel()
		synctest.Wait()
	})
}

func TestRunUntilCancelled(t *testing.T) {
	running(t, func(b *bench, l lock, cancel func(), ended chan error) {
		wantErr(t, "second Run", b.d.Run(t.Context()), driver.ErrBusy)
		cancel()
		wantErr(t, "Run", <-ended, context.Canceled)
		if b.d.Status() != driver.StateUninitialised {
			t.Error(b.d.Status())
		}
		wantErr(t, "client", b.c.Connect(driver.BSS{SSID: "a"}, driver.OpenAuth, nil), driver.ErrNotOpen)
	})
}

// Start-up holds the driver's lock; Status does not wait for it.
func TestLIF01_StatusDuringStartUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChip(t)
		c.bootTime = 0
		d := driver.New(c, driver.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- d.Run(ctx) }()
		time.Sleep(50 * time.Millisecond)
		start := time.Now()
		_, err := d.Open()
		wantErr(t, "Open", err, driver.ErrNotReady)
		if s := d.Status(); s != driver.StateBusy || !time.Now().Equal(start) {
			t.Error(s, time.Since(start))
		}
		cancel()
		<-ended
	})
}

func TestRunEndsWithClose(t *testing.T) {
	running(t, func(b *bench, l lock, cancel func(), ended chan error) {
		b.d.Close()
		wantErr(t, "Run", <-ended, driver.ErrClosed)
	})
}

func TestRunNoticesALostEdge(t *testing.T) {
	running(t, func(b *bench, l lock, cancel func(), ended chan error) {
		got := b.names()
		check(t, b.c.Resolve("a"))
		l.do(func() {
			b.onIRQ = nil
			b.post(hif.OpDNSResolve, hif.DNSReply{Name: "a"})
		})
		synctest.Wait()
		l.do(func() {
			if b.dones == b.posted {
				t.Error("the message was taken without an edge")
			}
		})
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		wantLines(t, "after Poll", got, "a invalid IP")
	})
}

func TestRunEndsWhenTheDeviceGoesAway(t *testing.T) {
	running(t, func(b *bench, l lock, cancel func(), ended chan error) {
		var e driver.ConnEvent
		check(t, b.c.Connect(driver.BSS{SSID: "net"}, driver.OpenAuth, func(c driver.ConnEvent) { e = c }))
		l.do(func() { b.fault = func() error { return errCable } })
		start := time.Now()
		err := <-ended
		wantErr(t, "Run", err, errCable)
		if d := time.Since(start); d > 2*time.Second {
			t.Error("noticed after", d)
		}
		synctest.Wait()
		if e.Err != error(driver.ErrUnknown) {
			t.Error("the callback of Connect was told", e)
		}
		l.do(func() { b.fault = nil })
	})
}

// LIF-10: a callback never runs before the call that asked for it has returned,
// and a blocked callback does not keep the state from moving.
func TestLIF10_BlockedDispatcher(t *testing.T) {
	running(t, func(b *bench, l lock, cancel func(), ended chan error) {
		release := make(chan struct{})
		var got []string
		check(t, b.c.OnResolve(func(n string, _ driver.Addr) {
			got = append(got, n)
			if n == "first" {
				<-release
			}
		}))
		check(t, b.c.Resolve("first"))
		check(t, b.c.Resolve("second"))
		check(t, b.c.Connect(driver.BSS{SSID: "net"}, driver.OpenAuth, nil))
		l.do(func() {
			b.post(hif.OpDNSResolve, hif.DNSReply{Name: "first"})
			b.post(hif.OpDNSResolve, hif.DNSReply{Name: "second"})
			b.post(hif.OpStateChanged, connected)
			b.post(hif.OpDHCPConf, lease("10.0.0.50"))
		})
		synctest.Wait()
		wantLines(t, "while the first blocks", &got, "first")
		if !b.c.LinkUp() {
			t.Error("the pump waits for a callback")
		}
		close(release)
		synctest.Wait()
		wantLines(t, "afterwards", &got, "second")
	})
}

func TestRunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChip(t)
		c.bootTime = 0
		d := driver.New(c, driver.Config{})
		for range 2 {
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- d.Run(ctx) }()
			time.Sleep(time.Second)
			synctest.Wait()
			if d.Status() != driver.StateReady {
				t.Error(d.Status(), d.Err())
			}
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
	})
}
