package tcp

import (
	"time"

	"github.com/understudy-net/understudy/wire"
)

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
	news := false
	switch {
	case wire.SeqGT(seg.Ack, c.snd.nxt):
		c.challenge(now) // an ACK of what was never sent
		return change, false
	case wire.SeqLT(seg.Ack, c.snd.una-c.snd.maxWnd):
		c.challenge(now) // too old to be true (RFC 5961, 5.2)
		return change, false
	case wire.SeqGT(seg.Ack, c.snd.una):
		c.updateWindow(seg)
		news = c.takeSACK(seg)
		change |= c.newAck(now, seg)
	default:
		news = c.takeSACK(seg)
		c.oldAck(seg, n, news)
	}
	c.checkLost(news)
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
func (c *Conn) oldAck(seg *wire.TCP, n int, news bool) {
	same := uint32(seg.Wnd)<<c.sndScale == c.snd.wnd
	if seg.Ack != c.snd.una {
		return
	}
	c.updateWindow(seg)
	if c.has(flagTLP) {
		c.onTLPAck(seg, n == 0 && !news)
	}
	// A duplicate ACK as RFC 5681, 2 defines it (CC-4), or one that SACKs something (RFC 6675, 2).
	if !news && (n > 0 || seg.Flags.Has(wire.FIN) || !same) || c.flight() == 0 || c.has(flagPersist) {
		return
	}
	if c.recovering() {
		return // pipe counts what has left the network
	}
	if c.cc.onDupAck(c.snd.una, c.snd.nxt, c.flight(), c.segMSS()) {
		c.enterRecovery()
	}
}

// checkLost begins recovery as soon as the scoreboard shows that the first segment is lost, before
// the third duplicate ACK (RFC 6675, 5, step 2).
func (c *Conn) checkLost(news bool) {
	if !news || c.cc.fast || c.sacked == nil || c.flight() == 0 || !wire.SeqGT(c.snd.una, c.cc.recover) {
		return
	}
	if c.sacked.lostBelow(c.snd.una, c.segMSS()) != c.snd.una {
		c.cc.onLost(c.flight(), c.segMSS(), c.snd.nxt)
		c.enterRecovery()
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
	c.snd.una, c.cc.advance = ack, n
	if wire.SeqLT(c.snd.pos, ack) {
		c.snd.pos = ack
	}
	restart := true
	if c.sacked != nil {
		c.sacked.ackTo(ack)
	}
	switch {
	case c.recovering():
		c.cc.onSACKRecoveryAck(ack)
	case c.cc.fast:
		var resend bool
		resend, restart = c.cc.onRecoveryAck(ack, n, c.flight(), c.segMSS())
		if resend {
			c.set(flagResend)
		}
	default:
		c.cc.onAck(now, c.rtt.srtt, n, c.segMSS(), limited)
	}
	c.tries = 0
	c.since = now
	switch {
	case c.flight() == 0:
		c.rtxAt, c.ptoAt = 0, 0 // RFC 6298, 5.2
		c.clear(flagPersist | flagResend | flagTailProbe)
		c.sacked = nil
	case restart:
		c.rtxAt = now.Add(c.rtt.rto()) // RFC 6298, 5.3
		c.clear(flagPersist)
		c.schedulePTO(now)
	}
	if c.has(flagTLP) {
		c.onTLPAck(seg, false)
	}
	if c.path != nil {
		c.probeAcked(ack)
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
		if c.has(flagTuneSend) {
			c.tuneSend()
		}
		return Acked | Writable
	}
	return Acked
}

// sampleRTT measures the round trip if ack covers the timed segment, else by the echoed timestamp,
// which tells which of two copies arrived (RFC 7323, 4; Karn: MUST-18).
func (c *Conn) sampleRTT(now Instant, seg *wire.TCP, ack uint32) {
	if c.timedAt != 0 && wire.SeqGEQ(ack, c.timed) {
		c.rtt.onSample(now.Sub(c.timedAt))
		c.timedAt = 0
		return
	}
	if c.timedAt != 0 || !c.has(flagTS) || !seg.Opt.TS || seg.Opt.TSEcr == 0 {
		return
	}
	// A stamp that is much too old is no measurement: it is none of ours (T-18), or comes from the
	// first copy of a segment whose ACK was lost, since the receiver ignores the stamps of what it
	// has had (RFC 7323, 5.3, R2).
	age := time.Duration(c.tsNow(now)-seg.Opt.TSEcr) * time.Millisecond
	if age <= 2*c.rtt.unbacked() {
		c.rtt.onSample(age)
	}
}

// tsNow is our timestamp clock: a millisecond a tick, from a random start (RFC 7323, 5.4 and 7.1).
func (c *Conn) tsNow(now Instant) uint32 { return c.tsOffset + millis(now) }

func millis(now Instant) uint32 { return uint32(int64(now) / int64(time.Millisecond)) }
