package air

import (
	"math/rand/v2"
	"time"

	"github.com/understudy-net/understudy/wire"
)

// TypicalDelay is a delay as a quiet 2.4 GHz network has it: channel access, a full frame at some tens of Mbit/s and its
// acknowledgement.
const TypicalDelay = 300 * time.Microsecond

// Defaults of Config.
const (
	defaultQueue     = 1024
	defaultMaxFrames = 1 << 16
	defaultRSSI      = -40
)

// Config configures an [Air]. The zero value is a perfect medium without delay.
type Config struct {
	// Rand decides about loss, jitter and the like. It is needed only by links that leave something to chance:
	// without it SetLink refuses those.
	Rand rand.Source

	// Delay is the time from Send to delivery on every link; 0 delivers at the next Advance. See TypicalDelay.
	Delay time.Duration

	// Queue is the most frames that one port may have in flight; 0 means 1024. Above it the port drops.
	Queue int

	// MaxFrames is the same for all ports together; 0 means 65536.
	MaxFrames int

	// RSSI is the signal strength in dBm where no link says another; 0 means -40.
	RSSI int8
}

// Air is the medium. See the package comment; make one with [New].
type Air struct {
	// OnSend, when set, is called by every Send that queued a frame, because the deadline may have moved. A world's
	// owner sets it to the Touch of the air's slot. It must not call the air.
	OnSend func()

	cfg    Config
	rand   *rand.Rand // nil without Config.Rand
	counts Counters

	byMAC    map[wire.MAC]*list
	channels map[uint8]*list
	groups   map[wire.MAC]*list
	monitors list
	cursor   *node // next port of the delivery that is going on, so that ports may come and go during it
	taps     []*tap

	sent fifo     // frames that every receiver hears after Config.Delay
	late lateHeap // copies for one receiver that a link delays
	pool pool
	seq  uint64 // of the last frame or copy

	links linkTable
}

// New makes an air without ports.
func New(c Config) *Air {
	if c.Queue <= 0 {
		c.Queue = defaultQueue
	}
	if c.MaxFrames <= 0 {
		c.MaxFrames = defaultMaxFrames
	}
	if c.RSSI == 0 {
		c.RSSI = defaultRSSI
	}
	a := &Air{
		cfg:      c,
		byMAC:    map[wire.MAC]*list{},
		channels: map[uint8]*list{},
		groups:   map[wire.MAC]*list{},
	}
	if c.Rand != nil {
		a.rand = rand.New(c.Rand)
	}
	return a
}

// Counters returns what was counted so far.
func (a *Air) Counters() Counters { return a.counts }

// Deadline says when the next frame is due; zero when none is in flight.
func (a *Air) Deadline() time.Time {
	at, ok := a.sent.next()
	if len(a.late) > 0 && (!ok || a.late[0].at.Before(at)) {
		return a.late[0].at
	}
	return at
}

// Advance delivers what is due at now, in order of time and of sending. What receivers send meanwhile waits for the next
// call, even without delay: two ports that answer each other at once cannot keep it busy for ever.
func (a *Air) Advance(now time.Time) {
	last := a.seq
	for {
		head := a.sent.head
		if head != nil && (head.at.After(now) || head.seq > last) {
			head = nil
		}
		// At equal times the delayed copy goes first: it was sent earlier.
		if len(a.late) > 0 && !a.late[0].at.After(now) && (head == nil || !a.late[0].at.After(head.at)) {
			a.deliverLate(now, a.late.pop())
			continue
		}
		if head == nil {
			return
		}
		a.sent.pop()
		a.transmit(now, head)
		a.release(head)
	}
}

// transmit offers p to everyone who may hear it.
func (a *Air) transmit(now time.Time, p *packet) {
	var heard bool
	if p.f.To.IsMulticast() {
		l := a.groups[p.f.To]
		if l == nil {
			l = a.channels[p.f.Channel]
		}
		a.offerAll(now, p, l)
		heard = true // nobody listening is no fault of a broadcast
	} else {
		heard = a.offerAll(now, p, a.byMAC[p.f.To])
	}
	a.offerAll(now, p, &a.monitors)
	if !heard {
		a.counts.Drops.NoReceiver++
	}
}

// offerAll offers p to the ports of l that are tuned to it, and reports whether there was one.
func (a *Air) offerAll(now time.Time, p *packet, l *list) (heard bool) {
	if l == nil {
		return false
	}
	for n := l.head; n != nil; n = a.cursor {
		a.cursor = n.next
		q := n.port
		if q == p.from || q.heard == p.seq || !q.hears(p.f.Channel) {
			continue
		}
		q.heard = p.seq // once, even if the callback retunes the port and so moves it to the end of the list
		heard = true
		a.offer(now, p, q)
	}
	a.cursor = nil
	return heard
}

// offer lets q hear p now, or whatever the link between them makes of it.
func (a *Air) offer(now time.Time, p *packet, q *Port) {
	if a.links.empty() {
		a.hand(now, p, q, a.cfg.RSSI)
		return
	}
	a.impair(now, p, q)
}

// hand calls the receiver.
func (a *Air) hand(now time.Time, p *packet, q *Port, rssi int8) {
	a.counts.Delivered++
	q.counts.Received++
	f := p.f
	f.RSSI = rssi
	q.in(now, f)
}

func (a *Air) deliverLate(now time.Time, e lateEntry) {
	if e.to.closed || !e.to.hears(e.p.f.Channel) {
		a.counts.Drops.Gone++
	} else {
		a.hand(now, e.p, e.to, e.rssi)
	}
	a.release(e.p)
}

type tap struct {
	fn func(now time.Time, f Frame)
}

// Tap calls fn with every frame, once, as it is sent (RSSI is that of a perfect link), until cancel is called. fn is
// called from within Send: it may read the frame and must not send or advance.
func (a *Air) Tap(fn func(now time.Time, f Frame)) (cancel func()) {
	t := &tap{fn}
	a.setTaps(t, nil)
	return func() { a.setTaps(nil, t) }
}

// setTaps makes a new slice, because the old one may be in use.
func (a *Air) setTaps(add, remove *tap) {
	var taps []*tap
	for _, t := range a.taps {
		if t != remove {
			taps = append(taps, t)
		}
	}
	if add != nil {
		taps = append(taps, add)
	}
	a.taps = taps
}
