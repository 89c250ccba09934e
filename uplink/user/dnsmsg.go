package user

import (
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// Sizes of DNS messages, in bytes.
const (
	maxMessage  = 65535 // over TCP
	plainLimit  = 512   // over UDP, without EDNS (RFC 1035, 4.2.1)
	largerLimit = 1232  // the most that we send over UDP: fits into every frame, whatever the device offers
	maxRecords  = 64    // in one answer
)

// answerTTL is the life of a record, in seconds. The host's resolver does not tell the true one; half a minute keeps
// a device from asking again for each connection.
const answerTTL = 30

// A question is what a device asked.
type question struct {
	header dnsmessage.Header
	q      dnsmessage.Question
	edns   bool // the query had an OPT record (RFC 6891)
	size   int  // and offered room for so many bytes
}

// parseQuestion reads a query. It is not ok if nothing should be answered; otherwise the code, unless it is a success, is
// the answer.
func parseQuestion(msg []byte) (q question, rcode dnsmessage.RCode, ok bool) {
	var p dnsmessage.Parser
	h, err := p.Start(msg)
	if err != nil || h.Response {
		return q, 0, false
	}
	q.header = h
	if h.OpCode != 0 {
		return q, dnsmessage.RCodeNotImplemented, true
	}
	all, err := p.AllQuestions()
	if err != nil || len(all) != 1 {
		return q, dnsmessage.RCodeFormatError, true
	}
	q.q = all[0]
	if p.SkipAllAnswers() != nil || p.SkipAllAuthorities() != nil {
		return q, dnsmessage.RCodeFormatError, true
	}
	for {
		rh, err := p.AdditionalHeader()
		if err == dnsmessage.ErrSectionDone {
			break
		}
		if err != nil || p.SkipAdditional() != nil {
			return q, dnsmessage.RCodeFormatError, true
		}
		if rh.Type == dnsmessage.TypeOPT {
			q.edns, q.size = true, int(rh.Class)
		}
	}
	if q.q.Class != dnsmessage.ClassINET {
		return q, dnsmessage.RCodeRefused, true
	}
	return q, dnsmessage.RCodeSuccess, true
}

// limit says how long an answer over UDP may be.
func (q question) limit() int {
	if !q.edns {
		return plainLimit
	}
	return min(max(q.size, plainLimit), largerLimit)
}

// reply packs an answer of at most limit bytes: one that is longer says so instead (RFC 2181, 9). nil if it
// cannot be packed.
func (q question) reply(answers []dnsmessage.Resource, rcode dnsmessage.RCode, limit int) []byte {
	m := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: q.header.ID, Response: true, OpCode: q.header.OpCode,
			RecursionDesired: q.header.RecursionDesired, RecursionAvailable: true, RCode: rcode,
		},
		Answers: answers,
	}
	if q.q.Name.Length > 0 {
		m.Questions = []dnsmessage.Question{q.q}
	}
	if q.edns {
		var h dnsmessage.ResourceHeader
		if h.SetEDNS0(largerLimit, rcode, false) == nil {
			m.Additionals = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.OPTResource{}}}
		}
	}
	b, err := m.Pack()
	if err == nil && len(b) > limit {
		m.Truncated, m.Answers = true, nil
		b, err = m.Pack()
	}
	if err != nil {
		return nil
	}
	return b
}

// local answers what we know ourselves.
func (u *Uplink) local(q question) ([]dnsmessage.Resource, dnsmessage.RCode, bool) {
	name := strings.ToLower(strings.TrimSuffix(q.q.Name.String(), "."))
	var a netip.Addr
	switch name {
	case HostName:
		a = u.policy.host
	case GatewayName:
		a = u.policy.gateway
	default:
		return u.localReverse(q, name)
	}
	if q.q.Type != dnsmessage.TypeA && q.q.Type != dnsmessage.TypeALL {
		return nil, dnsmessage.RCodeSuccess, true // the name is there, with no such record (RFC 2308, 2.2)
	}
	return q.records(&dnsmessage.AResource{A: a.As4()}), dnsmessage.RCodeSuccess, true
}

// localReverse names the addresses of the virtual network, and knows that nobody else does.
func (u *Uplink) localReverse(q question, name string) ([]dnsmessage.Resource, dnsmessage.RCode, bool) {
	a, ok := reverseAddr(name)
	if q.q.Type != dnsmessage.TypePTR || !ok || !u.c.Prefix.Contains(a) {
		return nil, 0, false
	}
	switch a {
	case u.policy.host:
		name = HostName
	case u.policy.gateway:
		name = GatewayName
	default:
		return nil, dnsmessage.RCodeNameError, true
	}
	return q.records(ptr(name)), dnsmessage.RCodeSuccess, true
}

// reverseAddr reads a name of in-addr.arpa (RFC 1035, 3.5), without its last dot.
func reverseAddr(name string) (netip.Addr, bool) {
	labels, ok := strings.CutSuffix(strings.ToLower(name), ".in-addr.arpa")
	parts := strings.Split(labels, ".")
	if !ok || len(parts) != 4 {
		return netip.Addr{}, false
	}
	var a [4]byte
	for i, p := range parts {
		v, err := strconv.ParseUint(p, 10, 8)
		if err != nil {
			return netip.Addr{}, false
		}
		a[3-i] = byte(v)
	}
	return netip.AddrFrom4(a), true
}

// records returns records about the name of the question.
func (q question) records(bodies ...dnsmessage.ResourceBody) []dnsmessage.Resource {
	var all []dnsmessage.Resource
	for _, b := range bodies {
		if b == nil || len(all) == maxRecords {
			continue
		}
		all = append(all, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: q.q.Name, Class: dnsmessage.ClassINET, TTL: answerTTL},
			Body:   b,
		})
	}
	return all
}
