package tcp

import (
	"time"

	"github.com/understudy-net/understudy/wire"
)

// Tail loss probes (RFC 8985, 7): when the last segments of a burst are lost nothing comes back that
// would tell, and only RTO would find out. A probe, sent much earlier, makes the receiver SACK it,
// and recovery begins.
const (
	minPTO      = 10 * time.Millisecond  // timers of peers and owners are not finer than that
	maxAckDelay = 200 * time.Millisecond // TLP.max_ack_delay: a single segment may wait so long for its ACK
)

// schedulePTO arms the probe's timer after new data or an ACK of new data (RFC 8985, 7.2), if it
// would be earlier than RTO.
func (c *Conn) schedulePTO(now Instant) {
	c.ptoAt = 0
	if c.flags&(flagSACK|flagTLP|flagPersist) != flagSACK || c.sacked != nil || c.cc.fast ||
		c.rtt.srtt == 0 || c.rtt.backoff > 0 || c.snd.pos != c.snd.nxt || c.snd.nxt == c.snd.una {
		return
	}
	pto := max(2*c.rtt.srtt, minPTO)
	if c.flight() <= c.segMSS() {
		pto += maxAckDelay
	}
	if at := now.Add(pto); at < c.rtxAt {
		c.ptoAt = at
	}
}

// ptoExpired is RFC 8985, 7.3. RTO starts anew with the probe.
func (c *Conn) ptoExpired(now Instant) {
	c.ptoAt = 0
	if c.flight() == 0 || c.has(flagPersist) || !c.state.sends() {
		return
	}
	c.set(flagTailProbe)
	c.rtxAt = now.Add(c.rtt.rto())
}

// outputTailProbe sends the next new data, whatever cwnd says, or the end of what is in flight
// again.
func (c *Conn) outputTailProbe(now Instant, b []byte) int {
	if c.flight() == 0 || !c.state.sends() || c.snd.pos != c.snd.nxt || c.cc.fast {
		return 0
	}
	mss := c.segMSS()
	used := c.flight()
	n := min(c.end()-wire.SeqMin(c.snd.pos, c.end()), c.snd.wnd-min(used, c.snd.wnd), mss)
	seq := c.snd.pos
	c.clear(flagTLPResent)
	if n == 0 {
		c.set(flagTLPResent)
		last := wire.SeqMin(c.snd.nxt, c.end()) // FIN goes with it
		seq = last - min(mss, last-c.snd.una)
		n = last - seq
	}
	k := c.outputAt(now, b, seq, n)
	if k > 0 {
		c.ptoAt = 0 // one probe for a tail
		c.set(flagTLP)
		c.tlpEnd = c.snd.nxt
	}
	return k
}

// onTLPAck ends the episode of a probe (RFC 8985, 7.4.2). duplicate says that seg acknowledges
// nothing new and SACKs nothing.
func (c *Conn) onTLPAck(seg *wire.TCP, duplicate bool) {
	if wire.SeqLT(seg.Ack, c.tlpEnd) {
		return
	}
	switch {
	case !c.has(flagTLPResent): // new data: the rest was not lost
	case c.dsacked(seg): // case 1: the receiver had it
	case wire.SeqGT(seg.Ack, c.tlpEnd):
		// Case 2: no word of a second copy, so the first one was lost and the probe repaired it.
		// The network must not go unheard for that.
		if !c.cc.fast {
			c.cc.onLoss(max(c.flight(), c.cc.cwnd/2), c.segMSS(), c.snd.nxt, false)
			c.cc.cwnd = min(c.cc.cwnd, c.cc.ssthresh)
		}
	case duplicate: // case 3: both copies were acknowledged
	default:
		return
	}
	c.clear(flagTLP | flagTLPResent)
}

// dsacked reports whether the first block of seg says that the end of the probe came twice (RFC
// 2883, 4).
func (c *Conn) dsacked(seg *wire.TCP) bool {
	if seg.Opt.NSACK == 0 {
		return false
	}
	b := seg.Opt.SACK[0]
	return wire.SeqLEQ(b.Right, seg.Ack) && wire.SeqGEQ(b.Right, c.tlpEnd-1) && wire.SeqLT(b.Left, b.Right)
}

// probeArrived reports whether the SACK block b has the octet that ends the probe. Whatever was sent
// before the probe, two round trips earlier, and has not arrived, is lost (RFC 8985, 6.2: RACK).
func (c *Conn) probeArrived(b seqRange) bool {
	return c.has(flagTLP) && wire.SeqLT(b.left, c.tlpEnd) && wire.SeqGEQ(b.right, wire.SeqMin(c.tlpEnd, c.end()))
}

// endTLP forgets the probe: recovery or a timeout has taken over.
func (c *Conn) endTLP() {
	c.ptoAt = 0
	c.clear(flagTLP | flagTLPResent | flagTailProbe)
}
