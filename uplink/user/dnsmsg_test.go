package user

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// A fakeResolver knows a few names.
type fakeResolver struct{ Resolver }

func (fakeResolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	switch {
	case network != "ip4":
		return nil, errors.New("want ip4, got " + network)
	case host == "short" || host == "www.example.com.":
		return []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("::ffff:192.0.2.8")}, nil
	case host == "evil.example.com.":
		return []netip.Addr{netip.MustParseAddr("169.254.169.254")}, nil
	case host == "many.example.com.":
		var all []netip.Addr
		for i := range 200 {
			all = append(all, netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))
		}
		return all, nil
	case host == "slow.example.com.":
		<-ctx.Done()
		return nil, ctx.Err()
	case host == "broken.example.com.":
		return nil, &net.DNSError{Err: "server misbehaving", Name: host, IsTemporary: true}
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}
func (fakeResolver) LookupAddr(_ context.Context, addr string) ([]string, error) {
	return []string{"host-" + addr + ".example.com."}, nil
}
func (fakeResolver) LookupCNAME(context.Context, string) (string, error) {
	return "real.example.com.", nil
}
func (fakeResolver) LookupMX(context.Context, string) ([]*net.MX, error) {
	return []*net.MX{{Host: "mail.example.com.", Pref: 5}, {Host: strings.Repeat("x", 300), Pref: 6}}, nil
}
func (fakeResolver) LookupNS(context.Context, string) ([]*net.NS, error) {
	return []*net.NS{{Host: "ns.example.com."}}, nil
}
func (fakeResolver) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	return name, []*net.SRV{{Target: "srv.example.com.", Port: 80, Priority: 1, Weight: 2}}, nil
}
func (fakeResolver) LookupTXT(context.Context, string) ([]string, error) {
	return []string{strings.Repeat("t", 300)}, nil
}

func newQuery(t testing.TB, name string, typ dnsmessage.Type, edns int) []byte {
	t.Helper()
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 0x1234, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: typ, Class: dnsmessage.ClassINET}},
	}
	if edns > 0 {
		var h dnsmessage.ResourceHeader
		h.SetEDNS0(edns, 0, false)
		m.Additionals = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.OPTResource{}}}
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// answer asks r through our codec and reads the reply.
func answer(t *testing.T, r Resolver, query []byte, limit int) dnsmessage.Message {
	t.Helper()
	q, rcode, ok := parseQuestion(query)
	if !ok {
		t.Fatal("no question")
	}
	var answers []dnsmessage.Resource
	if rcode == 0 {
		answers, rcode = lookup(context.Background(), r, q)
	}
	if limit == 0 {
		limit = q.limit()
	}
	b := q.reply(answers, rcode, limit)
	if len(b) > limit {
		t.Errorf("reply of %d bytes, limit %d", len(b), limit)
	}
	var m dnsmessage.Message
	if err := m.Unpack(b); err != nil {
		t.Fatal(err)
	}
	if !m.Response || m.ID != 0x1234 || !m.RecursionAvailable || !m.RecursionDesired {
		t.Errorf("header %+v", m.Header)
	}
	return m
}

func TestLookupOfEachType(t *testing.T) {
	for _, c := range []struct {
		name  string
		typ   dnsmessage.Type
		rcode dnsmessage.RCode
		want  string
	}{
		{"www.example.com.", dnsmessage.TypeA, 0, "A{192,0,2,7} A{192,0,2,8}"},
		{"short.", dnsmessage.TypeA, 0, "A{192,0,2,7} A{192,0,2,8}"},
		{"www.example.com.", dnsmessage.TypeAAAA, 0, ""},
		{"nobody.example.com.", dnsmessage.TypeA, dnsmessage.RCodeNameError, ""},
		{"broken.example.com.", dnsmessage.TypeA, dnsmessage.RCodeServerFailure, ""},
		{"1.2.0.192.in-addr.arpa.", dnsmessage.TypePTR, 0, "PTR host-192.0.2.1.example.com."},
		{"999.2.0.192.in-addr.arpa.", dnsmessage.TypePTR, dnsmessage.RCodeNameError, ""},
		{"www.example.com.", dnsmessage.TypeCNAME, 0, "CNAME real.example.com."},
		{"real.example.com.", dnsmessage.TypeCNAME, 0, ""},
		{"example.com.", dnsmessage.TypeMX, 0, "MX 5 mail.example.com."},
		{"example.com.", dnsmessage.TypeNS, 0, "NS ns.example.com."},
		{"_http._tcp.example.com.", dnsmessage.TypeSRV, 0, "SRV 1 2 80 srv.example.com."},
		{"example.com.", dnsmessage.TypeTXT, 0, "TXT 255 45"},
		{"example.com.", dnsmessage.TypeSOA, dnsmessage.RCodeNotImplemented, ""},
	} {
		m := answer(t, fakeResolver{}, newQuery(t, c.name, c.typ, 0), 0)
		if got := printAnswers(m); m.RCode != c.rcode || got != c.want {
			t.Errorf("%s %v: %v %q, want %v %q", c.name, c.typ, m.RCode, got, c.rcode, c.want)
		}
	}
}

func printAnswers(m dnsmessage.Message) string {
	var all []string
	for _, r := range m.Answers {
		switch b := r.Body.(type) {
		case *dnsmessage.AResource:
			all = append(all, "A{"+strings.ReplaceAll(netip.AddrFrom4(b.A).String(), ".", ",")+"}")
		case *dnsmessage.PTRResource:
			all = append(all, "PTR "+b.PTR.String())
		case *dnsmessage.CNAMEResource:
			all = append(all, "CNAME "+b.CNAME.String())
		case *dnsmessage.MXResource:
			all = append(all, "MX "+itoa(int(b.Pref))+" "+b.MX.String())
		case *dnsmessage.NSResource:
			all = append(all, "NS "+b.NS.String())
		case *dnsmessage.SRVResource:
			all = append(all, "SRV "+itoa(int(b.Priority))+" "+itoa(int(b.Weight))+" "+itoa(int(b.Port))+" "+b.Target.String())
		case *dnsmessage.TXTResource:
			s := "TXT"
			for _, p := range b.TXT {
				s += " " + itoa(len(p))
			}
			all = append(all, s)
		}
	}
	return strings.Join(all, " ")
}

var itoa = strconv.Itoa

func TestLongAnswerIsTruncatedOverUDPOnly(t *testing.T) {
	for _, c := range []struct {
		edns, limit, answers int
		truncated            bool
	}{
		{0, 0, 0, true},      // 64 records are more than 512 bytes
		{4096, 0, 64, false}, // and less than 1232
		{100, 0, 0, true},    // an offer of less than 512 counts as 512
		{0, maxMessage, 64, false},
	} {
		m := answer(t, fakeResolver{}, newQuery(t, "many.example.com.", dnsmessage.TypeA, c.edns), c.limit)
		if m.Truncated != c.truncated || len(m.Answers) != c.answers {
			t.Errorf("edns %d limit %d: truncated %v, %d answers; want %v, %d", c.edns, c.limit, m.Truncated, len(m.Answers), c.truncated, c.answers)
		}
		if got := len(m.Additionals); (got == 1) != (c.edns > 0) {
			t.Errorf("edns %d: %d additional records", c.edns, got)
		}
	}
}

func TestBrokenQueries(t *testing.T) {
	good := newQuery(t, "www.example.com.", dnsmessage.TypeA, 512)
	set := func(at int, v ...byte) []byte {
		b := append([]byte(nil), good...)
		copy(b[at:], v)
		return b
	}
	for _, c := range []struct {
		what  string
		msg   []byte
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
	} {
		q, rcode, ok := parseQuestion(c.msg)
		if ok != c.ok || rcode != c.rcode {
			t.Errorf("%s: ok %v %v, want %v %v", c.what, ok, rcode, c.ok, c.rcode)
		}
		if !ok {
			continue
		}
		var m dnsmessage.Message
		if err := m.Unpack(q.reply(nil, rcode, q.limit())); err != nil || m.RCode != c.rcode {
			t.Errorf("%s: reply %v %v", c.what, m.RCode, err)
		}
	}
}

func FuzzQuestion(f *testing.F) {
	f.Add(newQuery(f, "www.example.com.", dnsmessage.TypeA, 0))
	f.Add(newQuery(f, "1.0.77.10.in-addr.arpa.", dnsmessage.TypePTR, 4096))
	f.Fuzz(func(t *testing.T, msg []byte) {
		q, rcode, ok := parseQuestion(msg)
		if !ok {
			return
		}
		var answers []dnsmessage.Resource
		if rcode == 0 {
			answers, rcode = lookup(context.Background(), fakeResolver{}, q)
		}
		b := q.reply(answers, rcode, q.limit())
		if len(b) > q.limit() {
			t.Errorf("%d bytes, limit %d", len(b), q.limit())
		}
		var m dnsmessage.Message
		if b != nil {
			if err := m.Unpack(b); err != nil {
				t.Errorf("our reply does not parse: %v", err)
			}
		}
	})
}
