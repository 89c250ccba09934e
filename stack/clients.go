package stack

import (
	"time"

	"github.com/understudy-net/understudy/stack/dhcp"
	"github.com/understudy-net/understudy/stack/dns"
	"github.com/understudy-net/understudy/stack/tcp"
)

// The machines of DHCP and DNS are driven from here: they give and take UDP payloads, and the stack
// moves those.

// clientInput takes a datagram to the machine that it is for, if it is for one.
func (s *Stack) clientInput(now time.Time, p *packet, local, remote endpoint, payload []byte) bool {
	if s.timeInput(now, p, local, remote, payload) {
		return true
	}
	switch {
	case local.port == dhcp.ClientPort && s.client != nil && remote.port == dhcp.ServerPort:
		s.client.mac = p.srcMAC
		s.client.m.Input(now, payload)
		s.pumpDHCP(now)
	case local.port == dhcp.ServerPort && s.server != nil && (p.group || p.dst == s.addr):
		s.server.m.Input(now, p.srcMAC, payload)
		s.pumpServer(now)
	case s.names != nil && local.port == dns.Port && p.dst == s.addr:
		var buf [1232]byte
		if reply, ok := s.names.Reply(buf[:0], payload); ok {
			s.sendUDP(now, local, remote, reply, 0, 0, nil)
		}
	case s.resolve != nil && s.resolve.m.Uses(local.port) && p.dst == s.addr:
		s.resolve.m.Input(now, remote.addrPort(), local.port, payload)
		s.pumpDNS(now)
	default:
		return false
	}
	return true
}

// clientsMoved reads the deadlines of the machines again.
func (s *Stack) clientsMoved() {
	s.clientAt = 0
	if s.client != nil {
		s.clientAt = earlier(s.clientAt, s.instant(s.client.m.Deadline()))
	}
	if s.resolve != nil {
		s.clientAt = earlier(s.clientAt, s.instant(s.resolve.m.Deadline()))
	}
	s.clientAt = earlier(s.clientAt, s.instant(s.timeDeadline()))
}

// instant is at for a time that is not now.
func (s *Stack) instant(t time.Time) tcp.Instant {
	if t.IsZero() {
		return 0
	}
	return max(tcp.Instant(t.Sub(s.base)), 1)
}

func (s *Stack) clientsAt() tcp.Instant { return s.clientAt }

func (s *Stack) advanceClients(now time.Time) {
	if s.clientAt == 0 || s.clientAt > s.last {
		return
	}
	if s.client != nil {
		s.client.m.Advance(now)
		s.pumpDHCP(now)
	}
	if s.resolve != nil {
		s.resolve.m.Advance(now)
		s.pumpDNS(now)
	}
	s.advanceTime(now)
	s.clientsMoved()
}
