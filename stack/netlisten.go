package stack

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// Listen makes a net.Listener at addr, "host:port" with an address that may be empty; network is
// "tcp" or "tcp4".
func (n Net) Listen(network, addr string) (net.Listener, error) {
	at, err := listenAddr(network, "tcp", addr)
	if err != nil {
		return nil, opError("listen", network, nil, nil, err)
	}
	now := n.Owner.Lock()
	defer n.Owner.Unlock()
	l, err := n.Stack.Listen(now, at, ListenConfig{})
	if err != nil {
		return nil, opError("listen", network, nil, net.TCPAddrFromAddrPort(at), err)
	}
	return NewListener(n.Owner, l), nil
}

// ListenPacket makes a net.PacketConn at addr, "host:port" with an address that may be empty;
// network is "udp" or "udp4".
func (n Net) ListenPacket(network, addr string) (net.PacketConn, error) {
	at, err := listenAddr(network, "udp", addr)
	if err != nil {
		return nil, opError("listen", network, nil, nil, err)
	}
	now := n.Owner.Lock()
	defer n.Owner.Unlock()
	u, err := n.Stack.ListenUDP(now, at, UDPConfig{})
	if err != nil {
		return nil, opError("listen", network, nil, net.UDPAddrFromAddrPort(at), err)
	}
	return NewPacketConn(n.Owner, u), nil
}

func listenAddr(network, want, addr string) (netip.AddrPort, error) {
	if network != want && network != want+"4" {
		return netip.AddrPort{}, net.UnknownNetworkError(network)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return netip.AddrPort{}, err
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("port %q: want a number below 65536", port)
	}
	a := netip.IPv4Unspecified()
	if host != "" {
		if a, err = netip.ParseAddr(host); err != nil {
			return netip.AddrPort{}, err
		}
	}
	return netip.AddrPortFrom(a, uint16(p)), nil
}
