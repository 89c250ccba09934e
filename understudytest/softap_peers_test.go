//go:build linux

package understudytest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/internal/peers"
	"github.com/understudy-net/understudy/understudytest"
	"github.com/understudy-net/understudy/uplink/tap"
	"github.com/understudy-net/understudy/wire"
)

// kernelStation is a controller in Soft-AP mode, on the wall clock, and a station
// whose host is the kernel, in a namespace of its own.
type kernelStation struct {
	*understudytest.Bench
	*peers.Namespace
	given chan netip.Addr // what the host was told of leases
	conn  chan driver.ConnEvent
	sta   *tap.Station
}

func newKernelStation(t *testing.T, programs ...string) *kernelStation {
	t.Helper()
	peers.Need(t, programs...)
	k := &kernelStation{
		Bench: understudytest.New(t), Namespace: peers.NewNamespace(t),
		given: make(chan netip.Addr, 16), conn: make(chan driver.ConnEvent, 16),
	}
	server := netip.MustParsePrefix("192.168.5.1/24")
	if err := k.Client.ConfigDHCPServer(server, func(a netip.Addr) { k.given <- a }); err != nil {
		t.Fatal(err)
	}
	if err := k.Client.StartAP(apBSS, driver.WPA(apKey), func(e driver.ConnEvent) { k.conn <- e }); err != nil {
		t.Fatal(err)
	}
	sta, err := tap.NewStation(tap.StationConfig{
		World: k.World, Air: k.Air, Rand: rand.NewPCG(1, 2), MAC: wire.MAC{0x02, 0x6b, 0x65, 0x72, 0x6e, 0x02},
		Join: wifi.JoinParams{SSID: apSSID, Passphrase: apKey}, Name: "wlan0", Namespace: k.Path(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sta.Close() })
	k.sta = sta
	k.event(t, driver.Connected)
	peers.Poll(t, "the carrier", nil, func() bool { return k.Carrier("wlan0") == "1" })
	return k
}

func (k *kernelStation) event(t *testing.T, s driver.ConnState) {
	t.Helper()
	select {
	case e := <-k.conn:
		if e.State != s || e.Err != nil {
			t.Fatalf("the host was told %v, %v, want %v", e.State, e.Err, s)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("the host was not told %v", s)
	}
}

// script is the program that a DHCP client runs when something happens: it prints
// what the client tells it.
func (k *kernelStation) script(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	const text = `#!/bin/sh
echo "event=${1:-$reason} ip=$ip$new_ip_address mask=$subnet$new_subnet_mask router=$router$new_routers dns=$dns$new_domain_name_servers server=$serverid$new_dhcp_server_identifier."
`
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// leased wants the client to have printed a right lease, and the host to have been
// told.
func (k *kernelStation) leased(t *testing.T, event, out string) {
	t.Helper()
	want := fmt.Sprintf("event=%s ip=192.168.5.100 mask=255.255.255.0 router=192.168.5.1 dns=192.168.5.1 server=192.168.5.1.", event)
	if !strings.Contains(out, want) {
		t.Errorf("want %q, the client says:\n%s", want, out)
	}
	select {
	case a := <-k.given:
		if a != netip.MustParseAddr("192.168.5.100") {
			t.Errorf("the host was told %v", a)
		}
	case <-time.After(5 * time.Second):
		t.Error("the host was not told of the lease")
	}
}

// works uses the lease: pings both ways, and the kernel's TCP to a listener of
// the controller.
func (k *kernelStation) works(t *testing.T) {
	t.Helper()
	k.SetUp("wlan0", netip.MustParsePrefix("192.168.5.100/24"))
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	if _, err := k.Net.Ping(ctx, netip.MustParseAddr("192.168.5.100")); err != nil {
		t.Errorf("ping to the kernel: %v", err)
	}
	l, err := k.Net.Listen(ctx, "tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			fmt.Fprint(c, "hello, kernel")
			c.Close()
		}
	}()
	c := k.Dial(netip.MustParseAddrPort("192.168.5.1:80"))
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	got := make([]byte, 13)
	if n, err := c.Read(got); err != nil || string(got[:n]) != "hello, kernel" {
		t.Errorf("the kernel read %q, %v", got[:n], err)
	}
}

func TestUdhcpcAtTheSoftAP(t *testing.T) {
	k := newKernelStation(t, "udhcpc")
	k.leased(t, "bound", k.Namespace.Run("udhcpc", "-f", "-i", "wlan0", "-n", "-q", "-t", "4", "-T", "1", "-s", k.script(t)))
	k.works(t)
	if err := k.sta.Close(); err != nil {
		t.Error(err)
	}
	k.event(t, driver.Disconnected)
}

func TestDhclientAtTheSoftAP(t *testing.T) {
	k := newKernelStation(t, "dhclient")
	dir, script := t.TempDir(), k.script(t)
	conf, _ := peers.Config(t, "dhclient.conf", "initial-interval 1;\nrequest subnet-mask, routers, domain-name-servers;\n")
	bound := func(event string) {
		t.Helper()
		p := k.Start("dhclient", "-4", "-1", "-d", "-cf", conf, "-sf", script, "-lf", filepath.Join(dir, "leases"), "-pf", filepath.Join(dir, "pid"), "wlan0")
		peers.Poll(t, "dhclient to be bound", p, func() bool {
			out := p.Output()
			return strings.Contains(out, "event="+event) && strings.Contains(out, "bound to")
		})
		k.leased(t, event, p.Output())
		p.Stop()
	}
	bound("BOUND")
	k.works(t)
	bound("REBOOT") // it begins with the lease that it remembers
	if err := k.Client.StopAP(); err != nil {
		t.Error(err)
	}
	k.event(t, driver.Disconnected)
	peers.Poll(t, "the carrier to be lost", nil, func() bool { return k.Carrier("wlan0") == "0" })
}

// Two programs of one station, with different client identifiers, share the one
// address that there is.
func TestDhclientAfterUdhcpcAtTheSoftAP(t *testing.T) {
	k := newKernelStation(t, "udhcpc", "dhclient")
	k.leased(t, "bound", k.Namespace.Run("udhcpc", "-f", "-i", "wlan0", "-n", "-q", "-t", "4", "-T", "1", "-s", k.script(t)))
	dir := t.TempDir()
	conf, _ := peers.Config(t, "dhclient.conf", "initial-interval 1;\nrequest subnet-mask, routers, domain-name-servers;\n")
	p := k.Start("dhclient", "-4", "-1", "-d", "-cf", conf, "-sf", k.script(t), "-lf", filepath.Join(dir, "leases"), "-pf", filepath.Join(dir, "pid"), "wlan0")
	peers.Poll(t, "dhclient to be bound", p, func() bool { return strings.Contains(p.Output(), "bound to") })
	k.leased(t, "BOUND", p.Output())
	p.Stop()
}
