package tcp

import (
	"math"
	"testing"
	"time"
)

// CUBIC (RFC 9438; MAY-18 of RFC 9293).

// drive plays ACKs of full windows to g, one window in each rtt, for the time d.
func drive(g *congestion, now Instant, rtt, d time.Duration, mss uint32) Instant {
	for end := now.Add(d); now < end; {
		now = now.Add(rtt)
		for acked, w := uint32(0), g.cwnd; acked < w; acked += mss {
			g.onAck(now, rtt, mss, mss, true)
		}
	}
	return now
}

// lose is a loss with a full window in flight, recovered from.
func lose(g *congestion, mss uint32) {
	g.onLost(g.cwnd, mss, 0)
	g.cwnd, g.fast = g.ssthresh, false
}

func TestCubicCurve(t *testing.T) {
	// By the formulas: with 100 segments at the loss, cwnd is 70, K = cbrt(30/0.4) = 4.217 s; then it
	// is W_max + 0.4 (t-K)^3.
	const mss = 1000
	const rtt = 200 * time.Millisecond
	g := &congestion{cwnd: 100 * mss, ssthresh: 100 * mss, cubic: &cubic{}}
	lose(g, mss)
	if g.cwnd != 70*mss {
		t.Fatalf("cwnd %d after a loss, want 70 segments", g.cwnd)
	}
	now := Instant(time.Hour)
	g.onAck(now, rtt, mss, mss, true)
	if k := math.Cbrt(30/0.4) * 1000; math.Abs(float64(g.cubic.k)-k) > 1.5 {
		t.Fatalf("K is %d ms, want %.0f", g.cubic.k, k)
	}
	for s := 1; s <= 9; s++ {
		now = drive(g, now, rtt, time.Second, mss)
		d := float64(s) - math.Cbrt(30/0.4)
		want := 100 + 0.4*d*d*d
		if got := float64(g.cwnd) / mss; math.Abs(got-want) > 2+want/50 {
			t.Errorf("after %d s cwnd is %.1f segments, want %.1f", s, got, want)
		}
	}
}

func TestCubicIsNoSlowerThanReno(t *testing.T) {
	// In a short round trip Reno is faster than the curve, and CUBIC follows W_est: alpha segments a
	// round trip, one when it has passed the window before the loss (RFC 9438, 4.3).
	const mss = 1000
	g := &congestion{cwnd: 20 * mss, ssthresh: 20 * mss, cubic: &cubic{}}
	lose(g, mss)
	now := drive(g, Instant(time.Hour), time.Millisecond, 10*time.Millisecond, mss)
	if got := float64(g.cwnd) / mss; math.Abs(got-(14+10*9./17)) > 1 {
		t.Fatalf("%.1f segments after ten round trips, want 19.3", got)
	}
	now = drive(g, now, time.Millisecond, 10*time.Millisecond, mss)
	before := g.cwnd
	drive(g, now, time.Millisecond, 20*time.Millisecond, mss)
	if got := float64(g.cwnd-before) / mss; math.Abs(got-20) > 2 {
		t.Fatalf("grew by %.1f segments in twenty round trips", got)
	}
}

func TestCubicFastConvergence(t *testing.T) {
	const mss = 1000
	g := &congestion{cwnd: 100 * mss, ssthresh: 100 * mss}
	lose(g, mss)
	g.cwnd = 80 * mss // lost again before the old maximum was reached
	lose(g, mss)
	if g.cubic.wMax != 68*mss || g.cwnd != 56*mss { // 80 (1 + 0.7)/2
		t.Fatalf("W_max %d, cwnd %d", g.cubic.wMax, g.cwnd)
	}
}

func TestCubicLeavesOutIdleTime(t *testing.T) {
	// RFC 9438, 5.8: time in which the sender had too little to send is not time on the curve.
	const mss = 1000
	const rtt = 100 * time.Millisecond
	g := &congestion{cwnd: 100 * mss, ssthresh: 100 * mss}
	lose(g, mss)
	now := drive(g, Instant(time.Hour), rtt, time.Second, mss)
	before := g.cwnd
	for range 1000 {
		now = now.Add(rtt)
		g.onAck(now, rtt, mss, mss, false)
	}
	if g.cwnd != before {
		t.Fatal("grew without being used")
	}
	drive(g, now, rtt, rtt, mss)
	if g.cwnd > before+before/10 {
		t.Fatalf("a jump from %d to %d after a pause", before, g.cwnd)
	}
}

func TestCubicAfterTimeout(t *testing.T) {
	// RFC 9438, 4.8: one segment, ssthresh by beta; the next stage starts from its own window.
	const mss = 1000
	g := &congestion{cwnd: 100 * mss, ssthresh: 1 << 30}
	g.onTimeout(100*mss, mss, 0, false)
	if g.cwnd != mss || g.ssthresh != 70*mss {
		t.Fatal(g.cwnd, g.ssthresh)
	}
	g.cwnd = g.ssthresh
	g.onAck(Instant(time.Hour), time.Second, mss, mss, true)
	if g.cubic.k != 0 || g.cubic.wMax != 70*mss {
		t.Fatalf("%+v", g.cubic)
	}
}

func TestCubicIsBounded(t *testing.T) {
	for _, mss := range []uint32{64, 536, 1460, 65495} {
		for _, w := range []uint32{2 * mss, 1 << 20, maxCwnd} {
			g := &congestion{cwnd: w, ssthresh: w}
			lose(g, mss)
			now := Instant(1)
			for _, d := range []time.Duration{1, time.Millisecond, time.Second, time.Hour, 1000 * time.Hour} {
				now = now.Add(d)
				last := g.cwnd
				g.onAck(now, d, mss, mss, true)
				if g.cwnd < last || g.cwnd > maxCwnd {
					t.Fatalf("MSS %d: from %d to %d", mss, last, g.cwnd)
				}
			}
		}
	}
	for _, v := range []uint64{0, 1, 7, 8, 26, 27, 1e9, 1e18, math.MaxUint64} {
		r := cbrt(v)
		if r*r*r > v || (r+1 < 2642246 && (r+1)*(r+1)*(r+1) <= v) {
			t.Errorf("cbrt(%d) = %d", v, r)
		}
	}
}

func BenchmarkCubic(b *testing.B) {
	g := &congestion{cwnd: 100 * 1460, ssthresh: 100 * 1460}
	lose(g, 1460)
	now := Instant(time.Hour)
	for b.Loop() {
		now += 1000
		g.onAck(now, time.Millisecond, 1460, 1460, true)
		g.cwnd = min(g.cwnd, 1<<20)
	}
}
