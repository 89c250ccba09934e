package tcp

import (
	"time"

	"github.com/understudy-net/understudy/wire"
)

// takeData is the seventh step: the segment's text, trimmed to the window.
func (c *Conn) takeData(now Instant, seq uint32, data []byte) Change {
	if !c.state.receives() {
		return 0 // it comes behind the peer's FIN (T-42)
	}
	if c.has(flagUserClosed) {
		// Nobody will read it; a peer that goes on sending must be told (RFC 9293, 3.6.1).
		c.sendReset(c.snd.nxt, true)
		return c.die(CauseAborted)
	}
	if c.ooo != nil && c.ooo.hasFin && wire.SeqGT(seq+uint32(len(data)), c.ooo.fin) {
		if !wire.SeqLT(seq, c.ooo.fin) {
			return 0
		}
		data = data[:c.ooo.fin-seq] // data behind a FIN do not exist
	}
	if seq != c.rcv.nxt {
		c.set(flagAckNow) // so that the sender learns of the hole (SHLD-31, MAY-13; CC-10)
		if c.ooo == nil {
			c.ooo = &reassembly{}
		}
		if r := (seqRange{seq, seq + uint32(len(data))}); c.has(flagSACK) {
			if _, had := c.ooo.covering(r); had {
				c.noteDuplicate(r.left, r.right)
			}
		}
		c.ooo.add(&c.cfg.Pool, &c.rcv.buf, c.rcv.nxt, seq, data)
		return 0
	}
	if c.ooo == nil {
		c.rcv.buf.Write(&c.cfg.Pool, data)
		c.rcv.nxt += uint32(len(data))
		c.scheduleAck(now)
		return Readable
	}
	c.ooo.add(&c.cfg.Pool, &c.rcv.buf, c.rcv.nxt, seq, data)
	return c.fillHole(now, data)
}

// fillHole moves RCV.NXT over all that is now in order. One ACK answers all of it (MUST-58,
// MUST-59).
func (c *Conn) fillHole(now Instant, data []byte) Change {
	n := c.ooo.take(c.rcv.nxt)
	if n == 0 { // no place for another range; the next data in order always have one
		c.rcv.buf.Write(&c.cfg.Pool, data)
		n = uint32(len(data))
	} else {
		c.rcv.buf.Extend(int(n))
	}
	c.rcv.nxt += n
	c.set(flagAckNow)
	change := Readable
	if c.ooo.hasFin && c.ooo.fin == c.rcv.nxt {
		change |= c.finInPlace(now)
	}
	if c.ooo != nil && c.ooo.empty() {
		c.ooo = nil
	}
	return change
}

// scheduleAck acknowledges every second segment at once, others a little later, in the hope
// that the answer carries the ACK (SHLD-18, SHLD-19, MUST-40).
func (c *Conn) scheduleAck(now Instant) {
	if c.has(flagTuneRecv) {
		c.tuneRecv(now)
	}
	c.unacked++
	if c.unacked >= 2 {
		c.set(flagAckNow)
	} else if c.ackAt == 0 {
		c.ackAt = now.Add(or(c.cfg.DelayedAck, 40*time.Millisecond))
	}
}

// checkFIN is the eighth step, for a FIN at seq.
func (c *Conn) checkFIN(now Instant, seq uint32) Change {
	switch {
	case c.state == StateSynReceived:
		return 0 // cannot be: the fifth step has left it
	case c.has(flagRcvdFin):
		c.set(flagAckNow)
		if c.state == StateTimeWait {
			c.startTimeWait(now)
		}
		return 0
	case seq != c.rcv.nxt:
		if wire.SeqGT(seq, c.rcv.nxt) && c.state.receives() {
			if c.ooo == nil {
				c.ooo = &reassembly{}
			}
			if !c.ooo.hasFin && !c.ooo.beyond(seq) { // the first FIN counts (T-42)
				c.ooo.fin, c.ooo.hasFin = seq, true
			}
			c.set(flagAckNow)
		}
		return 0
	}
	return c.finInPlace(now)
}

// beyond reports whether data behind seq have been received.
func (o *reassembly) beyond(seq uint32) bool {
	return o.n > 0 && wire.SeqGT(o.ranges[o.n-1].right, seq)
}

// finInPlace takes the peer's FIN, which is next in order.
func (c *Conn) finInPlace(now Instant) Change {
	c.rcv.nxt++
	c.rcv.edge = wire.SeqMax(c.rcv.edge, c.rcv.nxt)
	c.set(flagRcvdFin | flagAckNow)
	c.dropOutOfOrder()
	switch c.state {
	case StateEstablished:
		c.state = StateCloseWait
	case StateFinWait1:
		c.state = StateClosing // simultaneous close; if ours were acknowledged we would be in FIN-WAIT-2
	case StateFinWait2:
		c.startTimeWait(now)
	}
	return Readable
}
