//go:build linux

package tap_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/internal/peers"
	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/stack/dhcp"
)

// udhcpd starts the server of busybox.
func udhcpd(t testing.TB, b *bench) *peers.Process {
	t.Helper()
	path, dir := peers.Config(t, "udhcpd.conf", `
start 10.77.0.100
end 10.77.0.150
interface tap0
lease_file DIR/leases
pidfile DIR/pid
opt subnet 255.255.255.0
opt router 10.77.0.1
opt dns 10.77.0.1 10.77.0.9
opt ntpsrv 10.77.0.1
opt domain peers.test
opt lease 120
`)
	if err := os.WriteFile(filepath.Join(dir, "leases"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := b.Start("udhcpd", "-f", "-a", "20", "-I", "10.77.0.1", path)
	b.WaitListen("udp", 67, p)
	return p
}

// lease gets a lease and checks what is in it.
func lease(t testing.TB, b *bench, c stack.DHCPConfig) dhcp.Lease {
	t.Helper()
	if _, err := b.Net.UseDHCP(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	b.World.Lock()
	defer b.World.Unlock()
	l, ok := b.Stack.Lease()
	low, high := netip.MustParseAddr("10.77.0.100"), netip.MustParseAddr("10.77.0.150")
	if a := l.Addr.Addr(); !ok || a.Less(low) || high.Less(a) || l.Addr.Bits() != 24 {
		t.Errorf("address %v, want one from %v to %v", l.Addr, low, high)
	}
	gateway := peers.KernelAddr.Addr()
	if l.Router != gateway || len(l.DNS) == 0 || l.DNS[0] != gateway || !slices.Equal(l.NTP, []netip.Addr{gateway}) || l.Domain != "peers.test" {
		t.Errorf("router %v, DNS %v, NTP %v, domain %q", l.Router, l.DNS, l.NTP, l.Domain)
	}
	if d := l.Expiry.Sub(l.Obtained); d != 2*time.Minute {
		t.Errorf("the lease is for %v, want 2 min", d)
	}
	return l
}

// alive checks that the address works.
func alive(t testing.TB, b *bench) {
	t.Helper()
	if _, err := b.Net.Ping(t.Context(), peers.KernelAddr.Addr(), stack.PingConfig{}); err != nil {
		t.Errorf("ping with the leased address: %v", err)
	}
}

const ntpOption = "dhcp-option=option:ntp-server,10.77.0.1\n"

func TestDHCPClientWithDnsmasq(t *testing.T) {
	peers.Need(t, "dnsmasq")
	b := newWire(t)
	server, dir := b.Dnsmasq("tap0", ntpOption)
	first := lease(t, b, stack.DHCPConfig{Hostname: "understudy"})
	alive(t, b)
	leases := func() string {
		text, _ := os.ReadFile(filepath.Join(dir, "leases"))
		return string(text)
	}
	peers.Poll(t, "the lease in dnsmasq's file", server, func() bool {
		return strings.Contains(leases(), first.Addr.Addr().String()+" understudy")
	})

	// INIT-REBOOT: the same address once more, without a DISCOVER.
	b.World.Lock()
	again := strings.Count(server.Output(), "DHCPDISCOVER")
	b.World.Unlock()
	if l := lease(t, b, stack.DHCPConfig{Hostname: "understudy", Reboot: first.Addr.Addr()}); l.Addr != first.Addr {
		t.Errorf("%v after a reboot, was %v", l.Addr, first.Addr)
	}
	if n := strings.Count(server.Output(), "DHCPDISCOVER"); n != again {
		t.Errorf("the server saw %d DISCOVERs more after a reboot with a known address", n-again)
	}
	alive(t, b)

	// Of another network: a NAK, and all from the beginning.
	l := lease(t, b, stack.DHCPConfig{Hostname: "understudy", Reboot: netip.MustParseAddr("192.168.7.9")})
	if !strings.Contains(server.Output(), "DHCPNAK") {
		t.Errorf("the server refused nothing:\n%s", server.Output())
	}
	alive(t, b)

	now := b.World.Lock()
	b.Stack.StopDHCP(now, true)
	b.World.Unlock()
	peers.Poll(t, "dnsmasq to forget the released lease", server, func() bool { return !strings.Contains(leases(), l.Addr.Addr().String()) })
}

// TestDHCPRenewalWithDnsmasq has the server set T1 to 3 s, which is its least.
func TestDHCPRenewalWithDnsmasq(t *testing.T) {
	t.Parallel()
	peers.Need(t, "dnsmasq")
	b := newWire(t)
	server, _ := b.Dnsmasq("tap0", ntpOption+"dhcp-option=option:T1,3s\n\n")
	first := lease(t, b, stack.DHCPConfig{})
	if d := first.T1.Sub(first.Obtained); d != 3*time.Second {
		t.Fatalf("T1 is %v, want 3 s\n%s", d, server.Output())
	}
	peers.Poll(t, "the renewal", server, func() bool {
		b.World.Lock()
		defer b.World.Unlock()
		l, ok := b.Stack.Lease()
		return ok && l.Addr == first.Addr && l.Obtained.After(first.Obtained)
	})
	alive(t, b)
}

// TestDHCPDeclineWithDnsmasq gives the kernel the address that dnsmasq has for us. Its offers have to be broadcast, or the kernel
// would keep them for itself.
func TestDHCPDeclineWithDnsmasq(t *testing.T) {
	peers.Need(t, "dnsmasq")
	b := newWire(t)
	b.SetUp("tap0", netip.MustParsePrefix("10.77.0.200/24"))
	server, _ := b.Dnsmasq("tap0", "dhcp-range=10.77.0.200,10.77.0.200,255.255.255.0,2m\ndhcp-host="+peers.StackMAC.String()+",10.77.0.200\n")
	now := b.World.Lock()
	err := b.Stack.UseDHCP(now, stack.DHCPConfig{Client: dhcp.ClientConfig{Broadcast: true}})
	b.World.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	peers.Poll(t, "the DECLINE", server, func() bool { return strings.Contains(server.Output(), "DHCPDECLINE") })
	b.World.Lock()
	defer b.World.Unlock()
	if a := b.Stack.Addr(); a.IsValid() {
		t.Errorf("the stack uses %v, which the kernel has", a)
	}
}

func TestDHCPClientWithUdhcpd(t *testing.T) {
	peers.Need(t, "udhcpd")
	b := newWire(t)
	udhcpd(t, b)
	first := lease(t, b, stack.DHCPConfig{Hostname: "understudy"})
	if len(first.DNS) != 2 {
		t.Errorf("DNS servers %v, want two", first.DNS)
	}
	alive(t, b)
	if l := lease(t, b, stack.DHCPConfig{Hostname: "understudy", Reboot: first.Addr.Addr()}); l.Addr != first.Addr {
		t.Errorf("%v after a reboot, was %v", l.Addr, first.Addr)
	}
	alive(t, b)
}
