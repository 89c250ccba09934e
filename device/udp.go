package device

import (
	"errors"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/stack"
)

// openUDP opens the socket at its local address; port 0 picks one.
func (s *socket) openUDP(now time.Time, at netip.AddrPort) hif.Status {
	u, err := s.f.stack.ListenUDP(now, at, stack.UDPConfig{Tag: s, Queue: s.f.d.profile.DatagramBytes})
	switch {
	case errors.Is(err, stack.ErrNoBuffers):
		return hif.StatusTooManyUDP
	case err != nil:
		return statusOf(err)
	}
	s.udp, s.local, s.state = u, at, sockBound
	return hif.StatusOK
}

// sendUDP sends a datagram. The answer means that it was handed to the network; hosts may switch answers off.
func (s *socket) sendUDP(now time.Time, op hif.Op, m hif.Send, data []byte) {
	status := s.sendDatagram(now, op, m, data)
	if !s.opts.quiet {
		enqueue(s.f.d, op, hif.SendReply{Sock: s.id, Status: status, Session: m.Session}, s.id, s.gen, maxReplies)
	}
}

func (s *socket) sendDatagram(now time.Time, op hif.Op, m hif.Send, data []byte) hif.Status {
	to := s.destination(op, m)
	switch {
	case s.state == sockDead:
		return s.verdict
	case !to.IsValid():
		return hif.StatusAddrRequired
	case to.Port() == 0:
		return hif.StatusInvalidAddress
	case !s.f.stack.Addr().IsValid():
		return hif.StatusInvalid
	}
	if s.state == sockNamed { // an unbound socket gets a port at its first SENDTO
		if status := s.openUDP(now, netip.AddrPortFrom(netip.IPv4Unspecified(), 0)); status != hif.StatusOK {
			return status
		}
	}
	// Datagrams are not guaranteed: no answer to ARP, no room in a queue or no route are not the sender's to know.
	if _, err := s.udp.WriteTo(now, data, to); errors.Is(err, stack.ErrClosed) {
		return hif.StatusInvalid
	}
	return hif.Status(len(data))
}

// readDatagram reads the next datagram with data in it. Empty ones cannot be told from "closed", for which some hosts
// close the socket, so they are dropped (hif-messages 3.8).
func (s *socket) readDatagram(now time.Time, data []byte) (int, netip.AddrPort, error) {
	for {
		n, from, err := s.udp.ReadFrom(now, data)
		s.unread = false
		if n > 0 || err != nil {
			return n, from, err
		}
		s.f.d.counters.EmptyDatagram++
	}
}
