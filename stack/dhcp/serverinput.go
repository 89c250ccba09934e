package dhcp

import (
	"net/netip"
	"slices"
	"time"

	"github.com/understudy-net/understudy/wire"
)

// Input takes the payload of a datagram for port 67. link is the Ethernet source of its frame, or zero if it is not known: a client
// that puts another MAC into its messages than onto its frames, as tools that exhaust pools do, is
// ignored.
func (s *Server) Input(now time.Time, link wire.MAC, payload []byte) {
	s.counters.Received++
	m, err := Parse(payload)
	if err != nil || m.Op != BootRequest || m.MAC.IsZero() || m.MAC.IsMulticast() {
		s.counters.Malformed++
		return
	}
	relayed := m.GatewayIP.IsValid()
	if relayed && (!s.c.Relays || !s.c.Addr.Contains(m.GatewayIP)) || !relayed && !link.IsZero() && link != m.MAC {
		s.counters.Ignored++
		return
	}
	s.due = now
	key := clientKey(&m)
	switch m.Type {
	case Discover:
		s.onDiscover(now, key, &m)
	case Request:
		s.onRequest(now, key, &m)
	case Decline:
		s.onDecline(now, key, &m)
	case Release:
		s.onRelease(now, key, &m)
	case Inform:
		s.onInform(now, &m)
	default:
		s.counters.Malformed++
	}
}

// clientKey returns what a client is known by: its identifier if it has one of at least two bytes, else its
// MAC (RFC 2131, 4.2).
func clientKey(m *Message) string {
	if n := len(m.ClientID); n >= 2 && n <= maxClientKey {
		return "id " + string(m.ClientID)
	}
	return "mac" + string(m.MAC[:])
}

func (s *Server) onDiscover(now time.Time, key string, m *Message) {
	i, ok := s.choose(now, key, m)
	if !ok {
		s.counters.Exhausted++
		return
	}
	r := &s.records[i]
	if r.key != key || r.state != LeaseBound || !r.live(now) { // a running lease stays what it is
		s.dropOffers(now, m.MAC, i)
		s.assign(i, key, m.MAC)
		r.state, r.expiry = LeaseOffered, now.Add(s.c.OfferTime)
	}
	s.counters.Offers++
	s.answer(now, m, Offer, s.addr(i))
}

// onRequest sorts requests by the client's state, which shows in what they carry (RFC 2131, table 4).
func (s *Server) onRequest(now time.Time, key string, m *Message) {
	i, known := s.byKey[key]
	switch {
	case m.ServerID.IsValid(): // SELECTING
		s.onSelecting(now, i, known, m)
	case m.RequestedIP.IsValid(): // INIT-REBOOT
		s.onReboot(now, i, known, m)
	case m.ClientIP.IsValid(): // RENEWING or REBINDING
		s.onRenew(now, i, known, m)
	default:
		s.counters.Malformed++
	}
}

func (s *Server) onSelecting(now time.Time, i int, known bool, m *Message) {
	if m.ServerID != s.c.Addr.Addr() { // it took another's offer; ours is free again
		if known && s.records[i].state == LeaseOffered {
			s.records[i].state = LeaseFree
		}
		s.counters.Ignored++
		return
	}
	if !known || s.addr(i) != m.RequestedIP || s.records[i].state == LeaseFree || s.records[i].state == LeaseDeclined {
		s.nak(now, m, "address was not offered")
		return
	}
	s.ack(now, i, m)
}

// onReboot answers a client that comes back: yes if the address is its own, no if it is on the wrong network
// or has another, and silence if it is unknown here (RFC 2131, 4.3.2).
func (s *Server) onReboot(now time.Time, i int, known bool, m *Message) {
	switch {
	case !s.c.Addr.Contains(m.RequestedIP):
		s.nak(now, m, "wrong network")
	case !known:
		s.counters.Ignored++
	case s.addr(i) != m.RequestedIP || s.records[i].state == LeaseDeclined:
		s.nak(now, m, "not your address")
	default:
		s.ack(now, i, m)
	}
}

func (s *Server) onRenew(now time.Time, i int, known bool, m *Message) {
	switch {
	case !s.c.Addr.Contains(m.ClientIP):
		s.nak(now, m, "wrong network")
	case !known:
		s.counters.Ignored++
	case s.addr(i) != m.ClientIP || s.records[i].state == LeaseDeclined:
		s.nak(now, m, "not your address")
	default:
		s.ack(now, i, m)
	}
}

// onDecline lets the address rest, if it is the client's own.
func (s *Server) onDecline(now time.Time, key string, m *Message) {
	i, known := s.byKey[key]
	if !known || m.ServerID != s.c.Addr.Addr() || m.RequestedIP != s.addr(i) {
		s.counters.Ignored++
		return
	}
	s.counters.Declines++
	s.forget(i)
	s.records[i].state, s.records[i].expiry = LeaseDeclined, now.Add(s.c.DeclineTime)
}

// onRelease frees the address but remembers whose it was (RFC 2131, 4.3.4).
func (s *Server) onRelease(now time.Time, key string, m *Message) {
	i, known := s.byKey[key]
	if !known || m.ServerID != s.c.Addr.Addr() || m.ClientIP != s.addr(i) || s.records[i].state != LeaseBound {
		s.counters.Ignored++
		return
	}
	s.counters.Releases++
	s.records[i].state, s.records[i].expiry = LeaseFree, now
}

// onInform tells a host with an address of its own the rest (RFC 2131, 4.3.5): no lease time, no yiaddr.
func (s *Server) onInform(now time.Time, m *Message) {
	if !s.c.Addr.Contains(m.ClientIP) || m.ClientIP == s.c.Addr.Addr() {
		s.counters.Ignored++
		return
	}
	s.counters.Acks++
	s.answer(now, m, Ack, netip.Addr{})
}

func (s *Server) ack(now time.Time, i int, m *Message) {
	r := &s.records[i]
	renewed := r.state == LeaseBound && r.live(now)
	r.state, r.expiry = LeaseBound, now.Add(s.c.LeaseTime)
	if m.Hostname != "" {
		r.hostname = m.Hostname
	}
	s.counters.Acks++
	s.answer(now, m, Ack, s.addr(i))
	s.event(ServerEvent{Lease: s.lease(i), Renewed: renewed})
}

func (s *Server) nak(now time.Time, m *Message, why string) {
	s.counters.Naks++
	s.push(now, m, Message{Type: Nak, Text: why}) // nothing else: RFC 2131, table 3
}

// answer queues an OFFER or ACK with all that the client asked for (RFC 2131, table 3).
func (s *Server) answer(now time.Time, m *Message, t MessageType, your netip.Addr) {
	a := Message{Type: t, YourIP: your, ClientIP: m.ClientIP, Mask: maskOf(s.c.Addr)}
	if t == Offer {
		a.ClientIP = netip.Addr{}
	}
	if your.IsValid() {
		a.LeaseTime = uint32(min(s.c.LeaseTime/time.Second, Infinite))
	}
	wants := func(code byte) bool { return len(m.Params) == 0 || slices.Contains(m.Params, code) }
	if wants(optRouters) && s.c.Router.IsValid() {
		a.Routers = []netip.Addr{s.c.Router}
	}
	if wants(optDNS) {
		a.DNS = s.c.DNS
	}
	if wants(optNTP) {
		a.NTP = s.c.NTP
	}
	if wants(optDomain) {
		a.Domain = s.c.Domain
	}
	s.push(now, m, a)
}

// push completes the answer to m and queues it.
func (s *Server) push(now time.Time, m *Message, a Message) {
	if len(s.replies) == maxReplies {
		s.counters.Overflowed++
		return
	}
	a.Op, a.XID, a.MAC, a.GatewayIP = BootReply, m.XID, m.MAC, m.GatewayIP
	a.Broadcast = m.Broadcast
	a.ServerID, a.ClientID = s.c.Addr.Addr(), m.ClientID // RFC 6842: the identifier goes back
	r := reply{m: a, order: m.Params}
	r.dst, r.dstMAC = replyTo(m, &r.m)
	s.replies = append(s.replies, r)
}

// replyTo says where a reply goes (RFC 2131, 4.1).
func replyTo(m, a *Message) (netip.AddrPort, wire.MAC) {
	everyone := netip.AddrPortFrom(limitedBroadcast, ClientPort)
	switch {
	case m.GatewayIP.IsValid():
		if a.Type == Nak {
			a.Broadcast = true // the relay must not try unicast: the client may have no address
		}
		return netip.AddrPortFrom(m.GatewayIP, ServerPort), wire.MAC{}
	case a.Type == Nak:
		return everyone, wire.Broadcast
	case m.ClientIP.IsValid():
		return netip.AddrPortFrom(m.ClientIP, ClientPort), m.MAC
	case m.Broadcast:
		return everyone, wire.Broadcast
	}
	return netip.AddrPortFrom(a.YourIP, ClientPort), m.MAC
}
