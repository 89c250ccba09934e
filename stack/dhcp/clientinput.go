package dhcp

import "time"

// Input takes the payload of a datagram for port 68. What does not fit is dropped and counted; who
// sent it does not matter, since servers are known by their identifier (RFC 2131, 4.1).
func (c *Client) Input(now time.Time, payload []byte) {
	c.counters.Received++
	m, err := Parse(payload)
	if err != nil {
		c.counters.Malformed++
		return
	}
	if m.Op != BootReply || m.XID != c.xid || m.MAC != c.c.MAC {
		c.counters.NotOurs++
		return
	}
	if !isHost(m.ServerID) {
		c.counters.Unacceptable++
		return
	}
	switch {
	case c.state == StateSelecting && m.Type == Offer:
		c.onOffer(now, &m)
	case c.awaitsAnswer(&m) && m.Type == Ack:
		c.onAck(now, &m)
	case c.awaitsAnswer(&m) && m.Type == Nak:
		c.onNak(now)
	default:
		c.counters.Unexpected++
	}
}

// awaitsAnswer reports whether an ACK or NAK from the sender of m is due: from the server that was asked, or
// from any if all were.
func (c *Client) awaitsAnswer(m *Message) bool {
	switch c.state {
	case StateRequesting:
		return m.ServerID == c.from
	case StateRenewing:
		return m.ServerID == c.lease.Server
	case StateRebooting, StateRebinding:
		return true
	}
	return false
}

// onOffer takes the first offer that can be used.
func (c *Client) onOffer(now time.Time, m *Message) {
	if _, ok := leaseOf(m, now); !ok {
		c.counters.Unacceptable++
		return
	}
	c.state, c.tries = StateRequesting, 0
	c.asked, c.from = m.YourIP, m.ServerID
	c.transmit(now) // with the same xid (RFC 2131, 4.4.1)
}

func (c *Client) onAck(now time.Time, m *Message) {
	l, ok := leaseOf(m, c.sent)
	renewal := c.state == StateRenewing || c.state == StateRebinding
	if renewal && c.lease.Addr.Addr() != m.YourIP || !renewal && c.asked != m.YourIP {
		ok = false // another address than the one asked for: wait for a better answer
	}
	if ok && !l.Expiry.IsZero() && !now.Before(l.Expiry) {
		ok = false // it came after its end
	}
	if !ok {
		c.counters.Unacceptable++
		return
	}
	c.state, c.tries, c.naks, c.failed, c.send = StateBound, 0, 0, false, false
	c.moved = false
	c.lease = l
	c.timer = l.T1
	kind := EventBound
	if renewal {
		kind = EventRenewed
	}
	c.event(now, Event{Kind: kind, Lease: l})
}

// onNak starts again (RFC 2131, 4.4.4 and 4.4.5). A server that goes on offering and refusing is asked ever more rarely.
func (c *Client) onNak(now time.Time) {
	if c.hasLease() {
		c.lose(now, ErrRefused)
	}
	var wait time.Duration
	if c.naks > 0 {
		wait = c.jitter(min(time.Second<<min(c.naks, 6), c.c.MaxRetry))
	}
	c.naks++
	c.init(now, wait)
}
