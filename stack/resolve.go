package stack

import (
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/stack/dns"
)

// resolver is the DNS client.
type resolver struct {
	m *dns.Resolver
}

// ResolveResult is the outcome of Resolve, in an event with the flag Resolved. Its error is one of
// package dns, wrapped.
type ResolveResult struct {
	Name  string
	Addrs []netip.Addr
	TTL   time.Duration
	Err   error
}

// Resolve looks up the IPv4 addresses of a host at the servers of SetAddr or DHCP. The result comes
// as an event with the flag Resolved, which also has the error; tag comes back in it. A name that
// is no name, and a stack without servers, fail at once.
func (s *Stack) Resolve(now time.Time, name string, tag any) error {
	if s.resolve == nil {
		m, err := dns.NewResolver(dns.ResolverConfig{
			Rand:     s.cfg.Rand,
			Timeout:  s.cfg.ResolveTimeout,
			PortFree: func(p uint16) bool { return s.udpPortFree(ip4{}, p) },
			OpenTCP:  s.openDNS,
		})
		if err != nil {
			return err
		}
		s.resolve = &resolver{m: m}
	}
	s.at(now)
	s.resolve.m.SetServers(now, s.servers)
	err := s.resolve.m.Resolve(now, name, tag)
	s.pumpDNS(now)
	s.touch()
	return err
}

// CancelResolve forgets the lookups with this tag, which must be comparable: no event comes for
// them.
func (s *Stack) CancelResolve(now time.Time, tag any) {
	if s.resolve != nil {
		s.resolve.m.Cancel(now, tag)
		s.pumpDNS(now)
		s.touch()
	}
}

// openDNS is the way to answers that are too long for UDP. Its events go to the resolver: see
// tcpEvent.
func (s *Stack) openDNS(now time.Time, server netip.AddrPort) (dns.Stream, error) {
	c, err := s.Dial(now, netip.AddrPort{}, server)
	if err != nil {
		return nil, err
	}
	c.SetTag(s.resolve)
	return c, nil
}

func (s *Stack) pumpDNS(now time.Time) {
	var buf [600]byte
	for {
		busy := false
		if p, port, to, ok := s.resolve.m.Output(now, buf[:0]); ok {
			busy = true
			if b, ok := from4(to.Addr()); ok && !isZero(s.addr) {
				if s.sendUDP(now, endpoint{s.addr, port}, endpoint{b, to.Port()}, p, 0, 0, nil) != nil {
					s.resolve.m.Unreachable(now, to, port)
				}
			}
		}
		if r, ok := s.resolve.m.NextEvent(); ok {
			busy = true
			if s.timeResolved(now, r) {
				continue
			}
			s.miscEvent(Event{Tag: r.Tag, Flags: Resolved, Err: r.Err,
				Resolve: &ResolveResult{r.Name, r.Addrs, r.TTL, r.Err}})
		}
		if !busy {
			break
		}
	}
	s.clientsMoved()
}

// resolverError hints to the resolver that a query did not arrive.
func (s *Stack) resolverError(now time.Time, key tuple) bool {
	if s.resolve == nil || !s.resolve.m.Uses(key.local.port) {
		return false
	}
	s.resolve.m.Unreachable(now, key.remote.addrPort(), key.local.port)
	s.pumpDNS(now)
	return true
}

// ServeDNS answers DNS queries to our address from a table of names; nil stops it.
func (s *Stack) ServeDNS(d *dns.Server) { s.names = d }
