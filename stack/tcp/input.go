package tcp

import (
	"time"

	"github.com/understudy-net/understudy/wire"
)

// paws24Days is how long TS.Recent is believed while nothing arrives (RFC 7323, 5.5).
const paws24Days = 24 * 24 * time.Hour

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

// predicted reports whether seg is what nearly all segments of a bulk transfer are: the next data in order or a pure
// ACK, with nothing unusual on either side (header prediction).
func (c *Conn) predicted(seg *wire.TCP, n int) bool {
	if c.state != StateEstablished || seg.Flags&^wire.PSH != wire.ACK || seg.Seq != c.rcv.nxt ||
		seg.Opt.TS != c.has(flagTS) || c.ooo != nil || c.cc.fast || c.snd.pos != c.snd.nxt || c.has(flagUserClosed) {
		return false
	}
	if seg.Opt.TS && int32(seg.Opt.TSVal-c.tsRecent) < 0 {
		return false
	}
	if n == 0 {
		return wire.SeqGT(seg.Ack, c.snd.una) && wire.SeqLEQ(seg.Ack, c.snd.nxt)
	}
	return seg.Ack == c.snd.una && uint32(n) <= c.rcv.edge-c.rcv.nxt
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
	if len(data) == 0 {
		return c.newAck(now, seg)
	}
	c.rcv.buf.Write(&c.cfg.Pool, data)
	c.rcv.nxt += uint32(len(data))
	c.scheduleAck(now)
	return Readable
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

// checkSeq is the first step: is the segment in the window? It trims to the window what is partly in it (RFC 9293,
// 3.10.7.4, first step; 3.4). Before that PAWS rejects old duplicates (RFC 7323, 5.3, R1).
func (c *Conn) checkSeq(now Instant, seg *wire.TCP, data *[]byte) bool {
	if !c.checkTimestamp(now, seg, len(*data)) {
		return false
	}
	if seg.Flags.Has(wire.RST) { // by its number alone, whatever data it carries (SHLD-2)
		return seg.Seq == c.rcv.nxt || seg.Seq-c.rcv.nxt < c.rcv.edge-c.rcv.nxt
	}
	length := seg.Len(len(*data))
	wnd := c.rcv.edge - c.rcv.nxt
	ok := false
	switch {
	case length == 0 && wnd == 0:
		ok = seg.Seq == c.rcv.nxt
	case length == 0:
		ok = seg.Seq-c.rcv.nxt < wnd
	case wnd == 0:
		// Nothing may be taken, but RST and valid ACKs still count (MUST-66).
		ok = seg.Seq == c.rcv.nxt
	default:
		ok = seg.Seq-c.rcv.nxt < wnd || seg.Seq+length-1-c.rcv.nxt < wnd
	}
	if !ok {
		c.unacceptable(now, seg, len(*data))
		return false
	}
	c.trim(seg, data, wnd)
	if seg.Opt.TS && c.has(flagTS) && wire.SeqLEQ(seg.Seq, c.rcv.acked) {
		c.tsRecent, c.tsRecentAt = seg.Opt.TSVal, now // RFC 7323, 4.3 (2) and 5.3, R3
	}
	if !seg.Flags.Has(wire.SYN) {
		c.onHeard(now)
	}
	return true
}

// ackOfProber takes the ACK, and nothing else, of a segment that lies just one octet before the window. When both ends probe each other's closed window
// at once, and both octets were taken, all ACKs carry that number until one of them counts; to drop them, as RFC 9293, 3.10.7.4 says, would
// end in a deadlock. Its answer is due already.
func (c *Conn) ackOfProber(now Instant, seg *wire.TCP) Change {
	if seg.Seq != c.rcv.nxt-1 || seg.Flags&^wire.PSH != wire.ACK || !c.state.synchronized() || seg.Opt.TS != c.has(flagTS) {
		return 0
	}
	if wire.SeqLEQ(seg.Ack, c.snd.una) || wire.SeqGT(seg.Ack, c.snd.nxt) || wire.SeqGT(seg.Ack, c.end()) {
		return 0
	}
	c.onHeard(now)
	c.snd.wnd = uint32(seg.Wnd) << c.sndScale
	c.snd.maxWnd = max(c.snd.maxWnd, c.snd.wnd)
	return c.newAck(now, seg)
}

// checkTimestamp drops a segment without the timestamp that it must have (RFC 7323, 3.2) and
// one that is older than what we have seen (5.3, R1).
func (c *Conn) checkTimestamp(now Instant, seg *wire.TCP, n int) bool {
	if !c.has(flagTS) || seg.Flags.Has(wire.RST) {
		return true
	}
	if !seg.Opt.TS {
		return seg.Flags.Has(wire.SYN) // a SYN is challenged below
	}
	if int32(seg.Opt.TSVal-c.tsRecent) >= 0 || now.Sub(c.tsRecentAt) > paws24Days {
		return true
	}
	c.unacceptable(now, seg, n)
	return false
}

// unacceptable answers a segment outside of the window with an ACK, so that a peer that has lost track
// learns where we are. Without data such answers are limited, so that two ends
// cannot keep each other busy.
func (c *Conn) unacceptable(now Instant, seg *wire.TCP, n int) {
	if c.state == StateTimeWait && seg.Flags.Has(wire.FIN) {
		c.startTimeWait(now) // the peer has not seen our last ACK (RFC 9293, 3.10.7.4, eighth step)
		c.set(flagAckNow)
		return
	}
	if n > 0 || seg.Flags.Has(wire.FIN) || c.allowChallenge(now) {
		c.set(flagAckNow)
	}
}

// trim cuts off what lies before and behind the window.
func (c *Conn) trim(seg *wire.TCP, data *[]byte, wnd uint32) {
	if before := c.rcv.nxt - seg.Seq; int32(before) > 0 {
		if seg.Flags.Has(wire.SYN) {
			return // an old SYN: the fourth step challenges it
		}
		k := min(before, uint32(len(*data)))
		*data = (*data)[k:]
		seg.Seq += k
		c.set(flagAckNow) // it was a repetition, our ACK may be lost
		if before > k {
			seg.Flags &^= wire.FIN // a FIN that we have had
			seg.Seq = c.rcv.nxt
		}
	}
	if off := seg.Seq - c.rcv.nxt; off+uint32(len(*data)) > wnd {
		*data = (*data)[:max(int(wnd)-int(off), 0)]
		seg.Flags &^= wire.FIN
		c.set(flagAckNow)
	}
}

// checkRST is the second step. Only a RST with exactly the next number ends the connection; elsewhere in the
// window it may be forged and is challenged (RFC 9293, 3.10.7.4; RFC 5961, 3.2).
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

// checkSYN is the fourth step. A SYN in a window is an error of an old or a forged connection: it is challenged (RFC 5961, 4.2).
func (c *Conn) checkSYN(now Instant, seg *wire.TCP) Change {
	if c.state == StateSynReceived && !c.has(flagActive) {
		return c.die(CauseReset) // back to LISTEN (RFC 9293, 3.10.7.4, fourth step)
	}
	c.challenge(now)
	return Dropped
}

// Challenge ACKs are limited per connection, so that one connection says nothing about the load of another (RFC 5961, 7;
// CVE-2016-5696).
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
	// The low bits of the timestamp offset, which is random, make periods and bursts differ between connections.
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

// checkACK is the fifth step. It is not ok if the segment is to be dropped.
func (c *Conn) checkACK(now Instant, seg *wire.TCP, n int) (change Change, ok bool) {
	if c.state == StateSynReceived {
		if seg.Ack != c.iss+1 || c.snd.nxt == c.iss {
			c.sendReset(seg.Ack, false)
			return 0, false
		}
		c.snd.wnd = uint32(seg.Wnd) << c.sndScale
		c.snd.maxWnd = max(c.snd.maxWnd, c.snd.wnd)
		c.snd.wl1, c.snd.wl2 = seg.Seq, seg.Ack
		c.synAcked(now, seg)
		change = c.establish(now)
	}
	switch {
	case wire.SeqGT(seg.Ack, c.snd.nxt):
		c.challenge(now) // an ACK of what was never sent
		return change, false
	case wire.SeqLT(seg.Ack, c.snd.una-c.snd.maxWnd):
		c.challenge(now) // too old to be true (RFC 5961, 5.2)
		return change, false
	case wire.SeqGT(seg.Ack, c.snd.una):
		c.updateWindow(seg)
		change |= c.newAck(now, seg)
	default:
		c.oldAck(seg, n)
	}
	switch c.state {
	case StateFinWait1:
		if c.finAcked() {
			c.state = StateFinWait2
			if c.has(flagUserClosed) {
				c.waitAt = now.Add(or(c.cfg.FinTimeout, 60*time.Second))
			}
		}
	case StateClosing:
		if c.finAcked() {
			c.startTimeWait(now)
		}
	case StateLastAck:
		if c.finAcked() {
			return change | c.die(CauseNone), true
		}
	}
	return change, true
}

func (c *Conn) finAcked() bool { return c.has(flagFinSent) && c.snd.una == c.end()+1 }

// oldAck handles an ACK that acknowledges nothing new.
func (c *Conn) oldAck(seg *wire.TCP, n int) {
	same := uint32(seg.Wnd)<<c.sndScale == c.snd.wnd
	if seg.Ack != c.snd.una {
		return
	}
	c.updateWindow(seg)
	// A duplicate ACK as RFC 5681, 2 defines it (CC-4).
	if n > 0 || seg.Flags.Has(wire.FIN) || !same || c.flight() == 0 || c.has(flagPersist) {
		return
	}
	if c.cc.onDupAck(c.snd.una, c.snd.nxt, c.flight(), c.segMSS()) {
		c.set(flagResend)
		c.timedAt = 0
	}
}

// updateWindow takes the peer's window if the segment is newer than the one that the present
// window came from (RFC 9293, 3.10.7.4, fifth step).
func (c *Conn) updateWindow(seg *wire.TCP) {
	if wire.SeqLT(c.snd.wl1, seg.Seq) || c.snd.wl1 == seg.Seq && wire.SeqLEQ(c.snd.wl2, seg.Ack) {
		c.snd.wnd = uint32(seg.Wnd) << c.sndScale
		c.snd.maxWnd = max(c.snd.maxWnd, c.snd.wnd)
		c.snd.wl1, c.snd.wl2 = seg.Seq, seg.Ack
	}
}

// newAck handles an ACK in SND.UNA < SEG.ACK =< SND.NXT.
func (c *Conn) newAck(now Instant, seg *wire.TCP) Change {
	ack := seg.Ack
	n := ack - c.snd.una
	c.sampleRTT(now, seg, ack)
	limited := c.has(flagLimited) || c.flight()+c.segMSS() > c.cc.cwnd
	c.clear(flagLimited)
	c.snd.una = ack
	if wire.SeqLT(c.snd.pos, ack) {
		c.snd.pos = ack
	}
	restart := true
	if c.cc.fast {
		var resend bool
		resend, restart = c.cc.onRecoveryAck(ack, n, c.flight(), c.segMSS())
		if resend {
			c.set(flagResend)
		}
	} else {
		c.cc.onAck(n, c.segMSS(), limited)
	}
	c.tries = 0
	c.since = now
	switch {
	case c.flight() == 0:
		c.rtxAt = 0 // RFC 6298, 5.2
		c.clear(flagPersist | flagResend)
	case restart:
		c.rtxAt = now.Add(c.rtt.rto()) // RFC 6298, 5.3
		c.clear(flagPersist)
	}
	return c.freeAcked(ack)
}

// freeAcked takes what is acknowledged out of the send buffer.
func (c *Conn) freeAcked(ack uint32) Change {
	k := min(ack-c.snd.base, c.snd.buf.n) // the rest is our FIN
	if k == 0 {
		return 0
	}
	c.snd.buf.Discard(int(k))
	c.snd.base += k
	c.snd.buf.Release(&c.cfg.Pool)
	if c.has(flagBlocked) {
		c.clear(flagBlocked)
		return Acked | Writable
	}
	return Acked
}

// sampleRTT measures the round trip if ack covers the timed segment, else by the echoed timestamp, which
// tells which of two copies arrived (RFC 7323, 4; Karn: MUST-18).
func (c *Conn) sampleRTT(now Instant, seg *wire.TCP, ack uint32) {
	if c.timedAt != 0 && wire.SeqGEQ(ack, c.timed) {
		c.rtt.onSample(now.Sub(c.timedAt))
		c.timedAt = 0
		return
	}
	if c.timedAt != 0 || !c.has(flagTS) || !seg.Opt.TS || seg.Opt.TSEcr == 0 {
		return
	}
	// A stamp that is much too old is no measurement: it is none of ours (T-18), or comes from the first copy of
	// a segment whose ACK was lost, since the receiver ignores the stamps of what it has had (RFC 7323, 5.3, R2).
	age := time.Duration(c.tsNow(now)-seg.Opt.TSEcr) * time.Millisecond
	if age <= 2*c.rtt.unbacked() {
		c.rtt.onSample(age)
	}
}

// tsNow is our timestamp clock: a millisecond a tick, from a random start (RFC 7323, 5.4 and 7.1).
func (c *Conn) tsNow(now Instant) uint32 {
	return c.tsOffset + uint32(int64(now)/int64(time.Millisecond))
}

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

// fillHole moves RCV.NXT over all that is now in order. One ACK answers all of it (MUST-58, MUST-59).
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

// startTimeWait enters TIME-WAIT or starts its time again (MUST-13).
func (c *Conn) startTimeWait(now Instant) {
	c.state = StateTimeWait
	c.rtxAt = 0
	c.waitAt = now.Add(2 * or(c.cfg.MSL, 30*time.Second))
	c.snd.buf.Reset(&c.cfg.Pool)
}

// Reusable reports whether a SYN for the same addresses and ports may start a new connection
// although this one is in TIME-WAIT (MAY-2, RFC 6191): its sequence number, or its timestamp, is newer.
func (c *Conn) Reusable(seg *wire.TCP) bool {
	if c.state != StateTimeWait || seg.Flags&(wire.SYN|wire.ACK|wire.RST|wire.FIN) != wire.SYN {
		return false
	}
	if c.has(flagTS) && seg.Opt.TS && seg.Opt.TSVal != c.tsRecent {
		return int32(seg.Opt.TSVal-c.tsRecent) > 0
	}
	return wire.SeqGT(seg.Seq, c.rcv.nxt)
}

// Reset returns the RST that answers seg, which has dataLen bytes of data and belongs to no connection (RFC 9293, 3.10.7.1). It
// is not ok if seg is a RST itself, which is never answered.
func Reset(seg *wire.TCP, dataLen int) (rst wire.TCP, ok bool) {
	if seg.Flags.Has(wire.RST) {
		return wire.TCP{}, false
	}
	rst = wire.TCP{SrcPort: seg.DstPort, DstPort: seg.SrcPort, Flags: wire.RST}
	if seg.Flags.Has(wire.ACK) {
		rst.Seq = seg.Ack
	} else {
		rst.Flags |= wire.ACK
		rst.Ack = seg.Seq + seg.Len(dataLen)
	}
	return rst, true
}
