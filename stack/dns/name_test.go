package dns

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// R-30, DNS-1, DNS-14: names that are refused before any packet, and some that are not.
func TestR30_DNS1_DNS14_Names(t *testing.T) {
	l63, l64 := strings.Repeat("a", 63), strings.Repeat("a", 64)
	n253 := strings.Join([]string{l63, l63, l63, strings.Repeat("b", 61)}, ".")
	for name, want := range map[string]bool{
		"": false, ".": false, "..": false, "a..b": false, ".a": false, "a.b..": false,
		l64: false, l64 + ".example": false, n253 + "b": false, strings.Repeat("a.", 150): false,
		"a\x00b": false, "a b": false, "a/b": false, "é.example": false, "a.\\b": false, "fe80::1": false,
		"1.2.3": false, "1.2.3.4.5": false, "256.1.1.1": false, "7": false,
		"a": true, "a.b": true, "a.b.": true, "www.example.com": true, "WWW.Example.COM.": true, "_dns.example": true, "x-1.y2": true,
		l63 + ".example": true, n253: true, n253 + ".": true, "1.2.3.in-addr": true, "0.pool.example": true,
	} {
		if validName(name) != want {
			t.Errorf("%q: valid %v, want %v", name, !want, want)
		}
		r, err := NewResolver(ResolverConfig{Rand: rand.NewPCG(1, 1)})
		if err != nil {
			t.Fatal(err)
		}
		r.SetServerPorts(t0, []netipAddrPort{server1})
		if err := r.Resolve(t0, name, nil); (err == nil) != want || err != nil && !errors.Is(err, ErrInvalidName) {
			t.Errorf("%q: %v", name, err)
		}
		if _, _, _, ok := r.Output(t0, nil); ok != want {
			t.Errorf("%q: sent %v", name, ok)
		}
		if want { // what is valid can be asked for
			if _, err := dnsmessage.NewName(canonical(name) + "."); err != nil {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
}

// DNS-14: numbers are answered without a server.
func TestDNS14_Literals(t *testing.T) {
	for name, want := range map[string]string{"192.0.2.1": "192.0.2.1", "192.0.2.1.": "192.0.2.1", "127.0.0.1": "127.0.0.1"} {
		r, err := NewResolver(ResolverConfig{Rand: rand.NewPCG(1, 1)})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Resolve(t0, name, 7); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d := r.Deadline(); d.IsZero() || d.After(t0) {
			t.Errorf("%s: a result waits, but the deadline is %v", name, d)
		}
		x, ok := r.NextEvent()
		if !ok || x.Err != nil || x.Tag != 7 || x.Name != name || len(x.Addrs) != 1 || x.Addrs[0].String() != want {
			t.Errorf("%s: %+v, %v", name, x, ok)
		}
	}
}

func TestErrorText(t *testing.T) {
	e := &Error{Name: "a\x1b[2J.example", Server: server1, Err: ErrTimeout}
	if got, want := e.Error(), `resolve "a\x1b[2J.example" at 192.0.2.53:53: no server answered in time`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if !e.Timeout() || e.NotFound() || !(&Error{Err: ErrNotFound}).NotFound() || !(&Error{Err: ErrNoData}).NotFound() {
		t.Error("kinds")
	}
	long := &Error{Name: strings.Repeat("x", 1000), Err: ErrInvalidName}
	if len(long.Error()) > 300 {
		t.Errorf("%d bytes", len(long.Error()))
	}
}

func TestCacheIsBoundedAndForgets(t *testing.T) {
	c := cache{size: 3}
	put := func(name string, ttl time.Duration) {
		c.put(t0, name, answer{addrs: []netipAddr{addr1}, ttl: ttl})
	}
	put("a", time.Hour)
	put("b", time.Minute)
	put("c", time.Hour)
	put("none", 0)
	put("d", time.Hour) // b ends first, so it leaves
	for name, want := range map[string]bool{"a": true, "b": false, "c": true, "d": true, "none": false} {
		if _, _, ok := c.get(t0, name); ok != want {
			t.Errorf("%s: %v, want %v", name, ok, want)
		}
	}
	if _, ttl, ok := c.get(t0.Add(time.Minute), "a"); !ok || ttl != 59*time.Minute {
		t.Errorf("a minute later: %v, %v", ttl, ok)
	}
	if _, _, ok := c.get(t0.Add(time.Hour), "a"); ok {
		t.Error("kept too long")
	}
	put("a", 2*time.Hour)
	if _, _, ok := c.get(t0.Add(time.Hour), "a"); !ok || len(c.entries) != 3 {
		t.Errorf("renewed: %v, %d entries", ok, len(c.entries))
	}
}
