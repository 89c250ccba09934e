package co_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/sock"
	"github.com/understudy-net/understudy/sock/co"
)

// half is a Stream: one end of two bounded buffers.
type half struct {
	in, out *[]byte
	limit   int
}

func (h half) Read(_ time.Time, p []byte) (int, error) {
	if len(*h.in) == 0 {
		return 0, sock.ErrWouldBlock
	}
	n := copy(p, *h.in)
	*h.in = (*h.in)[n:]
	return n, nil
}

func (h half) Write(_ time.Time, p []byte) (int, error) {
	n := min(len(p), h.limit-len(*h.out))
	if n <= 0 {
		return 0, sock.ErrWouldBlock
	}
	*h.out = append(*h.out, p[:n]...)
	return n, nil
}
func (h half) CloseWrite(time.Time) error { return nil }
func (h half) Close(time.Time) error      { return nil }
func (h half) LocalAddr() netip.AddrPort  { return netip.AddrPort{} }
func (h half) RemoteAddr() netip.AddrPort { return netip.AddrPort{} }

func halves(limit int) (half, half) {
	var a, b []byte
	return half{&a, &b, limit}, half{&b, &a, limit}
}

var now = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

func client(body *string) func(c *co.Conn) error {
	return func(c *co.Conn) error {
		req, err := http.NewRequest("GET", "http://peer/", nil)
		if err != nil {
			return err
		}
		if err := req.Write(c); err != nil {
			return err
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), req)
		if err != nil {
			return err
		}
		b, err := io.ReadAll(resp.Body)
		*body = string(b)
		return err
	}
}

func server(c *co.Conn) error {
	if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n%s", strings.Repeat("x", 5000))
	return err
}

func TestHTTPBetweenTwoCoroutines(t *testing.T) {
	a, b := halves(100)
	var body string
	c1 := co.Go(a, now, client(&body))
	c2 := co.Go(b, now, server)
	turns := 0
	for ; turns < 1000 && !(c1.Done() && c2.Done()); turns++ {
		c1.Resume(now)
		c2.Resume(now)
	}
	if c1.Err() != nil || c2.Err() != nil || len(body) != 5000 {
		t.Fatal(c1.Err(), c2.Err(), len(body))
	}
	if turns < 40 {
		t.Error("5000 bytes went through a buffer of 100 in", turns, "turns")
	}
}

func TestStopEndsTheFunction(t *testing.T) {
	a, _ := halves(100)
	c := co.Go(a, now, func(c *co.Conn) error {
		_, err := c.Read(make([]byte, 1))
		_, again := c.Write([]byte("x"))
		return errors.Join(err, again)
	})
	c.Stop()
	c.Stop()
	c.Resume(now)
	if !c.Done() || !errors.Is(c.Err(), co.ErrStopped) {
		t.Error(c.Done(), c.Err())
	}
}

func TestStoppedCoroutinesLeaveNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	var all []*co.Conn
	for range 100 {
		a, _ := halves(100)
		all = append(all, co.Go(a, now, client(new(string))))
	}
	if n := runtime.NumGoroutine(); n < before+100 {
		t.Skip("coroutines are not counted as goroutines:", n)
	}
	for _, c := range all {
		c.Stop()
	}
	for i := 0; runtime.NumGoroutine() > before && i < 1000; i++ {
		runtime.Gosched() // the last step of a goroutine comes after Stop
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Error(n-before, "goroutines are left")
	}
}

// echo is a Stream that answers at once, and says so from its Write.
type echo struct {
	half
	ready func()
}

func (e *echo) Write(now time.Time, p []byte) (int, error) {
	*e.in = append(*e.in, p...)
	if e.ready != nil {
		e.ready()
	}
	return len(p), nil
}

func TestResumedByItsOwnWrite(t *testing.T) {
	a, _ := halves(0)
	e := &echo{half: a}
	waits := 0
	c := co.Go(e, now, func(c *co.Conn) error {
		c.Wait() // until e.ready is set
		c.Write([]byte("x"))
		waits++
		return c.Wait() // nothing else will resume it
	})
	e.ready = func() { c.Resume(now.Add(time.Second)) }
	c.Resume(now)
	if !c.Done() || c.Err() != nil || waits != 1 || !c.Now().Equal(now.Add(time.Second)) {
		t.Error(c.Done(), c.Err(), waits, c.Now())
	}
}

func TestFunctionThatPanicsHasEnded(t *testing.T) {
	a, _ := halves(0)
	c := co.Go(a, now, func(c *co.Conn) error { c.Wait(); panic("boom") })
	func() {
		defer func() {
			if r := recover(); r != "boom" {
				t.Error(r)
			}
		}()
		c.Resume(now)
	}()
	if c.Resume(now); !c.Done() {
		t.Error("not done")
	}
}

func BenchmarkSwitch(b *testing.B) {
	a, _ := halves(1)
	c := co.Go(a, now, func(c *co.Conn) error {
		for c.Wait() == nil {
		}
		return nil
	})
	defer c.Stop()
	b.ReportAllocs()
	for b.Loop() {
		c.Resume(now)
	}
}
