package tcp

import (
	"time"

	"github.com/understudy-net/understudy/wire"
)

// Path MTU discovery: by the reports of routers (RFC 1191), and where those are missing by what
// arrives (RFC 4821).
const (
	minPathMTU     = 552              // what is less is fragmented by whoever wants it so (PMTU-1)
	blackHoleMSS   = 1240             // the first step down, without a report: the MTU is 1280 in many tunnels
	blackHoleTries = 2                // timeouts of a segment that make the path suspect
	raiseAfter     = 10 * time.Minute // when a larger size may be tried again (RFC 1191, 6.3; PMTU-2)
	raiseSoon      = 10 * time.Second // the same after a step down that no router asked for
	probeAhead     = 4                // segments of data that a probe wants behind it, so that its loss is seen soon
)

// pathMTU is made when the path turns out to take less than both ends do.
type pathMTU struct {
	full     uint16  // MSS by both ends: what probes try
	probing  bool    // a segment of that size is on its way:
	from, to uint32  // these octets
	raiseAt  Instant // when one may be sent; 0: the path takes all
	cwnd     uint32  // before the probe
}

// SetPathMTU takes the report of a router that a packet was too long for a path of mtu bytes (RFC
// 1191). It never raises the size of segments, and does not take it below 552 bytes of MTU. What is
// in flight is sent again in pieces that fit, which is no sign of congestion (RFC 1191, 6.5). It
// reports whether it changed anything.
func (c *Conn) SetPathMTU(now Instant, mtu int) bool {
	m := uint16(min(max(mtu, minPathMTU), 65535) - 40)
	if p := c.path; p != nil && p.probing && m >= c.mss && m < p.full {
		c.mss = m // it was about the probe, and tells more than that did
	} else if m >= c.mss {
		return false
	}
	c.reduceMSS(now, m, raiseAfter)
	if c.flight() > 0 && c.state.sends() {
		c.snd.pos = c.snd.una
		c.timedAt = 0
	}
	return true
}

func (c *Conn) reduceMSS(now Instant, mss uint16, again time.Duration) {
	if c.path == nil {
		c.path = &pathMTU{full: c.mss}
	}
	c.mss = mss
	c.path.probing = false
	c.path.raiseAt = now.Add(again)
}

// checkBlackHole is called at each timeout. When a segment gets lost again and again it may be because
// it is too long for the path and the reports do not reach us (PMTU-3; RFC 2923, 2.1). A step down must
// make that segment shorter.
func (c *Conn) checkBlackHole(now Instant) {
	if p := c.path; p != nil && p.probing {
		c.probeLost(now)
	}
	if c.tries < blackHoleTries || !c.state.sends() {
		return
	}
	size := min(c.flight(), c.snd.wnd, c.segMSS())
	for _, mss := range [...]uint16{blackHoleMSS, minPathMTU - 40} {
		if mss < c.mss && uint32(mss) < size {
			c.reduceMSS(now, mss, raiseSoon)
			return
		}
	}
}

// probeSize returns the length of a probe if one is to be sent now, of avail bytes of which usable
// fit in the windows; 0 if not. The probe is data that are due anyhow (RFC 4821, 7.3, 7.4).
func (c *Conn) probeSize(now Instant, avail, usable uint32) uint32 {
	p := c.path
	if p.raiseAt == 0 || now < p.raiseAt || p.probing || c.cc.fast || c.sacked != nil || c.snd.pos != c.snd.nxt {
		return 0
	}
	n := uint32(p.full)
	if c.has(flagTS) {
		n -= tsLen
	}
	if avail < n+probeAhead*c.segMSS() || usable < n {
		return 0
	}
	p.probing, p.from, p.to, p.cwnd = true, c.snd.pos, c.snd.pos+n, c.cc.cwnd
	return n
}

// probeAcked takes an ACK up to ack.
func (c *Conn) probeAcked(ack uint32) {
	if p := c.path; p.probing && wire.SeqGEQ(ack, p.to) {
		c.mss = p.full
		p.probing, p.raiseAt = false, 0
	}
}

// probeLost gives the probe up.
func (c *Conn) probeLost(now Instant) {
	c.path.probing = false
	c.path.raiseAt = now.Add(raiseAfter)
}

// recoverProbe is called when fast recovery begins. If the probe is what was lost that says nothing
// of congestion (RFC 4821, 7.5).
func (c *Conn) recoverProbe() {
	if p := c.path; p != nil && p.probing && c.snd.una == p.from {
		c.cc.ssthresh = max(c.cc.ssthresh, p.cwnd)
		c.probeLost(c.heard)
	}
}
