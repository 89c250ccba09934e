//go:build linux

package main

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/understudy-net/understudy/internal/peers"
)

// TestUplinksToTheKernel runs the real command in a namespace: its device gets an address of dnsmasq, resolves a name there,
// and fetches a file of nginx, by the TAP device that an administrator has made, and by one end of a veth pair.
func TestUplinksToTheKernel(t *testing.T) {
	peers.Need(t, "dnsmasq", "nginx")
	file := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{2}).Read(file) // never fails
	check := func(t *testing.T, here, net *peers.Namespace, iface, uplink string) {
		net.Dnsmasq(iface, "host-record=web.test,10.77.0.1\n")
		net.Nginx(peers.KernelAddr.Addr(), file)
		out := filepath.Join(t.TempDir(), "out")
		here.Run("understudy", "get", "--uplink", uplink, "http://web.test/file", "-o", out)
		if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, file) {
			t.Errorf("%d bytes came, %v", len(got), err)
		}
		if s := here.Run("understudy", "ping", "--uplink", uplink, "10.77.0.1"); !strings.Contains(s, "10.77.0.1") {
			t.Errorf("ping says %q", s)
		}
	}
	t.Run("tap", func(t *testing.T) {
		t.Parallel()
		n := peers.NewNamespace(t)
		n.AddTAP("tap0", peers.KernelAddr)
		check(t, n, n, "tap0", "tap:tap0")
	})
	t.Run("packet", func(t *testing.T) {
		t.Parallel()
		net, here := peers.NewNamespace(t), peers.NewNamespace(t)
		peers.Veth(t, net, "v0", peers.KernelAddr, here, "v1", netip.Prefix{})
		check(t, here, net, "v0", "packet:v1")
	})
}
