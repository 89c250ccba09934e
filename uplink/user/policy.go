package user

import "net/netip"

// policy decides which destinations are open to devices. It judges addresses, never names: whatever a name
// resolved to is judged when it is dialled, so an answer of a name server opens nothing.
type policy struct {
	prefix    netip.Prefix // of the virtual network
	gateway   netip.Addr
	host      netip.Addr // host.internal
	broadcast netip.Addr // of prefix
	allowHost bool
	allow     []netip.Prefix
	deny      []netip.Prefix
}

var (
	loopback    = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	thisNetwork = netip.MustParsePrefix("0.0.0.0/8")
	reserved    = netip.MustParsePrefix("240.0.0.0/4")
)

// metadata lists where clouds answer their machines' questions for credentials and keys. Whoever reaches them from
// this host speaks in the host's name.
var metadata = []netip.Addr{
	netip.AddrFrom4([4]byte{169, 254, 169, 254}), // AWS, Azure, Google, Oracle, OpenStack, DigitalOcean, Hetzner
	netip.AddrFrom4([4]byte{169, 254, 170, 2}),   // AWS containers
	netip.AddrFrom4([4]byte{169, 254, 170, 23}),  // AWS Kubernetes pods
	netip.AddrFrom4([4]byte{169, 254, 0, 23}),    // Tencent
	netip.AddrFrom4([4]byte{169, 254, 42, 42}),   // Scaleway
	netip.AddrFrom4([4]byte{100, 100, 100, 200}), // Alibaba
	netip.AddrFrom4([4]byte{192, 0, 0, 192}),     // Oracle, classic
	netip.AddrFrom4([4]byte{168, 63, 129, 16}),   // Azure WireServer
}

// check says where the host has to dial for a device that wants to talk to dst, or why it must not.
func (p *policy) check(dst netip.Addr) (dial netip.Addr, why Reason, ok bool) {
	switch {
	case dst == p.host:
		return loopback, ReasonHost, p.allowHost
	case !dst.Is4() || thisNetwork.Contains(dst):
		return dst, ReasonThisNetwork, false
	case dst.IsLoopback():
		return dst, ReasonLoopback, false
	case dst.IsMulticast():
		return dst, ReasonMulticast, false
	case reserved.Contains(dst), dst == p.broadcast:
		return dst, ReasonBroadcast, false
	case p.prefix.Contains(dst):
		return dst, ReasonOwnNetwork, false
	case contains(p.deny, dst):
		return dst, ReasonDenied, false
	case contains(p.allow, dst):
		return dst, 0, true
	}
	for _, a := range metadata {
		if a == dst {
			return dst, ReasonMetadata, false
		}
	}
	if dst.IsLinkLocalUnicast() {
		return dst, ReasonLinkLocal, false
	}
	return dst, 0, true
}

func contains(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
