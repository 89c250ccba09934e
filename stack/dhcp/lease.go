package dhcp

import (
	"net/netip"
	"slices"
	"time"
)

// Lease is what a client was given.
type Lease struct {
	Addr     netip.Prefix // our address, with the length of the subnet's mask
	Router   netip.Addr   // default gateway; zero if none was offered that lies in the subnet
	DNS      []netip.Addr // at most 8, in the order of preference, like NTP
	NTP      []netip.Addr
	Domain   string     // printable ASCII
	Server   netip.Addr // server identifier
	Obtained time.Time  // when the request that won it was sent
	// T1 and T2 are when renewing and rebinding begin, Expiry when the address must not be used any
	// more; all zero if the lease is for ever.
	T1, T2, Expiry time.Time
}

// minLease keeps a server that grants next to nothing from causing a storm: shorter leases are taken as this long.
const minLease = 10 * time.Second

// leaseOf makes a lease of an OFFER or ACK whose request was sent at the given time. It is not
// ok if the message cannot be used: an address that no host can have, a mask that is none, no lease time,
// no server identifier.
func leaseOf(m *Message, sent time.Time) (Lease, bool) {
	if !isHost(m.ServerID) || !isHost(m.YourIP) || m.LeaseTime == 0 {
		return Lease{}, false
	}
	bits, ok := prefixBits(m)
	if !ok {
		return Lease{}, false
	}
	l := Lease{
		Addr:     netip.PrefixFrom(m.YourIP, bits),
		Domain:   m.Domain,
		Server:   m.ServerID,
		Obtained: sent,
	}
	if m.YourIP == network(l.Addr) || m.YourIP == broadcast(l.Addr) {
		return Lease{}, false
	}
	l.Router = l.router(m)
	l.DNS = l.servers(m.DNS)
	l.NTP = l.servers(m.NTP)
	l.setTimes(m)
	return l, true
}

// prefixBits reads the mask. Without one the class decides, as it did before there were masks.
func prefixBits(m *Message) (int, bool) {
	if m.Mask.IsValid() {
		n, ok := maskBits(m.Mask)
		return n, ok && n >= 1 && n <= 30
	}
	switch first := m.YourIP.As4()[0]; {
	case first < 128:
		return 8, true
	case first < 192:
		return 16, true
	}
	return 24, true
}

// router chooses the default gateway: that of option 121 if there is such an option, else the first
// usable one of option 3 (RFC 3442). One outside the subnet could not be reached.
func (l *Lease) router(m *Message) netip.Addr {
	candidates := m.Routers
	if m.HasRoutes {
		candidates = nil
		for _, r := range m.Routes {
			if r.To.Bits() == 0 {
				candidates = append(candidates, r.Via)
			}
		}
	}
	for _, a := range candidates {
		if l.Addr.Contains(a) && a != l.Addr.Addr() && a != network(l.Addr) && a != broadcast(l.Addr) {
			return a
		}
	}
	return netip.Addr{}
}

// servers leaves out of a list what cannot be a server of ours.
func (l *Lease) servers(list []netip.Addr) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(list), func(a netip.Addr) bool {
		return !isHost(a) || a == l.Addr.Addr() || a == network(l.Addr) || a == broadcast(l.Addr)
	})
}

// setTimes sets T1, T2 and expiry. T1 and T2 that are missing or out of order are 0.5 and 0.875 of the
// lease (RFC 2131, 4.4.5).
func (l *Lease) setTimes(m *Message) {
	if m.LeaseTime == Infinite {
		return
	}
	whole := max(time.Duration(m.LeaseTime)*time.Second, minLease)
	t1, t2 := time.Duration(m.T1)*time.Second, time.Duration(m.T2)*time.Second
	if t1 == 0 {
		t1 = whole / 2
	}
	if t2 == 0 {
		t2 = whole * 7 / 8
	}
	if t1 >= t2 || t2 >= whole {
		t1, t2 = whole/2, whole*7/8
	}
	l.T1, l.T2, l.Expiry = l.Obtained.Add(t1), l.Obtained.Add(t2), l.Obtained.Add(whole)
}

// isHost reports whether a can be the address of one host: class A, B or C, not loopback, not 0/8
// (RFC 1122, 3.2.1.3).
func isHost(a netip.Addr) bool {
	if !a.Is4() {
		return false
	}
	first := a.As4()[0]
	return first != 0 && first != 127 && first < 224
}

// network returns the first address of the subnet of p.
func network(p netip.Prefix) netip.Addr { return p.Masked().Addr() }

// broadcast returns the last address of the subnet of p.
func broadcast(p netip.Prefix) netip.Addr {
	a, m := p.Addr().As4(), maskOf(p).As4()
	for i := range a {
		a[i] |= ^m[i]
	}
	return netip.AddrFrom4(a)
}
