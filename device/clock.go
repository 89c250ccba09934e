package device

import (
	"time"

	"github.com/understudy-net/understudy/bus/hif"
)

// clock is the time of day, once somebody has set it. Spec hif-messages 2.15.
type clock struct {
	at     time.Time // on the owner's clock, when it was set
	utc    time.Time // what it was then; zero: not known
	source string    // who said so
}

// now returns the time of day, the zero time if it is not known.
func (c *clock) now(now time.Time) time.Time {
	if c.utc.IsZero() {
		return time.Time{}
	}
	return c.utc.Add(now.Sub(c.at))
}

// The eras of NTP time. Hosts send the seconds since 1900 modulo 2^32, which wraps in 2036.
var (
	era0    = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)
	era1    = era0.Add(1 << 32 * time.Second)
	epoch70 = uint32(2208988800) // 1970 in era 0: no host means an earlier time
)

// setTime is SET_SYS_TIME.
func (f *firmware) setTime(now time.Time, m hif.SetSysTime) {
	base := era0
	if m.Seconds < epoch70 {
		base = era1
	}
	f.clock = clock{at: now, utc: base.Add(time.Duration(m.Seconds) * time.Second), source: "host"}
}

// setName is SET_DEVICE_NAME: the host name in DHCP, from the next connect on. An empty name brings the default back.
func (f *firmware) setName(name string) {
	if name == "" {
		name = defaultName(f.mac)
	}
	f.name = name
}

// random is GET_PRNG: the request comes back, with the random bytes behind it. Spec hif-messages 2.20.
func (f *firmware) random(now time.Time, r request) {
	m, err := hif.ParsePRNG(r.payload)
	if err != nil {
		f.malformed(now, r, err.Error())
		return
	}
	count := int(m.Count)
	if count > hif.MaxPayload-len(m.Head) {
		f.malformed(now, r, "more bytes than a message holds")
		count = 0
	}
	e := f.d.out.push(maxReplies)
	if e == nil {
		f.d.counters.RepliesLost++
		return
	}
	e.kind, e.op, e.count = entryRandom, hif.OpPRNG, count
	e.len = copy(e.buf[:], m.Head)
}

func (f *firmware) fillRandom(b []byte) {
	for len(b) > 0 {
		var w [8]byte
		le.PutUint64(w[:], f.d.rand.Uint64())
		b = b[copy(b, w[:]):]
	}
}
