package understudytest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/understudytest"
)

// The button of the access point is pushed, and a controller without keys joins.
func TestWPSButton(t *testing.T) {
	b := understudytest.Virtual(t, 0)
	if err := b.Run(func() {
		b.Go(func() {
			b.Sleep(20 * time.Second)
			now := b.World.Lock()
			defer b.World.Unlock()
			if err := b.AP.PushButton(now); err != nil {
				t.Error(err)
			}
		})
		bss, auth, err := b.Net.WPS(context.Background(), "")
		if err != nil || bss != (driver.BSS{SSID: understudytest.SSID, Channel: understudytest.Channel}) || auth != driver.WPA(understudytest.Passphrase) {
			t.Error(bss, auth, err)
			return
		}
		if err := b.Net.Join(context.Background(), bss, auth); err != nil {
			t.Error(err)
		}
		if _, _, err := b.Net.WPS(context.Background(), ""); !errors.Is(err, driver.ErrConnected) {
			t.Error("connected:", err)
		}
	}); err != nil {
		t.Error(err)
	}
}

func TestWPSPIN(t *testing.T) {
	b := understudytest.Virtual(t, 0)
	if err := b.Run(func() {
		allow := func(pin string) {
			now := b.World.Lock()
			defer b.World.Unlock()
			if err := b.AP.AllowPIN(now, pin); err != nil {
				t.Error(err)
			}
		}
		allow(driver.WPSPIN(1234567))
		if _, _, err := b.Net.WPS(context.Background(), driver.WPSPIN(1)); !errors.Is(err, driver.ErrWPS) {
			t.Error("a wrong PIN:", err)
		}
		if _, _, err := b.Net.WPS(context.Background(), "1234567"); !errors.Is(err, driver.ErrInvalid) {
			t.Error("no PIN:", err)
		}
		allow("12345670")
		if bss, _, err := b.Net.WPS(context.Background(), "12345670"); err != nil || bss.SSID != understudytest.SSID {
			t.Error(bss, err)
		}
		ctx := benchContext{context.Background(), b.Now().Add(10 * time.Second)}
		if _, _, err := b.Net.WPS(ctx, ""); !errors.Is(err, context.DeadlineExceeded) {
			t.Error("nobody pushes:", err)
		}
		if err := b.Join(); err != nil {
			t.Error("afterwards:", err)
		}
	}); err != nil {
		t.Error(err)
	}
}

// Somebody else stops the exchange: the call that waits for it ends, whatever its context.
func TestWPSIsStopped(t *testing.T) {
	b := understudytest.Virtual(t, 0)
	if err := b.Run(func() {
		b.Go(func() {
			b.Sleep(5 * time.Second)
			if err := b.Client.StopWPS(); err != nil {
				t.Error(err)
			}
		})
		begin := b.Now()
		if _, _, err := b.Net.WPS(context.Background(), ""); !errors.Is(err, driver.ErrWPS) || b.Now().Sub(begin) > 6*time.Second {
			t.Errorf("%v after %v", err, b.Now().Sub(begin))
		}
	}); err != nil {
		t.Error(err)
	}
}
