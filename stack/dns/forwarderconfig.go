package dns

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// ForwarderConfig bounds a forwarder and gives it names of its own. The zero value works.
type ForwarderConfig struct {
	// Pending is the number of questions that wait for the owner's answer; what comes beyond is not asked. Default 256.
	Pending int
	// Timeout is how long the owner may take; then the client is told of a server failure. Default 10 s.
	Timeout time.Duration
	// Local has the names that the owner is not asked about, and those of their addresses. Default: none.
	Local *Server
	// Network holds the addresses that only Local has names of: the owner is not asked about the others. Default: none.
	Network netip.Prefix
}

// Query is a client's question, for the owner to answer.
type Query struct {
	ID   uint64 // for Answer
	Name string // in lower case, without a dot at its end; a valid host name
	Type dnsmessage.Type
	Addr netip.Addr // of a question for a name (PTR): the address; invalid if Name stands for none
	From netip.AddrPort
}

// String prints the question: "A? www.example.com from 10.0.0.2:5000".
func (q Query) String() string {
	return fmt.Sprintf("%s? %s from %v", strings.TrimPrefix(q.Type.String(), "Type"), q.Name, q.From)
}

// ForwarderCounters say what a forwarder did, and how much it has in hand.
type ForwarderCounters struct {
	Pending   int    // questions that the owner owes an answer, now
	Queries   uint64 // that could be read, repetitions included
	Local     uint64 // answered without the owner: names of Local, names that no host can have, other types
	Forwarded uint64 // to the owner
	Answered  uint64 // by the owner in time, that there is no such name included
	Failed    uint64 // server failures: the owner had no answer, or not in time
	Repeated  uint64 // dropped: the same question was still pending
	Busy      uint64 // dropped, or over TCP a server failure: too many were pending
	Malformed uint64 // dropped, or answered with an error if the header could be read
	Unsent    uint64 // replies that the owner did not fetch, beyond the first 64
}
