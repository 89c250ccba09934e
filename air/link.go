package air

import (
	"errors"
	"fmt"
	"time"

	"github.com/understudy-net/understudy/wire"
)

// Link is what one direction between two radios does to frames. The zero value does nothing to them.
// Chances are from 0 to 1 and are drawn for each frame and receiver.
type Link struct {
	Loss      float64 // the frame is not heard
	Duplicate float64 // it is heard twice
	Reorder   float64 // it is held back, so that later ones overtake it
	Corrupt   float64 // one bit of Data is flipped

	Delay  time.Duration // added to the delay of the air
	Jitter time.Duration // added at random, from 0 up to this; alone it does not change the order

	RSSI int8 // dBm at the receiver; 0 means that of the air
	Down bool // nothing passes
}

// ErrNoRand says that a link leaves something to chance and the air was made without Config.Rand.
var ErrNoRand = errors.New("air: a link with chances needs Config.Rand")

// reorderSpan is the shortest time from which the delay of a reordered frame is drawn.
const reorderSpan = time.Millisecond

func (l *Link) validate(hasRand bool) error {
	chance := false
	for _, p := range []float64{l.Loss, l.Duplicate, l.Reorder, l.Corrupt} {
		if !(p >= 0 && p <= 1) { // also refuses NaN
			return fmt.Errorf("air: chance %v of a link is not between 0 and 1", p)
		}
		chance = chance || p > 0
	}
	if l.Delay < 0 || l.Jitter < 0 {
		return fmt.Errorf("air: delay %v or jitter %v of a link is negative", l.Delay, l.Jitter)
	}
	if (chance || l.Jitter > 0) && !hasRand {
		return ErrNoRand
	}
	return nil
}

// SetLink sets what happens to frames from one address to another, in that direction only, from the next delivery on. A
// zero address stands for any; an exact pair goes before from, from before to. Addresses are those of ports. The error
// says what is wrong with l; then nothing changes.
func (a *Air) SetLink(from, to wire.MAC, l Link) error {
	if err := l.validate(a.rand != nil); err != nil {
		return err
	}
	if a.links.set == nil {
		a.links.set = map[[2]wire.MAC]*Link{}
		a.links.pairs = map[pairKey]*pair{}
	}
	a.links.set[[2]wire.MAC{from, to}] = &l
	a.links.changed()
	return nil
}

// linkTable knows the links, and remembers for each pair of ports which one applies.
type linkTable struct {
	set   map[[2]wire.MAC]*Link
	pairs map[pairKey]*pair
	gen   uint64 // of set and of the ports' addresses

	closed int // ports since the last sweep
}

type pairKey struct{ from, to *Port }

type pair struct {
	link *Link
	gen  uint64
	last time.Time // of the latest delivery in order: nothing in order goes before it
}

func (t *linkTable) empty() bool { return len(t.set) == 0 }

func (t *linkTable) changed() { t.gen++ }

// portClosed makes room now and then: a sweep for every so many closed ports costs each of them little.
func (t *linkTable) portClosed() {
	if t.closed++; 4*t.closed < len(t.pairs) {
		return
	}
	t.closed = 0
	for k := range t.pairs { // order does not show
		if k.from.closed || k.to.closed {
			delete(t.pairs, k)
		}
	}
}

func (t *linkTable) lookup(from, to *Port) *pair {
	k := pairKey{from, to}
	s := t.pairs[k]
	if s == nil {
		s = new(pair)
		t.pairs[k] = s
		s.gen = t.gen - 1
	}
	if s.gen != t.gen {
		s.link = t.resolve(from.mac, to.mac)
		s.gen = t.gen
	}
	return s
}

func (t *linkTable) resolve(from, to wire.MAC) *Link {
	for _, k := range [][2]wire.MAC{{from, to}, {from, {}}, {{}, to}, {{}, {}}} {
		if l := t.set[k]; l != nil {
			return l
		}
	}
	return nil
}

// impair decides what the link between p's sender and q makes of p.
func (a *Air) impair(now time.Time, p *packet, q *Port) {
	s := a.links.lookup(p.from, q)
	l := s.link
	switch {
	case l == nil && !s.last.After(p.at):
		a.hand(now, p, q, a.cfg.RSSI)
		return
	case l == nil: // a slower link is gone, what it holds is not
		a.delay(p, q, s, &Link{})
		return
	case l.Down:
		a.counts.Drops.Down++
		return
	case a.chance(l.Loss):
		a.counts.Drops.Loss++
		return
	}
	a.delay(p, q, s, l)
	if a.chance(l.Duplicate) {
		a.counts.Duplicated++
		a.delay(p, q, s, l)
	}
}

// delay queues a copy of p for q when link l lets it arrive.
func (a *Air) delay(p *packet, q *Port, s *pair, l *Link) {
	if len(a.late) >= a.cfg.MaxFrames {
		a.counts.Drops.QueueFull++
		return
	}
	at := p.at.Add(l.Delay)
	if l.Jitter > 0 {
		at = at.Add(time.Duration(a.rand.Int64N(int64(l.Jitter))))
	}
	if a.chance(l.Reorder) {
		a.counts.Reordered++
		span := max(reorderSpan, a.cfg.Delay+l.Delay+l.Jitter)
		at = at.Add(time.Duration(1 + a.rand.Int64N(3*int64(span))))
	} else {
		if at.Before(s.last) {
			at = s.last
		}
		s.last = at
	}
	if a.chance(l.Corrupt) && len(p.f.Data) > 0 {
		a.counts.Corrupted++
		p = a.copyOf(p.f, p.from)
		bit := a.rand.IntN(8 * len(p.f.Data))
		p.f.Data[bit/8] ^= 1 << (bit % 8)
	} else {
		p.refs++
	}
	rssi := l.RSSI
	if rssi == 0 {
		rssi = a.cfg.RSSI
	}
	a.seq++
	a.late.push(lateEntry{at: at, seq: a.seq, p: p, to: q, rssi: rssi})
}

// chance draws with probability p; it draws nothing when the outcome is certain.
func (a *Air) chance(p float64) bool {
	switch {
	case p <= 0:
		return false
	case p >= 1:
		return true
	}
	return a.rand.Float64() < p
}
