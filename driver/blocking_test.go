package driver_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/driver/hostnet"
)

// blocking is a hostnet.Net on a scripted chip. Whoever blocks pumps; when there
// is nothing to take, the next step of the script is run, or time goes on.
type blocking struct {
	*bench
	n      *hostnet.Net
	script []func()
}

func newBlocking(t *testing.T, ours bool) *blocking {
	t.Helper()
	c := newChip(t)
	c.revision.Understudy = ours
	c.onReq = func(r request) {
		if r.op == hif.OpUnderstudy {
			c.post(hif.OpUnderstudy, hif.Limits{TCP: 7, UDP: 4, Send: 1400})
		}
	}
	b := &blocking{}
	cfg := c.config()
	cfg.Idle = func(until time.Time) {
		switch {
		case c.irq:
		case len(b.script) > 0:
			step := b.script[0]
			b.script = b.script[1:]
			step()
		case !until.IsZero():
			c.clock.now = until
		default:
			t.Fatal("waits for ever")
		}
	}
	b.bench = &bench{chip: c, d: driver.New(c, cfg)}
	b.n = hostnet.New(b.d, hostnet.Config{})
	b.tasks()
	var err error
	b.c, err = b.n.Client()
	check(t, err)
	b.take()
	return b
}

func (b *blocking) then(steps ...func()) { b.script = append(b.script, steps...) }

func (b *blocking) says(typ hif.UpdateType, s driver.OTAStatus) func() {
	return func() { b.post(hif.OpUpdateStatus, hif.UpdateStatus{Type: typ, Status: hif.UpdateResult(s)}) }
}

func TestBlockingUpdate(t *testing.T) {
	b := newBlocking(t, true)
	var got []string
	note := func(stored, expected int64) { got = append(got, fmt.Sprint(stored, "/", expected)) }
	b.then(
		func() { b.post(hif.OpProgress, hif.Progress{Stored: 1000}) },
		func() { b.post(hif.OpProgress, hif.Progress{Stored: 2000, Expected: 3000}) },
		func() {
			b.post(hif.OpProgress, hif.Progress{Stored: 3000, Expected: 3000})
			b.says(hif.UpdateDownload, driver.OTAComplete)()
		},
	)
	check(t, b.n.Update(ctx, imageURL, note))
	wantLines(t, "progress", &got, "1000/0", "2000/3000", "3000/3000")

	b.then(
		func() { b.post(hif.OpProgress, hif.Progress{Stored: 1000}) },
		b.says(hif.UpdateDownload, driver.OTAServerError),
	)
	err := b.n.Update(ctx, imageURL, nil)
	wantErr(t, "404", err, driver.OTAServerError)
	wantErr(t, "no URL", b.n.Update(ctx, "", note), driver.ErrInvalid)
	check(t, b.c.Update(imageURL, nil))
	wantErr(t, "another runs", b.n.Update(ctx, imageURL, nil), driver.ErrBusy)
}

func TestBlockingUpdateCancelled(t *testing.T) {
	for _, tc := range []struct {
		verdict driver.OTAStatus
		wants   []error // nil: success
	}{
		{driver.OTAAborted, []error{context.Canceled}},
		{driver.OTAComplete, nil}, // it was faster
		{driver.OTAConnError, []error{context.Canceled, driver.OTAConnError}},
	} {
		b := newBlocking(t, true)
		ctx, cancel := context.WithCancel(ctx)
		b.then(cancel, b.says(hif.UpdateDownload, tc.verdict))
		err := b.n.Update(ctx, imageURL, nil)
		for _, want := range tc.wants {
			wantErr(t, tc.verdict.String(), err, want)
		}
		if tc.wants == nil && err != nil {
			t.Error(err)
		}
		if ops := b.ops(); len(ops) != 2 || ops[1] != hif.OpAbortUpdate {
			t.Error(ops)
		}
	}
}

func TestBlockingUpdateCancelledOnASilentDevice(t *testing.T) {
	b := newBlocking(t, false)
	start := b.clock.now
	ctx, cancel := context.WithCancel(ctx)
	b.then(cancel)
	wantErr(t, "cancelled", b.n.Update(ctx, imageURL, nil), context.Canceled)
	if d := b.clock.now.Sub(start); d < 2*time.Second || d > 2100*time.Millisecond {
		t.Error("waited ", d)
	}
	wantErr(t, "it still runs", b.n.Update(bgDeadline(b, time.Second), imageURL, nil), driver.ErrBusy)
}

// bgDeadline is a context whose deadline is on the chip's clock.
func bgDeadline(b *blocking, d time.Duration) context.Context {
	return deadline{ctx, b.clock.now.Add(d)}
}

type deadline struct {
	context.Context
	at time.Time
}

func (d deadline) Deadline() (time.Time, bool) { return d.at, true }

func TestBlockingSwitchAndRollback(t *testing.T) {
	b := newBlocking(t, false)
	b.then(b.says(hif.UpdateSwitch, driver.OTAComplete))
	check(t, b.n.SwitchImage(ctx))
	b.then(b.says(hif.UpdateRollback, driver.OTANoRollback))
	wantErr(t, "none", b.n.Rollback(ctx), driver.OTANoRollback)
	if ops := b.ops(); len(ops) != 2 || ops[0] != hif.OpSwitchFirmware || ops[1] != hif.OpRollback {
		t.Error(ops)
	}
}

func TestBlockingUpdateEndsWithTheNet(t *testing.T) {
	b := newBlocking(t, false)
	b.then(func() { check(t, b.n.Close()) })
	wantErr(t, "Net closed", b.n.Update(ctx, imageURL, nil), net.ErrClosed)
	if ops := b.ops(); len(ops) != 2 || ops[1] != hif.OpAbortUpdate {
		t.Error(ops)
	}
	b = newBlocking(t, false)
	b.then(func() { b.d.Close() })
	wantErr(t, "driver closed", b.n.Update(ctx, imageURL, nil), net.ErrClosed)
	b = newBlocking(t, false)
	b.then(func() { b.irq, b.dead = true, true })
	err := b.n.Update(ctx, imageURL, nil)
	wantErr(t, "device lost", err, driver.OTAFail)
	wantErr(t, "device lost", err, driver.ErrDeviceFailure)
}

// A device that takes messages and never answers does not keep a call for ever.
func TestSilentDevice(t *testing.T) {
	for name, call := range map[string]func(*hostnet.Net) error{
		"RSSI":        func(n *hostnet.Net) error { _, err := n.RSSI(ctx); return err },
		"AssocInfo":   func(n *hostnet.Net) error { _, err := n.AssocInfo(ctx); return err },
		"Time":        func(n *hostnet.Net) error { _, err := n.Time(ctx); return err },
		"SwitchImage": func(n *hostnet.Net) error { return n.SwitchImage(ctx) },
		"Rollback":    func(n *hostnet.Net) error { return n.Rollback(ctx) },
	} {
		b := newBlocking(t, false)
		b.online()
		start := b.clock.now
		err := call(b.n)
		wantErr(t, name, err, hostnet.ErrNoAnswer)
		var timeout interface{ Timeout() bool }
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Error(name, ": no time-out: ", err)
		}
		if d := b.clock.now.Sub(start); d < 5*time.Second || d > 5100*time.Millisecond {
			t.Error(name, ": waited ", d)
		}
	}
	b := newBlocking(t, false)
	b.online()
	_, err := b.n.RSSI(bgDeadline(b, time.Second))
	wantErr(t, "the caller's limit is shorter", err, context.DeadlineExceeded)
}
