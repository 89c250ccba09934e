package dns

import (
	"math/rand/v2"
	"net/netip"
	"time"
)

// ResolverConfig says how a resolver behaves. Rand is required.
type ResolverConfig struct {
	Rand rand.Source // for identifiers, ports and letter case: must not be guessable outside of tests

	// Retry is the time to the second query for a name, to the next server if there is one; it doubles with each, up
	// to 8 s. Default 1 s.
	Retry time.Duration
	// Timeout is how long a name is tried in all. Default 15 s.
	Timeout time.Duration
	// Pending bounds the requests whose result was not fetched yet. Default 64.
	Pending int
	// CacheSize is the number of answers remembered. Default 32; negative: none.
	CacheSize int
	// MixCase asks in random letter case and wants it back, which makes forging harder still
	// (draft-vixie-dnsext-dns0x20). A server that does not give it back is asked again without.
	MixCase bool

	// PortFree, if not nil, tells whether a local UDP port may be used for a query. It must not call the resolver.
	PortFree func(port uint16) bool
	// OpenTCP begins a TCP connection to a server whose answer does not fit in UDP. The stream need not be connected
	// yet. The owner calls Ready when it is, and whenever it can be read or written again. Nil: there is
	// no TCP, and such names fail with ErrTruncated. It must not call the resolver.
	OpenTCP func(now time.Time, server netip.AddrPort) (Stream, error)
}

// maxRetry bounds the time between two queries for a name.
const maxRetry = 8 * time.Second

// manyForged is how many replies with a wrong identifier make the resolver turn to TCP, where forging is
// harder by 32 bits.
const manyForged = 32
