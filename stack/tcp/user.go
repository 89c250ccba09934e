package tcp

import "time"

// Write takes as much of p as the send buffer has room for and returns that number. It may be
// called before the connection is established. It takes nothing once CloseWrite was called or in a state
// that cannot send; see CanWrite.
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

// Read takes up to len(p) bytes out of the receive buffer. When it returns 0 for a p that is not empty, AtEOF and State say
// what there is to wait for.
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

// CloseWrite says that no more data will be written: FIN follows what is in the send buffer (RFC 9293, 3.10.4).
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

// Close says that the user wants neither to send nor to receive any more. Data that were received and not
// read mean that the peer must be told: RST instead of FIN (RFC 9293, 3.6.1, SHLD-3; RFC 2525, 2.17).
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

// SetKeepAlive asks for keep-alives after a time idle without a segment from the peer, count
// of them, interval apart, before the connection is given up (RFC 9293, 3.8.4). An idle of 0 turns them off, which
// is the default (MUST-24, MUST-25).
func (c *Conn) SetKeepAlive(now Instant, idle, interval time.Duration, count int) {
	o := c.knobs()
	o.keepFrom = now
	o.keepIdle, o.keepInterval, o.keepCount = max(idle, 0), max(interval, time.Second), max(count, 1)
	c.keepProbes = 0
}

// SetUserTimeout sets R2 for this connection: how long data may stay unacknowledged, a closed window
// included, before it is given up (RFC 9293, 3.8.3; RFC 5482). 0 means the owner's default, which does not
// count time in which the peer answers zero-window probes (MUST-37).
func (c *Conn) SetUserTimeout(d time.Duration) { c.knobs().userTimeout = max(d, 0) }

// SetBuffers bounds the receive and the send buffer, in bytes; 0 leaves one as it is. They are kept between 2 KiB and the owner's
// MaxBuffer. A smaller receive buffer takes effect as data arrive: the window is
// never taken back (SHLD-14).
func (c *Conn) SetBuffers(recv, send int) {
	if recv > 0 {
		c.rcv.limit = uint32(min(max(recv, 2<<10), c.cfg.maxBuffer()))
	}
	if send > 0 {
		c.snd.limit = uint32(min(max(send, 2<<10), c.cfg.maxBuffer()))
	}
}

// SetPathMTU lowers the size of segments to what a path of mtu bytes takes (RFC 1191). It never
// raises it, and never goes below 552 bytes of MTU (PMTU-1). It reports whether it changed anything.
func (c *Conn) SetPathMTU(mtu int) bool {
	m := uint16(min(max(mtu, 552), 65535) - 40)
	if m >= c.mss {
		return false
	}
	c.mss = m
	if c.flight() > 0 && c.state.sends() {
		c.snd.pos = c.snd.una // send all of it again in pieces that fit; no sign of congestion (RFC 1191, 6.5)
		c.timedAt = 0
	}
	return true
}

// Unreachable takes an ICMP error for a segment of ours that began at seq: it counts only if that
// segment is in flight (RFC 5927, 4.1). It ends the connection if it is hard and the handshake is not
// over, and is a hint otherwise (RFC 5927, 5.2; MUST-56).
func (c *Conn) Unreachable(seq uint32, hard bool, cause Cause) Change {
	if !c.InFlight(seq) {
		return Dropped
	}
	if hard && !c.state.synchronized() && c.has(flagActive) {
		return c.die(cause)
	}
	return 0
}

// InFlight reports whether seq lies in SND.UNA..SND.NXT and something is unacknowledged.
func (c *Conn) InFlight(seq uint32) bool {
	return c.state != StateClosed && seq-c.snd.una < c.flight()
}

// State returns the state.
func (c *Conn) State() State { return c.state }

// Cause returns why the connection died; CauseNone after an orderly close.
func (c *Conn) Cause() Cause { return c.cause }

// Buffered returns the bytes that wait for Read and those that wait for the peer's ACK.
func (c *Conn) Buffered() (recv, send int) { return c.rcv.buf.Len(), c.snd.buf.Len() }

// Room returns how many bytes Write would take.
func (c *Conn) Room() int {
	if !c.CanWrite() {
		return 0
	}
	return max(int(c.snd.limit)-c.snd.buf.Len(), 0)
}

// Next returns SND.NXT.
func (c *Conn) Next() uint32 { return c.snd.nxt }

// Active reports whether the connection was opened by Open.
func (c *Conn) Active() bool { return c.has(flagActive) }

// Held reports whether the connection waits for Release.
func (c *Conn) Held() bool { return c.has(flagHold) && c.state == StateSynReceived }

// Pending reports whether Output may have something although the state is CLOSED: a RST.
func (c *Conn) Pending() bool { return c.has(flagRST) }

// Info is a look at a connection.
type Info struct {
	State              State
	RTT, RTTVar        time.Duration // SRTT and RTTVAR (RFC 6298); 0 before the first sample
	RTO                time.Duration
	Cwnd, Ssthresh     int // bytes
	SendWindow         int // what the peer offers, bytes
	RecvWindow         int // what we offer, bytes
	InFlight           int // bytes
	MSS                int // data bytes of a full segment
	Unsent, Unread     int // bytes in the buffers
	Retransmits        int // segments
	OutOfOrder         int // ranges beyond a hole
	Timestamps, WScale bool
}

// Info returns a look at the connection.
func (c *Conn) Info() Info {
	i := Info{
		State: c.state, RTT: c.rtt.srtt, RTTVar: c.rtt.rttvar, RTO: c.rtt.rto(),
		Cwnd: int(c.cc.cwnd), Ssthresh: int(c.cc.ssthresh),
		SendWindow: int(c.snd.wnd), RecvWindow: int(c.rcv.edge - c.rcv.nxt),
		InFlight: int(c.flight()), MSS: int(c.segMSS()),
		Unread: c.rcv.buf.Len(), Retransmits: int(c.retrans),
		Timestamps: c.has(flagTS), WScale: c.has(flagWScale),
	}
	if c.state.sends() {
		i.Unsent = int(int32(c.end() - c.snd.pos))
		i.Unsent = max(i.Unsent, 0)
	}
	if c.ooo != nil {
		i.OutOfOrder = c.ooo.n
	}
	return i
}

// FirstByte returns the sequence number of the oldest byte in the send buffer: it moves on as the peer acknowledges.
func (c *Conn) FirstByte() uint32 { return c.snd.base }

// NeverOpen reports whether the connection died before it was established.
func (c *Conn) NeverOpen() bool { return c.snd.una == c.iss }

// Wants reports whether an ACK is due.
func (c *Conn) Wants() bool { return c.has(flagAckNow) }

// Kill ends the connection without telling the peer.
func (c *Conn) Kill(cause Cause) Change {
	if c.state == StateClosed {
		return 0
	}
	c.clear(flagRST)
	return c.die(cause)
}

// Pseudo returns the sum of the pseudo-header but for the length, which is the same for both directions.
func (c *Conn) Pseudo() uint64 { return c.pseudo }
