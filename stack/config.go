package stack

import (
	"math/bits"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/stack/tcp"
)

// SetAddr takes a static address: prefix has it with the length of the subnet's mask. The zero
// gateway means that only the subnet can be reached; dns are the servers that Resolve asks.
// Connections from another address end with ErrNoAddress, and DHCP stops.
//
// Before the address can be used it is probed as RFC 5227 says, for several seconds; Config.ACD can
// shorten that or turn it off. The event Configured tells when it is ready, Conflict that it is
// taken.
func (s *Stack) SetAddr(now time.Time, prefix netip.Prefix, gateway netip.Addr, dns ...netip.Addr) error {
	conf := addrConf{prefix: prefix, gateway: gateway, dns: append([]netip.Addr(nil), dns...)}
	return s.setAddr(now, conf)
}

// SetAddrTag is SetAddr with a tag for the events of the address.
func (s *Stack) SetAddrTag(now time.Time, tag any, prefix netip.Prefix, gateway netip.Addr, dns ...netip.Addr) error {
	conf := addrConf{prefix: prefix, gateway: gateway, dns: append([]netip.Addr(nil), dns...), tag: tag}
	return s.setAddr(now, conf)
}

func (s *Stack) setAddr(now time.Time, conf addrConf) error {
	a, ok := from4(conf.prefix.Addr())
	if !ok || !isUnicast(a) || conf.prefix.Bits() < 1 {
		return ErrBadAddress
	}
	if g, ok := from4(conf.gateway); conf.gateway.IsValid() && (!ok || !isZero(g) && !isUnicast(g)) {
		return ErrBadAddress
	}
	s.at(now)
	s.StopDHCP(now, false)
	if a != s.addr {
		s.dropAddr(now)
	}
	s.tryAddr(now, conf, s.cfg.ACD)
	s.touch()
	return nil
}

// ClearAddr forgets the address and all that was learnt with it, as when the link is lost.
// Connections stay, but can send nothing until the same address is back. DHCP stops without a
// message.
func (s *Stack) ClearAddr(now time.Time) {
	s.at(now)
	s.guard, s.acd = guard{}, nil
	s.StopDHCP(now, false)
	s.forgetAddr()
	s.timeMoved(now)
	s.touch()
}

// install puts an address and its routes into force.
func (s *Stack) install(now time.Time, c addrConf) {
	a := c.prefix.Addr().As4()
	if a != s.addr {
		s.dropAddr(now)
	}
	s.epoch++
	s.addr, s.mask = a, prefixMask(c.prefix.Bits())
	s.gateway, _ = from4(c.gateway)
	if s.gateway == s.addr {
		s.gateway = ip4{}
	}
	s.servers = c.dns
	s.timeMoved(now)
}

// forgetAddr leaves the stack without an address (ARP-9).
func (s *Stack) forgetAddr() {
	s.epoch++
	s.addr, s.mask, s.gateway, s.servers = ip4{}, 0, ip4{}, nil
	s.forgetNeighbors()
	s.frags = nil
}

// dropAddr ends what stands on the old address, if there is one.
func (s *Stack) dropAddr(now time.Time) {
	old := s.addr
	s.forgetAddr()
	if !isZero(old) {
		s.endConnections(now, old)
		s.timeMoved(now)
	}
}

// loseAddr is dropAddr with the event AddressLost.
func (s *Stack) loseAddr(now time.Time, err error) {
	e := Event{Tag: s.guard.tag, Flags: AddressLost, Err: err, Address: &AddressEvent{Prefix: s.prefix()}}
	s.acd = nil
	s.dropAddr(now)
	s.miscEvent(e)
}

func (s *Stack) prefix() netip.Prefix {
	if isZero(s.addr) {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(netip.AddrFrom4(s.addr), bits.LeadingZeros32(^s.mask))
}

// Addr returns the address in use with the length of its subnet's mask; the zero Prefix if there is
// none.
func (s *Stack) Addr() netip.Prefix { return s.prefix() }

// Gateway returns the default gateway; the zero Addr if there is none.
func (s *Stack) Gateway() netip.Addr {
	if isZero(s.gateway) {
		return netip.Addr{}
	}
	return netip.AddrFrom4(s.gateway)
}

// DNS returns the servers that Resolve asks, in order. The slice must not be changed.
func (s *Stack) DNS() []netip.Addr { return s.servers }

// MAC returns our address on the link.
func (s *Stack) MAC() [6]byte { return s.cfg.MAC }

// Info is a look at a stack.
type Info struct {
	Addr      netip.Prefix
	Gateway   netip.Addr
	DNS       []netip.Addr
	Neighbors []Neighbor
	TCP       []TCPInfo
	UDP       []UDPInfo
	Listeners []netip.AddrPort
	Stats     Stats
}

// TCPInfo is a look at a connection.
type TCPInfo struct {
	Local, Remote netip.AddrPort
	Conn          tcp.Info
	Orphan        bool // its owner has closed it
}

// UDPInfo is a look at a UDP socket.
type UDPInfo struct {
	Local, Remote netip.AddrPort
	Queued        int    // bytes
	Dropped       uint64 // datagrams that found no room
}

// Snapshot returns a look at the whole stack, in the order of its sockets' making.
func (s *Stack) Snapshot() Info {
	i := Info{Addr: s.prefix(), Gateway: s.Gateway(), DNS: append([]netip.Addr(nil), s.servers...),
		Neighbors: s.Neighbors(), Stats: s.stats}
	for _, k := range s.tcpSlots {
		if k != nil {
			i.TCP = append(i.TCP, TCPInfo{k.key.local.addrPort(), k.key.remote.addrPort(), k.conn.Info(), k.orphan})
		}
	}
	for _, u := range s.udpSlots {
		if u != nil {
			i.UDP = append(i.UDP, u.info())
		}
	}
	for _, l := range s.lnSlots {
		if l != nil {
			i.Listeners = append(i.Listeners, l.at.addrPort())
		}
	}
	return i
}
