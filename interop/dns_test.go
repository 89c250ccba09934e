package interop

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/understudy-net/understudy/stack/dns"
)

// Our codec of DNS is dnsmessage's, so the second opinions are gopacket's, which
// has its own, and dnsmessage's strict parser over whole messages.

func readDNS(t *testing.T, b []byte) *layers.DNS {
	t.Helper()
	var strict dnsmessage.Message
	if err := strict.Unpack(b); err != nil {
		t.Fatalf("dnsmessage: %v", err)
	}
	var m layers.DNS
	if err := m.DecodeFromBytes(b, gopacket.NilDecodeFeedback); err != nil {
		t.Fatalf("gopacket: %v", err)
	}
	return &m
}

func writeDNS(t *testing.T, m *layers.DNS) []byte {
	t.Helper()
	b := gopacket.NewSerializeBuffer()
	if err := m.SerializeTo(b, gopacket.SerializeOptions{FixLengths: true}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestDNSServerAnswersAnotherClient(t *testing.T) {
	var s dns.Server
	addrs := []netip.Addr{netip.MustParseAddr("10.0.0.7"), netip.MustParseAddr("10.0.0.8")}
	if err := s.Set("www.example.test", time.Minute, addrs...); err != nil {
		t.Fatal(err)
	}
	if err := s.SetAlias("web.example.test", time.Minute, "www.example.test"); err != nil {
		t.Fatal(err)
	}
	ask := func(name string) *layers.DNS {
		q := &layers.DNS{ID: 4711, RD: true, Questions: []layers.DNSQuestion{{Name: []byte(name), Type: layers.DNSTypeA, Class: layers.DNSClassIN}}}
		b, ok := s.Reply(nil, writeDNS(t, q))
		if !ok {
			t.Fatalf("no answer for %s", name)
		}
		r := readDNS(t, b)
		if !r.QR || r.ID != 4711 || !r.RD || len(r.Questions) != 1 || string(r.Questions[0].Name) != name {
			t.Errorf("header and question %+v", r)
		}
		return r
	}
	r := ask("web.example.test")
	if r.ResponseCode != layers.DNSResponseCodeNoErr || !r.AA || len(r.Answers) != 3 || string(r.Answers[0].CNAME) != "www.example.test" {
		t.Fatalf("answer %+v", r)
	}
	for i, a := range addrs {
		if x := r.Answers[i+1]; !x.IP.Equal(a.AsSlice()) || x.TTL != 60 || string(x.Name) != "www.example.test" {
			t.Errorf("record %d: %+v", i, x)
		}
	}
	if r := ask("nobody.example.test"); r.ResponseCode != layers.DNSResponseCodeNXDomain {
		t.Errorf("code %v for a name that is not there", r.ResponseCode)
	}
}

func TestDNSResolverUnderstandsAnotherServer(t *testing.T) {
	r, err := dns.NewResolver(dns.ResolverConfig{Rand: rand.NewPCG(1, 1)})
	if err != nil {
		t.Fatal(err)
	}
	server := netip.MustParseAddr("10.0.0.53")
	r.SetServers(start, []netip.Addr{server})
	if err := r.Resolve(start, "www.example.test", nil); err != nil {
		t.Fatal(err)
	}
	b, port, to, ok := r.Output(start, nil)
	if !ok || to != netip.AddrPortFrom(server, 53) {
		t.Fatalf("query to %v, %v", to, ok)
	}
	q := readDNS(t, b)
	if q.QR || !q.RD || len(q.Questions) != 1 || string(q.Questions[0].Name) != "www.example.test" || q.Questions[0].Type != layers.DNSTypeA {
		t.Fatalf("query %+v", q)
	}
	a := *q
	a.QR, a.RA = true, true
	a.Answers = []layers.DNSResourceRecord{
		{Name: []byte("www.example.test"), Type: layers.DNSTypeCNAME, Class: layers.DNSClassIN, TTL: 60, CNAME: []byte("host.example.test")},
		{Name: []byte("host.example.test"), Type: layers.DNSTypeA, Class: layers.DNSClassIN, TTL: 60, IP: net.IPv4(10, 0, 0, 9)},
	}
	r.Input(start, to, port, writeDNS(t, &a))
	e, ok := r.NextEvent()
	if !ok || e.Err != nil || len(e.Addrs) != 1 || e.Addrs[0].String() != "10.0.0.9" {
		t.Errorf("result %+v, %v; %+v", e, ok, r.Counters())
	}
}
