package hostnet_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"runtime/pprof"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/device"
	"github.com/understudy-net/understudy/driver/hostnet"
	"github.com/understudy-net/understudy/sock"
	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/understudytest"
)

// Conns that are read and written at the same time, at both ends, with windows so small that each call waits most of the time. As
// long as somebody reads, all of it comes: nobody sleeps through what he waits for, and a full direction does not stop the other.

// crossing is one such run.
type crossing struct {
	t     *testing.T
	b     *understudytest.Bench
	seed  uint64
	pause time.Duration // at most, now and then
	limit time.Duration // how long nothing may come on a conn
	lanes []*lane
}

// lane is what happens on one conn.
type lane struct {
	x     *crossing
	id    int
	moved atomic.Int64 // bytes that were read
	open  atomic.Int64 // parties that have not ended

	was   int64
	since time.Time // since then was is right
}

func (x *crossing) rand(n uint64) *rand.Rand { return rand.New(rand.NewPCG(x.seed, n)) }

// party runs f beside the others.
func (l *lane) party(r *rand.Rand, what string, f func(r *rand.Rand) error) {
	x, mine := l.x, rand.New(rand.NewPCG(r.Uint64(), 0))
	l.open.Add(1)
	x.b.Go(func() {
		defer l.open.Add(-1)
		x.rest(mine)
		if err := f(mine); err != nil {
			x.t.Errorf("seed %d: conn %d: %s: %v", x.seed, l.id, what, err)
		}
	})
}

// stands reports whether nothing has come for too long.
func (l *lane) stands(now time.Time) bool {
	moved := l.moved.Load()
	if moved != l.was || l.since.IsZero() || l.open.Load() == 0 {
		l.was, l.since = moved, now
	}
	return now.Sub(l.since) > l.x.limit
}

// rest lets the others go on, in one of eight cases: for a while, or only where others could.
func (x *crossing) rest(r *rand.Rand) {
	switch r.IntN(16) {
	case 0:
		x.b.Sleep(time.Duration(r.Int64N(int64(x.pause))))
	case 1:
		if !x.b.World.Virtual() {
			runtime.Gosched()
		}
	}
}

// A frame of a writer is its length, who wrote it, its number, and bytes that follow from those.
const frameHeader = 2 + 1 + 4

func frame(p []byte, who byte, n uint32) {
	binary.BigEndian.PutUint16(p, uint16(len(p)))
	p[2] = who
	binary.BigEndian.PutUint32(p[3:], n)
	for i := range p[frameHeader:] {
		p[frameHeader+i] = who ^ byte(int(n)*7+i)
	}
}

// frameSizes draws the sizes of n frames: many small and some large ones, or large ones only, which fill all buffers.
func frameSizes(r *rand.Rand, n int) (sizes []int, total int) {
	large := r.IntN(3) == 0
	for range n {
		limit := 1 << r.IntN(13)
		if large {
			limit = 8000
		}
		sizes = append(sizes, frameHeader+r.IntN(limit))
		total += sizes[len(sizes)-1]
	}
	return sizes, total
}

func (l *lane) write(r *rand.Rand, c net.Conn, who byte, sizes []int) error {
	buf := make([]byte, 8192)
	for n, size := range sizes {
		frame(buf[:size], who, uint32(n))
		if k, err := c.Write(buf[:size]); k != size || err != nil {
			return fmt.Errorf("frame %d: %d of %d bytes: %w", n, k, size, err)
		}
		l.x.rest(r)
	}
	return nil
}

// restful is a conn whose reader is slow.
type restful struct {
	net.Conn
	l *lane
	r *rand.Rand
}

func (c restful) Read(p []byte) (int, error) {
	c.l.x.rest(c.r)
	n, err := c.Conn.Read(p[:1+c.r.IntN(len(p))])
	c.l.moved.Add(int64(n))
	return n, err
}

// read wants the frames of all writers, each writer's in order. Now and then it begins when no buffer has room any more.
func (l *lane) read(r *rand.Rand, c net.Conn, writers, frames int) error {
	if r.IntN(3) == 0 {
		l.x.b.Sleep(20 * l.x.pause)
	}
	in := bufio.NewReaderSize(restful{c, l, r}, 16<<r.IntN(9))
	next := make([]uint32, writers)
	got, want := make([]byte, 8192), make([]byte, 8192)
	for range writers * frames {
		if _, err := io.ReadFull(in, got[:2]); err != nil {
			return fmt.Errorf("after frames %v: %w", next, err)
		}
		size := binary.BigEndian.Uint16(got)
		if size < frameHeader || int(size) > len(got) {
			return fmt.Errorf("after frames %v: one of %d bytes", next, size)
		}
		if _, err := io.ReadFull(in, got[2:size]); err != nil {
			return fmt.Errorf("after frames %v: %w", next, err)
		}
		who := got[2]
		if int(who) >= writers {
			return fmt.Errorf("after frames %v: one of writer %d", next, who)
		}
		frame(want[:size], who, next[who])
		if !bytes.Equal(got[:size], want[:size]) {
			return fmt.Errorf("after frames %v: another one of writer %d", next, who)
		}
		next[who]++
	}
	return nil
}

// echo gives back what comes: it does not read while it cannot write.
func (l *lane) echo(r *rand.Rand, c net.Conn, size int) error {
	buf := make([]byte, 1+r.IntN(8000))
	for size > 0 {
		n, err := restful{c, l, r}.Read(buf)
		if err != nil {
			return fmt.Errorf("%d bytes before the end: %w", size, err)
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return fmt.Errorf("%d bytes before the end: %w", size, err)
		}
		size -= n
	}
	return nil
}

// talk has both ends talk: each writes and reads, or one of them gives back what the other one wrote.
func (l *lane) talk(r *rand.Rand, near, far net.Conn, frames int) {
	ends := []struct {
		what string
		c    net.Conn
	}{{"driver", near}, {"peer", far}}
	if back := r.IntN(4); back < 2 {
		talker, echo := ends[1-back], ends[back]
		sizes, total := frameSizes(r, frames)
		l.party(r, echo.what+" echoes", func(r *rand.Rand) error { return l.echo(r, echo.c, total) })
		l.party(r, talker.what+" writes to an echo", func(r *rand.Rand) error { return l.write(r, talker.c, 0, sizes) })
		l.party(r, talker.what+" reads an echo", func(r *rand.Rand) error { return l.read(r, talker.c, 1, frames) })
		return
	}
	for i, e := range ends {
		writers := 1 + r.IntN(3)
		for who := range writers {
			sizes, _ := frameSizes(r, frames)
			l.party(r, e.what+" writes", func(r *rand.Rand) error { return l.write(r, e.c, byte(who), sizes) })
		}
		other := ends[1-i]
		l.party(r, other.what+" reads", func(r *rand.Rand) error { return l.read(r, other.c, writers, frames) })
	}
}

// connect makes a conn, in one direction or the other, with small buffers at the far end.
func (x *crossing) connect(r *rand.Rand, h *understudytest.Host, port int) (near, far net.Conn, err error) {
	accepted := make(chan net.Conn, 1)
	if r.IntN(2) == 0 {
		l, err := h.Listen("tcp", fmt.Sprintf(":%d", port))
		if err != nil {
			return nil, nil, err
		}
		defer l.Close()
		if near, err = x.b.Net.DialContext(bg, "tcp", fmt.Sprintf("%v:%d", h.Addr, port)); err != nil {
			return nil, nil, err
		}
		far, err = l.Accept()
		if err != nil {
			return nil, nil, err
		}
	} else {
		l, err := x.b.Net.Listen(bg, "tcp", fmt.Sprintf(":%d", port))
		if err != nil {
			return nil, nil, err
		}
		defer l.Close()
		x.b.Go(func() {
			c, _ := l.Accept()
			accepted <- c
		})
		if far, err = h.Dial(bg, "tcp", fmt.Sprintf("%v:%d", x.b.Client.Addr(), port)); err != nil {
			return nil, nil, err
		}
		for len(accepted) == 0 {
			x.b.Sleep(time.Millisecond)
		}
		near = <-accepted
	}
	x.b.World.Lock()
	defer x.b.World.Unlock()
	return near, far, far.(*sock.Conn).Stream().(stack.TCP).SetBuffers(1<<(12+r.IntN(5)), 1<<(12+r.IntN(5)))
}

// crossingConfig draws the sizes of a bench and of a Net. A window of one send waits for a delayed acknowledgement each time,
// which takes long and is left to virtual time.
func crossingConfig(r *rand.Rand, seed uint64, windows ...int) (understudytest.Config, hostnet.Config) {
	c := understudytest.Config{Seed: seed, NoBoot: true, Delay: time.Microsecond}
	c.Device.Profile = device.WINC1500()
	c.Device.Profile.SendBuffers = 1 + r.IntN(8)
	return c, hostnet.Config{SendWindow: windows[r.IntN(len(windows))], ReadBuffer: []int{0, 2048, 3000, 5000}[r.IntN(4)]}
}

// start has the Net up and the network joined.
func (x *crossing) start(n hostnet.Config) (err error) {
	x.b.Net = hostnet.New(x.b.Driver, n)
	if err := x.b.Net.Ready(bg); err != nil {
		return err
	}
	if x.b.Client, err = x.b.Net.Client(); err != nil {
		return err
	}
	return x.b.Join()
}

// run makes conns, has them talk, and says what stands when nothing comes on one of them.
func (x *crossing) run(link air.Link, conns, frames int) error {
	h := x.b.AddHost("peer.test")
	r := x.rand(2)
	var all []net.Conn
	for id := range conns {
		near, far, err := x.connect(r, h, 1000+id)
		if err != nil {
			return fmt.Errorf("conn %d: %w", id, err)
		}
		all = append(all, near, far)
	}
	x.b.SetLink(link)
	for id := range conns {
		l := &lane{x: x, id: id}
		x.lanes = append(x.lanes, l)
		l.talk(r, all[2*id], all[2*id+1], frames)
	}
	for goes := true; goes; {
		x.b.Sleep(x.pause)
		now := x.b.Now()
		goes = false
		for _, l := range x.lanes {
			goes = goes || l.open.Load() > 0
			if l.stands(now) {
				return x.report(l, h)
			}
		}
	}
	return nil
}

// report says all there is to know about a run that does not go on.
func (x *crossing) report(l *lane, h *understudytest.Host) error {
	x.b.World.Lock()
	s, p := x.b.Device.Snapshot(), h.Stack.Snapshot()
	x.b.World.Unlock()
	for _, k := range s.Sockets {
		x.t.Logf("device: %+v\n\t%+v", k, k.Conn)
	}
	for _, k := range p.TCP {
		x.t.Logf("peer: %+v", k)
	}
	if !x.b.World.Virtual() {
		var all bytes.Buffer
		pprof.Lookup("goroutine").WriteTo(&all, 1)
		x.t.Log(all.String())
	}
	return fmt.Errorf("conn %d: %d parties wait after %d bytes: %q", l.id, l.open.Load(), l.moved.Load(), s.Stuck)
}

// crossOnClock is a run on the wall clock, or on that of a bubble.
func crossOnClock(t *testing.T, x crossing, link air.Link, conns, frames int, windows ...int) {
	t.Helper()
	x.t = t
	c, n := crossingConfig(x.rand(1), x.seed, windows...)
	ctx, cancel := context.WithCancel(bg)
	ended := make(chan error, 1)
	t.Cleanup(func() { cancel(); <-ended }) // after the bench's
	x.b = understudytest.NewConfig(t, c)
	go func() { ended <- x.b.Driver.Run(ctx) }()
	err := x.start(n)
	if err == nil {
		err = x.run(link, conns, frames)
	}
	if err != nil {
		t.Errorf("seed %d: %v", x.seed, err)
	}
}

// crossVirtually is a run in virtual time.
func crossVirtually(t *testing.T, x crossing, link air.Link, conns, frames int, windows ...int) {
	t.Helper()
	x.t = t
	c, n := crossingConfig(x.rand(1), x.seed, windows...)
	x.b = understudytest.VirtualConfig(t, c)
	n.World = x.b.World
	var err error
	stalled := x.b.Run(func() {
		if err = x.start(n); err == nil {
			err = x.run(link, conns, frames)
		}
	})
	if stalled != nil || err != nil {
		t.Errorf("seed %d: %v %v", x.seed, stalled, err)
	}
}

// On the wall clock all orders are possible that a machine can make; the race detector makes others.
func TestReadersAndWritersCross(t *testing.T) {
	for _, procs := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d processors", procs), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			x := crossing{seed: rand.Uint64(), pause: time.Millisecond, limit: 30 * time.Second}
			crossOnClock(t, x, air.Link{}, 5, 150, 0, 2, 3, 7, 60)
		})
	}
}

// Where no frame is lost, nothing waits for a timer of TCP but for that of the delayed acknowledgement: what a later timer would
// mend is a wake-up or a window update that was missed. (Windows larger than what a socket of the device holds are no case of it:
// a slow peer then holds up the others, see Config.SendWindow.)
func TestReadersAndWritersCrossWithoutTimers(t *testing.T) {
	for range crossings() {
		x := crossing{seed: rand.Uint64(), pause: 2 * time.Millisecond, limit: 150 * time.Millisecond}
		synctest.Test(t, func(t *testing.T) { crossOnClock(t, x, air.Link{}, 3, 40, 0, 2, 3, 7) })
		crossVirtually(t, x, air.Link{}, 3, 40, 0, 2, 3, 7)
	}
}

// Frames that are lost take window updates with them, which the timers mend.
func TestReadersAndWritersCrossALossyAir(t *testing.T) {
	link := air.Link{Loss: 0.03, Duplicate: 0.02, Reorder: 0.02}
	for range crossings() {
		x := crossing{seed: rand.Uint64(), pause: time.Second, limit: 3 * time.Minute}
		synctest.Test(t, func(t *testing.T) { crossOnClock(t, x, link, 3, 20, 0, 1, 2, 3, 7, 60) })
		crossVirtually(t, x, link, 3, 20, 0, 1, 2, 3, 7, 60)
	}
}

func crossings() int {
	if testing.Short() {
		return 5
	}
	return 30
}
