package wifi

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/wire"
)

var epoch = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

var (
	apMAC  = wire.MAC{0x02, 0, 0x5e, 0, 0x53, 0xaa}
	staMAC = wire.MAC{0x02, 0, 0x5e, 0, 0x53, 0x01}
	sta2   = wire.MAC{0x02, 0, 0x5e, 0, 0x53, 0x02}
)

const (
	ssid       = "understudy"
	passphrase = "correct horse"
)

type machine interface {
	Advance(now time.Time)
	Deadline() time.Time
}

// bench is one air in virtual time.
type bench struct {
	*testing.T
	now      time.Time
	seed     uint64
	air      *air.Air
	pmks     PMKCache
	machines []machine
	trace    []string
}

func newBench(t *testing.T, seed uint64) *bench {
	b := &bench{T: t, now: epoch, seed: seed}
	b.air = air.New(air.Config{Rand: rand.NewPCG(seed, 1), Delay: air.TypicalDelay})
	b.machines = []machine{b.air}
	b.air.Tap(func(now time.Time, f air.Frame) {
		if len(b.trace) > 400 {
			b.trace = append(b.trace[:0], b.trace[200:]...)
		}
		what := ""
		if m, err := ParseManagement(f.Data); f.Kind == air.KindManagement && err == nil {
			if m.Subtype == Beacon {
				return
			}
			what = m.String()
		}
		b.trace = append(b.trace, fmt.Sprintf("%10v %v %s", now.Sub(epoch), f, what))
	})
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d; the end of the trace:", b.seed)
			for _, line := range b.trace[max(0, len(b.trace)-60):] {
				t.Log(line)
			}
		}
	})
	return b
}

// run lets time pass, firing what is due in order.
func (b *bench) run(d time.Duration) { b.runUntil(d, func() bool { return false }) }

// runUntil lets time pass until done, and reports whether it was.
func (b *bench) runUntil(d time.Duration, done func() bool) bool {
	b.Helper()
	end := b.now.Add(d)
	for spins := 0; ; {
		if done() {
			return true
		}
		var next machine
		var at time.Time
		for _, m := range b.machines {
			if d := m.Deadline(); !d.IsZero() && (next == nil || d.Before(at)) {
				next, at = m, d
			}
		}
		if next == nil || at.After(end) {
			b.now = end
			return done()
		}
		if at.After(b.now) {
			b.now, spins = at, 0
		} else if spins++; spins > 1_000_000 {
			b.Fatalf("time stands still at %v: %T", b.now.Sub(epoch), next)
		}
		next.Advance(b.now)
	}
}

// node is a machine and what came out of it.
type node struct {
	*Station
	b   *bench
	got []string // payloads
}

func (b *bench) station(mac wire.MAC) *node {
	b.Helper()
	n := &node{b: b}
	s, err := NewStation(StationConfig{
		Air: b.air, MAC: mac, Rand: rand.NewPCG(b.seed, uint64(mac[5])), PMKs: &b.pmks,
		Output: func(now time.Time, eth []byte) { n.got = append(n.got, string(eth[wire.EthernetLen:])) },
	})
	if err != nil {
		b.Fatal(err)
	}
	n.Station = s
	b.machines = append(b.machines, s)
	return n
}

type apNode struct {
	*AccessPoint
	got []string
}

func (b *bench) accessPoint(c APConfig) *apNode {
	b.Helper()
	n := &apNode{}
	c.Air, c.Rand, c.PMKs = b.air, rand.NewPCG(b.seed, 99), &b.pmks
	if c.MAC.IsZero() {
		c.MAC = apMAC
	}
	if c.SSID == "" {
		c.SSID = ssid
	}
	if c.Channel == 0 {
		c.Channel = 6
	}
	c.Output = func(now time.Time, eth []byte) { n.got = append(n.got, string(eth[wire.EthernetLen:])) }
	ap, err := NewAccessPoint(c)
	if err != nil {
		b.Fatal(err)
	}
	n.AccessPoint = ap
	b.machines = append(b.machines, ap)
	ap.Start(b.now)
	return n
}

func eth(dst, src wire.MAC, payload string) []byte {
	return append(wire.Ethernet{Dst: dst, Src: src, Type: wire.EtherTypeIPv4}.Append(nil), payload...)
}

// want runs until the station's next event, and checks it.
func (n *node) want(why string, within time.Duration, kind EventKind, reason Reason) Event {
	b := n.b
	b.Helper()
	start := b.now
	var e Event
	var ok bool
	b.runUntil(within, func() bool { e, ok = n.NextEvent(); return ok })
	if !ok {
		b.Fatalf("%s: no event in %v, state %v, want %v", why, within, n.State(), kind)
	}
	if e.Kind != kind || e.Reason != reason {
		b.Fatalf("%s: got %v after %v, want %v %v", why, e, b.now.Sub(start), kind, reason)
	}
	return e
}

func (n *node) wantNoEvent(why string) {
	n.b.Helper()
	if e, ok := n.NextEvent(); ok {
		n.b.Fatalf("%s: got %v, want no event", why, e)
	}
}

func (n *node) join(p JoinParams) {
	n.b.Helper()
	if err := n.Join(n.b.now, p); err != nil {
		n.b.Fatal(err)
	}
}

func (n *node) mustJoin(p JoinParams) {
	n.b.Helper()
	n.join(p)
	n.want("join", 10*time.Second, EventJoined, ReasonNone)
}

func (b *bench) wantPayloads(why string, got []string, want ...string) {
	b.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		b.Fatalf("%s: got %q, want %q", why, got, want)
	}
}

var wpa = JoinParams{SSID: ssid, Passphrase: passphrase}

var wpaAP = APConfig{Passphrase: passphrase}

// crowd runs many machines in steps of a millisecond, in which each is asked once.
type crowd struct {
	b        *bench
	machines []machine
}

func (b *bench) crowd() *crowd { return &crowd{b, append([]machine(nil), b.machines...)} }

func (w *crowd) add(m machine) { w.machines = append(w.machines, m) }

func (w *crowd) run(d time.Duration) {
	for end := w.b.now.Add(d); w.b.now.Before(end); w.b.now = w.b.now.Add(time.Millisecond) {
		for _, m := range w.machines {
			if due(m.Deadline(), w.b.now) {
				m.Advance(w.b.now)
			}
		}
	}
}
