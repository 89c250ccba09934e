package stack

import (
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"testing"
	"time"

	"github.com/understudy-net/understudy/stack/dns"
	"github.com/understudy-net/understudy/wire"
)

// Attacks on name resolution that take the whole stack: ICMP, fragments, randomness.

// lookup is one query of the resolver, as it left.
type lookup struct {
	port    uint16
	payload []byte
}

func (l lookup) id() uint16 { return uint16(l.payload[0])<<8 | uint16(l.payload[1]) }

// queries takes the DNS queries out of what was sent.
func (x *script) queries() (all []lookup) {
	x.t.Helper()
	for _, o := range x.out {
		ip, b, err := wire.ParseIPv4(o.frame[ethLen:])
		if err != nil || ip.Proto != wire.ProtoUDP || ip.Dst != addrB {
			continue
		}
		u, p, err := wire.ParseUDP(b, ip.Src, ip.Dst)
		if err == nil && u.DstPort == dns.Port {
			all = append(all, lookup{u.SrcPort, p})
		}
	}
	x.out = nil
	return all
}

// resolve asks addrB for a name and returns the query.
func (x *script) resolve(name string) lookup {
	x.t.Helper()
	x.out = nil
	x.s.servers = []netip.Addr{addrB}
	if err := x.s.Resolve(x.now, name, name); err != nil {
		x.t.Fatal(err)
	}
	q := x.queries()
	if len(q) != 1 {
		x.t.Fatalf("%s: %d queries", name, len(q))
	}
	return q[0]
}

// answer is the datagram, with its UDP header, that says that the name of q has the address a.
func answer(t *testing.T, q lookup, name string, a netip.Addr) []byte {
	t.Helper()
	var table dns.Server
	if err := table.Set(name, time.Minute, a); err != nil {
		t.Fatal(err)
	}
	p, ok := table.Reply(nil, q.payload)
	if !ok {
		t.Fatalf("not a query: %x", q.payload)
	}
	return wire.UDP{SrcPort: dns.Port, DstPort: q.port}.Append(nil, addrB, addrA, p)
}

// resolved takes the events and returns the address that a name was found to have; invalid if there is none yet.
func (x *script) resolved() (a netip.Addr, err error) {
	for _, e := range x.drainEvents() {
		if e.Flags.Has(Resolved) {
			if err = e.Err; err == nil {
				a = e.Resolve.Addrs[0]
			}
		}
	}
	return a, err
}

// namesAlive checks that names are resolved.
func (x *script) namesAlive(name string) {
	x.t.Helper()
	want := netip.MustParseAddr("198.51.100.7")
	x.s.Input(x.now, x.ip(wire.ProtoUDP, answer(x.t, x.resolve(name), name, want)))
	if a, err := x.resolved(); a != want || err != nil {
		x.t.Errorf("%s is %v, %v, want %v", name, a, err, want)
	}
}

// quoted is an ICMP error about a datagram of ours to addrB.
func (x *script) quoted(typ wire.ICMPType, code uint8, port, to uint16) []byte {
	u := wire.UDP{SrcPort: port, DstPort: to}.Append(nil, addrA, addrB, nil)
	p := append(wire.IPv4{TTL: 60, Proto: wire.ProtoUDP, Src: addrA, Dst: addrB}.Append(nil, len(u)), u...)
	return x.ip(wire.ProtoICMP, wire.ICMP{Type: typ, Code: code}.Append(nil, p))
}

// C-20: an ICMP error that quotes the port of a query is a hint at most. It ends no look-up and tells an attacker
// nothing about which port is in use.
func TestC20_ErrorsAboutQueries(t *testing.T) {
	x := hostile(t)
	truth := netip.MustParseAddr("198.51.100.1")
	q := x.resolve("www.test")
	ignored := x.s.stats.ICMP.Ignored
	for i := range 2000 { // SAD DNS: the port is searched for
		x.s.Input(x.now, x.quoted(3, 3, uint16(20000+i), dns.Port))
	}
	if n := x.s.stats.ICMP.Ignored - ignored; n < 1999 {
		t.Errorf("%d of 2000 errors about nothing of ours were counted", n)
	}
	for code := range uint8(16) {
		x.s.Input(x.now, x.quoted(3, code, q.port, dns.Port))
		x.s.Input(x.now, x.quoted(11, code, q.port, dns.Port))
		x.s.Input(x.now, x.quoted(12, code, q.port, dns.Port))
		x.s.Input(x.now, x.quoted(3, code, q.port, dns.Port+1))
	}
	if len(x.out) > 0 {
		t.Errorf("answered with %s", describe(x.out[0].frame))
	}
	if a, err := x.resolved(); a.IsValid() || err != nil {
		t.Fatalf("resolved by ICMP: %v, %v", a, err)
	}
	x.s.Input(x.now, x.ip(wire.ProtoUDP, answer(t, q, "www.test", truth)))
	if a, err := x.resolved(); a != truth || err != nil {
		t.Fatalf("the wait did not go on: %v, %v", a, err)
	}
	x.alive()
	x.namesAlive("ftp.test")
}

// F-20: the second half of an answer is forged, and waits for the first. The checksum finds it out; and since no query
// offers more than 512 bytes, an honest answer has no second half.
func TestF20_ForgedSecondFragment(t *testing.T) {
	x := hostile(t)
	truth, forged := netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("203.0.113.66")
	q := x.resolve("www.test")
	if n := int(q.payload[10])<<8 | int(q.payload[11]); n != 0 {
		t.Errorf("the query has %d additional records: answers of more than 512 bytes would be fragmented", n)
	}
	good, bad := answer(t, q, "www.test", truth), answer(t, q, "www.test", forged)
	cut := (len(good) - 1) / 8 * 8 // the address is behind
	for id := range uint16(32) {   // he guesses the identification; what is kept of one sender is bounded
		x.s.Input(x.now, x.frag(addrB, id, wire.ProtoUDP, cut, false, bad[cut:]))
	}
	x.drops("F-20", x.frag(addrB, 31, wire.ProtoUDP, 0, true, good[:cut]), &x.s.stats.UDP.BadChecksum)
	// One who sees the sum can make it fit, but then has to know identifier and port all the same.
	guess := lookup{q.port, append([]byte{q.payload[0], q.payload[1] ^ 1}, q.payload[2:]...)}
	whole := answer(t, guess, "www.test", forged)
	x.s.Input(x.now, x.frag(addrB, 99, wire.ProtoUDP, cut, false, whole[cut:]))
	x.s.Input(x.now, x.frag(addrB, 99, wire.ProtoUDP, 0, true, whole[:cut]))
	if a, err := x.resolved(); a.IsValid() || err != nil {
		t.Fatalf("poisoned: %v, %v", a, err)
	}
	x.s.Input(x.now, x.frag(addrB, 100, wire.ProtoUDP, 0, true, good[:cut]))
	x.s.Input(x.now, x.frag(addrB, 100, wire.ProtoUDP, cut, false, good[cut:]))
	if a, err := x.resolved(); a != truth || err != nil {
		t.Fatalf("an honest answer in fragments: %v, %v", a, err)
	}
	x.alive()
	x.namesAlive("ftp.test")
}

// S-08: identifier and port of 10,000 queries are 32 bits of randomness together, and new in each retry.
func TestS08_QueriesAreRandom(t *testing.T) {
	x := hostile(t)
	const n = 10000
	seen := make(map[uint32]bool)
	var ones [32]int
	var steps [2]map[uint16]int // differences of consecutive ones
	steps[0], steps[1] = make(map[uint16]int), make(map[uint16]int)
	var last lookup
	for i := range n {
		name := fmt.Sprintf("h%d.test", i)
		q := x.resolve(name)
		x.s.CancelResolve(x.now, name)
		v := uint32(q.id())<<16 | uint32(q.port)
		seen[v] = true
		for b := v; b != 0; b &= b - 1 {
			ones[bits.TrailingZeros32(b)]++
		}
		if i > 0 {
			steps[0][q.id()-last.id()]++
			steps[1][q.port-last.port]++
		}
		last = q
	}
	if len(seen) < n-2 {
		t.Errorf("%d different pairs in %d", len(seen), n)
	}
	for b, c := range ones { // ports below 1024 are not used, hence a little more than a half
		if c < n*48/100 || c > n*53/100 {
			t.Errorf("bit %d is set in %d of %d", b, c, n)
		}
	}
	for i, what := range []string{"identifier", "port"} {
		for d, c := range steps[i] {
			if c > 8 {
				t.Errorf("the %s grows by %d %d times", what, int16(d), c)
			}
		}
	}
	// Retries of one query.
	all := []lookup{x.resolve("retry.test")}
	for range 60 {
		x.pass(time.Second)
		all = append(all, x.queries()...)
	}
	if len(all) < 3 {
		t.Fatalf("%d queries, want retries", len(all))
	}
	for i := range all {
		for j := range i {
			if all[i].id() == all[j].id() || all[i].port == all[j].port {
				t.Errorf("tries %d and %d share identifier or port", j, i)
			}
		}
	}
	if _, err := x.resolved(); !errors.Is(err, dns.ErrTimeout) {
		t.Errorf("in the end: %v", err)
	}
	x.alive()
	x.namesAlive("ftp.test")
}

// S-10: a stack without a random source does not start; it takes no clock instead.
func TestS10_NoRandomSource(t *testing.T) {
	c := scriptConf()
	c.MAC = wire.MAC{2, 0, 0, 0, 0, 1}
	c.Output = func(time.Time, []byte) {}
	if s, err := New(c); err == nil || s != nil {
		t.Errorf("made %v, %v", s, err)
	}
	// With one source, two stacks at different times behave alike: nothing of the time gets in.
	ports := make(map[uint16]bool)
	for i := range 5 {
		x := lone(t, scriptConf())
		x.pass(time.Duration(i) * time.Hour)
		ports[x.resolve("www.test").port] = true
	}
	if len(ports) != 1 {
		t.Errorf("%d ports from one seed", len(ports))
	}
}
