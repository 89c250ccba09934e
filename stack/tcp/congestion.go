package tcp

import (
	"time"

	"github.com/understudy-net/understudy/wire"
)

// congestion decides how much may be in flight: slow start and Reno's congestion avoidance (RFC
// 5681), or that of cubic, with NewReno's recovery (RFC 6582).
// Its methods say what happened. All windows are in bytes.
type congestion struct {
	cwnd, ssthresh uint32
	acked          uint32 // bytes acknowledged since cwnd last grew in congestion avoidance
	recover        uint32 // SND.NXT when the latest loss was found (RFC 6582, 3.2)
	dupAcks        uint8
	fast           bool // in fast recovery
	partial        bool // a partial ACK has come in this recovery
	algorithm      Congestion
	advance        uint32 // bytes that the latest ACK of something new acknowledged
	cubic          *cubic // made at the first loss
}

const dupThresh = 3 // duplicate ACKs that mean a loss (RFC 5681, 3.2)

// onOpen sets the initial window (RFC 6928, 2), or one segment if SYN or SYN-ACK was lost
// (RFC 5681, 3.1).
func (g *congestion) onOpen(mss uint32, synLost bool) {
	g.cwnd = initialWindow(mss)
	if synLost {
		g.cwnd = mss
	}
	g.ssthresh = 1 << 30
}

func initialWindow(mss uint32) uint32 { return min(10*mss, max(2*mss, 14600)) }

// onAck grows cwnd when n bytes were newly acknowledged outside of recovery, in a round trip of
// about rtt. limited says that cwnd
// was what kept us from sending more; it does not grow for a sender that does not use it (RFC 5681,
// 3.1; RFC 7661, 4).
func (g *congestion) onAck(now Instant, rtt time.Duration, n, mss uint32, limited bool) {
	g.dupAcks = 0
	if g.cwnd >= g.ssthresh && g.cubic != nil {
		g.cwnd = min(g.cubic.onAck(now, rtt, g.cwnd, n, mss, limited), maxCwnd)
		return
	}
	if !limited {
		return
	}
	if g.cwnd < g.ssthresh {
		// Slow start by bytes, at most two segments for one ACK (RFC 3465, 2.2, L = 2), so
		// that splitting ACKs gains nothing.
		g.cwnd = min(g.cwnd+min(n, 2*mss), maxCwnd)
		return
	}
	g.acked += n
	if g.acked >= g.cwnd { // one segment for each round trip (RFC 3465, 2.1)
		g.acked -= g.cwnd
		g.cwnd = min(g.cwnd+mss, maxCwnd)
	}
}

const maxCwnd = 1 << 29

// onLoss reduces the window for a loss found with flight bytes outstanding (RFC 5681, equation 4; RFC
// 9438, 4.6).
func (g *congestion) onLoss(flight, mss, nxt uint32, timeout bool) {
	share := flight / 2
	if g.algorithm == CUBIC {
		if g.cubic == nil {
			g.cubic = &cubic{}
		}
		g.cubic.onLoss(min(g.cwnd, max(flight, mss)), timeout)
		share = beta(flight)
	}
	g.ssthresh = max(share, 2*mss)
	g.recover = nxt
	g.acked = 0
}

// onDupAck counts a duplicate ACK of una and reports whether it calls for a fast retransmit.
func (g *congestion) onDupAck(una, nxt, flight, mss uint32) bool {
	if g.dupAcks < 255 {
		g.dupAcks++
	}
	switch {
	case g.fast:
		g.cwnd = min(g.cwnd+mss, maxCwnd) // a segment has left the network
	case g.dupAcks == dupThresh && (wire.SeqGT(una, g.recover) || g.resentLost(mss)):
		// Not for an ACK below recover: as a rule our own retransmissions caused it (RFC 6582, 3.2,
		// step 1).
		g.onLost(flight, mss, nxt)
		return true
	}
	return false
}

// resentLost guesses whether duplicate ACKs below recover, after a timeout, mean that something that
// was sent again is lost once more (RFC 6582, 4.1). What was sent again in vain, in front of data that
// had arrived, would have made the ACK jump before.
func (g *congestion) resentLost(mss uint32) bool {
	return g.cwnd > mss && g.advance > 0 && g.advance <= 4*mss
}

// onLost begins fast recovery (RFC 5681, 3.2, steps 2 and 3).
func (g *congestion) onLost(flight, mss, nxt uint32) {
	g.onLoss(flight, mss, nxt, false)
	g.cwnd = g.ssthresh + dupThresh*mss
	g.fast, g.partial = true, false
}

// onSACKRecoveryAck handles an ACK while the scoreboard guides recovery: that ends when all is
// acknowledged that was in flight when it began (RFC 6675, 5, step A).
func (g *congestion) onSACKRecoveryAck(ack uint32) {
	if wire.SeqGEQ(ack, g.recover) {
		g.cwnd = g.ssthresh
		g.fast, g.dupAcks = false, 0
	}
}

// onRecoveryAck handles an ACK of n new bytes in fast recovery (RFC 6582, 3.2, step 3). It
// reports whether the next hole is to be sent and whether the timer restarts.
func (g *congestion) onRecoveryAck(ack, n, flight, mss uint32) (resend, restart bool) {
	if wire.SeqGEQ(ack, g.recover) { // a full acknowledgment: deflate, and avoid a burst
		g.cwnd = min(g.ssthresh, max(flight, mss)+mss)
		g.fast, g.dupAcks = false, 0
		return false, true
	}
	g.cwnd -= min(n, g.cwnd)
	if n >= mss {
		g.cwnd += mss
	}
	g.cwnd = max(g.cwnd, mss)
	restart = !g.partial // "impatient": the timer restarts at the first one only
	g.partial = true
	return true, restart
}

// onTimeout starts again with one segment (RFC 5681, 3.1). repeated says that the same data had
// timed out before: ssthresh is halved only once.
func (g *congestion) onTimeout(flight, mss, nxt uint32, repeated bool) {
	if !repeated {
		g.onLoss(flight, mss, nxt, true)
	}
	g.recover = nxt
	g.cwnd, g.acked, g.dupAcks, g.fast = mss, 0, 0, false
}

// onIdle restarts the window after a pause longer than RTO (RFC 5681, 4.1).
func (g *congestion) onIdle(mss uint32) { g.cwnd = min(g.cwnd, initialWindow(mss)) }

// limitedTransmit is how far beyond cwnd the first two duplicate ACKs let us go (RFC 3042).
func (g *congestion) limitedTransmit(mss uint32) uint32 {
	if g.fast || g.dupAcks >= dupThresh {
		return 0
	}
	return uint32(g.dupAcks) * mss
}
