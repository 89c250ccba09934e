package dns

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Server answers for a table of names, with authority and without recursion: what a virtual network needs. It knows addresses (A),
// aliases (CNAME), and the names of its addresses (PTR). The zero value has an empty table. It has no state but the table, so it is not a machine: [Server.Reply] turns a query into its
// answer at once.
type Server struct {
	names    map[string]record
	any      record // of names that are not in the table; without addresses: they do not exist
	counters ServerCounters
}

// record is what the table holds of a name: addresses or an alias.
type record struct {
	addrs []netip.Addr
	alias string
	ttl   uint32
}

// ServerCounters say what a server did.
type ServerCounters struct {
	Queries  uint64
	Answered uint64 // with records
	NoData   uint64 // name known, but not this type
	NotFound uint64
	Errors   uint64 // malformed, not implemented, refused
	Dropped  uint64 // not a query: no answer
}

// DefaultTTL is the time to live of records that give none.
const DefaultTTL = time.Minute

// Set gives name the addresses addrs, at most 16, all IPv4, in place of what it had. ttl is in whole seconds;
// 0 is DefaultTTL. The error wraps [ErrInvalidName] or says which address is wrong.
func (s *Server) Set(name string, ttl time.Duration, addrs ...netip.Addr) error {
	if len(addrs) == 0 || len(addrs) > maxAddrs {
		return fmt.Errorf("dns: name %s has %d addresses, want 1 to %d", quote(name), len(addrs), maxAddrs)
	}
	for _, a := range addrs {
		if !a.Is4() {
			return fmt.Errorf("dns: address %v of name %s is not IPv4", a, quote(name))
		}
	}
	return s.put(name, record{addrs: slices.Clone(addrs), ttl: seconds(ttl)})
}

// SetAny gives every name that is not in the table the addresses addrs, as a captive portal does, with the limits of Set;
// no addresses end that. Names of addresses (in-addr.arpa) are left out.
func (s *Server) SetAny(ttl time.Duration, addrs ...netip.Addr) error {
	if len(addrs) > maxAddrs {
		return fmt.Errorf("dns: %d addresses for any name, want at most %d", len(addrs), maxAddrs)
	}
	for _, a := range addrs {
		if !a.Is4() {
			return fmt.Errorf("dns: address %v for any name is not IPv4", a)
		}
	}
	s.any = record{addrs: slices.Clone(addrs), ttl: seconds(ttl)}
	return nil
}

// find returns what the table holds of name, in the form of [text].
func (s *Server) find(name string) (record, bool) {
	r, known := s.names[name]
	if !known && len(s.any.addrs) > 0 && name != "" && !strings.HasSuffix(name, ".in-addr.arpa") {
		return s.any, true
	}
	return r, known
}

// SetAlias makes name an alias (CNAME) of target, which need not be in the table.
func (s *Server) SetAlias(name string, ttl time.Duration, target string) error {
	if !validName(target) {
		return fmt.Errorf("dns: alias of %s: %w", quote(name), &Error{Name: target, Err: ErrInvalidName})
	}
	return s.put(name, record{alias: canonical(target), ttl: seconds(ttl)})
}

func (s *Server) put(name string, r record) error {
	if !validName(name) {
		return &Error{Name: name, Err: ErrInvalidName}
	}
	if s.names == nil {
		s.names = make(map[string]record)
	}
	s.names[canonical(name)] = r
	return nil
}

// Delete removes a name.
func (s *Server) Delete(name string) { delete(s.names, canonical(name)) }

// Counters returns the counters since the beginning.
func (s *Server) Counters() ServerCounters { return s.counters }

func seconds(d time.Duration) uint32 {
	if d <= 0 {
		d = DefaultTTL
	}
	return uint32(min(d/time.Second, 1<<31-1))
}

// Reply appends the answer to the query to buf. It is not ok if there is none to give: what came is not a query. Over TCP
// the lengths around messages are for the caller.
func (s *Server) Reply(buf, query []byte) (reply []byte, ok bool) {
	q, ok := parseRequest(query)
	if !ok {
		s.counters.Dropped++
		return buf, false
	}
	s.counters.Queries++
	a := s.lookup(&q)
	return a.append(buf, &q), true
}

// lookup finds the answer, aliases followed as far as the table goes (RFC 1034, 4.3.2).
func (s *Server) lookup(q *request) reply {
	a := reply{rcode: q.rcode, authoritative: q.rcode == dnsmessage.RCodeSuccess}
	if a.rcode != dnsmessage.RCodeSuccess {
		s.counters.Errors++
		return a
	}
	kind, owner, name := q.question.Type, q.question.Name, text(&q.question.Name)
	r, known := s.find(name)
	for known && r.alias != "" && len(a.answers) < maxAliases {
		target, err := dnsmessage.NewName(r.alias + ".")
		if err != nil {
			break
		}
		a.add(owner, r.ttl, &dnsmessage.CNAMEResource{CNAME: target})
		if kind == dnsmessage.TypeCNAME {
			s.counters.Answered++
			return a
		}
		owner, name = target, r.alias
		r, known = s.find(name)
	}
	found := len(a.answers)
	switch kind {
	case dnsmessage.TypeA, dnsmessage.TypeALL:
		for _, addr := range r.addrs {
			a.add(owner, r.ttl, &dnsmessage.AResource{A: addr.As4()})
		}
	case dnsmessage.TypePTR:
		s.reverse(&a, owner, name)
	}
	switch {
	case len(a.answers) > found:
		s.counters.Answered++
	case known || s.isParent(name) || found > 0:
		s.counters.NoData++
	default:
		a.rcode = dnsmessage.RCodeNameError
		s.counters.NotFound++
	}
	return a
}

// reverse adds the name of the address that a name of in-addr.arpa stands for; if several have it, the first of the alphabet.
func (s *Server) reverse(a *reply, owner dnsmessage.Name, name string) {
	addr, ok := reverseAddr(name)
	if !ok {
		return
	}
	first := ""
	for n, r := range s.names { // the least does not depend on the order
		if slices.Contains(r.addrs, addr) && (first == "" || n < first) {
			first = n
		}
	}
	if target, err := dnsmessage.NewName(first + "."); err == nil && first != "" {
		a.add(owner, s.names[first].ttl, &dnsmessage.PTRResource{PTR: target})
	}
}

// knows reports whether the table has name, in the form of [text].
func (s *Server) knows(name string) bool {
	_, ok := s.names[name]
	return ok
}

// isParent reports whether there are names below this one, so that it exists though it holds nothing (RFC 8020).
func (s *Server) isParent(name string) bool {
	if name == "" {
		return true
	}
	for n := range s.names { // which one does not matter
		if strings.HasSuffix(n, "."+name) {
			return true
		}
	}
	return false
}
