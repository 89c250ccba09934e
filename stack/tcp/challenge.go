package tcp

import (
	"time"

	"github.com/understudy-net/understudy/wire"
)

// checkRST is the second step. Only a RST with exactly the next number ends the connection;
// elsewhere in the window it may be forged and is challenged (RFC 9293, 3.10.7.4; RFC 5961, 3.2).
func (c *Conn) checkRST(now Instant, seg *wire.TCP) Change {
	if seg.Seq != c.rcv.nxt {
		c.challenge(now)
		return Dropped
	}
	switch c.state {
	case StateTimeWait:
		return Dropped // RFC 1337: it must not cut TIME-WAIT short
	case StateSynReceived:
		if c.has(flagActive) {
			return c.die(CauseRefused)
		}
		return c.die(CauseReset) // back to LISTEN, which is the owner's (MUST-11)
	case StateClosing, StateLastAck:
		return c.die(CauseNone)
	}
	return c.die(CauseReset)
}

// checkSYN is the fourth step. A SYN in a window is an error of an old or a forged connection: it
// is challenged (RFC 5961, 4.2).
func (c *Conn) checkSYN(now Instant, seg *wire.TCP) Change {
	if c.state == StateSynReceived && !c.has(flagActive) {
		return c.die(CauseReset) // back to LISTEN (RFC 9293, 3.10.7.4, fourth step)
	}
	c.challenge(now)
	return Dropped
}

// Challenge ACKs are limited per connection, so that one connection says nothing about the load of
// another (RFC 5961, 7; CVE-2016-5696).
const (
	challengeBurst  = 10
	challengePeriod = time.Second
)

func (c *Conn) challenge(now Instant) {
	if c.allowChallenge(now) {
		c.set(flagAckNow)
	}
}

func (c *Conn) allowChallenge(now Instant) bool {
	// The low bits of the timestamp offset, which is random, make periods and bursts differ between
	// connections.
	jitter := time.Duration(c.tsOffset&0x3ff) * time.Millisecond / 2
	if now.Sub(c.challengeAt) >= challengePeriod+jitter {
		c.challengeAt = now
		c.challenges = challengeBurst - uint8(c.tsOffset>>10&3)
	}
	if c.challenges == 0 {
		return false
	}
	c.challenges--
	return true
}
