package stack

import (
	"bytes"
	frameheap "container/heap"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/understudy-net/understudy/stack/tcp"
	"github.com/understudy-net/understudy/wire"
)

var (
	tortureSeeds = flag.Int("torture.seeds", 0, "how many seeds TestTorture tries; 0: 10000, or 300 with the race detector")
	tortureSeed  = flag.Uint64("torture.seed", 0, "the one seed to try, with its trace")
)

// impairments of one direction of a link, from a seed.
type impairments struct {
	loss, dup, corrupt, reorder float64
	delay, jitter               time.Duration
	burst                       float64 // how often a run of frames is lost
	rate                        int     // bytes in a second that the link carries; 0: any number
	room                        int     // bytes that wait for it at most
	mtu                         int     // longer packets are lost, once 20 were; 0: none are
	quiet                       bool    // and no router says so
}

// frameAt is a frame on its way.
type frameAt struct {
	at    time.Time
	seq   int
	to    int
	frame []byte
}

// badLink is two stacks and a link that mistreats frames by a seed.
type badLink struct {
	rnd    *rand.Rand
	now    time.Time
	stacks [2]*Stack
	imp    impairments
	queue  frameHeap
	seq    int
	trace  []string
	traced bool
	watch  func(f []byte) // sees what is sent

	deaf   [2]time.Time // until when all is lost, by destination
	busy   [2]time.Time // when the link is free again
	tooBig int
}

func newBadLink(seed uint64, imp impairments, traced bool) *badLink {
	l := &badLink{rnd: rand.New(rand.NewPCG(seed, 7)), now: start, imp: imp, traced: traced}
	for i := range l.stacks {
		s, err := New(Config{
			MAC: wire.MAC{2, 0, 0, 0, 0, byte(i + 1)}, Rand: rand.NewPCG(seed, uint64(i)),
			ACD:    ACD{Off: true, Announces: -1},
			Output: func(now time.Time, f []byte) { l.send(1-i, f) },
			TCP:    tcp.Config{NoTimestamps: seed%3 == 1, NoWindowScale: seed%5 == 2, NoSACK: seed%7 == 3, Congestion: tcp.Congestion(seed % 4 / 3)},
		})
		if err != nil {
			panic(err)
		}
		s.SetAddr(l.now, netip.PrefixFrom([]netip.Addr{addrA, addrB}[i], 24), netip.Addr{})
		l.stacks[i] = s
	}
	return l
}

func (l *badLink) send(to int, f []byte) {
	if l.traced {
		l.note(fmt.Sprintf("%c> %s", 'b'-byte(to), describe(f)))
	}
	if l.watch != nil {
		l.watch(f)
	}
	if !l.passes(to, f) {
		l.note("   lost")
		return
	}
	n := 1
	if l.rnd.Float64() < l.imp.dup {
		n = 2
	}
	for range n {
		if l.rnd.Float64() < l.imp.loss {
			l.note("   lost")
			continue
		}
		c := bytes.Clone(f)
		// Only what a checksum covers: a flipped bit in ARP would be believed.
		if wire.EtherType(uint16(f[12])<<8|uint16(f[13])) == wire.EtherTypeIPv4 && l.rnd.Float64() < l.imp.corrupt {
			i := ethLen + l.rnd.IntN(len(c)-ethLen)
			c[i] ^= 1 << l.rnd.IntN(8)
			l.note("   corrupted")
		}
		d := l.imp.delay
		if l.imp.jitter > 0 {
			d += time.Duration(l.rnd.Int64N(int64(l.imp.jitter)))
		}
		if l.rnd.Float64() < l.imp.reorder {
			d += 3*l.imp.delay + 2*time.Millisecond
		}
		if l.imp.rate > 0 {
			d += l.busy[to].Sub(l.now)
		}
		l.deliver(to, d, c)
	}
}

func (l *badLink) deliver(to int, after time.Duration, f []byte) {
	l.seq++
	frameheap.Push(&l.queue, frameAt{l.now.Add(after), l.seq, to, f})
}

// passes is what a link does to a frame before it is on its way: runs of losses, a queue before a
// slow line that has an end, and a limit of length.
func (l *badLink) passes(to int, f []byte) bool {
	if l.now.Before(l.deaf[to]) {
		return false
	}
	if l.imp.burst > 0 && l.rnd.Float64() < l.imp.burst {
		l.deaf[to] = l.now.Add(l.imp.delay/2 + time.Duration(l.rnd.IntN(5000))*time.Microsecond)
		return false
	}
	if l.imp.mtu > 0 && len(f) > ethLen+l.imp.mtu {
		if l.tooBig++; l.tooBig > 20 {
			if !l.imp.quiet {
				l.deliver(1-to, l.imp.delay, tooBig(f, l.imp.mtu))
			}
			return false
		}
	}
	if l.imp.rate > 0 {
		at := l.busy[to]
		if at.Before(l.now) {
			at = l.now
		}
		if at.Sub(l.now) > time.Duration(l.imp.room)*time.Second/time.Duration(l.imp.rate) {
			return false
		}
		l.busy[to] = at.Add(time.Duration(len(f)) * time.Second / time.Duration(l.imp.rate))
	}
	return true
}

// tooBig is what a router says about the packet in f.
func tooBig(f []byte, mtu int) []byte {
	h, b, _ := wire.ParseEthernet(f)
	ip, _, err := wire.ParseIPv4(b)
	if err != nil {
		return nil
	}
	m := wire.ICMP{Type: wire.ICMPUnreachable, Code: wire.ICMPFragmentationNeeded, MTU: uint16(mtu)}.Append(nil, b[:28])
	r := wire.Ethernet{Dst: h.Src, Src: h.Dst, Type: wire.EtherTypeIPv4}.Append(nil)
	r = wire.IPv4{TTL: 64, Proto: wire.ProtoICMP, Src: ip.Dst, Dst: ip.Src}.Append(r, len(m))
	return append(r, m...)
}

// frameHeap is in order of time.
type frameHeap []frameAt

func (h frameHeap) Len() int { return len(h) }
func (h frameHeap) Less(i, j int) bool {
	return h[i].at.Before(h[j].at) || h[i].at.Equal(h[j].at) && h[i].seq < h[j].seq
}
func (h frameHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *frameHeap) Push(x any)   { *h = append(*h, x.(frameAt)) }
func (h *frameHeap) Pop() any {
	n := len(*h) - 1
	x := (*h)[n]
	(*h)[n] = frameAt{}
	*h = (*h)[:n]
	return x
}

func (l *badLink) note(s string) {
	if l.traced && len(l.trace) < 20000 {
		l.trace = append(l.trace, fmt.Sprintf("%10.6f %s", l.now.Sub(start).Seconds(), s))
	}
}

// describe prints a frame in packetdrill's notation.
func describe(f []byte) string {
	h, b, err := wire.ParseEthernet(f)
	if err != nil {
		return err.Error()
	}
	if h.Type == wire.EtherTypeARP {
		a, _ := wire.ParseARP(b)
		return a.String()
	}
	ip, b, err := wire.ParseIPv4(b)
	if err != nil {
		return "IPv4: " + err.Error()
	}
	if ip.Proto == wire.ProtoTCP {
		seg, data, err := wire.ParseTCP(b, ip.Src, ip.Dst)
		if err != nil {
			return "TCP: " + err.Error()
		}
		return fmt.Sprintf("%d>%d %s", seg.SrcPort, seg.DstPort, seg.Text(len(data)))
	}
	return ip.String()
}

// step goes to what is due next; false if nothing is, or not until then.
func (l *badLink) step(until time.Time) bool {
	who, at := -1, time.Time{}
	for i, s := range l.stacks {
		if d := s.Deadline(); !d.IsZero() && (at.IsZero() || d.Before(at)) {
			who, at = i, d
		}
	}
	if len(l.queue) > 0 && (at.IsZero() || !l.queue[0].at.After(at)) {
		q := l.queue[0]
		if q.at.After(until) {
			l.now = until
			return false
		}
		frameheap.Pop(&l.queue)
		l.moveTo(q.at)
		l.stacks[q.to].Input(l.now, q.frame)
		return true
	}
	if who < 0 || at.After(until) {
		l.now = until
		return false
	}
	l.moveTo(at)
	l.stacks[who].Advance(l.now)
	return true
}

func (l *badLink) moveTo(t time.Time) {
	if t.After(l.now) {
		l.now = t
	}
}

// stream is one direction of a connection: the bytes are those of a seeded generator, so each is
// known.
type stream struct {
	total, sent, got int
}

func streamByte(conn, dir, i int) byte {
	x := uint32(i)*2654435761 + uint32(conn)*97 + uint32(dir)*31
	return byte(x >> 13)
}

// peer is the user of one end of a connection.
type peer struct {
	c            TCP
	open, closed bool
	sawEOF       bool
	finished     bool // CloseWrite was called
	out, in      *stream
	dir          int
	err          error
	slow         time.Time // no reading before
}

type torture struct {
	l     *badLink
	peers [][2]*peer
}

func (x *torture) fail(format string, a ...any) error { return fmt.Errorf(format, a...) }

// runTorture plays one seed. It returns an error that says what was wrong.
func runTorture(seed uint64, traced bool) (l *badLink, err error) {
	return tortureWith(seed, traced, nil)
}

// tortureWith shows each frame that is sent to watch.
func tortureWith(seed uint64, traced bool, watch func(f []byte)) (l *badLink, err error) {
	rnd := rand.New(rand.NewPCG(seed, 99))
	pick := func(v ...float64) float64 { return v[rnd.IntN(len(v))] }
	imp := impairments{
		loss: pick(0, 0, 0.01, 0.05, 0.2), dup: pick(0, 0, 0.05, 0.2), corrupt: pick(0, 0, 0.01, 0.05), reorder: pick(0, 0.05, 0.3),
		delay: time.Duration(pick(0, 0.1, 1, 20, 150) * float64(time.Millisecond)), jitter: time.Duration(pick(0, 1, 10) * float64(time.Millisecond)),
	}
	big := 0
	switch rnd.IntN(8) { // more kinds of harm, one at a time
	case 0:
		imp.burst, imp.loss = pick(0.002, 0.01), 0
	case 1: // a slow line with a queue: losses are for congestion
		imp.rate, imp.room = int(pick(30e3, 300e3, 3e6)), int(pick(4e3, 20e3, 100e3))
		imp.loss, imp.reorder, big = 0, 0, 600000
	case 2:
		imp.mtu, imp.quiet = int(pick(600, 1000, 1400)), rnd.IntN(2) == 0
	}
	l = newBadLink(seed, imp, traced)
	l.watch = watch
	x := &torture{l: l}
	l.note(fmt.Sprintf("%+v", imp))
	ln, err := l.stacks[1].Listen(l.now, netip.AddrPortFrom(addrB, 80), ListenConfig{})
	if err != nil {
		return l, err
	}
	conns := 1 + rnd.IntN(3)
	byPort := map[uint16]*peer{}
	for i := range conns {
		c, err := l.stacks[0].Dial(l.now, netip.AddrPort{}, netip.AddrPortFrom(addrB, 80))
		if err != nil {
			return l, err
		}
		c.SetKeepAlive(l.now, time.Minute, time.Second, 8)
		size := func() int { return int(pick(0, 1, 100, 5000, 60000, 300000, float64(big)) * rnd.Float64()) }
		up, down := &stream{total: size()}, &stream{total: size()}
		a := &peer{c: c, open: true, out: up, in: down, dir: 0}
		b := &peer{out: down, in: up, dir: 1}
		byPort[c.LocalAddr().Port()] = b
		x.peers = append(x.peers, [2]*peer{a, b})
		_ = i
	}
	abort := rnd.IntN(10) == 0
	end := l.now.Add(2 * time.Hour)
	for l.now.Before(end) {
		if c, err := ln.Accept(l.now); err == nil {
			b := byPort[c.RemoteAddr().Port()]
			if b == nil || b.open {
				return l, x.fail("accepted %v, which nobody dialed, or twice", c.RemoteAddr())
			}
			b.c, b.open = c, true
			c.SetKeepAlive(l.now, time.Minute, time.Second, 8) // a peer that died must not leave it waiting
			if b.closed {
				c.Abort(l.now)
			}
		}
		done := true
		for i, pair := range x.peers {
			for _, p := range pair {
				if err := x.act(rnd, i, p, abort); err != nil {
					return l, err
				}
				done = done && p.closed
			}
		}
		if done {
			break
		}
		// An end whose dial failed leaves the other one without a chance to be accepted.
		for _, pair := range x.peers {
			if pair[0].closed && pair[0].err != nil && !pair[1].open {
				pair[1].closed = true
			}
		}
		if !l.step(l.now.Add(time.Duration(rnd.IntN(int(20*time.Millisecond))))) && rnd.IntN(4) == 0 {
			l.step(l.now.Add(time.Second))
		}
	}
	for i, pair := range x.peers {
		for _, p := range pair {
			if !p.closed {
				return l, x.fail("conn %d end %d hangs: sent %d/%d got %d/%d, %+v", i, p.dir, p.out.sent, p.out.total, p.in.got, p.in.total, p.c.Info())
			}
		}
		a, b := pair[0], pair[1]
		if !abort && imp.loss+imp.corrupt < 0.1 && (a.err != nil || b.err != nil) && a.err != ErrUnreachable { // three ARP requests may get lost
			return l, x.fail("conn %d ended with %v / %v on a fair link", i, a.err, b.err)
		}
		if a.err == nil && b.err == nil && b.open && (a.in.got != a.in.total || b.in.got != b.in.total) {
			return l, x.fail("conn %d: orderly end, but %d/%d and %d/%d bytes", i, a.in.got, a.in.total, b.in.got, b.in.total)
		}
	}
	ln.Close(l.now)
	for range 100000 {
		if !l.step(l.now.Add(time.Hour)) {
			break
		}
	}
	for i, s := range l.stacks {
		if len(s.tcps) != 0 || len(s.timers) != 0 {
			return l, x.fail("stack %d still has %d connections and %d timers: %+v", i, len(s.tcps), len(s.timers), s.Snapshot().TCP)
		}
		for id, k := range s.tcpSlots {
			if k != nil {
				return l, x.fail("stack %d still has slot %d: %v", i, id, k.conn.State())
			}
		}
	}
	return l, nil
}

// act is one turn of a user: maybe write, maybe read, maybe close.
func (x *torture) act(rnd *rand.Rand, conn int, p *peer, abort bool) error {
	if !p.open || p.closed {
		return nil
	}
	now := x.l.now
	if abort && rnd.IntN(400) == 0 {
		p.err = ErrAborted
		p.closed = true
		p.c.Abort(now)
		return nil
	}
	if rnd.IntN(50) == 0 {
		p.c.SetNoDelay(rnd.IntN(2) == 0)
	}
	if rnd.IntN(200) == 0 {
		p.c.SetBuffers(2048+rnd.IntN(100000), 2048+rnd.IntN(100000))
	}
	if rnd.IntN(3) > 0 && p.out.sent < p.out.total {
		n := min(1+rnd.IntN([]int{1, 100, 3000, 20000}[rnd.IntN(4)]), p.out.total-p.out.sent)
		b := make([]byte, n)
		for i := range b {
			b[i] = streamByte(conn, p.dir, p.out.sent+i)
		}
		n, err := p.c.Write(now, b)
		p.out.sent += n
		if err != nil && err != errWouldBlock {
			return x.over(p, err)
		}
	}
	if p.out.sent == p.out.total && !p.finished {
		p.finished = true
		if err := p.c.CloseWrite(now); err != nil {
			return x.over(p, err)
		}
	}
	if rnd.IntN(300) == 0 {
		p.slow = now.Add(time.Duration(rnd.IntN(3000)) * time.Millisecond)
	}
	if now.Before(p.slow) {
		return nil
	}
	if rnd.IntN(3) > 0 && !p.sawEOF {
		b := make([]byte, 1+rnd.IntN([]int{1, 500, 5000, 50000}[rnd.IntN(4)]))
		n, err := p.c.Read(now, b)
		for i := range b[:n] {
			if want := streamByte(conn, 1-p.dir, p.in.got+i); b[i] != want {
				return x.fail("conn %d end %d: byte %d is %#x, want %#x", conn, p.dir, p.in.got+i, b[i], want)
			}
		}
		p.in.got += n
		switch {
		case err == io.EOF:
			if p.in.got != p.in.total {
				return x.fail("conn %d end %d: end of stream after %d of %d bytes", conn, p.dir, p.in.got, p.in.total)
			}
			p.sawEOF = true
		case err != nil && err != errWouldBlock:
			return x.over(p, err)
		}
	}
	if p.sawEOF && p.finished {
		p.closed = true
		return x.closeErr(p.c.Close(now))
	}
	return nil
}

func (x *torture) closeErr(err error) error {
	if err != nil && !errors.Is(err, ErrClosed) {
		return err
	}
	return nil
}

func (x *torture) over(p *peer, err error) error {
	p.err, p.closed = err, true
	return x.closeErr(p.c.Close(x.l.now))
}

// TestTorture sends streams over links that lose, repeat, reorder, corrupt and delay: what arrives
// is what was sent, or its owner gets an error.
func TestTorture(t *testing.T) {
	if *tortureSeed != 0 {
		l, err := runTorture(*tortureSeed, true)
		t.Logf("%s", strings.Join(l.trace, "\n"))
		if err != nil {
			t.Fatalf("seed %d: %v", *tortureSeed, err)
		}
		return
	}
	n := *tortureSeeds
	if n == 0 {
		n = 10000
		if raceDetector {
			n = 300
		}
	}
	if testing.Short() {
		n = min(n, 300)
	}
	// Each worker takes every n-th seed, so that all processors are at it.
	workers := min(runtime.GOMAXPROCS(0), 8)
	var wg sync.WaitGroup
	var bad atomic.Int32
	for w := range workers {
		wg.Go(func() {
			for seed := uint64(1 + w); seed <= uint64(n) && bad.Load() < 5; seed += uint64(workers) {
				if _, err := runTorture(seed, false); err != nil {
					bad.Add(1)
					l, again := runTorture(seed, true)
					if again == nil || again.Error() != err.Error() {
						t.Errorf("seed %d: does not fail again as it did: %v", seed, again)
					}
					tail := l.trace[max(0, len(l.trace)-40):]
					t.Errorf("seed %d: %v\nthe last of its trace; all of it with -torture.seed=%d:\n%s", seed, err, seed, strings.Join(tail, "\n"))
				}
			}
		})
	}
	wg.Wait()
}

// TestTortureAgain plays seeds that failed once, with what they showed.
func TestTortureAgain(t *testing.T) {
	for _, c := range []struct {
		seed uint64
		was  string
	}{
		{227, "a black hole was not seen behind a short last segment"},
		{9097, "what was lost again after a timeout waited for the next one (RFC 6582, 4.1)"},
		{54910, "both ends probed at once, one of them behind its FIN"},
	} {
		if _, err := runTorture(c.seed, false); err != nil {
			t.Errorf("seed %d, %s: %v", c.seed, c.was, err)
		}
	}
}
