package dns_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/understudy-net/understudy/stack/dns"
)

// A resolver and a server, joined by a wire that is never late and never loses.
func Example() {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var server dns.Server
	if err := server.Set("www.example", time.Minute, netip.MustParseAddr("192.0.2.80")); err != nil {
		fmt.Println(err)
		return
	}
	resolver, err := dns.NewResolver(dns.ResolverConfig{Rand: rand.NewPCG(1, 2)})
	if err != nil {
		fmt.Println(err)
		return
	}
	resolver.SetServers(now, []netip.Addr{netip.MustParseAddr("192.0.2.53")})
	for _, name := range []string{"www.example", "ftp.example", "10.0.0.1"} {
		if err := resolver.Resolve(now, name, nil); err != nil {
			fmt.Println(err)
		}
	}
	for {
		query, port, to, ok := resolver.Output(now, nil)
		if !ok {
			break
		}
		if reply, ok := server.Reply(nil, query); ok {
			resolver.Input(now, to, port, reply)
		}
	}
	for {
		r, ok := resolver.NextEvent()
		if !ok {
			break
		}
		fmt.Println(r.Name, r.Addrs, r.Err)
	}
	// Output:
	// 10.0.0.1 [10.0.0.1] <nil>
	// www.example [192.0.2.80] <nil>
	// ftp.example [] resolve "ftp.example" at 192.0.2.53:53: no such host
}

// A forwarder asks its owner, who may take his time.
func ExampleForwarder() {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	resolver, err := dns.NewResolver(dns.ResolverConfig{Rand: rand.NewPCG(1, 2)})
	if err != nil {
		fmt.Println(err)
		return
	}
	gateway := netip.MustParseAddr("10.0.0.1")
	resolver.SetServers(now, []netip.Addr{gateway})
	if err := resolver.Resolve(now, "www.example", nil); err != nil {
		fmt.Println(err)
		return
	}
	query, port, to, _ := resolver.Output(now, nil)

	f := dns.NewForwarder(dns.ForwarderConfig{})
	client := netip.AddrPortFrom(netip.MustParseAddr("10.0.0.2"), port)
	if err := f.Input(now, client, query); err != nil {
		fmt.Println(err)
		return
	}
	q, _ := f.NextEvent()
	fmt.Println("looking up", q.Name, q.Type)
	now = now.Add(300 * time.Millisecond)
	found := []dnsmessage.ResourceBody{&dnsmessage.AResource{A: [4]byte{192, 0, 2, 80}}}
	f.Answer(now, q.ID, found, time.Minute, nil)
	reply, dst, _, _ := f.Output(now, nil)

	resolver.Input(now, to, dst.Port(), reply)
	r, _ := resolver.NextEvent()
	fmt.Println(r.Name, r.Addrs)
	// Output:
	// looking up www.example TypeA
	// www.example [192.0.2.80]
}
