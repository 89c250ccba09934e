package understudytest_test

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"

	"github.com/understudy-net/understudy/understudytest"
)

func TestCloseEndsAStationsJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := understudytest.New(t)
		s := b.AddStation("phone")
		b.LoseWiFi()
		joined := make(chan error, 1)
		go func() { joined <- s.Associate(understudytest.SSID, understudytest.Passphrase) }()
		synctest.Wait()
		b.Close()
		if err := <-joined; !errors.Is(err, net.ErrClosed) {
			t.Errorf("a Join at the end of the bench: %v, want %v", err, net.ErrClosed)
		}
	})
}
