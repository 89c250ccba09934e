package tcp

import (
	"time"

	"github.com/understudy-net/understudy/wire"
)

// paws24Days is how long TS.Recent is believed while nothing arrives (RFC 7323, 5.5).
const paws24Days = 24 * 24 * time.Hour

// checkSeq is the first step: is the segment in the window? It trims to the window what is partly
// in it (RFC 9293, 3.10.7.4, first step; 3.4). Before that PAWS rejects old duplicates (RFC 7323,
// 5.3, R1).
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

// ackOfProber takes the ACK, and nothing else, of a segment that lies just one octet before the
// window. When both ends probe each other's closed window at once, and both octets were taken, all
// ACKs carry that number until one of them counts; to drop them, as RFC 9293, 3.10.7.4 says, would
// end in a deadlock. Its answer is due already.
func (c *Conn) ackOfProber(now Instant, seg *wire.TCP) Change {
	if seg.Seq != c.rcv.nxt-1 || seg.Flags&^wire.PSH != wire.ACK || !c.state.synchronized() || seg.Opt.TS != c.has(flagTS) {
		return 0
	}
	s := *seg
	s.Ack = wire.SeqMin(seg.Ack, c.end()) // that of our FIN counts when numbers agree again
	if wire.SeqLEQ(s.Ack, c.snd.una) || wire.SeqGT(seg.Ack, c.snd.nxt) {
		return 0
	}
	c.onHeard(now)
	c.snd.wnd = uint32(seg.Wnd) << c.sndScale
	c.snd.maxWnd = max(c.snd.maxWnd, c.snd.wnd)
	return c.newAck(now, &s)
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

// unacceptable answers a segment outside of the window with an ACK, so that a peer that has lost
// track learns where we are. Without data such answers are limited, so that two ends cannot keep
// each other busy.
func (c *Conn) unacceptable(now Instant, seg *wire.TCP, n int) {
	if c.state == StateTimeWait && seg.Flags.Has(wire.FIN) {
		c.startTimeWait(now) // the peer has not seen our last ACK (RFC 9293, 3.10.7.4, eighth step)
		c.set(flagAckNow)
		return
	}
	if n > 0 && wire.SeqLEQ(seg.Seq+uint32(n), c.rcv.nxt) && c.rcv.nxt-seg.Seq < 1<<30 {
		c.noteDuplicate(seg.Seq, seg.Seq+uint32(n))
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
		c.noteDuplicate(seg.Seq, seg.Seq+k)
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
