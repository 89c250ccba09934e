package tcp

import (
	"time"

	"github.com/understudy-net/understudy/wire"
)

// synWindow is the window in a SYN: not scaled (RFC 7323, 2.2).
func (c *Conn) synWindow() uint16 {
	w := min(c.recvSpace(), 65535)
	if c.state == StateSynReceived {
		c.rcv.edge = c.rcv.nxt + w
	}
	return uint16(w)
}

// recvSpace is what the receive buffer may still take. A unit of the scaled window is kept back, as
// room for rounding up in announce.
func (c *Conn) recvSpace() uint32 {
	limit := c.rcv.limit - (1<<c.rcvScale - 1)
	return limit - min(c.rcv.buf.n, limit)
}

// announce computes the window to offer and remembers its edge. The edge never moves back
// (SHLD-14), and moves on only by a worthwhile step (receiver's silly window avoidance, RFC 9293,
// 3.8.6.2.2; MUST-39).
func (c *Conn) announce() uint16 {
	old := c.rcv.edge - c.rcv.nxt
	wnd := c.recvSpace()
	units := wnd >> c.rcvScale
	if units<<c.rcvScale < old || wnd-old < min(c.rcv.limit/2, uint32(c.rcvMSS)) {
		// The old edge. Rounding down takes back a little of what was offered, which RFC 7323, 2.4
		// foresees; rounding up is better as long as there is room.
		units = (old + 1<<c.rcvScale - 1) >> c.rcvScale
		if units<<c.rcvScale > c.rcv.limit-min(c.rcv.buf.n, c.rcv.limit) {
			units = old >> c.rcvScale
		}
	}
	units = min(units, 65535)
	c.rcv.edge = wire.SeqMax(c.rcv.edge, c.rcv.nxt+units<<c.rcvScale)
	return uint16(units)
}

// windowGrew reports whether the user has read so much that the peer should be told at once: half
// of the buffer, or a few segments when it is about to run out of window.
func (c *Conn) windowGrew() bool {
	left := c.rcv.edge - c.rcv.nxt
	grown := int32(c.recvSpace() - left)
	mss := int32(c.rcvMSS)
	return grown >= int32(c.rcv.limit/2) || grown >= min(2*mss, int32(c.rcv.limit/2)) && int32(left) < 2*mss
}

// startPersist arms the timer of zero-window probes (RFC 9293, 3.8.6.1): the first after one RTO,
// then ever rarer (MUST-36, SHLD-29, SHLD-30).
func (c *Conn) startPersist(now Instant) {
	c.set(flagPersist)
	c.tries = 0
	c.since, c.heard = now, now
	c.rtxAt = now.Add(c.persistInterval())
}

func (c *Conn) persistInterval() time.Duration {
	return min(c.rtt.unbacked()<<min(c.tries, maxBackoff), maxRTO)
}
