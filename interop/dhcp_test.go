package interop

import (
	"bytes"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/understudy-net/understudy/stack/dhcp"
	"github.com/understudy-net/understudy/wire"
)

var (
	serverAddr = netip.MustParsePrefix("10.0.0.1/24")
	clientMAC  = wire.MAC{2, 0, 0, 0, 0, 9}
	start      = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

// Each message that we write, insomniacslk/dhcp reads as it was meant; what it writes
// back of what it read, we read as what it was.
func TestDHCPMessagesAsAnotherCodecReadsThem(t *testing.T) {
	each(t, func(t *testing.T, d dice) {
		m := d.dhcp()
		b := m.Append(nil, nil)
		o, err := dhcpv4.FromBytes(b)
		if err != nil {
			t.Fatalf("%v: %v", &m, err)
		}
		sameDHCP(t, o, &m)
		again, err := dhcp.Parse(o.ToBytes())
		if err != nil {
			t.Fatalf("of what it wrote: %v", err)
		}
		if !bytes.Equal(again.Append(nil, nil), b) {
			t.Errorf("of what it wrote we read %v; it was %v", &again, &m)
		}
	})
}

func (d dice) dhcp() dhcp.Message {
	addrs := func() []netip.Addr {
		l := make([]netip.Addr, 1+d.IntN(4))
		for i := range l {
			l[i] = d.addr()
		}
		return l
	}
	m := dhcp.Message{Op: dhcp.Op(1 + d.IntN(2)), XID: d.Uint32(), Secs: uint16(d.Uint32()), Broadcast: d.IntN(2) == 0, MAC: d.mac(),
		Type: dhcp.MessageType(1 + d.IntN(8))}
	for _, set := range []func(){
		func() { m.ClientIP = d.addr() },
		func() { m.YourIP, m.ServerIP, m.GatewayIP = d.addr(), d.addr(), d.addr() },
		func() { m.Mask, m.Routers = netip.MustParseAddr("255.255.240.0"), addrs() },
		func() { m.DNS, m.NTP = addrs(), addrs() },
		func() { m.Hostname, m.Domain = "understudy-7", "example.test" },
		func() { m.RequestedIP, m.ServerID = d.addr(), d.addr() },
		func() { m.LeaseTime, m.T1, m.T2 = d.Uint32()|1, d.Uint32()|1, d.Uint32()|1 },
		func() { m.Params = []byte{1, 3, 6, 15, 42} },
		func() { m.Text, m.MaxSize = "no such network", uint16(576+d.IntN(1000)) },
		func() { m.ClientID = append([]byte{1}, m.MAC[:]...) },
		func() {
			m.HasRoutes, m.Routes = true, []dhcp.Route{{To: netip.PrefixFrom(d.addr(), 9).Masked(), Via: d.addr()}}
		},
	} {
		if d.IntN(2) == 0 {
			set()
		}
	}
	return m
}

func sameDHCP(t *testing.T, o *dhcpv4.DHCPv4, m *dhcp.Message) {
	t.Helper()
	ip := func(what string, got net.IP, want netip.Addr) {
		if a, _ := netip.AddrFromSlice(got); a.Unmap() != want && !(!want.IsValid() && (got == nil || a.Unmap() == netip.IPv4Unspecified())) {
			t.Errorf("%s: %v, ours was %v", what, got, want)
		}
	}
	ips := func(what string, got []net.IP, want []netip.Addr) {
		l := make([]netip.Addr, len(got))
		for i := range got {
			a, _ := netip.AddrFromSlice(got[i])
			l[i] = a.Unmap()
		}
		if !slices.Equal(l, want) {
			t.Errorf("%s: %v, ours was %v", what, got, want)
		}
	}
	ip("ciaddr", o.ClientIPAddr, m.ClientIP)
	ip("yiaddr", o.YourIPAddr, m.YourIP)
	ip("siaddr", o.ServerIPAddr, m.ServerIP)
	ip("giaddr", o.GatewayIPAddr, m.GatewayIP)
	ip("requested", o.RequestedIPAddress(), m.RequestedIP)
	ip("server", o.ServerIdentifier(), m.ServerID)
	ips("routers", o.Router(), m.Routers)
	ips("DNS", o.DNS(), m.DNS)
	ips("NTP", o.NTPServers(), m.NTP)
	seconds := func(v uint32) time.Duration { return time.Duration(v) * time.Second }
	for _, c := range []struct{ got, want any }{
		{uint8(o.OpCode), uint8(m.Op)}, {uint8(o.MessageType()), uint8(m.Type)}, {o.NumSeconds, m.Secs}, {o.IsBroadcast(), m.Broadcast},
		{uint32(o.TransactionID[0])<<24 | uint32(o.TransactionID[1])<<16 | uint32(o.TransactionID[2])<<8 | uint32(o.TransactionID[3]), m.XID},
		{o.ClientHWAddr.String(), m.MAC.String()}, {o.HostName(), m.Hostname}, {o.DomainName(), m.Domain}, {o.Message(), m.Text},
		{o.IPAddressLeaseTime(0), seconds(m.LeaseTime)}, {o.IPAddressRenewalTime(0), seconds(m.T1)}, {o.IPAddressRebindingTime(0), seconds(m.T2)},
		{string(o.GetOneOption(dhcpv4.OptionClientIdentifier)), string(m.ClientID)},
	} {
		if c.got != c.want {
			t.Errorf("it reads %v, ours was %v in %v", c.got, c.want, m)
		}
	}
	for i, r := range o.ClasslessStaticRoute() {
		if r.Dest.String() != m.Routes[i].To.String() || r.Router.String() != m.Routes[i].Via.String() {
			t.Errorf("route %v, ours was %v", r, m.Routes[i])
		}
	}
	if len(o.ClasslessStaticRoute()) != len(m.Routes) {
		t.Errorf("%d routes, ours were %d", len(o.ClasslessStaticRoute()), len(m.Routes))
	}
}

// An exchange in which the other side is made of insomniacslk/dhcp's messages.
func TestDHCPServerGivesAnotherClientALease(t *testing.T) {
	s, err := dhcp.NewServer(dhcp.ServerConfig{Addr: serverAddr, Router: serverAddr.Addr(), DNS: []netip.Addr{serverAddr.Addr()}, LeaseTime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(m *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		t.Helper()
		s.Input(start, clientMAC, m.ToBytes())
		b, _, _, ok := s.Output(start, nil)
		if !ok {
			t.Fatalf("no answer to %v: %+v", m.MessageType(), s.Counters())
		}
		r, err := dhcpv4.FromBytes(b)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	discover, err := dhcpv4.NewDiscovery(clientMAC[:])
	if err != nil {
		t.Fatal(err)
	}
	offer := ask(discover)
	request, err := dhcpv4.NewRequestFromOffer(offer)
	if err != nil {
		t.Fatal(err)
	}
	ack := ask(request)
	if ack.MessageType() != dhcpv4.MessageTypeAck || !ack.YourIPAddr.Equal(offer.YourIPAddr) || ack.IPAddressLeaseTime(0) != time.Hour ||
		!ack.Router()[0].Equal(serverAddr.Addr().AsSlice()) || net.IP(ack.SubnetMask()).String() != "255.255.255.0" {
		t.Errorf("got %v", ack.Summary())
	}
	release, err := dhcpv4.NewReleaseFromACK(ack)
	if err != nil {
		t.Fatal(err)
	}
	s.Input(start, clientMAC, release.ToBytes())
	if l := s.Leases(); len(l) != 1 || l[0].State != dhcp.LeaseFree {
		t.Errorf("after RELEASE: %v", l)
	}
}

func TestDHCPClientTakesALeaseOfAnotherServer(t *testing.T) {
	c, err := dhcp.NewClient(dhcp.ClientConfig{MAC: clientMAC, Rand: rand.NewPCG(1, 1), Hostname: "understudy"})
	if err != nil {
		t.Fatal(err)
	}
	c.Start(start)
	for _, typ := range []dhcpv4.MessageType{dhcpv4.MessageTypeOffer, dhcpv4.MessageTypeAck} {
		c.Advance(start)
		b, _, _, ok := c.Output(start, nil)
		if !ok {
			t.Fatal("the client is silent")
		}
		q, err := dhcpv4.FromBytes(b)
		if err != nil {
			t.Fatal(err)
		}
		if q.HostName() != "understudy" || !q.IsOptionRequested(dhcpv4.OptionRouter) {
			t.Errorf("asked %v", q.Summary())
		}
		r, err := dhcpv4.NewReplyFromRequest(q, dhcpv4.WithMessageType(typ), dhcpv4.WithYourIP(net.IPv4(10, 0, 0, 77)),
			dhcpv4.WithServerIP(net.IPv4(10, 0, 0, 1)), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 0, 0, 1))),
			dhcpv4.WithNetmask(net.CIDRMask(24, 32)), dhcpv4.WithRouter(net.IPv4(10, 0, 0, 1)), dhcpv4.WithDNS(net.IPv4(10, 0, 0, 2)),
			dhcpv4.WithLeaseTime(7200))
		if err != nil {
			t.Fatal(err)
		}
		c.Input(start, r.ToBytes())
	}
	l, ok := c.Lease()
	if !ok || l.Addr.String() != "10.0.0.77/24" || l.Router.String() != "10.0.0.1" || len(l.DNS) != 1 || l.DNS[0].String() != "10.0.0.2" ||
		l.Expiry.Sub(l.Obtained) != 2*time.Hour {
		t.Errorf("lease %+v, %+v", l, c.Counters())
	}
}
