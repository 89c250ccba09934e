package tcp

import (
	"fmt"
	"time"
)

// Congestion names an algorithm of congestion control.
type Congestion uint8

// The algorithms. Both recover as RFC 6582 and RFC 6675 say, and start slowly in the same way.
const (
	CUBIC   Congestion = iota // RFC 9438: the default
	NewReno                   // RFC 5681
)

// String names the algorithm.
func (a Congestion) String() string {
	switch a {
	case CUBIC:
		return "CUBIC"
	case NewReno:
		return "NewReno"
	}
	return fmt.Sprintf("congestion(%d)", uint8(a))
}

// cubic is what CUBIC knows beside cwnd and ssthresh (RFC 9438, 4.1.2). It is made at the first loss:
// slow start has no need of it. All of it is done in integers, so that it comes out the same on each
// kind of machine; windows are in bytes.
type cubic struct {
	wMax    uint32  // W_max: the window before the latest reduction, or less after fast convergence
	prior   uint32  // cwnd_prior: the same without fast convergence
	wEst    uint32  // W_est: what Reno would have by now
	timeout bool    // the latest reduction was for a timeout
	epoch   Instant // t_epoch: when this stage of congestion avoidance began, shifted by the time that does not count; 0: it has not
	seen    Instant // the latest ACK
	k       int64   // K, in ms: when the window will be back at wMax
	estFrac uint64  // what is left of wEst's growth, in bytes times wEst's unit
	frac    uint64  // the same of cwnd
}

// onLoss takes a reduction (RFC 9438, 4.6 and 4.7).
func (q *cubic) onLoss(cwnd uint32, timeout bool) {
	q.prior = cwnd
	if cwnd < q.wMax { // fast convergence: leave room for those who have come
		q.wMax = uint32(uint64(cwnd) * 17 / 20) // (1 + beta)/2
	} else {
		q.wMax = cwnd
	}
	q.timeout = timeout
	q.epoch = 0
}

// beta is the share of the window that is left after a loss: 0.7.
func beta(w uint32) uint32 { return uint32(uint64(w) * 7 / 10) }

// onAck returns the window after an ACK of n new bytes in congestion avoidance. limited says that
// cwnd is what keeps the sender from sending more; time in which it does not is left out (RFC 9438,
// 5.8).
func (q *cubic) onAck(now Instant, rtt time.Duration, cwnd, n, mss uint32, limited bool) uint32 {
	if q.epoch == 0 {
		q.begin(now, cwnd, mss)
	}
	if !limited {
		q.epoch += now - q.seen
		q.seen = now
		return cwnd
	}
	q.seen = now
	q.growEstimate(cwnd, n, mss)
	t := now.Sub(q.epoch)
	if q.window(t, mss) < q.wEst { // Reno-friendly region (4.3)
		return max(cwnd, q.wEst)
	}
	// Concave and convex region (4.4, 4.5): within a round trip to where the curve will be then.
	target := min(max(q.window(t+rtt, mss), cwnd), cwnd+cwnd/2)
	q.frac += uint64(target-cwnd) * uint64(n)
	inc := q.frac / uint64(cwnd)
	q.frac -= inc * uint64(cwnd)
	return cwnd + uint32(min(inc, uint64(target-cwnd)))
}

// begin starts a stage of congestion avoidance (4.2, 4.8).
func (q *cubic) begin(now Instant, cwnd, mss uint32) {
	q.epoch, q.seen, q.wEst, q.frac, q.estFrac, q.k = now, now, cwnd, 0, 0, 0
	if q.timeout || cwnd >= q.wMax {
		q.wMax = cwnd
		return
	}
	// K = cbrt((W_max - cwnd_epoch) / C) with windows in segments, C = 0.4 and time in seconds.
	q.k = int64(cbrt(uint64(q.wMax-cwnd) * 2_500_000_000 / uint64(mss)))
}

// growEstimate moves W_est on: by alpha segments in a window (4.3).
func (q *cubic) growEstimate(cwnd, n, mss uint32) {
	a := uint64(n) * uint64(mss)
	if q.wEst < q.prior {
		a = a * 9 / 17 // alpha = 3 (1 - beta)/(1 + beta)
	}
	q.estFrac += a
	inc := q.estFrac / uint64(cwnd)
	q.estFrac -= inc * uint64(cwnd)
	q.wEst = uint32(min(uint64(q.wEst)+inc, maxCwnd))
}

// window is W_cubic(t) = C (t-K)^3 + W_max (4.2, equation 1).
func (q *cubic) window(t time.Duration, mss uint32) uint32 {
	const far = 200_000 // ms; by then the window is at its bound, up or down
	d := min(max(t.Milliseconds()-q.k, -far), far)
	w := int64(q.wMax) + d*d*d/1000*int64(mss)/2_500_000
	return uint32(min(max(w, 0), maxCwnd))
}

// cbrt is the integer cube root, bit by bit.
func cbrt(v uint64) uint64 {
	r := uint64(0)
	for s := 63; s >= 0; s -= 3 {
		r *= 2
		if b := 3*r*(r+1) + 1; v>>s >= b {
			v -= b << s
			r++
		}
	}
	return r
}
