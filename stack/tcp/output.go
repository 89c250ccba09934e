package tcp

import (
	"encoding/binary"
	"math/bits"
	"time"

	"github.com/understudy-net/understudy/wire"
)

// Output writes the next segment to b, header and data with the checksum, and returns its
// length; 0 means that there is nothing to say for now. b must have room for [MaxHeader] plus the MSS. Whether
// there is something to send is found out by trying, here and nowhere else.
func (c *Conn) Output(now Instant, b []byte) int {
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
	if n := c.outputData(now, b); n > 0 {
		return n
	}
	if c.has(flagProbe) {
		c.clear(flagProbe)
		if n := c.outputProbe(now, b); n > 0 {
			return n
		}
	}
	if c.has(flagKeepAlive) {
		// A number that was acknowledged makes the peer answer; no data (RFC 9293, 3.8.4; MUST-29 asks that
		// it work without).
		c.clear(flagKeepAlive)
		return c.emit(now, b, c.snd.nxt-1, wire.ACK, 0)
	}
	if c.has(flagAckNow) {
		return c.emit(now, b, c.ackSeq(), wire.ACK, 0)
	}
	return 0
}

// ackSeq is the number of a segment without data: SND.NXT, but not beyond the peer's window. Behind a closed window
// SND.NXT counts the octet of a probe that was not taken, and a peer that goes by the letter of RFC 9293, 3.10.7.4
// (first step) would drop ACKs with that number, so that its own data stayed unacknowledged for ever.
func (c *Conn) ackSeq() uint32 {
	if edge := c.snd.una + c.snd.wnd; wire.SeqGT(c.snd.nxt, edge) {
		return edge
	}
	return c.snd.nxt
}

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
	c.sent = now
}

// outputResend sends the first unacknowledged segment again, for fast retransmit.
func (c *Conn) outputResend(now Instant, b []byte) int {
	if c.flight() == 0 || !c.state.sends() {
		return 0
	}
	return c.outputAt(now, b, c.snd.una, min(c.segMSS(), c.flight(), c.snd.wnd))
}

// outputData sends what the windows allow from snd.pos on, if it is worth a segment.
func (c *Conn) outputData(now Instant, b []byte) int {
	if !c.state.sends() {
		return 0
	}
	avail := c.end() - c.snd.pos
	finDue := c.has(flagFin) && !(c.has(flagFinSent) && c.snd.pos == c.end()+1)
	if int32(avail) <= 0 && !(finDue && avail == 0) {
		return 0
	}
	n := min(avail, c.usable(), c.segMSS())
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
	wnd, cwnd := c.snd.wnd, c.cc.cwnd+c.cc.limitedTransmit(c.segMSS())
	if cwnd < wnd {
		wnd = cwnd
		if c.end()-c.snd.pos > cwnd-min(used, cwnd) {
			c.set(flagLimited)
		}
	}
	return wnd - min(used, wnd)
}

// worthSending is the sender's side of silly window avoidance and Nagle's algorithm (RFC 9293, 3.8.6.2.1 and 3.7.4; MUST-38,
// MUST-17). n bytes of avail fit in the windows.
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
		// The window is only too small for a full segment: use it (RFC 9293, 3.8.6.2.1, the override).
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

// emit writes a segment with n bytes of the send buffer from seq on. It carries the latest ACK and window, so
// whatever ACK was due is done.
func (c *Conn) emit(now Instant, b []byte, seq uint32, f wire.TCPFlags, n int) int {
	hlen, wnd, ack := wire.TCPMinLen, uint16(0), uint32(0)
	if f&wire.ACK != 0 {
		ack = c.rcv.nxt
	}
	acc := c.pseudo
	switch {
	case f&wire.SYN != 0:
		o := c.synOptions(now, b[hlen:hlen:MaxHeader])
		acc = wire.Sum(acc, b[hlen:hlen+o])
		hlen += o
		wnd = c.synWindow()
	case f&wire.RST != 0: // neither options nor window
	default:
		if c.has(flagTS) { // TS-1: in every segment
			val, ecr := c.tsNow(now), c.tsRecent
			binary.BigEndian.PutUint32(b[20:24], 0x0101080a)
			binary.BigEndian.PutUint32(b[24:28], val)
			binary.BigEndian.PutUint32(b[28:32], ecr)
			acc += swapped(0x0101080a) + swapped(val) + swapped(ecr)
			hlen += tsLen
		}
		wnd = c.announce()
	}
	// Words are summed as they are written: reading them back would have to wait for the stores. They are too few for a carry.
	word := uint32(hlen)<<26 | uint32(f)<<16 | uint32(wnd)
	binary.BigEndian.PutUint32(b[0:4], c.ports)
	binary.BigEndian.PutUint32(b[4:8], seq)
	binary.BigEndian.PutUint32(b[8:12], ack)
	binary.BigEndian.PutUint32(b[12:16], word)
	acc += swapped(c.ports) + swapped(seq) + swapped(ack) + swapped(word) + swapped(uint32(hlen+n))
	if n > 0 {
		acc = c.snd.buf.sumCopy(acc, b[hlen:hlen+n], int(seq-c.snd.base))
	}
	binary.BigEndian.PutUint32(b[16:20], uint32(^wire.Fold(acc))<<16) // and an urgent pointer of 0
	if f&wire.ACK != 0 {
		c.clear(flagAckNow)
		c.ackAt, c.unacked = 0, 0
		c.rcv.acked = c.rcv.nxt
	}
	return hlen + n
}

// swapped is the word v, written in network order, as wire.Sum reads it.
func swapped(v uint32) uint64 { return uint64(bits.ReverseBytes32(v)) }

// synOptions appends the options of SYN or SYN,ACK. In a SYN,ACK only what the peer offered (RFC 7323, 2.2 and 3.2).
func (c *Conn) synOptions(now Instant, b []byte) int {
	o := wire.TCPOptions{MSS: c.rcvMSS}
	first := c.state == StateSynSent
	if first && !c.cfg.NoTimestamps || c.has(flagTS) {
		o.TS, o.TSVal = true, c.tsNow(now)
		if !first {
			o.TSEcr = c.tsRecent
		}
	}
	if first && !c.cfg.NoWindowScale || c.has(flagWScale) {
		o.HasWScale, o.WScale = true, c.rcvScale
	}
	return len(o.Append(b))
}

// synWindow is the window in a SYN: not scaled (RFC 7323, 2.2).
func (c *Conn) synWindow() uint16 {
	w := min(c.recvSpace(), 65535)
	if c.state == StateSynReceived {
		c.rcv.edge = c.rcv.nxt + w
	}
	return uint16(w)
}

// recvSpace is what the receive buffer may still take. A unit of the scaled window is kept back, as room for
// rounding up in announce.
func (c *Conn) recvSpace() uint32 {
	limit := c.rcv.limit - (1<<c.rcvScale - 1)
	return limit - min(c.rcv.buf.n, limit)
}

// announce computes the window to offer and remembers its edge. The edge never moves back (SHLD-14), and moves on
// only by a worthwhile step (receiver's silly window avoidance, RFC 9293, 3.8.6.2.2; MUST-39).
func (c *Conn) announce() uint16 {
	old := c.rcv.edge - c.rcv.nxt
	wnd := c.recvSpace()
	units := wnd >> c.rcvScale
	if units<<c.rcvScale < old || wnd-old < min(c.rcv.limit/2, uint32(c.rcvMSS)) {
		// The old edge. Rounding down takes back a little of what was offered, which RFC 7323, 2.4 foresees; rounding up
		// is better as long as there is room.
		units = (old + 1<<c.rcvScale - 1) >> c.rcvScale
		if units<<c.rcvScale > c.rcv.limit-min(c.rcv.buf.n, c.rcv.limit) {
			units = old >> c.rcvScale
		}
	}
	units = min(units, 65535)
	c.rcv.edge = wire.SeqMax(c.rcv.edge, c.rcv.nxt+units<<c.rcvScale)
	return uint16(units)
}

// windowGrew reports whether the user has read so much that the peer should be told at once: half of the
// buffer, or a few segments when it is about to run out of window.
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
