package dns

import (
	"encoding/binary"

	"golang.org/x/net/dns/dnsmessage"
)

// Sizes of replies in bytes: over UDP, what everyone takes (RFC 1035, 2.3.4), and what we send at most to who takes more
// (RFC 6891; one frame without fragments); over TCP, what its length field can say (RFC 1035, 4.2.2).
const (
	minReply  = 512
	maxReply  = 1232
	maxStream = 1<<16 - 1
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

// reply is what a server or a forwarder says.
type reply struct {
	rcode         dnsmessage.RCode
	authoritative bool
	recursion     bool // available
	answers       []dnsmessage.Resource
}

// add appends a record to the answers.
func (a *reply) add(name dnsmessage.Name, ttl uint32, body dnsmessage.ResourceBody) {
	h := dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: ttl}
	a.answers = append(a.answers, dnsmessage.Resource{Header: h, Body: body})
}

// append appends the reply to q to buf. If it does not fit the client it is sent without records and marked as truncated
// (RFC 2181, 9); if it has a record that no message can hold, it becomes a server failure.
func (a *reply) append(buf []byte, q *request) []byte {
	m := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: q.id, Response: true, OpCode: q.opcode, RCode: a.rcode, Authoritative: a.authoritative,
			RecursionDesired: q.rd, RecursionAvailable: a.recursion,
		},
		Answers: a.answers,
	}
	if q.question.Name.Length > 0 { // it could be read
		m.Questions = []dnsmessage.Question{q.question}
	}
	if q.edns {
		var h dnsmessage.ResourceHeader
		h.SetEDNS0(maxReply, a.rcode, false) // fails for no code that we send
		m.Additionals = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.OPTResource{}}}
	}
	b, err := m.AppendPack(buf)
	if err != nil {
		m.RCode = dnsmessage.RCodeServerFailure
	}
	if err != nil || len(b)-len(buf) > q.limit {
		m.Truncated, m.Answers = err == nil, nil
		b, _ = m.AppendPack(buf) // header, question and OPT always fit
	}
	return b
}
