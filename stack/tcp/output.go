package tcp

import (
	"github.com/understudy-net/understudy/wire"
)

// Output writes the next segment to b, header and data with the checksum, and returns its length; 0
// means that there is nothing to say for now. b must have room for [MaxHeader] plus the MSS.
// Whether there is something to send is found out by trying, here and nowhere else.
func (c *Conn) Output(now Instant, b []byte) int {
	if c.flags&flagsDue == 0 && c.snd.pos == c.end() && !c.cc.fast {
		return 0 // a receiver's way, mostly
	}
	if c.has(flagRST) {
		return c.outputRST(now, b)
	}
	switch c.state {
	case StateClosed:
		return 0
	case StateSynSent, StateSynReceived:
		return c.outputSYN(now, b)
	}
	if c.has(flagResend) {
		c.clear(flagResend)
		if n := c.outputResend(now, b); n > 0 {
			return n
		}
	}
	if c.recovering() {
		if n := c.outputSACK(now, b); n > 0 {
			return n
		}
	}
	if n := c.outputData(now, b); n > 0 {
		return n
	}
	if c.has(flagTailProbe) {
		c.clear(flagTailProbe)
		if n := c.outputTailProbe(now, b); n > 0 {
			return n
		}
	}
	if c.recovering() {
		if n := c.outputRescue(now, b); n > 0 {
			return n
		}
	}
	if c.has(flagProbe) {
		c.clear(flagProbe)
		if n := c.outputProbe(now, b); n > 0 {
			return n
		}
	}
	if c.has(flagKeepAlive) {
		// A number that was acknowledged makes the peer answer; no data (RFC 9293, 3.8.4; MUST-29
		// asks that it work without).
		c.clear(flagKeepAlive)
		return c.emit(now, b, c.snd.nxt-1, wire.ACK, 0)
	}
	if c.has(flagAckNow) {
		return c.emit(now, b, c.ackSeq(), wire.ACK, 0)
	}
	return 0
}

// flagsDue are those that give Output something to do beside data.
const flagsDue = flagRST | flagFin | flagResend | flagTailProbe | flagProbe | flagKeepAlive | flagAckNow

func (c *Conn) outputRST(now Instant, b []byte) int {
	f := wire.RST
	if c.has(flagRSTAck) {
		f |= wire.ACK
	}
	c.clear(flagRST | flagRSTAck)
	return c.emit(now, b, c.rstSeq, f, 0)
}

// outputSYN sends SYN or SYN,ACK when it was not sent since pos was put back to ISS.
func (c *Conn) outputSYN(now Instant, b []byte) int {
	if c.has(flagHold) {
		return 0
	}
	if c.snd.pos != c.iss {
		if c.has(flagAckNow) && c.state == StateSynReceived {
			return c.emit(now, b, c.snd.nxt, wire.ACK, 0)
		}
		return 0
	}
	f := wire.SYN
	if c.state == StateSynReceived {
		f |= wire.ACK
	}
	c.onSent(now, c.iss, 1)
	return c.emit(now, b, c.iss, f, 0)
}

// onSent moves the pointers over n octets sent from seq on, and minds the timers.
func (c *Conn) onSent(now Instant, seq, n uint32) {
	if seq == c.snd.pos {
		c.snd.pos += n
	}
	if wire.SeqGT(seq+n, c.snd.nxt) {
		if c.flight() == 0 {
			c.since = now
		}
		if c.timedAt == 0 && seq == c.snd.nxt {
			c.timedAt, c.timed = now, seq+n
		}
		c.snd.nxt = seq + n
	} else {
		c.retrans++
		// Karn: the ACK of what is sent twice is no measurement (MUST-18).
		if c.timedAt != 0 && wire.SeqLT(seq, c.timed) {
			c.timedAt = 0
		}
	}
	if c.rtxAt == 0 || c.has(flagPersist) {
		if c.has(flagPersist) {
			c.since = now // the time behind the closed window does not count towards R2 (MUST-37)
		}
		c.clear(flagPersist)
		c.rtxAt = now.Add(c.rtt.rto()) // RFC 6298, 5.1
	}
	if seq+n == c.snd.nxt {
		c.schedulePTO(now)
	}
	c.sent = now
}

// outputResend sends the first unacknowledged segment again, for fast retransmit.
func (c *Conn) outputResend(now Instant, b []byte) int {
	if c.flight() == 0 || !c.state.sends() {
		return 0
	}
	n := min(c.segMSS(), c.flight(), c.snd.wnd)
	if c.sacked != nil {
		_, to := c.sacked.skip(c.snd.una, c.snd.nxt)
		n = min(n, to-c.snd.una)
		c.sacked.highRxt = wire.SeqMax(c.sacked.highRxt, c.snd.una+n)
	}
	return c.outputAt(now, b, c.snd.una, n)
}

// outputData sends what the windows allow from snd.pos on, if it is worth a segment.
func (c *Conn) outputData(now Instant, b []byte) int {
	if !c.state.sends() {
		return 0
	}
	hole := ^uint32(0)
	if c.sacked != nil && wire.SeqLT(c.snd.pos, c.snd.nxt) {
		// After a timeout: what was SACKed since need not be sent again.
		from, to := c.sacked.skip(c.snd.pos, c.snd.nxt)
		if c.snd.pos = from; from != to {
			hole = to - from
		}
	}
	avail := c.end() - c.snd.pos
	finDue := c.has(flagFin) && !(c.has(flagFinSent) && c.snd.pos == c.end()+1)
	if int32(avail) <= 0 && !(finDue && avail == 0) {
		return 0
	}
	avail = min(avail, hole)
	usable := c.usable()
	n := min(avail, usable, c.segMSS())
	if c.path != nil {
		if probe := c.probeSize(now, avail, usable); probe > 0 {
			return c.outputAt(now, b, c.snd.pos, probe)
		}
	}
	if !c.worthSending(n, avail, finDue) {
		if n < avail && c.flight() == 0 && c.rtxAt == 0 {
			c.startPersist(now)
		}
		return 0
	}
	return c.outputAt(now, b, c.snd.pos, n)
}

// usable is how many octets may be sent from snd.pos on, by the peer's window and by cwnd.
func (c *Conn) usable() uint32 {
	used := c.snd.pos - c.snd.una
	if c.recovering() {
		pipe := c.sacked.pipe(c.snd.una, c.snd.nxt, c.segMSS())
		return min(c.snd.wnd-min(used, c.snd.wnd), c.cc.cwnd-min(pipe, c.cc.cwnd))
	}
	wnd, cwnd := c.snd.wnd, c.cc.cwnd+c.cc.limitedTransmit(c.segMSS())
	if cwnd < wnd {
		wnd = cwnd
		if c.end()-c.snd.pos > cwnd-min(used, cwnd) {
			c.set(flagLimited)
		}
	}
	return wnd - min(used, wnd)
}

// worthSending is the sender's side of silly window avoidance and Nagle's algorithm (RFC 9293,
// 3.8.6.2.1 and 3.7.4; MUST-38, MUST-17). n bytes of avail fit in the windows.
func (c *Conn) worthSending(n, avail uint32, fin bool) bool {
	switch {
	case n == avail && fin:
		return true // the end of the stream waits for nothing (RFC 2525, 2.16)
	case n == 0:
		return false
	case n >= c.segMSS(): // a full segment
		return true
	case wire.SeqLT(c.snd.pos, c.snd.nxt): // a retransmission: what the peer's window takes, but no crumbs for cwnd's sake
		return n >= min(avail, c.snd.wnd-min(c.snd.pos-c.snd.una, c.snd.wnd))
	case n == avail && (c.has(flagNoDelay) || c.flight() == 0): // all there is
		return true
	case n >= c.snd.maxWnd/2 && c.flight() == 0: // the peer has only small windows
		return true
	}
	return false
}

// outputAt sends n bytes from seq on, with FIN if the stream ends there.
func (c *Conn) outputAt(now Instant, b []byte, seq, n uint32) int {
	n = min(n, c.end()-seq)
	f := wire.ACK
	octets := n
	if seq+n == c.end() {
		if n > 0 {
			f |= wire.PSH // all that the user wrote (MUST-60, MUST-61)
		}
		if c.has(flagFin) {
			f |= wire.FIN
			octets++
			c.finSent()
		}
	}
	if octets == 0 {
		return 0
	}
	c.onSent(now, seq, octets)
	return c.emit(now, b, seq, f, int(n))
}

// finSent makes the transition that sending FIN means (RFC 9293, 3.10.4).
func (c *Conn) finSent() {
	if c.has(flagFinSent) {
		return
	}
	c.set(flagFinSent)
	switch c.state {
	case StateEstablished:
		c.state = StateFinWait1
	case StateCloseWait:
		c.state = StateLastAck
	}
}

// outputProbe sends one octet beyond a closed window (RFC 9293, 3.8.6.1). It is not counted as
// sent by pos, so that it goes out again with the data that follow.
func (c *Conn) outputProbe(now Instant, b []byte) int {
	if n := min(c.end()-c.snd.pos, c.usable(), c.segMSS()); n > 0 {
		// The window is only too small for a full segment: use it (RFC 9293, 3.8.6.2.1, the
		// override).
		return c.outputAt(now, b, c.snd.pos, n)
	}
	if c.end() == c.snd.una { // nothing but FIN, which goes out whatever the window
		return c.outputAt(now, b, c.snd.una, 0)
	}
	if c.snd.nxt == c.snd.una {
		c.snd.nxt++
	}
	return c.emit(now, b, c.snd.una, wire.ACK, 1)
}
