package dns

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

var client = netip.MustParseAddrPort("10.0.0.2:5000")

func wantReply(t *testing.T, f *Forwarder, now time.Time, to netip.AddrPort, rcode dnsmessage.RCode, want ...string) {
	t.Helper()
	b, dst, ok := f.Output(now, []byte("pre"))
	if !ok || dst != to || string(b[:3]) != "pre" {
		t.Fatalf("reply to %v, %v, want one to %v", dst, ok, to)
	}
	h, got := show(t, b[3:])
	if h.RCode != rcode || !reflect.DeepEqual(got, want) || h.ID != 77 || !h.RecursionAvailable || h.Authoritative {
		t.Fatalf("reply %+v, %v, want %v, %v", h, got, rcode, want)
	}
}

func TestForwarder(t *testing.T) {
	f := NewForwarder(ForwarderConfig{})
	now := t0
	f.Input(now, client, ask("WWW.Example.com", dnsmessage.TypeA, dnsmessage.ClassINET, 0))
	if d := f.Deadline(); d.IsZero() || d.After(now) {
		t.Errorf("a question waits, deadline %v", d)
	}
	q, ok := f.NextEvent()
	if !ok || q.Name != "www.example.com" || q.From != client {
		t.Fatalf("%+v, %v", q, ok)
	}
	if got, want := q.String(), "A? www.example.com from 10.0.0.2:5000"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if d := f.Deadline(); d != now.Add(10*time.Second) {
		t.Errorf("deadline %v", d)
	}
	mapped := netip.AddrFrom16(addr2.As16())
	f.Answer(now, q.ID, []netip.Addr{netip.MustParseAddr("2001:db8::1"), addr1, mapped}, time.Minute, nil)
	wantReply(t, f, now, client, 0, "WWW.Example.com. A 198.51.100.1", "WWW.Example.com. A 198.51.100.2")
	f.Answer(now, q.ID, []netip.Addr{addr1}, time.Minute, nil)
	if _, _, ok := f.Output(now, nil); ok {
		t.Error("answered twice")
	}
	if d := f.Deadline(); !d.IsZero() {
		t.Errorf("deadline %v at rest", d)
	}
}

func TestForwarderErrors(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want dnsmessage.RCode
	}{
		{&Error{Err: ErrNotFound}, dnsmessage.RCodeNameError},
		{fmt.Errorf("lookup: %w", ErrNoData), 0},
		{ErrTimeout, dnsmessage.RCodeServerFailure},
		{errors.New("any other"), dnsmessage.RCodeServerFailure},
		{nil, 0}, // without an address: no data
	} {
		f := NewForwarder(ForwarderConfig{})
		f.Input(t0, client, ask("www.example", dnsmessage.TypeA, dnsmessage.ClassINET, 0))
		q, _ := f.NextEvent()
		f.Answer(t0, q.ID, nil, 0, tt.err)
		wantReply(t, f, t0, client, tt.want)
	}
}

func TestForwarderOtherQuestions(t *testing.T) {
	q := ask("www.example", dnsmessage.TypeA, dnsmessage.ClassINET, 0)
	q[2] = 4 << 3
	for _, tt := range []struct {
		name string
		b    []byte
		want dnsmessage.RCode
	}{
		{"AAAA", ask("www.example", dnsmessage.TypeAAAA, dnsmessage.ClassINET, 1232), 0},
		{"HTTPS", ask("www.example", dnsmessage.TypeHTTPS, dnsmessage.ClassINET, 0), 0},
		{"TXT", ask("www.example", dnsmessage.TypeTXT, dnsmessage.ClassINET, 0), dnsmessage.RCodeNotImplemented},
		{"class", ask("www.example", dnsmessage.TypeA, dnsmessage.ClassCHAOS, 0), dnsmessage.RCodeRefused},
		{"opcode", q, dnsmessage.RCodeNotImplemented},
		{"no host name", ask("a b.example", dnsmessage.TypeA, dnsmessage.ClassINET, 0), dnsmessage.RCodeNameError},
	} {
		f := NewForwarder(ForwarderConfig{})
		f.Input(t0, client, tt.b)
		if _, ok := f.NextEvent(); ok {
			t.Errorf("%s: the owner is asked", tt.name)
		}
		wantReply(t, f, t0, client, tt.want)
	}
	f := NewForwarder(ForwarderConfig{})
	f.Input(t0, client, message(1, 0, 0, 0, exampleQ)) // a response
	f.Input(t0, client, []byte("rubbish"))
	if _, _, ok := f.Output(t0, nil); ok || f.Counters().Dropped != 2 {
		t.Errorf("%+v", f.Counters())
	}
}

func TestForwarderIsBounded(t *testing.T) {
	f := NewForwarder(ForwarderConfig{Pending: 2, Timeout: 5 * time.Second})
	now := t0
	same := ask("a.example", dnsmessage.TypeA, dnsmessage.ClassINET, 0)
	for range 5 { // the client repeats itself
		f.Input(now, client, same)
	}
	f.Input(now, client, ask("b.example", dnsmessage.TypeA, dnsmessage.ClassINET, 0))
	f.Input(now, client, ask("c.example", dnsmessage.TypeA, dnsmessage.ClassINET, 0))
	wantReply(t, f, now, client, dnsmessage.RCodeRefused)
	if c := f.Counters(); c.Forwarded != 2 || c.Refused != 1 || c.Queries != 7 {
		t.Errorf("%+v", c)
	}
	q, _ := f.NextEvent()
	now = now.Add(5 * time.Second)
	f.Advance(now)
	wantReply(t, f, now, client, dnsmessage.RCodeServerFailure)
	wantReply(t, f, now, client, dnsmessage.RCodeServerFailure)
	if _, ok := f.NextEvent(); ok {
		t.Error("the owner is asked what is answered already")
	}
	f.Answer(now, q.ID, []netip.Addr{addr1}, 0, nil)
	if _, _, ok := f.Output(now, nil); ok {
		t.Error("a late answer was sent")
	}
	for i := range 200 { // an owner who does not send
		f.Input(now, client, ask(fmt.Sprintf("h%d.example", i), dnsmessage.TypeAAAA, dnsmessage.ClassINET, 0))
	}
	if len(f.out) != maxOutgoing {
		t.Errorf("%d replies wait", len(f.out))
	}
}

func FuzzForwarder(f *testing.F) {
	f.Add(ask("www.example", dnsmessage.TypeA, dnsmessage.ClassINET, 0))
	f.Add(ask("www.example", dnsmessage.TypeAAAA, dnsmessage.ClassINET, 1232))
	f.Fuzz(func(t *testing.T, b []byte) {
		f := NewForwarder(ForwarderConfig{})
		f.Input(t0, client, b)
		if q, ok := f.NextEvent(); ok {
			if !validName(q.Name) {
				t.Fatalf("the owner is asked for %q", q.Name)
			}
			f.Answer(t0, q.ID, []netip.Addr{addr1}, time.Minute, nil)
		}
		if a, _, ok := f.Output(t0, nil); ok && !wellFormed(a) {
			t.Fatalf("%x is answered by %x", b, a)
		}
	})
}
