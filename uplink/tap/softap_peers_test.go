//go:build linux

package tap_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/internal/peers"
	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/stack/dhcp"
	"github.com/understudy-net/understudy/uplink/tap"
	"github.com/understudy-net/understudy/wire"
	"github.com/understudy-net/understudy/world"
)

var clientMAC = wire.MAC{0x02, 0x6b, 0x65, 0x72, 0x6e, 0x01}

// A softAP is an access point with a stack of ours behind it, which serves DHCP, and a
// station that is the kernel.
type softAP struct {
	*peers.Namespace // of the station
	w                *world.World
	air              *air.Air
	ap               *wifi.AccessPoint
	stack            *stack.Stack
	server           *dhcp.Server
	net              stack.Net
	station          *tap.Station
}

func newSoftAP(t testing.TB) *softAP {
	t.Helper()
	peers.Need(t)
	b := &softAP{Namespace: peers.NewNamespace(t), w: peers.NewWorld(t)}
	b.air = newMedium(b.w)
	var apSlot, stackSlot *world.Slot
	b.ap, apSlot = addAP(t, b.w, b.air, func(now time.Time, eth []byte) {
		b.stack.Input(now, eth)
		stackSlot.Touch()
	})
	b.stack, stackSlot = peers.NewStack(t, b.w, peers.StackMAC, func(now time.Time, eth []byte) {
		b.ap.Send(now, eth)
		apSlot.Touch()
	})
	b.net = stack.Net{Owner: b.w, Stack: b.stack}
	if err := b.net.SetAddr(t.Context(), peers.KernelAddr, netip.Addr{}); err != nil {
		t.Fatal(err)
	}
	now := b.w.Lock()
	server, err := b.stack.ServeDHCP(now, dhcp.ServerConfig{
		First: netip.MustParseAddr("10.77.0.100"), Last: netip.MustParseAddr("10.77.0.110"),
		Router: peers.KernelAddr.Addr(), DNS: []netip.Addr{peers.KernelAddr.Addr()}, Domain: "softap.test", LeaseTime: 2 * time.Minute,
	}, nil)
	b.w.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	b.server = server
	b.join(t)
	return b
}

func (b *softAP) join(t testing.TB) {
	t.Helper()
	s, err := tap.NewStation(tap.StationConfig{
		World: b.w, Air: b.air, Rand: rand.NewPCG(9, 10), MAC: clientMAC, Join: joinParams,
		Name: "wlan0", Namespace: b.Path(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	b.station = s
	b.waitCarrier(t, true)
}

// waitCarrier waits until the kernel sees that the cable is plugged in, or pulled.
func (b *softAP) waitCarrier(t testing.TB, on bool) {
	t.Helper()
	want := "0"
	if on {
		want = "1"
	}
	peers.Poll(t, "the carrier to be "+want, nil, func() bool {
		return b.Carrier("wlan0") == want
	})
}

// script writes the program that a DHCP client runs when something happens: it prints all that the
// client tells it.
func script(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	const text = `#!/bin/sh
echo "event=${1:-$reason} ip=$ip$new_ip_address mask=$subnet$new_subnet_mask router=$router$new_routers dns=$dns$new_domain_name_servers domain=$domain$new_domain_name lease=$lease$new_dhcp_lease_time server=$serverid$new_dhcp_server_identifier."
`
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// told is what a script prints of a lease that is as it should be.
func told(event, ip string) string {
	return fmt.Sprintf("event=%s ip=%s mask=255.255.255.0 router=10.77.0.1 dns=10.77.0.1 domain=softap.test lease=120 server=10.77.0.1.", event, ip)
}

// leases returns how many addresses the server has given out.
func (b *softAP) leases() (n int) {
	now := b.w.Lock()
	defer b.w.Unlock()
	for _, l := range b.server.Leases() {
		if now.Before(l.Expiry) {
			n++
		}
	}
	return n
}

func TestUdhcpcAtOurServer(t *testing.T) {
	peers.Need(t, "udhcpc")
	b := newSoftAP(t)
	args := []string{"-f", "-i", "wlan0", "-n", "-q", "-t", "4", "-T", "1", "-s", script(t)}
	run := func(more ...string) string { return b.Run("udhcpc", append(args, more...)...) }

	if out := run(); !strings.Contains(out, told("bound", "10.77.0.100")) {
		t.Errorf("udhcpc got another lease:\n%s", out)
	}
	if out := run("-x", "hostname:understudy"); !strings.Contains(out, told("bound", "10.77.0.100")) {
		t.Errorf("udhcpc got another lease the second time:\n%s", out)
	}
	if out := run("-B"); !strings.Contains(out, told("bound", "10.77.0.100")) {
		t.Errorf("with broadcast replies:\n%s", out)
	}
	// Another client identifier is another client, which may ask for an address.
	if out := run("-C", "-x", "0x3d:00756e6465727374756479", "-r", "10.77.0.105"); !strings.Contains(out, told("bound", "10.77.0.105")) {
		t.Errorf("with another client identifier and a wish:\n%s", out)
	}
	if n := b.leases(); n != 2 {
		t.Errorf("the server has %d leases, want 2", n)
	}

	// The lease is good for something, and is given back at the end.
	b.SetUp("wlan0", netip.MustParsePrefix("10.77.0.100/24"))
	r, err := b.net.Ping(t.Context(), netip.MustParseAddr("10.77.0.100"), stack.PingConfig{})
	if err != nil {
		t.Errorf("ping to the client: %+v, %v", r, err)
	}
	p := b.Start("udhcpc", "-f", "-i", "wlan0", "-R", "-t", "4", "-T", "1", "-s", script(t))
	peers.Poll(t, "udhcpc to be bound", p, func() bool { return strings.Contains(p.Output(), told("bound", "10.77.0.100")) })
	p.Stop()
	peers.Poll(t, "the release", nil, func() bool { return b.leases() == 1 })
}

func TestDhclientAtOurServer(t *testing.T) {
	peers.Need(t, "dhclient")
	b := newSoftAP(t)
	dir := t.TempDir()
	conf, _ := peers.Config(t, "dhclient.conf", "initial-interval 1;\nrequest subnet-mask, routers, domain-name, domain-name-servers;\n")
	start := func(more ...string) *peers.Process {
		return b.Start("dhclient", append([]string{
			"-4", "-1", "-d", "-cf", conf, "-sf", script(t), "-lf", filepath.Join(dir, "leases"), "-pf", filepath.Join(dir, "pid"),
		}, more...)...)
	}
	bound := func(event string) {
		t.Helper()
		p := start("wlan0")
		peers.Poll(t, "dhclient to be bound", p, func() bool {
			out := p.Output()
			return strings.Contains(out, told(event, "10.77.0.100")) && strings.Contains(out, "bound to")
		})
		p.Stop()
	}
	bound("BOUND")
	// It begins with the lease that it remembers: INIT-REBOOT.
	bound("REBOOT")
	if n := b.leases(); n != 1 {
		t.Errorf("the server has %d leases, want 1", n)
	}
	b.SetUp("wlan0", netip.MustParsePrefix("10.77.0.100/24"))
	start("-r", "wlan0").Wait(b.Namespace)
	peers.Poll(t, "the release", nil, func() bool { return b.leases() == 0 })
}

// TestKernelSeesTheAirAsACable: the access point sends the station away, and the cable is pulled until it has joined
// again.
func TestKernelSeesTheAirAsACable(t *testing.T) {
	b := newSoftAP(t)
	b.SetUp("wlan0", netip.MustParsePrefix("10.77.0.100/24"))
	ping := func() error {
		_, err := b.net.Ping(t.Context(), netip.MustParseAddr("10.77.0.100"), stack.PingConfig{})
		return err
	}
	if err := ping(); err != nil {
		t.Fatal(err)
	}
	now := b.w.Lock()
	b.ap.Stop(now)
	b.w.Unlock()
	b.waitCarrier(t, false)
	now = b.w.Lock()
	b.ap.Start(now)
	b.w.Unlock()
	b.waitCarrier(t, true)
	if err := ping(); err != nil {
		t.Error(err)
	}
	if err := b.station.Close(); err != nil {
		t.Error(err)
	}
	b.w.Lock()
	defer b.w.Unlock()
	if n := len(b.ap.Stations()); n != 0 {
		t.Errorf("%d stations after Close", n)
	}
}
