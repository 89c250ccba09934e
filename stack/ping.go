package stack

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/stack/tcp"
	"github.com/understudy-net/understudy/wire"
)

// PingConfig says how a ping is sent. The zero value works.
type PingConfig struct {
	TTL     uint8         // 0: the stack's
	Payload []byte        // data to be echoed; nil: Size bytes of a pattern
	Size    int           // bytes, at most 65507; 0: 32
	Timeout time.Duration // 0: 1 s
	Tag     any           // comes back in the event
}

// PingID tells pings of a stack apart.
type PingID uint32

// PingResult is the outcome of a ping, in an event with the flag Pong. Its error is ErrUnreachable,
// ErrTTLExceeded or ErrTimeout.
type PingResult struct {
	ID   PingID
	Dst  netip.Addr
	From netip.Addr // who answered: the destination, or who sent the error
	RTT  time.Duration
	TTL  uint8 // of the answer
	Size int   // bytes of data that came back
	Err  error
}

// maxPings bounds the pings under way.
const maxPings = 256

type ping struct {
	id      PingID // identifier and sequence number of the request
	dst     ip4
	payload uint64 // hash of the data
	size    int
	sent    tcp.Instant
	until   tcp.Instant
	tag     any
}

// Ping sends an echo request to dst. The result comes as an event with the flag Pong.
func (s *Stack) Ping(now time.Time, dst netip.Addr, c PingConfig) (PingID, error) {
	a, ok := from4(dst)
	if !ok || !isUnicast(a) {
		return 0, ErrBadAddress
	}
	src, err := s.sourceFor()
	if err != nil {
		return 0, err
	}
	if len(s.pings) >= maxPings {
		return 0, ErrNoBuffers
	}
	data := c.Payload
	if data == nil {
		data = make([]byte, min(max(orInt(c.Size, 32), 0), wire.IPv4MaxLen-ipLen-wire.ICMPLen))
		for i := range data {
			data[i] = byte('a' + i%23)
		}
	}
	if len(data) > wire.IPv4MaxLen-ipLen-wire.ICMPLen {
		return 0, ErrMessageSize
	}
	t := s.at(now)
	p := &ping{id: s.pingID(), dst: a, payload: hashBytes(data), size: len(data), sent: t, tag: c.Tag}
	p.until = t.Add(orDuration(c.Timeout, time.Second))
	if err := s.sendICMP(now, src, a, c.TTL, wire.ICMP{Type: wire.ICMPEcho, ID: uint16(p.id >> 16), Seq: uint16(p.id)}, data); err != nil {
		s.touch()
		return 0, err
	}
	s.pings = append(s.pings, p)
	s.house(p.until)
	s.touch()
	return p.id, nil
}

// pingID returns 32 random bits that no ping under way has.
func (s *Stack) pingID() PingID {
	for {
		id := PingID(s.rand())
		free := id != 0
		for _, p := range s.pings {
			free = free && p.id != id
		}
		if free {
			return id
		}
	}
}

// hashBytes is FNV-1a: it tells whether data came back as they were, and need not resist anyone.
func hashBytes(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

func (s *Stack) takePing(id PingID, dst ip4) *ping {
	for i, p := range s.pings {
		if p.id == id && p.dst == dst {
			s.pings = append(s.pings[:i], s.pings[i+1:]...)
			return p
		}
	}
	return nil
}

func (s *Stack) pong(p *ping, r PingResult) {
	r.ID, r.Dst = p.id, netip.AddrFrom4(p.dst)
	s.miscEvent(Event{Tag: p.tag, Flags: Pong, Ping: &r})
}

// inputEchoReply looks for the ping that was answered; unknown and late replies are ignored
// (ICMP-15).
func (s *Stack) inputEchoReply(now time.Time, p *packet, h *wire.ICMP, body []byte) {
	id := PingID(h.ID)<<16 | PingID(h.Seq)
	for _, g := range s.pings {
		if g.id == id && g.dst == p.src && g.size == len(body) && g.payload == hashBytes(body) {
			s.takePing(id, p.src)
			s.pong(g, PingResult{From: netip.AddrFrom4(p.src), RTT: s.at(now).Sub(g.sent), TTL: p.ttl, Size: len(body)})
			return
		}
	}
	s.stats.ICMP.Ignored++
}

// pingError ends the ping whose request an error quotes.
func (s *Stack) pingError(t tcp.Instant, from, dst ip4, first []byte, err error) bool {
	if wire.ICMPType(first[0]) != wire.ICMPEcho {
		return false
	}
	p := s.takePing(PingID(binary.BigEndian.Uint32(first[4:8])), dst)
	if p == nil {
		return false
	}
	s.pong(p, PingResult{From: netip.AddrFrom4(from), RTT: t.Sub(p.sent), Err: err})
	return true
}

func (s *Stack) advancePings(now time.Time, t tcp.Instant) {
	for i := 0; i < len(s.pings); {
		p := s.pings[i]
		if p.until > t {
			s.house(p.until)
			i++
			continue
		}
		s.pings = append(s.pings[:i], s.pings[i+1:]...)
		s.pong(p, PingResult{Err: ErrTimeout})
	}
}
