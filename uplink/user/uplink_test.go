package user

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/wire"
	"github.com/understudy-net/understudy/world"
)

func TestDeviceGetsAddressAndNamesByDHCP(t *testing.T) {
	at := listen(t, func(c *net.TCPConn) { io.WriteString(c, "hello") })
	b := newBench(t, Config{AllowHost: true})
	b.with(func(now time.Time) { b.s.ClearAddr(now) })
	got, err := b.net.UseDHCP(t.Context(), stack.DHCPConfig{})
	if err != nil || got != netip.MustParsePrefix("10.77.0.10/24") {
		t.Fatalf("%v, %v", got, err)
	}
	b.with(func(time.Time) {
		gateway := netip.MustParseAddr("10.77.0.1")
		if b.s.Gateway() != gateway || len(b.s.DNS()) != 1 || b.s.DNS()[0] != gateway {
			t.Errorf("gateway %v, DNS %v", b.s.Gateway(), b.s.DNS())
		}
	})
	_, port, _ := net.SplitHostPort(at.String())
	c := b.dial(net.JoinHostPort("host.internal", port))
	defer c.Close()
	if s, err := io.ReadAll(c); err != nil || string(s) != "hello" {
		t.Errorf("%q, %v", s, err)
	}
}

func TestOtherPrefix(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	u, err := New(Config{World: w, Output: func(time.Time, []byte) {}, Prefix: netip.MustParsePrefix("192.168.9.77/25")})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	if u.Gateway() != netip.MustParsePrefix("192.168.9.1/25") || u.Host() != netip.MustParseAddr("192.168.9.2") {
		t.Errorf("gateway %v, host %v", u.Gateway(), u.Host())
	}
}

func TestConfigsThatCannotBe(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	out := func(time.Time, []byte) {}
	for _, c := range []Config{
		{},
		{World: w},
		{Output: out},
		{World: w, Output: out, MAC: wire.Broadcast},
		{World: w, Output: out, Prefix: netip.MustParsePrefix("10.0.0.0/30")},
		{World: w, Output: out, Prefix: netip.MustParsePrefix("0.0.0.0/0")},
		{World: w, Output: out, Prefix: netip.MustParsePrefix("127.0.0.0/24")},
		{World: w, Output: out, Prefix: netip.MustParsePrefix("224.0.0.0/24")},
		{World: w, Output: out, Prefix: netip.MustParsePrefix("2001:db8::/64")},
	} {
		if u, err := New(c); err == nil {
			u.Close()
			t.Errorf("%+v: no error", c)
		} else if !strings.HasPrefix(err.Error(), "uplink/user: ") {
			t.Errorf("%v", err)
		}
	}
}

func TestARPIsAnsweredForGatewayAndHostOnly(t *testing.T) {
	b := newBench(t, Config{})
	answered := make(chan netip.Addr, 10)
	b.with(func(now time.Time) {
		b.cable.tap = func(up bool, eth []byte) {
			if a, err := wire.ParseARP(eth[14:]); !up && err == nil && a.Op == wire.ARPReply {
				answered <- a.SenderIP
			}
		}
		for _, ip := range []string{"10.77.0.3", "10.77.0.11", "192.0.2.1", "10.77.0.2", "10.77.0.1"} {
			eth := wire.Ethernet{Dst: wire.Broadcast, Src: deviceMAC, Type: wire.EtherTypeARP}.Append(nil)
			eth = wire.ARP{Op: wire.ARPRequest, SenderMAC: deviceMAC, SenderIP: b.addr, TargetIP: netip.MustParseAddr(ip)}.Append(eth)
			b.u.Input(now, eth)
		}
	})
	for _, want := range []string{"10.77.0.2", "10.77.0.1"} {
		if got := <-answered; got != netip.MustParseAddr(want) {
			t.Errorf("answered for %v, want %s", got, want)
		}
	}
	if len(answered) > 0 {
		t.Errorf("answered for %v as well", <-answered)
	}
}

func TestInputAfterCloseIsCounted(t *testing.T) {
	b := newBench(t, Config{})
	b.u.Close()
	b.input(b.datagramFrom(1, "192.0.2.1:7", "x"))
	if s := b.u.Stats(); s.InputClosed != 1 || s.UDP.Active != 0 {
		t.Errorf("%+v", s)
	}
}

func TestEventsPrint(t *testing.T) {
	src, dst := netip.MustParseAddrPort("10.77.0.10:1000"), netip.MustParseAddrPort("169.254.169.254:80")
	for _, c := range []struct {
		e    Event
		want string
	}{
		{
			Event{Proto: wire.ProtoTCP, Src: src, Dst: dst, Reason: ReasonMetadata},
			"TCP 10.77.0.10:1000 > 169.254.169.254:80: cloud metadata addresses are closed",
		},
		{
			Event{Proto: wire.ProtoICMP, Src: netip.AddrPortFrom(src.Addr(), 0), Dst: netip.AddrPortFrom(dst.Addr(), 0), Reason: ReasonNoPing, Err: io.EOF},
			"ICMP 10.77.0.10 > 169.254.169.254: this host forbids ping (EOF)",
		},
	} {
		if got := c.e.String(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestRepeatedRefusalsAreToldOnceInAWhile(t *testing.T) {
	r := reporter{events: make(chan Event, 100)}
	e := Event{
		At: world.Epoch, Proto: wire.ProtoTCP,
		Src: netip.MustParseAddrPort("10.77.0.10:1000"), Dst: netip.MustParseAddrPort("192.0.2.1:80"),
	}
	report := func(after time.Duration, port uint16, want int) {
		t.Helper()
		e.At = world.Epoch.Add(after)
		e.Dst = netip.AddrPortFrom(e.Dst.Addr(), port)
		r.report(e)
		if len(r.events) != want {
			t.Errorf("after %v: %d told, want %d", after, len(r.events), want)
		}
	}
	report(0, 80, 1)
	report(time.Second, 80, 1)
	report(time.Second, 81, 2)
	report(9*time.Second, 80, 2)
	report(10*time.Second, 80, 3)
	report(11*time.Second, 80, 3)
	for i := range uint16(toldSlots) {
		report(12*time.Second, 1000+i, 4+int(i)) // pushes the older ones out
	}
	report(12*time.Second, 80, 4+toldSlots)
}

func TestSlowLogDelaysNobody(t *testing.T) {
	release := make(chan struct{})
	var told int
	b := newBench(t, Config{Log: func(Event) { <-release; told++ }})
	for i := range 400 {
		b.input(b.datagramFrom(1, fmt.Sprintf("169.254.169.254:%d", 1+i), "x"))
	}
	s := b.u.Stats()
	if s.Refused.Of(ReasonMetadata) != 400 || s.EventsDropped < 400-eventsMax-1 {
		t.Errorf("%d refused, %d events dropped", s.Refused.Of(ReasonMetadata), s.EventsDropped)
	}
	close(release)
	b.u.Close()
	if told+int(s.EventsDropped) != 400 {
		t.Errorf("%d told and %d dropped of 400", told, s.EventsDropped)
	}
}
