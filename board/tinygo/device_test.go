package tinygo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tinygo.org/x/drivers/netdev"
	"tinygo.org/x/drivers/netlink"

	"github.com/understudy-net/understudy/bus"
	"github.com/understudy-net/understudy/understudytest"
)

// pin is a pin of a microcontroller.
type pin struct {
	high bool
	set  func(high bool)
	get  func() bool
}

func (p *pin) Set(high bool) {
	p.high = high
	if p.set != nil {
		p.set(high)
	}
}
func (p *pin) Get() bool { return p.get() }

// controller is SPI that leads to a bus, while chip select is low.
type controller struct {
	t  *testing.T
	to bus.Port
	cs *pin
}

func (c controller) Tx(w, r []byte) error {
	if c.cs.high {
		c.t.Error("a transfer with chip select high")
	}
	return c.to.Tx(w, r)
}

// wired is a device on pins that lead to a bench.
func wired(t *testing.T, b *understudytest.Bench, to bus.Port) *Device {
	cs := &pin{}
	return New(NewPort(Wiring{
		SPI: controller{t, to, cs}, CS: cs,
		Reset:  &pin{set: func(high bool) { to.SetReset(!high) }},
		Enable: &pin{set: func(high bool) { to.SetEnable(high) }},
		IRQ: &pin{get: func() bool {
			low, _ := to.IRQ()
			return !low
		}},
	}), Config{Trace: func(f string, a ...any) { t.Logf(f, a...) }})
}

// on runs a test in a bubble, with a bench whose own driver rests.
func on(t *testing.T, fn func(t *testing.T, b *understudytest.Bench, d *Device)) {
	synctest.Test(t, func(t *testing.T) {
		var port bus.Port
		b := understudytest.NewConfig(t, understudytest.Config{NoBoot: true, Bus: func(p bus.Port) bus.Port {
			port = p
			return p
		}})
		d := wired(t, b, port)
		fn(t, b, d)
		d.NetDisconnect() // ends the watchdog, at its next tick
		time.Sleep(time.Minute)
	})
}

func params() *netlink.ConnectParams {
	return &netlink.ConnectParams{Ssid: understudytest.SSID, Passphrase: understudytest.Passphrase, Hostname: "gadget"}
}

func connect(t *testing.T, d *Device) {
	t.Helper()
	if err := d.NetConnect(params()); err != nil {
		t.Fatal(err)
	}
}

// echo serves TCP and UDP on port 7 of a host.
func echo(t *testing.T, h *understudytest.Host) {
	t.Helper()
	err := h.HandleTCP(7, func(c net.Conn) {
		io.Copy(c, c)
		c.Close()
	})
	if err == nil {
		err = h.HandleUDP(7, func(_ net.Addr, p []byte) []byte { return p })
	}
	if err != nil {
		t.Fatal(err)
	}
}

func tcp(t *testing.T, d *Device) int {
	t.Helper()
	fd, err := d.Socket(netdev.AF_INET, netdev.SOCK_STREAM, netdev.IPPROTO_TCP)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func at(h *understudytest.Host, port uint16) netip.AddrPort { return netip.AddrPortFrom(h.Addr, port) }

func TestNetlink(t *testing.T) {
	on(t, func(t *testing.T, b *understudytest.Bench, d *Device) {
		if _, err := d.Addr(); !errors.Is(err, ErrNoAddress) {
			t.Error(err)
		}
		if _, err := d.Socket(netdev.AF_INET, netdev.SOCK_STREAM, netdev.IPPROTO_TCP); !errors.Is(err, ErrNoAddress) {
			t.Error(err)
		}
		mac, err := d.GetHardwareAddr() // starts the module
		if err != nil || mac.String() != understudytest.DeviceMAC.String() {
			t.Error(mac, err)
		}
		events := ""
		d.NetNotify(func(e netlink.Event) { events += fmt.Sprint(e, " ") })
		for _, test := range []struct {
			change func(p *netlink.ConnectParams)
			want   error
		}{
			{func(p *netlink.ConnectParams) { p.ConnectMode = netlink.ConnectModeAP }, netlink.ErrConnectModeNoGood},
			{func(p *netlink.ConnectParams) { p.Ssid = "" }, netlink.ErrMissingSSID},
			{func(p *netlink.ConnectParams) { p.Passphrase = "short" }, netlink.ErrShortPassphrase},
			{func(p *netlink.ConnectParams) { p.AuthType = 99 }, netlink.ErrAuthTypeNoGood},
			{func(p *netlink.ConnectParams) { p.Passphrase = "wrong passphrase" }, netlink.ErrAuthFailure},
			{func(p *netlink.ConnectParams) { p.Ssid, p.Retries = "nowhere", 2 }, netlink.ErrConnectFailed},
			{func(p *netlink.ConnectParams) { p.ConnectTimeout, p.Retries = time.Millisecond, 1 }, netlink.ErrConnectTimeout},
		} {
			p := params()
			test.change(p)
			if err := d.NetConnect(p); !errors.Is(err, test.want) {
				t.Errorf("%+v: %v, want %v", p, err, test.want)
			}
		}
		if events != "" {
			t.Error("events of networks that were not joined:", events)
		}
		connect(t, d)
		if a, err := d.Addr(); err != nil || a != understudytest.FirstLease {
			t.Error(a, err)
		}
		if err := d.NetConnect(params()); !errors.Is(err, netlink.ErrConnected) {
			t.Error(err)
		}
		d.NetDisconnect()
		if _, err := d.Addr(); !errors.Is(err, ErrNoAddress) {
			t.Error(err)
		}
		if want := fmt.Sprint(netlink.EventNetUp, " ", netlink.EventNetDown, " "); events != want {
			t.Errorf("events %s, want %s", events, want)
		}
		connect(t, d)
	})
}

func TestNames(t *testing.T) {
	on(t, func(t *testing.T, b *understudytest.Bench, d *Device) {
		connect(t, d)
		h := b.AddHost("www.test")
		for name, want := range map[string]any{
			"www.test": h.Addr, "192.0.2.7": netip.MustParseAddr("192.0.2.7"),
			"nobody.test": netdev.ErrHostUnknown, "::1": netdev.ErrMalAddr, "": netdev.ErrMalAddr, strings.Repeat("a", 64): netdev.ErrMalAddr,
		} {
			a, err := d.GetHostByName(name)
			if e, ok := want.(error); ok && !errors.Is(err, e) || !ok && (err != nil || a != want) {
				t.Errorf("%q: %v, %v, want %v", name, a, err, want)
			}
		}
		// More at a time than the module takes.
		done := make(chan error)
		for range 9 {
			go func() {
				a, err := d.GetHostByName("www.test")
				if err == nil && a != h.Addr {
					err = fmt.Errorf("%v", a)
				}
				done <- err
			}()
		}
		for range 9 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestTCP(t *testing.T) {
	on(t, func(t *testing.T, b *understudytest.Bench, d *Device) {
		connect(t, d)
		h := b.AddHost("echo.test")
		echo(t, h)
		fd := tcp(t, d)
		if err := d.Connect(fd, "", at(h, 7)); err != nil {
			t.Fatal(err)
		}
		out := bytes.Repeat([]byte("0123456789abcdef"), 4000)
		sent := make(chan error)
		go func() {
			n, err := d.Send(fd, out, 0, time.Time{})
			if err == nil && n != len(out) {
				err = fmt.Errorf("%d bytes", n)
			}
			sent <- err
		}()
		var in []byte
		for buf := make([]byte, 1000); len(in) < len(out); {
			n, err := d.Recv(fd, buf, 0, time.Now().Add(10*time.Second))
			if err != nil {
				t.Fatal(len(in), err)
			}
			in = append(in, buf[:n]...)
		}
		if err := <-sent; err != nil || !bytes.Equal(in, out) {
			t.Error(err, len(in))
		}
		// A deadline, and what comes after it.
		began := time.Now()
		if n, err := d.Recv(fd, make([]byte, 10), 0, began.Add(time.Second)); n != 0 || !errors.Is(err, netdev.ErrTimeout) || time.Since(began) > 1100*time.Millisecond {
			t.Error(n, err, time.Since(began))
		}
		if n, err := d.Send(fd, []byte("later"), 0, time.Now().Add(time.Second)); n != 5 || err != nil {
			t.Error(n, err)
		}
		buf := make([]byte, 3)
		for _, want := range []string{"lat", "er"} {
			if n, err := d.Recv(fd, buf, 0, time.Now().Add(time.Second)); err != nil || string(buf[:n]) != want {
				t.Errorf("%q, %v, want %q", buf[:n], err, want)
			}
		}
		for _, o := range []struct {
			level, opt int
			value      any
			want       error
		}{
			{netdev.SOL_SOCKET, netdev.SO_KEEPALIVE, true, nil}, {netdev.SOL_TCP, netdev.TCP_KEEPINTVL, 60.0, nil},
			{netdev.SOL_TCP, netdev.TCP_KEEPINTVL, 60, nil}, {netdev.SOL_TCP, netdev.TCP_KEEPINTVL, -1, netdev.ErrNotSupported},
			{netdev.SOL_SOCKET, 99, 1, netdev.ErrNotSupported}, {netdev.SOL_SOCKET, netdev.SO_KEEPALIVE, "yes", netdev.ErrNotSupported},
		} {
			if err := d.SetSockOpt(fd, o.level, o.opt, o.value); !errors.Is(err, o.want) {
				t.Errorf("%+v: %v", o, err)
			}
		}
		if err := d.Close(fd); err != nil {
			t.Error(err)
		}
		for _, err := range []error{d.Close(fd), d.Bind(fd, at(h, 1)), d.Listen(fd, 1), d.Connect(fd, "", at(h, 7)), d.SetSockOpt(fd, 1, 9, true)} {
			if !errors.Is(err, netdev.ErrInvalidSocketFd) {
				t.Error(err)
			}
		}
		// By name; the end of a stream; nobody there.
		if err := h.HandleTCP(13, func(c net.Conn) { fmt.Fprint(c, "noon"); c.Close() }); err != nil {
			t.Fatal(err)
		}
		fd = tcp(t, d)
		if err := d.Connect(fd, "echo.test", netip.AddrPortFrom(netip.IPv4Unspecified(), 13)); err != nil {
			t.Fatal(err)
		}
		buf = make([]byte, 100)
		n, err := d.Recv(fd, buf, 0, time.Time{})
		if err != nil || string(buf[:n]) != "noon" {
			t.Errorf("%q, %v", buf[:n], err)
		}
		for range 2 {
			if n, err := d.Recv(fd, buf, 0, time.Time{}); n != 0 || err != io.EOF {
				t.Error(n, err)
			}
		}
		d.Close(fd)
		fd = tcp(t, d)
		if err := d.Connect(fd, "", at(h, 9)); err == nil {
			t.Error("connected to nobody")
		}
		d.Close(fd)
	})
}

func TestServer(t *testing.T) {
	on(t, func(t *testing.T, b *understudytest.Bench, d *Device) {
		connect(t, d)
		h := b.AddHost("client.test")
		l := tcp(t, d)
		if err := errors.Join(d.Bind(l, netip.AddrPortFrom(netip.IPv4Unspecified(), 80)), d.Listen(l, 5)); err != nil {
			t.Fatal(err)
		}
		answers := make(chan string)
		for i := range 2 {
			go func() {
				c, err := h.Dial(t.Context(), "tcp", fmt.Sprint(understudytest.FirstLease, ":80"))
				if err != nil {
					answers <- err.Error()
					return
				}
				fmt.Fprintf(c, "I am %d", i)
				text, err := io.ReadAll(c)
				answers <- fmt.Sprint(string(text), err)
			}()
		}
		for range 2 {
			fd, peer, err := d.Accept(l)
			if err != nil || peer.Addr() != h.Addr {
				t.Fatal(fd, peer, err)
			}
			buf := make([]byte, 100)
			n, err := d.Recv(fd, buf, 0, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := d.Send(fd, bytes.ToUpper(buf[:n]), 0, time.Time{}); err != nil {
				t.Error(err)
			}
			if err := d.Close(fd); err != nil {
				t.Error(err)
			}
		}
		got := []string{<-answers, <-answers}
		if s := strings.Join(got, ","); s != "I AM 0<nil>,I AM 1<nil>" && s != "I AM 1<nil>,I AM 0<nil>" {
			t.Error(s)
		}
		// Close ends an Accept.
		ended := make(chan error)
		go func() {
			_, _, err := d.Accept(l)
			ended <- err
		}()
		time.Sleep(time.Second)
		if err := d.Close(l); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, netdev.ErrInvalidSocketFd) {
			t.Error(err)
		}
		if c, err := h.Dial(t.Context(), "tcp", fmt.Sprint(understudytest.FirstLease, ":80")); err == nil {
			c.Close()
			t.Error("the listener is closed, and listens")
		}
	})
}

func TestUDP(t *testing.T) {
	on(t, func(t *testing.T, b *understudytest.Bench, d *Device) {
		connect(t, d)
		h := b.AddHost("echo.test")
		echo(t, h)
		fd, err := d.Socket(netdev.AF_INET, netdev.SOCK_DGRAM, netdev.IPPROTO_UDP)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Send(fd, []byte("x"), 0, time.Time{}); err == nil {
			t.Error("sent to nobody")
		}
		if err := d.Connect(fd, "", at(h, 7)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 5)
		for _, test := range []struct{ out, in string }{{"one", "one"}, {"too long", "too l"}, {"two", "two"}} {
			if n, err := d.Send(fd, []byte(test.out), 0, time.Time{}); n != len(test.out) || err != nil {
				t.Fatal(n, err)
			}
			if n, err := d.Recv(fd, buf, 0, time.Now().Add(5*time.Second)); err != nil || string(buf[:n]) != test.in {
				t.Errorf("%q, %v, want %q", buf[:n], err, test.in)
			}
		}
		if _, err := d.Send(fd, make([]byte, 3000), 0, time.Time{}); err == nil {
			t.Error("a datagram of 3000 bytes was taken")
		}
		if err := d.Close(fd); err != nil {
			t.Error(err)
		}
	})
}

func TestSocketsRunOut(t *testing.T) {
	on(t, func(t *testing.T, b *understudytest.Bench, d *Device) {
		connect(t, d)
		var all []int
		for {
			fd, err := d.Socket(netdev.AF_INET, netdev.SOCK_STREAM, netdev.IPPROTO_TCP)
			if err != nil {
				if !errors.Is(err, netdev.ErrNoMoreSockets) || len(all) != 7 {
					t.Error(len(all), err)
				}
				break
			}
			all = append(all, fd)
		}
		for _, fd := range all {
			d.Close(fd)
		}
		for _, test := range []struct {
			domain, typ, proto int
			want               error
		}{
			{10, netdev.SOCK_STREAM, netdev.IPPROTO_TCP, netdev.ErrFamilyNotSupported},
			{netdev.AF_INET, netdev.SOCK_STREAM, netdev.IPPROTO_TLS, netdev.ErrProtocolNotSupported},
			{netdev.AF_INET, netdev.SOCK_DGRAM, netdev.IPPROTO_TCP, netdev.ErrProtocolNotSupported},
			{netdev.AF_INET, 3, netdev.IPPROTO_UDP, netdev.ErrProtocolNotSupported},
		} {
			if _, err := d.Socket(test.domain, test.typ, test.proto); !errors.Is(err, test.want) {
				t.Errorf("%+v: %v", test, err)
			}
		}
	})
}

// The watchdog joins a network again that went away, and connections of before have ended.
func TestWatchdog(t *testing.T) {
	on(t, func(t *testing.T, b *understudytest.Bench, d *Device) {
		h := b.AddHost("echo.test")
		echo(t, h)
		events := make(chan netlink.Event, 10)
		d.NetNotify(func(e netlink.Event) { events <- e })
		p := params()
		p.WatchdogTimeout = 500 * time.Millisecond
		if err := d.NetConnect(p); err != nil {
			t.Fatal(err)
		}
		if e := <-events; e != netlink.EventNetUp {
			t.Error(e)
		}
		fd := tcp(t, d)
		if err := d.Connect(fd, "", at(h, 7)); err != nil {
			t.Fatal(err)
		}
		b.LoseWiFi()
		if e := <-events; e != netlink.EventNetDown {
			t.Error(e)
		}
		if _, err := d.Recv(fd, make([]byte, 10), 0, time.Time{}); err == nil {
			t.Error("received without a network")
		}
		if _, err := d.Send(fd, make([]byte, 10), 0, time.Time{}); err == nil {
			t.Error("sent without a network")
		}
		if err := d.Close(fd); err != nil {
			t.Error(err)
		}
		b.RestoreWiFi()
		if e := <-events; e != netlink.EventNetUp {
			t.Error(e)
		}
		fd = tcp(t, d)
		if err := d.Connect(fd, "", at(h, 7)); err != nil {
			t.Error(err)
		}
		d.Close(fd)
	})
}

// deaf is a bus without a module.
type deaf struct{ bus.Port }

func (deaf) Tx(_, r []byte) error { clear(r); return nil }
func (deaf) SetReset(bool) error  { return nil }
func (deaf) SetEnable(bool) error { return nil }
func (deaf) IRQ() (bool, error)   { return false, nil }
func (deaf) OnIRQ(func())         {}

func TestNoModule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New(deaf{}, Config{})
		p := params()
		p.Retries = 2
		if err := d.NetConnect(p); !errors.Is(err, netlink.ErrConnectFailed) {
			t.Error(err)
		}
		if _, err := d.GetHardwareAddr(); err == nil {
			t.Error("a module that is not there has a MAC")
		}
		d.NetDisconnect()
	})
}

func TestPort(t *testing.T) {
	p := NewPort(Wiring{SPI: controller{t: t, to: deaf{}, cs: &pin{}}, Reset: &pin{}, IRQ: &pin{get: func() bool { return false }}})
	fell := 0
	p.Fell()
	p.OnIRQ(func() { fell++ })
	p.Fell()
	low, err := p.IRQ()
	if err := errors.Join(err, p.Tx(nil, nil), p.Tx([]byte{1}, nil), p.SetEnable(true)); err != nil || !low || fell != 1 {
		t.Error(err, low, fell)
	}
}
