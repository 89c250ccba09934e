package tcp

import (
	"time"
)

// SetNoDelay turns Nagle's algorithm off (RFC 9293, 3.7.4; MUST-17). It is on at first.
func (c *Conn) SetNoDelay(on bool) {
	if on {
		c.set(flagNoDelay)
	} else {
		c.clear(flagNoDelay)
	}
}

func (c *Conn) knobs() *options {
	if c.opt == nil {
		c.opt = &options{}
	}
	return c.opt
}

// SetKeepAlive asks for keep-alives after a time idle without a segment from the peer, count of
// them, interval apart, before the connection is given up (RFC 9293, 3.8.4). An idle of 0 turns
// them off, which is the default (MUST-24, MUST-25).
func (c *Conn) SetKeepAlive(now Instant, idle, interval time.Duration, count int) {
	o := c.knobs()
	o.keepFrom = now
	o.keepIdle, o.keepInterval, o.keepCount = max(idle, 0), max(interval, time.Second), max(count, 1)
	c.keepProbes = 0
}

// SetUserTimeout sets R2 for this connection: how long data may stay unacknowledged, a closed
// window included, before it is given up (RFC 9293, 3.8.3; RFC 5482). 0 means the owner's default,
// which does not count time in which the peer answers zero-window probes (MUST-37).
func (c *Conn) SetUserTimeout(d time.Duration) { c.knobs().userTimeout = max(d, 0) }

// SetBuffers bounds the receive and the send buffer, in bytes, which do not grow by themselves any
// more; 0 leaves one as it is. They are kept between 2 KiB and the owner's MaxBuffer. A smaller receive
// buffer takes effect as data arrive: the window is never taken back (SHLD-14).
func (c *Conn) SetBuffers(recv, send int) {
	if recv > 0 {
		c.clear(flagTuneRecv)
		c.rcv.limit = uint32(min(max(recv, minBuffer), c.cfg.maxBuffer()))
	}
	if send > 0 {
		c.clear(flagTuneSend)
		c.snd.limit = uint32(min(max(send, minBuffer), c.cfg.maxBuffer()))
	}
}
