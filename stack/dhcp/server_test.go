package dhcp

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/understudy-net/understudy/wire"
)

// serverTest drives one server.
type serverTest struct {
	*testing.T
	s   *Server
	now time.Time
}

func newServerTest(t *testing.T, f func(*ServerConfig)) *serverTest {
	t.Helper()
	c := ServerConfig{
		Addr: netip.MustParsePrefix("192.168.5.1/24"), First: leased, Last: addr("192.168.5.103"),
		Router: server, DNS: []netip.Addr{server}, Domain: "example", NTP: []netip.Addr{addr("192.0.2.123")},
	}
	if f != nil {
		f(&c)
	}
	s, err := NewServer(c)
	if err != nil {
		t.Fatal(err)
	}
	return &serverTest{t, s, t0}
}

// got is what a server sent.
type got struct {
	Message
	dst netip.AddrPort
	mac wire.MAC
}

// ask gives the server a message and returns its answer, or nil.
func (t *serverTest) ask(m Message) *got {
	t.Helper()
	return t.askFrom(m.MAC, m)
}

func (t *serverTest) askFrom(link wire.MAC, m Message) *got {
	t.Helper()
	m.Op = BootRequest
	t.s.Input(t.now, link, m.Append(nil, nil))
	b, dst, mac, ok := t.s.Output(t.now, nil)
	if !ok {
		return nil
	}
	a, err := Parse(b)
	if err != nil {
		t.Fatalf("the server sent what cannot be read: %v", err)
	}
	if _, _, _, more := t.s.Output(t.now, nil); more {
		t.Fatal("two answers to one question")
	}
	return &got{a, dst, mac}
}

func (t *serverTest) want(why string, g *got, typ MessageType, ip string) *got {
	t.Helper()
	if g == nil || g.Type != typ {
		t.Fatalf("%s: answer %v, want %v", why, g, typ)
	}
	if want, _ := netip.ParseAddr(ip); g.YourIP != want {
		t.Fatalf("%s: %v %v, want %v", why, typ, g.YourIP, want)
	}
	return g
}

func (t *serverTest) wantSilence(why string, g *got) {
	t.Helper()
	if g != nil {
		t.Fatalf("%s: answer %v, want none", why, g.String())
	}
}

func station(n int) wire.MAC { return wire.MAC{2, 0, 0, byte(n >> 16), byte(n >> 8), byte(n)} }

func discover(n int) Message { return Message{XID: 7, MAC: station(n), Type: Discover} }

// selecting is the REQUEST for an offer.
func selecting(n int, ip netip.Addr) Message {
	return Message{XID: 7, MAC: station(n), Type: Request, RequestedIP: ip, ServerID: server}
}

// bind leases an address to station n.
func (t *serverTest) bind(n int) netip.Addr {
	t.Helper()
	o := t.ask(discover(n))
	if o == nil {
		t.Fatalf("no offer for station %d", n)
	}
	t.want("request", t.ask(selecting(n, o.YourIP)), Ack, o.YourIP.String())
	return o.YourIP
}

// DS-1, DS-2: what an OFFER holds (RFC 2131, table 3; RFC 6842).
func TestDS1_DS2_APD03_Offer(t0 *testing.T) {
	t := newServerTest(t0, nil)
	q := discover(1)
	q.ClientID = []byte{1, 9, 9}
	g := t.want("discover", t.ask(q), Offer, "192.168.5.100")
	want := Message{
		Op: BootReply, XID: 7, YourIP: leased, MAC: station(1), Type: Offer, Mask: mask24, ServerID: server, LeaseTime: 3600,
		Routers: []netip.Addr{server}, DNS: []netip.Addr{server}, NTP: []netip.Addr{addr("192.0.2.123")}, Domain: "example",
		ClientID: []byte{1, 9, 9},
	}
	if !reflect.DeepEqual(g.Message, want) {
		t.Errorf("sent %+v\nwant %+v", g.Message, want)
	}
	a := t.want("request", t.ask(Message{XID: 7, MAC: station(1), Type: Request, RequestedIP: leased, ServerID: server, ClientID: q.ClientID}), Ack, "192.168.5.100")
	want.Type = Ack
	if !reflect.DeepEqual(a.Message, want) {
		t.Errorf("sent %+v\nwant %+v", a.Message, want)
	}
}

// DS-3: where replies go (RFC 2131, 4.1).
func TestDS3_V05_Addressing(t0 *testing.T) {
	relay := addr("192.168.5.9")
	for name, tt := range map[string]struct {
		f   func(*Message)
		dst string
		mac wire.MAC
	}{
		"unicast to yiaddr":       {func(m *Message) {}, "192.168.5.100:68", station(1)},
		"broadcast flag":          {func(m *Message) { m.Broadcast = true }, "255.255.255.255:68", wire.Broadcast},
		"relay":                   {func(m *Message) { m.GatewayIP = relay }, "192.168.5.9:67", wire.MAC{}},
		"NAK":                     {func(m *Message) { m.Type, m.RequestedIP = Request, addr("10.0.0.1") }, "255.255.255.255:68", wire.Broadcast},
		"INFORM: ciaddr":          {func(m *Message) { m.Type, m.ClientIP = Inform, addr("192.168.5.77") }, "192.168.5.77:68", station(1)},
		"NAK ignores ciaddr":      {func(m *Message) { m.Type, m.ClientIP = Request, addr("10.0.0.1") }, "255.255.255.255:68", wire.Broadcast},
		"NAK through a relay":     {func(m *Message) { m.Type, m.RequestedIP, m.GatewayIP = Request, addr("10.0.0.1"), relay }, "192.168.5.9:67", wire.MAC{}},
		"ciaddr before broadcast": {func(m *Message) { m.Type, m.ClientIP, m.Broadcast = Inform, addr("192.168.5.77"), true }, "192.168.5.77:68", station(1)},
	} {
		t := newServerTest(t0, func(c *ServerConfig) { c.Relays = true })
		m := discover(1)
		tt.f(&m)
		g := t.ask(m)
		if g == nil || g.dst.String() != tt.dst || g.mac != tt.mac {
			t.Errorf("%s: %+v, want it to go to %s, %v", name, g, tt.dst, tt.mac)
		}
		if g.Type == Nak && m.GatewayIP.IsValid() && !g.Broadcast {
			t.Errorf("%s: the relay is not told to broadcast", name)
		}
	}
	t := newServerTest(t0, nil)
	m := discover(1)
	m.GatewayIP = relay
	t.wantSilence("V-05: no relays here", t.ask(m))
	t = newServerTest(t0, func(c *ServerConfig) { c.Relays = true })
	m.GatewayIP = addr("10.0.0.9")
	t.wantSilence("V-05: relay on a network without a pool", t.ask(m))
}

// DS-4: the same client, the same address: current, expired, requested, pool (RFC 2131, 4.3.1).
func TestDS4_DS10_APD09_SameClientSameAddress(t0 *testing.T) {
	t := newServerTest(t0, nil)
	t.bind(1)
	two := t.bind(2)
	t.want("current", t.ask(discover(2)), Offer, two.String())
	t.now = t.now.Add(2 * time.Hour)
	t.want("expired", t.ask(discover(2)), Offer, two.String())
	t.want("request", t.ask(selecting(2, two)), Ack, two.String())
	t.wantSilence("release", t.ask(Message{MAC: station(2), Type: Release, ClientIP: two, ServerID: server}))
	t.want("DS-10 released, but remembered", t.ask(discover(2)), Offer, two.String())
	m := discover(3)
	m.RequestedIP = addr("192.168.5.103")
	t.want("requested", t.ask(m), Offer, "192.168.5.103")
	m = discover(4)
	m.RequestedIP = two
	t.want("requested, but taken", t.ask(m), Offer, "192.168.5.102")
}

// DS-5, V-03: who a client is.
func TestDS5_V03_ClientKey(t0 *testing.T) {
	t := newServerTest(t0, nil)
	with := func(mac int, id ...byte) Message {
		m := discover(mac)
		m.ClientID = id
		return m
	}
	t.want("by identifier", t.ask(with(1, 0, 'a')), Offer, "192.168.5.100")
	t.want("the same identifier, another MAC", t.ask(with(2, 0, 'a')), Offer, "192.168.5.100")
	t.want("another identifier", t.ask(with(2, 0, 'b')), Offer, "192.168.5.101")
	t.want("identifier of one byte: the MAC counts", t.ask(with(3, 7)), Offer, "192.168.5.102")
	t.want("none: the same", t.ask(with(3)), Offer, "192.168.5.102")
	t.want("too long: the same", t.ask(with(3, make([]byte, 255)...)), Offer, "192.168.5.102")
	t.want("all zero is one like others", t.ask(with(4, 0, 0, 0)), Offer, "192.168.5.103")
}

// DS-6: the client took another server's offer.
func TestDS6_OtherServerChosen(t0 *testing.T) {
	t := newServerTest(t0, func(c *ServerConfig) { c.Last = leased })
	t.want("offer", t.ask(discover(1)), Offer, "192.168.5.100")
	m := selecting(1, addr("192.168.5.50"))
	m.ServerID = addr("192.168.5.2")
	t.wantSilence("another server", t.ask(m))
	t.want("the offer is free again", t.ask(discover(2)), Offer, "192.168.5.100")
}

// DS-7: INIT-REBOOT (RFC 2131, 4.3.2).
func TestDS7_V06_APD10_Reboot(t0 *testing.T) {
	reboot := func(n int, ip string) Message {
		return Message{MAC: station(n), Type: Request, RequestedIP: addr(ip)}
	}
	t := newServerTest(t0, nil)
	t.bind(1)
	t.bind(2)
	t.want("own address", t.ask(reboot(1, "192.168.5.100")), Ack, "192.168.5.100")
	t.want("another's", t.ask(reboot(1, "192.168.5.101")), Nak, "")
	t.want("wrong network", t.ask(reboot(1, "10.0.0.5")), Nak, "")
	t.want("wrong network, unknown client", t.ask(reboot(9, "10.0.0.5")), Nak, "")
	t.wantSilence("unknown client", t.ask(reboot(9, "192.168.5.100")))
	g := t.want("V-06 server's own", t.ask(reboot(1, "192.168.5.1")), Nak, "")
	want := Message{Op: BootReply, MAC: station(1), Type: Nak, ServerID: server, Text: "not your address"}
	if !reflect.DeepEqual(g.Message, want) {
		t.Errorf("NAK %+v\nwant %+v", g.Message, want)
	}
}

// V-06: asked for in SELECTING.
func TestV06_RequestForWhatWasNotOffered(t0 *testing.T) {
	for _, ip := range []string{"192.168.5.1", "192.168.5.0", "192.168.5.255", "192.168.5.101", "192.168.5.50", "10.0.0.1"} {
		t := newServerTest(t0, nil)
		t.want("discover", t.ask(discover(1)), Offer, "192.168.5.100")
		t.want(ip, t.ask(selecting(1, addr(ip))), Nak, "")
	}
	t := newServerTest(t0, nil)
	t.want("without an offer", t.ask(selecting(1, leased)), Nak, "")
	for _, ip := range []string{"192.168.5.1", "192.168.5.0", "192.168.5.255", "10.0.0.1"} {
		m := discover(1)
		m.RequestedIP = addr(ip)
		t.want("DISCOVER for "+ip, t.ask(m), Offer, "192.168.5.100")
	}
}

// DS-8, V-10: renewal.
func TestDS8_V10_Renew(t0 *testing.T) {
	renew := func(n int, ip string) Message { return Message{MAC: station(n), Type: Request, ClientIP: addr(ip)} }
	t := newServerTest(t0, nil)
	t.bind(1)
	t.bind(2)
	e, _ := t.s.NextEvent()
	if e.Renewed || e.Lease.Addr != leased || e.Lease.MAC != station(1) {
		t.Errorf("event %+v", e)
	}
	t.s.NextEvent()
	t.now = t.now.Add(30 * time.Minute)
	g := t.want("renew", t.ask(renew(1, "192.168.5.100")), Ack, "192.168.5.100")
	if g.ClientIP != leased || g.LeaseTime != 3600 || g.dst.String() != "192.168.5.100:68" {
		t.Errorf("%+v", g)
	}
	e, ok := t.s.NextEvent()
	if !ok || !e.Renewed || !e.Lease.Expiry.Equal(t.now.Add(time.Hour)) {
		t.Errorf("APD-04: event %+v, %v", e, ok)
	}
	t.want("V-10 somebody else's", t.ask(renew(1, "192.168.5.101")), Nak, "")
	t.wantSilence("unknown client", t.ask(renew(9, "192.168.5.103")))
	t.want("wrong network", t.ask(renew(9, "10.0.0.1")), Nak, "")
	t.wantSilence("nothing at all", t.ask(Message{MAC: station(1), Type: Request}))
}

// DS-9, V-08, V-09: DECLINE.
func TestDS9_V08_V09_Decline(t0 *testing.T) {
	decline := func(n int, ip netip.Addr) Message {
		return Message{MAC: station(n), Type: Decline, RequestedIP: ip, ServerID: server}
	}
	t := newServerTest(t0, nil)
	one := t.bind(1)
	t.wantSilence("V-08 another client's", t.ask(decline(2, one)))
	t.want("still there", t.ask(discover(1)), Offer, one.String())
	for range 4 {
		ip := t.bind(1)
		t.wantSilence("decline", t.ask(decline(1, ip)))
	}
	t.wantSilence("V-09 the pool is gone", t.ask(discover(1)))
	if c := t.s.Counters(); c.Exhausted != 1 || c.Declines != 4 {
		t.Errorf("counters %+v", c)
	}
	t.now = t.now.Add(10 * time.Minute)
	t.want("and comes back", t.ask(discover(1)), Offer, "192.168.5.100")
}

func TestDS10_V08_Release(t0 *testing.T) {
	t := newServerTest(t0, func(c *ServerConfig) { c.Last = leased })
	release := func(n int, ip string) Message {
		return Message{MAC: station(n), Type: Release, ClientIP: addr(ip), ServerID: server}
	}
	t.bind(1)
	t.wantSilence("V-08", t.ask(release(2, "192.168.5.100")))
	t.wantSilence("another address", t.ask(release(1, "192.168.5.101")))
	t.wantSilence("none is free", t.ask(discover(2)))
	t.wantSilence("release", t.ask(release(1, "192.168.5.100")))
	t.want("free now", t.ask(discover(2)), Offer, "192.168.5.100")
}

// DS-11: INFORM (RFC 2131, 4.3.5).
func TestDS11_Inform(t0 *testing.T) {
	t := newServerTest(t0, nil)
	g := t.want("inform", t.ask(Message{XID: 5, MAC: station(1), Type: Inform, ClientIP: addr("192.168.5.77")}), Ack, "")
	if g.LeaseTime != 0 || len(g.DNS) != 1 || g.Mask != mask24 || g.XID != 5 {
		t.Errorf("%+v", g.Message)
	}
	t.wantSilence("from elsewhere", t.ask(Message{MAC: station(1), Type: Inform, ClientIP: addr("10.0.0.1")}))
	t.wantSilence("from ourselves", t.ask(Message{MAC: station(1), Type: Inform, ClientIP: server}))
	if n := len(t.s.Leases()); n != 0 {
		t.Errorf("%d leases", n)
	}
}

// DS-12: what others use is not offered.
func TestDS12_AddressInUse(t0 *testing.T) {
	t := newServerTest(t0, func(c *ServerConfig) { c.InUse = func(a netip.Addr) bool { return a == leased } })
	t.want("discover", t.ask(discover(1)), Offer, "192.168.5.101")
}

// DS-13: the default pool is the subnet without the addresses that are none.
func TestDS13_PoolLeavesOutOwnAddresses(t0 *testing.T) {
	t := newServerTest(t0, func(c *ServerConfig) {
		c.Addr, c.First, c.Last = netip.MustParsePrefix("192.168.5.2/29"), netip.Addr{}, netip.Addr{}
	})
	var ips []string
	for n := range 6 {
		if g := t.ask(discover(n)); g != nil {
			ips = append(ips, g.YourIP.String())
		}
	}
	want := []string{"192.168.5.1", "192.168.5.3", "192.168.5.4", "192.168.5.5", "192.168.5.6"}
	if !reflect.DeepEqual(ips, want) {
		t.Errorf("offered %v, want %v", ips, want)
	}
	t = newServerTest(t0, func(c *ServerConfig) { c.First, c.Last = addr("192.168.5.0"), addr("192.168.5.1") })
	t.wantSilence("a pool of network and server", t.ask(discover(1)))
}

// DS-14, V-07: options as asked, in that order, in a reply of any client's size.
func TestDS14_V07_OptionsAsAsked(t0 *testing.T) {
	t := newServerTest(t0, func(c *ServerConfig) {
		c.DNS, c.NTP = slicesRepeat(server, 8), slicesRepeat(server, 8)
		c.Domain = string(make([]byte, 128))
	})
	m := discover(1)
	m.Params = []byte{optDNS, optRouters}
	m.Op = BootRequest
	t.s.Input(t.now, wire.MAC{}, m.Append(nil, nil))
	b, _, _, _ := t.s.Output(t.now, nil)
	var codes []byte
	for rest := b[minLen:]; len(rest) > 0; {
		var code byte
		if code, _, rest, _ = next(rest); code != 0 {
			codes = append(codes, code)
		}
	}
	want := []byte{optType, optServerID, optDNS, optMask, optRouters, optLeaseTime}
	if !reflect.DeepEqual(codes, want) {
		t.Errorf("options %v, want %v", codes, want)
	}
	for _, size := range []uint16{0, 100, 576, 65535} {
		m := discover(1)
		m.MaxSize = size
		for i := range 255 {
			m.Params = append(m.Params, byte(i))
		}
		m.Op = BootRequest
		t.s.Input(t.now, wire.MAC{}, m.Append(nil, nil))
		if b, _, _, ok := t.s.Output(t.now, nil); !ok || len(b) > 548 {
			t.Errorf("V-07 size %d: a reply of %d bytes, %v", size, len(b), ok)
		}
	}
}

// DS-15, V-01: offers pass, leases stay, and the table does not grow beyond the pool.
func TestDS15_V01_Starvation(t0 *testing.T) {
	t := newServerTest(t0, nil)
	good := t.bind(0)
	offers := 0
	for n := range 10000 {
		if t.ask(discover(n+1)) != nil {
			offers++
		}
	}
	if offers != 3 || len(t.s.Leases()) != 4 || len(t.s.byKey) != 4 || len(t.s.perMAC) != 4 {
		t.Errorf("%d offers, %d entries, %d keys", offers, len(t.s.Leases()), len(t.s.byKey))
	}
	t.now = t.now.Add(10 * time.Second)
	t.want("offers have passed", t.ask(discover(20000)), Offer, "192.168.5.101")
	t.want("the lease has not", t.ask(Message{MAC: station(0), Type: Request, ClientIP: good}), Ack, good.String())
}

// V-02: one frame MAC, many names.
func TestV02_OneStationManyNames(t0 *testing.T) {
	t := newServerTest(t0, func(c *ServerConfig) { c.Last = addr("192.168.5.200") })
	for n := range 50 {
		t.wantSilence("another chaddr than the frame's MAC", t.askFrom(station(1), discover(n+2)))
	}
	addrs := map[netip.Addr]bool{}
	for n := range 50 {
		m := discover(1)
		m.ClientID = []byte{0, byte(n)}
		g := t.ask(m)
		if g == nil {
			t.Fatalf("no offer to name %d", n)
		}
		r := selecting(1, g.YourIP)
		r.ClientID = m.ClientID
		t.want("request", t.ask(r), Ack, g.YourIP.String())
		addrs[g.YourIP] = true
	}
	if len(addrs) != maxPerMAC {
		t.Errorf("one station holds %d addresses, want %d at most", len(addrs), maxPerMAC)
	}
	t.want("others still get one", t.ask(discover(9)), Offer, "192.168.5.103")
}

// DS-15: one station holds one offer.
func TestDS15_OneOfferAStation(t0 *testing.T) {
	t := newServerTest(t0, nil)
	for n := range 3 {
		m := discover(1)
		m.ClientID = []byte{0, byte(n)}
		t.ask(m)
	}
	open := 0
	for _, l := range t.s.Leases() {
		if l.State == LeaseOffered {
			open++
		}
	}
	if open != 1 {
		t.Errorf("%d offers are open", open)
	}
}

// V-12, V-13 and what is no client.
func TestV12_V13_NotForServers(t0 *testing.T) {
	t := newServerTest(t0, nil)
	m := discover(1)
	m.Op = BootReply
	t.s.Input(t.now, m.MAC, m.Append(nil, nil))
	m.Op, m.MAC = BootRequest, wire.MAC{}
	t.s.Input(t.now, wire.MAC{}, m.Append(nil, nil))
	m.MAC = wire.Broadcast
	t.s.Input(t.now, wire.MAC{}, m.Append(nil, nil))
	m.MAC, m.Type = mac, Offer
	t.s.Input(t.now, wire.MAC{}, m.Append(nil, nil))
	t.s.Input(t.now, wire.MAC{}, []byte("rubbish"))
	if _, _, _, ok := t.s.Output(t.now, nil); ok || t.s.Counters().Malformed != 5 || len(t.s.Leases()) != 0 {
		t.Errorf("answered, or not counted: %+v", t.s.Counters())
	}
}

func TestRepliesAndEventsAreBounded(t0 *testing.T) {
	t := newServerTest(t0, nil)
	for range 100 {
		m := discover(1)
		m.Op = BootRequest
		t.s.Input(t.now, m.MAC, m.Append(nil, nil))
	}
	n := 0
	for _, _, _, ok := t.s.Output(t.now, nil); ok; _, _, _, ok = t.s.Output(t.now, nil) {
		n++
	}
	if c := t.s.Counters(); n != maxReplies || c.Overflowed != 100-maxReplies {
		t.Errorf("%d replies, %+v", n, c)
	}
	for range 100 {
		t.bind(1)
	}
	n = 0
	for _, ok := t.s.NextEvent(); ok; _, ok = t.s.NextEvent() {
		n++
	}
	if n != maxEvents {
		t.Errorf("%d events", n)
	}
}

func TestServerDeadline(t0 *testing.T) {
	t := newServerTest(t0, nil)
	if d := t.s.Deadline(); !d.IsZero() {
		t.Errorf("idle: %v", d)
	}
	m := discover(1)
	m.Op = BootRequest
	t.s.Input(t.now, m.MAC, m.Append(nil, nil))
	if d := t.s.Deadline(); d.IsZero() || d.After(t.now) {
		t.Errorf("a reply waits: %v", d)
	}
	t.s.Advance(t.now)
	t.s.Output(t.now, nil)
	if d := t.s.Deadline(); !d.IsZero() {
		t.Errorf("sent: %v", d)
	}
}

func TestLeasesAndForget(t0 *testing.T) {
	t := newServerTest(t0, nil)
	m := discover(1)
	m.Hostname = "WINC-00-01"
	t.ask(m)
	r := selecting(1, leased)
	r.Hostname = m.Hostname
	t.ask(r)
	want := []ServerLease{{Addr: leased, MAC: station(1), Hostname: "WINC-00-01", Expiry: t.now.Add(time.Hour), State: LeaseBound}}
	if got := t.s.Leases(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if !t.s.Forget(t.now, leased) || t.s.Forget(t.now, leased) || t.s.Forget(t.now, addr("10.0.0.1")) {
		t.Error("Forget")
	}
	m = discover(2)
	m.RequestedIP = leased
	t.want("anyone may have it", t.ask(m), Offer, "192.168.5.100")
}

func TestServerConfigIsChecked(t *testing.T) {
	ok := netip.MustParsePrefix("192.168.5.1/24")
	for name, c := range map[string]ServerConfig{
		"nothing":       {},
		"IPv6":          {Addr: netip.MustParsePrefix("2001:db8::1/64")},
		"mask of 31":    {Addr: netip.MustParsePrefix("192.168.5.1/31")},
		"loopback":      {Addr: netip.MustParsePrefix("127.0.0.1/8")},
		"pool outside":  {Addr: ok, First: addr("10.0.0.1"), Last: addr("10.0.0.9")},
		"pool reversed": {Addr: ok, First: addr("192.168.5.9"), Last: addr("192.168.5.3")},
		"half a pool":   {Addr: ok, First: addr("192.168.5.9")},
		"many servers":  {Addr: ok, DNS: slicesRepeat(server, 9)},
		"long domain":   {Addr: ok, Domain: string(make([]byte, 200))},
	} {
		if _, err := NewServer(c); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Clients and a server over a link that loses a third of all: everyone ends up with an address of his own.
func TestManyClientsOverALossyLink(t *testing.T) {
	const seed = 42
	r := rand.New(rand.NewPCG(seed, seed))
	s, err := NewServer(ServerConfig{Addr: netip.MustParsePrefix("10.0.0.1/24"), LeaseTime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	clients := make([]*Client, 100)
	now, lost := t0, 0
	for i := range clients {
		if clients[i], err = NewClient(ClientConfig{MAC: station(i), Rand: rand.NewPCG(seed, uint64(i))}); err != nil {
			t.Fatal(err)
		}
		clients[i].Start(now)
	}
	for end := now.Add(6 * time.Hour); now.Before(end); {
		next := end
		for i, c := range clients {
			c.Advance(now)
			for b, _, _, ok := c.Output(now, nil); ok; b, _, _, ok = c.Output(now, nil) {
				if r.IntN(3) != 0 {
					s.Input(now, station(i), b)
				}
				for b, _, to, ok := s.Output(now, nil); ok; b, _, to, ok = s.Output(now, nil) {
					if r.IntN(3) != 0 && to == station(i) {
						c.Input(now, b)
					}
				}
				s.NextEvent()
			}
			for e, ok := c.NextEvent(); ok; e, ok = c.NextEvent() {
				if e.Kind == EventLost {
					lost++ // eight REQUESTs or answers in a row
				}
			}
			if d := c.Deadline(); !d.IsZero() && d.Before(next) {
				next = d
			}
		}
		now = next
	}
	if lost > 10 {
		t.Errorf("seed %d: %d of 100 leases were lost in 6 hours", seed, lost)
	}
	seen := map[netip.Addr]int{}
	for i, c := range clients {
		l, ok := c.Lease()
		if !ok {
			t.Fatalf("seed %d: client %d has no lease", seed, i)
		}
		if j, twice := seen[l.Addr.Addr()]; twice {
			t.Fatalf("seed %d: clients %d and %d both have %v", seed, i, j, l.Addr)
		}
		seen[l.Addr.Addr()] = i
	}
}

// Whatever arrives: no panic, no address outside of the pool, replies that can be read.
func FuzzServer(f *testing.F) {
	for _, m := range []Message{discover(1), selecting(1, leased), {MAC: station(1), Type: Inform, ClientIP: leased}} {
		m.Op = BootRequest
		f.Add(m.Append(nil, nil), m.Append(nil, nil))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		s, err := NewServer(ServerConfig{Addr: netip.MustParsePrefix("192.168.5.1/24"), First: leased, Last: leased, Relays: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, in := range [][]byte{a, b, a} {
			s.Input(t0, wire.MAC{}, in)
			for out, dst, _, ok := s.Output(t0, nil); ok; out, dst, _, ok = s.Output(t0, nil) {
				m, err := Parse(out)
				if err != nil || !dst.IsValid() {
					t.Fatalf("reply to %v: %v", dst, err)
				}
				if m.YourIP.IsValid() && m.YourIP != leased {
					t.Fatalf("gave out %v", m.YourIP)
				}
			}
		}
	})
}

// A pool of one address, as behind an access point that admits one station: who leaves frees it, and has it again while
// nobody else took it.
func TestDS4_LeaveFreesAndRemembers(t0 *testing.T) {
	t := newServerTest(t0, func(c *ServerConfig) { c.Last = c.First })
	a := t.bind(1)
	t.wantSilence("the pool is empty", t.ask(discover(2)))
	t.s.Leave(t.now, station(2)) // holds nothing
	t.wantSilence("still", t.ask(discover(2)))
	t.s.Leave(t.now, station(1))
	t.want("comes back with its address", t.ask(Message{XID: 7, MAC: station(1), Type: Request, RequestedIP: a}), Ack, a.String())
	t.wantSilence("it is bound again", t.ask(discover(2)))
	t.s.Leave(t.now, station(1))
	if got := t.bind(2); got != a {
		t.Fatalf("the second station got %v, want %v", got, a)
	}
	t.wantSilence("now the first one waits", t.ask(discover(1)))
}

// Two programs on one host, with different client identifiers, and one address: the later one gets it.
func TestDS5_OneHostTwoIdentifiersOneAddress(t0 *testing.T) {
	t := newServerTest(t0, func(c *ServerConfig) { c.Last = c.First })
	a := t.bind(1)
	q := discover(1)
	q.ClientID = []byte{1, 2, 0, 0, 0, 0, 1}
	t.want("by identifier", t.ask(q), Offer, a.String())
	r := selecting(1, a)
	r.ClientID = q.ClientID
	t.want("by identifier", t.ask(r), Ack, a.String())
	t.wantSilence("another host", t.ask(discover(2)))
}
