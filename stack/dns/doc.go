// Package dns turns names into IPv4 addresses: a stub resolver (RFC 1034, 5.3.1), a small authoritative
// server for virtual networks, and a forwarder that hands its clients' questions to the owner.
//
// All are machines on golang.org/x/net/dns/dnsmessage. The resolver gives and takes UDP payloads; its
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
// # Limits
//
// A records of class IN only; no IPv6, no search lists, no EDNS in queries, no DNSSEC, no negative cache.
// At most 16 aliases are followed and 16 addresses kept. Names are letters, digits, hyphens and
// underscores; others have to be in their ASCII form (RFC 5891) already.
package dns
