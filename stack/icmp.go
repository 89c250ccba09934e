package stack

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/stack/tcp"
	"github.com/understudy-net/understudy/wire"
)

// bucket limits how many ICMP errors are sent (ICMP-6). Its refill is random, so that it cannot be
// used to find out what other senders provoke (CVE-2020-25705).
type bucket struct {
	tokens int
	next   tcp.Instant
}

const (
	bucketSize = 8
	bucketMin  = 150 * time.Millisecond
	bucketMax  = 350 * time.Millisecond
)

// take reports whether one more error may be sent.
func (s *Stack) takeToken(t tcp.Instant) bool {
	b := &s.bucket
	if b.next == 0 {
		b.tokens, b.next = bucketSize-int(s.randN(3)), t
	}
	for b.next <= t && b.tokens < bucketSize {
		b.tokens++
		b.next = b.next.Add(bucketMin + s.jitter(bucketMax-bucketMin))
	}
	if b.tokens >= bucketSize {
		b.next = t.Add(bucketMin + s.jitter(bucketMax-bucketMin))
	}
	if b.tokens == 0 {
		return false
	}
	b.tokens--
	return true
}

func (s *Stack) inputICMP(now time.Time, p *packet) {
	s.stats.ICMP.In++
	h, body, err := wire.ParseICMP(p.payload)
	if err != nil {
		if errors.Is(err, wire.ErrChecksum) {
			s.stats.ICMP.BadChecksum++
		} else {
			s.stats.ICMP.Malformed++
		}
		return
	}
	switch h.Type {
	case wire.ICMPEcho:
		s.inputEcho(now, p, &h, body)
	case wire.ICMPEchoReply:
		s.inputEchoReply(now, p, &h, body)
	case wire.ICMPUnreachable, wire.ICMPTimeExceeded, wire.ICMPParameterProblem:
		s.inputICMPError(now, p, &h, body)
	default:
		// Redirects would let anyone on the link move our traffic; source quench is dead (RFC
		// 6633), so are masks and information (RFC 6918). ICMP-11 to ICMP-13.
		s.stats.ICMP.Ignored++
	}
}

// inputEcho answers a ping with the same identifier, sequence number and data, from the address
// that was asked (ICMP-2). Those to many hosts are not answered (ICMP-3; smurf).
func (s *Stack) inputEcho(now time.Time, p *packet, h *wire.ICMP, body []byte) {
	if p.group {
		s.stats.ICMP.Ignored++
		return
	}
	s.stats.ICMP.EchoIn++
	if s.onEcho != nil && s.onEcho(now, netip.AddrFrom4(p.src), netip.AddrFrom4(p.dst), h.ID, h.Seq, p.ttl, body) {
		return
	}
	if p.dst != s.addr {
		s.stats.ICMP.Ignored++ // a foreign address of a promiscuous interface: only the hook can answer
		return
	}
	s.sendEchoReply(now, p.dst, p.src, h.ID, h.Seq, body)
}

func (s *Stack) sendEchoReply(now time.Time, src, dst ip4, id, seq uint16, body []byte) error {
	s.stats.ICMP.EchoOut++
	return s.sendICMP(now, src, dst, 0, wire.ICMP{Type: wire.ICMPEchoReply, ID: id, Seq: seq}, body)
}

// sendICMP sends a message, in fragments if it is long.
func (s *Stack) sendICMP(now time.Time, src, dst ip4, ttl uint8, h wire.ICMP, body []byte) error {
	s.stats.ICMP.Out++
	ip := ipHeader{proto: wire.ProtoICMP, src: src, dst: dst, ttl: s.ttl(ttl), id: s.nextID(dst)}
	n := wire.ICMPLen + len(body)
	if ipLen+n > s.cfg.MTU {
		return s.sendFragments(now, ip, h.Append(make([]byte, 0, n), body), nil)
	}
	b := s.frame()
	h.Append(b[:payStart], body)
	return s.sendIP(now, ip, n, nil)
}

// HandleEcho sets a hook that sees each echo request for our own address, and for any other on a
// promiscuous interface, before it is answered. If fn returns true it is done with: SendEchoReply
// may be called at once or later. payload is valid until fn returns.
func (s *Stack) HandleEcho(fn func(now time.Time, src, dst netip.Addr, id, seq uint16, ttl uint8, payload []byte) bool) {
	s.onEcho = fn
}

// SendEchoReply sends an echo reply. src is ours, or any address on a promiscuous interface.
func (s *Stack) SendEchoReply(now time.Time, src, dst netip.Addr, id, seq uint16, payload []byte) error {
	a, ok := from4(src)
	b, ok2 := from4(dst)
	if !ok || !ok2 || len(payload) > wire.IPv4MaxLen-ipLen-wire.ICMPLen {
		return ErrBadAddress
	}
	defer s.touch()
	return s.sendEchoReply(now, a, b, id, seq, payload)
}

// maxQuote is how much of a packet an error quotes: 576 bytes in all (RFC 1812, 4.3.2.3; ICMP-5).
const maxQuote = 576 - ipLen - wire.ICMPLen

// sendUnreachable answers p with a destination unreachable message.
func (s *Stack) sendUnreachable(now time.Time, p *packet, code uint8) {
	if !s.cfg.NoUnreachable {
		s.sendICMPError(now, p, wire.ICMP{Type: wire.ICMPUnreachable, Code: code})
	}
}

// sendICMPError answers p with an error, where RFC 1122, 3.2.2 allows it: not for packets to or
// from many hosts, nor about errors (ICMP-4). Later fragments never get here.
func (s *Stack) sendICMPError(now time.Time, p *packet, h wire.ICMP) {
	if p.group || !isUnicast(p.src) || s.isBroadcast(p.src) || !s.mayUse(p.dst) {
		return
	}
	if wire.Proto(p.header[9]) == wire.ProtoICMP && (len(p.payload) == 0 || wire.ICMPType(p.payload[0]).IsError()) {
		return
	}
	if !s.takeToken(s.at(now)) {
		s.stats.ICMP.RateLimited++
		return
	}
	quote := make([]byte, 0, maxQuote)
	quote = append(quote, p.header...)
	quote = append(quote, p.payload[:min(len(p.payload), maxQuote-len(quote))]...)
	s.sendICMP(now, p.dst, p.src, 0, h, quote)
}

// SendUnreachable answers the IP packet whose beginning is original with a destination unreachable
// message of the given code (RFC 792), from the address that it was for: for gateways that answer
// for others. It is limited in rate as all errors are.
func (s *Stack) SendUnreachable(now time.Time, code uint8, original []byte) error {
	h, payload, err := wire.ParseIPv4(original)
	if err != nil {
		return err
	}
	p := packet{src: h.Src.As4(), dst: h.Dst.As4(), header: original[:ipLen+len(h.Options)], payload: payload}
	s.sendICMPError(now, &p, wire.ICMP{Type: wire.ICMPUnreachable, Code: code})
	s.touch()
	return nil
}

// SendUDPUnreachable is SendUnreachable for a datagram that a hook of HandleUDP saw from src to
// dst.
func (s *Stack) SendUDPUnreachable(now time.Time, code uint8, src, dst netip.AddrPort) error {
	a, ok := from4(src.Addr())
	b, ok2 := from4(dst.Addr())
	if !ok || !ok2 {
		return ErrBadAddress
	}
	var q [ipLen + wire.UDPLen]byte
	h := ipHeader{proto: wire.ProtoUDP, src: a, dst: b, ttl: s.cfg.TTL}
	h.put(q[:], wire.UDPLen)
	binary.BigEndian.PutUint16(q[ipLen:], src.Port())
	binary.BigEndian.PutUint16(q[ipLen+2:], dst.Port())
	binary.BigEndian.PutUint16(q[ipLen+4:], wire.UDPLen)
	return s.SendUnreachable(now, code, q[:])
}

// icmpVerdict is what an ICMP error means.
type icmpVerdict struct {
	hard bool // the destination itself refuses (RFC 1122, 3.2.2.1)
	err  error
	mtu  int // fragmentation needed
}

func judge(h *wire.ICMP) icmpVerdict {
	switch {
	case h.Type == wire.ICMPTimeExceeded:
		return icmpVerdict{err: ErrTTLExceeded}
	case h.Type == wire.ICMPUnreachable && h.Code == wire.ICMPPortUnreachable:
		return icmpVerdict{hard: true, err: ErrPort}
	case h.Type == wire.ICMPUnreachable && h.Code == wire.ICMPProtocolUnreachable:
		return icmpVerdict{hard: true, err: ErrPort}
	case h.Type == wire.ICMPUnreachable && h.Code == wire.ICMPFragmentationNeeded:
		mtu := int(h.MTU)
		if mtu == 0 {
			mtu = 576 // an old router does not say (RFC 1191, 5)
		}
		return icmpVerdict{mtu: max(mtu, 68), err: ErrMessageSize}
	}
	return icmpVerdict{err: ErrUnreachable}
}

// inputICMPError takes an error to the socket whose packet it quotes (ICMP-8). Errors are hints:
// only what proves to know the numbers of a packet in flight has an effect (RFC 5927).
func (s *Stack) inputICMPError(now time.Time, p *packet, h *wire.ICMP, body []byte) {
	q, first, ok := quoted(body)
	if !ok || p.group {
		s.stats.ICMP.Ignored++
		return
	}
	var src, dst ip4
	copy(src[:], body[12:16])
	copy(dst[:], body[16:20])
	t := s.at(now)
	v := judge(h)
	local := endpoint{src, binary.BigEndian.Uint16(first[0:2])}
	remote := endpoint{dst, binary.BigEndian.Uint16(first[2:4])}
	switch q.Proto {
	case wire.ProtoTCP:
		ok = s.tcpError(now, t, tuple{local, remote}, binary.BigEndian.Uint32(first[4:8]), v)
	case wire.ProtoUDP:
		ok = s.udpError(now, tuple{local, remote}, v.err)
	case wire.ProtoICMP:
		ok = s.pingError(t, p.src, dst, first, v.err)
	default:
		ok = false
	}
	if !ok {
		s.stats.ICMP.Ignored++
	}
}

// localUnreachable does for a packet of ours, b, that found no neighbour what an error from the
// network would do (ARP-6).
func (s *Stack) localUnreachable(now time.Time, t tcp.Instant, b []byte) {
	q, first, ok := quoted(b)
	if !ok {
		return
	}
	var src, dst ip4
	copy(src[:], b[12:16])
	copy(dst[:], b[16:20])
	local := endpoint{src, binary.BigEndian.Uint16(first[0:2])}
	remote := endpoint{dst, binary.BigEndian.Uint16(first[2:4])}
	switch q.Proto {
	case wire.ProtoTCP:
		s.tcpError(now, t, tuple{local, remote}, binary.BigEndian.Uint32(first[4:8]), icmpVerdict{hard: true, err: ErrUnreachable})
	case wire.ProtoUDP:
		s.udpError(now, tuple{local, remote}, ErrUnreachable)
	case wire.ProtoICMP:
		s.pingError(t, s.addr, dst, first, ErrUnreachable)
	}
}
