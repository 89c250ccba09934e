package stack

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/wire"
)

// inputUDP hands a datagram to a hook, to the machines of DHCP, DNS and SNTP, or to its socket.
func (s *Stack) inputUDP(now time.Time, p *packet) {
	s.stats.UDP.In++
	h, payload, err := wire.ParseUDP(p.payload, netip.AddrFrom4(p.src), netip.AddrFrom4(p.dst))
	if err != nil {
		if errors.Is(err, wire.ErrChecksum) {
			s.stats.UDP.BadChecksum++
		} else {
			s.stats.UDP.Malformed++
		}
		return
	}
	if h.SrcPort == 0 || h.DstPort == 0 {
		s.stats.UDP.Malformed++ // U-05
		return
	}
	local, remote := endpoint{p.dst, h.DstPort}, endpoint{p.src, h.SrcPort}
	if s.onUDP != nil && s.onUDP(now, remote.addrPort(), local.addrPort(), payload) {
		return
	}
	if s.clientInput(now, p, local, remote, payload) {
		return
	}
	if u := s.findUDP(local, remote); u != nil {
		s.queueUDP(u, remote, p.dst, p.ttl, payload)
		return
	}
	s.stats.UDP.NoPort++
	s.sendUnreachable(now, p, wire.ICMPPortUnreachable) // ICMP-7
}

// findUDP looks for the socket of a datagram, the closest first: as a rule one look-up.
func (s *Stack) findUDP(local, remote endpoint) *udpSock {
	if len(s.connected) > 0 {
		if u := s.connected[tuple{local, remote}]; u != nil {
			return u
		}
	}
	if s.udpBound > 0 {
		if u := s.udps[local]; u != nil {
			return u
		}
	}
	if len(s.udps) > s.udpBound {
		return s.udps[endpoint{port: local.port}]
	}
	return nil
}

func (s *Stack) queueUDP(u *udpSock, from endpoint, dst ip4, ttl uint8, payload []byte) {
	if u.ring.Len()+udpRecord+len(payload) > u.limit {
		u.dropped++
		s.stats.UDP.QueueFull++ // the newest is dropped (UDP-8)
		return
	}
	var r [udpRecord]byte
	binary.BigEndian.PutUint16(r[0:], uint16(len(payload)))
	copy(r[2:6], from.ip[:])
	binary.BigEndian.PutUint16(r[6:], from.port)
	copy(r[8:12], dst[:])
	r[12] = ttl
	pool := &s.cfg.TCP.Pool
	u.ring.WriteAt(pool, udpRecord, payload)
	u.ring.Write(pool, r[:])
	u.ring.Extend(len(payload))
	s.udpEvent(u, Readable)
}

func (s *Stack) udpEvent(u *udpSock, f Flags) {
	u.flags |= f
	if !u.queued {
		u.queued = true
		s.events.push(eventRef{u.id, u.gen, eventUDP})
	}
}

func (u *udpSock) takeEvent(s *Stack) Event {
	e := Event{Tag: u.tag, Flags: u.flags, Err: u.err, UDP: UDP{s, u.id, u.gen}}
	u.flags, u.queued = 0, false
	return e
}

// Message is what ReadMessage says about a datagram.
type Message struct {
	From, To  netip.AddrPort // sender, and our address at which it arrived (UDP-5)
	Size      int            // bytes of the datagram, which may be more than were read (UDP-4)
	TTL       uint8
	Truncated bool
}

// ReadFrom takes the oldest datagram: n bytes of it are in p, the rest is lost. Without one it
// returns sock.ErrWouldBlock, or an error that ICMP reported about the peer of a connected socket,
// once.
func (u UDP) ReadFrom(now time.Time, p []byte) (n int, from netip.AddrPort, err error) {
	n, m, err := u.ReadMessage(now, p)
	return n, m.From, err
}

// ReadMessage is ReadFrom with all that is known about the datagram.
func (u UDP) ReadMessage(now time.Time, p []byte) (int, Message, error) {
	k, err := u.sock()
	if err != nil {
		return 0, Message{}, err
	}
	if k.ring.Len() == 0 {
		if err := k.err; err != nil {
			k.err = nil
			return 0, Message{}, err
		}
		return 0, Message{}, errWouldBlock
	}
	var r [udpRecord]byte
	k.ring.Peek(r[:])
	m := Message{Size: int(binary.BigEndian.Uint16(r[0:])), TTL: r[12]}
	m.From = addrPort(ip4(r[2:6]), binary.BigEndian.Uint16(r[6:]))
	m.To = addrPort(ip4(r[8:12]), k.local.port)
	n := min(len(p), m.Size)
	k.ring.PeekAt(p[:n], udpRecord)
	m.Truncated = n < m.Size
	k.ring.Discard(udpRecord + m.Size)
	k.ring.Release(&u.s.cfg.TCP.Pool)
	return n, m, nil
}

// HandleUDP sets a hook that sees each datagram before the sockets do, with the addresses that it
// carries. If fn returns true it is done with. payload is valid until fn returns. fn may call the
// stack.
func (s *Stack) HandleUDP(fn func(now time.Time, src, dst netip.AddrPort, payload []byte) bool) {
	s.onUDP = fn
}

// udpError reports what ICMP says about a datagram to the connected socket that sent it, or to the
// resolver.
func (s *Stack) udpError(now time.Time, key tuple, err error) bool {
	if s.resolverError(now, key) {
		return true
	}
	u := s.connected[key]
	if u == nil {
		return false
	}
	u.err = err
	s.udpEvent(u, Readable)
	return true
}
