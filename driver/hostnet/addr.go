package hostnet

import (
	"context"
	"net"
	"net/netip"
	"strconv"
)

// target is a parsed address of a call.
type target struct {
	network string // tcp or udp
	host    string
	port    uint16
}

// parse splits network and address. What is not IPv4 is a *net.AddrError.
func parse(ctx context.Context, network, address string) (t target, err error) {
	switch network {
	case "tcp", "tcp4":
		t.network = "tcp"
	case "udp", "udp4":
		t.network = "udp"
	case "tcp6", "udp6":
		return t, &net.AddrError{Err: "only IPv4 is supported", Addr: address}
	default:
		return t, net.UnknownNetworkError(network)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return t, err
	}
	t.host = host
	if p, err := strconv.ParseUint(port, 10, 16); err == nil {
		t.port = uint16(p)
		return t, nil
	}
	p, err := net.DefaultResolver.LookupPort(ctx, t.network, port) // "http"
	t.port = uint16(p)
	return t, err
}

// resolve finds the address of a target; an empty host is 0.0.0.0.
func (n *Net) resolve(ctx context.Context, t target) (netip.AddrPort, error) {
	if t.host == "" {
		return netip.AddrPortFrom(netip.IPv4Unspecified(), t.port), nil
	}
	ips, err := n.LookupNetIP(ctx, "ip4", t.host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(ips[0], t.port), nil
}

// netAddr is the address in the form of package net.
func netAddr(network string, a netip.AddrPort) net.Addr {
	if network == "udp" {
		return net.UDPAddrFromAddrPort(a)
	}
	return net.TCPAddrFromAddrPort(a)
}
