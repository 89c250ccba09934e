package stack

import (
	"net/netip"
	"testing"
	"time"

	"github.com/understudy-net/understudy/stack/dhcp"
	"github.com/understudy-net/understudy/stack/dns"
	"github.com/understudy-net/understudy/wire"
)

// Tests of addresses: RFC 5227 (ACD-1 to ACD-6), DHCP, and what stands on them.

func TestACD1_ACD3_ProbesAndAnnouncements(t *testing.T) {
	x := lone(t, scriptConf())
	x.s.ClearAddr(x.now)
	x.s.cfg.ACD = ACD{}
	begin := x.now
	if err := x.s.SetAddrTag(x.now, "addr", netip.PrefixFrom(addrA, 24), netip.Addr{}); err != nil {
		t.Fatal(err)
	}
	x.pass(30 * time.Second)
	if len(x.out) != 5 {
		t.Fatalf("%d frames", len(x.out))
	}
	var at []time.Duration
	for i, o := range x.out {
		_, b, _ := wire.ParseEthernet(o.frame)
		a, err := wire.ParseARP(b)
		if err != nil || a.Op != wire.ARPRequest || a.TargetIP != addrA || a.SenderIP.IsUnspecified() != (i < 3) {
			t.Fatalf("%d: %v", i, a)
		}
		at = append(at, o.at.Sub(begin))
	}
	if at[0] > time.Second || at[3]-at[2] != 2*time.Second || at[4]-at[3] != 2*time.Second {
		t.Fatalf("%v", at)
	}
	for i := 1; i < 3; i++ {
		if d := at[i] - at[i-1]; d < time.Second || d > 2*time.Second {
			t.Fatalf("%v", at)
		}
	}
	e := x.drainEvents()
	if len(e) != 1 || e[0].Flags != Configured || e[0].Tag != "addr" || e[0].Address.Prefix.Addr() != addrA {
		t.Fatalf("%+v", e)
	}
}

func TestACD2_E18_ConflictWhileProbing(t *testing.T) {
	for _, a := range []wire.ARP{
		{Op: wire.ARPReply, SenderMAC: peerMAC, SenderIP: addrA, TargetMAC: wire.MAC{2, 0, 0, 0, 0, 1}, TargetIP: netip.IPv4Unspecified()},
		{Op: wire.ARPRequest, SenderMAC: peerMAC, SenderIP: netip.IPv4Unspecified(), TargetIP: addrA},
	} {
		x := lone(t, scriptConf())
		x.s.ClearAddr(x.now)
		x.s.cfg.ACD = ACD{}
		x.s.SetAddr(x.now, netip.PrefixFrom(addrA, 24), netip.Addr{})
		x.pass(1500 * time.Millisecond)
		x.arpReply(a)
		x.pass(time.Minute)
		if x.s.Addr().IsValid() {
			t.Fatal("a taken address is in use")
		}
		if e := x.drainEvents(); len(e) != 1 || e[0].Flags != Conflict || e[0].Address.MAC != peerMAC || e[0].Address.Kept {
			t.Fatalf("%+v", e)
		}
		for _, o := range x.out {
			if _, b, _ := wire.ParseEthernet(o.frame); len(b) > 0 {
				if p, _ := wire.ParseARP(b); p.Op == wire.ARPReply {
					t.Fatal("ACD-6: a probe was answered")
				}
			}
		}
	}
}

// dhcpPair is a client a and a server b.
func dhcpPair(t *testing.T) *pair {
	p := newPair(t)
	p.a.ClearAddr(p.now)
	if _, err := p.b.ServeDHCP(p.now, dhcp.ServerConfig{Router: addrB, DNS: []netip.Addr{addrB}, LeaseTime: time.Hour}, nil); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDHCP(t *testing.T) {
	p := dhcpPair(t)
	p.a.cfg.ACD = ACD{Probes: 1, ProbeWait: -1, AnnounceWait: 200 * time.Millisecond}
	if err := p.a.UseDHCP(p.now, DHCPConfig{Tag: "dhcp"}); err != nil {
		t.Fatal(err)
	}
	p.pass(time.Second)
	e := p.events(p.a)
	if len(e) != 1 || e[0].Flags != Configured || e[0].Tag != "dhcp" || e[0].Address.Lease == nil {
		t.Fatalf("%+v", e)
	}
	l, ok := p.a.Lease()
	if !ok || p.a.Addr() != l.Addr || p.a.Gateway() != addrB || len(p.a.DNS()) != 1 {
		t.Fatalf("%+v", l)
	}
	p.pass(12 * time.Hour) // renewed again and again
	for _, e := range p.events(p.a) {
		if e.Flags != Configured {
			t.Fatalf("%+v", e)
		}
	}
	if p.a.Addr() != l.Addr {
		t.Fatal("the address was lost")
	}
	p.b.StopServingDHCP()
	a, _ := p.connect(80)
	a.SetTag("conn")
	p.pass(2 * time.Hour)
	lost, ended := false, false
	for _, e := range p.events(p.a) {
		lost = lost || e.Flags.Has(AddressLost)
		ended = ended || e.Tag == "conn" && e.Flags.Has(Closed)
	}
	if !lost || !ended || p.a.Addr().IsValid() {
		t.Fatalf("DC-12, X-05: lost %v, connection ended %v, address %v", lost, ended, p.a.Addr())
	}
}

func TestDC14_DeclinedAddress(t *testing.T) {
	p := dhcpPair(t)
	p.a.cfg.ACD = ACD{}
	taken := netip.Addr{}
	p.log = func(from int, f []byte) {
		h, b, _ := wire.ParseEthernet(f)
		if h.Type != wire.EtherTypeARP || from != 0 {
			return
		}
		a, _ := wire.ParseARP(b)
		if a.SenderIP.IsUnspecified() && (!taken.IsValid() || taken == a.TargetIP) {
			taken = a.TargetIP // somebody has the first one
			r := wire.Ethernet{Dst: wire.Broadcast, Src: peerMAC, Type: wire.EtherTypeARP}.Append(nil)
			p.q[1] = append(p.q[1], wire.ARP{Op: wire.ARPReply, SenderMAC: peerMAC, SenderIP: taken, TargetMAC: a.SenderMAC, TargetIP: netip.IPv4Unspecified()}.Append(r))
		}
	}
	p.a.UseDHCP(p.now, DHCPConfig{})
	p.pass(time.Minute)
	if !p.a.Addr().IsValid() || p.a.Addr().Addr() == taken {
		t.Fatalf("address %v, taken was %v", p.a.Addr(), taken)
	}
	e := p.events(p.a)
	if len(e) != 2 || e[0].Flags != Conflict || e[1].Flags != Configured {
		t.Fatalf("%+v", e)
	}
}

func TestDHCPFailedAndRelease(t *testing.T) {
	p := newPair(t)
	p.a.ClearAddr(p.now)
	p.a.UseDHCP(p.now, DHCPConfig{Tag: 1})
	p.pass(10 * time.Minute)
	if e := p.events(p.a); len(e) != 1 || e[0].Flags != DHCPFailed || e[0].Err == nil {
		t.Fatalf("%+v", e)
	}
	srv, err := p.b.ServeDHCP(p.now, dhcp.ServerConfig{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.pass(10 * time.Minute)
	if !p.a.Addr().IsValid() {
		t.Fatal("a late server is not found")
	}
	p.a.StopDHCP(p.now, true)
	p.run()
	if p.a.Addr().IsValid() || srv.Counters().Releases != 1 {
		t.Fatal("not released")
	}
}

func TestResolve(t *testing.T) {
	p := newPair(t)
	var names dns.Server
	many := make([]netip.Addr, 16)
	for i := range many {
		many[i] = netip.AddrFrom4([4]byte{10, 1, 0, byte(i)})
	}
	if err := names.Set("www.test", time.Minute, addrB); err != nil {
		t.Fatal(err)
	}
	names.Set("many.test", time.Minute, many...)
	p.b.ServeDNS(&names)
	p.a.SetAddr(p.now, netip.PrefixFrom(addrA, 24), netip.Addr{}, addrB)
	p.events(p.a)
	for _, n := range []string{"www.test", "none.test", "many.test"} {
		if err := p.a.Resolve(p.now, n, n); err != nil {
			t.Fatal(err)
		}
	}
	p.pass(time.Second)
	got := map[any]ResolveResult{}
	for _, e := range p.events(p.a) {
		if e.Flags == Resolved {
			got[e.Tag] = *e.Resolve
		}
	}
	if r := got["www.test"]; r.Err != nil || len(r.Addrs) != 1 || r.Addrs[0] != addrB {
		t.Errorf("%+v", r)
	}
	if r := got["none.test"]; r.Err == nil {
		t.Errorf("%+v", r)
	}
	if r := got["many.test"]; r.Err != nil || len(r.Addrs) != 16 {
		t.Errorf("%+v", r)
	}
	if err := p.a.Resolve(p.now, "no name", nil); err == nil {
		t.Error("resolves what is no name")
	}
	p.pass(time.Hour)
	if d := p.a.Deadline(); !d.IsZero() {
		t.Errorf("wants to be called at %v", d)
	}
}

func TestIP19_NoGateway(t *testing.T) {
	p := newPair(t)
	if _, err := p.a.Dial(p.now, netip.AddrPort{}, netip.MustParseAddrPort("192.0.2.1:80")); err != ErrUnreachable {
		t.Fatal(err)
	}
	if _, err := p.a.Ping(p.now, netip.MustParseAddr("192.0.2.1"), PingConfig{}); err != ErrUnreachable {
		t.Fatal(err)
	}
	if err := p.a.AddRoute(netip.MustParsePrefix("192.0.2.0/24"), addrB); err != nil {
		t.Fatal(err)
	}
	if _, err := p.a.Ping(p.now, netip.MustParseAddr("192.0.2.1"), PingConfig{Timeout: time.Second}); err != nil {
		t.Fatal(err)
	}
	p.pass(2 * time.Second)
	if e := p.events(p.a); len(e) != 1 || e[0].Ping.Err != ErrTimeout {
		t.Fatalf("%+v", e)
	}
	if p.b.stats.IP.NotForUs != 1 {
		t.Fatal("IP-11: b did not get, or did not drop, what is not for it")
	}
}

func TestIP20_PingNobody(t *testing.T) {
	p := newPair(t)
	p.a.Ping(p.now, netip.MustParseAddr("10.0.0.77"), PingConfig{Timeout: 10 * time.Second, Tag: 5})
	p.pass(20 * time.Second)
	if e := p.events(p.a); len(e) != 1 || e[0].Ping.Err != ErrUnreachable || e[0].Tag != 5 {
		t.Fatalf("%+v", e)
	}
	// A dial fails as soon as the neighbour is known not to answer.
	c, _ := p.a.Dial(p.now, netip.AddrPort{}, netip.MustParseAddrPort("10.0.0.77:80"))
	c.SetTag("c")
	p.pass(20 * time.Second)
	e := p.events(p.a)
	if len(e) != 1 || !e[0].Flags.Has(Connected) || e[0].Err != ErrUnreachable {
		t.Fatalf("%+v", e)
	}
}

func TestIP21_Broadcast(t *testing.T) {
	p := newPair(t)
	u, _ := p.b.ListenUDP(p.now, netip.MustParseAddrPort("0.0.0.0:9"), UDPConfig{})
	v, _ := p.a.ListenUDP(p.now, netip.AddrPort{}, UDPConfig{})
	var dst wire.MAC
	p.log = func(from int, f []byte) { copy(dst[:], f) }
	for _, a := range []string{"255.255.255.255:9", "10.0.0.255:9"} {
		if _, err := v.WriteTo(p.now, []byte("all"), netip.MustParseAddrPort(a)); err != nil {
			t.Fatal(err)
		}
		if dst != wire.Broadcast {
			t.Fatalf("sent to %v", dst)
		}
		p.run()
		var buf [10]byte
		if n, m, err := u.ReadMessage(p.now, buf[:]); err != nil || n != 3 || m.To != netip.MustParseAddrPort(a) {
			t.Fatal(n, m, err)
		}
	}
}

// gateway makes b promiscuous.
func gateway(t *testing.T) *pair {
	p := newPair(t, func(a, b *Config) { b.Promiscuous = true })
	p.a.SetAddr(p.now, netip.PrefixFrom(addrA, 24), addrB)
	p.events(p.a)
	return p
}

func TestGatewayHoldsConnections(t *testing.T) {
	p := gateway(t)
	far := netip.MustParseAddrPort("192.0.2.1:8080")
	l, err := p.b.Listen(p.now, netip.AddrPort{}, ListenConfig{AnyPort: true, Hold: true, Tag: "all"})
	if err != nil {
		t.Fatal(err)
	}
	held := func() TCP {
		e := p.events(p.b)
		if len(e) != 1 || e[0].Flags != Held || e[0].Tag != "all" {
			t.Fatalf("%+v", e)
		}
		if e[0].TCP.LocalAddr() != far {
			t.Fatal(e[0].TCP.LocalAddr())
		}
		return e[0].TCP
	}
	dial := func() TCP {
		c, err := p.a.Dial(p.now, netip.AddrPort{}, far)
		if err != nil {
			t.Fatal(err)
		}
		p.run()
		return c
	}
	// Accepted after a while; meanwhile the SYN comes again and is not answered.
	a := dial()
	p.pass(5 * time.Second)
	if a.State().String() != "SYN-SENT" {
		t.Fatal(a.State())
	}
	b := held()
	if err := b.Accept(p.now); err != nil {
		t.Fatal(err)
	}
	b.SetTag("b")
	p.run()
	if e := p.events(p.b); len(e) != 1 || !e[0].Flags.Has(Connected) || e[0].Tag != "b" || e[0].Err != nil {
		t.Fatalf("%+v", e)
	}
	a.Write(p.now, []byte("through"))
	p.run()
	if got := p.read(b); got != "through" {
		t.Fatalf("%q", got)
	}
	b.Close(p.now)
	a.Close(p.now)
	p.run()
	// Refused.
	a = dial()
	held().Refuse(p.now)
	p.run()
	if got := p.read(a); got != "<connection refused>" {
		t.Fatalf("%q", got)
	}
	// Dropped: the dialer goes on trying.
	a = dial()
	held().Drop(p.now)
	p.run()
	if a.State().String() != "SYN-SENT" {
		t.Fatal(a.State())
	}
	p.pass(time.Second)
	b = held()
	a.Abort(p.now)
	l.Close(p.now)
	p.run()
	if b.Valid() {
		t.Fatal("a held connection outlived its listener")
	}
	if len(p.b.tcps) > 1 {
		t.Fatalf("%d connections are left", len(p.b.tcps))
	}
}

func TestGatewayDatagramsAndPings(t *testing.T) {
	p := gateway(t)
	far := netip.MustParseAddrPort("192.0.2.1:53")
	p.b.HandleUDP(func(now time.Time, src, dst netip.AddrPort, payload []byte) bool {
		if dst != far {
			return false
		}
		p.b.SendUDP(now, dst, src, append([]byte("re: "), payload...))
		return true
	})
	p.b.HandleEcho(func(now time.Time, src, dst netip.Addr, id, seq uint16, ttl uint8, payload []byte) bool {
		p.b.SendEchoReply(now, dst, src, id, seq, payload)
		return true
	})
	u, _ := p.a.ListenUDP(p.now, netip.AddrPort{}, UDPConfig{})
	u.WriteTo(p.now, []byte("question"), far)
	p.run()
	var buf [100]byte
	n, from, err := u.ReadFrom(p.now, buf[:])
	if err != nil || from != far || string(buf[:n]) != "re: question" {
		t.Fatalf("%q from %v, %v", buf[:n], from, err)
	}
	p.a.Ping(p.now, far.Addr(), PingConfig{})
	p.run()
	if e := p.events(p.a); len(e) != 2 && (len(e) != 1 || e[0].Ping.From != far.Addr()) {
		t.Fatalf("%+v", e)
	}
	// A port that the gateway does not serve, told by ICMP from the foreign address.
	u.Connect(p.now, netip.MustParseAddrPort("192.0.2.1:99"))
	u.WriteTo(p.now, []byte("x"), netip.AddrPort{})
	p.run()
	if _, _, err := u.ReadFrom(p.now, buf[:]); err != ErrPort {
		t.Fatal(err)
	}
}

func TestClearAddrKeepsConnections(t *testing.T) {
	p := dhcpPair(t)
	p.a.UseDHCP(p.now, DHCPConfig{})
	p.pass(10 * time.Second)
	prefix := p.a.Addr()
	a, b := p.connect(80)
	p.a.ClearAddr(p.now)
	a.Write(p.now, []byte("later"))
	p.pass(2 * time.Second)
	if got := p.read(b); got != "" {
		t.Fatalf("%q was sent without an address", got)
	}
	p.a.SetAddr(p.now, prefix, netip.Addr{})
	p.pass(10 * time.Second)
	if got := p.read(b); got != "later" {
		t.Fatalf("%q", got)
	}
}

func TestResolveOverTCP(t *testing.T) {
	// An answer that is truncated over UDP is asked for again over TCP.
	p := newPair(t)
	p.a.SetAddr(p.now, netip.PrefixFrom(addrA, 24), netip.Addr{}, addrB)
	p.events(p.a)
	var names dns.Server
	names.Set("big.test", time.Minute, addrB)
	p.b.HandleUDP(func(now time.Time, src, dst netip.AddrPort, payload []byte) bool {
		r, ok := names.Reply(nil, payload)
		if ok {
			r[2] |= 2 // TC
			p.b.SendUDP(now, dst, src, r)
		}
		return true
	})
	l, _ := p.b.Listen(p.now, netip.AddrPortFrom(addrB, 53), ListenConfig{})
	if err := p.a.Resolve(p.now, "big.test", "tag"); err != nil {
		t.Fatal(err)
	}
	p.run()
	c, err := l.Accept(p.now)
	if err != nil {
		t.Fatal(err)
	}
	var q [512]byte
	n, err := c.Read(p.now, q[:])
	if err != nil {
		t.Fatal(err)
	}
	r, _ := names.Reply(nil, q[2:n])
	c.Write(p.now, append([]byte{byte(len(r) >> 8), byte(len(r))}, r...))
	c.Close(p.now)
	p.run()
	e := p.events(p.a)
	if len(e) != 1 || e[0].Tag != "tag" || e[0].Resolve.Err != nil || len(e[0].Resolve.Addrs) != 1 {
		t.Fatalf("%+v", e)
	}
	p.pass(10 * time.Minute)
	if len(p.a.tcps) != 0 || p.a.Deadline() != (time.Time{}) {
		t.Fatal("something is left")
	}
}

func TestARP9_NothingIsKnownAfterAChange(t *testing.T) {
	p := newPair(t)
	p.a.Ping(p.now, addrB, PingConfig{})
	p.run()
	if len(p.a.Neighbors()) != 1 {
		t.Fatal(p.a.Neighbors())
	}
	p.a.ClearAddr(p.now)
	if len(p.a.Neighbors()) != 0 {
		t.Fatal(p.a.Neighbors())
	}
}

func TestIP22_MUST48_MUST49_TOSAndTTL(t *testing.T) {
	p := newPair(t)
	var tos, ttl byte
	p.log = func(from int, f []byte) {
		if from == 0 && f[12] == 8 && f[13] == 0 {
			tos, ttl = f[ethLen+1], f[ethLen+8]
		}
	}
	a, _ := p.connect(80)
	a.SetTOS(0xb8)
	a.SetTTL(9)
	a.Write(p.now, []byte("x"))
	if tos != 0xb8 || ttl != 9 {
		t.Fatal(tos, ttl)
	}
	p.run()
	u, _ := p.a.ListenUDP(p.now, netip.AddrPort{}, UDPConfig{TTL: 3, TOS: 0x20})
	u.WriteTo(p.now, nil, netip.AddrPortFrom(addrB, 9))
	if tos != 0x20 || ttl != 3 {
		t.Fatal(tos, ttl)
	}
	p.pass(time.Second) // the ACK of the first write
	a.SetTTL(0)
	a.Write(p.now, []byte("x"))
	p.run()
	if ttl != 64 {
		t.Fatal(ttl)
	}
}

func TestPingTTLExceeded(t *testing.T) {
	// What a router would say, with the request quoted; ICMP-8, ICMP-15.
	x := lone(t, scriptConf())
	id, err := x.s.Ping(x.now, netip.MustParseAddr("192.0.2.1"), PingConfig{TTL: 1, Tag: 1})
	if err != nil {
		t.Fatal(err)
	}
	x.arpReply(wire.ARP{Op: wire.ARPReply, SenderMAC: peerMAC, SenderIP: netip.MustParseAddr("10.0.0.254"), TargetMAC: x.s.cfg.MAC, TargetIP: addrA})
	sent := x.out[len(x.out)-1].frame
	if sent[ethLen+8] != 1 {
		t.Fatal("TTL")
	}
	x.s.Input(x.now, x.ipFrom(netip.MustParseAddr("10.0.0.254"), addrA, wire.ProtoICMP, wire.ICMP{Type: wire.ICMPTimeExceeded}.Append(nil, sent[ethLen:])))
	e := x.drainEvents()
	if len(e) != 1 || e[0].Ping.ID != id || e[0].Ping.Err != ErrTTLExceeded || e[0].Ping.From != netip.MustParseAddr("10.0.0.254") {
		t.Fatalf("%+v", e)
	}
	// A late reply is ignored.
	x.s.Input(x.now, x.ipFrom(netip.MustParseAddr("192.0.2.1"), addrA, wire.ProtoICMP, wire.ICMP{Type: wire.ICMPEchoReply, ID: uint16(id >> 16), Seq: uint16(id)}.Append(nil, nil)))
	if e := x.drainEvents(); len(e) != 0 {
		t.Fatalf("%+v", e)
	}
}
