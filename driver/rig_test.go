package driver_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/understudytest"
	"github.com/understudy-net/understudy/wire"
)

// rig is a driver on the software device, in virtual time, with an eye on the
// air: tests of the pair, under the numbers of spec/driver-api.md section 5.
type rig struct {
	*understudytest.Bench
	t   *testing.T
	c   *driver.Client
	ev  []string // messages, events and verdicts, in order
	air []string // IP packets and ARP of the device and to it, as lines

	accepted []driver.Socket
}

var ctx = context.Background()

// onRig runs f as an actor, before the device has joined.
func onRig(t *testing.T, cfg understudytest.Config, f func(r *rig)) {
	t.Helper()
	b := understudytest.VirtualConfig(t, cfg)
	r := &rig{Bench: b, t: t, c: b.Client}
	b.World.Lock()
	b.Air.Tap(r.tap)
	b.World.Unlock()
	if err := b.Run(func() {
		check(t, r.c.OnSocket(func(s driver.Socket, m driver.Msg) {
			r.ev = append(r.ev, line(s, m))
			if m, ok := m.(driver.AcceptMsg); ok && m.Err == nil {
				r.accepted = append(r.accepted, m.Socket)
			}
		}))
		check(t, r.c.OnResolve(func(n string, a driver.Addr) { r.ev = append(r.ev, fmt.Sprint(n, " ", a)) }))
		f(r)
	}); err != nil {
		t.Error(err)
	}
}

// online is onRig with an address, and the air forgotten.
func onlineRig(t *testing.T, f func(r *rig)) {
	t.Helper()
	onRig(t, understudytest.Config{}, func(r *rig) {
		r.connect()
		if !r.until(20*time.Second, r.c.LinkUp) {
			t.Error("no link")
			return
		}
		r.forget()
		f(r)
	})
}

func (r *rig) connect() {
	r.t.Helper()
	check(r.t, r.c.Connect(r.BSS(), r.Auth(), func(e driver.ConnEvent) {
		r.ev = append(r.ev, fmt.Sprint(e.State, " ", e.Err))
	}))
}

func (r *rig) forget() { r.ev, r.air = nil, nil }

// until pumps until done or d has passed.
func (r *rig) until(d time.Duration, done func() bool) bool {
	for end := r.Now().Add(d); ; {
		if err := r.Driver.Tasks(); err != nil {
			r.t.Error("Tasks: ", err)
			return false
		}
		if done() {
			return true
		}
		if !r.Now().Before(end) {
			return false
		}
		r.Driver.Config().Idle(end)
	}
}

// pass lets d pass, pumping.
func (r *rig) pass(d time.Duration) { r.until(d, func() bool { return false }) }

// expect waits for events and compares them.
func (r *rig) expect(what string, d time.Duration, want ...string) {
	r.t.Helper()
	r.until(d, func() bool { return len(r.ev) >= len(want) })
	got := r.ev
	wantLines(r.t, what, &got, want...)
	r.ev = nil
}

func (r *rig) socket(t driver.SockType) driver.Socket {
	r.t.Helper()
	s, err := r.c.Socket(t, driver.Plain)
	check(r.t, err)
	return s
}

// dial is a connection of the device to the peer's port.
func (r *rig) dial(h *understudytest.Host, port int) driver.Socket {
	r.t.Helper()
	s := r.socket(driver.Stream)
	check(r.t, s.Connect(at(h, port)))
	r.expect("connect", 10*time.Second, fmt.Sprint(s.ID(), " CONNECT"))
	return s
}

// listen is a listener of the device.
func (r *rig) listen(port int) driver.Socket {
	r.t.Helper()
	s := r.socket(driver.Stream)
	check(r.t, s.Bind(addrPort(fmt.Sprint("0.0.0.0:", port))))
	check(r.t, s.Listen(0))
	r.expect("listen", time.Second, fmt.Sprint(s.ID(), " BIND"), fmt.Sprint(s.ID(), " LISTEN"))
	return s
}

// here is an address of the device, for peers.
func (r *rig) here(port int) string { return fmt.Sprintf("%v:%d", r.c.Addr(), port) }

// peerDial connects a peer to the device, pumping meanwhile.
func (r *rig) peerDial(h *understudytest.Host, port int) (c net.Conn, err error) {
	done := false
	r.Go(func() {
		c, err = h.Dial(ctx, "tcp", r.here(port))
		done = true
	})
	r.until(time.Minute, func() bool { return done })
	return c, err
}

// served is the connections that come to a port of a peer.
func (r *rig) served(h *understudytest.Host, port int) *[]net.Conn {
	r.t.Helper()
	var all []net.Conn
	l, err := h.Listen("tcp", fmt.Sprint(":", port))
	check(r.t, err)
	r.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all = append(all, c)
		}
	})
	return &all
}

// accept is one connection of a peer and its other end on the device.
func (r *rig) pair(h *understudytest.Host, port int) (driver.Socket, net.Conn) {
	r.t.Helper()
	all := r.served(h, port)
	s := r.dial(h, port)
	if !r.until(time.Second, func() bool { return len(*all) == 1 }) {
		r.t.Fatal("the peer accepts nothing")
	}
	return s, (*all)[0]
}

// tap writes frames down, once each: what the device sends, and what the access
// point sends to it.
func (r *rig) tap(now time.Time, f air.Frame) {
	if f.Kind != air.KindData {
		return
	}
	e, p, err := wire.ParseEthernet(f.Data)
	if err != nil {
		return
	}
	switch e.Type {
	case wire.EtherTypeARP:
		if a, err := wire.ParseARP(p); err == nil {
			r.air = append(r.air, fmt.Sprintf("%sARP %v %v > %v", r.side(f), a.Op, a.SenderIP, a.TargetIP))
		}
	case wire.EtherTypeIPv4:
		r.air = append(r.air, r.side(f)+ipLine(e, p))
	}
}

func (r *rig) side(f air.Frame) string {
	if f.From == understudytest.DeviceMAC {
		return "> "
	}
	return "< "
}

func ipLine(e wire.Ethernet, p []byte) string {
	h, p, err := wire.ParseIPv4(p)
	if err != nil {
		return "bad IPv4"
	}
	switch h.Proto {
	case wire.ProtoTCP:
		s, data, err := wire.ParseTCP(p, h.Src, h.Dst)
		if err != nil {
			return "bad TCP"
		}
		return fmt.Sprintf("TCP %d>%d %v len %d win %d", s.SrcPort, s.DstPort, s.Flags, len(data), s.Wnd)
	case wire.ProtoUDP:
		u, data, err := wire.ParseUDP(p, h.Src, h.Dst)
		if err != nil {
			return "bad UDP"
		}
		l := fmt.Sprintf("UDP %v:%d>%v:%d len %d", h.Src, u.SrcPort, h.Dst, u.DstPort, len(data))
		if e.Dst == wire.Broadcast {
			l += " broadcast"
		}
		if u.DstPort == 67 || u.SrcPort == 67 {
			l += dhcpType(data)
		}
		return l
	case wire.ProtoICMP:
		m, body, err := wire.ParseICMP(p)
		if err != nil {
			return "bad ICMP"
		}
		return fmt.Sprintf("ICMP %v %v>%v ttl %d len %d", m.Type, h.Src, h.Dst, h.TTL, len(body))
	}
	return fmt.Sprintf("IP %v>%v proto %v", h.Src, h.Dst, h.Proto)
}

// dhcpType is the message type, from the options.
func dhcpType(b []byte) string {
	names := []string{"?", "DISCOVER", "OFFER", "REQUEST", "DECLINE", "ACK", "NAK", "RELEASE"}
	for i := 240; i+2 < len(b) && b[i] != 255; {
		if b[i] == 0 {
			i++
			continue
		}
		if b[i] == 53 && int(b[i+2]) < len(names) {
			return " " + names[b[i+2]]
		}
		i += 2 + int(b[i+1])
	}
	return " DHCP?"
}

// saw counts the lines of the air that contain all parts.
func (r *rig) saw(parts ...string) (n int) {
	for _, l := range r.air {
		ok := true
		for _, p := range parts {
			ok = ok && strings.Contains(l, p)
		}
		if ok {
			n++
		}
	}
	return n
}

func (r *rig) wantAir(what string, n int, parts ...string) {
	r.t.Helper()
	if got := r.saw(parts...); got != n {
		r.t.Errorf("%s: %d lines with %q on the air, want %d:\n%s", what, got, parts, n, strings.Join(r.air, "\n"))
	}
}
