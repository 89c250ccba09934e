package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/stack/tcp"
	"github.com/understudy-net/understudy/wire"
)

var (
	addrA  = netip.AddrFrom4([4]byte{10, 0, 0, 1})
	addrB  = netip.AddrFrom4([4]byte{10, 0, 0, 2})
	subnet = netip.PrefixFrom(addrA, 24)
)

// frames is a queue of Ethernet frames whose buffers are used again: a link in one direction.
type frames struct {
	slots      [256][]byte
	head, tail int
	total      uint64
	lost       int
}

func (q *frames) push(f []byte) {
	if q.tail == len(q.slots) {
		q.lost++
		return
	}
	q.slots[q.tail] = append(q.slots[q.tail][:0], f...)
	q.tail++
	q.total++
}

// pop returns the oldest frame, nil if there is none. The slots used last are
// the next ones: they are warm.
func (q *frames) pop() []byte {
	if q.head == q.tail {
		q.head, q.tail = 0, 0
		return nil
	}
	q.head++
	return q.slots[q.head-1]
}

// pair is two of our stacks, driven by hand from one goroutine.
type pair struct {
	now    time.Time
	stacks [2]*stack.Stack
	out    [2]frames // sent by each
}

func newPair() (*pair, error) {
	p := &pair{now: time.Now()}
	for i := range p.stacks {
		s, err := newStack(i, func(_ time.Time, f []byte) { p.out[i].push(f) }, nil)
		if err != nil {
			return nil, err
		}
		p.stacks[i] = s
	}
	return p, nil
}

// newStack makes ours as it comes, but for the length of TIME-WAIT and for the
// probing of the address.
func newStack(i int, out func(time.Time, []byte), touch func()) (*stack.Stack, error) {
	s, err := stack.New(stack.Config{
		MAC: wire.MAC{2, 0, 0, 0, 0, byte(i + 1)}, Rand: rand.NewPCG(uint64(i), 1), Output: out, Touch: touch,
		ACD: stack.ACD{Off: true, Announces: -1}, TCP: tcp.Config{MSL: timeWait / 2},
	})
	if err != nil {
		return nil, err
	}
	addr := addrA
	if i == 1 {
		addr = addrB
	}
	return s, s.SetAddr(time.Now(), netip.PrefixFrom(addr, 24), netip.Addr{})
}

// timeWait is how long a closed connection is remembered: with a minute of it
// nobody could open and close thousands of connections a second.
const timeWait = 200 * time.Microsecond

// run carries frames until the link is quiet, those of each side together.
func (p *pair) run() {
	for p.out[0].tail+p.out[1].tail > 0 {
		for i := range p.out {
			if p.out[i].tail > 0 {
				p.stacks[1-i].InputBatch(p.now, p.out[i].pop)
			}
		}
	}
}

// tick reads the clock, once for all that is done until the next tick, and does
// what is due. The order counts after a pause: an ACK that was due before the
// peer would have sent again comes first.
func (p *pair) tick() {
	p.now = time.Now()
	for {
		due := -1
		var first time.Time
		for i, s := range p.stacks {
			if d := s.Deadline(); !d.IsZero() && !d.After(p.now) && (due < 0 || d.Before(first)) {
				due, first = i, d
			}
		}
		if due < 0 {
			return
		}
		p.stacks[due].Advance(p.now)
		p.run()
	}
}

// drain takes the events of both stacks: who polls his sockets does not need them.
func (p *pair) drain() {
	for _, s := range p.stacks {
		for s.Pending() {
			s.NextEvent()
		}
	}
}

func (p *pair) packets() uint64 { return p.out[0].total + p.out[1].total }

func (p *pair) lost() error {
	if n := p.out[0].lost + p.out[1].lost; n != 0 {
		return fmt.Errorf("the link lost %d frames", n)
	}
	return nil
}

func (p *pair) listen(port uint16, backlog int) (stack.Listener, error) {
	return p.stacks[1].Listen(p.now, netip.AddrPortFrom(addrB, port), stack.ListenConfig{Backlog: backlog})
}

func (p *pair) connect(ln stack.Listener) (a, b stack.TCP, err error) {
	if a, err = p.stacks[0].Dial(p.now, netip.AddrPort{}, ln.Addr()); err != nil {
		return
	}
	p.run()
	if b, err = ln.Accept(p.now); err != nil {
		return
	}
	a.SetNoDelay(true) // as the others have it
	b.SetNoDelay(true)
	p.drain()
	return
}

// stream is one direction of a connection under load.
type stream struct {
	a, b stack.TCP
	src  source
	dst  sink
}

// turn writes one portion and reads all that arrives of it.
func (p *pair) turn(s *stream, buf []byte) error {
	n, _ := s.a.Write(p.now, s.src.next(writeSize))
	s.src.took(n)
	p.run()
	for {
		n, err := s.b.Read(p.now, buf)
		if n == 0 {
			if errors.Is(err, stack.ErrReset) || errors.Is(err, stack.ErrTimeout) {
				return err
			}
			break
		}
		if err := s.dst.got(buf[:n]); err != nil {
			return err
		}
	}
	p.run()
	p.drain()
	return nil
}

// oursBulk moves data over some streams at once, beside idle connections.
func oursBulk(streams, idle int) func() (*work, error) {
	return func() (*work, error) {
		p, err := newPair()
		if err != nil {
			return nil, err
		}
		ln, err := p.listen(80, 16)
		if err != nil {
			return nil, err
		}
		for range idle {
			if _, _, err := p.connect(ln); err != nil {
				return nil, err
			}
		}
		ss := make([]*stream, streams)
		for i := range ss {
			ss[i] = new(stream)
			if ss[i].a, ss[i].b, err = p.connect(ln); err != nil {
				return nil, err
			}
		}
		buf := make([]byte, readSize)
		total := 0
		return &work{packets: p.packets, run: func(n int) error {
			for end := total + n*unit; total < end; {
				p.tick()
				for _, s := range ss {
					before := s.dst.total
					if err := p.turn(s, buf); err != nil {
						return err
					}
					total += s.dst.total - before
				}
			}
			return p.lost()
		}, note: func() string {
			r := 0
			for _, s := range ss {
				r += s.a.Info().Retransmits
			}
			if r > 0 {
				return fmt.Sprintf("%d retransmissions", r)
			}
			return ""
		}}, nil
	}
}

// oursPingPong sends one byte to and fro, each end answering the events of its stack.
func oursPingPong() (*work, error) {
	p, err := newPair()
	if err != nil {
		return nil, err
	}
	ln, err := p.listen(80, 16)
	if err != nil {
		return nil, err
	}
	a, b, err := p.connect(ln)
	if err != nil {
		return nil, err
	}
	type end struct {
		c    stack.TCP
		last byte
	}
	ends := [2]end{{c: a}, {c: b}}
	a.SetTag(&ends[0])
	b.SetTag(&ends[1])
	var buf [16]byte
	// answer reads what came to a side; the first one adds one before it sends it back.
	answer := func(side int) error {
		for s := p.stacks[side]; ; {
			e, ok := s.NextEvent()
			if !ok {
				return nil
			}
			t, ok := e.Tag.(*end)
			if !ok || !e.Flags.Has(stack.Readable) {
				continue
			}
			n, err := t.c.Read(p.now, buf[:])
			if n != 1 {
				return fmt.Errorf("read %d bytes: %w", n, err)
			}
			t.last = buf[0]
			if side == 0 {
				return nil
			}
			if _, err := t.c.Write(p.now, buf[:1]); err != nil {
				return err
			}
		}
	}
	return &work{packets: p.packets, run: func(n int) error {
		for i := range n {
			p.tick()
			buf[0] = byte(i)
			if _, err := a.Write(p.now, buf[:1]); err != nil {
				return err
			}
			for side := 1; side >= 0; side-- {
				p.run()
				if err := answer(side); err != nil {
					return err
				}
			}
			if ends[0].last != byte(i) {
				return fmt.Errorf("got %d for %d", ends[0].last, byte(i))
			}
		}
		return p.lost()
	}}, nil
}

// oursConnect opens a connection, closes it at the side that opened it, and then at the other.
func oursConnect() (*work, error) {
	p, err := newPair()
	if err != nil {
		return nil, err
	}
	ln, err := p.listen(80, 16)
	if err != nil {
		return nil, err
	}
	var buf [16]byte
	return &work{packets: p.packets, run: func(n int) error {
		for range n {
			p.tick()
			a, b, err := p.connect(ln)
			if err != nil {
				return err
			}
			a.Close(p.now)
			p.run()
			if n, err := b.Read(p.now, buf[:]); n != 0 || err == nil {
				return fmt.Errorf("no end of the stream: %d bytes, %v", n, err)
			}
			b.Close(p.now)
			p.run()
			p.drain()
		}
		return p.lost()
	}}, nil
}

// oursUDP sends datagrams and reads each.
func oursUDP(size int) func() (*work, error) {
	return func() (*work, error) {
		p, err := newPair()
		if err != nil {
			return nil, err
		}
		a, err := p.stacks[0].ListenUDP(p.now, netip.AddrPort{}, stack.UDPConfig{})
		if err != nil {
			return nil, err
		}
		at := netip.AddrPortFrom(addrB, 9)
		b, err := p.stacks[1].ListenUDP(p.now, at, stack.UDPConfig{})
		if err != nil {
			return nil, err
		}
		buf := make([]byte, 2048)
		seq := 0
		return &work{packets: p.packets, run: func(n int) error {
			for range n {
				if seq%16 == 0 {
					p.tick()
				}
				if _, err := a.WriteTo(p.now, pattern[seq%period:][:size], at); err != nil {
					return err
				}
				p.run()
				n, _, err := b.ReadFrom(p.now, buf)
				if err != nil {
					return err
				}
				if err := sameDatagram(buf[:n], seq, size); err != nil {
					return err
				}
				p.drain()
				seq++
			}
			return p.lost()
		}}, nil
	}
}

// sameDatagram checks the datagram with number seq, as sink does.
func sameDatagram(p []byte, seq, size int) error {
	want := pattern[seq%period:][:size]
	if len(p) != size || string(p[:16]) != string(want[:16]) || string(p[size-16:]) != string(want[size-16:]) {
		return fmt.Errorf("datagram %d: wrong data, %d bytes of %d", seq, len(p), size)
	}
	return nil
}
