package tcp

import (
	"github.com/understudy-net/understudy/wire"
)

// Input handles a segment for this connection whose checksum was right. The order of the
// steps is that of RFC 9293, 3.10.7. Output has what is to be answered.
func (c *Conn) Input(now Instant, seg *wire.TCP, data []byte) Change {
	if c.predicted(seg, len(data)) {
		return c.inputPredicted(now, seg, data)
	}
	switch c.state {
	case StateClosed:
		return Dropped
	case StateSynSent:
		return c.inputSynSent(now, seg)
	}
	return c.inputOther(now, seg, data)
}

// predicted reports whether seg is what nearly all segments are: the next data in order, an ACK of
// something new, or both, with nothing unusual on either side (header prediction).
func (c *Conn) predicted(seg *wire.TCP, n int) bool {
	if c.state != StateEstablished || seg.Flags&^wire.PSH != wire.ACK || seg.Seq != c.rcv.nxt ||
		seg.Opt.TS != c.has(flagTS) || seg.Opt.NSACK > 0 || c.ooo != nil || c.cc.fast || c.snd.pos != c.snd.nxt || c.has(flagUserClosed) {
		return false
	}
	if seg.Opt.TS && int32(seg.Opt.TSVal-c.tsRecent) < 0 {
		return false
	}
	if fresh := seg.Ack - c.snd.una; fresh > c.snd.nxt-c.snd.una || n == 0 && fresh == 0 {
		return false
	}
	return uint32(n) <= c.rcv.edge-c.rcv.nxt
}

func (c *Conn) inputPredicted(now Instant, seg *wire.TCP, data []byte) Change {
	c.onHeard(now)
	if seg.Opt.TS && wire.SeqLEQ(seg.Seq, c.rcv.acked) {
		c.tsRecent, c.tsRecentAt = seg.Opt.TSVal, now
	}
	// Next in order and no older an ACK: its window is the latest.
	c.snd.wnd = uint32(seg.Wnd) << c.sndScale
	c.snd.maxWnd = max(c.snd.maxWnd, c.snd.wnd)
	c.snd.wl1, c.snd.wl2 = seg.Seq, seg.Ack
	var change Change
	if seg.Ack != c.snd.una {
		change = c.newAck(now, seg)
	}
	if len(data) == 0 {
		return change
	}
	c.rcv.buf.Write(&c.cfg.Pool, data)
	c.rcv.nxt += uint32(len(data))
	c.scheduleAck(now)
	return change | Readable
}

// onHeard notes that the peer is alive.
func (c *Conn) onHeard(now Instant) {
	c.heard = now
	c.keepProbes = 0
}

// inputSynSent is RFC 9293, 3.10.7.3.
func (c *Conn) inputSynSent(now Instant, seg *wire.TCP) Change {
	// First, check the ACK bit. Ours is the only SYN in flight, so only ISS+1 can be right.
	acked := false
	if seg.Flags.Has(wire.ACK) {
		if seg.Ack != c.iss+1 || c.snd.nxt == c.iss {
			if !seg.Flags.Has(wire.RST) {
				c.sendReset(seg.Ack, false)
			}
			return Dropped
		}
		acked = true
	}
	// Second, check the RST bit: it is believed only with an acceptable ACK.
	if seg.Flags.Has(wire.RST) {
		if acked {
			return c.die(CauseRefused)
		}
		return Dropped
	}
	// Fourth, check the SYN bit; fifth, without one drop the segment.
	if !seg.Flags.Has(wire.SYN) {
		return Dropped
	}
	c.onHeard(now)
	c.onSyn(now, seg)
	if !acked {
		// Both ends opened at once; that must still connect (RFC 9293, 3.5, figure 8; MUST-10).
		c.state = StateSynReceived
		c.snd.pos = c.iss
		c.timedAt = 0
		return 0
	}
	c.synAcked(now, seg)
	c.set(flagAckNow)
	return c.establish(now)
}

// synAcked takes the ACK of our SYN.
func (c *Conn) synAcked(now Instant, seg *wire.TCP) {
	c.sampleRTT(now, seg, seg.Ack)
	c.snd.una = c.iss + 1
	c.snd.pos = wire.SeqMax(c.snd.pos, c.snd.una)
	c.rtxAt, c.tries = 0, 0
}

func (c *Conn) establish(now Instant) Change {
	c.state = StateEstablished
	c.cc.onOpen(c.segMSS(), c.has(flagSynLost))
	c.rtt.onEstablished()
	c.since = now
	if c.has(flagFin) { // Close came before the connection was there
		c.state = StateFinWait1
	}
	return Connected | Writable
}

// inputOther is RFC 9293, 3.10.7.4: all states but CLOSED, LISTEN and SYN-SENT.
func (c *Conn) inputOther(now Instant, seg *wire.TCP, data []byte) Change {
	if c.state == StateSynReceived && seg.Flags.Has(wire.SYN) && seg.Seq == c.irs && !seg.Flags.Has(wire.RST) {
		return c.repeatedSyn(now, seg)
	}
	seg2 := *seg // trimmed to the window below; the caller's stays
	seg = &seg2
	if ok := c.checkSeq(now, seg, &data); !ok {
		return c.ackOfProber(now, seg) | Dropped
	}
	if seg.Flags.Has(wire.RST) {
		return c.checkRST(now, seg)
	}
	if seg.Flags.Has(wire.SYN) {
		return c.checkSYN(now, seg)
	}
	if !seg.Flags.Has(wire.ACK) {
		return Dropped // fifth, an ACK is required from here on
	}
	change, ok := c.checkACK(now, seg, len(data))
	if !ok {
		return change | Dropped
	}
	// Sixth, URG: the pointer is never used, the data are taken as they come (RFC 6093).
	if len(data) > 0 {
		change |= c.takeData(now, seg.Seq, data)
	}
	if seg.Flags.Has(wire.FIN) && c.state != StateClosed {
		change |= c.checkFIN(now, seg.Seq+uint32(len(data)))
	}
	return change
}

// repeatedSyn is the peer's first SYN once more, or the SYN,ACK of a simultaneous open, which has
// the same number (RFC 9293, figure 8).
func (c *Conn) repeatedSyn(now Instant, seg *wire.TCP) Change {
	if c.has(flagHold) {
		return Dropped
	}
	if c.has(flagActive) && seg.Flags.Has(wire.ACK) && seg.Ack == c.iss+1 && c.snd.nxt != c.iss {
		c.onHeard(now)
		c.snd.wnd = uint32(seg.Wnd)
		c.snd.maxWnd = max(c.snd.maxWnd, c.snd.wnd)
		c.snd.wl1, c.snd.wl2 = seg.Seq, seg.Ack
		c.synAcked(now, seg)
		c.set(flagAckNow)
		return c.establish(now)
	}
	if c.allowChallenge(now) {
		c.snd.pos = c.iss // SYN,ACK again
	}
	return Dropped
}
