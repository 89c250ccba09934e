package hostnet_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/driver/hostnet"
	"github.com/understudy-net/understudy/understudytest"
)

func TestKeepAlive(t *testing.T) {
	virtual(t, func(b *understudytest.Bench) {
		h := b.AddHost("peer.test")
		h.HandleTCP(7, func(c net.Conn) { io.Copy(io.Discard, c) })
		c, err := b.Net.DialContext(bg, "tcp", "peer.test:7")
		if err != nil {
			t.Error(err)
			return
		}
		check(t, b.Net.KeepAlive(c, net.KeepAliveConfig{Enable: true, Idle: 2 * time.Second, Interval: time.Second, Count: 3}))
		b.SetCable(h, air.Link{Down: true})
		start := b.Now()
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("the peer is gone and nobody noticed")
		}
		if d := b.Now().Sub(start); d < 4*time.Second || d > 7*time.Second {
			t.Error("noticed after", d)
		}
		check(t, b.Net.KeepAlive(c, net.KeepAliveConfig{}))
		c.Close()
		if err := b.Net.KeepAlive(c, net.KeepAliveConfig{Enable: true}); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		p, q := net.Pipe()
		defer p.Close()
		defer q.Close()
		wantErr(t, "another's conn", b.Net.KeepAlive(p, net.KeepAliveConfig{}), errors.ErrUnsupported)
	})
}

func TestGroups(t *testing.T) {
	virtual(t, func(b *understudytest.Bench) {
		h := b.AddHost("peer.test")
		pc, err := b.Net.ListenPacket(bg, "udp", ":5353")
		if err != nil {
			t.Error(err)
			return
		}
		from, err := h.ListenPacket("udp", ":0")
		if err != nil {
			t.Error(err)
			return
		}
		group := netip.MustParseAddr("239.1.2.3")
		say := func(s string) bool {
			from.WriteTo([]byte(s), net.UDPAddrFromAddrPort(netip.AddrPortFrom(group, 5353)))
			pc.SetReadDeadline(b.Now().Add(time.Second))
			p := make([]byte, 100)
			n, _, err := pc.ReadFrom(p)
			return err == nil && string(p[:n]) == s
		}
		if say("before") {
			t.Error("heard before joining")
		}
		check(t, b.Net.JoinGroup(pc, group))
		if !say("joined") {
			t.Error("not heard after joining") // UDP-15
		}
		check(t, b.Net.LeaveGroup(pc, group))
		if say("left") {
			t.Error("heard after leaving") // UDP-16
		}
		wantErr(t, "unicast", b.Net.JoinGroup(pc, h.Addr), driver.ErrSockArg)
		wantErr(t, "another's conn", b.Net.JoinGroup(from, group), errors.ErrUnsupported)
	})
}

// On the wall clock: net.Resolver keeps a channel for the whole process, which a
// bubble must not make.
func TestResolverOfTheStandardLibrary(t *testing.T) {
	b := understudytest.New(t)
	if err := b.Join(); err != nil {
		t.Fatal(err)
	}
	h := b.AddHost("peer.test")
	ips, err := b.Net.Resolver().LookupNetIP(bg, "ip4", "peer.test.")
	if err != nil || len(ips) != 1 || ips[0].Unmap() != h.Addr {
		t.Error(ips, err)
	}
}

func TestJoinWithoutDHCPServer(t *testing.T) {
	b := understudytest.Virtual(t, 0)
	check(t, b.Run(func() {
		b.SetCable(b.Router, air.Link{Down: true})
		wantErr(t, "join", b.Join(), hostnet.ErrNoAddress)
		b.SetCable(b.Router, air.Link{})
		check(t, b.Net.WaitLink(bg)) // the device keeps trying
		if !b.Client.LinkUp() {
			t.Error("no link")
		}
	}))
}

func TestRejoin(t *testing.T) {
	b := understudytest.Virtual(t, 0)
	check(t, b.Run(func() {
		wantErr(t, "nothing stored", b.Net.Rejoin(bg), driver.ErrNoCredentials)
		auth := b.Auth()
		auth.Save = true
		check(t, b.Net.Join(bg, b.BSS(), auth))
		check(t, b.Net.Leave(bg))
		check(t, b.Net.Rejoin(bg))
	}))
}

func TestTime(t *testing.T) {
	virtual(t, func(b *understudytest.Bench) {
		check(t, b.Client.DisableSNTP())
		_, err := b.Net.Time(bg)
		wantErr(t, "NTP-03", err, hostnet.ErrTimeUnknown)
		at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
		check(t, b.Client.SetTime(at))
		b.Sleep(10 * time.Second)
		got, err := b.Net.Time(bg)
		if err != nil || got.Sub(at) < 9*time.Second || got.Sub(at) > 12*time.Second { // NTP-11
			t.Error(got, err)
		}
	})
}

// A blocking call leaves the callback of the client's Time in place.
func TestTimeBesideACallback(t *testing.T) {
	virtual(t, func(b *understudytest.Bench) {
		heard := 0
		check(t, b.Client.DisableSNTP())
		check(t, b.Client.SetTime(time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)))
		check(t, b.Client.Time(func(time.Time) { heard++ }))
		for range 3 {
			if _, err := b.Net.Time(bg); err != nil {
				t.Error(err)
			}
		}
		if heard != 4 {
			t.Errorf("the callback was called %d times, want 4", heard)
		}
	})
}

func TestTwoJoinsAtATime(t *testing.T) {
	b := understudytest.Virtual(t, 0)
	check(t, b.Run(func() {
		b.Go(func() {
			b.Sleep(time.Millisecond)
			wantErr(t, "second", b.Join(), driver.ErrInProgress)
		})
		check(t, b.Join())
	}))
}

func TestNothingHangsWhenTheDriverIsClosed(t *testing.T) {
	virtual(t, func(b *understudytest.Bench) {
		b.SetCable(b.Router, air.Link{Down: true})
		calls := map[string]func() error{
			"dial":   func() error { _, err := b.Net.DialContext(bg, "tcp", "10.9.0.77:1"); return err },
			"lookup": func() error { _, err := b.Net.LookupNetIP(bg, "ip4", "nobody.test"); return err },
			"ping":   func() error { _, err := b.Net.Ping(bg, netip.MustParseAddr("10.9.0.78")); return err },
			"scan": func() (err error) {
				for _, err = range b.Net.Scan(bg, driver.ScanReq{Passive: true}) {
				}
				return err
			},
		}
		ended := 0
		for name, call := range calls {
			b.Go(func() {
				if err := call(); !errors.Is(err, net.ErrClosed) {
					t.Errorf("%s: %v", name, err)
				}
				ended++
			})
		}
		b.Sleep(100 * time.Millisecond)
		b.Driver.Close()
		b.Sleep(time.Second)
		if ended != len(calls) {
			t.Errorf("%d of %d calls ended", ended, len(calls))
		}
	})
}

// Before start-up calls wait for it.
func TestCallsWaitForStartUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := understudytest.NewConfig(t, understudytest.Config{NoBoot: true})
		n := hostnet.New(b.Driver, hostnet.Config{})
		if _, err := n.Client(); !errors.Is(err, driver.ErrNotReady) {
			t.Error(err)
		}
		short, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		_, err := n.LookupNetIP(short, "ip4", "peer.test")
		wantErr(t, "nobody runs the driver", err, context.DeadlineExceeded)
		done := make(chan error)
		go func() { done <- n.Join(bg, b.BSS(), b.Auth()) }()
		time.Sleep(time.Second)
		ctx, stop := context.WithCancel(bg)
		ended := make(chan error)
		go func() { ended <- b.Driver.Run(ctx) }()
		check(t, <-done)
		stop()
		<-ended
	})
}
