package dns

import (
	"net/netip"
	"slices"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// transmit has the next query for q sent, to the next server, with a new identifier from a new port (RFC 5452, 9.2).
func (r *Resolver) transmit(now time.Time, q *query) {
	q.server = r.servers[q.tries%len(r.servers)]
	q.id, q.port, q.forged = uint16(r.rand.Uint32()), r.choosePort(), 0
	q.asked = r.mixed(q)
	q.timer = now.Add(min(r.c.Retry<<min(q.tries, 10), maxRetry))
	q.tries++
	q.send = true
	r.pend(now)
}

// lowestPort is where the random source ports begin: nearly the whole range, as RFC 5452, 9.2 asks for.
const lowestPort = 1024

func (r *Resolver) choosePort() uint16 {
	var port uint16
	for range 64 {
		port = uint16(lowestPort + r.rand.IntN(1<<16-lowestPort))
		if !r.Uses(port) && (r.c.PortFree == nil || r.c.PortFree(port)) {
			break
		}
	}
	return port
}

// Uses reports whether datagrams for this port are for [Resolver.Input].
func (r *Resolver) Uses(port uint16) bool {
	return slices.ContainsFunc(r.queries, func(q *query) bool { return q.port == port })
}

// mixed returns the name to ask for.
func (r *Resolver) mixed(q *query) dnsmessage.Name {
	name := []byte(q.name + ".")
	if !q.plain {
		for i, c := range name {
			if c >= 'a' && c <= 'z' && r.rand.Uint64()&1 != 0 {
				name[i] = c - 'a' + 'A'
			}
		}
	}
	n, _ := dnsmessage.NewName(string(name)) // it is valid, so it fits
	return n
}

// Output appends the next query to buf and says from which local port it goes to which server. It is not ok when
// there is nothing to send.
func (r *Resolver) Output(now time.Time, buf []byte) (payload []byte, localPort uint16, to netip.AddrPort, ok bool) {
	for _, q := range r.queries {
		if q.send {
			q.send = false
			r.counters.Queries++
			return appendQuery(buf, q.id, q.asked), q.port, q.server, true
		}
	}
	return buf, 0, to, false
}

// appendQuery appends a query for the addresses of name (RFC 1035, 4.1).
func appendQuery(buf []byte, id uint16, name dnsmessage.Name) []byte {
	b := dnsmessage.NewBuilder(buf, dnsmessage.Header{ID: id, RecursionDesired: true})
	b.StartQuestions()
	b.Question(dnsmessage.Question{Name: name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET})
	m, _ := b.Finish() // a single valid name cannot fail
	return m
}

// Input takes a datagram that came from a server to a local port. What does not answer the latest query from that port is
// dropped and counted, and the wait goes on.
func (r *Resolver) Input(now time.Time, from netip.AddrPort, localPort uint16, payload []byte) {
	r.counters.Received++
	i := slices.IndexFunc(r.queries, func(q *query) bool { return q.port == localPort })
	if i < 0 || r.queries[i].send || r.queries[i].tcp != nil {
		r.counters.Unexpected++
		return
	}
	q := r.queries[i]
	if from != q.server {
		r.counters.WrongFrom++
		return
	}
	ok, exact := matches(payload, q.id, &q.asked)
	if !ok {
		r.counters.Mismatched++
		if q.forged++; q.forged == manyForged && r.c.OpenTCP != nil {
			r.openTCP(now, q)
		}
		return
	}
	if !exact && !q.plain {
		r.counters.CaseLost++
		q.plain = true
		q.tries-- // the same server again
		r.transmit(now, q)
		return
	}
	r.judge(now, q, read(payload, &q.asked))
}

// judge acts on an answer to q.
func (r *Resolver) judge(now time.Time, q *query, a answer) {
	switch {
	case a.truncated:
		r.counters.Truncated++
		r.openTCP(now, q)
	case a.err == ErrServerFailure || a.err == ErrRefused || a.err == ErrBadAnswer:
		if a.err == ErrBadAnswer {
			r.counters.Broken++
		} else {
			r.counters.Failed++
		}
		r.nextServer(now, q, a.err)
	default:
		r.done(now, q, a)
	}
}

// nextServer turns to another server after one that failed, or gives up when all have.
func (r *Resolver) nextServer(now time.Time, q *query, err error) {
	q.err = err
	if q.failures++; q.failures >= len(r.servers) {
		r.fail(now, q, err)
		return
	}
	r.closeTCP(now, q)
	r.transmit(now, q)
}

// Unreachable is a hint, from ICMP, that the query from localPort did not reach its server. Anyone can forge
// it, so it makes the resolver turn to another server at once if there is one, and means nothing else.
func (r *Resolver) Unreachable(now time.Time, to netip.AddrPort, localPort uint16) {
	for _, q := range r.queries {
		if q.port == localPort && q.server == to && q.tcp == nil && !q.send && q.tries < len(r.servers) {
			r.transmit(now, q)
			return
		}
	}
}
