package dhcp

import (
	"math"
	"net/netip"
	"time"
)

// Advance does what is due: repeats, gives up, renews, expires.
func (c *Client) Advance(now time.Time) {
	// Each turn moves the timer forward or the state on; after a long sleep several states may have
	// passed, from BOUND to expiry at most.
	for range 8 {
		if c.timer.IsZero() || now.Before(c.timer) {
			return
		}
		c.fire(now)
	}
}

func (c *Client) fire(now time.Time) {
	switch c.state {
	case StateInit:
		c.discover(now)
	case StateSelecting:
		if c.tries == c.c.Attempts {
			c.fail(now, ErrNoAnswer)
		}
		c.transmit(now)
	case StateRequesting, StateRebooting:
		if c.tries >= requests {
			if c.state == StateRequesting {
				c.fail(now, ErrNoAnswer)
			}
			c.init(now, 0)
			return
		}
		c.transmit(now)
	case StateBound:
		c.renew(now, StateRenewing)
	case StateRenewing:
		if !now.Before(c.lease.T2) {
			c.fail(now, ErrNoAnswer)
			c.renew(now, StateRebinding)
			return
		}
		c.transmit(now)
	case StateRebinding:
		switch end := c.lease.Expiry; {
		case end.IsZero() && c.tries >= requests: // of Rebind, which nobody has answered: it holds for ever
			c.state, c.timer, c.moved = StateBound, time.Time{}, false
		case !end.IsZero() && !now.Before(end):
			c.lose(now, ErrExpired)
			c.init(now, 0)
		default:
			c.transmit(now)
		}
	default:
		c.timer = time.Time{}
	}
}

// fail tells the owner once that nobody answers.
func (c *Client) fail(now time.Time, err error) {
	if !c.failed {
		c.failed = true
		c.event(now, Event{Kind: EventFailed, Lease: c.lease, Err: err})
	}
}

// lose ends the lease; where to go from there is for the caller to say.
func (c *Client) lose(now time.Time, err error) {
	lost := c.lease
	c.lease, c.failed = Lease{}, false
	c.event(now, Event{Kind: EventLost, Lease: lost, Err: err})
}

// renew enters RENEWING or REBINDING (RFC 2131, 4.4.5).
func (c *Client) renew(now time.Time, s State) {
	if s == StateRenewing {
		c.since = now
	}
	c.state, c.tries = s, 0
	c.fire(now)
}

// transmit has the state's message sent and sets the time of the next one.
func (c *Client) transmit(now time.Time) {
	c.send = true
	c.pend(now)
	c.tries++
	switch c.state {
	case StateRenewing, StateRebinding:
		// Each message is a transaction of its own, so an answer tells which one it is to, and the lease
		// counts from there.
		c.xid, c.sent = c.rand.Uint32(), now
		wait := c.untilNextRenewal(now)
		if c.moved = c.moved && c.tries <= requests; c.moved {
			wait = min(wait, c.jitter(c.backoff()))
		}
		c.timer = now.Add(wait)
	default:
		if c.tries == 1 {
			c.sent = now // the earliest request that may win: the safe one (4.4.1)
		}
		c.timer = now.Add(c.jitter(c.backoff()))
	}
}

// backoff returns the time to the next repetition: it doubles from Retry to MaxRetry (RFC 2131, 4.1), and is
// LateRetry once the attempts are used up.
func (c *Client) backoff() time.Duration {
	if c.state == StateSelecting && c.tries > c.c.Attempts {
		return c.c.LateRetry
	}
	d := c.c.Retry
	for i := 1; i < c.tries && d < c.c.MaxRetry; i++ {
		d *= 2
	}
	return min(d, c.c.MaxRetry)
}

// jitter moves d by up to a second either way (RFC 2131, 4.1), but by no more than a quarter of it: twice as much is
// then always longer, whatever the chance.
func (c *Client) jitter(d time.Duration) time.Duration {
	j := min(time.Second, d/4)
	return d - j + time.Duration(c.rand.Int64N(int64(2*j)+1))
}

// untilNextRenewal returns the time to the next REQUEST of a renewal: half of what is left to T2 or to
// expiry, at least a minute, but not beyond (RFC 2131, 4.4.5).
func (c *Client) untilNextRenewal(now time.Time) time.Duration {
	end := c.lease.T2
	if c.state == StateRebinding {
		end = c.lease.Expiry
	}
	if end.IsZero() {
		return math.MaxInt64
	}
	left := end.Sub(now)
	return max(min(max(left/2, minRenewRetry), left), 0)
}

var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})
