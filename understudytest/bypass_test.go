package understudytest_test

// The bypass mode (spec/driver-api.md 2.14, spec/hif-messages.md 2.18): the device is
// a network card, and the IP stack is the host's.

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/sock"
	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/stack/dhcp"
	"github.com/understudy-net/understudy/understudytest"
	"github.com/understudy-net/understudy/wire"
)

// card is a host with its own IP stack on a controller in bypass mode: one actor,
// which pumps the driver and the stack.
type card struct {
	*understudytest.Bench
	t      *testing.T
	s      *stack.Stack
	events []stack.Event
	full   int // frames that the device had no buffer for
}

// onCard runs f on a host whose card has joined, unless join is false.
func onCard(t *testing.T, join bool, f func(c *card)) {
	t.Helper()
	b := understudytest.VirtualConfig(t, understudytest.Config{Driver: driver.Config{Bypass: true}})
	c := &card{Bench: b, t: t}
	if err := b.Run(func() {
		c.plug()
		if join {
			if err := b.Join(); err != nil {
				t.Error(err)
				return
			}
		}
		f(c)
	}); err != nil {
		t.Error(err)
	}
}

// plug puts the stack on the driver: frames go to it on the pump, and out at once.
func (c *card) plug() {
	mac, err := c.Client.MAC()
	if err != nil {
		c.t.Fatal(err)
	}
	c.s, err = stack.New(stack.Config{MAC: wire.MAC(mac), Rand: rand.NewPCG(c.Seed, 77), Hostname: "card", Output: func(_ time.Time, frame []byte) {
		switch err := c.Client.SendFrame(frame); err {
		case nil:
		case error(driver.ErrBufferFull):
			c.full++ // a loss, as on any link
		default:
			c.t.Error(err)
		}
	}})
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.Client.FrameHook(func(frame []byte) { c.s.Input(c.Now(), frame) }); err != nil {
		c.t.Fatal(err)
	}
}

// until pumps until done, which looks at the events.
func (c *card) until(what string, d time.Duration, done func() bool) {
	c.t.Helper()
	for end := c.Now().Add(d); ; {
		if err := c.Driver.Tasks(); err != nil {
			c.t.Fatal(err)
		}
		c.s.Advance(c.Now())
		for e, ok := c.s.NextEvent(); ok; e, ok = c.s.NextEvent() {
			c.events = append(c.events, e)
		}
		if done() {
			return
		}
		now := c.Now()
		if !now.Before(end) {
			c.t.Fatalf("%s: not within %v", what, d)
		}
		wake := end
		if at := c.s.Deadline(); !at.IsZero() && at.Before(end) {
			wake = at
		}
		if wake.After(now) {
			c.Driver.Config().Idle(wake)
		}
	}
}

// event waits for an event with a flag and takes it.
func (c *card) event(f stack.Flags) (e stack.Event) {
	c.t.Helper()
	c.until(f.String(), 30*time.Second, func() bool {
		for i := range c.events {
			if c.events[i].Flags.Has(f) {
				e = c.events[i]
				c.events = append(c.events[:i], c.events[i+1:]...)
				return true
			}
		}
		return false
	})
	return e
}

// fetch gets a page by HTTP.
func (c *card) fetch(at netip.AddrPort) []byte {
	c.t.Helper()
	conn, err := c.s.Dial(c.Now(), netip.AddrPort{}, at)
	if err != nil {
		c.t.Fatal(err)
	}
	if e := c.event(stack.Connected); e.Err != nil {
		c.t.Fatal(e.Err)
	}
	if _, err := conn.Write(c.Now(), []byte("GET /page HTTP/1.0\r\nHost: web.test\r\n\r\n")); err != nil {
		c.t.Fatal(err)
	}
	var all []byte
	buf := make([]byte, 4096)
	c.until("the end of the page", time.Minute, func() bool {
		for {
			n, err := conn.Read(c.Now(), buf)
			if all = append(all, buf[:n]...); err != nil {
				return err != sock.ErrWouldBlock
			}
		}
	})
	conn.Close(c.Now())
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(all)), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		c.t.Error(err)
	}
	return body.Bytes()
}

// DHCP, DNS and HTTP of the host's own stack, through the access point.
func TestBypassHostWithItsOwnStack(t *testing.T) {
	onCard(t, true, func(c *card) {
		page := content(200_000)
		web := c.AddHost("web.test")
		if err := web.HandleTCP(80, func(conn net.Conn) {
			req, err := http.ReadRequest(bufio.NewReader(conn))
			if err == nil && req.URL.Path == "/page" {
				fmt.Fprintf(conn, "HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n", len(page))
				conn.Write(page)
			}
		}); err != nil {
			t.Fatal(err)
		}
		if err := c.s.UseDHCP(c.Now(), stack.DHCPConfig{}); err != nil {
			t.Fatal(err)
		}
		if e := c.event(stack.Configured); e.Address.Prefix.Addr() != understudytest.FirstLease {
			t.Errorf("address %v, want %v", e.Address.Prefix, understudytest.FirstLease)
		}
		if err := c.s.Resolve(c.Now(), "web.test", nil); err != nil {
			t.Fatal(err)
		}
		e := c.event(stack.Resolved)
		if e.Resolve.Err != nil || len(e.Resolve.Addrs) != 1 || e.Resolve.Addrs[0] != web.Addr {
			t.Fatalf("%+v", e.Resolve)
		}
		if got := c.fetch(netip.AddrPortFrom(web.Addr, 80)); !bytes.Equal(got, page) {
			t.Errorf("%d bytes, which are others", len(got))
		}

		// The device has no address of its own beside it.
		c.World.Lock()
		s := c.Device.Snapshot()
		c.World.Unlock()
		if s.Addr.IsValid() || c.Client.Addr().IsValid() || s.Counters.Malformed+s.Counters.WrongMode != 0 {
			t.Errorf("address %v, counters %+v", s.Addr, s.Counters)
		}
	})
}

// The link goes and comes; frames without one are refused.
func TestBypassLinkIsLost(t *testing.T) {
	onCard(t, true, func(c *card) {
		if !c.Client.LinkUp() {
			t.Error("no link")
		}
		c.StopWiFi()
		c.until("the end of the link", 10*time.Second, func() bool { return !c.Client.LinkUp() })
		if err := c.Client.SendFrame(make([]byte, 60)); err == nil {
			t.Error("sent without a link")
		}
		c.RestoreWiFi()
		if err := c.Join(); err != nil {
			t.Error(err)
		}
		if err := c.s.UseDHCP(c.Now(), stack.DHCPConfig{}); err != nil {
			t.Fatal(err)
		}
		c.event(stack.Configured)
	})
}

// A Soft-AP whose DHCP server, and all else, is the host's.
func TestBypassSoftAP(t *testing.T) {
	onCard(t, false, func(c *card) {
		if err := c.Client.StartAP(driver.BSS{SSID: "card", Channel: 3}, driver.WPA("open sesame"), nil); err != nil {
			t.Fatal(err)
		}
		if err := c.s.SetAddr(c.Now(), netip.MustParsePrefix("192.168.77.1/24"), netip.Addr{}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.s.ServeDHCP(c.Now(), dhcp.ServerConfig{
			Addr: netip.MustParsePrefix("192.168.77.1/24"), First: netip.MustParseAddr("192.168.77.50"), Last: netip.MustParseAddr("192.168.77.50"),
		}, nil); err != nil {
			t.Fatal(err)
		}
		phone := c.AddStation("phone")
		var err error
		joined := false
		c.Go(func() {
			err = phone.Join("card", "open sesame")
			joined = true
		})
		c.until("the phone", time.Minute, func() bool { return joined })
		if err != nil || phone.Addr != netip.MustParseAddr("192.168.77.50") {
			t.Errorf("phone at %v, %v", phone.Addr, err)
		}
		if _, err := c.s.Ping(c.Now(), phone.Addr, stack.PingConfig{}); err != nil {
			t.Fatal(err)
		}
		if e := c.event(stack.Pong); e.Err != nil || e.Ping.Err != nil {
			t.Errorf("%+v", e.Ping)
		}
	})
}
