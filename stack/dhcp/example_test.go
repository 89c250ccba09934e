package dhcp_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/stack/dhcp"
	"github.com/understudy-net/understudy/wire"
)

// A client and a server, joined by a wire that is never late and never loses.
func Example() {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	server, err := dhcp.NewServer(dhcp.ServerConfig{Addr: netip.MustParsePrefix("192.168.10.1/24"), Router: netip.MustParseAddr("192.168.10.1")})
	if err != nil {
		fmt.Println(err)
		return
	}
	mac := wire.MAC{2, 0, 0, 0, 0, 1}
	client, err := dhcp.NewClient(dhcp.ClientConfig{MAC: mac, Rand: rand.NewPCG(1, 2), Hostname: "sensor"})
	if err != nil {
		fmt.Println(err)
		return
	}
	client.Start(now)
	for {
		request, src, dst, ok := client.Output(now, nil)
		if !ok {
			break
		}
		m, _ := dhcp.Parse(request)
		fmt.Println(src, ">", dst, m.Type)
		server.Input(now, mac, request)
		for reply, dst, _, ok := server.Output(now, nil); ok; reply, dst, _, ok = server.Output(now, nil) {
			m, _ := dhcp.Parse(reply)
			fmt.Println(dst, "<", m.Type)
			client.Input(now, reply)
		}
	}
	e, _ := client.NextEvent()
	fmt.Println(e.Kind, e.Lease.Addr, "via", e.Lease.Router, "for", e.Lease.Expiry.Sub(now))
	// Output:
	// 0.0.0.0:68 > 255.255.255.255:67 DHCPDISCOVER
	// 192.168.10.2:68 < DHCPOFFER
	// 0.0.0.0:68 > 255.255.255.255:67 DHCPREQUEST
	// 192.168.10.2:68 < DHCPACK
	// bound 192.168.10.2/24 via 192.168.10.1 for 1h0m0s
}
