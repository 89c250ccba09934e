package sntp

import (
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/wire"
)

// Input takes a datagram that came from a server to a local port. What is no good answer is dropped and counted, and
// the wait goes on; only a refusal, or a time that cannot be, ends it.
func (c *Client) Input(now time.Time, from netip.AddrPort, localPort uint16, payload []byte) {
	c.counters.Received++
	if !c.Uses(localPort) || c.send || from != c.server {
		c.counters.Unexpected++
		return
	}
	p, err := wire.ParseNTP(payload)
	if err != nil {
		c.counters.Malformed++
		return
	}
	if p.Originate != c.nonce {
		c.counters.Mismatched++
		return
	}
	if !wellFormed(&p) || now.Sub(c.sent) > patience {
		c.counters.Unusable++
		return
	}
	if p.Stratum == 0 {
		c.kiss(now, &p)
		return
	}
	// A server cannot have held the request for longer than we waited; a second is for clocks that run apart.
	if held := p.Transmit.Time().Sub(p.Receive.Time()); !synchronized(&p) || held > now.Sub(c.sent)+time.Second {
		c.counters.Unusable++
		return
	}
	c.take(now, &p)
}

// wellFormed reports whether p is a server's answer at all (RFC 4330, 5).
func wellFormed(p *wire.NTP) bool {
	return p.Mode == wire.NTPServer && p.Version >= 1 && p.Version <= 4
}

// synchronized reports whether the server that sent p knows the time, and near enough (RFC 4330, 5): root delay and dispersion
// below a second, both not negative.
func synchronized(p *wire.NTP) bool {
	return p.Leap != wire.NTPUnsynchronized && p.Stratum <= 15 &&
		p.RootDelay < maxRoot && p.RootDispersion < maxRoot &&
		p.Receive != 0 && p.Transmit != 0 && !p.Transmit.Time().Before(p.Receive.Time())
}

// kiss obeys a kiss-o'-death (RFC 4330, 8; RFC 5905, 7.4).
func (c *Client) kiss(now time.Time, p *wire.NTP) {
	c.counters.KissOfDeath++
	switch string(p.RefID[:]) {
	case "DENY", "RSTR":
		if len(c.denied) < maxServers {
			c.denied = append(c.denied, c.server.Addr())
		}
	case "RATE":
		c.slow++ // wait a minute at least, then two, then four
	}
	c.fail(now, ErrKissOfDeath)
}

// take learns the time from p. With T1 and T4 by our clock and T2 and T3 by the server's, the offset is
// ((T2 - T1) + (T3 - T4)) / 2 (RFC 4330, 5).
func (c *Client) take(now time.Time, p *wire.NTP) {
	t2, t3 := p.Receive.Time(), p.Transmit.Time()
	if t3.Before(c.c.NotBefore) || t3.After(c.c.NotAfter) {
		c.counters.Unusable++
		c.fail(now, ErrImplausible)
		return
	}
	forth, back := t2.Sub(c.sent), t3.Sub(now)
	c.offset, c.known = forth/2+back/2+(forth%2+back%2)/2, true
	c.counters.Synced++
	c.event(now, Event{Kind: EventSynced, Name: c.servers[c.at], Server: c.server, Offset: c.offset})
	c.failures, c.slow = 0, 0
	// Spread over a 32nd part of the interval, so that hosts that started together drift apart.
	c.rest(now, c.c.Interval-time.Duration(c.rand.Int64N(int64(c.c.Interval/32)+1)))
}
