package stack

import (
	"time"

	"github.com/understudy-net/understudy/stack/dhcp"
	"github.com/understudy-net/understudy/wire"
)

// dhcpServer is the server of UseDHCP's other side.
type dhcpServer struct {
	m  *dhcp.Server
	fn func(now time.Time, e dhcp.ServerEvent)
}

// ServeDHCP gives out addresses, as an access point does. c.Addr may be left out: it is then our
// address, which must be set already. fn, if not nil, hears of each lease. It replaces an earlier
// server.
func (s *Stack) ServeDHCP(now time.Time, c dhcp.ServerConfig, fn func(now time.Time, e dhcp.ServerEvent)) (*dhcp.Server, error) {
	if !c.Addr.IsValid() {
		c.Addr = s.prefix()
	}
	m, err := dhcp.NewServer(c)
	if err != nil {
		return nil, err
	}
	s.server = &dhcpServer{m, fn}
	return m, nil
}

// StopServingDHCP ends what ServeDHCP began.
func (s *Stack) StopServingDHCP() { s.server = nil }

func (s *Stack) pumpServer(now time.Time) {
	var buf [1500]byte
	for {
		p, dst, link, ok := s.server.m.Output(now, buf[:0])
		if !ok {
			break
		}
		b, ok := from4(dst.Addr())
		if !ok || isZero(s.addr) {
			continue
		}
		var to *wire.MAC
		if !link.IsZero() {
			to = &link
		}
		s.sendUDP(now, endpoint{s.addr, dhcp.ServerPort}, endpoint{b, dst.Port()}, p, 0, 0, to)
	}
	for {
		e, ok := s.server.m.NextEvent()
		if !ok {
			return
		}
		if s.server.fn != nil {
			s.server.fn(now, e)
		}
		if s.server == nil {
			return
		}
	}
}
