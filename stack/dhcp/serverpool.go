package dhcp

import (
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/wire"
)

// choose finds the address to offer, in the order of RFC 2131, 4.3.1: the one that the client has or had, the one
// that it asks for, a fresh one, the one that is free the longest. When none is left, a station that has one under another
// identifier (two programs on one host) gets that one.
func (s *Server) choose(now time.Time, key string, m *Message) (int, bool) {
	if i, ok := s.byKey[key]; ok {
		if s.records[i].live(now) || s.usable(now, i) {
			return i, true
		}
		s.forget(i)
	}
	if s.perMAC[m.MAC] >= maxPerMAC { // one station, many identifiers: it gets what it has
		return s.oldestOf(m.MAC)
	}
	if i, ok := s.index(m.RequestedIP); ok && s.reach(i) && s.usable(now, i) {
		return i, true
	}
	for len(s.records) < s.size {
		i := len(s.records)
		s.records = append(s.records, record{})
		if s.usable(now, i) {
			return i, true
		}
	}
	if i, ok := s.longestFree(now); ok {
		return i, true
	}
	return s.oldestOf(m.MAC)
}

// maxSkip bounds how many fresh addresses one client can jump over by asking for a later one.
const maxSkip = 256

// reach makes record i exist. Addresses that are skipped stay fresh in all but name.
func (s *Server) reach(i int) bool {
	if i >= len(s.records)+maxSkip {
		return false
	}
	for len(s.records) <= i {
		s.records = append(s.records, record{})
	}
	return true
}

// usable reports whether record i may be given to a client who does not have it yet.
func (s *Server) usable(now time.Time, i int) bool {
	a := s.addr(i)
	if s.records[i].live(now) || a == s.c.Addr.Addr() || a == network(s.c.Addr) || a == broadcast(s.c.Addr) {
		return false
	}
	return s.c.InUse == nil || !s.c.InUse(a)
}

// longestFree returns the usable record that is over for the longest time; never used ones come first.
func (s *Server) longestFree(now time.Time) (int, bool) {
	best, ok := 0, false
	for i := range s.records {
		if (!ok || s.records[i].expiry.Before(s.records[best].expiry)) && s.usable(now, i) {
			best, ok = i, true
		}
	}
	return best, ok
}

// oldestOf returns the record of a MAC that ends first.
func (s *Server) oldestOf(mac wire.MAC) (int, bool) {
	best, ok := 0, false
	for i := range s.records {
		r := &s.records[i]
		if r.mac == mac && r.key != "" && (!ok || r.expiry.Before(s.records[best].expiry)) {
			best, ok = i, true
		}
	}
	return best, ok
}

// dropOffers withdraws other offers to the same MAC: one station holds one at a time.
func (s *Server) dropOffers(now time.Time, mac wire.MAC, but int) {
	if s.perMAC[mac] == 0 {
		return
	}
	for i := range s.records {
		if r := &s.records[i]; i != but && r.mac == mac && r.state == LeaseOffered {
			r.state, r.expiry = LeaseFree, now
		}
	}
}

// assign gives record i to a client, whoever had it.
func (s *Server) assign(i int, key string, mac wire.MAC) {
	r := &s.records[i]
	if r.key == key && r.mac == mac {
		return
	}
	s.forget(i)
	if j, ok := s.byKey[key]; ok {
		s.forget(j)
	}
	r.key, r.mac, r.hostname = key, mac, ""
	s.byKey[key] = i
	s.perMAC[mac]++
}

// forget unties record i from its client.
func (s *Server) forget(i int) {
	r := &s.records[i]
	if r.key == "" {
		return
	}
	delete(s.byKey, r.key)
	if s.perMAC[r.mac]--; s.perMAC[r.mac] == 0 {
		delete(s.perMAC, r.mac)
	}
	*r = record{expiry: r.expiry}
}

// Forget ends the lease of an address at once, as when its station is told to leave. It reports whether there was one.
func (s *Server) Forget(now time.Time, a netip.Addr) bool {
	i, ok := s.index(a)
	if !ok || i >= len(s.records) || s.records[i].key == "" {
		return false
	}
	s.forget(i)
	return true
}

// Leave ends the leases and offers of a station that has gone, such as one that left its access point. The addresses are
// free for others, and remembered for their client, which gets the same again while nobody else has taken it.
func (s *Server) Leave(now time.Time, mac wire.MAC) {
	if s.perMAC[mac] == 0 {
		return
	}
	for i := range s.records {
		if r := &s.records[i]; r.mac == mac && r.key != "" && r.live(now) {
			r.state, r.expiry = LeaseFree, now
		}
	}
}
