package dhcp

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
	"time"
)

var t0 = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// clientTest drives one client in virtual time and looks at what it sends.
type clientTest struct {
	*testing.T
	c   *Client
	now time.Time
}

func newClientTest(t *testing.T, c ClientConfig) *clientTest {
	t.Helper()
	c.MAC, c.Rand = mac, rand.NewPCG(1, 2)
	cl, err := NewClient(c)
	if err != nil {
		t.Fatal(err)
	}
	return &clientTest{t, cl, t0}
}

// sent is a message that the client sent, and between which addresses.
type sent struct {
	Message
	src, dst netip.AddrPort
}

// output returns the next message, or nil.
func (t *clientTest) output() *sent {
	t.Helper()
	b, src, dst, ok := t.c.Output(t.now, nil)
	if !ok {
		return nil
	}
	m, err := Parse(b)
	if err != nil {
		t.Fatalf("the client sent what it could not read itself: %v", err)
	}
	return &sent{m, src, dst}
}

// want takes the next message, which must be of the given type.
func (t *clientTest) want(why string, typ MessageType) *sent {
	t.Helper()
	m := t.output()
	if m == nil || m.Type != typ {
		t.Fatalf("%s: at %v in %v sent %v, want %v", why, t.now.Sub(t0), t.c.State(), m, typ)
	}
	return m
}

func (t *clientTest) wantIdle(why string) {
	t.Helper()
	if m := t.output(); m != nil {
		t.Fatalf("%s: at %v sent %v, want nothing", why, t.now.Sub(t0), m.String())
	}
}

func (t *clientTest) wantState(why string, s State) {
	t.Helper()
	if t.c.State() != s {
		t.Fatalf("%s: state %v, want %v", why, t.c.State(), s)
	}
}

func (t *clientTest) wantEvent(why string, kind EventKind, err error) Event {
	t.Helper()
	e, ok := t.c.NextEvent()
	if !ok || e.Kind != kind || !errors.Is(e.Err, err) {
		t.Fatalf("%s: event %v (%v), %v, want %v (%v)", why, e.Kind, e.Err, ok, kind, err)
	}
	return e
}

func (t *clientTest) wantNoEvent(why string) {
	t.Helper()
	if e, ok := t.c.NextEvent(); ok {
		t.Fatalf("%s: event %v (%v), want none", why, e.Kind, e.Err)
	}
}

// step goes to the next deadline, which must lie within d from now.
func (t *clientTest) step(d time.Duration) {
	t.Helper()
	next := t.c.Deadline()
	if next.IsZero() || next.After(t.now.Add(d)) {
		t.Fatalf("deadline %v, want one within %v of %v", next, d, t.now)
	}
	if next.After(t.now) {
		t.now = next
	}
	t.c.Advance(t.now)
}

// answerTo returns a server's answer to m, as good as can be.
func answerTo(m *sent, typ MessageType) Message {
	return Message{
		Op: BootReply, XID: m.XID, MAC: m.MAC, YourIP: leased, Type: typ, ServerID: server,
		LeaseTime: 3600, Mask: mask24, Routers: []netip.Addr{server}, DNS: []netip.Addr{server},
	}
}

// reply gives the client an answer to m, changed by f.
func (t *clientTest) reply(m *sent, typ MessageType, f func(*Message)) {
	t.Helper()
	a := answerTo(m, typ)
	if typ == Nak {
		a = Message{Op: BootReply, XID: m.XID, MAC: m.MAC, Type: Nak, ServerID: server}
	}
	if f != nil {
		f(&a)
	}
	t.c.Input(t.now, a.Append(nil, nil))
}

// bind goes all the way to BOUND with a lease changed by f.
func (t *clientTest) bind(f func(*Message)) Event {
	t.Helper()
	t.c.Start(t.now)
	t.reply(t.want("start", Discover), Offer, f)
	t.reply(t.want("offer", Request), Ack, f)
	t.wantState("ack", StateBound)
	return t.wantEvent("ack", EventBound, nil)
}

func TestDC1_Discover(t0 *testing.T) {
	t := newClientTest(t0, ClientConfig{Hostname: "WINC-53-01"})
	t.wantIdle("not started")
	if d := t.c.Deadline(); !d.IsZero() {
		t.Errorf("not started: deadline %v", d)
	}
	t.c.Start(t.now)
	m := t.want("start", Discover)
	want := Message{
		Op: BootRequest, XID: m.XID, MAC: mac, Type: Discover, Hostname: "WINC-53-01", Params: params, MaxSize: 1500,
		ClientID: []byte{1, 2, 0, 0x5e, 0, 0x53, 1}, // DC-16
	}
	if !reflect.DeepEqual(m.Message, want) {
		t.Errorf("sent %+v\nwant %+v", m.Message, want)
	}
	if m.src.String() != "0.0.0.0:68" || m.dst.String() != "255.255.255.255:67" {
		t.Errorf("from %v to %v", m.src, m.dst)
	}
	t.wantIdle("one is enough")
}

func TestDC1_StartDelayIsRandom(t0 *testing.T) {
	seen := make(map[time.Duration]bool)
	r := rand.NewPCG(7, 7)
	for range 50 {
		c, err := NewClient(ClientConfig{MAC: mac, Rand: r, StartDelay: 10 * time.Second})
		if err != nil {
			t0.Fatal(err)
		}
		now := time.Unix(0, 0)
		c.Start(now)
		d := c.Deadline().Sub(now)
		if d < time.Second || d > 10*time.Second {
			t0.Fatalf("delay %v", d)
		}
		seen[d] = true
		if _, _, _, ok := c.Output(now, nil); ok {
			t0.Fatal("sent at once")
		}
		c.Advance(now.Add(d))
		if _, _, _, ok := c.Output(now.Add(d), nil); !ok {
			t0.Fatal("not sent when due")
		}
	}
	if len(seen) < 40 {
		t0.Errorf("%d delays in 50 starts", len(seen))
	}
}

// DC-3, DC-6, DC-21: a REQUEST for an offer (RFC 2131, table 5).
func TestDC3_DC6_DC21_RequestInSelecting(t0 *testing.T) {
	t := newClientTest(t0, ClientConfig{Hostname: "h"})
	t.c.Start(t.now)
	t.want("start", Discover)
	t.step(6 * time.Second)
	d := t.want("repeated", Discover)
	if d.Secs == 0 {
		t.Error("DC-21: secs of a repeated DISCOVER is 0")
	}
	t.reply(d, Offer, nil)
	t.wantState("offer", StateRequesting)
	m := t.want("offer", Request)
	want := Message{
		Op: BootRequest, XID: d.XID, Secs: d.Secs, MAC: mac, Type: Request, RequestedIP: leased, ServerID: server,
		Hostname: "h", Params: d.Params, MaxSize: d.MaxSize, ClientID: d.ClientID,
	}
	if !reflect.DeepEqual(m.Message, want) {
		t.Errorf("sent %+v\nwant %+v", m.Message, want)
	}
	if m.src.String() != "0.0.0.0:68" || m.dst.String() != "255.255.255.255:67" {
		t.Errorf("from %v to %v", m.src, m.dst)
	}
}

func TestDC4_BroadcastFlag(t0 *testing.T) {
	for _, on := range []bool{false, true} {
		t := newClientTest(t0, ClientConfig{Broadcast: on})
		t.c.Start(t.now)
		d := t.want("start", Discover)
		if d.Broadcast != on {
			t.Errorf("BROADCAST is %v, want %v", d.Broadcast, on)
		}
		t.reply(d, Offer, nil)
		t.reply(t.want("offer", Request), Ack, nil)
		t.now = t.c.Deadline().Add(30 * time.Minute)
		t.c.Advance(t.now)
		if m := t.want("renewal", Request); m.Broadcast {
			t.Error("BROADCAST in a renewal")
		}
	}
}

// DC-5, DC-18, DC-19 and the D rows: offers that are not taken.
func TestDC5_D02_D06_D07_D09_D11_OffersRefused(t0 *testing.T) {
	for name, f := range map[string]func(*Message){
		"D-02 xid":              func(m *Message) { m.XID++ },
		"D-02 chaddr":           func(m *Message) { m.MAC[5]++ },
		"D-02 op 1":             func(m *Message) { m.Op = BootRequest },
		"DC-5 ACK for an offer": func(m *Message) { m.Type = Ack },
		"DC-5 NAK for an offer": func(m *Message) { m.Type = Nak },
		"D-06 no server":        func(m *Message) { m.ServerID = netip.Addr{} },
		"D-06 0.0.0.0":          func(m *Message) { m.ServerID = addr("0.0.0.0") },
		"D-06 255.255.255.255":  func(m *Message) { m.ServerID = addr("255.255.255.255") },
		"D-07 DC-18 no time":    func(m *Message) { m.LeaseTime = 0 },
		"D-09 no address":       func(m *Message) { m.YourIP = netip.Addr{} },
		"D-09 loopback":         func(m *Message) { m.YourIP = addr("127.0.0.1") },
		"D-09 multicast":        func(m *Message) { m.YourIP = addr("224.0.0.1") },
		"D-09 all ones":         func(m *Message) { m.YourIP = addr("255.255.255.255") },
		"D-09 network":          func(m *Message) { m.YourIP = addr("192.168.5.0") },
		"D-09 broadcast":        func(m *Message) { m.YourIP = addr("192.168.5.255") },
		"D-11 mask 0":           func(m *Message) { m.Mask = addr("0.0.0.0") },
		"D-11 mask with holes":  func(m *Message) { m.Mask = addr("255.0.255.0") },
		"D-11 mask of all ones": func(m *Message) { m.Mask = addr("255.255.255.255") },
	} {
		t := newClientTest(t0, ClientConfig{})
		t.c.Start(t.now)
		d := t.want("start", Discover)
		t.reply(d, Offer, f)
		t.wantState(name, StateSelecting)
		t.wantIdle(name)
		t.wantNoEvent(name)
		if n := t.c.Counters(); n.NotOurs+n.Unexpected+n.Unacceptable != 1 {
			t.Errorf("%s: not counted: %+v", name, n)
		}
		t.reply(d, Offer, nil)
		t.wantState(name+": a good one later", StateRequesting)
	}
}

// D-01, D-03: what is not a message at all.
func TestD01_D03_MalformedIsCounted(t0 *testing.T) {
	t := newClientTest(t0, ClientConfig{})
	t.c.Start(t.now)
	m := answerTo(t.want("start", Discover), Offer)
	whole := m.Append(nil, nil)
	for n := range 240 {
		t.c.Input(t.now, whole[:n])
	}
	if c := t.c.Counters(); c.Malformed != 240 || c.Received != 240 {
		t.Errorf("counters %+v", c)
	}
	t.wantState("rubbish", StateSelecting)
}

func TestBoundLease(t0 *testing.T) {
	t := newClientTest(t0, ClientConfig{})
	e := t.bind(func(m *Message) {
		m.Domain, m.NTP = "example", []netip.Addr{addr("192.0.2.123")}
	})
	want := Lease{
		Addr: netip.MustParsePrefix("192.168.5.100/24"), Router: server, DNS: []netip.Addr{server},
		NTP: []netip.Addr{addr("192.0.2.123")}, Domain: "example", Server: server,
		Obtained: t.now, T1: t.now.Add(30 * time.Minute), T2: t.now.Add(3150 * time.Second), Expiry: t.now.Add(time.Hour),
	}
	if !reflect.DeepEqual(e.Lease, want) {
		t.Errorf("lease %+v\nwant %+v", e.Lease, want)
	}
	if l, ok := t.c.Lease(); !ok || !reflect.DeepEqual(l, want) {
		t.Errorf("Lease: %+v, %v", l, ok)
	}
	t.wantIdle("bound")
	if d := t.c.Deadline(); d != want.T1 {
		t.Errorf("deadline %v, want T1 %v", d, want.T1)
	}
}

// DC-9: the lease counts from the first REQUEST, however late the answer.
func TestDC9_LeaseRunsFromTheRequest(t0 *testing.T) {
	t := newClientTest(t0, ClientConfig{})
	t.c.Start(t.now)
	t.reply(t.want("start", Discover), Offer, nil)
	t.want("first", Request)
	first := t.now
	t.step(6 * time.Second)
	m := t.want("second", Request)
	t.now = t.now.Add(time.Second)
	t.reply(m, Ack, nil)
	if l, _ := t.c.Lease(); l.Obtained != first || l.Expiry != first.Add(time.Hour) {
		t.Errorf("obtained %v, expires %v, want %v and an hour later", l.Obtained, l.Expiry, first)
	}
}

// DC-10, D-08: T1 and T2 that make no sense fall back to 0.5 and 0.875.
func TestDC10_D08_T1AndT2(t0 *testing.T) {
	for _, tt := range []struct{ t1, t2, want1, want2 uint32 }{
		{0, 0, 1800, 3150},
		{600, 1200, 600, 1200},
		{600, 0, 600, 3150},
		{0, 2000, 1800, 2000},
		{2000, 1000, 1800, 3150},
		{1000, 1000, 1800, 3150},
		{1000, 3600, 1800, 3150},
		{3600, 3600, 1800, 3150},
		{1000, 0xffffffff, 1800, 3150},
		{3200, 0, 1800, 3150},
	} {
		t := newClientTest(t0, ClientConfig{})
		e := t.bind(func(m *Message) { m.T1, m.T2 = tt.t1, tt.t2 })
		t1, t2 := e.Lease.T1.Sub(t.now), e.Lease.T2.Sub(t.now)
		if t1 != time.Duration(tt.want1)*time.Second || t2 != time.Duration(tt.want2)*time.Second {
			t.Errorf("T1 %d, T2 %d: renews at %v and %v", tt.t1, tt.t2, t1, t2)
		}
	}
}

// D-07: a lease of a second causes no storm.
func TestD07_TinyLeaseHasAFloor(t0 *testing.T) {
	t := newClientTest(t0, ClientConfig{})
	e := t.bind(func(m *Message) { m.LeaseTime = 1 })
	if d := e.Lease.Expiry.Sub(t.now); d != 10*time.Second {
		t.Errorf("lease of %v, want 10s", d)
	}
	n := 0
	for end := t.now.Add(time.Minute); t.c.Deadline().Before(end); {
		t.step(time.Minute)
		for m := t.output(); m != nil; m = t.output() {
			n++
			typ := Ack
			if m.Type == Discover {
				typ = Offer
			}
			t.reply(m, typ, func(m *Message) { m.LeaseTime = 1 })
		}
		for _, ok := t.c.NextEvent(); ok; _, ok = t.c.NextEvent() {
		}
	}
	if n < 5 || n > 15 {
		t.Errorf("%d messages in a minute", n)
	}
}

func TestDC18_InfiniteLease(t0 *testing.T) {
	t := newClientTest(t0, ClientConfig{})
	e := t.bind(func(m *Message) { m.LeaseTime = Infinite })
	if !e.Lease.Expiry.IsZero() || !e.Lease.T1.IsZero() {
		t.Errorf("lease %+v", e.Lease)
	}
	if d := t.c.Deadline(); !d.IsZero() {
		t.Errorf("deadline %v, want never", d)
	}
	t.now = t.now.Add(100 * 365 * 24 * time.Hour)
	t.c.Advance(t.now)
	t.wantState("a century later", StateBound)
}

// DC-8, DC-11, DC-12, D-25, DHC-09, DHC-11: the life of a lease that nobody renews.
func TestDC8_DC11_DC12_D25_NobodyRenews(t0 *testing.T) {
	t := newClientTest(t0, ClientConfig{})
	l := t.bind(nil).Lease
	wantRenewal := func(why, dst string) *sent {
		t.Helper()
		m := t.want(why, Request)
		if m.ClientIP != leased || m.RequestedIP.IsValid() || m.ServerID.IsValid() {
			t.Errorf("%s: %v: ciaddr alone is wanted", why, m.String())
		}
		if m.src.String() != "192.168.5.100:68" || m.dst.String() != dst {
			t.Errorf("%s: from %v to %v, want to %s", why, m.src, m.dst, dst)
		}
		return m
	}
	t.step(time.Hour)
	t.wantState("T1", StateRenewing)
	if t.now != l.T1 {
		t.Errorf("renewing at %v, want T1", t.now)
	}
	xids := map[uint32]bool{}
	n := 0
	for {
		m := wantRenewal("renewing", "192.168.5.1:67")
		if m.Secs != uint16(t.now.Sub(l.T1)/time.Second) {
			t.Errorf("secs %d, %v after T1", m.Secs, t.now.Sub(l.T1))
		}
		xids[m.XID] = true
		n++
		before := t.now
		t.step(time.Hour)
		if t.now == l.T2 {
			break
		}
		if d, want := t.now.Sub(before), max(l.T2.Sub(before)/2, time.Minute); d != want {
			t.Errorf("next REQUEST after %v, want %v", d, want)
		}
	}
	if len(xids) != n || n < 4 {
		t.Errorf("%d identifiers in %d REQUESTs", len(xids), n)
	}
	t.wantState("T2", StateRebinding)
	e := t.wantEvent("T2", EventFailed, ErrNoAnswer) // the address stays in use
	if e.Lease.Addr != l.Addr {
		t.Errorf("failed lease %v", e.Lease.Addr)
	}
	for t.now.Before(l.Expiry) {
		wantRenewal("rebinding", "255.255.255.255:67")
		if _, ok := t.c.Lease(); !ok {
			t.Fatal("lease lost before its time")
		}
		t.step(time.Hour)
	}
	if t.now != l.Expiry {
		t.Errorf("ended at %v, want %v", t.now, l.Expiry)
	}
	if e := t.wantEvent("expiry", EventLost, ErrExpired); e.Lease.Addr != l.Addr {
		t.Errorf("lost %v", e.Lease.Addr)
	}
	if _, ok := t.c.Lease(); ok {
		t.Error("there is still a lease")
	}
	if m := t.want("start again", Discover); m.src.Addr() != netip.IPv4Unspecified() || m.ClientIP.IsValid() {
		t.Errorf("the lapsed address is used: %v", m.String())
	}
}

func TestRenewal(t0 *testing.T) {
	t := newClientTest(t0, ClientConfig{})
	l := t.bind(nil).Lease
	t.step(time.Hour)
	m := t.want("T1", Request)
	t.now = t.now.Add(time.Second)
	t.reply(m, Ack, func(m *Message) { m.DNS = []netip.Addr{addr("192.0.2.53")} })
	e := t.wantEvent("renewed", EventRenewed, nil)
	if e.Lease.Obtained != l.T1 || e.Lease.Expiry != l.T1.Add(time.Hour) || e.Lease.DNS[0] != addr("192.0.2.53") {
		t.Errorf("lease %+v", e.Lease)
	}
	t.wantState("renewed", StateBound)
	t.reply(m, Ack, nil) // D-23: a second answer
	t.wantNoEvent("second answer")
	if c := t.c.Counters(); c.Unexpected != 1 {
		t.Errorf("counters %+v", c)
	}
}

// DC-13, D-21: a NAK counts only from the server asked, or from any where all were asked.
func TestDC13_D21_Nak(t0 *testing.T) {
	other := func(m *Message) { m.ServerID = addr("192.168.5.2") }
	t := newClientTest(t0, ClientConfig{})
	t.c.Start(t.now)
	d := t.want("start", Discover)
	t.reply(d, Nak, nil)
	t.wantState("NAK in SELECTING", StateSelecting)
	t.reply(d, Offer, nil)
	r := t.want("offer", Request)
	t.reply(r, Nak, other)
	t.wantState("NAK in REQUESTING, another server", StateRequesting)
	t.reply(r, Nak, nil)
	t.wantState("NAK in REQUESTING", StateSelecting)
	t.wantNoEvent("there was no lease to lose")
	d = t.want("again", Discover)
	if d.XID == r.XID {
		t.Error("the same transaction goes on")
	}
	t.reply(d, Offer, nil)
	r = t.want("offer", Request)
	t.reply(r, Ack, nil)
	t.wantEvent("ack", EventBound, nil)
	t.reply(r, Nak, nil)
	t.wantState("NAK in BOUND", StateBound)
	t.step(time.Hour)
	r = t.want("T1", Request)
	t.reply(r, Nak, other)
	t.wantState("NAK in RENEWING, another server", StateRenewing)
	t.reply(r, Nak, nil)
	t.wantEvent("NAK in RENEWING", EventLost, ErrRefused)
	d = t.want("again", Discover)
	t.reply(d, Offer, nil)
	t.reply(t.want("offer", Request), Ack, nil)
	t.wantEvent("ack", EventBound, nil)
	l, _ := t.c.Lease()
	for t.c.State() != StateRebinding {
		t.step(time.Hour)
		r = t.want("T1 and later", Request)
	}
	t.wantEvent("T2", EventFailed, ErrNoAnswer)
	t.reply(r, Nak, other)
	if e := t.wantEvent("NAK in REBINDING, another server", EventLost, ErrRefused); e.Lease.Addr != l.Addr {
		t.Errorf("lost %v", e.Lease.Addr)
	}
}

// A server that offers and refuses for ever is asked more and more rarely.
func TestNakStormIsSlowed(t0 *testing.T) {
	t := newClientTest(t0, ClientConfig{})
	t.c.Start(t.now)
	n := 0
	for end := t.now.Add(10 * time.Minute); t.now.Before(end); {
		for m := t.output(); m != nil; m = t.output() {
			n++
			typ := Nak
			if m.Type == Discover {
				typ = Offer
			}
			t.reply(m, typ, nil)
		}
		t.step(2 * time.Minute)
	}
	if n > 40 {
		t.Errorf("%d messages in 10 minutes", n)
	}
}

// DC-14, D-24: somebody has the address.
func TestDC14_D24_Decline(t0 *testing.T) {
	t := newClientTest(t0, ClientConfig{})
	t.bind(nil)
	for range 3 {
		t.c.Declined(t.now)
		m := t.want("conflict", Decline)
		want := Message{Op: BootRequest, XID: m.XID, MAC: mac, Type: Decline, RequestedIP: leased, ServerID: server, ClientID: m.ClientID}
		if !reflect.DeepEqual(m.Message, want) {
			t.Errorf("sent %+v\nwant %+v", m.Message, want)
		}
		if m.src.String() != "0.0.0.0:68" || m.dst.String() != "255.255.255.255:67" {
			t.Errorf("from %v to %v", m.src, m.dst)
		}
		if _, ok := t.c.Lease(); ok {
			t.Error("the lease is still there")
		}
		t.wantNoEvent("the owner knows")
		t.wantIdle("pause")
		before := t.now
		t.step(time.Minute)
		if d := t.now.Sub(before); d < 10*time.Second {
			t.Errorf("pause of %v, want 10 s at least", d)
		}
		t.reply(t.want("again", Discover), Offer, nil)
		t.reply(t.want("offer", Request), Ack, nil)
		t.wantEvent("ack", EventBound, nil)
	}
}

// DC-15: 4, 8, 16, 32, 64 s, each a second more or less (RFC 2131, 4.1).
func TestDC15_DHC14_Retransmission(t0 *testing.T) {
	t := newClientTest(t0, ClientConfig{})
	t.c.Start(t.now)
	t.want("start", Discover)
	for i, want := range []time.Duration{4, 8, 16, 32, 64, 64, 64} {
		before := t.now
		t.step(2 * time.Minute)
		if d := t.now.Sub(before); d < (want-1)*time.Second || d > (want+1)*time.Second {
			t.Errorf("interval %d is %v, want %v s ± 1 s", i+1, d, int(want))
		}
		if i == 4 {
			t.wantEvent("five are unanswered", EventFailed, ErrNoAnswer)
		} else {
			t.wantNoEvent("once is enough")
		}
		t.want("again", Discover)
	}
}

// DHC-08, driver-api 2.12: the device's times: 1, 2, 4, 8 s, then a failure, then every 60 s.
func TestDHC08_DeviceProfile(t0 *testing.T) {
	t := newClientTest(t0, ClientConfig{Retry: time.Second, Attempts: 4, LateRetry: time.Minute})
	t.c.Start(t.now)
	t.want("start", Discover)
	for i, want := range []time.Duration{1, 2, 4, 8, 60, 60} {
		before := t.now
		t.step(2 * time.Minute)
		if d := t.now.Sub(before); d < want*time.Second/2 || d < (want-1)*time.Second || d > (want+1)*time.Second {
			t.Errorf("interval %d is %v, want %v s ± 1 s", i+1, d, int(want))
		}
		if i == 3 {
			t.wantEvent("four are unanswered", EventFailed, ErrNoAnswer)
		} else {
			t.wantNoEvent("once is enough")
		}
		t.want("again", Discover)
	}
	// An answer to a late DISCOVER is as good as any.
	t.step(2 * time.Minute)
	t.reply(t.want("again", Discover), Offer, nil)
	t.reply(t.want("offer", Request), Ack, nil)
	t.wantEvent("ack", EventBound, nil)
}

// D-25: the server is gone after its offer.
func TestD25_NoAckForTheRequest(t0 *testing.T) {
	t := newClientTest(t0, ClientConfig{})
	t.c.Start(t.now)
	t.reply(t.want("start", Discover), Offer, nil)
	for range requests {
		t.want("offer", Request)
		t.step(time.Minute)
	}
	t.wantEvent("given up", EventFailed, ErrNoAnswer)
	t.want("start again", Discover)
	if d := t.now.Sub(t0date); d < 50*time.Second || d > 70*time.Second {
		t.Errorf("given up after %v, want about a minute (RFC 2131, 3.1 step 5)", d)
	}
}

var t0date = t0

// D-10: an ACK for another address than the one asked for.
func TestD10_AckForAnotherAddress(t0 *testing.T) {
	other := func(m *Message) { m.YourIP = addr("192.168.5.101") }
	t := newClientTest(t0, ClientConfig{})
	t.c.Start(t.now)
	t.reply(t.want("start", Discover), Offer, nil)
	r := t.want("offer", Request)
	t.reply(r, Ack, other)
	t.wantState("not taken", StateRequesting)
	t.reply(r, Ack, func(m *Message) { m.LeaseTime = 0 })
	t.wantState("DC-18", StateRequesting)
	t.reply(r, Ack, func(m *Message) { m.ServerID = addr("192.168.5.2") })
	t.wantState("another server", StateRequesting)
	t.reply(r, Ack, nil)
	t.wantEvent("the right one", EventBound, nil)
	t.step(time.Hour)
	t.reply(t.want("T1", Request), Ack, other)
	t.wantState("not taken", StateRenewing)
}

// D-22, D-23: the first good offer is taken; nothing is believed that was not asked for.
func TestD22_D23_UnaskedMessages(t0 *testing.T) {
	t := newClientTest(t0, ClientConfig{})
	fake := &sent{Message: Message{XID: t.c.xid, MAC: mac}}
	t.reply(fake, Offer, nil)
	t.reply(fake, Ack, nil)
	t.wantState("not started", StateStopped)
	t.wantIdle("not started")
	t.c.Start(t.now)
	d := t.want("start", Discover)
	for i := range 1000 {
		t.reply(d, Offer, func(m *Message) { m.ServerID = netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) })
	}
	r := t.want("one REQUEST", Request)
	if r.ServerID != addr("10.0.0.0") {
		t.Errorf("took %v, want the first", r.ServerID)
	}
	t.wantIdle("one REQUEST")
	r.XID = d.XID
	t.reply(r, Ack, func(m *Message) { m.ServerID = r.ServerID })
	t.wantEvent("ack", EventBound, nil)
	t.reply(r, Ack, func(m *Message) { m.YourIP = addr("192.168.5.9") })
	t.wantNoEvent("ACK in BOUND")
	if l, _ := t.c.Lease(); l.Addr.Addr() != leased {
		t.Errorf("the lease became %v", l.Addr)
	}
}

// DC-17, DC-19, D-12, D-13, D-19: what is made of routers and servers.
func TestDC17_D12_D13_D19_RoutersAndServers(t0 *testing.T) {
	via := func(to, via string) Route { return Route{netip.MustParsePrefix(to), addr(via)} }
	for name, tt := range map[string]struct {
		f      func(*Message)
		router string
		dns    int
	}{
		"D-12 not in the subnet": {func(m *Message) { m.Routers = []netip.Addr{addr("10.0.0.1")} }, "", 1},
		"D-12 ours":              {func(m *Message) { m.Routers = []netip.Addr{leased} }, "", 1},
		"D-12 broadcast":         {func(m *Message) { m.Routers = []netip.Addr{addr("192.168.5.255")} }, "", 1},
		"D-12 first bad":         {func(m *Message) { m.Routers = []netip.Addr{addr("10.0.0.1"), server} }, "192.168.5.1", 1},
		"121 wins over 3":        {func(m *Message) { m.Routes = []Route{via("0.0.0.0/0", "192.168.5.7")} }, "192.168.5.7", 1},
		"121 without a default":  {func(m *Message) { m.Routes = []Route{via("192.0.2.0/24", "192.168.5.7")} }, "", 1},
		"D-19 halves of the Internet": {func(m *Message) {
			m.Routes = []Route{via("0.0.0.0/1", "192.168.5.7"), via("128.0.0.0/1", "192.168.5.7")}
		}, "", 1},
		"D-19 default to a stranger": {func(m *Message) { m.Routes = []Route{via("0.0.0.0/0", "10.0.0.1")} }, "", 1},
		"D-13 senseless DNS": {func(m *Message) {
			m.DNS = []netip.Addr{leased, addr("255.255.255.255"), addr("127.0.0.53"), addr("192.168.5.255")}
		}, "192.168.5.1", 0},
		"D-13 one good among the rest": {func(m *Message) { m.DNS = []netip.Addr{leased, addr("192.0.2.53")} }, "192.168.5.1", 1},
	} {
		t := newClientTest(t0, ClientConfig{})
		l := t.bind(tt.f).Lease
		if want, _ := netip.ParseAddr(tt.router); l.Router != want || len(l.DNS) != tt.dns {
			t.Errorf("%s: router %v, DNS %v", name, l.Router, l.DNS)
		}
	}
}

// D-11: no mask at all: the class decides.
func TestD11_ClassfulDefault(t0 *testing.T) {
	for ip, bits := range map[string]int{"10.1.2.3": 8, "172.16.1.2": 16, "192.168.5.100": 24} {
		t := newClientTest(t0, ClientConfig{})
		l := t.bind(func(m *Message) { m.Mask, m.YourIP = netip.Addr{}, addr(ip) }).Lease
		if l.Addr.Bits() != bits {
			t.Errorf("%v, want /%d", l.Addr, bits)
		}
	}
}

func TestDC20_Release(t0 *testing.T) {
	t := newClientTest(t0, ClientConfig{})
	t.bind(nil)
	t.c.Release(t.now)
	t.wantState("release", StateStopped)
	if d := t.c.Deadline(); d.IsZero() || d.After(t.now) {
		t.Errorf("output waits, but the deadline is %v", d)
	}
	m := t.want("release", Release)
	want := Message{Op: BootRequest, XID: m.XID, MAC: mac, Type: Release, ClientIP: leased, ServerID: server, ClientID: m.ClientID}
	if !reflect.DeepEqual(m.Message, want) {
		t.Errorf("sent %+v\nwant %+v", m.Message, want)
	}
	if m.src.String() != "192.168.5.100:68" || m.dst.String() != "192.168.5.1:67" {
		t.Errorf("from %v to %v", m.src, m.dst)
	}
	t.wantIdle("done")
	if d := t.c.Deadline(); !d.IsZero() {
		t.Errorf("deadline %v, want never", d)
	}
	t.c.Release(t.now)
	t.wantIdle("nothing to release")
}

// A farewell is not lost by starting anew at once.
func TestReleaseAndStart(t0 *testing.T) {
	t := newClientTest(t0, ClientConfig{})
	t.bind(nil)
	t.c.Release(t.now)
	t.c.Start(t.now)
	t.want("farewell first", Release)
	t.want("then the start", Discover)
}

// DC-7: INIT-REBOOT.
func TestDC7_Reboot(t0 *testing.T) {
	t := newClientTest(t0, ClientConfig{})
	t.c.Reboot(t.now, leased)
	m := t.want("reboot", Request)
	if m.RequestedIP != leased || m.ServerID.IsValid() || m.ClientIP.IsValid() || m.dst.String() != "255.255.255.255:67" {
		t.Errorf("sent %v to %v", m.String(), m.dst)
	}
	t.reply(m, Ack, nil)
	t.wantEvent("ack", EventBound, nil)

	t.c.Reboot(t.now, leased)
	t.reply(t.want("reboot", Request), Nak, func(m *Message) { m.ServerID = addr("192.168.5.2") })
	t.want("refused", Discover)

	t.c.Reboot(t.now, leased)
	for range requests {
		t.want("reboot", Request)
		t.step(time.Minute)
	}
	t.want("no answer", Discover)
	t.wantNoEvent("INIT comes first")

	t.c.Reboot(t.now, addr("127.0.0.1"))
	t.want("no address to ask for", Discover)
}

func TestStopForgetsAll(t0 *testing.T) {
	t := newClientTest(t0, ClientConfig{})
	t.bind(nil)
	t.c.Declined(t.now)
	t.c.Stop(t.now)
	t.wantIdle("stopped")
	t.wantNoEvent("stopped")
	if d := t.c.Deadline(); !d.IsZero() {
		t.Errorf("deadline %v", d)
	}
	t.c.Advance(t.now.Add(time.Hour))
	t.wantIdle("still stopped")
}

// DC-16, S-09: the client identifier never changes, the transaction identifier always does.
func TestDC16_S09_Identifiers(t0 *testing.T) {
	t := newClientTest(t0, ClientConfig{ClientID: []byte{255, 1, 2, 3}})
	seen := map[uint32]bool{}
	for range 100 {
		t.c.Start(t.now)
		m := t.want("start", Discover)
		if string(m.ClientID) != "\xff\x01\x02\x03" {
			t.Fatalf("client identifier %x", m.ClientID)
		}
		seen[m.XID] = true
	}
	if len(seen) != 100 {
		t.Errorf("%d transaction identifiers in 100 starts", len(seen))
	}
}

// After a long sleep all that was missed is made up for in one call.
func TestWakingUpLong(t0 *testing.T) {
	t := newClientTest(t0, ClientConfig{})
	t.bind(nil)
	t.now = t.now.Add(1000 * time.Hour)
	t.c.Advance(t.now)
	t.wantEvent("T2", EventFailed, ErrNoAnswer)
	t.wantEvent("expiry", EventLost, ErrExpired)
	t.want("start again", Discover)
	t.wantIdle("nothing else")
	if d := t.c.Deadline(); !d.After(t.now) {
		t.Errorf("deadline %v is not ahead of %v", d, t.now)
	}
}

func TestClientConfigIsChecked(t *testing.T) {
	r := rand.NewPCG(1, 1)
	for name, c := range map[string]ClientConfig{
		"no source (S-10)": {MAC: mac},
		"no MAC":           {Rand: r},
		"group MAC":        {Rand: r, MAC: [6]byte{1}},
		"long host name":   {Rand: r, MAC: mac, Hostname: string(make([]byte, 256))},
		"short identifier": {Rand: r, MAC: mac, ClientID: []byte{1}},
		"long identifier":  {Rand: r, MAC: mac, ClientID: make([]byte, 256)},
	} {
		if _, err := NewClient(c); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever arrives, in whatever state, the client stays sane: a deadline, no storm, no lease that is none.
func FuzzClient(f *testing.F) {
	for _, typ := range []MessageType{Offer, Ack, Nak} {
		m := answerTo(&sent{Message: Message{MAC: mac}}, typ)
		f.Add(m.Append(nil, nil), uint8(3))
	}
	f.Fuzz(func(t *testing.T, b []byte, steps uint8) {
		c, err := NewClient(ClientConfig{MAC: mac, Rand: rand.NewPCG(1, 2)})
		if err != nil {
			t.Fatal(err)
		}
		now := t0
		c.Start(now)
		for range steps%16 + 1 {
			for _, _, _, ok := c.Output(now, nil); ok; _, _, _, ok = c.Output(now, nil) {
			}
			if len(b) >= 8 { // the right transaction, or nothing gets in
				b = append([]byte(nil), b...)
				b[4], b[5], b[6], b[7] = byte(c.xid>>24), byte(c.xid>>16), byte(c.xid>>8), byte(c.xid)
			}
			c.Input(now, b)
			if l, ok := c.Lease(); ok && (!isHost(l.Addr.Addr()) || l.Addr.Bits() < 1 || !l.Expiry.IsZero() && !l.T1.Before(l.T2)) {
				t.Fatalf("lease %+v", l)
			}
			for _, ok := c.NextEvent(); ok; _, ok = c.NextEvent() {
			}
			for _, _, _, ok := c.Output(now, nil); ok; _, _, _, ok = c.Output(now, nil) {
			}
			d := c.Deadline()
			if d.IsZero() {
				if c.State() == StateBound {
					return // for ever
				}
				t.Fatalf("no deadline in %v", c.State())
			}
			if !d.After(now) {
				t.Fatalf("deadline %v is not ahead of %v in %v", d, now, c.State())
			}
			now = d
			c.Advance(now)
		}
	})
}
