package stack

import (
	"bytes"
	"testing"
	"time"

	"github.com/understudy-net/understudy/stack/tcp"
)

// flight is n segments that the first stack of a link has sent to the second, not yet delivered.
func flight(t *testing.T, n int) (l *benchLink, b TCP, frames [][]byte) {
	l = newBenchLink(t, tcp.Config{})
	a, b := l.connect(t)
	a.SetNoDelay(true)
	l.bulk(t, a, b, make([]byte, 64<<10), make([]byte, 64<<10), 1<<20) // the window opens
	l.now = l.now.Add(100 * time.Millisecond)                          // the delayed ACK
	l.stacks[1].Advance(l.now)
	l.run()
	mss := a.Info().MSS
	if _, err := a.Write(l.now, make([]byte, n*mss)); err != nil {
		t.Fatal(err)
	}
	r := &l.rings[0]
	for ; r.head < r.tail; r.head++ {
		frames = append(frames, bytes.Clone(r.frames[r.head%len(r.frames)]))
	}
	r.head, r.tail = 0, 0
	if len(frames) != n {
		t.Fatalf("%d frames, want %d", len(frames), n)
	}
	return l, b, frames
}

func (l *benchLink) batch(frames [][]byte) (acks int) {
	before := l.rings[1].tail
	l.stacks[1].InputBatch(l.now, func() []byte {
		if len(frames) == 0 {
			return nil
		}
		f := frames[0]
		frames = frames[1:]
		return f
	})
	return l.rings[1].tail - before
}

func TestABatchInOrderIsAcknowledgedAtItsEnd(t *testing.T) {
	for _, c := range []struct{ segments, acks int }{{1, 0}, {2, 1}, {12, 1}, {16, 1}, {20, 2}, {33, 2}} {
		l, b, frames := flight(t, c.segments)
		if n := l.batch(frames); n != c.acks {
			t.Errorf("%d segments: %d ACKs, want %d", c.segments, n, c.acks)
		}
		if in, _ := b.Buffered(); in != c.segments*b.Info().MSS {
			t.Errorf("%d segments: %d bytes to read", c.segments, in)
		}
	}
}

// A hole is told at once and every time, for the sender counts (RFC 5681, 4.2).
func TestABatchWithAHoleIsNotPutOff(t *testing.T) {
	l, _, frames := flight(t, 12)
	frames = append(frames[:4:4], frames[5:]...)
	if n := l.batch(frames); n != 7 {
		t.Errorf("%d ACKs for 4 segments, a hole and 7 segments, want one for each of the 7", n)
	}
}

func TestABatchMayEndAConnection(t *testing.T) {
	l, b, frames := flight(t, 3)
	done := 0
	l.stacks[1].InputBatch(l.now, func() []byte {
		done++
		switch {
		case done <= 3:
			return frames[done-1]
		case done == 4: // the owner goes away in the middle of it
			b.Abort(l.now)
		}
		return nil
	})
	l.drain()
	if n := len(l.stacks[1].tcps); n != 0 {
		t.Errorf("%d connections left", n)
	}
}

func TestABatchDoesNotAllocate(t *testing.T) {
	l := newBenchLink(t, tcp.Config{})
	a, b := l.connect(t)
	data, buf := make([]byte, 8<<10), make([]byte, 64<<10)
	pop := [2]func() []byte{l.rings[0].pop, l.rings[1].pop}
	turn := func() {
		a.Write(l.now, data)
		for range 3 {
			for i := range pop {
				l.stacks[1-i].InputBatch(l.now, pop[i])
			}
			b.Read(l.now, buf)
		}
		l.drain()
	}
	for range 100 {
		turn()
	}
	if n := testing.AllocsPerRun(100, turn); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func (r *frameRing) pop() []byte {
	if r.head == r.tail {
		r.head, r.tail = 0, 0
		return nil
	}
	r.head++
	return r.frames[(r.head-1)%len(r.frames)]
}
