package tcp

import (
	"time"
)

// Write takes as much of p as the send buffer has room for and returns that number. It may be
// called before the connection is established. It takes nothing once CloseWrite was called or in a
// state that cannot send; see CanWrite.
func (c *Conn) Write(now Instant, p []byte) int {
	if !c.CanWrite() {
		return 0
	}
	n := min(len(p), int(c.snd.limit)-c.snd.buf.Len())
	if n < len(p) {
		c.set(flagBlocked)
	}
	if n <= 0 {
		return 0
	}
	if c.flight() == 0 && c.snd.buf.n == 0 && c.sent != 0 && now.Sub(c.sent) > c.rtt.rto() {
		c.cc.onIdle(c.segMSS()) // CC-9
	}
	c.snd.buf.Write(&c.cfg.Pool, p[:n])
	return n
}

// CanWrite reports whether the connection still takes data, now or later.
func (c *Conn) CanWrite() bool {
	if c.has(flagFin) {
		return false
	}
	switch c.state {
	case StateSynSent, StateSynReceived, StateEstablished, StateCloseWait:
		return true
	}
	return false
}

// Read takes up to len(p) bytes out of the receive buffer. When it returns 0 for a p that is not
// empty, AtEOF and State say what there is to wait for.
func (c *Conn) Read(p []byte) int {
	n := c.rcv.buf.Peek(p)
	if n == 0 {
		return 0
	}
	c.rcv.buf.Discard(n)
	if c.ooo == nil {
		c.rcv.buf.Release(&c.cfg.Pool)
	}
	if c.state.receives() && c.windowGrew() {
		c.set(flagAckNow)
	}
	return n
}

// AtEOF reports whether everything up to the peer's FIN has been read.
func (c *Conn) AtEOF() bool { return c.has(flagRcvdFin) && c.rcv.buf.n == 0 }

// CloseWrite says that no more data will be written: FIN follows what is in the send buffer (RFC
// 9293, 3.10.4).
func (c *Conn) CloseWrite(now Instant) {
	if c.has(flagFin) {
		return
	}
	switch c.state {
	case StateSynReceived, StateEstablished, StateCloseWait:
		c.set(flagFin)
	case StateSynSent:
		c.set(flagFin) // queued until the connection is established
	}
}

// Close says that the user wants neither to send nor to receive any more. Data that were received
// and not read mean that the peer must be told: RST instead of FIN (RFC 9293, 3.6.1, SHLD-3; RFC
// 2525, 2.17).
func (c *Conn) Close(now Instant) Change {
	if c.has(flagUserClosed) {
		return 0
	}
	switch {
	case c.state == StateClosed:
		c.set(flagUserClosed)
		c.Discard()
		return Closed
	case c.state == StateSynSent, c.state == StateSynReceived && c.has(flagHold):
		c.set(flagUserClosed)
		return c.die(CauseNone) // RFC 9293, 3.10.4: the TCB is deleted
	case c.rcv.buf.n > 0 && c.state != StateTimeWait:
		c.set(flagUserClosed)
		return c.Abort(now)
	}
	c.CloseWrite(now)
	c.set(flagUserClosed)
	c.dropOutOfOrder()
	if c.state == StateFinWait2 {
		c.waitAt = now.Add(or(c.cfg.FinTimeout, 60*time.Second))
	}
	return 0
}

// Abort resets the connection (RFC 9293, 3.10.5). What was not sent is lost.
func (c *Conn) Abort(now Instant) Change {
	switch c.state {
	case StateClosed:
		return 0
	case StateSynSent, StateClosing, StateLastAck, StateTimeWait:
		// No RST: the RFC just deletes the TCB in these states.
	default:
		if !c.has(flagHold) {
			c.sendReset(c.snd.nxt, true)
		}
	}
	return c.die(CauseAborted)
}

// Refuse answers a held SYN as a closed port would (RFC 9293, 3.10.7.1).
func (c *Conn) Refuse() Change {
	if c.state == StateSynReceived && c.has(flagHold) {
		c.sendReset(0, true)
	}
	return c.die(CauseAborted)
}

// sendReset makes Output send a RST, also when the state is CLOSED.
func (c *Conn) sendReset(seq uint32, ack bool) {
	c.rstSeq = seq
	c.set(flagRST)
	c.clear(flagRSTAck)
	if ack {
		c.set(flagRSTAck)
	}
}

// Unreachable takes an ICMP error for a segment of ours that began at seq: it counts only if that
// segment is in flight (RFC 5927, 4.1). It ends the connection if it is hard and the handshake is
// not over, and is a hint otherwise (RFC 5927, 5.2; MUST-56).
func (c *Conn) Unreachable(seq uint32, hard bool, cause Cause) Change {
	if !c.InFlight(seq) {
		return Dropped
	}
	if hard && !c.state.synchronized() && c.has(flagActive) {
		return c.die(cause)
	}
	return 0
}

// Kill ends the connection without telling the peer.
func (c *Conn) Kill(cause Cause) Change {
	if c.state == StateClosed {
		return 0
	}
	c.clear(flagRST)
	return c.die(cause)
}
