// Package dns turns names into IPv4 addresses: a stub resolver (RFC 1034, 5.3.1), a small authoritative
// server for virtual networks ([Server]), and a forwarder that hands its clients' questions to the owner.
//
// All stand on golang.org/x/net/dns/dnsmessage. The resolver is a machine that gives and takes UDP payloads; its
// owner, usually package stack, moves them:
//
//	r, err := dns.NewResolver(dns.ResolverConfig{Rand: rnd})
//	r.SetServers(now, lease.DNS)
//	err = r.Resolve(now, "www.example.com", tag)
//	// then, whenever a datagram came for a port that r.Uses: r.Input(now, from, port, payload)
//	// whenever r.Deadline() has come:                        r.Advance(now)
//	// and after each of these: send all that r.Output gives, handle all that r.NextEvent gives
//
// # What the resolver believes
//
// A reply counts only if it comes from the server and to the port of the latest query, with its
// identifier and its question (RFC 5452, 9.1). Identifier and port are random and new for each
// packet. Of the answer only the chain of aliases that begins at the question is read; nothing
// else in the message is believed or kept. Addresses are handed on as the server gives them, 127.0.0.1
// and the like included: callers that fear rebinding must look.
//
// # The forwarder
//
// A [Forwarder] is what a gateway has on port 53: to its clients a recursive server, to its owner a list of questions
// that he answers when he can, with whatever resolver he has.
//
//	f := dns.NewForwarder(dns.ForwarderConfig{Local: names})
//	err := f.Input(now, from, payload)               // a datagram for port 53
//	err  = f.InputStream(now, from, stream, message) // or a message that came over TCP
//	// whenever f.Deadline() has come: f.Advance(now)
//	// and after each of these, as long as they are ok:
//	q, ok := f.NextEvent()                           // look q.Name up, meanwhile do other things, then:
//	f.Answer(now, q.ID, records, ttl, err)
//	message, to, stream, ok := f.Output(now, nil)    // send it
//
// It asks for what the resolvers of operating systems can answer: A, CNAME, PTR, MX, NS, SRV, TXT, and ANY, of
// which A is enough. AAAA and HTTPS records are said not to exist, other types are not implemented. It answers by itself
// for the names of a [Server], both ways. A question that its client repeats is asked once; questions that wait
// are bounded in number and in time. Replies over UDP that do not fit the client are truncated, so that
// he comes again over TCP.
//
// # Limits
//
// Of the resolver: A records of class IN only; no IPv6, no search lists, no EDNS in queries, no DNSSEC, no negative cache.
// At most 16 aliases are followed and 16 addresses kept. Names are letters, digits, hyphens and
// underscores; others have to be in their ASCII form (RFC 5891) already.
package dns
