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

// ask builds a query; udpSize > 0 adds an OPT record.
func ask(name string, typ dnsmessage.Type, class dnsmessage.Class, udpSize int) []byte {
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: 77, RecursionDesired: true})
	must(b.StartQuestions())
	must(b.Question(dnsmessage.Question{Name: dnsmessage.MustNewName(name + "."), Type: typ, Class: class}))
	if udpSize > 0 {
		must(b.StartAdditionals())
		var h dnsmessage.ResourceHeader
		must(h.SetEDNS0(udpSize, 0, false))
		must(b.OPTResource(h, dnsmessage.OPTResource{}))
	}
	m, err := b.Finish()
	must(err)
	return m
}

// show prints a reply as records, for comparison.
func show(t *testing.T, b []byte) (dnsmessage.Header, []string) {
	t.Helper()
	var m dnsmessage.Message
	if err := m.Unpack(b); err != nil {
		t.Fatalf("reply %x: %v", b, err)
	}
	if !wellFormed(b) {
		t.Fatalf("reply %x is not well formed", b)
	}
	var list []string
	for _, r := range m.Answers {
		switch body := r.Body.(type) {
		case *dnsmessage.AResource:
			list = append(list, fmt.Sprintf("%v A %v", r.Header.Name, netip.AddrFrom4(body.A)))
		case *dnsmessage.CNAMEResource:
			list = append(list, fmt.Sprintf("%v CNAME %v", r.Header.Name, body.CNAME))
		case *dnsmessage.PTRResource:
			list = append(list, fmt.Sprintf("%v PTR %v", r.Header.Name, body.PTR))
		case *dnsmessage.MXResource:
			list = append(list, fmt.Sprintf("%v MX %d %v", r.Header.Name, body.Pref, body.MX))
		case *dnsmessage.NSResource:
			list = append(list, fmt.Sprintf("%v NS %v", r.Header.Name, body.NS))
		case *dnsmessage.SRVResource:
			list = append(list, fmt.Sprintf("%v SRV %d %d %d %v", r.Header.Name, body.Priority, body.Weight, body.Port, body.Target))
		case *dnsmessage.TXTResource:
			list = append(list, fmt.Sprintf("%v TXT %v", r.Header.Name, body.TXT))
		}
	}
	return m.Header, list
}

func newServer(t *testing.T) *Server {
	t.Helper()
	s := &Server{}
	for _, err := range []error{
		s.Set("www.Example.", 0, addr1, addr2),
		s.Set("deep.below.example", time.Hour, addr1),
		s.SetAlias("alias.example", 0, "www.example"),
		s.SetAlias("alias2.example", 0, "alias.example"),
		s.SetAlias("away.example", 0, "www.elsewhere"),
		s.SetAlias("ring1.example", 0, "ring2.example"),
		s.SetAlias("ring2.example", 0, "ring1.example"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestServer(t *testing.T) {
	for _, tt := range []struct {
		name  string
		typ   dnsmessage.Type
		rcode dnsmessage.RCode
		want  []string
	}{
		{"www.example", dnsmessage.TypeA, 0, []string{"www.example. A 198.51.100.1", "www.example. A 198.51.100.2"}},
		{"WWW.example", dnsmessage.TypeA, 0, []string{"WWW.example. A 198.51.100.1", "WWW.example. A 198.51.100.2"}},
		{"www.example", dnsmessage.TypeAAAA, 0, nil},
		{"alias2.example", dnsmessage.TypeA, 0, []string{"alias2.example. CNAME alias.example.", "alias.example. CNAME www.example.", "www.example. A 198.51.100.1", "www.example. A 198.51.100.2"}},
		{"alias2.example", dnsmessage.TypeCNAME, 0, []string{"alias2.example. CNAME alias.example."}},
		{"alias.example", dnsmessage.TypeAAAA, 0, []string{"alias.example. CNAME www.example."}},
		{"away.example", dnsmessage.TypeA, 0, []string{"away.example. CNAME www.elsewhere."}},
		{"nobody.example", dnsmessage.TypeA, dnsmessage.RCodeNameError, nil},
		{"ww.example", dnsmessage.TypeA, dnsmessage.RCodeNameError, nil},
		{"below.example", dnsmessage.TypeA, 0, nil}, // RFC 8020: there is something below it
		{"example", dnsmessage.TypeMX, 0, nil},
		{"www.example", dnsmessage.TypeALL, 0, []string{"www.example. A 198.51.100.1", "www.example. A 198.51.100.2"}},
		// Two names have it; the first of the alphabet is told.
		{"1.100.51.198.in-addr.arpa", dnsmessage.TypePTR, 0, []string{"1.100.51.198.in-addr.arpa. PTR deep.below.example."}},
		{"2.100.51.198.In-Addr.ARPA", dnsmessage.TypePTR, 0, []string{"2.100.51.198.In-Addr.ARPA. PTR www.example."}},
		{"3.100.51.198.in-addr.arpa", dnsmessage.TypePTR, dnsmessage.RCodeNameError, nil},
		{"100.51.198.in-addr.arpa", dnsmessage.TypePTR, dnsmessage.RCodeNameError, nil},
		{"www.example", dnsmessage.TypePTR, 0, nil},
	} {
		s := newServer(t)
		b, ok := s.Reply([]byte("pre"), ask(tt.name, tt.typ, dnsmessage.ClassINET, 0))
		if !ok || string(b[:3]) != "pre" {
			t.Fatalf("%s: %v", tt.name, ok)
		}
		h, got := show(t, b[3:])
		if h.RCode != tt.rcode || !reflect.DeepEqual(got, tt.want) || h.ID != 77 || !h.Response || !h.Authoritative || !h.RecursionDesired || h.RecursionAvailable || h.Truncated {
			t.Errorf("%s %v: %+v, %v, want %v, %v", tt.name, tt.typ, h, got, tt.rcode, tt.want)
		}
	}
	s := newServer(t)
	b, _ := s.Reply(nil, ask("ring1.example", dnsmessage.TypeA, dnsmessage.ClassINET, 4096))
	if _, list := show(t, b); len(list) != maxAliases {
		t.Errorf("a ring of aliases: %d records", len(list))
	}
}

func TestServerErrors(t *testing.T) {
	q := ask("www.example", dnsmessage.TypeA, dnsmessage.ClassINET, 0)
	change := func(at int, to byte) []byte {
		b := append([]byte(nil), q...)
		b[at] = to
		return b
	}
	for _, tt := range []struct {
		name  string
		b     []byte
		rcode dnsmessage.RCode
		ok    bool
	}{
		{"nothing", nil, 0, false},
		{"11 bytes", q[:11], 0, false},
		{"a response, which would loop", change(2, 0x81), 0, false},
		{"opcode 4", change(2, 4<<3), dnsmessage.RCodeNotImplemented, true},
		{"two questions announced", change(5, 2), dnsmessage.RCodeFormatError, true},
		{"no question", message(0, 0, 0, 0, ""), 0, false}, // QR is set there
		{"cut", q[:len(q)-1], dnsmessage.RCodeFormatError, true},
		{"pointer to itself", append(append([]byte{}, q[:12]...), 0xc0, 12, 0, 1, 0, 1), dnsmessage.RCodeFormatError, true},
		{"class CH", ask("www.example", dnsmessage.TypeA, dnsmessage.ClassCHAOS, 0), dnsmessage.RCodeRefused, true},
	} {
		s := newServer(t)
		b, ok := s.Reply(nil, tt.b)
		if ok != tt.ok {
			t.Errorf("%s: answered %v", tt.name, ok)
			continue
		}
		if ok {
			if h, list := show(t, b); h.RCode != tt.rcode || len(list) != 0 {
				t.Errorf("%s: %v, %v", tt.name, h.RCode, list)
			}
		} else if s.Counters().Dropped != 1 {
			t.Errorf("%s: not counted", tt.name)
		}
	}
}

// A reply that does not fit the client says so; EDNS makes room (RFC 6891).
func TestServerTruncatesAndKnowsEDNS(t *testing.T) {
	s := &Server{}
	for i := range 12 {
		from, to := chainName(i), chainName(i+1)
		if err := s.SetAlias(from, 0, to); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Set(chainName(12), 0, addr1); err != nil {
		t.Fatal(err)
	}
	b, _ := s.Reply(nil, ask(chainName(0), dnsmessage.TypeA, dnsmessage.ClassINET, 0))
	if h, list := show(t, b); !h.Truncated || len(list) != 0 || len(b) > minReply {
		t.Errorf("%d bytes, truncated %v, %d records", len(b), h.Truncated, len(list))
	}
	b, _ = s.Reply(nil, ask(chainName(0), dnsmessage.TypeA, dnsmessage.ClassINET, 65535))
	h, list := show(t, b)
	if h.Truncated || len(list) != 13 || len(b) <= minReply || len(b) > maxReply {
		t.Errorf("EDNS: %d bytes, truncated %v, %d records", len(b), h.Truncated, len(list))
	}
	var m dnsmessage.Message
	if err := m.Unpack(b); err != nil || len(m.Additionals) != 1 || m.Additionals[0].Header.Type != dnsmessage.TypeOPT {
		t.Errorf("EDNS is not answered: %+v, %v", m.Additionals, err)
	}
	b, _ = s.Reply(nil, ask(chainName(12), dnsmessage.TypeA, dnsmessage.ClassINET, 100)) // less than 512 counts as 512
	if h, list := show(t, b); h.Truncated || len(list) != 1 {
		t.Errorf("small EDNS: %+v", h)
	}
}

// chainName makes names that share no end, so that compression saves little.
func chainName(i int) string {
	c := string(rune('a' + i))
	return strings.Repeat(c, 20) + "." + strings.Repeat(c, 20)
}

func TestServerTable(t *testing.T) {
	s := newServer(t)
	for name, err := range map[string]error{
		"name":   s.Set("a..b", 0, addr1),
		"alias":  s.SetAlias("a.example", 0, ""),
		"alias2": s.SetAlias("", 0, "a.example"),
	} {
		if !errors.Is(err, ErrInvalidName) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s.Set("a.example", 0) == nil || s.Set("a.example", 0, netip.MustParseAddr("::1")) == nil {
		t.Error("no address, or one of IPv6, was taken")
	}
	s.Delete("WWW.example")
	b, _ := s.Reply(nil, ask("www.example", dnsmessage.TypeA, dnsmessage.ClassINET, 0))
	if h, _ := show(t, b); h.RCode != dnsmessage.RCodeNameError {
		t.Errorf("deleted: %v", h.RCode)
	}
	var empty Server
	if b, ok := empty.Reply(nil, ask("www.example", dnsmessage.TypeA, dnsmessage.ClassINET, 0)); !ok {
		t.Error("the zero value does not answer")
	} else if h, _ := show(t, b); h.RCode != dnsmessage.RCodeNameError {
		t.Errorf("zero value: %v", h.RCode)
	}
}

// With SetAny all names lead to one place, but for those of the table and those of addresses.
func TestServerOfACaptivePortal(t *testing.T) {
	var s Server
	own := netip.MustParseAddr("192.168.10.1")
	if err := errors.Join(s.Set("setup.example", 0, own), s.SetAlias("old.example", 0, "away.test"), s.SetAny(5*time.Second, own)); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		typ  dnsmessage.Type
		code dnsmessage.RCode
		want string
	}{
		{"setup.example", dnsmessage.TypeA, 0, "[setup.example. A 192.168.10.1]"},
		{"www.Anything.test", dnsmessage.TypeA, 0, "[www.Anything.test. A 192.168.10.1]"},
		{"www.anything.test", dnsmessage.TypeAAAA, 0, "[]"},
		{"old.example", dnsmessage.TypeA, 0, "[old.example. CNAME away.test. away.test. A 192.168.10.1]"},
		{"1.10.168.192.in-addr.arpa", dnsmessage.TypePTR, 0, "[1.10.168.192.in-addr.arpa. PTR setup.example.]"},
		{"9.9.9.9.in-addr.arpa", dnsmessage.TypePTR, dnsmessage.RCodeNameError, "[]"},
	} {
		b, _ := s.Reply(nil, ask(tc.name, tc.typ, dnsmessage.ClassINET, 0))
		if h, got := show(t, b); h.RCode != tc.code || fmt.Sprint(got) != tc.want {
			t.Errorf("%s %v: %v %v, want %v %s", tc.name, tc.typ, h.RCode, got, tc.code, tc.want)
		}
	}
	if s.SetAny(0, netip.MustParseAddr("::1")) == nil || s.SetAny(0, make([]netip.Addr, 17)...) == nil || s.SetAny(0) != nil {
		t.Error("wrong addresses were taken, or none was not")
	}
	b, _ := s.Reply(nil, ask("www.anything.test", dnsmessage.TypeA, dnsmessage.ClassINET, 0))
	if h, _ := show(t, b); h.RCode != dnsmessage.RCodeNameError {
		t.Error("it goes on:", h.RCode)
	}
}

// The two ends against each other.
func TestResolverAgainstServer(t0 *testing.T) {
	s := newServer(t0)
	t := newResolverTest(t0, ResolverConfig{MixCase: true})
	exchange := func(name string) {
		t.Helper()
		t.resolve(name)
		for b, port, to, ok := t.r.Output(t.now, nil); ok; b, port, to, ok = t.r.Output(t.now, nil) {
			if a, ok := s.Reply(nil, b); ok {
				t.r.Input(t.now, to, port, a)
			}
		}
	}
	exchange("alias2.example")
	t.wantResult("aliases", addr1, addr2)
	exchange("nobody.example")
	t.wantError("not there", ErrNotFound)
	exchange("away.example")
	t.wantError("elsewhere", ErrNoData)
	exchange("ring1.example")
	t.wantError("ring", ErrBadAnswer)
	if c := t.r.Counters(); c.CaseLost != 0 {
		t.Errorf("the server changes the question's letter case: %+v", c)
	}
}

func FuzzServer(f *testing.F) {
	f.Add(ask("www.example", dnsmessage.TypeA, dnsmessage.ClassINET, 0))
	f.Add(ask("alias2.example", dnsmessage.TypeCNAME, dnsmessage.ClassINET, 4096))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ok := newServer(t).Reply(nil, b)
		if !ok {
			return
		}
		if len(a) > maxReply || !wellFormed(a) || a[2]&0x80 == 0 || a[0] != b[0] || a[1] != b[1] {
			t.Fatalf("%x is answered by %x", b, a)
		}
	})
}
