package hostnet

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"

	"github.com/understudy-net/understudy/driver"
)

// LookupNetIP finds the IPv4 address of a host, one at most: the device reports
// no more; see Resolver. Networks: ip, ip4. Literals cost no traffic. Failure
// is a *net.DNSError, of which the device does not say whether the name does
// not exist or nobody answered; it takes up to 30 s.
func (n *Net) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if network != "ip" && network != "ip4" {
		return nil, &net.AddrError{Err: "only IPv4 is supported", Addr: host}
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip = ip.Unmap(); !ip.Is4() {
			return nil, &net.AddrError{Err: "only IPv4 is supported", Addr: host}
		}
		return []netip.Addr{ip}, nil
	}
	a, err := n.lookup(ctx, strings.TrimSuffix(host, "."))
	if err != nil {
		return nil, dnsError(host, err)
	}
	return []netip.Addr{a}, nil
}

// errNoAnswer is what a zero address means.
var errNoAnswer = errors.New("no such host, or no answer")

func dnsError(host string, err error) error {
	e := &net.DNSError{Err: err.Error(), Name: host, UnwrapErr: err}
	if errors.Is(err, context.DeadlineExceeded) {
		e.IsTimeout = true
	}
	return e
}

func (n *Net) lookup(ctx context.Context, host string) (netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c, err := n.usable(ctx)
	if err != nil {
		return netip.Addr{}, err
	}
	var done bool
	var addr netip.Addr
	ask := func() error {
		return c.ResolveHook(host, func(a netip.Addr) { // on the pump
			n.mu.Lock()
			done, addr = true, a
			n.Wake(&n.resolveq)
			n.mu.Unlock()
		})
	}
	err = ask()
	for errors.Is(err, driver.ErrBufferFull) { // 4 at a time
		now := n.now()
		n.refused(now)
		if err := n.awaitOnce(ctx); err != nil {
			return netip.Addr{}, err
		}
		err = ask()
	}
	if err != nil {
		return netip.Addr{}, closedErr(err)
	}
	err = n.await(ctx, &n.resolveq, func() bool { return done || c.Err() != nil })
	switch {
	case err != nil:
		return netip.Addr{}, err
	case !done:
		return netip.Addr{}, closedErr(c.Err())
	case !addr.IsValid():
		return netip.Addr{}, errNoAnswer
	}
	return addr, nil
}

// awaitOnce waits until a lookup ended, or a moment.
func (n *Net) awaitOnce(ctx context.Context) error {
	first := true
	return n.await(ctx, &n.resolveq, func() bool {
		again := !first
		first = false
		return again
	})
}

// Resolver returns a resolver of the standard library that asks the network's
// DNS server over a Net's own UDP sockets: for records other than one address,
// and for HTTP clients that want it. It starts goroutines, so it is not for
// actors of a virtual world.
func (n *Net) Resolver() *net.Resolver {
	return &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := n.Client()
			if err != nil {
				return nil, opError("dial", network, nil, err)
			}
			if dns := c.IPConfig().DNS; dns.IsValid() { // not what this host's resolv.conf says
				address = netip.AddrPortFrom(dns, 53).String()
			}
			return n.DialContext(ctx, network, address)
		},
	}
}
