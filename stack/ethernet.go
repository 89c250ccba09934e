package stack

import (
	"encoding/binary"
	"time"

	"github.com/understudy-net/understudy/wire"
)

const (
	ethLen   = wire.EthernetLen
	ipLen    = wire.IPv4MinLen
	ipStart  = ethLen
	payStart = ethLen + ipLen // where the payload of a packet without options begins

	minFrame = 60 // without frame check sequence; shorter frames are padded with zeros (LNK-5)
)

// packet is what is known about a packet on its way up.
type packet struct {
	src, dst ip4
	srcMAC   wire.MAC
	ttl      uint8
	group    bool   // the frame, or the packet, was sent to a group: broadcast or multicast
	header   []byte // the IP header with its options
	payload  []byte
}

// input sorts frames out (RFC 894; LNK-1 to LNK-3).
func (s *Stack) input(now time.Time, b []byte) {
	s.stats.FramesIn++
	s.stats.BytesIn += uint64(len(b))
	if len(b) < ethLen {
		s.stats.Link.Short++
		return
	}
	if len(b) > ethLen+s.cfg.MTU {
		s.stats.Link.Long++ // LNK-6
		return
	}
	dst, src := wire.MAC(b[0:6]), wire.MAC(b[6:12])
	if dst != s.cfg.MAC && !(dst.IsMulticast() && s.hears(dst)) {
		s.stats.Link.NotForUs++
		return
	}
	if src == s.cfg.MAC {
		s.stats.Link.OurOwn++ // E-19: no conflict, nothing to learn
		return
	}
	if src.IsMulticast() || src.IsZero() {
		s.stats.Link.BadSource++
		return
	}
	switch wire.EtherType(binary.BigEndian.Uint16(b[12:14])) {
	case wire.EtherTypeIPv4:
		if dst == s.cfg.MAC && (s.fastTCP(now, b[ethLen:]) || s.fastUDP(now, b[ethLen:])) {
			return
		}
		s.inputIP(now, src, dst.IsMulticast(), b[ethLen:])
	case wire.EtherTypeARP:
		s.inputARP(now, src, b[ethLen:])
	default:
		s.stats.Link.BadType++
	}
}

// hears reports whether frames to the group address m are for us.
func (s *Stack) hears(m wire.MAC) bool {
	if m.IsBroadcast() || m == allHostsMAC {
		return true
	}
	for i := range s.groups {
		if s.groups[i].mac() == m {
			return true
		}
	}
	return false
}

// frame returns the buffer in which frames are built.
func (s *Stack) frame() []byte {
	if s.buf == nil {
		s.buf = make([]byte, max(ethLen+s.cfg.MTU, minFrame))
	}
	return s.buf
}

// putEthernet writes the header of a frame of ours.
func (s *Stack) putEthernet(b []byte, dst wire.MAC, t wire.EtherType) {
	copy(b[0:6], dst[:])
	copy(b[6:12], s.cfg.MAC[:])
	binary.BigEndian.PutUint16(b[12:14], uint16(t))
}

// transmit sends the first n bytes of b as a frame.
func (s *Stack) transmit(now time.Time, b []byte, n int) {
	if n < minFrame {
		clear(b[n:minFrame]) // LNK-5
		n = minFrame
	}
	s.stats.FramesOut++
	s.stats.BytesOut += uint64(n)
	s.cfg.Output(now, b[:n:n])
}
