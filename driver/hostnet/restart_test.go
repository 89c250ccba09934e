package hostnet_test

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/driver/hostnet"
	"github.com/understudy-net/understudy/understudytest"
)

// Who opens the new client before the Net has heard of the restart must not make
// it forget the sockets of the old one.
func TestRestartEndsConnsWhoeverIsFirst(t *testing.T) {
	virtual(t, func(b *understudytest.Bench) {
		b.AddHost("peer.test").HandleTCP(7, echo)
		c, err := b.Net.DialContext(bg, "tcp", "peer.test:7")
		if err != nil {
			t.Error(err)
			return
		}
		var rerr error
		b.Go(func() { _, rerr = c.Read(make([]byte, 1)) })
		b.Sleep(time.Second)
		b.Go(func() { check(t, b.Driver.Restart()) })
		b.Sleep(time.Millisecond) // now the driver starts up, and has its lock
		_, err = b.Net.Client()
		check(t, err)
		b.Sleep(time.Minute)
		wantErr(t, "Read over a restart", rerr, net.ErrClosed)
	})
}

func TestPingsBeforeStartUpWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := understudytest.NewConfig(t, understudytest.Config{NoBoot: true})
		n := hostnet.New(b.Driver, hostnet.Config{})
		const pings = 8
		errs := make(chan error, pings)
		for range pings {
			go func() {
				_, err := n.Ping(bg, understudytest.RouterAddr)
				errs <- err
			}()
		}
		synctest.Wait()
		b.Go(func() { b.Driver.Run(bg) })
		for range pings { // no network was joined: each is told so, none is forgotten
			wantErr(t, "ping", <-errs, driver.ErrUnreachable)
		}
	})
}
