package stack

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/wire"
)

// route sends what is for net, under mask, to the neighbour via.
type route struct {
	net, mask uint32
	via       ip4
}

// maxRoutes bounds the routes of a host.
const maxRoutes = 64

// AddRoute sends packets for prefix to the neighbour via, which must be on the link when they are
// sent. The longest prefix wins; the default gateway is that of SetAddr or of DHCP. Routes stay
// when the address changes.
func (s *Stack) AddRoute(prefix netip.Prefix, via netip.Addr) error {
	gw, ok := from4(via)
	if !ok || !isUnicast(gw) || !prefix.IsValid() || !prefix.Addr().Is4() {
		return fmt.Errorf("route to %v via %v: %w", prefix, via, ErrBadAddress)
	}
	if len(s.routes) >= maxRoutes {
		return fmt.Errorf("route to %v: %w", prefix, ErrNoBuffers)
	}
	s.epoch++
	mask := prefixMask(prefix.Bits())
	s.routes = append(s.routes, route{u32(prefix.Addr().As4()) & mask, mask, gw})
	return nil
}

func prefixMask(bits int) uint32 { return ^uint32(0) << (32 - bits) }

// nextHop returns the neighbour to which packets for dst go (RFC 1122, 3.3.1.1 and 3.3.1.2). It is
// not ok when there is none (IP-19).
func (s *Stack) nextHop(dst ip4) (hop ip4, ok bool) {
	d := u32(dst)
	if !isZero(s.addr) && d&s.mask == u32(s.addr)&s.mask {
		return dst, true
	}
	best := -1
	for i, r := range s.routes {
		if d&r.mask == r.net && (best < 0 || r.mask > s.routes[best].mask) {
			best = i
		}
	}
	if best >= 0 {
		return s.routes[best].via, true
	}
	if isZero(s.gateway) {
		return ip4{}, false
	}
	return s.gateway, true
}

// sourceFor returns the address from which packets to anywhere are sent.
func (s *Stack) sourceFor() (ip4, error) {
	if isZero(s.addr) {
		return ip4{}, ErrNoAddress
	}
	return s.addr, nil
}

// mayUse reports whether packets may be sent from src: ours, or any unicast address on a
// promiscuous interface (IP-7).
func (s *Stack) mayUse(src ip4) bool {
	if src == s.addr {
		return !isZero(src)
	}
	return s.cfg.Promiscuous && isUnicast(src)
}

// sendIP sends the packet whose payload of n bytes lies in s.frame() from payStart on. A src of
// 0.0.0.0 is for DHCP. hop, if not nil, is the link address to use without asking.
func (s *Stack) sendIP(now time.Time, h ipHeader, n int, link *wire.MAC) error {
	b := s.frame()
	if payStart+n > len(b) {
		s.stats.IP.MTUTooSmall++
		return ErrMessageSize
	}
	h.put(b[ipStart:], n)
	return s.sendPacket(now, h.src, h.dst, b, payStart+n, link)
}

// sendPacket finds the link address for the packet in b, whose frame is n bytes long, and sends it;
// or keeps a copy until the neighbour has answered.
func (s *Stack) sendPacket(now time.Time, src, dst ip4, b []byte, n int, link *wire.MAC) error {
	s.stats.IP.Out++
	switch {
	case link != nil:
		s.putEthernet(b, *link, wire.EtherTypeIPv4)
	case s.isBroadcast(dst):
		s.putEthernet(b, wire.Broadcast, wire.EtherTypeIPv4) // IP-21
	case isMulticast(dst):
		s.putEthernet(b, multicastMAC(dst), wire.EtherTypeIPv4)
	case !s.mayUse(src):
		s.stats.IP.BadLocal++
		return ErrNoAddress
	case isLoopback(dst) || dst == s.addr:
		s.stats.IP.NoRoute++ // never on the wire (IP-6), and there is no loopback
		return ErrUnreachable
	default:
		hop, ok := s.nextHop(dst)
		if !ok {
			s.stats.IP.NoRoute++
			return ErrUnreachable
		}
		t := s.at(now)
		nb := s.neighbor(hop)
		if nb == nil {
			return ErrNoBuffers
		}
		return s.sendVia(now, t, nb, b, n)
	}
	s.transmit(now, b, n)
	return nil
}

// sendVia sends a frame to a neighbour, or lets it wait for it.
func (s *Stack) sendVia(now time.Time, t tcpInstant, nb *neighbor, b []byte, n int) error {
	if !s.usable(now, t, nb) {
		return s.enqueue(now, t, nb, b[:n])
	}
	s.putEthernet(b, nb.mac, wire.EtherTypeIPv4)
	s.transmit(now, b, n)
	return nil
}
