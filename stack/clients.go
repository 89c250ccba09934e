package stack

import (
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/stack/dhcp"
	"github.com/understudy-net/understudy/stack/dns"
	"github.com/understudy-net/understudy/stack/tcp"
	"github.com/understudy-net/understudy/wire"
)

// The machines of DHCP and DNS are driven from here: they give and take UDP payloads, and the stack
// moves those.

// DHCPConfig says how an address is got by DHCP. The zero value works.
type DHCPConfig struct {
	Hostname string // "": that of Config
	Tag      any    // comes back in the events of the address
	ACD      *ACD   // how the address is checked; nil: Config.ACD
	// Client has the finer knobs; its MAC, Rand and Hostname are filled in.
	Client dhcp.ClientConfig
	// Reboot, if valid, is an address that we had before and would like to have again (RFC 2131, 3.2).
	Reboot netip.Addr
}

type dhcpClient struct {
	m   *dhcp.Client
	c   DHCPConfig
	acd ACD
	mac wire.MAC // who sent us the latest message
}

// UseDHCP looks for an address, and keeps its lease for as long as it is wanted. The events are Configured (also when a renewed lease
// says other things), AddressLost, Conflict and DHCPFailed. An address that was set before is forgotten.
func (s *Stack) UseDHCP(now time.Time, c DHCPConfig) error {
	k := c.Client
	k.MAC, k.Rand, k.Hostname = s.cfg.MAC, s.cfg.Rand, c.Hostname
	if k.Hostname == "" {
		k.Hostname = s.cfg.Hostname
	}
	m, err := dhcp.NewClient(k)
	if err != nil {
		return err
	}
	s.at(now)
	s.StopDHCP(now, false)
	s.dropAddr(now)
	s.client = &dhcpClient{m: m, c: c, acd: s.cfg.ACD}
	if c.ACD != nil {
		s.client.acd = *c.ACD
	}
	if c.Reboot.Is4() {
		m.Reboot(now, c.Reboot)
	} else {
		m.Start(now)
	}
	s.pumpDHCP(now)
	s.touch()
	return nil
}

// StopDHCP ends what UseDHCP began. With release the lease is given back, and its address is no longer ours; without, the address
// of a lease is forgotten in silence.
func (s *Stack) StopDHCP(now time.Time, release bool) {
	c := s.client
	if c == nil {
		return
	}
	if release {
		c.m.Release(now)
		s.pumpDHCP(now)
	} else {
		c.m.Stop(now)
	}
	s.client = nil
	s.lease = nil
	if s.acd != nil && s.acd.conf.dhcp {
		s.acd = nil
	}
	if s.guard.dhcp {
		s.guard = guard{}
		s.dropAddr(now)
	}
	s.clientsMoved()
	s.touch()
}

// Lease returns the lease of the address in use, if DHCP gave it.
func (s *Stack) Lease() (dhcp.Lease, bool) {
	if s.lease == nil || !s.guard.dhcp || isZero(s.addr) {
		return dhcp.Lease{}, false
	}
	return *s.lease, true
}

// pumpDHCP sends what the client wants sent and follows its events.
func (s *Stack) pumpDHCP(now time.Time) {
	for range 16 { // it has one or two things to say; a bound all the same
		c := s.client
		if c == nil {
			return
		}
		busy := false
		var buf [600]byte
		if p, src, dst, ok := c.m.Output(now, buf[:0]); ok {
			busy = true
			s.sendDHCP(now, src, dst, p)
		}
		if e, ok := c.m.NextEvent(); ok {
			busy = true
			s.dhcpEvent(now, c, e)
		}
		if !busy {
			break
		}
	}
	s.clientsMoved()
}

func (s *Stack) sendDHCP(now time.Time, src, dst netip.AddrPort, p []byte) {
	a, _ := from4(src.Addr())
	b, _ := from4(dst.Addr())
	if !isZero(a) && a != s.addr {
		return // the address is gone already (IP-7)
	}
	var link *wire.MAC
	switch n := s.neighbors.m[b]; {
	case isZero(a):
		link = &wire.Broadcast
	case n == nil && b != limitedBroadcast && !s.client.mac.IsZero():
		link = &s.client.mac // a release must not wait for ARP: its address is gone by then
	}
	s.sendUDP(now, endpoint{a, src.Port()}, endpoint{b, dst.Port()}, p, 0, 0, link)
}

func (s *Stack) dhcpEvent(now time.Time, c *dhcpClient, e dhcp.Event) {
	l := e.Lease
	conf := addrConf{prefix: l.Addr, gateway: l.Router, dns: l.DNS, tag: c.c.Tag, dhcp: true}
	switch e.Kind {
	case dhcp.EventBound:
		s.lease = &l
		s.tryAddr(now, conf, c.acd)
	case dhcp.EventRenewed:
		s.lease = &l
		if s.addr == conf.prefix.Addr().As4() {
			s.install(now, conf)
			s.miscEvent(Event{Tag: c.c.Tag, Flags: Configured, Address: &AddressEvent{Prefix: l.Addr, Lease: &l}})
		}
	case dhcp.EventLost:
		s.lease = nil
		s.acd = nil
		if s.guard.dhcp {
			s.loseAddr(now, e.Err)
		}
	case dhcp.EventFailed:
		s.miscEvent(Event{Tag: c.c.Tag, Flags: DHCPFailed, Err: e.Err})
	}
}

// declineLease tells the server that its address is taken (DC-14).
func (s *Stack) declineLease(now time.Time) {
	if s.client != nil {
		s.lease = nil
		s.client.m.Declined(now)
		s.pumpDHCP(now)
	}
}

// dhcpServer is the server of UseDHCP's other side.
type dhcpServer struct {
	m  *dhcp.Server
	fn func(now time.Time, e dhcp.ServerEvent)
}

// ServeDHCP gives out addresses, as an access point does. c.Addr may be left out: it is then our address, which must be set
// already. fn, if not nil, hears of each lease. It replaces an earlier server.
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

// resolver is the DNS client.
type resolver struct {
	m *dns.Resolver
}

// ResolveResult is the outcome of Resolve, in an event with the flag Resolved. Its error is one of package
// dns, wrapped.
type ResolveResult struct {
	Name  string
	Addrs []netip.Addr
	TTL   time.Duration
	Err   error
}

// Resolve looks up the IPv4 addresses of a host at the servers of SetAddr or DHCP. The result comes as an event with the flag Resolved, which also
// has the error; tag comes back in it. A name that is no name, and a stack without servers, fail at once.
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

// CancelResolve forgets the lookups with this tag, which must be comparable: no event comes for them.
func (s *Stack) CancelResolve(now time.Time, tag any) {
	if s.resolve != nil {
		s.resolve.m.Cancel(now, tag)
		s.pumpDNS(now)
		s.touch()
	}
}

// openDNS is the way to answers that are too long for UDP. Its events go to the resolver: see tcpEvent.
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
