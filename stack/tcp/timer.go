package tcp

import "time"

const r1 = 3 // retransmissions after which the way is in doubt (RFC 9293, 3.8.3; MUST-20)

// Deadline returns when Advance is next needed; 0 means never.
func (c *Conn) Deadline() Instant {
	d := c.rtxAt
	if d != 0 && !c.has(flagPersist) || c.userTimeout() != 0 && d != 0 {
		d = min(d, c.giveUpAt())
	}
	d = earlier(d, c.ackAt)
	d = earlier(earlier(d, c.waitAt), c.ptoAt)
	if c.opt != nil {
		d = earlier(d, c.keepAliveAt())
	}
	return d
}

func earlier(a, b Instant) Instant {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

func (c *Conn) userTimeout() time.Duration {
	if c.opt == nil {
		return 0
	}
	return c.opt.userTimeout
}

// giveUpAt is R2 (RFC 9293, 3.8.3): the instant at which data that are still unacknowledged end
// the connection.
func (c *Conn) giveUpAt() Instant {
	if d := c.userTimeout(); d != 0 {
		return c.since.Add(d)
	}
	switch c.state {
	case StateSynSent:
		return c.since.Add(or(c.cfg.ConnectTimeout, 180*time.Second))
	case StateSynReceived:
		return c.since.Add(or(c.cfg.AcceptTimeout, 60*time.Second))
	}
	from := c.since
	if c.has(flagPersist) && !c.has(flagUserClosed) {
		from = c.heard // as long as probes are answered the connection stays (MUST-37), but not for nobody (T-36)
	}
	return from.Add(or(c.cfg.UserTimeout, 120*time.Second))
}

// keepAliveAt is when the next keep-alive is due; only an idle connection sends them (MUST-26).
func (c *Conn) keepAliveAt() Instant {
	o := c.opt
	if o.keepIdle == 0 || c.flight() != 0 || c.rtxAt != 0 {
		return 0
	}
	switch c.state {
	case StateEstablished, StateCloseWait, StateFinWait2:
		if c.keepProbes > 0 {
			return o.keepFrom.Add(o.keepInterval)
		}
		return max(c.heard, o.keepFrom).Add(o.keepIdle)
	}
	return 0
}

// Advance fires the timers that are due. Output has what they want sent.
func (c *Conn) Advance(now Instant) Change {
	var change Change
	if c.rtxAt != 0 && (c.rtxAt <= now || c.giveUpAt() <= now) {
		change |= c.rtxExpired(now)
	}
	if c.ptoAt != 0 && c.ptoAt <= now {
		c.ptoExpired(now)
	}
	if c.ackAt != 0 && c.ackAt <= now {
		c.ackAt = 0
		c.set(flagAckNow)
	}
	if c.waitAt != 0 && c.waitAt <= now {
		return change | c.die(CauseNone) // TIME-WAIT is over, or nobody ever closed the other half
	}
	if c.opt != nil {
		if at := c.keepAliveAt(); at != 0 && at <= now {
			change |= c.keepAliveExpired(now)
		}
	}
	return change
}

func (c *Conn) rtxExpired(now Instant) Change {
	if !c.has(flagPersist) && c.snd.wnd == 0 && c.state.synchronized() && c.snd.una != c.end() {
		// The peer took its window back. Nothing may be sent into it, and that is no reason to
		// give up: probe instead (SHLD-16, SHLD-17).
		c.set(flagPersist)
		c.snd.pos, c.timedAt = c.snd.una, 0
	}
	if c.has(flagPersist) {
		return c.persistExpired(now)
	}
	if c.giveUpAt() <= now {
		if c.state.synchronized() {
			c.sendReset(c.snd.nxt, true)
		}
		return c.die(CauseTimeout)
	}
	// RFC 6298, 5.4 to 5.6: the earliest segment again, RTO doubled, the timer restarted.
	repeated := c.tries > 0
	if c.tries < 255 {
		c.tries++
	}
	c.rtt.onTimeout()
	c.rtxAt = now.Add(c.rtt.rto())
	c.timedAt = 0
	if c.state.synchronized() {
		c.checkBlackHole(now)
		c.cc.onTimeout(c.flight(), c.segMSS(), c.snd.nxt, repeated)
	} else {
		c.set(flagSynLost)
	}
	c.endTLP()
	c.sacked = nil        // the receiver may have dropped what it SACKed (RFC 2018, 8; SACK-3)
	c.snd.pos = c.snd.una // go back N: the rest follows in slow start
	if c.tries == r1 {
		return Suspect
	}
	return 0
}

func (c *Conn) persistExpired(now Instant) Change {
	if c.giveUpAt() <= now && c.tries > 0 {
		c.sendReset(c.snd.nxt, true)
		return c.die(CauseTimeout)
	}
	if c.tries < 255 {
		c.tries++
	}
	c.set(flagProbe)
	c.rtxAt = now.Add(c.persistInterval())
	return 0
}

// keepAliveExpired sends a keep-alive, or gives up after so many without an answer; a single
// one that is lost ends nothing (MUST-27..29).
func (c *Conn) keepAliveExpired(now Instant) Change {
	if int(c.keepProbes) >= c.opt.keepCount {
		c.sendReset(c.snd.nxt, true)
		return c.die(CauseTimeout)
	}
	c.keepProbes++
	c.opt.keepFrom = now
	c.set(flagKeepAlive)
	return 0
}
