package stack

import (
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/stack/dhcp"
	"github.com/understudy-net/understudy/wire"
)

// DHCPConfig says how an address is got by DHCP. The zero value works.
type DHCPConfig struct {
	Hostname string // "": that of Config
	Tag      any    // comes back in the events of the address
	ACD      *ACD   // how the address is checked; nil: Config.ACD
	// Client has the finer knobs; its MAC, Rand and Hostname are filled in.
	Client dhcp.ClientConfig
	// Reboot, if valid, is an address that we had before and would like to have again (RFC 2131,
	// 3.2).
	Reboot netip.Addr
}

type dhcpClient struct {
	m   *dhcp.Client
	c   DHCPConfig
	acd ACD
	mac wire.MAC // who sent us the latest message
}

// UseDHCP looks for an address, and keeps its lease for as long as it is wanted. The events are
// Configured (also when a renewed lease says other things), AddressLost, Conflict and DHCPFailed.
// An address that was set before is forgotten.
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

// RebindDHCP asks any server of the network whether the lease in use still holds, as after a move to another access point;
// see [dhcp.Client.Rebind]. The answer is Configured, or AddressLost. Without a lease it does nothing and reports false.
func (s *Stack) RebindDHCP(now time.Time) bool {
	if s.client == nil {
		return false
	}
	s.at(now)
	ok := s.client.m.Rebind(now)
	s.pumpDHCP(now)
	s.touch()
	return ok
}

// StopDHCP ends what UseDHCP began. With release the lease is given back, and its address is no
// longer ours; without, the address of a lease is forgotten in silence.
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
