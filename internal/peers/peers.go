// Package peers gives tests other people's network stacks and programs to talk
// to: the kernel's, in network namespaces of their own, and servers and clients
// that run in there.
//
// A namespace has no name and no file: it lives as long as a thread of the test,
// and the programs in it are killed when that thread ends. So nothing is left
// behind, whatever way the test ends.
//
// A test that lacks root or a program is skipped with the reason; with
// UNDERSTUDY_PEERS=require in the environment it fails.
package peers

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"
)

// packages says which package of Debian has a program.
var packages = map[string]string{
	"chronyd":  "chrony",
	"curl":     "curl",
	"dhclient": "isc-dhcp-client",
	"dnsmasq":  "dnsmasq-base",
	"hostapd":  "hostapd",
	"iperf3":   "iperf3",
	"nginx":    "nginx-light",
	"nping":    "nmap",
	"udhcpc":   "udhcpc",
	"udhcpd":   "udhcpd",
	"unbound":  "unbound",

	"hostapd_cli":    "hostapd",
	"wpa_supplicant": "wpasupplicant",
}

// Need skips t, or fails it, unless this is Linux, the test is run by root, and the programs are
// there.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	switch {
	case runtime.GOOS != "linux":
		t.Skip("needs network namespaces, which are Linux's")
	case os.Getuid() != 0:
		missing(t, "needs root, for network namespaces")
	}
	for _, p := range programs {
		if _, err := find(p); err != nil {
			missing(t, "%v (package %s)", err, packages[p])
		}
	}
}

func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("UNDERSTUDY_PEERS") == "require" {
		t.Fatalf(format+", and UNDERSTUDY_PEERS=require", args...)
	}
	t.Skipf(format, args...)
}

// find looks where servers are as well, which are not in everyone's PATH.
func find(program string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(dir + "/" + program); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed", program)
}
