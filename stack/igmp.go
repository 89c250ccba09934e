package stack

import (
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/stack/tcp"
	"github.com/understudy-net/understudy/wire"
)

var (
	allHosts    = ip4{224, 0, 0, 1}
	allRouters  = ip4{224, 0, 0, 2}
	allHostsMAC = wire.MAC{0x01, 0x00, 0x5e, 0x00, 0x00, 0x01}
)

const (
	maxGroups    = 32
	igmpInterval = 10 * time.Second // Unsolicited Report Interval (RFC 2236, 8.10)
)

// group is a multicast group that sockets have joined (RFC 2236).
type group struct {
	ip       ip4
	members  int         // sockets
	reportAt tcp.Instant // when to report, 0: not due
}

func (g *group) mac() wire.MAC { return multicastMAC(g.ip) }

func multicastMAC(a ip4) wire.MAC { return wire.MAC{0x01, 0x00, 0x5e, a[1] & 0x7f, a[2], a[3]} }

// inGroup reports whether we belong to the group a. Everybody belongs to 224.0.0.1.
func (s *Stack) inGroup(a ip4) bool {
	if a == allHosts {
		return true
	}
	for i := range s.groups {
		if s.groups[i].ip == a {
			return true
		}
	}
	return false
}

// joinGroup counts a member in, and reports the first one (RFC 2236, 3).
func (s *Stack) joinGroup(now time.Time, a ip4) error {
	if a == allHosts {
		return nil
	}
	for i := range s.groups {
		if s.groups[i].ip == a {
			s.groups[i].members++
			return nil
		}
	}
	if len(s.groups) >= maxGroups {
		return ErrNoBuffers
	}
	t := s.at(now)
	s.groups = append(s.groups, group{ip: a, members: 1, reportAt: t.Add(s.jitter(igmpInterval))})
	s.sendIGMP(now, wire.IGMPReportV2, a, a)
	s.house(s.groups[len(s.groups)-1].reportAt) // once more, should the first be lost
	return nil
}

func (s *Stack) leaveGroup(now time.Time, a ip4) {
	for i := range s.groups {
		if g := &s.groups[i]; g.ip == a {
			if g.members--; g.members == 0 {
				s.groups = append(s.groups[:i], s.groups[i+1:]...)
				s.sendIGMP(now, wire.IGMPLeave, a, allRouters)
			}
			return
		}
	}
}

// sendIGMP sends a message with TTL 1 and the router alert option (RFC 2236, 2).
func (s *Stack) sendIGMP(now time.Time, typ wire.IGMPType, about, dst ip4) {
	if isZero(s.addr) {
		return
	}
	h := wire.IPv4{TTL: 1, Proto: wire.ProtoIGMP, DF: true, Src: netip.AddrFrom4(s.addr), Dst: netip.AddrFrom4(dst),
		Options: []byte{byte(wire.IPv4OptionRouterAlert), 4, 0, 0}}
	b := s.frame()
	p := h.Append(b[:ipStart], wire.IGMPLen)
	p = wire.IGMP{Type: typ, Group: netip.AddrFrom4(about)}.Append(p)
	s.sendPacket(now, s.addr, dst, b, len(p), nil)
}

// inputIGMP answers queries after a random delay, and keeps quiet if another member was first (RFC
// 2236, 3; IP-23).
func (s *Stack) inputIGMP(now time.Time, p *packet) {
	m, err := wire.ParseIGMP(p.payload)
	if err != nil {
		s.stats.IP.Malformed++
		return
	}
	about := m.Group.As4()
	t := s.at(now)
	for i := range s.groups {
		g := &s.groups[i]
		if !isZero(about) && about != g.ip {
			continue
		}
		switch m.Type {
		case wire.IGMPQuery:
			limit := time.Duration(m.MaxResp) * 100 * time.Millisecond
			if limit == 0 {
				limit = igmpInterval // a version 1 querier
			}
			if at := t.Add(s.jitter(limit)); g.reportAt == 0 || at < g.reportAt {
				g.reportAt = at
				s.house(at)
			}
		case wire.IGMPReportV1, wire.IGMPReportV2:
			g.reportAt = 0
		}
	}
}

func (s *Stack) advanceGroups(now time.Time, t tcp.Instant) {
	for i := range s.groups {
		switch g := &s.groups[i]; {
		case g.reportAt == 0:
		case g.reportAt > t:
			s.house(g.reportAt)
		default:
			g.reportAt = 0
			s.sendIGMP(now, wire.IGMPReportV2, g.ip, g.ip)
		}
	}
}
