//go:build linux

package tap_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/internal/peers"
	"github.com/understudy-net/understudy/stack/dns"
)

// manyAddrs are more than fit into a UDP answer of 512 bytes.
func manyAddrs() []netip.Addr {
	var a []netip.Addr
	for i := range 60 {
		a = append(a, netip.AddrFrom4([4]byte{10, 77, 1, byte(i + 1)}))
	}
	return a
}

// checkDNS asks the server at the kernel's address for what both servers of these tests know.
func checkDNS(t *testing.T, b *bench) {
	b.SetAddr(t)
	lookup := func(name string) ([]netip.Addr, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		return b.Net.LookupNetIP(ctx, name)
	}
	seven := []netip.Addr{netip.MustParseAddr("10.77.0.7")}
	for _, name := range []string{"host.test", "HOST.Test.", "alias.test"} {
		if got, err := lookup(name); err != nil || !slices.Equal(got, seven) {
			t.Errorf("%s is %v, %v; want %v", name, got, err, seven)
		}
	}
	for name, want := range map[string]error{"missing.test": dns.ErrNotFound, "textonly.test": dns.ErrNoData} {
		if got, err := lookup(name); !errors.Is(err, want) {
			t.Errorf("%s: %v, %v; want the error %v", name, got, err, want)
		}
	}
	tcpBefore := b.dialed()
	got, err := lookup("big.test")
	if err != nil {
		t.Fatalf("big.test: %v", err)
	}
	if b.dialed() == tcpBefore {
		t.Error("the long answer did not come by TCP")
	}
	slices.SortFunc(got, netip.Addr.Compare)
	want := manyAddrs()
	if len(got) != len(slices.Compact(slices.Clone(got))) || len(got) != 16 {
		t.Errorf("big.test has %d addresses, want the 16 that are kept: %v", len(got), got)
	}
	for _, a := range got {
		if !slices.Contains(want, a) {
			t.Errorf("big.test has the address %v", a)
		}
	}
}

// dialed returns how many TCP connections the stack has opened.
func (b *bench) dialed() uint64 {
	b.World.Lock()
	defer b.World.Unlock()
	return b.Stack.Stats().TCP.Dialed
}

func TestResolverWithDnsmasq(t *testing.T) {
	peers.Need(t, "dnsmasq")
	b := newWire(t)
	hosts := filepath.Join(t.TempDir(), "hosts")
	var text strings.Builder
	for _, a := range manyAddrs() {
		fmt.Fprintf(&text, "%v big.test\n", a)
	}
	if err := os.WriteFile(hosts, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	b.Dnsmasq("tap0", "local=/test/\naddn-hosts="+hosts+"\nhost-record=host.test,10.77.0.7\ncname=alias.test,host.test\ntxt-record=textonly.test,hello\nlocal-ttl=60\n")
	checkDNS(t, b)
}

func TestResolverWithUnbound(t *testing.T) {
	peers.Need(t, "unbound")
	b := newWire(t)
	zone := filepath.Join(t.TempDir(), "zone")
	var text strings.Builder
	text.WriteString(`
$ORIGIN test.
$TTL 60
@ IN SOA ns hostmaster 1 3600 600 86400 60
@ IN NS ns
ns IN A 10.77.0.1
host IN A 10.77.0.7
alias IN CNAME host
textonly IN TXT "hello"
`)
	for _, a := range manyAddrs() {
		fmt.Fprintf(&text, "big IN A %v\n", a)
	}
	if err := os.WriteFile(zone, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	path, _ := peers.Config(t, "unbound.conf", `
server:
  interface: 10.77.0.1
  access-control: 10.77.0.0/24 allow
  chroot: ""
  username: ""
  directory: "DIR"
  pidfile: ""
  do-daemonize: no
  use-syslog: no
  logfile: ""
  verbosity: 1
  module-config: "iterator"
  local-zone: "test." nodefault
auth-zone:
  name: "test."
  zonefile: "`+zone+`"
  for-downstream: yes
  for-upstream: no
remote-control:
  control-enable: no
`)
	p := b.Start("unbound", "-d", "-p", "-c", path)
	b.WaitListen("udp", 53, p)
	b.WaitListen("tcp", 53, p)
	checkDNS(t, b)
}
