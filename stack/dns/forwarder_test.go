package dns

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

var client1 = netip.MustParseAddrPort("10.0.0.2:5000")

// addresses makes records.
func addresses(addrs ...netip.Addr) (all []dnsmessage.ResourceBody) {
	for _, a := range addrs {
		all = append(all, &dnsmessage.AResource{A: a.As4()})
	}
	return all
}

func wantReply(t *testing.T, f *Forwarder, now time.Time, to netip.AddrPort, rcode dnsmessage.RCode, want ...string) {
	t.Helper()
	b, dst, stream, ok := f.Output(now, []byte("pre"))
	if !ok || dst != to || stream != nil || string(b[:3]) != "pre" {
		t.Fatalf("reply to %v %v, %v, want one to %v", dst, stream, ok, to)
	}
	h, got := show(t, b[3:])
	if h.RCode != rcode || !reflect.DeepEqual(got, want) || h.ID != 77 || !h.RecursionAvailable {
		t.Fatalf("reply %+v, %v, want %v, %v", h, got, rcode, want)
	}
}

func wantQuiet(t *testing.T, f *Forwarder, now time.Time) {
	t.Helper()
	if b, _, _, ok := f.Output(now, nil); ok {
		t.Errorf("reply %x", b)
	}
	if q, ok := f.NextEvent(); ok {
		t.Errorf("question %v", q)
	}
}

func TestForwarder(t *testing.T) {
	f := NewForwarder(ForwarderConfig{})
	now := t0
	if err := f.Input(now, client1, ask("WWW.Example.com", dnsmessage.TypeA, dnsmessage.ClassINET, 0)); err != nil {
		t.Error(err)
	}
	if d := f.Deadline(); d.IsZero() || d.After(now) {
		t.Errorf("a question waits, deadline %v", d)
	}
	q, ok := f.NextEvent()
	if !ok || q.Name != "www.example.com" || q.Type != dnsmessage.TypeA || q.From != client1 {
		t.Fatalf("%+v, %v", q, ok)
	}
	if got, want := q.String(), "A? www.example.com from 10.0.0.2:5000"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if d := f.Deadline(); d != now.Add(10*time.Second) {
		t.Errorf("deadline %v", d)
	}
	f.Answer(now, q.ID, addresses(addr1, addr2), time.Minute, nil)
	if d := f.Deadline(); d.IsZero() || d.After(now) {
		t.Errorf("a reply waits, deadline %v", d)
	}
	wantReply(t, f, now, client1, 0, "WWW.Example.com. A 198.51.100.1", "WWW.Example.com. A 198.51.100.2")
	f.Answer(now, q.ID, addresses(addr1), time.Minute, nil)
	wantQuiet(t, f, now) // it would be the second answer
	if d := f.Deadline(); !d.IsZero() {
		t.Errorf("deadline %v at rest", d)
	}
	if c, want := f.Counters(), (ForwarderCounters{Queries: 1, Forwarded: 1, Answered: 1}); c != want {
		t.Errorf("%+v", c)
	}
}

// An owner hears the type, and answers with whatever records he has.
func TestForwarderOfEachType(t *testing.T) {
	name := dnsmessage.MustNewName
	for _, tt := range []struct {
		name    string
		typ     dnsmessage.Type
		records []dnsmessage.ResourceBody
		want    string
	}{
		{"www.example", dnsmessage.TypeALL, addresses(addr1), "www.example. A 198.51.100.1"},
		{"www.example", dnsmessage.TypeCNAME, []dnsmessage.ResourceBody{&dnsmessage.CNAMEResource{CNAME: name("x.example.")}}, "www.example. CNAME x.example."},
		{"1.2.0.192.in-addr.arpa", dnsmessage.TypePTR, []dnsmessage.ResourceBody{&dnsmessage.PTRResource{PTR: name("x.example.")}}, "1.2.0.192.in-addr.arpa. PTR x.example."},
		{"example", dnsmessage.TypeMX, []dnsmessage.ResourceBody{&dnsmessage.MXResource{Pref: 5, MX: name("x.example.")}}, "example. MX 5 x.example."},
		{"example", dnsmessage.TypeNS, []dnsmessage.ResourceBody{&dnsmessage.NSResource{NS: name("x.example.")}}, "example. NS x.example."},
		{"_a._tcp.example", dnsmessage.TypeSRV, []dnsmessage.ResourceBody{&dnsmessage.SRVResource{Priority: 1, Weight: 2, Port: 80, Target: name("x.example.")}}, "_a._tcp.example. SRV 1 2 80 x.example."},
		{"example", dnsmessage.TypeTXT, []dnsmessage.ResourceBody{&dnsmessage.TXTResource{TXT: []string{"a", "b"}}}, "example. TXT [a b]"},
	} {
		f := NewForwarder(ForwarderConfig{})
		f.Input(t0, client1, ask(tt.name, tt.typ, dnsmessage.ClassINET, 0))
		q, ok := f.NextEvent()
		if !ok || q.Type != tt.typ || q.Name != tt.name || (q.Addr == netip.MustParseAddr("192.0.2.1")) != (tt.typ == dnsmessage.TypePTR) {
			t.Errorf("%s %v: asked %v, %v", tt.name, tt.typ, q, ok)
		}
		f.Answer(t0, q.ID, tt.records, time.Minute, nil)
		wantReply(t, f, t0, client1, 0, tt.want)
	}
}

func TestForwarderErrors(t *testing.T) {
	for _, tt := range []struct {
		records []dnsmessage.ResourceBody
		err     error
		want    dnsmessage.RCode
	}{
		{nil, &Error{Err: ErrNotFound}, dnsmessage.RCodeNameError},
		{nil, fmt.Errorf("lookup: %w", ErrNoData), 0},
		{nil, ErrTimeout, dnsmessage.RCodeServerFailure},
		{nil, errors.New("any other"), dnsmessage.RCodeServerFailure},
		{nil, nil, 0}, // without a record: no data
		{[]dnsmessage.ResourceBody{&dnsmessage.TXTResource{TXT: []string{strings.Repeat("x", 256)}}}, nil, dnsmessage.RCodeServerFailure}, // no message can hold that
	} {
		f := NewForwarder(ForwarderConfig{})
		f.Input(t0, client1, ask("www.example", dnsmessage.TypeA, dnsmessage.ClassINET, 0))
		q, _ := f.NextEvent()
		f.Answer(t0, q.ID, tt.records, 0, tt.err)
		wantReply(t, f, t0, client1, tt.want)
	}
}

func TestForwarderAnswersSomeQuestionsItself(t *testing.T) {
	gateway := netip.MustParseAddr("10.0.0.1")
	var own Server
	for name, addr := range map[string]netip.Addr{"gateway.internal": gateway, "also.internal": netip.MustParseAddr("198.51.100.77")} {
		if err := own.Set(name, 0, addr); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name string
		typ  dnsmessage.Type
		code dnsmessage.RCode
		want []string
	}{
		{"Gateway.Internal", dnsmessage.TypeA, 0, []string{"Gateway.Internal. A 10.0.0.1"}},
		{"gateway.internal", dnsmessage.TypeALL, 0, []string{"gateway.internal. A 10.0.0.1"}},
		{"gateway.internal", dnsmessage.TypeAAAA, 0, nil},
		{"gateway.internal", dnsmessage.TypeMX, 0, nil},
		{"1.0.0.10.in-addr.arpa", dnsmessage.TypePTR, 0, []string{"1.0.0.10.in-addr.arpa. PTR gateway.internal."}},
		{"9.0.0.10.IN-ADDR.arpa", dnsmessage.TypePTR, dnsmessage.RCodeNameError, nil},
		{"www.example", dnsmessage.TypeAAAA, 0, nil},
		{"www.example", dnsmessage.TypeHTTPS, 0, nil},
		{"www.example", dnsmessage.TypeSOA, dnsmessage.RCodeNotImplemented, nil},
		{"a b.example", dnsmessage.TypeA, dnsmessage.RCodeNameError, nil},
		{"a b.example", dnsmessage.TypeMX, dnsmessage.RCodeNameError, nil},
	} {
		f := NewForwarder(ForwarderConfig{Local: &own, Network: netip.MustParsePrefix("10.0.0.0/24")})
		f.Input(t0, client1, ask(tt.name, tt.typ, dnsmessage.ClassINET, 1232))
		if q, ok := f.NextEvent(); ok {
			t.Errorf("the owner is asked %v", q)
		}
		wantReply(t, f, t0, client1, tt.code, tt.want...)
		if c := f.Counters(); c.Local != 1 || c.Queries != 1 || c.Forwarded != 0 {
			t.Errorf("%s %v: %+v", tt.name, tt.typ, c)
		}
	}
	f := NewForwarder(ForwarderConfig{Local: &own, Network: netip.MustParsePrefix("10.0.0.0/24")})
	for _, name := range []string{"internal", "www.internal", "77.100.51.198.in-addr.arpa", "0.10.in-addr.arpa"} { // of those others may know more
		f.Input(t0, client1, ask(name, dnsmessage.TypePTR, dnsmessage.ClassINET, 0))
		if q, ok := f.NextEvent(); !ok || q.Name != name {
			t.Errorf("%s: asked %v, %v", name, q, ok)
		}
	}
}

// what is no good query.
func TestForwarderBrokenQueries(t *testing.T) {
	good := ask("www.example.com", dnsmessage.TypeA, dnsmessage.ClassINET, 512)
	set := func(at int, v ...byte) []byte {
		b := append([]byte(nil), good...)
		copy(b[at:], v)
		return b
	}
	for _, tt := range []struct {
		what  string
		b     []byte
		ok    bool
		rcode dnsmessage.RCode
	}{
		{"empty", nil, false, 0},
		{"eleven bytes", good[:11], false, 0},
		{"a response", set(2, 0x81), false, 0},
		{"an opcode", set(2, 0x28), true, dnsmessage.RCodeNotImplemented},
		{"no question", set(4, 0, 0), true, dnsmessage.RCodeFormatError},
		{"two questions", set(4, 0, 2), true, dnsmessage.RCodeFormatError},
		{"65535 questions", set(4, 255, 255), true, dnsmessage.RCodeFormatError},
		{"header only", good[:12], true, dnsmessage.RCodeFormatError},
		{"a name that points at itself", set(12, 0xc0, 12), true, dnsmessage.RCodeFormatError},
		{"class CH", set(12+17+2, 0, 3), true, dnsmessage.RCodeRefused},
		{"an answer that is not there", set(6, 0, 1, 0, 0, 0, 2), true, dnsmessage.RCodeFormatError},
		{"two OPTs", append(set(11, 2), good[len(good)-11:]...), true, dnsmessage.RCodeFormatError},
	} {
		f := NewForwarder(ForwarderConfig{})
		err := f.Input(t0, client1, tt.b)
		if (err == nil) != tt.ok || !tt.ok && err != ErrNotQuery || f.Counters().Malformed != 1 || f.Counters().Queries != 0 {
			t.Errorf("%s: %v, %+v", tt.what, err, f.Counters())
		}
		if b, _, _, ok := f.Output(t0, nil); ok != tt.ok {
			t.Errorf("%s: answered %v", tt.what, ok)
		} else if ok {
			if h, _ := show(t, b); h.RCode != tt.rcode {
				t.Errorf("%s: %v, want %v", tt.what, h.RCode, tt.rcode)
			}
		}
		wantQuiet(t, f, t0)
	}
}

func TestForwarderTruncatesLongAnswersByUDPOnly(t *testing.T) {
	var many []netip.Addr
	for i := range 200 {
		many = append(many, netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))
	}
	for _, tt := range []struct {
		edns, answers int
		stream        any
	}{
		{0, 0, nil},             // 64 records are more than 512 bytes
		{4096, maxRecords, nil}, // and less than 1232
		{100, 0, nil},           // an offer of less than 512 counts as 512
		{0, maxRecords, "stream"},
	} {
		f := NewForwarder(ForwarderConfig{})
		query := ask("many.example.com", dnsmessage.TypeA, dnsmessage.ClassINET, tt.edns)
		var err error
		if tt.stream != nil {
			err = f.InputStream(t0, client1, tt.stream, query)
		} else {
			err = f.Input(t0, client1, query)
		}
		q, _ := f.NextEvent()
		f.Answer(t0, q.ID, addresses(many...), time.Minute, nil)
		b, to, stream, ok := f.Output(t0, nil)
		if err != nil || !ok || to != client1 || stream != tt.stream {
			t.Fatalf("%+v: %v, reply to %v %v %v", tt, err, to, stream, ok)
		}
		h, list := show(t, b)
		if len(list) != tt.answers || h.Truncated != (tt.answers == 0) || tt.stream == nil && len(b) > max(tt.edns, minReply) {
			t.Errorf("%+v: %d bytes, truncated %v, %d records", tt, len(b), h.Truncated, len(list))
		}
		var m dnsmessage.Message
		if err := m.Unpack(b); err != nil || (len(m.Additionals) == 1) != (tt.edns > 0) {
			t.Errorf("%+v: %v, additional records %v", tt, err, m.Additionals)
		}
	}
}

func TestForwarderIsBounded(t *testing.T) {
	f := NewForwarder(ForwarderConfig{Pending: 2, Timeout: 5 * time.Second})
	now := t0
	a := func(name string) []byte { return ask(name, dnsmessage.TypeA, dnsmessage.ClassINET, 0) }
	for range 5 { // the client repeats itself
		if err := f.Input(now, client1, a("a.example")); err != nil {
			t.Error(err)
		}
	}
	f.Input(now, client1, a("b.example"))
	if err := f.Input(now, client1, a("c.example")); err != ErrBusy {
		t.Errorf("the third question: %v", err)
	}
	wantC := ForwarderCounters{Pending: 2, Queries: 7, Forwarded: 2, Repeated: 4, Busy: 1}
	if c := f.Counters(); c != wantC {
		t.Errorf("%+v", c)
	}
	if err := f.InputStream(now, client1, "stream", a("c.example")); err != ErrBusy {
		t.Errorf("the third question by TCP: %v", err)
	}
	if b, _, stream, ok := f.Output(now, nil); !ok || stream != "stream" {
		t.Error("a stream waits for ever")
	} else if h, _ := show(t, b); h.RCode != dnsmessage.RCodeServerFailure {
		t.Errorf("by TCP: %v", h.RCode)
	}
	q, _ := f.NextEvent()
	now = now.Add(5 * time.Second)
	f.Advance(now)
	wantReply(t, f, now, client1, dnsmessage.RCodeServerFailure)
	wantReply(t, f, now, client1, dnsmessage.RCodeServerFailure)
	wantQuiet(t, f, now) // nobody waits for the second one, so the owner is not asked
	if c := f.Counters(); c.Pending != 1 || c.Failed != 2 || !f.Deadline().IsZero() {
		t.Errorf("%+v, deadline %v: only what the owner looks up is to hold a place", c, f.Deadline())
	}
	f.Answer(now, q.ID, addresses(addr1), 0, nil)
	wantQuiet(t, f, now) // too late
	if c := f.Counters(); c.Pending != 0 || c.Answered != 0 {
		t.Errorf("%+v", c)
	}
	for i := range 200 { // an owner who does not send
		f.Input(now, client1, ask(fmt.Sprintf("h%d.example", i), dnsmessage.TypeAAAA, dnsmessage.ClassINET, 0))
	}
	if c := f.Counters(); len(f.out) != maxOutgoing || c.Unsent != 200-maxOutgoing {
		t.Errorf("%d replies wait, %+v", len(f.out), c)
	}
}

// Questions differ by all of address, stream, identifier and question.
func TestForwarderTellsClientsApart(t *testing.T) {
	f := NewForwarder(ForwarderConfig{})
	query := ask("a.example", dnsmessage.TypeA, dnsmessage.ClassINET, 0)
	other := append([]byte{0, 78}, query[2:]...)
	f.Input(t0, client1, query)
	f.Input(t0, client1, other)
	f.Input(t0, client1, ask("a.example", dnsmessage.TypeMX, dnsmessage.ClassINET, 0))
	f.Input(t0, netip.AddrPortFrom(client1.Addr(), 1), query)
	f.InputStream(t0, client1, 1, query)
	f.InputStream(t0, client1, 2, query)
	f.InputStream(t0, client1, 2, other)
	f.InputStream(t0, client1, 2, other)
	if c := f.Counters(); c.Forwarded != 7 || c.Repeated != 1 {
		t.Errorf("%+v", c)
	}
}

func FuzzForwarder(f *testing.F) {
	for i, typ := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA, dnsmessage.TypeMX, dnsmessage.TypeTXT} {
		f.Add(ask("www.example", typ, dnsmessage.ClassINET, i*700), i%2 != 0)
	}
	f.Add(ask("1.0.0.10.in-addr.arpa", dnsmessage.TypePTR, dnsmessage.ClassINET, 4096), false)
	f.Fuzz(func(t *testing.T, b []byte, tcp bool) {
		var own Server
		must(own.Set("gateway.internal", 0, netip.MustParseAddr("10.0.0.1")))
		f := NewForwarder(ForwarderConfig{Local: &own, Network: netip.MustParsePrefix("10.0.0.0/24")})
		var err error
		if tcp {
			err = f.InputStream(t0, client1, 1, b)
		} else {
			err = f.Input(t0, client1, b)
		}
		if q, ok := f.NextEvent(); ok {
			if !validName(q.Name) || q.Addr.IsValid() && q.Type != dnsmessage.TypePTR {
				t.Fatalf("the owner is asked %+v", q)
			}
			f.Answer(t0, q.ID, append(addresses(addr1), &dnsmessage.TXTResource{TXT: []string{strings.Repeat("t", 255), q.Name}}), time.Minute, nil)
		}
		a, _, stream, ok := f.Output(t0, nil)
		if ok != (err == nil) || ok && (!wellFormed(a) || (stream != nil) != tcp || !tcp && len(a) > maxReply) {
			t.Fatalf("%x is answered by %x, %v", b, a, err)
		}
	})
}
