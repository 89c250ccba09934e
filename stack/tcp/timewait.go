package tcp

import (
	"time"

	"github.com/understudy-net/understudy/wire"
)

// startTimeWait enters TIME-WAIT or starts its time again (MUST-13).
func (c *Conn) startTimeWait(now Instant) {
	c.state = StateTimeWait
	c.rtxAt = 0
	c.waitAt = now.Add(2 * or(c.cfg.MSL, 30*time.Second))
	c.snd.buf.Reset(&c.cfg.Pool)
}

// Reusable reports whether a SYN for the same addresses and ports may start a new connection
// although this one is in TIME-WAIT (MAY-2, RFC 6191): its sequence number, or its timestamp, is
// newer.
func (c *Conn) Reusable(seg *wire.TCP) bool {
	if c.state != StateTimeWait || seg.Flags&(wire.SYN|wire.ACK|wire.RST|wire.FIN) != wire.SYN {
		return false
	}
	if c.has(flagTS) && seg.Opt.TS && seg.Opt.TSVal != c.tsRecent {
		return int32(seg.Opt.TSVal-c.tsRecent) > 0
	}
	return wire.SeqGT(seg.Seq, c.rcv.nxt)
}
