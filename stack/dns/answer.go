package dns

import (
	"net/netip"
	"slices"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Bounds of an answer.
const (
	maxAliases = 16
	maxAddrs   = 16
)

// answer is what a reply says about the name asked for.
type answer struct {
	addrs     []netip.Addr
	ttl       time.Duration // the shortest of the chain
	err       error
	truncated bool
}

// matches reports whether the reply b is to the given question: a response to a query, with one question, the
// same (RFC 5452, 9.1). Case need not be the same; exact tells whether it is.
func matches(b []byte, id uint16, q *dnsmessage.Name) (ok, exact bool) {
	var p dnsmessage.Parser
	h, err := p.Start(b)
	if err != nil || h.ID != id || !h.Response || h.OpCode != 0 {
		return false, false
	}
	got, err := p.Question()
	if err != nil || got.Type != dnsmessage.TypeA || got.Class != dnsmessage.ClassINET || !equalFold(&got.Name, q) {
		return false, false
	}
	if _, err := p.Question(); err != dnsmessage.ErrSectionDone {
		return false, false
	}
	return true, got.Name == *q
}

// read reads the answer in the reply b, which matches the question.
func read(b []byte, q *dnsmessage.Name) answer {
	var p dnsmessage.Parser
	h, err := p.Start(b)
	switch {
	case err != nil:
		return answer{err: ErrBadAnswer}
	case h.Truncated:
		return answer{truncated: true}
	case errorOf(h.RCode) != nil:
		return answer{err: errorOf(h.RCode)}
	case !wellFormed(b):
		return answer{err: ErrBadAnswer}
	}
	if err := p.SkipAllQuestions(); err != nil {
		return answer{err: ErrBadAnswer}
	}
	return follow(p, *q)
}

// follow goes along the aliases from name to its addresses, in whatever order the records stand (RFC 1034, 3.6.2).
// p stands at the answers.
func follow(p dnsmessage.Parser, name dnsmessage.Name) answer {
	a := answer{ttl: maxTTL}
	for range maxAliases + 1 {
		next, aliased, err := a.collect(p, &name)
		switch {
		case err != nil:
			return answer{err: ErrBadAnswer}
		case len(a.addrs) > 0:
			return a
		case !aliased:
			return answer{err: ErrNoData}
		}
		name = next
	}
	return answer{err: ErrBadAnswer} // a circle, or as good as one
}

// collect takes the addresses of name out of the answers, or else its alias.
func (a *answer) collect(p dnsmessage.Parser, name *dnsmessage.Name) (next dnsmessage.Name, aliased bool, err error) {
	for {
		h, err := p.AnswerHeader()
		if err == dnsmessage.ErrSectionDone {
			return next, aliased, nil
		}
		if err != nil {
			return next, false, err
		}
		ours := h.Class == dnsmessage.ClassINET && equalFold(&h.Name, name)
		switch {
		case ours && h.Type == dnsmessage.TypeA:
			r, err := p.AResource()
			if err != nil {
				return next, false, err
			}
			a.add(netip.AddrFrom4(r.A), h.TTL)
		case ours && h.Type == dnsmessage.TypeCNAME && !aliased:
			r, err := p.CNAMEResource()
			if err != nil {
				return next, false, err
			}
			next, aliased = r.CNAME, true
			a.limit(h.TTL)
		default:
			if err := p.SkipAnswer(); err != nil {
				return next, false, err
			}
		}
	}
}

func (a *answer) add(addr netip.Addr, ttl uint32) {
	if len(a.addrs) < maxAddrs && !slices.Contains(a.addrs, addr) {
		a.addrs = append(a.addrs, addr)
	}
	a.limit(ttl)
}

// limit lowers the time to live to that of one more record; with its top bit set that is zero (RFC 2181, 8).
func (a *answer) limit(ttl uint32) {
	if ttl>>31 != 0 {
		ttl = 0
	}
	a.ttl = min(a.ttl, time.Duration(ttl)*time.Second)
}
