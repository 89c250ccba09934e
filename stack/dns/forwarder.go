package dns

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// ForwarderConfig bounds a forwarder. The zero value works.
type ForwarderConfig struct {
	// Pending is the number of questions that wait for the owner's answer; what comes beyond is refused. Default 256.
	Pending int
	// Timeout is how long the owner may take; then the client is told of a server failure. Default 10 s.
	Timeout time.Duration
}

// Query is a client's question for the IPv4 addresses of a name.
type Query struct {
	ID   uint64 // for Answer
	Name string // in lower case, without a dot at its end; a valid host name
	From netip.AddrPort
}

// ForwarderCounters say what a forwarder did.
type ForwarderCounters struct {
	Queries   uint64 // valid ones, repetitions included
	Forwarded uint64 // to the owner
	Answered  uint64 // by the owner
	Timeouts  uint64
	Refused   uint64 // too many pending
	NoData    uint64 // other types, answered without the owner
	Errors    uint64 // malformed, not implemented
	Dropped   uint64 // not a query, or reply queue full
}

// maxOutgoing bounds the replies that wait for the owner to send them.
const maxOutgoing = 64

// Forwarder stands between clients on one side and a resolver that its owner has, usually the operating system's, on the other. It is
// a machine:
//
//	f.Input(now, from, payload)        // a datagram for port 53
//	q, ok := f.NextEvent()             // a question: look q.Name up, later say
//	f.Answer(now, q.ID, addrs, ttl, nil)
//	payload, to, ok := f.Output(now, buf)
//
// Questions for IPv6 addresses and HTTPS records, which clients ask along with A, are told that there are none; other
// types are not implemented.
type Forwarder struct {
	c        ForwarderConfig
	next     uint64
	pending  []pendingQuery // in the order of arrival, so of their ends too
	events   []Query
	out      []outgoing
	due      time.Time
	counters ForwarderCounters
}

type pendingQuery struct {
	id   uint64
	from netip.AddrPort
	q    request
	end  time.Time
}

type outgoing struct {
	m  []byte
	to netip.AddrPort
}

// NewForwarder makes a forwarder.
func NewForwarder(c ForwarderConfig) *Forwarder {
	if c.Pending <= 0 {
		c.Pending = 256
	}
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	return &Forwarder{c: c}
}

// Counters returns the counters since NewForwarder.
func (f *Forwarder) Counters() ForwarderCounters { return f.counters }

// Input takes a datagram from a client.
func (f *Forwarder) Input(now time.Time, from netip.AddrPort, payload []byte) {
	q, ok := parseRequest(payload)
	if !ok {
		f.counters.Dropped++
		return
	}
	name := text(&q.question.Name)
	switch {
	case q.rcode != dnsmessage.RCodeSuccess:
		f.counters.Errors++
		f.reply(now, from, &q, reply{rcode: q.rcode})
	case q.question.Type == dnsmessage.TypeAAAA || q.question.Type == dnsmessage.TypeHTTPS:
		f.counters.Queries++
		f.counters.NoData++
		f.reply(now, from, &q, reply{})
	case q.question.Type != dnsmessage.TypeA:
		f.counters.Errors++
		f.reply(now, from, &q, reply{rcode: dnsmessage.RCodeNotImplemented})
	case !validName(name):
		f.counters.Queries++
		f.reply(now, from, &q, reply{rcode: dnsmessage.RCodeNameError})
	default:
		f.counters.Queries++
		f.forward(now, from, &q, name)
	}
}

func (f *Forwarder) forward(now time.Time, from netip.AddrPort, q *request, name string) {
	for i := range f.pending {
		if p := &f.pending[i]; p.from == from && p.q.id == q.id && p.q.question == q.question {
			return // the client repeats itself; the answer is under way
		}
	}
	if len(f.pending) >= f.c.Pending {
		f.counters.Refused++
		f.reply(now, from, q, reply{rcode: dnsmessage.RCodeRefused})
		return
	}
	f.next++
	f.pending = append(f.pending, pendingQuery{f.next, from, *q, now.Add(f.c.Timeout)})
	f.events = append(f.events, Query{f.next, name, from}) // no more than pending ones
	f.counters.Forwarded++
	f.pend(now)
}

// NextEvent returns the oldest question that was not returned yet.
func (f *Forwarder) NextEvent() (Query, bool) {
	if len(f.events) == 0 {
		return Query{}, false
	}
	q := f.events[0]
	f.events = f.events[1:]
	return q, true
}

// Answer says what came of the question id: addresses, of which the first 16 that are IPv4 are used, and how
// long they hold; or an error: [ErrNotFound] and [ErrNoData] are told as such, all others as a server
// failure. An answer that comes too late is ignored.
func (f *Forwarder) Answer(now time.Time, id uint64, addrs []netip.Addr, ttl time.Duration, err error) {
	i := slices.IndexFunc(f.pending, func(p pendingQuery) bool { return p.id == id })
	if i < 0 {
		return
	}
	p := f.pending[i]
	f.pending = slices.Delete(f.pending, i, i+1)
	f.events = slices.DeleteFunc(f.events, func(q Query) bool { return q.ID == id })
	f.counters.Answered++
	a := reply{ttl: uint32(max(min(ttl, maxTTL), 0) / time.Second)}
	switch {
	case errors.Is(err, ErrNotFound):
		a.rcode = dnsmessage.RCodeNameError
	case err != nil && !errors.Is(err, ErrNoData):
		a.rcode = dnsmessage.RCodeServerFailure
	case err == nil:
		a.addrs = onlyIPv4(addrs)
	}
	f.reply(now, p.from, &p.q, a)
}

func onlyIPv4(addrs []netip.Addr) []netip.Addr {
	var list []netip.Addr
	for _, a := range addrs {
		if a = a.Unmap(); a.Is4() && len(list) < maxAddrs {
			list = append(list, a)
		}
	}
	return list
}

// reply queues the answer to q.
func (f *Forwarder) reply(now time.Time, to netip.AddrPort, q *request, a reply) {
	if len(f.out) >= maxOutgoing {
		f.counters.Dropped++
		return
	}
	a.recursion = true
	f.out = append(f.out, outgoing{a.append(nil, q), to})
	f.pend(now)
}

// Output appends the next reply to buf and says whom it is for. It is not ok when there is nothing to send.
func (f *Forwarder) Output(now time.Time, buf []byte) (payload []byte, to netip.AddrPort, ok bool) {
	if len(f.out) == 0 {
		return buf, to, false
	}
	o := f.out[0]
	f.out = f.out[1:]
	return append(buf, o.m...), o.to, true
}

// Advance tells clients whose question the owner did not answer in time.
func (f *Forwarder) Advance(now time.Time) {
	for len(f.pending) > 0 && !now.Before(f.pending[0].end) {
		p := f.pending[0]
		f.pending = f.pending[1:]
		f.events = slices.DeleteFunc(f.events, func(q Query) bool { return q.ID == p.id })
		f.counters.Timeouts++
		f.reply(now, p.from, &p.q, reply{rcode: dnsmessage.RCodeServerFailure})
	}
}

func (f *Forwarder) pend(now time.Time) {
	if f.due.IsZero() {
		f.due = now
	}
}

// Deadline returns when [Forwarder.Advance] is needed next: a past time if replies or questions wait, zero if
// never.
func (f *Forwarder) Deadline() time.Time {
	if len(f.out) > 0 || len(f.events) > 0 {
		return f.due
	}
	f.due = time.Time{}
	if len(f.pending) > 0 {
		return f.pending[0].end
	}
	return time.Time{}
}

// String prints the question.
func (q Query) String() string { return fmt.Sprintf("A? %s from %v", q.Name, q.From) }
