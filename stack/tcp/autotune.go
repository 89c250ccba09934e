package tcp

import "time"

// Buffers begin small and grow with what the path holds, so that the data of a connection stay in
// the caches where the path is short, and the window does not limit where it is long. They grow
// between startBuffer and Config.MaxBuffer, and never because of a slow reader.

const (
	startBuffer = 64 << 10
	tuneRate    = 1250 // bytes in a µs: a faster path, 10 Gbit/s, is not expected to be filled
)

// pathHolds bounds what a buffer may grow to: twice what fits in a path with our round-trip time.
// Within a machine, where that is next to nothing, buffers do not grow.
func (c *Conn) pathHolds() uint32 {
	us := uint64(c.rtt.srtt / time.Microsecond)
	bound := uint64(c.cfg.maxBuffer())
	return uint32(min(2*us*tuneRate, bound))
}

// tuneRecv is called as data in order arrive. If the user has taken more than half of the buffer
// within a round trip the window is, or soon will be, what limits the sender: offer twice as much as
// was taken.
func (c *Conn) tuneRecv(now Instant) {
	elapsed := now.Sub(c.tuneAt)
	if elapsed < c.rtt.srtt || c.rtt.srtt == 0 {
		return
	}
	taken := c.rcv.nxt - c.rcv.buf.n
	n := uint64(taken - c.tuneSeq)
	fresh := c.tuneAt == 0
	c.tuneAt, c.tuneSeq = now, taken
	if fresh {
		return
	}
	if elapsed > c.rtt.srtt { // in one round trip
		n = n * uint64(c.rtt.srtt) / uint64(elapsed)
	}
	if n <= uint64(c.rcv.limit/2) || !c.has(flagWScale) {
		return
	}
	c.rcv.limit = max(c.rcv.limit, uint32(min(2*n, uint64(c.pathHolds()))))
}

// tuneSend is called when an ACK has made room for a Write that was cut short. The buffer must hold a
// flight and what is written meanwhile.
func (c *Conn) tuneSend() {
	want := min(2*min(c.cc.cwnd, c.snd.wnd), c.pathHolds())
	c.snd.limit = max(c.snd.limit, want)
}
