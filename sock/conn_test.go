package sock_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"

	"github.com/understudy-net/understudy/sock"
	"github.com/understudy-net/understudy/world"
)

func TestConnKeepsTheContractOfNetConn(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		w, end := running()
		a, b := newPair(w)
		return a, b, func() { a.Close(); b.Close(); end() }, nil
	})
}

func TestErrorsSayWhatHappenedWhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, stop := running()
		defer stop()
		c, _ := newPair(w)
		c.SetReadDeadline(time.Now().Add(time.Hour))
		_, err := c.Read(make([]byte, 1))
		var op *net.OpError
		if !errors.As(err, &op) || !errors.Is(err, os.ErrDeadlineExceeded) || !op.Timeout() {
			t.Error(err)
		}
		if s := err.Error(); s != "read tcp 10.0.0.1:1->10.0.0.1:2: i/o timeout" {
			t.Error(s)
		}
		c.Close()
		if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if err := c.Close(); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

func TestClosedWorldEndsCalls(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	c, _ := newPair(w)
	var err error
	ended := make(chan bool)
	w.Do(func() {
		w.Go(func() {
			defer close(ended)
			_, err = c.Read(make([]byte, 1))
		})
		w.Sleep(time.Second)
		w.Close()
	})
	<-ended
	if !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

func TestReadAndWriteDoNotAllocate(t *testing.T) {
	w := world.New()
	c1, c2 := newPair(w)
	p := make([]byte, 1000)
	if n := testing.AllocsPerRun(100, func() { c1.Write(p); c2.Read(p) }); n > 0 {
		t.Error(n, "allocations")
	}
}

func TestBytesOfConcurrentWritesDoNotMix(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	c1, c2 := newPair(w)
	const each = 3 * pipeSize // more than fits: every Write has to wait
	var got []byte
	err := w.Do(func() {
		for _, b := range []byte("abc") {
			w.Go(func() {
				if n, err := c1.Write(bytes.Repeat([]byte{b}, each)); n != each || err != nil {
					t.Error(n, err)
				}
			})
		}
		w.Sleep(time.Second)
		got = make([]byte, 3*each)
		if _, err := io.ReadFull(c2, got); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range []byte("abc") { // in the order of the calls
		if n := bytes.Count(got[i*each:(i+1)*each], []byte{b}); n != each {
			t.Errorf("%c: %d of its bytes are where they should be", b, n)
		}
	}
}

func TestWriteThatWaitsForAnotherCanBeEnded(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	c1, _ := newPair(w)
	err := w.Do(func() {
		end := make([]error, 2)
		var n [2]int
		for i := range end {
			w.Go(func() { n[i], end[i] = c1.Write(make([]byte, 2*pipeSize)) })
		}
		w.Sleep(time.Second)
		c1.SetWriteDeadline(w.Now().Add(time.Minute))
		w.Sleep(2 * time.Minute)
		for i, err := range end {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(i, err)
			}
		}
		if n != [2]int{pipeSize, 0} {
			t.Error(n)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestDeadlineIsAnInstantOfTheOwnersClock(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	c, _ := newPair(w)
	err := w.Do(func() {
		w.Go(func() { // shortens the deadline of a Read that waits already
			w.Sleep(time.Minute)
			c.SetReadDeadline(w.Now().Add(time.Hour))
		})
		c.SetReadDeadline(w.Now().Add(24 * time.Hour))
		_, err := c.Read(make([]byte, 1))
		if d := w.Now().Sub(world.Epoch); !errors.Is(err, os.ErrDeadlineExceeded) || d != time.Hour+time.Minute {
			t.Error(d, err)
		}
		c.SetReadDeadline(time.Time{})
		w.Go(func() { w.Sleep(time.Hour); c.SetReadDeadline(w.Now()) })
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestHalfClose(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	c1, c2 := newPair(w)
	err := w.Do(func() {
		w.Go(func() {
			req, _ := io.ReadAll(c2)
			fmt.Fprintf(c2, "you said %q", req)
			c2.Close()
		})
		fmt.Fprint(c1, "hello")
		if err := c1.CloseWrite(); err != nil {
			t.Error(err)
		}
		if b, err := io.ReadAll(c1); string(b) != `you said "hello"` || err != nil {
			t.Errorf("%s %v", b, err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// broken is a Stream that fails, and that forgets its addresses in Close.
type broken struct {
	end
	err    error
	closed bool
}

func (b *broken) Read(_ time.Time, p []byte) (int, error) { return copy(p, "tail"), b.err }
func (b *broken) CloseWrite(time.Time) error              { return errors.ErrUnsupported }
func (b *broken) Close(time.Time) error                   { b.closed = true; return nil }
func (b *broken) LocalAddr() netip.AddrPort {
	if b.closed {
		panic("asked after Close")
	}
	return addr(b.port)
}
func (b *broken) RemoteAddr() netip.AddrPort { b.LocalAddr(); return addr(9) }

func TestErrorsOfTheStreamAreWrapped(t *testing.T) {
	s := &broken{end: end{port: 1}, err: syscall.ECONNRESET}
	c := sock.NewConn(world.New(), s)
	if n, err := c.Read(make([]byte, 9)); n != 4 || err != nil {
		t.Error("bytes come before the error:", n, err)
	}
	if n, err := c.Read(nil); n != 0 || err != nil {
		t.Error(n, err)
	}
	if err := c.CloseWrite(); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if c.LocalAddr().String() != "10.0.0.1:1" || c.RemoteAddr().String() != "10.0.0.1:9" {
		t.Error(c.LocalAddr(), c.RemoteAddr())
	}
	for op, err := range map[string]error{
		"read":  func() error { _, err := c.Read(nil); return err }(),
		"write": func() error { _, err := c.Write(nil); return err }(),
		"close": c.CloseWrite(),
		"set":   c.SetDeadline(time.Time{}),
	} {
		var e *net.OpError
		if !errors.As(err, &e) || e.Op != op || e.Net != "tcp" || e.Err != net.ErrClosed || e.Source.String() != "10.0.0.1:1" || e.Addr.String() != "10.0.0.1:9" {
			t.Errorf("%s: %#v", op, err)
		}
	}
}

func TestWaitingForBytesDoesNotAllocate(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	c1, c2 := newPair(w)
	err := w.Do(func() {
		w.Go(func() { // echoes
			p := make([]byte, 1000)
			for {
				n, err := c2.Read(p)
				if err != nil {
					return
				}
				c2.Write(p[:n])
			}
		})
		w.Sleep(time.Second)
		p := make([]byte, 1000)
		if n := testing.AllocsPerRun(100, func() {
			c1.SetDeadline(world.Epoch.Add(time.Hour))
			c1.Write(p)
			if n, err := c1.Read(p); n != len(p) || err != nil {
				t.Error(n, err)
			}
		}); n > 0 {
			t.Error(n, "allocations")
		}
		c1.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
}
func BenchmarkConn(b *testing.B) {
	w := world.New()
	c1, c2 := newPair(w)
	p := make([]byte, 1400)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		c1.Write(p)
		c2.Read(p)
	}
}
