package dns

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Bounds of a forwarder.
const (
	maxOutgoing = 64 // replies over UDP that wait for the owner to send them
	maxRecords  = 64 // in one reply
)

// Forwarder stands between clients on one side and a resolver that its owner has, usually the operating system's, on the
// other. The package's comment shows how it is used.
type Forwarder struct {
	c        ForwarderConfig
	next     uint64
	pending  []pendingQuery // in the order of arrival, so of their ends too
	out      []outgoing
	counters ForwarderCounters
}

// pendingQuery is a question that the owner has to answer. It holds its place until he has, even if the client was told of the
// time-out: so Pending bounds the owner's work as well.
type pendingQuery struct {
	Query
	client
	q       request
	arrived time.Time
	asked   bool // NextEvent gave it out
	expired bool // the client has been told
}

// client is where a reply goes.
type client struct {
	addr   netip.AddrPort
	stream any // nil: by UDP
}

type outgoing struct {
	m  []byte
	to client
	at time.Time // since when it waits
}

// NewForwarder makes a forwarder.
func NewForwarder(c ForwarderConfig) *Forwarder {
	if c.Pending <= 0 {
		c.Pending = 256
	}
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Local == nil {
		c.Local = new(Server)
	}
	return &Forwarder{c: c}
}

// Counters returns the counters since NewForwarder.
func (f *Forwarder) Counters() ForwarderCounters {
	f.counters.Pending = len(f.pending)
	return f.counters
}

// Input takes a datagram from a client. The error is [ErrNotQuery] or [ErrBusy] if nothing will be answered.
func (f *Forwarder) Input(now time.Time, from netip.AddrPort, payload []byte) error {
	return f.input(now, client{addr: from}, payload)
}

// InputStream takes a message, without its length, that came over TCP. Output returns the reply with stream, which is not nil and
// comparable. A stream may bring its next message before it had the reply to the last (RFC 7766, 6.2.1.1). The error is
// [ErrNotQuery], and no reply follows; or [ErrBusy], and the reply is a server failure.
func (f *Forwarder) InputStream(now time.Time, from netip.AddrPort, stream any, message []byte) error {
	return f.input(now, client{from, stream}, message)
}

func (f *Forwarder) input(now time.Time, from client, b []byte) error {
	q, ok := parseRequest(b)
	if !ok {
		f.counters.Malformed++
		return ErrNotQuery
	}
	if from.stream != nil {
		q.limit = maxStream
	}
	if q.rcode != dnsmessage.RCodeSuccess {
		f.counters.Malformed++
		f.reply(now, from, &q, reply{rcode: q.rcode})
		return nil
	}
	f.counters.Queries++
	if a, ok := f.local(&q); ok {
		f.counters.Local++
		f.reply(now, from, &q, a)
		return nil
	}
	return f.forward(now, from, &q)
}

// local answers what is not for the owner.
func (f *Forwarder) local(q *request) (a reply, ok bool) {
	name := text(&q.question.Name)
	addr, reverse := reverseAddr(name)
	if f.c.Local.knows(name) || reverse && q.question.Type == dnsmessage.TypePTR && f.c.Network.Contains(addr) {
		return f.c.Local.lookup(q), true
	}
	switch q.question.Type {
	case dnsmessage.TypeAAAA, dnsmessage.TypeHTTPS: // which clients ask along with A
		return reply{}, true
	case dnsmessage.TypeA, dnsmessage.TypeALL, dnsmessage.TypeCNAME, dnsmessage.TypePTR,
		dnsmessage.TypeMX, dnsmessage.TypeNS, dnsmessage.TypeSRV, dnsmessage.TypeTXT:
		return reply{rcode: dnsmessage.RCodeNameError}, !validName(name)
	}
	return reply{rcode: dnsmessage.RCodeNotImplemented}, true
}

// forward has the owner asked, unless he is already.
func (f *Forwarder) forward(now time.Time, from client, q *request) error {
	for i := range f.pending {
		p := &f.pending[i]
		if !p.expired && p.client == from && p.q.id == q.id && p.q.question == q.question {
			f.counters.Repeated++ // its answer is under way
			return nil
		}
	}
	if len(f.pending) >= f.c.Pending {
		f.counters.Busy++
		if from.stream != nil { // nobody repeats himself there
			f.reply(now, from, q, reply{rcode: dnsmessage.RCodeServerFailure})
		}
		return ErrBusy
	}
	f.next++
	f.counters.Forwarded++
	e := Query{ID: f.next, Name: text(&q.question.Name), Type: q.question.Type, From: from.addr}
	if e.Type == dnsmessage.TypePTR {
		e.Addr, _ = reverseAddr(e.Name)
	}
	f.pending = append(f.pending, pendingQuery{Query: e, client: from, q: *q, arrived: now})
	return nil
}

// NextEvent returns the oldest question that was not returned yet. Each has to be answered, however late, since it holds one of
// the places for pending questions until then.
func (f *Forwarder) NextEvent() (Query, bool) {
	for i := range f.pending {
		if p := &f.pending[i]; !p.asked {
			p.asked = true
			return p.Query, true
		}
	}
	return Query{}, false
}

// Answer says what came of the question id: records about its name, of which the first 64 are used, and how long they hold, an hour
// at most; or an error: [ErrNotFound] and [ErrNoData] are told as such, all others as a server failure. The client
// gets no answer that comes after the time-out. The records are not kept.
func (f *Forwarder) Answer(now time.Time, id uint64, records []dnsmessage.ResourceBody, ttl time.Duration, err error) {
	i := slices.IndexFunc(f.pending, func(p pendingQuery) bool { return p.ID == id })
	if i < 0 {
		return
	}
	p := f.pending[i]
	f.pending = slices.Delete(f.pending, i, i+1)
	if p.expired {
		return
	}
	var a reply
	switch {
	case errors.Is(err, ErrNotFound):
		a.rcode = dnsmessage.RCodeNameError
	case err != nil && !errors.Is(err, ErrNoData):
		f.fail(now, &p)
		return
	case err == nil:
		seconds := uint32(max(min(ttl, maxTTL), 0) / time.Second)
		for _, r := range records[:min(len(records), maxRecords)] {
			a.add(p.q.question.Name, seconds, r)
		}
	}
	f.counters.Answered++
	f.reply(now, p.client, &p.q, a)
}

// fail tells a client that there will be no answer.
func (f *Forwarder) fail(now time.Time, p *pendingQuery) {
	f.counters.Failed++
	f.reply(now, p.client, &p.q, reply{rcode: dnsmessage.RCodeServerFailure})
}

// reply queues the answer to q. Streams need no bound, as they wait for the reply to what they asked.
func (f *Forwarder) reply(now time.Time, to client, q *request, a reply) {
	if to.stream == nil && len(f.out) >= maxOutgoing {
		f.counters.Unsent++
		return
	}
	a.recursion = true
	f.out = append(f.out, outgoing{a.append(nil, q), to, now})
}

// Output appends the next reply to buf and says whom it is for: a stream, if that is not nil, to which the owner writes length and
// message; else an address. It is not ok when there is nothing to send.
func (f *Forwarder) Output(now time.Time, buf []byte) (message []byte, to netip.AddrPort, stream any, ok bool) {
	if len(f.out) == 0 {
		return buf, to, nil, false
	}
	o := f.out[0]
	f.out = slices.Delete(f.out, 0, 1)
	return append(buf, o.m...), o.to.addr, o.to.stream, true
}

// Advance tells clients whose question the owner did not answer in time.
func (f *Forwarder) Advance(now time.Time) {
	for i := range f.pending {
		if p := &f.pending[i]; !p.expired && !now.Before(p.arrived.Add(f.c.Timeout)) {
			p.expired = true
			f.fail(now, p)
		}
	}
	// The owner need not hear of what nobody waits for.
	f.pending = slices.DeleteFunc(f.pending, func(p pendingQuery) bool { return p.expired && !p.asked })
}

// Deadline returns when [Forwarder.Advance] is needed next: a past time if replies or questions wait, zero if
// never.
func (f *Forwarder) Deadline() (at time.Time) {
	if len(f.out) > 0 {
		return f.out[0].at
	}
	for i := range f.pending {
		switch p := &f.pending[i]; {
		case !p.asked:
			return p.arrived
		case !p.expired && at.IsZero():
			at = p.arrived.Add(f.c.Timeout)
		}
	}
	return at
}
