package stack

import (
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/stack/tcp"
	"github.com/understudy-net/understudy/wire"
)

type tcpInstant = tcp.Instant

func orInt(v, def int) int {
	if v == 0 {
		return def
	}
	return v
}

func (s *Stack) askNeighbor(now time.Time, t tcp.Instant, n *neighbor) {
	if t < n.nextAt {
		s.house(n.nextAt)
		return
	}
	n.tries++
	n.nextAt = t.Add(arpInterval)
	s.house(n.nextAt)
	dst := wire.Broadcast
	if n.state == neighborStale && n.tries == 1 {
		dst = n.mac // poll the neighbour itself first (RFC 1122, 2.3.2.1 (2))
	}
	s.sendARP(now, dst, wire.ARP{Op: wire.ARPRequest, SenderMAC: s.cfg.MAC,
		SenderIP: netip.AddrFrom4(s.arpSource(n.ip)), TargetIP: netip.AddrFrom4(n.ip)})
}

// arpSource is the sender address of requests: ours.
func (s *Stack) arpSource(ip4) ip4 { return s.addr }

func (s *Stack) sendARP(now time.Time, dst wire.MAC, p wire.ARP) {
	s.stats.ARP.Out++
	b := s.small[:]
	s.putEthernet(b, dst, wire.EtherTypeARP)
	p.Append(b[:ethLen])
	s.transmit(now, b, ethLen+wire.ARPLen)
}

// advanceNeighbors repeats requests and gives up on neighbours that do not answer.
func (s *Stack) advanceNeighbors(now time.Time, t tcp.Instant) {
	for n := s.neighbors.oldest; n != nil; {
		next := n.next
		switch {
		case n.state != neighborIncomplete && n.state != neighborStale:
		case n.nextAt > t:
			s.house(n.nextAt)
		case n.tries < arpTries:
			s.askNeighbor(now, t, n)
		default:
			s.neighborFailed(now, t, n)
		}
		n = next
	}
}

// inputARP handles an ARP packet (RFC 826; RFC 5227).
func (s *Stack) inputARP(now time.Time, src wire.MAC, b []byte) {
	s.stats.ARP.In++
	p, err := wire.ParseARP(b)
	if err != nil {
		s.stats.ARP.Malformed++
		return
	}
	if p.SenderMAC == s.cfg.MAC {
		s.stats.Link.OurOwn++ // ours, come back
		return
	}
	if p.SenderMAC != src || p.SenderMAC.IsMulticast() || p.SenderMAC.IsZero() {
		s.stats.ARP.NotLearned++ // E-05, E-15, E-16
		return
	}
	t := s.at(now)
	sender, target := p.SenderIP.As4(), p.TargetIP.As4()
	if s.checkConflict(now, t, p, sender, target) {
		return
	}
	s.learn(now, t, sender, p.SenderMAC, target)
	if p.Op == wire.ARPRequest && s.answersFor(target) && sender != target {
		s.sendARP(now, p.SenderMAC, wire.ARP{Op: wire.ARPReply, SenderMAC: s.cfg.MAC, SenderIP: p.TargetIP,
			TargetMAC: p.SenderMAC, TargetIP: p.SenderIP})
	}
}

func (s *Stack) answersFor(ip ip4) bool {
	if ip == s.addr {
		return !isZero(ip)
	}
	return s.cfg.ProxyARP != nil && isUnicast(ip) && s.cfg.ProxyARP(netip.AddrFrom4(ip))
}

// learn is the merge rule of RFC 826: an entry that exists follows any packet, a new one is made
// only if the packet asked for us (ARP-2).
func (s *Stack) learn(now time.Time, t tcp.Instant, ip ip4, mac wire.MAC, target ip4) {
	if !s.mayBeNeighbor(ip) {
		if !isZero(ip) {
			s.stats.ARP.NotLearned++
		}
		return
	}
	n := s.neighbors.m[ip]
	if n == nil {
		// Nobody off our subnet speaks ARP to us, and a probe (target ours, sender 0) teaches
		// nothing.
		if target != s.addr || isZero(s.addr) || u32(ip)&s.mask != u32(s.addr)&s.mask {
			return
		}
		if n = s.neighbor(ip); n == nil {
			return
		}
	}
	if !n.mac.IsZero() && n.mac != mac {
		s.stats.ARP.Changed++
	}
	n.mac, n.state, n.tries = mac, neighborReachable, 0
	n.until = t.Add(orDuration(s.cfg.ARPTimeout, defaultARPValid))
	s.neighbors.unlink(n)
	s.neighbors.append(n)
	queue := n.queue
	n.queue = nil
	for _, f := range queue {
		k := len(f)
		f = f[:max(k, minFrame)]
		s.putEthernet(f, n.mac, wire.EtherTypeIPv4)
		s.transmit(now, f, k)
	}
}

func orDuration(v, def time.Duration) time.Duration {
	if v == 0 {
		return def
	}
	return v
}
