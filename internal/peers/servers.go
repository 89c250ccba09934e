//go:build linux

package peers

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
)

// Config writes a configuration file in which DIR stands for the directory it is in.
func Config(t testing.TB, name, text string) (path, dir string) {
	t.Helper()
	dir = t.TempDir()
	path = filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "DIR", dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, dir
}

// Dnsmasq starts a server of DHCP and DNS on an interface with KernelAddr; more is added to its configuration. Leases
// are of two minutes, from .100 to .150, and in the file leases of dir.
func (n *Namespace) Dnsmasq(name, more string) (p *Process, dir string) {
	n.t.Helper()
	path, dir := Config(n.t, "dnsmasq.conf", `
port=53
interface=`+name+`
bind-interfaces
no-resolv
no-hosts
dhcp-authoritative
dhcp-range=10.77.0.100,10.77.0.150,255.255.255.0,2m
dhcp-leasefile=DIR/leases
domain=peers.test
log-dhcp
no-ping
user=root
pid-file=
`+more)
	p = n.Start("dnsmasq", "--keep-in-foreground", "--log-facility=-", "-C", path)
	n.WaitListen("udp", 53, p)
	n.WaitListen("udp", 67, p)
	return p, dir
}

// Nginx starts a web server at port 80 of an address. It has these bytes at /file, a redirection
// to it at /moved, and closes the connection at /close.
func (n *Namespace) Nginx(addr netip.Addr, file []byte) {
	n.t.Helper()
	path, dir := Config(n.t, "nginx.conf", fmt.Sprintf(`
daemon off; worker_processes 1; pid DIR/pid; error_log stderr; user root;
events { worker_connections 64; }
http {
 access_log off; client_body_temp_path DIR/b; proxy_temp_path DIR/p; fastcgi_temp_path DIR/f; uwsgi_temp_path DIR/u; scgi_temp_path DIR/s;
 server { listen %v:80; root DIR;
  location = /moved { return 301 /file; }
  location = /close { return 444; }
 } }
`, addr))
	if err := os.WriteFile(filepath.Join(dir, "file"), file, 0o644); err != nil {
		n.t.Fatal(err)
	}
	p := n.Start("nginx", "-c", path, "-e", filepath.Join(dir, "errors"), "-p", dir)
	n.WaitListen("tcp", 80, p)
}

// AddTAP makes a TAP device that stays, as an administrator does for others.
func (n *Namespace) AddTAP(name string, addr netip.Prefix) {
	n.t.Helper()
	err := n.try(func() error {
		return netlink.LinkAdd(&netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: name, TxQLen: -1}, Mode: netlink.TUNTAP_MODE_TAP})
	})
	if err != nil {
		n.t.Fatalf("add %s: %v", name, err)
	}
	n.SetUp(name, addr)
}
