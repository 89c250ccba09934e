package understudytest_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/stack/dhcp"
	"github.com/understudy-net/understudy/understudytest"
	"github.com/understudy-net/understudy/wire"
)

// Section 5.9: the DHCP client.

// booted runs body on a bench that was booted and is idle.
func booted(t *testing.T, body func(r *rig)) {
	t.Helper()
	behaveWith(t, understudytest.Config{}, body)
}

// wantLease wants the callback of UseDHCP to be given an address next.
func (r *rig) wantLease(a netip.Addr) *event {
	r.t.Helper()
	l, e := wantWithin[leaseHeard](r, none, patience)
	if l.given != a || !l.linkUp || l.addr != a {
		r.fatalf("address callback: given %v, LinkUp %v, Addr %v; want %v", l.given, l.linkUp, l.addr, a)
	}
	return e
}

// wantIP wants OnIP, to which hear[driver.IPEvent] was given, to be told of this
// next.
func (r *rig) wantIP(k driver.IPKind, a netip.Addr) {
	r.t.Helper()
	if e := want[driver.IPEvent](r, none); e.Kind != k || e.Addr != a {
		r.fatalf("IP event %v %v, want %v %v", e.Kind, e.Addr, k, a)
	}
}

func TestDHC01_JoiningDiscovers(t *testing.T) {
	booted(t, func(r *rig) {
		since := r.mark()
		r.associate()
		p, m := r.wantDHCP(dhcp.Discover, since)
		if p.eth.Dst != wire.Broadcast || p.ip.Dst != broadcast || !p.ip.Src.IsUnspecified() || m.MAC != understudytest.DeviceMAC {
			r.fatalf("%v: %v", p, &m)
		}
	})
}

func TestDHC02_CallbackIsGivenTheLeaseOnce(t *testing.T) {
	booted(t, func(r *rig) {
		r.ok("UseDHCP", r.Client.UseDHCP(r.onLease))
		r.associate()
		e := r.wantLease(understudytest.FirstLease)
		p := r.wantPacket("DHCPACK", 0, down, dhcpType(dhcp.Ack))
		if m, _ := parseDHCP(p); p.n > e.n || m.YourIP != understudytest.FirstLease {
			r.fatalf("DHCPACK %v", &m)
		}
		r.quiet(10*time.Minute, "once")
	})
}

func TestDHC03_LeaseIsUsedWithoutACallback(t *testing.T) {
	booted(t, func(r *rig) {
		r.associate()
		r.Sleep(patience)
		r.linkIs("after the lease", true, understudytest.FirstLease)
		r.reaches(r.AddHost("peer.test").Addr)
	})
}

func TestDHC04_UseDHCPWhileConnected(t *testing.T) {
	booted(t, func(r *rig) {
		addr := r.online()
		before, since := r.Client.IPConfig(), r.mark()
		err := r.Client.UseDHCP(func(netip.Addr) { r.tell(none, "the callback that was refused") })
		r.refused("UseDHCP", err, driver.ErrConnected)
		r.refused("UseDHCP", err, driver.ErrRequest)
		r.linkIs("after it", true, addr)
		if c := r.Client.IPConfig(); c != before {
			r.fatalf("configuration was %v, is %v", before, c)
		}
		r.Sleep(10 * time.Minute)
		r.noPacket("nothing changes", since, isDHCP)
		r.leave()
		r.associate()
		r.wantLease(addr) // the callback from before
	})
}

func TestDHC05_DHCPIsSelected(t *testing.T) {
	booted(t, func(r *rig) {
		r.dhcpIs("after Open", true)
		r.ok("SetAddr", r.Client.SetAddr(staticAddr))
		r.dhcpIs("after SetAddr", false)
		r.ok("UseDHCP", r.Client.UseDHCP(nil))
		r.dhcpIs("after UseDHCP", true)
	})
}

func TestDHC06_DHCPStaysSelected(t *testing.T) {
	booted(t, func(r *rig) {
		r.ok("SetDNS", r.Client.SetDNS(understudytest.RouterAddr))
		r.dhcpIs("after SetDNS alone", true)
		r.ok("SetAddr", r.Client.SetAddr(staticAddr))
		r.ok("SetAddr", r.Client.SetAddr(netip.PrefixFrom(netip.IPv4Unspecified(), 0)))
		r.dhcpIs("after SetAddr with 0.0.0.0", true)
	})
}

func (r *rig) dhcpIs(when string, on bool) {
	r.t.Helper()
	if r.Client.DHCP() != on {
		r.fatalf("%s: DHCP is %v", when, !on)
	}
}

func TestDHC07_AddrIsTheLease(t *testing.T) {
	booted(t, func(r *rig) {
		r.linkIs("idle", false, noAddr)
		r.ok("UseDHCP", r.Client.UseDHCP(r.onLease))
		if c := r.associate(); c.addr.IsValid() {
			r.fatalf("%v before the lease", c.addr)
		}
		for len(r.packets(0, dhcpType(dhcp.Ack))) == 0 {
			r.linkIs("before the callback", false, noAddr)
			r.Sleep(time.Millisecond)
		}
		r.wantLease(understudytest.FirstLease)
		r.linkIs("after the callback", true, understudytest.FirstLease)
	})
}

func TestDHC08_LostOfferIsAskedForAgain(t *testing.T) {
	booted(t, func(r *rig) {
		offers := 0
		r.serveDHCP(dhcp.ServerConfig{}, func(_ dhcp.Message, reply *dhcp.Message) bool {
			if reply.Type == dhcp.Offer {
				offers++
			}
			return offers > 4
		})
		r.ok("UseDHCP", r.Client.UseDHCP(r.onLease))
		r.associate()
		ps := r.wantPackets(30*time.Second, "DHCPDISCOVER", 5, 0, up, dhcpType(dhcp.Discover))
		last := time.Duration(0)
		for i, about := range []time.Duration{1, 2, 4, 8} { // jitter: 1 s either way, at most a quarter
			d := ps[i+1].at.Sub(ps[i].at)
			about *= time.Second
			if j := min(time.Second, about/4); d < about-j || d > about+j || d <= last {
				r.fatalf("interval %d is %v, want about %v and more than %v", i, d, about, last)
			}
			last = d
		}
		r.wantLease(understudytest.FirstLease)
	})
}

// renewing runs body on a bench that is online with a lease of 400 s, from a
// server that falls silent when *silent is set. It is given the packet that
// won the lease.
func renewing(t *testing.T, body func(r *rig, request *packet, silent *bool)) {
	t.Helper()
	booted(t, func(r *rig) {
		var silent bool
		r.serveDHCP(dhcp.ServerConfig{LeaseTime: 400 * time.Second}, func(dhcp.Message, *dhcp.Message) bool { return !silent })
		r.online()
		r.Sleep(patience)
		body(r, r.wantPacket("DHCPREQUEST", 0, up, dhcpType(dhcp.Request)), &silent)
	})
}

func TestDHC09_RenewingAndRebinding(t *testing.T) {
	renewing(t, func(r *rig, request *packet, silent *bool) {
		*silent = true
		since, leased := r.mark(), request.at
		t1, m := r.wantDHCPWithin(400*time.Second, dhcp.Request, since)
		if d := t1.at.Sub(leased); d < 195*time.Second || d > 205*time.Second {
			r.fatalf("T1 after %v, want half of 400 s", d)
		}
		if t1.ip.Dst != understudytest.RouterAddr || t1.eth.Dst != r.Router.MAC || m.ClientIP != r.Client.Addr() {
			r.fatalf("renewing: %v, %v", t1, &m)
		}
		t2 := r.wantPackets(400*time.Second, "broadcast DHCPREQUEST", 1, since, up, dhcpType(dhcp.Request), to(broadcast))[0]
		if d := t2.at.Sub(leased); d < 345*time.Second || d > 355*time.Second {
			r.fatalf("T2 after %v, want 7/8 of 400 s", d)
		}
		if t2.eth.Dst != wire.Broadcast {
			r.fatalf("rebinding: %v", t2)
		}
	})
}

func TestDHC10_RenewalIsTold(t *testing.T) {
	renewing(t, func(r *rig, _ *packet, _ *bool) {
		for range 3 {
			since := r.mark()
			ack := r.wantPackets(400*time.Second, "DHCPACK", 1, since, down, dhcpType(dhcp.Ack))[0]
			if e := r.wantLease(understudytest.FirstLease); e.n < ack.n {
				r.fatalf("told before the DHCPACK")
			}
		}
	})
}

func TestDHC11_LeaseRunsOut(t *testing.T) {
	renewing(t, func(r *rig, request *packet, silent *bool) {
		h, addr := r.AddHost("peer.test"), r.Client.Addr()
		r.ok("OnIP", r.Client.OnIP(hear[driver.IPEvent](r)))
		*silent = true
		r.Sleep(request.at.Add(399 * time.Second).Sub(r.Now()))
		r.wantIP(driver.IPDHCPFailed, noAddr) // not renewed; the address is in use still
		r.linkIs("before expiry", true, addr)
		r.reaches(h.Addr)
		r.nothingMore("before expiry")
		r.Sleep(request.at.Add(401 * time.Second).Sub(r.Now()))
		r.linkIs("after expiry", false, noAddr)
		r.wantIP(driver.IPLost, addr)
		if _, err := h.Ping(context.Background(), addr, stack.PingConfig{}); err == nil {
			r.fatalf("the address is in use after expiry")
		}
	})
}

func TestDHC12_RefusedRenewal(t *testing.T) {
	booted(t, func(r *rig) {
		refuse := true
		r.serveDHCP(dhcp.ServerConfig{LeaseTime: 400 * time.Second}, func(request dhcp.Message, reply *dhcp.Message) bool {
			if refuse && request.ClientIP.IsValid() {
				refuse = false
				*reply = dhcp.Message{Op: dhcp.BootReply, XID: request.XID, MAC: request.MAC, Type: dhcp.Nak, ServerID: understudytest.RouterAddr}
			}
			return true
		})
		addr, since := r.online(), r.mark()
		r.ok("OnIP", r.Client.OnIP(hear[driver.IPEvent](r)))
		nak := r.wantPackets(400*time.Second, "DHCPNAK", 1, since, down, dhcpType(dhcp.Nak))[0]
		r.wantIP(driver.IPLost, addr)
		r.linkIs("after DHCPNAK", false, noAddr)
		r.wantDHCP(dhcp.Discover, nak.n)
		r.wantLease(addr)
		r.wantIP(driver.IPLeased, addr)
	})
}

func TestDHC13_RouterAndDNSAreUsed(t *testing.T) {
	booted(t, func(r *rig) {
		gateway, names := r.AddHost("gateway.test"), r.AddHost("names.test")
		names.Stack.ServeDNS(r.Names)
		r.serveDHCP(dhcp.ServerConfig{Router: gateway.Addr, DNS: []netip.Addr{names.Addr}}, nil)
		r.online()

		since, far := r.mark(), netip.MustParseAddr("192.0.2.1")
		r.ok("Echo", r.Client.Echo(far, 0, nil))
		if p := r.wantPacket("echo request", since, up, isEcho, to(far)); p.eth.Dst != gateway.MAC {
			r.fatalf("off-link packet to %v, the router is %v", p.eth.Dst, gateway.MAC)
		}
		if a := r.resolve("gateway.test"); a != gateway.Addr {
			r.fatalf("resolved %v, want %v", a, gateway.Addr)
		}
		for _, p := range r.packets(since, isQuery) {
			if p.ip.Dst != names.Addr || p.eth.Dst != names.MAC {
				r.fatalf("query to another server: %v", p)
			}
		}
		if c := r.Client.IPConfig(); c.Gateway != gateway.Addr || c.DNS != names.Addr {
			r.fatalf("IPConfig: %+v", c)
		}
	})
}

func TestDHC14_NoServer(t *testing.T) {
	booted(t, func(r *rig) {
		r.noDHCP()
		r.ok("UseDHCP", r.Client.UseDHCP(r.onLease))
		r.ok("OnIP", r.Client.OnIP(hear[driver.IPEvent](r)))
		r.associate()
		if _, e := wantWithin[driver.IPEvent](r, none, time.Minute); e.msg != (driver.IPEvent{Kind: driver.IPDHCPFailed}) {
			r.fatalf("IP event %v", e.msg)
		}
		r.quiet(10*time.Minute, "no server") // no connection event, no address, no second failure
		r.linkIs("without a lease", false, noAddr)
		r.locked(func(time.Time) {
			if n := len(r.AP.Stations()); n != 1 {
				t.Errorf("%d stations are associated", n)
			}
		})
		since := r.mark()
		r.serveDHCP(dhcp.ServerConfig{}, nil)
		r.wantDHCPWithin(2*time.Minute, dhcp.Discover, since) // it goes on trying
		r.wantLease(understudytest.FirstLease)
		r.wantIP(driver.IPLeased, understudytest.FirstLease)
	})
}

func TestDHC15_HostName(t *testing.T) {
	for _, name := range []string{"", "kitchen-sensor"} {
		booted(t, func(r *rig) {
			want := name
			if name == "" {
				want = "WINC-43-01"
			} else {
				r.ok("SetName", r.Client.SetName(name))
			}
			r.online()
			for _, typ := range []dhcp.MessageType{dhcp.Discover, dhcp.Request} {
				if _, m := r.wantDHCP(typ, 0); m.Hostname != want {
					r.fatalf("DHCP%v names the host %q, want %q", typ, m.Hostname, want)
				}
			}
		})
	}
}

func TestDHC16_TakenAddressIsDeclined(t *testing.T) {
	booted(t, func(r *rig) {
		squatter := r.AddHost("squatter.test")
		r.serveDHCP(dhcp.ServerConfig{First: squatter.Addr, Last: squatter.Addr.Next()}, nil)
		r.ok("UseDHCP", r.Client.UseDHCP(r.onLease))
		r.ok("OnIP", r.Client.OnIP(hear[driver.IPEvent](r)))
		r.associate()
		decline, m := r.wantDHCP(dhcp.Decline, 0)
		if m.RequestedIP != squatter.Addr || m.ServerID != understudytest.RouterAddr {
			r.fatalf("%v", &m)
		}
		r.wantIP(driver.IPConflict, squatter.Addr)
		r.linkIs("after DHCPDECLINE", false, noAddr)
		r.wantDHCPWithin(time.Minute, dhcp.Discover, decline.n)
		r.wantLease(squatter.Addr.Next())
		r.wantIP(driver.IPLeased, squatter.Addr.Next())
		r.noPacket("the taken address", 0, up, func(p *packet) bool {
			return p.ip.Src == squatter.Addr || p.kind == kindARP && p.arp.SenderIP == squatter.Addr
		})
	})
}

func TestDHC17_NewestCallbackCounts(t *testing.T) {
	booted(t, func(r *rig) {
		r.ok("first UseDHCP", r.Client.UseDHCP(func(netip.Addr) { r.tell(none, "the first callback") }))
		r.ok("second UseDHCP", r.Client.UseDHCP(r.onLease))
		r.associate()
		r.wantLease(understudytest.FirstLease)
		r.quiet(time.Minute, "only the second")
	})
}

func TestDHC18_DHCPAfterReconnecting(t *testing.T) {
	booted(t, func(r *rig) {
		addr := r.online()
		r.leave()
		r.linkIs("disconnected", false, noAddr)
		since := r.mark()
		r.associate()
		r.linkIs("associated again", false, noAddr)
		r.wantDHCP(dhcp.Discover, since)
		r.wantLease(addr)
		r.linkIs("leased again", true, addr)
	})
}
