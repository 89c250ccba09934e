package sntp

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// ClientConfig says whom a client asks and how often. Rand and Servers are required.
type ClientConfig struct {
	Rand rand.Source // for nonces and ports: must not be guessable outside of tests

	// Servers are names or IPv4 addresses in the order in which they are tried. A star at the beginning of a name
	// becomes 0, 1, 2 and 3 in turn. After a failure the next one is asked; at most 32 in all.
	Servers []string
	// Interval is the time between synchronisations. Default 24 h, least 15 s.
	Interval time.Duration
	// StartDelay is the upper end of a random wait before the first request, which is at least an eighth of it: an owner that changes
	// the servers right after Start does so in time. Default 1 s, where RFC 4330, 10 would like minutes for hosts
	// that boot together; negative: none.
	StartDelay time.Duration
	// NotBefore and NotAfter bound the times that are believed. Defaults: 2020 and 2100.
	NotBefore, NotAfter time.Time
	// PortFree, if not nil, tells whether a local UDP port may be used. It must not call the client.
	PortFree func(port uint16) bool
}

// ClientCounters say what a client did with what it received.
type ClientCounters struct {
	Sent        uint64
	Received    uint64
	Unexpected  uint64 // no request is out, other port or server
	Malformed   uint64 // too short
	Mismatched  uint64 // not our nonce
	Unusable    uint64 // server unsynchronized, fields out of bounds
	KissOfDeath uint64
	Timeouts    uint64
	Synced      uint64
}

// expand replaces stars.
func expand(servers []string) ([]string, error) {
	var list []string
	for _, s := range servers {
		rest, star := strings.CutPrefix(s, "*")
		switch {
		case s == "" || star && rest == "":
			return nil, fmt.Errorf("%w: server name %q", ErrInvalid, s)
		case star:
			for _, n := range []string{"0", "1", "2", "3"} {
				list = append(list, n+rest)
			}
		default:
			list = append(list, s)
		}
	}
	if len(list) == 0 || len(list) > maxServers {
		return nil, fmt.Errorf("%w: %d servers, want 1 to %d", ErrInvalid, len(list), maxServers)
	}
	return list, nil
}
