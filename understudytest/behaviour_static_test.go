package understudytest_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/stack/dhcp"
	"github.com/understudy-net/understudy/understudytest"
	"github.com/understudy-net/understudy/wire"
)

// Section 5.10: static addresses.

// far is an address off the link.
var far = netip.MustParseAddr("192.0.2.1")

// asksARP matches ARP requests of the device for a.
func asksARP(a netip.Addr) match {
	return func(p *packet) bool {
		return p.up && p.kind == kindARP && p.arp.Op == wire.ARPRequest && p.arp.TargetIP == a
	}
}

func TestSTA01_StaticAddressWithoutDHCP(t *testing.T) {
	booted(t, func(r *rig) {
		h := r.AddHost("peer.test")
		r.onlineAt(staticAddr)
		since := r.mark()
		if _, err := h.Dial(context.Background(), "tcp", r.at(80).String()); err == nil {
			r.fatalf("a closed port answers")
		} // the peer asked ARP for it
		p := r.wantPacket("ARP reply", since, up, func(p *packet) bool { return p.kind == kindARP && p.arp.Op == wire.ARPReply })
		if p.arp.SenderIP != staticAddr.Addr() || p.arp.SenderMAC != understudytest.DeviceMAC || p.eth.Dst != h.MAC {
			r.fatalf("%v", p)
		}
		r.Sleep(2 * time.Hour)
		r.noPacket("static", 0, isDHCP)
	})
}

func TestSTA02_NoChangesWhileConnected(t *testing.T) {
	booted(t, func(r *rig) {
		r.onlineAt(staticAddr)
		before, other := r.Client.IPConfig(), netip.MustParseAddr("10.9.0.60")
		for what, err := range map[string]error{
			"SetAddr":    r.Client.SetAddr(netip.PrefixFrom(other, 24)),
			"SetDNS":     r.Client.SetDNS(other),
			"SetGateway": r.Client.SetGateway(other),
		} {
			r.refused(what, err, driver.ErrConnected)
			r.refused(what, err, driver.ErrRequest)
		}
		if c := r.Client.IPConfig(); c != before {
			r.fatalf("configuration was %v, is %v", before, c)
		}
		r.leave()
		since := r.mark()
		r.associate()
		if c := r.Client.IPConfig(); c != before {
			r.fatalf("after a reconnect it is %v, was %v", c, before)
		}
		r.ok("Echo", r.Client.Echo(far, 0, nil))
		if p := r.wantPacket("echo request", since, up, isEcho, to(far)); p.ip.Src != staticAddr.Addr() || p.eth.Dst != r.Router.MAC {
			r.fatalf("%v", p)
		}
	})
}

func TestSTA03_DNSServerIsAsked(t *testing.T) {
	booted(t, func(r *rig) {
		names := r.AddHost("names.test")
		names.Stack.ServeDNS(r.Names)
		r.ok("SetAddr", r.Client.SetAddr(staticAddr))
		r.ok("SetDNS", r.Client.SetDNS(names.Addr))
		r.associate()
		if a := r.resolve("names.test"); a != names.Addr {
			r.fatalf("resolved %v, want %v", a, names.Addr)
		}
		if n := len(r.packets(0, isQuery)); n != len(r.packets(0, isQuery, to(names.Addr))) || n == 0 {
			r.fatalf("%d queries, not all to %v", n, names.Addr)
		}
	})
}

func TestSTA04_GatewayIsForWhatIsOffTheLink(t *testing.T) {
	booted(t, func(r *rig) {
		gateway, h := r.AddHost("gateway.test"), r.AddHost("peer.test")
		r.ok("SetAddr", r.Client.SetAddr(netip.MustParsePrefix("10.9.0.50/26"))) // 10.9.0.0 to .63
		r.ok("SetGateway", r.Client.SetGateway(gateway.Addr))
		r.associate()
		for _, tt := range []struct {
			to   netip.Addr
			next wire.MAC
		}{
			{far, gateway.MAC},
			{netip.MustParseAddr("10.9.0.64"), gateway.MAC}, // the mask says so
			{h.Addr, h.MAC},
		} {
			since := r.mark()
			r.ok("Echo", r.Client.Echo(tt.to, 0, nil))
			if p := r.wantPacket("echo request", since, up, isEcho, to(tt.to)); p.eth.Dst != tt.next {
				r.fatalf("packet for %v to %v, want %v", tt.to, p.eth.Dst, tt.next)
			}
		}
	})
}

func TestSTA05_NothingHappensBeforeConnecting(t *testing.T) {
	booted(t, func(r *rig) {
		r.onlineAt(staticAddr)
		r.leave()
		since := r.mark()
		other := netip.MustParsePrefix("10.9.0.60/24")
		r.ok("SetAddr", r.Client.SetAddr(other))
		r.Sleep(10 * time.Minute)
		r.noPacket("idle", since, up)
		r.associate()
		r.wantPacket("announcement", since, asksARP(other.Addr()))
		r.reaches(understudytest.RouterAddr)
	})
}

func TestSTA06_AddrIsOfTheConnection(t *testing.T) {
	booted(t, func(r *rig) {
		r.ok("SetAddr", r.Client.SetAddr(staticAddr))
		r.linkIs("before the connection", false, noAddr)
		r.associate()
		r.linkIs("after it", true, staticAddr.Addr())
	})
}

func TestSTA07_UseDHCPRemovesTheStaticAddress(t *testing.T) {
	booted(t, func(r *rig) {
		r.ok("SetAddr", r.Client.SetAddr(staticAddr))
		r.ok("SetGateway", r.Client.SetGateway(netip.MustParseAddr("10.9.0.61")))
		r.ok("SetDNS", r.Client.SetDNS(netip.MustParseAddr("10.9.0.62")))
		since, addr := r.mark(), r.online()
		r.wantDHCP(dhcp.Discover, since)
		want := driver.IPConfig{
			Prefix: netip.PrefixFrom(addr, 24), Gateway: understudytest.RouterAddr, DNS: understudytest.RouterAddr, Lease: time.Hour,
		}
		if c := r.Client.IPConfig(); c != want || addr != understudytest.FirstLease {
			r.fatalf("IPConfig %+v, want %+v", c, want)
		}
		r.noPacket("the static address", since, asksARP(staticAddr.Addr()))
		r.leave()
		r.ok("SetAddr", r.Client.SetAddr(staticAddr))
		r.associate()
		if c := r.Client.IPConfig(); c != (driver.IPConfig{Prefix: staticAddr}) {
			r.fatalf("gateway or DNS server are back: %+v", c)
		}
	})
}

func TestSTA08_StaticAddressSurvivesReconnecting(t *testing.T) {
	booted(t, func(r *rig) {
		r.onlineAt(staticAddr)
		before := r.Client.IPConfig()
		r.leave()
		r.LoseWiFi()
		r.RestoreWiFi()
		r.associate()
		if c := r.Client.IPConfig(); c != before || c.Prefix != staticAddr {
			r.fatalf("IPConfig %+v, was %+v", c, before)
		}
		r.reaches(understudytest.RouterAddr)
		r.noPacket("static", 0, isDHCP)
	})
}

func TestSTA09_WithoutAGateway(t *testing.T) {
	booted(t, func(r *rig) {
		h := r.AddHost("peer.test")
		r.ok("SetAddr", r.Client.SetAddr(staticAddr))
		r.associate()
		r.ok("Echo", r.Client.Echo(far, 0, hear[driver.EchoReply](r)))
		r.wantVerdict(driver.ErrUnreachable)
		r.reaches(h.Addr)
		r.noPacket("off the link", 0, up, to(far))
	})
}

func TestSTA10_LeaseDoesNotBecomeStatic(t *testing.T) {
	booted(t, func(r *rig) {
		r.online()
		r.leave()
		since := r.mark()
		r.ok("SetDNS", r.Client.SetDNS(understudytest.RouterAddr))
		r.dhcpIs("after SetDNS", true)
		if c := r.associate(); c.linkUp {
			r.fatalf("%v is in use without DHCP", c.addr)
		}
		r.wantDHCP(dhcp.Discover, since)
		r.wantLease(understudytest.FirstLease)
	})
}

func TestSTA11_ConflictIsToldAndSurvived(t *testing.T) {
	booted(t, func(r *rig) {
		h, thief := r.AddHost("peer.test"), r.puppet()
		r.ok("OnIP", r.Client.OnIP(hear[driver.IPEvent](r)))
		r.onlineAt(staticAddr)
		s, c := r.dial(h, 7)
		claim := wire.ARP{Op: wire.ARPRequest, SenderMAC: thief.mac, SenderIP: staticAddr.Addr(), TargetIP: staticAddr.Addr()}
		eth := wire.Ethernet{Dst: wire.Broadcast, Src: thief.mac, Type: wire.EtherTypeARP}.Append(nil)
		for range 3 { // once in ten seconds is told
			r.locked(func(now time.Time) { r.AP.Send(now, claim.Append(eth)) })
			r.Sleep(time.Second)
			r.send(s, []byte("still here"))
			r.peerReads(c, []byte("still here"))
			r.reaches(h.Addr)
		}
		r.wantIP(driver.IPConflict, staticAddr.Addr())
		r.linkIs("in conflict", true, staticAddr.Addr())
	})
}

func TestSTA12_ImpossibleAddresses(t *testing.T) {
	booted(t, func(r *rig) {
		for _, p := range []netip.Prefix{
			netip.MustParsePrefix("239.1.2.3/24"),
			netip.MustParsePrefix("fe80::1/64"),
			netip.MustParsePrefix("::ffff:10.9.0.50/120"),
			netip.PrefixFrom(staticAddr.Addr(), 33), // a mask with holes cannot be said; one that is none can
			netip.PrefixFrom(staticAddr.Addr(), -1),
		} {
			r.refused(p.String(), r.Client.SetAddr(p), driver.ErrInvalid)
		}
		for _, a := range []string{"239.1.2.3", "fe80::1", "::ffff:10.9.0.50", "255.255.255.255", "127.0.0.1"} {
			a := netip.MustParseAddr(a)
			r.refused("SetDNS", r.Client.SetDNS(a), driver.ErrInvalid)
			r.refused("SetGateway", r.Client.SetGateway(a), driver.ErrInvalid)
		}
		r.dhcpIs("after refusals", true)
		r.online() // and none of them is used
		if c := r.Client.IPConfig(); c.Prefix.Addr() != understudytest.FirstLease || c.DNS != understudytest.RouterAddr || c.Gateway != understudytest.RouterAddr {
			r.fatalf("configuration %+v", c)
		}
	})
}
