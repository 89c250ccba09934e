package frames_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/understudy-net/understudy/uplink/frames"
	"github.com/understudy-net/understudy/world"
)

// A fake is a device whose other end is the test.
type fake struct {
	in    chan [][]byte // what Read gives, a batch at a time
	bad   int           // unusable frames that it tells of with each batch
	out   chan []byte   // what Write took; nil: Write never ends
	fails error         // of Write
	gone  chan error    // ends Read

	once   sync.Once
	closed chan struct{}
}

func newFake() *fake {
	return &fake{in: make(chan [][]byte), out: make(chan []byte, 4096), gone: make(chan error), closed: make(chan struct{})}
}

func (f *fake) Read(b *frames.Batch) (int, error) {
	select {
	case batch := <-f.in:
		for _, p := range batch {
			b.Append(p)
		}
		return f.bad, nil
	case err := <-f.gone:
		return 0, err
	case <-f.closed:
		return 0, os.ErrClosed
	}
}

func (f *fake) Write(p []byte) error {
	if f.fails != nil {
		return f.fails
	}
	select {
	case f.out <- bytes.Clone(p):
		return nil
	case <-f.closed:
		return os.ErrClosed
	}
}

func (f *fake) Close() error {
	f.once.Do(func() { close(f.closed) })
	return nil
}

// bubble runs a test in a bubble, which fails if a goroutine is left at its end, with a
// world on its clock.
func bubble(t *testing.T, f func(t *testing.T, w *world.World)) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New()
		ctx, cancel := context.WithCancel(context.Background())
		go w.Run(ctx)
		f(t, w)
		cancel()
	})
}

func start(t *testing.T, c frames.Config, d frames.Device) *frames.Pump {
	t.Helper()
	p, err := frames.Start(c, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// frame makes a frame of n bytes that says i.
func frame(i, n int) []byte {
	b := make([]byte, n)
	copy(b, fmt.Sprintf("frame %6d", i))
	return b
}

func TestFramesFromTheHostComeInOrder(t *testing.T) {
	bubble(t, func(t *testing.T, w *world.World) {
		f := newFake()
		f.bad = 2
		var got [][]byte
		p := start(t, frames.Config{World: w, Output: func(_ time.Time, eth []byte) { got = append(got, bytes.Clone(eth)) }}, f)
		f.in <- [][]byte{frame(0, 60), frame(1, 14), frame(2, 1518)}
		f.in <- [][]byte{frame(3, 60), frame(4, 13), frame(5, 1519)}
		synctest.Wait()
		if len(got) != 4 {
			t.Fatalf("%d frames, want 4", len(got))
		}
		for i, n := range []int{60, 14, 1518, 60} {
			if !bytes.Equal(got[i], frame(i, n)) {
				t.Errorf("frame %d is %q of %d bytes", i, got[i][:12], len(got[i]))
			}
		}
		want := frames.Stats{FromHost: 4, FromHostBytes: 60 + 14 + 1518 + 60, Drops: frames.Drops{Short: 1, Oversize: 1, Unusable: 4}}
		if s := p.Stats(); s != want {
			t.Errorf("stats %+v, want %+v", s, want)
		}
	})
}

func TestFramesToTheHostComeInOrder(t *testing.T) {
	bubble(t, func(t *testing.T, w *world.World) {
		f := newFake()
		p := start(t, frames.Config{World: w, Output: func(time.Time, []byte) {}}, f)
		one := frame(0, 60)
		for i := range 100 {
			copy(one, frame(i, 60)) // Input has to keep a copy
			p.Input(w.Now(), one)
		}
		p.Input(w.Now(), frame(0, 13))
		p.Input(w.Now(), frame(0, 1519))
		for i := range 100 {
			if got := <-f.out; !bytes.Equal(got, frame(i, 60)) {
				t.Fatalf("frame %d is %q", i, got[:12])
			}
		}
		synctest.Wait()
		want := frames.Stats{ToHost: 100, ToHostBytes: 6000, Drops: frames.Drops{Short: 1, Oversize: 1}}
		if s := p.Stats(); s != want {
			t.Errorf("stats %+v, want %+v", s, want)
		}
	})
}

func TestHostThatIsSlowLosesFramesAndHoldsUpNobody(t *testing.T) {
	bubble(t, func(t *testing.T, w *world.World) {
		f := newFake()
		f.out = nil
		p := start(t, frames.Config{World: w, Queue: 8, Output: func(time.Time, []byte) {}}, f)
		p.Input(w.Now(), frame(0, 60))
		synctest.Wait() // the writer has it in hand
		for i := range 20 {
			p.Input(w.Now(), frame(i, 60))
		}
		if s := p.Stats(); s.Drops.QueueFull != 12 {
			t.Errorf("%d frames dropped, want 12", s.Drops.QueueFull)
		}
		p.Close()
		if s := p.Stats(); s.Drops.Closed != 9 || s.ToHost != 0 {
			t.Errorf("after Close %d frames are counted as lost by it, want 9, and %d as sent", s.Drops.Closed, s.ToHost)
		}
	})
}

func TestRefusedFramesAreCounted(t *testing.T) {
	bubble(t, func(t *testing.T, w *world.World) {
		f := newFake()
		f.fails = errors.New("link is down")
		p := start(t, frames.Config{World: w, Output: func(time.Time, []byte) {}}, f)
		p.Input(w.Now(), frame(0, 60))
		p.Input(w.Now(), frame(1, 60))
		synctest.Wait()
		if s := p.Stats(); s.Drops.Refused != 2 {
			t.Errorf("%+v, want 2 refused", s)
		}
	})
}

func TestDeviceThatGoesAwayIsTold(t *testing.T) {
	for _, way := range []string{"read", "write"} {
		t.Run(way, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world.World) {
				f := newFake()
				told := make(chan error, 2)
				c := frames.Config{World: w, Output: func(time.Time, []byte) {}, Failed: func(err error) { told <- err }}
				var p *frames.Pump
				if way == "read" {
					p = start(t, c, f)
					f.gone <- frames.ErrDeviceGone
				} else {
					f.fails = frames.ErrDeviceGone
					p = start(t, c, f)
					p.Input(w.Now(), frame(0, 60))
				}
				if err := <-told; !errors.Is(err, frames.ErrDeviceGone) {
					t.Errorf("told %v", err)
				}
				synctest.Wait()
				before := p.Stats().Drops.Closed
				p.Input(w.Now(), frame(0, 60))
				if after := p.Stats().Drops.Closed; after != before+1 {
					t.Errorf("a frame for a device that is gone is not counted: %d, then %d", before, after)
				}
				p.Close()
				if len(told) > 0 {
					t.Errorf("told again: %v", <-told)
				}
			})
		})
	}
}

func TestCloseIsQuietAndFinal(t *testing.T) {
	bubble(t, func(t *testing.T, w *world.World) {
		f := newFake()
		p := start(t, frames.Config{World: w, Output: func(time.Time, []byte) {}, Failed: func(err error) { t.Errorf("Failed(%v)", err) }}, f)
		for range 2 {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		}
		p.Input(w.Now(), frame(0, 60))
		if s := p.Stats(); s.Drops.Closed != 1 || s.Drops.Total() != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	out := func(time.Time, []byte) {}
	for name, c := range map[string]frames.Config{
		"no world":        {Output: out},
		"no output":       {World: world.New()},
		"a virtual world": {World: world.NewVirtual(world.Epoch), Output: out},
	} {
		f := newFake()
		if _, err := frames.Start(c, f); err == nil {
			t.Errorf("%s: no error", name)
		}
		select {
		case <-f.closed:
		default:
			t.Errorf("%s: the device is left open", name)
		}
	}
}

// A quiet device is one that takes everything at once and counts.
type quiet struct {
	closed chan struct{}
	taken  chan struct{}
}

func (q quiet) Read(*frames.Batch) (int, error) { <-q.closed; return 0, os.ErrClosed }
func (q quiet) Write([]byte) error              { q.taken <- struct{}{}; return nil }
func (q quiet) Close() error                    { close(q.closed); return nil }

func TestInputDoesNotAllocate(t *testing.T) {
	q := quiet{make(chan struct{}), make(chan struct{})}
	p := start(t, frames.Config{World: world.New(), Output: func(time.Time, []byte) {}}, q)
	f := frame(0, 1514)
	n := testing.AllocsPerRun(200, func() {
		p.Input(time.Time{}, f)
		<-q.taken
	})
	if n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

func TestBatchHasABound(t *testing.T) {
	var b frames.Batch
	for n := range 1000 {
		if b.Full() {
			if n != 64 {
				t.Errorf("full with %d small frames, want 64", n)
			}
			break
		}
		b.Append(frame(n, 60))
	}
	b.Reset()
	for b.Len() < 1000 && !b.Full() {
		b.Append(frame(0, 9000))
	}
	if b.Len() != 8 {
		t.Errorf("full with %d large frames, want 8", b.Len())
	}
}
