package dns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

type (
	netipAddr     = netip.Addr
	netipAddrPort = netip.AddrPort
)

var (
	t0      = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	server1 = netip.MustParseAddrPort("192.0.2.53:53")
	server2 = netip.MustParseAddrPort("192.0.2.54:53")
	addr1   = netip.MustParseAddr("198.51.100.1")
	addr2   = netip.MustParseAddr("198.51.100.2")
)

// resolverTest drives one resolver in virtual time.
type resolverTest struct {
	*testing.T
	r   *Resolver
	now time.Time
}

func newResolverTest(t *testing.T, c ResolverConfig, servers ...netip.AddrPort) *resolverTest {
	t.Helper()
	c.Rand = rand.NewPCG(1, 2)
	r, err := NewResolver(c)
	if err != nil {
		t.Fatal(err)
	}
	if len(servers) == 0 {
		servers = []netip.AddrPort{server1}
	}
	r.SetServerPorts(t0, servers)
	return &resolverTest{t, r, t0}
}

// query is what a resolver sent.
type sentQuery struct {
	id   uint16
	name string // as on the wire
	q    dnsmessage.Question
	port uint16
	to   netip.AddrPort
	b    []byte
}

func parseSent(t *testing.T, b []byte) sentQuery {
	t.Helper()
	var p dnsmessage.Parser
	h, err := p.Start(b)
	if err != nil {
		t.Fatal(err)
	}
	q, err := p.AllQuestions()
	if err != nil || len(q) != 1 || !h.RecursionDesired || h.Response || h.OpCode != 0 {
		t.Fatalf("query %+v, %v, %v", h, q, err)
	}
	return sentQuery{id: h.ID, name: q[0].Name.String(), q: q[0], b: b}
}

// want takes the next query, which must be for name.
func (t *resolverTest) want(why, name string) sentQuery {
	t.Helper()
	b, port, to, ok := t.r.Output(t.now, nil)
	if !ok {
		t.Fatalf("%s: nothing sent, want a query for %s", why, name)
	}
	q := parseSent(t.T, b)
	q.port, q.to = port, to
	if !strings.EqualFold(q.name, name+".") || q.q.Type != dnsmessage.TypeA || q.q.Class != dnsmessage.ClassINET {
		t.Fatalf("%s: asked %v, want A of %s", why, q.q, name)
	}
	return q
}

func (t *resolverTest) wantIdle(why string) {
	t.Helper()
	if b, _, _, ok := t.r.Output(t.now, nil); ok {
		t.Fatalf("%s: sent %x, want nothing", why, b)
	}
}

func (t *resolverTest) resolve(name string) {
	t.Helper()
	if err := t.r.Resolve(t.now, name, name); err != nil {
		t.Fatal(err)
	}
}

func (t *resolverTest) wantResult(why string, addrs ...netip.Addr) Result {
	t.Helper()
	x, ok := t.r.NextEvent()
	if !ok || x.Err != nil || !reflect.DeepEqual(x.Addrs, addrs) {
		t.Fatalf("%s: result %v (%v), %v, want %v", why, x.Addrs, x.Err, ok, addrs)
	}
	return x
}

func (t *resolverTest) wantError(why string, want error) {
	t.Helper()
	x, ok := t.r.NextEvent()
	var e *Error
	if !ok || !errors.Is(x.Err, want) || !errors.As(x.Err, &e) || e.Name != x.Name || x.Addrs != nil {
		t.Fatalf("%s: result %v (%v), %v, want %v", why, x.Addrs, x.Err, ok, want)
	}
}

func (t *resolverTest) wantPending(why string) {
	t.Helper()
	if x, ok := t.r.NextEvent(); ok {
		t.Fatalf("%s: result %v (%v), want none yet", why, x.Addrs, x.Err)
	}
}

// step goes to the next deadline.
func (t *resolverTest) step(most time.Duration) {
	t.Helper()
	d := t.r.Deadline()
	if d.IsZero() || d.After(t.now.Add(most)) {
		t.Fatalf("deadline %v, want one within %v of %v", d, most, t.now)
	}
	if d.After(t.now) {
		t.now = d
	}
	t.r.Advance(t.now)
}

// rr is a record of an answer: A if to is an address, else CNAME.
type rr struct {
	name, to string
	ttl      uint32
}

// answerWith builds the answer to q.
func answerWith(q sentQuery, rcode dnsmessage.RCode, records ...rr) []byte {
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: q.id, Response: true, RecursionDesired: true, RecursionAvailable: true, RCode: rcode})
	b.EnableCompression()
	must(b.StartQuestions())
	must(b.Question(q.q))
	must(b.StartAnswers())
	for _, r := range records {
		h := dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(r.name + "."), Class: dnsmessage.ClassINET, TTL: r.ttl}
		if a, err := netip.ParseAddr(r.to); err == nil {
			must(b.AResource(h, dnsmessage.AResource{A: a.As4()}))
		} else {
			must(b.CNAMEResource(h, dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(r.to + ".")}))
		}
	}
	m, err := b.Finish()
	must(err)
	return m
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// reply gives the resolver an answer to q.
func (t *resolverTest) reply(q sentQuery, b []byte) { t.r.Input(t.now, q.to, q.port, b) }

func TestDNS1_QueryAndAnswer(t0 *testing.T) {
	t := newResolverTest(t0, ResolverConfig{})
	t.resolve("WWW.Example.com.")
	q := t.want("asked", "www.example.com")
	if q.to != server1 || len(q.b) != 12+17+4 || !t.r.Uses(q.port) {
		t.Errorf("%d bytes to %v, uses port: %v", len(q.b), q.to, t.r.Uses(q.port))
	}
	t.wantIdle("one is enough")
	t.reply(q, answerWith(q, 0, rr{"www.example.com", "198.51.100.1", 60}, rr{"www.example.com", "198.51.100.2", 50}))
	x := t.wantResult("answered", addr1, addr2)
	if x.Name != "WWW.Example.com." || x.Tag != "WWW.Example.com." || x.TTL != 50*time.Second {
		t.Errorf("%+v", x)
	}
	if t.r.Uses(q.port) || !t.r.Deadline().IsZero() {
		t.Error("the resolver is not at rest")
	}
	t.reply(q, answerWith(q, 0, rr{"www.example.com", "198.51.100.2", 60}))
	t.wantPending("R-05: second answer")
}

// DNS-2, S-08: identifier and port are new with every packet, retries among them.
func TestDNS2_S08_IdentifiersAndPorts(t0 *testing.T) {
	t := newResolverTest(t0, ResolverConfig{CacheSize: -1})
	ids, ports := map[uint16]bool{}, map[uint16]bool{}
	n := 0
	for i := range 500 {
		t.resolve(fmt.Sprintf("h%d.example", i))
		for range 2 {
			q := t.want("asked", fmt.Sprintf("h%d.example", i))
			ids[q.id], ports[q.port] = true, true
			if q.port < 1024 {
				t.Errorf("port %d", q.port)
			}
			n++
			t.step(10 * time.Second)
		}
		q := t.want("again", fmt.Sprintf("h%d.example", i))
		t.reply(q, answerWith(q, dnsmessage.RCodeNameError))
		t.wantError("no", ErrNotFound)
	}
	if len(ids) < n*95/100 || len(ports) < n*95/100 {
		t.Errorf("%d identifiers and %d ports in %d queries", len(ids), len(ports), n)
	}
}

func TestPortFree(t0 *testing.T) {
	asked := 0
	t := newResolverTest(t0, ResolverConfig{PortFree: func(port uint16) bool { asked++; return port%2 == 0 }})
	for i := range 50 {
		t.resolve(fmt.Sprintf("h%d", i))
		if q := t.want("asked", fmt.Sprintf("h%d", i)); q.port%2 != 0 {
			t.Errorf("port %d is taken", q.port)
		}
	}
	if asked < 50 {
		t.Errorf("asked %d times", asked)
	}
}

// DNS-3, DNS-4, R-02, R-03: what is no answer to the question is dropped, and the wait goes on.
func TestDNS3_DNS4_R01_R02_R03_Mismatches(t0 *testing.T) {
	t := newResolverTest(t0, ResolverConfig{})
	t.resolve("www.example.com")
	q := t.want("asked", "www.example.com")
	good := answerWith(q, 0, rr{"www.example.com", "198.51.100.1", 60})
	change := func(f func(b []byte)) []byte {
		b := append([]byte(nil), good...)
		f(b)
		return b
	}
	other := q
	other.q.Name = dnsmessage.MustNewName("www.example.org.")
	aaaa, chaos := q, q
	aaaa.q.Type, chaos.q.Class = dnsmessage.TypeAAAA, dnsmessage.ClassCHAOS
	for name, b := range map[string][]byte{
		"wrong id":            change(func(b []byte) { b[0] ^= 1 }),
		"QR 0":                change(func(b []byte) { b[2] &^= 0x80 }),
		"opcode 4":            change(func(b []byte) { b[2] |= 4 << 3 }),
		"no question":         message(0, 0, 0, 0, ""),
		"two questions":       change(func(b []byte) { b[5] = 2 }),
		"other name":          answerWith(other, 0, rr{"www.example.org", "198.51.100.1", 60}),
		"other type":          answerWith(aaaa, 0),
		"other class":         answerWith(chaos, 0),
		"R-01 nothing":        nil,
		"R-01 11 bytes":       good[:11],
		"cut in the question": good[:20],
	} {
		t.reply(q, b)
		t.wantPending(name)
	}
	if c := t.r.Counters(); c.Mismatched != 11 {
		t.Errorf("counters %+v", c)
	}
	t.r.Input(t.now, server2, q.port, good)
	t.wantPending("R-03 from another server")
	t.r.Input(t.now, netip.AddrPortFrom(q.to.Addr(), 5353), q.port, good)
	t.wantPending("R-03 from another port")
	t.r.Input(t.now, q.to, q.port+1, good)
	t.wantPending("to another port")
	if c := t.r.Counters(); c.WrongFrom != 2 || c.Unexpected != 1 {
		t.Errorf("counters %+v", c)
	}
	t.reply(q, good)
	t.wantResult("the true one", addr1)
}

// all identifiers are tried, before the true answer; without TCP the wait goes on.
func TestR04_Kaminsky(t0 *testing.T) {
	t := newResolverTest(t0, ResolverConfig{})
	t.resolve("www.example.com")
	q := t.want("asked", "www.example.com")
	forged := answerWith(q, 0, rr{"www.example.com", "203.0.113.66", 60})
	for id := range 1 << 16 {
		if uint16(id) != q.id {
			binary.BigEndian.PutUint16(forged, uint16(id))
			t.reply(q, forged)
		}
	}
	t.wantPending("forged")
	t.reply(q, answerWith(q, 0, rr{"www.example.com", "198.51.100.1", 60}))
	t.wantResult("the true one", addr1)
}

// DNS-5: what RCODEs mean; R-26: answers beside an error are ignored.
func TestDNS5_R26_ResponseCodes(t0 *testing.T) {
	for rcode, want := range map[dnsmessage.RCode]error{
		dnsmessage.RCodeNameError: ErrNotFound, dnsmessage.RCodeSuccess: ErrNoData,
		dnsmessage.RCodeServerFailure: ErrServerFailure, dnsmessage.RCodeRefused: ErrRefused,
		dnsmessage.RCodeFormatError: ErrServerFailure, dnsmessage.RCodeNotImplemented: ErrServerFailure, 11: ErrServerFailure, 15: ErrServerFailure,
	} {
		t := newResolverTest(t0, ResolverConfig{})
		t.resolve("www.example.com")
		q := t.want("asked", "www.example.com")
		var records []rr
		if rcode != 0 {
			records = []rr{{"www.example.com", "198.51.100.1", 60}}
		}
		t.reply(q, answerWith(q, rcode, records...))
		t.wantError(rcode.String(), want)
		if len(t.r.cache.entries) != 0 {
			t.Error("an error was remembered")
		}
	}
}

// DNS-5: failure and refusal mean the next server, at once.
func TestDNS5_NextServer(t0 *testing.T) {
	t := newResolverTest(t0, ResolverConfig{}, server1, server2)
	t.resolve("www.example.com")
	q := t.want("asked", "www.example.com")
	t.reply(q, answerWith(q, dnsmessage.RCodeServerFailure))
	q2 := t.want("next", "www.example.com")
	if q2.to != server2 || q2.id == q.id || q2.port == q.port {
		t.Errorf("then %v, id %d, port %d", q2.to, q2.id, q2.port)
	}
	t.reply(q2, answerWith(q2, 0, rr{"www.example.com", "198.51.100.1", 60}))
	t.wantResult("answered", addr1)

	t.resolve("b.example")
	q = t.want("asked", "b.example")
	t.reply(q, answerWith(q, dnsmessage.RCodeServerFailure))
	q = t.want("next", "b.example")
	t.reply(q, answerWith(q, dnsmessage.RCodeRefused))
	t.wantError("all servers have failed", ErrRefused)
}

// DNS-10, R-18: aliases.
func TestDNS10_R18_R29_Aliases(t0 *testing.T) {
	long := func(n int) []rr {
		list := []rr{{fmt.Sprintf("n%d.example", n), "198.51.100.1", 60}}
		for i := n; i > 0; i-- {
			from := fmt.Sprintf("n%d.example", i-1)
			if i == 1 {
				from = "www.example"
			}
			list = append(list, rr{from, fmt.Sprintf("n%d.example", i), 60})
		}
		return list
	}
	many := func(n int) []rr {
		var list []rr
		for i := range n {
			list = append(list, rr{"www.example", fmt.Sprintf("198.51.%d.%d", i>>8, i&255), 60})
		}
		return list
	}
	for _, tt := range []struct {
		name    string
		records []rr
		err     error
		n       int
	}{
		{"one alias", []rr{{"www.example", "x.example", 60}, {"x.example", "198.51.100.1", 60}}, nil, 1},
		{"out of order, other case", []rr{{"X.Example", "198.51.100.1", 60}, {"WWW.example", "x.example", 60}}, nil, 1},
		{"16 aliases, backwards", long(16), nil, 1},
		{"R-18 17 aliases", long(17), ErrBadAnswer, 0},
		{"R-18 50 aliases", long(50), ErrBadAnswer, 0},
		{"R-18 to itself", []rr{{"www.example", "www.example", 60}}, ErrBadAnswer, 0},
		{"R-18 ring", []rr{{"www.example", "a.example", 60}, {"a.example", "b.example", 60}, {"b.example", "www.example", 60}}, ErrBadAnswer, 0},
		{"an alias of nothing", []rr{{"www.example", "x.example", 60}}, ErrNoData, 0},
		{"R-19 another name", []rr{{"www.bank", "203.0.113.66", 60}}, ErrNoData, 0},
		{"R-20 an alias of another name", []rr{{"www.bank", "x.example", 60}, {"x.example", "203.0.113.66", 60}}, ErrNoData, 0},
		{"R-19 beside a good one", []rr{{"www.bank", "203.0.113.66", 60}, {"www.example", "198.51.100.1", 60}}, nil, 1},
		{"the same twice", []rr{{"www.example", "198.51.100.1", 60}, {"www.example", "198.51.100.1", 60}}, nil, 1},
		{"R-29 1000 addresses", many(1000), nil, maxAddrs},
	} {
		t := newResolverTest(t0, ResolverConfig{})
		t.resolve("www.example")
		q := t.want(tt.name, "www.example")
		t.reply(q, answerWith(q, 0, tt.records...))
		x, ok := t.r.NextEvent()
		if !ok || !errors.Is(x.Err, tt.err) || len(x.Addrs) != tt.n || tt.n == 1 && x.Addrs[0] != addr1 {
			t.Errorf("%s: %v, %v, %v, want %d addresses, %v", tt.name, x.Addrs, x.Err, ok, tt.n, tt.err)
		}
	}
}

// DNS-12, R-22: time to live.
func TestDNS12_R22_TimeToLive(t0 *testing.T) {
	for _, tt := range []struct {
		ttl  uint32
		want time.Duration
	}{{0, 0}, {1, time.Second}, {60, time.Minute}, {86400, maxTTL}, {0x7fffffff, maxTTL}, {0x80000000, 0}, {0xffffffff, 0}} {
		t := newResolverTest(t0, ResolverConfig{})
		t.resolve("www.example")
		q := t.want("asked", "www.example")
		t.reply(q, answerWith(q, 0, rr{"www.example", "x.example", 100000}, rr{"x.example", "198.51.100.1", tt.ttl}))
		if x := t.wantResult("answered", addr1); x.TTL != tt.want {
			t.Errorf("%#x: TTL %v, want %v", tt.ttl, x.TTL, tt.want)
		}
		if tt.want > 0 {
			t.now = t.now.Add(tt.want - 1)
			t.resolve("WWW.example.")
			if x := t.wantResult("from memory", addr1); x.TTL != 1 || x.Name != "WWW.example." {
				t.Errorf("%#x: %+v", tt.ttl, x)
			}
			t.now = t.now.Add(1)
		}
		t.resolve("www.example")
		t.want("asked again", "www.example")
	}
}

// DNS-13, R-31, CBK-04: nobody answers.
func TestDNS13_R31_CBK04_Silence(t0 *testing.T) {
	t := newResolverTest(t0, ResolverConfig{Timeout: 30 * time.Second}, server1, server2)
	t.resolve("www.example")
	var at []time.Duration
	var to []netip.AddrPort
	for len(t.r.queries) > 0 {
		q := t.want("asked", "www.example")
		at, to = append(at, t.now.Sub(t0date)), append(to, q.to)
		t.step(10 * time.Second)
	}
	want := []time.Duration{0, 1 * time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second, 23 * time.Second}
	if !reflect.DeepEqual(at, want) {
		t.Errorf("asked at %v, want %v", at, want)
	}
	for i, s := range to {
		if s != []netip.AddrPort{server1, server2}[i%2] {
			t.Errorf("query %d went to %v", i, s)
		}
	}
	t.wantError("given up", ErrTimeout)
	if d := t.now.Sub(t0date); d != 30*time.Second {
		t.Errorf("after %v", d)
	}
}

var t0date = t0

// the answer to a query that was repeated since comes too late.
func TestR05_LateAnswer(t0 *testing.T) {
	t := newResolverTest(t0, ResolverConfig{})
	t.resolve("www.example")
	q := t.want("asked", "www.example")
	t.step(time.Second)
	q2 := t.want("again", "www.example")
	t.reply(q, answerWith(q, 0, rr{"www.example", "198.51.100.1", 60}))
	t.wantPending("late")
	t.reply(q2, answerWith(q2, 0, rr{"www.example", "198.51.100.2", 60}))
	t.wantResult("in time", addr2)
}

// RFC 5452, 5: one query at a time for a name; everyone who asked gets the answer.
func TestDNS13_OneQueryForAName(t0 *testing.T) {
	t := newResolverTest(t0, ResolverConfig{})
	for i, name := range []string{"www.example", "WWW.EXAMPLE", "www.example."} {
		if err := t.r.Resolve(t.now, name, i); err != nil {
			t.Fatal(err)
		}
	}
	q := t.want("asked", "www.example")
	t.wantIdle("once")
	t.reply(q, answerWith(q, 0, rr{"www.example", "198.51.100.1", 60}))
	for i, name := range []string{"www.example", "WWW.EXAMPLE", "www.example."} {
		if x := t.wantResult("answered", addr1); x.Tag != i || x.Name != name {
			t.Errorf("%+v", x)
		}
	}
}

func TestRequestsAreBounded(t0 *testing.T) {
	t := newResolverTest(t0, ResolverConfig{Pending: 3})
	t.resolve("a.example")
	t.resolve("a.example")
	t.resolve("192.0.2.1") // a result that nobody fetched counts too
	for _, name := range []string{"b.example", "a.example", "192.0.2.1"} {
		if err := t.r.Resolve(t.now, name, nil); !errors.Is(err, ErrBusy) {
			t.Errorf("%s: %v", name, err)
		}
	}
	t.wantResult("number", netip.MustParseAddr("192.0.2.1"))
	t.resolve("b.example")
	q := t.want("a", "a.example")
	t.reply(q, answerWith(q, dnsmessage.RCodeNameError))
	if err := t.r.Resolve(t.now, "c.example", nil); !errors.Is(err, ErrBusy) {
		t.Error(err)
	}
	t.wantError("a", ErrNotFound)
	t.wantError("a", ErrNotFound)
	t.resolve("c.example")
}

// DNS-16: servers change with each lease.
func TestDNS16_ServersChange(t0 *testing.T) {
	t := newResolverTest(t0, ResolverConfig{})
	t.resolve("a.example")
	q := t.want("asked", "a.example")
	t.reply(q, answerWith(q, 0, rr{"a.example", "198.51.100.1", 60}))
	t.wantResult("answered", addr1)
	t.r.SetServerPorts(t.now, []netip.AddrPort{server1})
	t.resolve("a.example")
	t.wantResult("the same servers: still remembered", addr1)

	t.resolve("b.example")
	q = t.want("asked", "b.example")
	t.r.SetServers(t.now, []netip.Addr{server2.Addr(), netip.MustParseAddr("::1"), {}})
	if got := t.r.Servers(); !reflect.DeepEqual(got, []netip.AddrPort{server2}) {
		t.Errorf("servers %v", got)
	}
	q2 := t.want("asked anew", "b.example")
	if q2.to != server2 {
		t.Errorf("at %v", q2.to)
	}
	t.reply(q, answerWith(q, 0, rr{"b.example", "198.51.100.1", 60}))
	t.wantPending("the old server")
	t.resolve("a.example")
	t.want("forgotten", "a.example")

	t.r.SetServers(t.now, nil)
	t.wantError("b", ErrNoServers)
	t.wantError("a", ErrNoServers)
	if err := t.r.Resolve(t.now, "c.example", nil); !errors.Is(err, ErrNoServers) {
		t.Error(err)
	}
	if d := t.r.Deadline(); !d.IsZero() {
		t.Errorf("deadline %v", d)
	}
}

func TestCancelAndStop(t0 *testing.T) {
	t := newResolverTest(t0, ResolverConfig{})
	for _, tag := range []int{1, 2, 1} {
		if err := t.r.Resolve(t.now, "a.example", tag); err != nil {
			t.Fatal(err)
		}
	}
	if err := t.r.Resolve(t.now, "b.example", 1); err != nil {
		t.Fatal(err)
	}
	t.r.Cancel(t.now, 1)
	t.want("a", "a.example")
	t.wantIdle("b is not wanted any more")
	t.r.Stop(t.now)
	t.wantError("stopped", ErrCanceled)
	t.wantPending("the others were canceled")
	if t.r.waiting != 0 || len(t.r.queries) != 0 {
		t.Errorf("%d wait, %d queries", t.r.waiting, len(t.r.queries))
	}
}

// C-20: ICMP errors are a hint and nothing else.
func TestC20_Unreachable(t0 *testing.T) {
	t := newResolverTest(t0, ResolverConfig{}, server1, server2)
	t.resolve("a.example")
	q := t.want("asked", "a.example")
	t.r.Unreachable(t.now, server2, q.port)
	t.r.Unreachable(t.now, server1, q.port+1)
	t.wantIdle("not ours")
	t.r.Unreachable(t.now, server1, q.port)
	q2 := t.want("next", "a.example")
	if q2.to != server2 {
		t.Errorf("asked %v", q2.to)
	}
	t.r.Unreachable(t.now, server2, q2.port)
	t.wantIdle("all were tried: wait")
	t.wantPending("no result from ICMP")
	t.reply(q2, answerWith(q2, 0, rr{"a.example", "198.51.100.1", 60}))
	t.wantResult("it was forged", addr1)
}

// Broken answers that match the question: the next server.
func TestR06ToR17_BrokenAnswers(t0 *testing.T) {
	for name, tail := range map[string]string{
		"R-06 count":            "",
		"R-07 pointer loop":     "\xc0\x1a\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x07",
		"R-09 forward pointer":  "\xc0\x28\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x07",
		"R-15 A of 3 bytes":     "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x03\xc0\x00\x02",
		"R-17 CNAME and length": "\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x05\x01a\x00zz",
	} {
		t := newResolverTest(t0, ResolverConfig{}, server1, server2)
		t.resolve("example")
		q := t.want(name, "example")
		b := message(1, 1, 0, 0, exampleQ+tail)
		binary.BigEndian.PutUint16(b, q.id)
		t.reply(q, b)
		t.wantPending(name)
		q = t.want(name, "example")
		if q.to != server2 || t.r.Counters().Broken != 1 {
			t.Errorf("%s: asked %v, %+v", name, q.to, t.r.Counters())
		}
		binary.BigEndian.PutUint16(b, q.id)
		t.reply(q, b)
		t.wantError(name, ErrBadAnswer)
	}
}

// a large answer over UDP is read within bounds, and does not mix with the next.
func TestR25_LargeAnswers(t0 *testing.T) {
	t := newResolverTest(t0, ResolverConfig{})
	t.resolve("www.example")
	q := t.want("asked", "www.example")
	b := answerWith(q, 0, rr{"www.example", "198.51.100.1", 60})
	t.reply(q, append(b, make([]byte, 65507-len(b))...))
	t.wantResult("with rubbish behind", addr1)
}

// Letter case as a further secret, and servers that lose it.
func TestMixedCase(t0 *testing.T) {
	t := newResolverTest(t0, ResolverConfig{MixCase: true, CacheSize: -1})
	name := "a-rather-long-name.example"
	t.resolve(name)
	q := t.want("asked", name)
	if q.name == name+"." {
		t.Errorf("asked for %s, want mixed case", q.name)
	}
	t.reply(q, answerWith(q, 0, rr{name, "198.51.100.1", 60}))
	t.wantResult("case given back", addr1)

	t.resolve(name)
	q = t.want("asked", name)
	flat := q
	flat.q.Name = dnsmessage.MustNewName(name + ".")
	t.reply(flat, answerWith(flat, 0, rr{name, "198.51.100.1", 60}))
	t.wantPending("case lost")
	q2 := t.want("asked plainly", name)
	if q2.name != name+"." || q2.to != q.to || q2.id == q.id {
		t.Errorf("asked %v for %s", q2.to, q2.name)
	}
	t.reply(q2, answerWith(q2, 0, rr{name, "198.51.100.1", 60}))
	t.wantResult("plain", addr1)
}

func TestNoSource(t *testing.T) {
	if _, err := NewResolver(ResolverConfig{}); err == nil {
		t.Error("S-10: a resolver without randomness was made")
	}
}

// Whatever arrives, in whatever order: no panic, one result for each request, in the end.
func FuzzResolver(f *testing.F) {
	f.Add(message(1, 1, 0, 0, exampleQ+exampleA), uint8(3))
	f.Add(message(1, 0, 0, 0, exampleQ), uint8(0))
	f.Fuzz(func(t *testing.T, b []byte, steps uint8) {
		r, err := NewResolver(ResolverConfig{Rand: rand.NewPCG(1, 2)})
		if err != nil {
			t.Fatal(err)
		}
		now := t0
		r.SetServerPorts(now, []netip.AddrPort{server1, server2})
		if err := r.Resolve(now, "example", nil); err != nil {
			t.Fatal(err)
		}
		results := 0
		for range int(steps) + 100 {
			for m, port, to, ok := r.Output(now, nil); ok; m, port, to, ok = r.Output(now, nil) {
				in := append([]byte(nil), b...)
				copy(in, m[:2])
				r.Input(now, to, port, in)
			}
			for _, ok := r.NextEvent(); ok; _, ok = r.NextEvent() {
				results++
			}
			d := r.Deadline()
			if d.IsZero() {
				break
			}
			if d.After(now) {
				now = d
			}
			r.Advance(now)
		}
		if results != 1 || len(r.queries) != 0 {
			t.Fatalf("%d results, %d queries", results, len(r.queries))
		}
	})
}
