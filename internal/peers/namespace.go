//go:build linux

package peers

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Namespace is a network namespace without a connection to any other.
type Namespace struct {
	t    testing.TB
	run  chan func()
	path string
}

// NewNamespace makes a namespace that goes away with the test. Its loopback is up, and it speaks no
// IPv6.
func NewNamespace(t testing.TB) *Namespace {
	t.Helper()
	n := &Namespace{t: t, run: make(chan func())}
	ready := make(chan error)
	go n.thread(ready)
	if err := <-ready; err != nil {
		missing(t, "cannot make a network namespace: %v", err)
	}
	t.Cleanup(func() { close(n.run) })
	if err := n.try(bare); err != nil {
		t.Fatal(err)
	}
	return n
}

// bare prepares a new namespace.
func bare() error {
	err := os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}

// thread is the life of the namespace. It is never unlocked, so the thread ends
// with it.
func (n *Namespace) thread(ready chan<- error) {
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		ready <- os.NewSyscallError("unshare", err)
		return
	}
	n.path = fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid())
	ready <- nil
	for f := range n.run {
		f()
	}
}

// Path names the namespace as a file, for this process.
func (n *Namespace) Path() string { return n.path }

// Do runs f on a thread of the namespace: sockets and devices that it makes belong there, and
// may be used from anywhere. f must not wait for long, nor end the test by FailNow.
func (n *Namespace) Do(f func()) {
	done := make(chan any)
	n.run <- func() {
		defer func() { done <- recover() }()
		f()
	}
	if p := <-done; p != nil {
		panic(p)
	}
}

// Do2 is Do for a function with a result.
func Do2[T any](n *Namespace, f func() (T, error)) (v T, err error) {
	n.Do(func() { v, err = f() })
	return v, err
}

// Veth joins two namespaces by a pair of interfaces, and takes them up. Addresses may be the zero Prefix.
func Veth(t testing.TB, a *Namespace, nameA string, addrA netip.Prefix, b *Namespace, nameB string, addrB netip.Prefix) {
	t.Helper()
	err := a.try(func() error {
		to, err := os.Open(b.path)
		if err != nil {
			return err
		}
		defer to.Close()
		return netlink.LinkAdd(&netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: nameA, TxQLen: -1}, PeerName: nameB, PeerNamespace: netlink.NsFd(int(to.Fd())),
		})
	})
	if err != nil {
		t.Fatalf("veth: %v", err)
	}
	a.SetUp(nameA, addrA)
	b.SetUp(nameB, addrB)
}

// SetUp gives an interface an address, unless it is zero, and takes it up.
func (n *Namespace) SetUp(name string, addr netip.Prefix) {
	n.t.Helper()
	err := n.try(func() error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if addr.IsValid() {
			a, err := netlink.ParseAddr(addr.String())
			if err != nil {
				return err
			}
			if err := netlink.AddrAdd(link, a); err != nil {
				return err
			}
		}
		return netlink.LinkSetUp(link)
	})
	if err != nil {
		n.t.Fatalf("set up %s: %v", name, err)
	}
}

func (n *Namespace) try(f func() error) (err error) {
	n.Do(func() { err = f() })
	return err
}

// Sysctl sets a parameter of the kernel that belongs to the namespace, such as net/ipv4/tcp_sack, until t ends.
func (n *Namespace) Sysctl(t testing.TB, name, value string) {
	t.Helper()
	var old []byte
	err := n.try(func() (err error) {
		if old, err = os.ReadFile("/proc/sys/" + name); err != nil {
			return err
		}
		return os.WriteFile("/proc/sys/"+name, []byte(value), 0)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.try(func() error { return os.WriteFile("/proc/sys/"+name, old, 0) }) })
}

// patience bounds every wait for a program: machines of CI are slow at times.
const patience = 20 * time.Second

// WaitListen waits until somebody listens on a port; network is "tcp" or
// "udp".
func (n *Namespace) WaitListen(network string, port uint16, p *Process) {
	n.t.Helper()
	want := fmt.Sprintf(":%04X", port)
	Poll(n.t, fmt.Sprintf("%s port %d to be open", network, port), p, func() bool {
		b, _ := Do2(n, func() ([]byte, error) { return os.ReadFile("/proc/thread-self/net/" + network) })
		return slices.ContainsFunc(strings.Split(string(b), "\n"), func(line string) bool {
			f := strings.Fields(line)
			// A TCP socket that listens is in state 0A, a UDP socket without a peer in 07.
			return len(f) > 3 && strings.HasSuffix(f[1], want) && (f[3] == "0A" || f[3] == "07")
		})
	})
}

// Poll looks again and again until ok says true. If p, which may be nil, ends meanwhile, or too much
// time passes, the test fails.
func Poll(t testing.TB, what string, p *Process, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		switch {
		case ok():
			return
		case p != nil && p.Ended():
			t.Fatalf("%s ended while the test waited for %s:\n%s", p.name, what, p.Output())
		case time.Now().After(end):
			if p != nil {
				t.Fatalf("waited %v for %s:\n%s", patience, what, p.Output())
			}
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

// Listen listens with the TCP of the kernel; at port 0 it chooses one.
func (n *Namespace) Listen(at netip.AddrPort) net.Listener {
	n.t.Helper()
	var c net.ListenConfig
	c.SetMultipathTCP(false)
	l, err := Do2(n, func() (net.Listener, error) { return c.Listen(n.t.Context(), "tcp4", at.String()) })
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { l.Close() })
	return l
}

// Dial connects with the TCP of the kernel.
func (n *Namespace) Dial(to netip.AddrPort) net.Conn {
	n.t.Helper()
	d := net.Dialer{Timeout: patience}
	c, err := Do2(n, func() (net.Conn, error) { return d.Dial("tcp4", to.String()) })
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { c.Close() })
	return c
}

// Carrier says "1" while the cable of an interface is plugged in, "0" while it is not, and "" if
// there is no such interface.
func (n *Namespace) Carrier(name string) string {
	link, err := Do2(n, func() (netlink.Link, error) { return netlink.LinkByName(name) })
	switch {
	case err != nil:
		return ""
	case link.Attrs().RawFlags&unix.IFF_LOWER_UP != 0:
		return "1"
	}
	return "0"
}

// Route makes via the default gateway.
func (n *Namespace) Route(t testing.TB, via netip.Addr) {
	t.Helper()
	err := n.try(func() error { return netlink.RouteAdd(&netlink.Route{Gw: via.AsSlice()}) })
	if err != nil {
		t.Fatalf("route: %v", err)
	}
}

// For is the same namespace for a subtest: what fails there fails t, and programs end
// with it.
func (n *Namespace) For(t testing.TB) *Namespace {
	m := *n
	m.t = t
	return &m
}

// SetDown takes an interface down.
func (n *Namespace) SetDown(name string) { n.link("take down", name, netlink.LinkSetDown) }

// Delete deletes an interface.
func (n *Namespace) Delete(name string) { n.link("delete", name, netlink.LinkDel) }

func (n *Namespace) link(what, name string, f func(netlink.Link) error) {
	n.t.Helper()
	err := n.try(func() error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		return f(link)
	})
	if err != nil {
		n.t.Fatalf("%s %s: %v", what, name, err)
	}
}

// Unprivileged runs f on a thread that has given up all capabilities, as if an
// ordinary user had started the program.
func (n *Namespace) Unprivileged(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends
		head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&head, &none[0]); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

// SetMTU sets how long a packet of an interface may be.
func (n *Namespace) SetMTU(name string, mtu int) {
	n.link("set MTU of", name, func(l netlink.Link) error { return netlink.LinkSetMTU(l, mtu) })
}
