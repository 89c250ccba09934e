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

	"github.com/understudy-net/understudy/stack/dns"
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

func TestLookupOfEachType(t *testing.T) {
	notFound, broken := dns.ErrNotFound, errors.New("any")
	for _, c := range []struct {
		name string
		typ  dnsmessage.Type
		err  error
		want string
	}{
		{"www.example.com", dnsmessage.TypeA, nil, "A{192,0,2,7} A{192,0,2,8}"},
		{"www.example.com", dnsmessage.TypeALL, nil, "A{192,0,2,7} A{192,0,2,8}"},
		{"short", dnsmessage.TypeA, nil, "A{192,0,2,7} A{192,0,2,8}"},
		{"nobody.example.com", dnsmessage.TypeA, notFound, ""},
		{"broken.example.com", dnsmessage.TypeA, broken, ""},
		{"1.2.0.192.in-addr.arpa", dnsmessage.TypePTR, nil, "PTR host-192.0.2.1.example.com."},
		{"999.2.0.192.in-addr.arpa", dnsmessage.TypePTR, notFound, ""},
		{"www.example.com", dnsmessage.TypeCNAME, nil, "CNAME real.example.com."},
		{"real.example.com", dnsmessage.TypeCNAME, nil, ""},
		{"example.com", dnsmessage.TypeMX, nil, "MX 5 mail.example.com."},
		{"example.com", dnsmessage.TypeNS, nil, "NS ns.example.com."},
		{"_http._tcp.example.com", dnsmessage.TypeSRV, nil, "SRV 1 2 80 srv.example.com."},
		{"example.com", dnsmessage.TypeTXT, nil, "TXT 255 45"},
		{"example.com", dnsmessage.TypeSOA, broken, ""},
	} {
		q := dns.Query{Name: c.name, Type: c.typ}
		if strings.HasPrefix(c.name, "1.") {
			q.Addr = netip.MustParseAddr("192.0.2.1")
		}
		records, err := lookup(context.Background(), fakeResolver{}, q)
		if got := printRecords(records...); got != c.want || (err == nil) != (c.err == nil) || (err == notFound) != (c.err == notFound) {
			t.Errorf("%s %v: %q, %v, want %q, %v", c.name, c.typ, got, err, c.want, c.err)
		}
	}
}

func printAnswers(m dnsmessage.Message) string {
	var all []dnsmessage.ResourceBody
	for _, r := range m.Answers {
		all = append(all, r.Body)
	}
	return printRecords(all...)
}

func printRecords(records ...dnsmessage.ResourceBody) string {
	var all []string
	for _, r := range records {
		switch b := r.(type) {
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
