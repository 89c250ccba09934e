package dns

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/net/dns/dnsmessage"
)

// Sizes of replies over UDP in bytes: what everyone takes (RFC 1035, 2.3.4), and what we send at most to who takes more
// (RFC 6891; one frame without fragments).
const (
	minReply = 512
	maxReply = 1232
)

// request is a query as a server sees it.
type request struct {
	id       uint16
	rd       bool // recursion desired
	opcode   dnsmessage.OpCode
	question dnsmessage.Question
	edns     bool
	limit    int              // of the reply
	rcode    dnsmessage.RCode // not success: the query cannot be answered, and why
}

// parseRequest reads the query b. It is not ok if b deserves no answer: too short, or a response, which would start a
// loop.
func parseRequest(b []byte) (q request, ok bool) {
	var p dnsmessage.Parser
	h, err := p.Start(b)
	if err != nil || h.Response {
		return request{}, false
	}
	q = request{id: h.ID, rd: h.RecursionDesired, opcode: h.OpCode, limit: minReply}
	switch {
	case h.OpCode != 0:
		q.rcode = dnsmessage.RCodeNotImplemented
		return q, true
	case !wellFormed(b) || binary.BigEndian.Uint16(b[4:]) != 1:
		q.rcode = dnsmessage.RCodeFormatError
		return q, true
	}
	if q.question, err = p.Question(); err != nil {
		q.rcode = dnsmessage.RCodeFormatError
		return q, true
	}
	if q.question.Class != dnsmessage.ClassINET {
		q.rcode = dnsmessage.RCodeRefused
	}
	q.readOPT(p)
	return q, true
}

// readOPT looks for the client's buffer size (RFC 6891, 6.2.3).
func (q *request) readOPT(p dnsmessage.Parser) {
	if p.SkipAllQuestions() != nil || p.SkipAllAnswers() != nil || p.SkipAllAuthorities() != nil {
		return
	}
	for {
		h, err := p.AdditionalHeader()
		if err != nil {
			return
		}
		if h.Type == dnsmessage.TypeOPT {
			q.edns = true
			q.limit = min(max(int(h.Class), minReply), maxReply)
			return
		}
		if p.SkipAdditional() != nil {
			return
		}
	}
}

// reply is what a server says.
type reply struct {
	rcode         dnsmessage.RCode
	authoritative bool
	recursion     bool
	aliases       []alias // in order from the question on
	addrs         []netip.Addr
	ttl           uint32 // of the addresses, seconds
}

type alias struct {
	target dnsmessage.Name
	ttl    uint32
}

// append appends the reply to q to buf. If it does not fit the client it is sent without records and marked as truncated.
func (a *reply) append(buf []byte, q *request) []byte {
	m, err := a.build(buf, q, false)
	if err != nil || len(m)-len(buf) > q.limit {
		m, _ = a.build(buf, q, true) // header, question and OPT always fit
	}
	return m
}

func (a *reply) build(buf []byte, q *request, truncated bool) ([]byte, error) {
	b := dnsmessage.NewBuilder(buf, dnsmessage.Header{
		ID:                 q.id,
		Response:           true,
		OpCode:             q.opcode,
		Authoritative:      a.authoritative,
		Truncated:          truncated,
		RecursionDesired:   q.rd,
		RecursionAvailable: a.recursion,
		RCode:              a.rcode,
	})
	b.EnableCompression()
	b.StartQuestions()
	name := q.question.Name
	if name.Length > 0 {
		b.Question(q.question)
	}
	b.StartAnswers()
	if !truncated {
		for _, c := range a.aliases {
			h := dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: c.ttl}
			if err := b.CNAMEResource(h, dnsmessage.CNAMEResource{CNAME: c.target}); err != nil {
				return nil, err
			}
			name = c.target
		}
		for _, addr := range a.addrs {
			h := dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: a.ttl}
			if err := b.AResource(h, dnsmessage.AResource{A: addr.As4()}); err != nil {
				return nil, err
			}
		}
	}
	if q.edns {
		b.StartAdditionals()
		var h dnsmessage.ResourceHeader
		if err := h.SetEDNS0(maxReply, dnsmessage.RCodeSuccess, false); err != nil {
			return nil, err
		}
		if err := b.OPTResource(h, dnsmessage.OPTResource{}); err != nil {
			return nil, err
		}
	}
	return b.Finish()
}
