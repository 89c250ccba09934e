package driver_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/device"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/understudytest"
)

func TestLimitsOfTheRealPart(t *testing.T) {
	want := driver.Limits{TCP: 7, UDP: 4, Send: 1400, Datagram: 1472}
	b := newBench(t) // does not bear the mark: is not asked
	if l := b.c.Limits(); l != want || len(b.requests) != 0 {
		t.Error(l, b.requests)
	}
	onRig(t, understudytest.Config{}, func(r *rig) { // bears it, and says the same
		if l := r.c.Limits(); l != want {
			t.Error(l)
		}
	})
}

func TestLimitsLifted(t *testing.T) {
	onRig(t, understudytest.Config{Device: device.Config{Profile: device.Unlimited()}}, func(r *rig) {
		want := driver.Limits{TCP: 96, UDP: 30, Send: 4000, Datagram: 4000}
		if l := r.c.Limits(); l != want {
			t.Fatal(l)
		}
		r.connect()
		if !r.until(20*time.Second, r.c.LinkUp) {
			t.Fatal("no link")
		}
		r.forget()
		s, peer := r.pair(r.AddHost("peer.test"), 7)
		wantErr(t, "4001 bytes", s.Send(make([]byte, 4001)), driver.ErrSockArg)
		check(t, s.Send(bytes.Repeat([]byte{'x'}, 4000)))
		r.expect("send", time.Second, "0 SEND 4000")
		p := make([]byte, 4000)
		if _, err := io.ReadFull(peer, p); err != nil || p[3999] != 'x' {
			t.Error(err)
		}
		peer.Write(bytes.Repeat([]byte{'y'}, 4000))
		r.pass(time.Second)
		q := make([]byte, 5000)
		check(t, s.Recv(q, 0))
		r.expect("receive", time.Second, fmt.Sprintf("0 RECV %q", bytes.Repeat([]byte{'y'}, 4000)))
		for i := range 95 + 30 {
			typ, first, last := driver.Stream, 1, 95
			if i >= 95 {
				typ, first, last = driver.Datagram, 96, 125
			}
			if s := r.socket(typ); s.ID() < first || s.ID() > last {
				t.Error("id", s.ID())
			}
		}
		_, err := r.c.Socket(driver.Stream, driver.Plain)
		wantErr(t, "97th", err, driver.ErrMaxTCP)
		_, err = r.c.Socket(driver.Datagram, driver.Plain)
		wantErr(t, "31st", err, driver.ErrMaxUDP)
	})
}

// What a device of ours may answer to the question for its limits.
func TestLimitsThatCannotBe(t *testing.T) {
	for _, tc := range []struct {
		m  hif.Payload
		ok bool
	}{
		{nil, true}, // silent: the real part's numbers
		{hif.Limits{TCP: 1, UDP: 1, Send: 1}, true},
		{hif.Limits{TCP: 0, UDP: 4, Send: 1400}, false},
		{hif.Limits{TCP: 100, UDP: 27, Send: 1400}, false},
		{hif.Limits{TCP: 7, UDP: 4, Send: 4001}, false},
		{hif.None{}, false},
	} {
		c := newChip(t)
		c.revision.Understudy = true
		c.onReq = func(r request) {
			if r.op == hif.OpUnderstudy && tc.m != nil {
				c.post(hif.OpUnderstudy, tc.m)
			}
		}
		d := driver.New(c, c.config())
		if err := d.Tasks(); (err == nil) != tc.ok {
			t.Errorf("%+v: %v", tc.m, err)
		}
	}
}
