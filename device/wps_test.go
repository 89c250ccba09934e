package device

import (
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
)

// WPS ends with an answer whatever comes (hif-messages 2.17), and the host joins with it.
func TestWPS(t *testing.T) {
	failed := func(b *bench, why string, d time.Duration) {
		t.Helper()
		if m := await(b.h, d, hif.OpWPS, hif.ParseWPSReply); m != (hif.WPSReply{}) {
			t.Errorf("%s: %+v", why, m)
		}
	}
	button := hif.WPS{Trigger: hif.WPSPushButton}
	for _, m := range []hif.WPS{button, {Trigger: hif.WPSPIN, PIN: [8]byte([]byte("12345670"))}} {
		b := newBench(t).withAP(secret)
		b.h.boot()
		send(b.h, hif.OpWPS, m)
		b.run(5 * time.Second)
		if m.Trigger == hif.WPSPIN {
			if err := b.ap.AllowPIN(b.now, "12345670"); err != nil {
				t.Fatal(err)
			}
		} else if err := b.ap.PushButton(b.now); err != nil {
			t.Fatal(err)
		}
		got := await(b.h, 20*time.Second, hif.OpWPS, hif.ParseWPSReply)
		if got != (hif.WPSReply{Security: hif.SecurityPSK, Channel: 6, SSID: ssid, Passphrase: secret}) {
			t.Errorf("%+v", got)
		}
		b.h.join(got.Passphrase)
		send(b.h, hif.OpWPS, button)
		failed(b, "while joined", 0)
	}

	b := newBench(t).withAP(secret)
	b.h.boot()
	b.h.deliver(hif.OpWPS, false, make([]byte, 5))
	failed(b, "too short", 0)
	send(b.h, hif.OpWPS, hif.WPS{Trigger: 2})
	failed(b, "another trigger", 0)
	send(b.h, hif.OpWPS, hif.WPS{Trigger: hif.WPSPIN, PIN: [8]byte([]byte("12345671"))})
	failed(b, "a wrong checksum", 0)
	start := b.now
	send(b.h, hif.OpWPS, button)
	failed(b, "nobody pushes", 3*time.Minute)
	if d := b.now.Sub(start); d < 2*time.Minute {
		t.Error("gave up after", d)
	}
	send(b.h, hif.OpWPS, button)
	send(b.h, hif.OpDisableWPS, hif.None{})
	send(b.h, hif.OpDisableWPS, hif.None{})
	b.h.quiet(3*time.Minute, hif.OpWPS)

	send(b.h, hif.OpWPS, button)
	b.run(time.Second)
	send(b.h, hif.OpWPS, button) // begins anew
	b.h.join(secret)             // and this ends it
	failed(b, "joined instead", 0)
	send(b.h, hif.OpDisconnect, hif.None{})
	send(b.h, hif.OpWPS, button)
	b.h.enableAP(apConfig(""))
	failed(b, "an access point instead", 0)
	send(b.h, hif.OpWPS, button)
	failed(b, "as an access point", 0)
	if s := b.dev.Snapshot(); s.SoftAP == nil || s.Counters.Unsupported != 0 {
		t.Errorf("%+v", s.Counters)
	}
}
