package stack

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/understudy-net/understudy/wire"
)

// ipHeader is the header of a packet that we send.
type ipHeader struct {
	proto    wire.Proto
	src, dst ip4
	ttl, tos uint8
	id       uint16
	frag     uint16 // flags and offset as on the wire
}

const (
	ipDF = 0x4000
	ipMF = 0x2000
)

// put writes the header for a payload of n bytes.
func (h *ipHeader) put(b []byte, n int) {
	_ = b[19]
	b[0], b[1] = 0x45, h.tos
	binary.BigEndian.PutUint16(b[2:4], uint16(ipLen+n))
	binary.BigEndian.PutUint16(b[4:6], h.id)
	binary.BigEndian.PutUint16(b[6:8], h.frag)
	b[8], b[9], b[10], b[11] = h.ttl, byte(h.proto), 0, 0
	copy(b[12:16], h.src[:])
	copy(b[16:20], h.dst[:])
	binary.BigEndian.PutUint16(b[10:12], ^wire.Fold(sumWords(0, b[:ipLen])))
}

// ttl returns v, or the default if v is 0 (IP-8).
func (s *Stack) ttl(v uint8) uint8 {
	if v != 0 {
		return v
	}
	return s.cfg.TTL
}

// nextID returns an identification for a packet that may be fragmented: from one of many counters
// with random starts, chosen by a keyed hash of the destination. So it does not repeat soon for one
// destination, and tells hardly anything about traffic to others (IP-18; RFC 6864, 5.1; S-09).
func (s *Stack) nextID(dst ip4) uint16 {
	if s.ids == nil {
		s.ids = new([64]uint16)
		for i := range s.ids {
			s.ids[i] = uint16(s.rand())
		}
	}
	c := &s.ids[(uint64(u32(dst))^s.secret[0])*(s.secret[1]|1)>>58]
	*c++
	return *c
}

func (s *Stack) inputIP(now time.Time, srcMAC wire.MAC, group bool, b []byte) {
	s.stats.IP.In++
	h, payload, err := wire.ParseIPv4(b)
	if err != nil {
		if errors.Is(err, wire.ErrChecksum) {
			s.stats.IP.BadChecksum++ // IP-3
		} else {
			s.stats.IP.Malformed++ // IP-1, IP-2, IP-9
		}
		return
	}
	if h.SourceRouted() {
		s.stats.IP.SourceRouted++ // RFC 7126, 4.3 and 4.4 (IP-10)
		return
	}
	p := packet{src: h.Src.As4(), dst: h.Dst.As4(), srcMAC: srcMAC, ttl: h.TTL, group: group,
		header: b[:ipLen+len(h.Options)], payload: payload}
	if !s.checkSource(&p, h.Proto) || !s.checkDestination(&p, h.Proto) {
		return
	}
	if h.IsFragment() {
		s.inputFragment(now, &p, &h)
		return
	}
	s.deliver(now, &p, h.Proto)
}

// deliver hands a whole packet to its protocol.
func (s *Stack) deliver(now time.Time, p *packet, proto wire.Proto) {
	switch proto {
	case wire.ProtoTCP:
		s.inputTCP(now, p)
	case wire.ProtoUDP:
		s.inputUDP(now, p)
	case wire.ProtoICMP:
		s.inputICMP(now, p)
	case wire.ProtoIGMP:
		s.inputIGMP(now, p)
	default:
		s.stats.IP.UnknownProto++
		s.sendUnreachable(now, p, wire.ICMPProtocolUnreachable) // ICMP-7
	}
}

// checkSource drops senders that cannot be (RFC 1122, 3.2.1.3; IP-5, IP-6). 0.0.0.0 is for hosts
// that ask for an address by DHCP or are silent members of a group.
func (s *Stack) checkSource(p *packet, proto wire.Proto) bool {
	switch {
	case isUnicast(p.src) && p.src != s.addr && !s.isBroadcast(p.src):
		return true
	case isZero(p.src) && (proto == wire.ProtoUDP && isDHCP(p.payload) || proto == wire.ProtoIGMP):
		return true
	}
	s.stats.IP.BadSource++
	return false
}

// isDHCP reports whether the datagram b is for a DHCP server or client.
func isDHCP(b []byte) bool {
	return len(b) >= 4 && b[2] == 0 && (b[3] == 67 || b[3] == 68)
}

// checkDestination decides whether the packet is for us (RFC 1122, 3.2.1.3; IP-4, IP-11). It marks
// those that are for many hosts.
func (s *Stack) checkDestination(p *packet, proto wire.Proto) bool {
	switch {
	case p.dst == s.addr && !isZero(p.dst):
	case s.isBroadcast(p.dst):
		p.group = true
		return true
	case isMulticast(p.dst):
		p.group = true
		if s.inGroup(p.dst) {
			return true
		}
		s.stats.IP.NotForUs++
		return false
	case s.client != nil && proto == wire.ProtoUDP && isDHCP(p.payload) && isUnicast(p.dst):
		return true // an offer is sent to the address that it offers (RFC 2131, 4.1)
	case s.cfg.Promiscuous && isUnicast(p.dst):
	default:
		s.stats.IP.NotForUs++
		return false
	}
	if p.group {
		s.stats.IP.LinkBroadcast++ // unicast inside of a broadcast frame (IP-21; RFC 1122, 3.3.6)
		return false
	}
	return true
}
