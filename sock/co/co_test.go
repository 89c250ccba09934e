package co_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
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

// A writer is stalled by its peer's window, then a bad record arrives, to which
// TLS answers with an alert: the owner must not hang.
func TestStalledTLSWriterAndBadRecordDoNotFreezeTheOwner(t *testing.T) {
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	defer srv.Close()
	cert := srv.TLS.Certificates[0]
	a, b := halves(2000)
	var cl *tls.Conn
	c1 := co.GoBuffered(a, now, func(c *co.Buffered) error {
		cl = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
		if err := cl.Handshake(); err != nil {
			return err
		}
		_, err := cl.Read(make([]byte, 10))
		return err
	})
	c2 := co.GoBuffered(b, now, func(c *co.Buffered) error {
		return tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}}).Handshake()
	})
	for range 50 {
		c1.Resume(now)
		c2.Resume(now)
	}
	if !c2.Done() || c2.Err() != nil || c1.Done() {
		t.Fatal(c2.Done(), c2.Err(), c1.Done(), c1.Err())
	}
	if n, err := cl.Write(make([]byte, 5000)); n != 5000 || err != nil {
		t.Fatal(n, err)
	}
	c1.Flush(now)
	if c1.Pending() == 0 {
		t.Fatal("the window did not stall the writer")
	}
	*a.in = append(*a.in, append([]byte{23, 3, 3, 0, 30}, make([]byte, 30)...)...)
	c1.Resume(now)
	if !c1.Done() || c1.Err() == nil {
		t.Error("the bad record was taken:", c1.Err())
	}
}

// An HTTP GET as a machine: it goes on whenever its stream has something.
func Example() {
	a, b := halves(100)
	var body string
	get := co.Go(a, now, client(&body))
	peer := co.Go(b, now, server)
	for !get.Done() {
		peer.Resume(now)
		get.Resume(now)
	}
	fmt.Println(len(body), get.Err())
	// Output: 5000 <nil>
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
