package tcp

import "time"

// Bounds of the retransmission timeout (RFC 6298, 2).
const (
	initialRTO = time.Second            // before the first sample (2.1)
	minRTO     = 200 * time.Millisecond // the RFC says 1 s (2.4); see the package comment
	maxRTO     = 60 * time.Second       // at least 60 s (2.5)
	lostSynRTO = 3 * time.Second        // for the data phase, if the SYN was lost (5.7)
	clockG     = time.Millisecond       // G, the granularity of the clock
	maxBackoff = 12                     // doublings after which RTO is beyond maxRTO in any case
)

// rtt estimates the round-trip time and from it the retransmission timeout (RFC 6298).
// The zero value has no sample yet.
type rtt struct {
	srtt, rttvar time.Duration
	base         time.Duration // RTO before back-off; 0 stands for initialRTO
	backoff      uint8         // times that RTO was doubled
}

// onSample takes the measurement r of a round trip (RFC 6298, 2.2 and 2.3). The caller keeps to
// Karn's rule: no sample from a segment sent twice, unless a timestamp tells which one it was
// (MUST-18).
func (t *rtt) onSample(r time.Duration) {
	r = max(r, 1)
	if t.srtt == 0 {
		t.srtt, t.rttvar = r, r/2
	} else {
		d := t.srtt - r
		if d < 0 {
			d = -d
		}
		t.rttvar += (d - t.rttvar) / 4 // RTTVAR first: it uses the old SRTT
		t.srtt += (r - t.srtt) / 8
	}
	t.base = min(max(t.srtt+max(clockG, 4*t.rttvar), minRTO), maxRTO)
	t.backoff = 0
}

// onTimeout doubles RTO (RFC 6298, 5.5). It stays so until the next sample (Karn; section 5, last
// paragraph).
func (t *rtt) onTimeout() { t.backoff = min(t.backoff+1, maxBackoff) }

// onEstablished forgets the doublings of the handshake. If there were any, RTO starts with 3 s (RFC
// 6298, 5.7).
func (t *rtt) onEstablished() {
	if t.backoff > 0 && t.srtt == 0 {
		t.base = lostSynRTO
	}
	t.backoff = 0
}

// unbacked is the retransmission timeout before back-off.
func (t *rtt) unbacked() time.Duration {
	if t.base == 0 {
		return initialRTO
	}
	return t.base
}

// rto is the retransmission timeout.
func (t *rtt) rto() time.Duration { return min(t.unbacked()<<t.backoff, maxRTO) }
