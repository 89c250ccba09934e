package dns

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Result is the outcome of one call of [Resolver.Resolve].
type Result struct {
	Tag   any
	Name  string        // as it was given
	Addrs []netip.Addr  // in the server's order; at least one, unless there is an Err. Not to be changed.
	TTL   time.Duration // how long they hold; at most an hour
	Err   error         // an *Error
}

// ResolverCounters say what a resolver did with what it received.
type ResolverCounters struct {
	Queries    uint64 // sent, over UDP and TCP
	CacheHits  uint64
	Received   uint64 // datagrams
	Unexpected uint64 // for no query of ours
	WrongFrom  uint64 // not from the server that was asked
	Mismatched uint64 // other identifier or question, or not a reply
	CaseLost   uint64 // letter case not given back
	Broken     uint64 // malformed, or aliases in a circle
	Failed     uint64 // server failure, refused
	Truncated  uint64
	TCPFailed  uint64
	Timeouts   uint64 // names given up
}

// Resolver is a stub resolver. It is a machine: see the package comment. Make one with [NewResolver].
type Resolver struct {
	c       ResolverConfig
	rand    *rand.Rand
	servers []netip.AddrPort
	cache   cache

	queries  []*query // in the order of their beginning
	waiting  int      // waiters of all queries
	results  []Result
	due      time.Time // since when results or output wait
	counters ResolverCounters
}

// query is a name on its way. There is never more than one for a name (RFC 5452, 5).
type query struct {
	name    string // canonical
	waiters []waiter
	end     time.Time
	timer   time.Time

	asked    dnsmessage.Name // as sent, in mixed case
	plain    bool            // do not mix
	id       uint16
	port     uint16
	server   netip.AddrPort
	send     bool
	tries    int
	failures int // servers that answered with an error
	err      error
	forged   int
	tcp      *exchange
}

type waiter struct {
	tag  any
	name string
}

// NewResolver makes a resolver without servers.
func NewResolver(c ResolverConfig) (*Resolver, error) {
	if c.Rand == nil {
		return nil, fmt.Errorf("dns: ResolverConfig.Rand is nil, give a seeded rand.Source")
	}
	if c.Retry <= 0 {
		c.Retry = time.Second
	}
	if c.Timeout <= 0 {
		c.Timeout = 15 * time.Second
	}
	if c.Pending <= 0 {
		c.Pending = 64
	}
	if c.CacheSize == 0 {
		c.CacheSize = 32
	}
	return &Resolver{c: c, rand: rand.New(c.Rand), cache: cache{size: c.CacheSize}}, nil
}

// SetServers says which servers to ask, in this order, at port 53; those that are no IPv4 address are left out. If they differ from the ones before, the
// cache is emptied, and names on their way go on with the new ones, or fail if there are none.
func (r *Resolver) SetServers(now time.Time, servers []netip.Addr) {
	var list []netip.AddrPort
	for _, a := range servers {
		if a.Is4() && !a.IsUnspecified() && !a.IsMulticast() {
			list = append(list, netip.AddrPortFrom(a, Port))
		}
	}
	r.SetServerPorts(now, list)
}

// SetServerPorts is [Resolver.SetServers] for servers at other ports.
func (r *Resolver) SetServerPorts(now time.Time, servers []netip.AddrPort) {
	if slices.Equal(servers, r.servers) {
		return
	}
	r.servers = slices.Clone(servers)
	r.cache.clear()
	for _, q := range slices.Clone(r.queries) {
		if len(servers) == 0 {
			r.fail(now, q, ErrNoServers)
			continue
		}
		r.closeTCP(now, q)
		q.tries, q.failures = 0, 0
		r.transmit(now, q)
	}
}

// Servers returns the servers in the order in which they are asked.
func (r *Resolver) Servers() []netip.AddrPort { return slices.Clone(r.servers) }

// Counters returns the counters since NewResolver.
func (r *Resolver) Counters() ResolverCounters { return r.counters }

// Resolve begins to look up the addresses of name; tag comes back with the one [Result] that follows. A numeric
// name and one in the cache have their result at once. It fails, without a result, if the name is not valid, no
// server is known, or too many results are pending.
func (r *Resolver) Resolve(now time.Time, name string, tag any) error {
	w := waiter{tag, name}
	if r.waiting+len(r.results) >= r.c.Pending {
		return &Error{Name: name, Err: ErrBusy}
	}
	if a, ok := literal(name); ok {
		r.result(now, Result{Tag: tag, Name: name, Addrs: []netip.Addr{a}, TTL: maxTTL})
		return nil
	}
	if !validName(name) {
		return &Error{Name: name, Err: ErrInvalidName}
	}
	key := canonical(name)
	if addrs, ttl, ok := r.cache.get(now, key); ok {
		r.counters.CacheHits++
		r.result(now, Result{Tag: tag, Name: name, Addrs: addrs, TTL: ttl})
		return nil
	}
	if len(r.servers) == 0 {
		return &Error{Name: name, Err: ErrNoServers}
	}
	r.waiting++
	for _, q := range r.queries {
		if q.name == key {
			q.waiters = append(q.waiters, w)
			return nil
		}
	}
	q := &query{name: key, waiters: []waiter{w}, end: now.Add(r.c.Timeout), plain: !r.c.MixCase}
	r.queries = append(r.queries, q)
	r.transmit(now, q)
	return nil
}

// Cancel forgets the requests with this tag; they have no result any more. tag has to be comparable.
func (r *Resolver) Cancel(now time.Time, tag any) {
	r.results = slices.DeleteFunc(r.results, func(x Result) bool { return x.Tag == tag })
	for _, q := range slices.Clone(r.queries) {
		before := len(q.waiters)
		q.waiters = slices.DeleteFunc(q.waiters, func(w waiter) bool { return w.tag == tag })
		r.waiting -= before - len(q.waiters)
		if len(q.waiters) == 0 {
			r.remove(now, q)
		}
	}
}

// Stop fails all requests with ErrCanceled and empties the cache.
func (r *Resolver) Stop(now time.Time) {
	for _, q := range slices.Clone(r.queries) {
		r.fail(now, q, ErrCanceled)
	}
	r.cache.clear()
}

// Flush empties the cache.
func (r *Resolver) Flush() { r.cache.clear() }

// NextEvent returns the oldest result that was not returned yet.
func (r *Resolver) NextEvent() (Result, bool) {
	if len(r.results) == 0 {
		return Result{}, false
	}
	x := r.results[0]
	r.results = r.results[1:]
	return x, true
}

func (r *Resolver) result(now time.Time, x Result) {
	r.results = append(r.results, x)
	r.pend(now)
}

// done gives all who wait for q their result.
func (r *Resolver) done(now time.Time, q *query, a answer) {
	r.cache.put(now, q.name, a)
	for _, w := range q.waiters {
		x := Result{Tag: w.tag, Name: w.name, Addrs: a.addrs, TTL: a.ttl}
		if a.err != nil {
			x = Result{Tag: w.tag, Name: w.name, Err: &Error{Name: w.name, Server: q.server, Err: a.err}}
		}
		r.result(now, x)
	}
	r.remove(now, q)
}

func (r *Resolver) fail(now time.Time, q *query, err error) { r.done(now, q, answer{err: err}) }

func (r *Resolver) remove(now time.Time, q *query) {
	r.closeTCP(now, q)
	r.waiting -= len(q.waiters)
	q.waiters = nil
	r.queries = slices.DeleteFunc(r.queries, func(x *query) bool { return x == q })
}

func (r *Resolver) pend(now time.Time) {
	if r.due.IsZero() {
		r.due = now
	}
}

// Advance repeats queries and gives names up.
func (r *Resolver) Advance(now time.Time) {
	r.Ready(now)
	for _, q := range slices.Clone(r.queries) {
		switch {
		case !now.Before(q.end):
			r.counters.Timeouts++
			if q.err == nil {
				q.err = ErrTimeout
			}
			r.fail(now, q, q.err)
		case !now.Before(q.timer):
			r.closeTCP(now, q)
			r.transmit(now, q)
		}
	}
}

// Deadline returns when [Resolver.Advance] is needed next: a past time if output or results wait, zero if never.
func (r *Resolver) Deadline() time.Time {
	var d time.Time
	waits := len(r.results) > 0
	for _, q := range r.queries {
		waits = waits || q.send
		for _, t := range [...]time.Time{q.timer, q.end} {
			if d.IsZero() || t.Before(d) {
				d = t
			}
		}
	}
	if !waits {
		r.due = time.Time{}
	} else if d.IsZero() || r.due.Before(d) {
		d = r.due
	}
	return d
}
