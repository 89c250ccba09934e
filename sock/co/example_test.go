package co_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/sock"
	"github.com/understudy-net/understudy/sock/co"
)

// getter is a machine that fetches a page. Its stream's owner calls Ready when
// the stream became readable or writable.
type getter struct {
	c    *co.Conn
	body []byte
}

func newGetter(now time.Time, s sock.Stream, url string) *getter {
	g := &getter{}
	g.c = co.Go(s, now, func(c *co.Conn) error {
		req, err := http.NewRequest("GET", url, nil)
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
		g.body, err = io.ReadAll(resp.Body)
		return err
	})
	return g
}

// Ready goes on with the exchange, as far as it comes without waiting.
func (g *getter) Ready(now time.Time) { g.c.Resume(now) }

// Close gives up, wherever it is.
func (g *getter) Close() { g.c.Stop() }

// slow is a Stream from which a few bytes come at a time.
type slow struct {
	request, answer []byte
	ready           int // bytes of answer that have come
}

func (s *slow) Read(now time.Time, p []byte) (int, error) {
	if s.ready == 0 {
		return 0, sock.ErrWouldBlock
	}
	n := copy(p, s.answer[:s.ready])
	s.answer, s.ready = s.answer[n:], s.ready-n
	return n, nil
}

func (s *slow) Write(now time.Time, p []byte) (int, error) {
	s.request = append(s.request, p...)
	return len(p), nil
}

func (s *slow) CloseWrite(now time.Time) error { return nil }
func (s *slow) Close(now time.Time) error      { return nil }
func (s *slow) LocalAddr() netip.AddrPort      { return netip.AddrPort{} }
func (s *slow) RemoteAddr() netip.AddrPort     { return netip.AddrPort{} }

// An HTTP GET as a machine: no goroutine of its own runs, nothing blocks.
func Example() {
	s := &slow{answer: []byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")}
	now := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	g := newGetter(now, s, "http://peer/")
	defer g.Close()
	fmt.Printf("%.14q\n", s.request)
	for !g.c.Done() {
		s.ready = min(10, len(s.answer))
		g.Ready(now)
	}
	fmt.Printf("%s %v\n", g.body, g.c.Err())
	// Output:
	// "GET / HTTP/1.1"
	// hello <nil>
}
