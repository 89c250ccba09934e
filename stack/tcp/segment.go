package tcp

import (
	"encoding/binary"
	"math/bits"

	"github.com/understudy-net/understudy/wire"
)

// ackSeq is the number of a segment without data: SND.NXT, but not beyond the peer's window. Behind
// a closed window SND.NXT counts the octet of a probe that was not taken, and a peer that goes by
// the letter of RFC 9293, 3.10.7.4 (first step) would drop ACKs with that number, so that its own
// data stayed unacknowledged for ever.
//
// Less than a unit beyond the window, without a probe, are data that the peer had room for: only the
// number was rounded down (RFC 7323, 2.4). It has them before this ACK, and would drop it as an old
// one, with the window that it waits for.
func (c *Conn) ackSeq() uint32 {
	edge := c.snd.una + c.snd.wnd
	if !c.has(flagPersist) {
		edge += 1<<c.sndScale - 1
	}
	if wire.SeqGT(c.snd.nxt, edge) {
		return c.snd.una + c.snd.wnd
	}
	return c.snd.nxt
}

// emit writes a segment with n bytes of the send buffer from seq on. It carries the latest ACK and
// window, so whatever ACK was due is done.
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
		if c.has(flagSACK) && (c.ooo != nil || c.has(flagDup)) {
			// As many blocks as fit beside the other options, and beside the data (MUST-16).
			room := min(MaxHeader-hlen, wire.TCPMinLen+int(c.mss)-n-hlen)
			o, sum := c.putSACK(b[hlen:], room)
			hlen += o
			acc += sum
		}
		wnd = c.announce()
	}
	// Words are summed as they are written: reading them back would have to wait for the stores.
	// They are too few for a carry.
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

// synOptions appends the options of SYN or SYN,ACK. In a SYN,ACK only what the peer offered (RFC
// 7323, 2.2 and 3.2).
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
	o.SACKPermitted = first && !c.cfg.NoSACK || c.has(flagSACK)
	return len(o.Append(b))
}
