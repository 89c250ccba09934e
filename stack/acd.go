package stack

import (
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/stack/tcp"
	"github.com/understudy-net/understudy/wire"
)

// ACD says how a new address is checked before it is used (RFC 5227), and what is done about
// conflicts later. A zero field has the default of the RFC.
type ACD struct {
	// Off uses addresses at once. They are announced all the same.
	Off bool
	// Keep goes on using an address that somebody else uses too, after the event.
	Keep bool

	Probes       int           // PROBE_NUM: 3
	ProbeWait    time.Duration // PROBE_WAIT, up to which the first probe waits at random: 1 s; below 0: none
	ProbeMin     time.Duration // PROBE_MIN, between probes: 1 s
	ProbeMax     time.Duration // PROBE_MAX: 2 s
	AnnounceWait time.Duration // ANNOUNCE_WAIT, after the last probe: 2 s
	Announces    int           // ANNOUNCE_NUM: 2; below 0: none
}

// The other constants of RFC 5227, 1.1.
const (
	announceInterval = 2 * time.Second
	maxConflicts     = 10
	rateLimit        = 60 * time.Second
	defendInterval   = 10 * time.Second
)

// acd is an address on its way to be ours.
type acd struct {
	c       ACD
	conf    addrConf
	sent    int // probes, then announcements
	probing bool
	at      tcp.Instant
}

// addrConf is all that comes with an address.
type addrConf struct {
	prefix  netip.Prefix
	gateway netip.Addr
	dns     []netip.Addr
	tag     any
	dhcp    bool
}

// guard watches over the address that is ours.
type guard struct {
	tag       any
	dhcp      bool
	keep      bool        // the address is kept whatever happens
	defended  tcp.Instant // when we last defended it
	conflicts int         // addresses in a row that were taken
}

// tryAddr begins to take an address: probes first, or use at once.
func (s *Stack) tryAddr(now time.Time, conf addrConf, c ACD) {
	t := s.at(now)
	s.acd = &acd{c: c, conf: conf, probing: true}
	a := s.acd
	if c.Off {
		s.adopt(now, t)
		return
	}
	wait := time.Duration(0)
	if c.ProbeWait >= 0 {
		wait = s.jitter(orDuration(c.ProbeWait, time.Second))
	}
	if s.guard.conflicts >= maxConflicts {
		wait = rateLimit // ACD-4
	}
	a.at = t.Add(wait)
	if wait == 0 {
		s.advanceACD(now, t)
	}
	s.house(a.at)
}

// advanceACD sends the next probe or announcement (ACD-1, ACD-3).
func (s *Stack) advanceACD(now time.Time, t tcp.Instant) {
	a := s.acd
	if a == nil {
		return
	}
	if a.at > t {
		s.house(a.at)
		return
	}
	if a.probing {
		if a.sent >= orInt(a.c.Probes, 3) {
			s.adopt(now, t)
			return
		}
		a.sent++
		s.sendARP(now, wire.Broadcast, wire.ARP{Op: wire.ARPRequest, SenderMAC: s.cfg.MAC,
			SenderIP: netip.IPv4Unspecified(), TargetIP: a.conf.prefix.Addr()})
		lo := orDuration(a.c.ProbeMin, time.Second)
		hi := max(orDuration(a.c.ProbeMax, 2*time.Second), lo)
		a.at = t.Add(lo + s.jitter(hi-lo))
		if a.sent >= orInt(a.c.Probes, 3) {
			a.at = t.Add(orDuration(a.c.AnnounceWait, 2*time.Second))
		}
		s.house(a.at)
		return
	}
	s.announce(now)
	a.sent++
	if a.sent >= orInt(a.c.Announces, 2) {
		s.acd = nil
		return
	}
	a.at = t.Add(announceInterval)
	s.house(a.at)
}

// announce tells the link that the address is ours (RFC 5227, 2.3), which also mends stale caches.
func (s *Stack) announce(now time.Time) {
	a := netip.AddrFrom4(s.addr)
	s.sendARP(now, wire.Broadcast, wire.ARP{Op: wire.ARPRequest, SenderMAC: s.cfg.MAC, SenderIP: a, TargetIP: a})
}

// adopt takes the address that nobody objected to, and begins to announce it.
func (s *Stack) adopt(now time.Time, t tcp.Instant) {
	a := s.acd
	s.install(now, a.conf)
	s.guard = guard{tag: a.conf.tag, dhcp: a.conf.dhcp, keep: a.c.Keep}
	e := Event{Tag: a.conf.tag, Flags: Configured, Address: &AddressEvent{Prefix: a.conf.prefix}}
	if a.conf.dhcp {
		e.Address.Lease = s.lease
	}
	s.miscEvent(e)
	a.probing, a.sent = false, 0
	if a.c.Announces < 0 {
		s.acd = nil
		return
	}
	a.at = t
	s.advanceACD(now, t)
}

// checkConflict looks for others that use our address, or the one we are about to take (ACD-2,
// ACD-5). It reports whether p was such a packet.
func (s *Stack) checkConflict(now time.Time, t tcp.Instant, p wire.ARP, sender, target ip4) bool {
	if a := s.acd; a != nil && a.probing {
		want := a.conf.prefix.Addr().As4()
		// An ARP packet from the address, or another host's probe for it (RFC 5227, 2.1.1).
		if sender == want || p.Op == wire.ARPRequest && isZero(sender) && target == want {
			s.probeConflict(now, a, p.SenderMAC)
			return true
		}
	}
	if isZero(s.addr) || sender != s.addr {
		return false
	}
	s.stats.ARP.Conflicts++
	e := Event{Tag: s.guard.tag, Flags: Conflict, Address: &AddressEvent{Prefix: s.prefix(), MAC: p.SenderMAC, Kept: true}}
	if s.guard.defended == 0 || t.Sub(s.guard.defended) >= defendInterval {
		s.guard.defended = t // defend it once (RFC 5227, 2.4 (b))
		s.announce(now)
		s.miscEvent(e)
		return true
	}
	if s.guard.keep {
		return true // reported once in ten seconds, and no storm (E-17)
	}
	e.Address.Kept = false
	s.miscEvent(e)
	s.giveUpAddr(now)
	return true
}

// probeConflict gives up an address before it was ours.
func (s *Stack) probeConflict(now time.Time, a *acd, mac wire.MAC) {
	s.stats.ARP.Conflicts++
	n := s.guard.conflicts + 1
	s.acd = nil
	e := Event{Tag: a.conf.tag, Flags: Conflict, Address: &AddressEvent{Prefix: a.conf.prefix, MAC: mac}}
	if a.c.Keep {
		e.Address.Kept = true
		s.miscEvent(e)
		s.acd = a
		s.adopt(now, s.at(now))
		return
	}
	s.guard.conflicts = n
	s.miscEvent(e)
	if a.conf.dhcp {
		s.declineLease(now)
	}
}

// giveUpAddr stops using the address after a conflict.
func (s *Stack) giveUpAddr(now time.Time) {
	dhcp := s.guard.dhcp
	s.loseAddr(now, &netError{"address conflict: another host uses it", nil})
	if dhcp {
		s.declineLease(now)
	}
}
