package co_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/understudy-net/understudy/sock"
	"github.com/understudy-net/understudy/sock/co"
)

// certificate is that of httptest.
func certificate(t *testing.T) tls.Certificate {
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	defer srv.Close()
	return srv.TLS.Certificates[0]
}

// closer is a half that records how it ended.
type closer struct {
	half
	log *[]string
}

func (c closer) CloseWrite(time.Time) error { *c.log = append(*c.log, "close write"); return nil }
func (c closer) Close(time.Time) error      { *c.log = append(*c.log, "close"); return nil }

// A whole TLS connection on one goroutine: handshake and reading in coroutines,
// writing and closing straight from the machine, windows smaller than a record.
func TestTLSBetweenTwoCoroutines(t *testing.T) {
	cert := certificate(t)
	a, b := halves(700)
	var log []string
	var cl, sv *tls.Conn
	var up bool
	var got []byte
	c1 := co.GoBuffered(closer{a, &log}, now, func(c *co.Buffered) error {
		cl = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
		err := cl.Handshake()
		up = err == nil
		if err != nil {
			return err
		}
		_, err = io.ReadAll(cl) // the peer's close_notify
		return err
	})
	c2 := co.GoBuffered(b, now, func(c *co.Buffered) (err error) {
		sv = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
		if err = sv.Handshake(); err == nil {
			got, err = io.ReadAll(sv)
		}
		return err
	})
	turn := func() {
		c2.Resume(now)
		c1.Resume(now)
	}
	const want = 100_000
	for sent, turns := 0, 0; sent < want; turns++ {
		if turns == 10_000 {
			t.Fatal("no end: ", up, sent)
		}
		if up && c1.Pending() == 0 {
			n, err := cl.Write(make([]byte, min(16<<10, want-sent)))
			if err != nil {
				t.Fatal(err)
			}
			sent += n
		}
		turn()
	}
	if err := cl.Close(); err != nil || c1.Pending() == 0 {
		t.Fatal(c1.Pending(), err)
	}
	if _, err := c1.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Error("written after Close:", err)
	}
	for len(log) == 0 {
		turn()
	}
	if c1.Pending() != 0 {
		t.Error("closed with", c1.Pending(), "bytes pending")
	}
	turn()
	c1.Stop()
	if !c2.Done() || c2.Err() != nil || len(got) != want {
		t.Error(c2.Done(), c2.Err(), len(got))
	}
	if len(log) != 1 || log[0] != "close" {
		t.Error(log)
	}
}

// A writer is stalled by its peer's window, then a bad record arrives, to which
// TLS answers with an alert: the owner must not hang.
func TestStalledTLSWriterAndBadRecordDoNotFreezeTheOwner(t *testing.T) {
	cert := certificate(t)
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

// A peer that sends and reads nothing gets no more than a bounded number of
// answers made.
func TestAnswersToAPeerThatDoesNotReadAreBounded(t *testing.T) {
	a, b := halves(1000)
	answered := 0
	c := co.GoBuffered(a, now, func(c *co.Buffered) error {
		for p := make([]byte, 1); ; answered++ {
			if _, err := c.Read(p); err != nil {
				return err
			}
			c.Write(make([]byte, 1000))
		}
	})
	most := 0
	for range 1000 {
		b.Write(now, []byte("?"))
		c.Resume(now)
		most = max(most, c.Pending())
	}
	if most > 66_000 {
		t.Error(most, "bytes pending")
	}
	for range 2000 { // it goes on when the peer reads
		b.Read(now, make([]byte, 1000))
		c.Resume(now)
	}
	if answered != 1000 {
		t.Error(answered, "answers")
	}
	c.Stop()
	if !c.Done() || !errors.Is(c.Err(), co.ErrStopped) {
		t.Error(c.Done(), c.Err())
	}
}

func TestCloseWriteComesAfterTheLastByte(t *testing.T) {
	a, b := halves(10)
	var log []string
	c := co.GoBuffered(closer{a, &log}, now, func(c *co.Buffered) error {
		c.Write(make([]byte, 15))
		return c.CloseWrite()
	})
	if len(log) != 0 || c.Pending() != 5 || !c.Done() {
		t.Fatal(log, c.Pending(), c.Done())
	}
	b.Read(now, make([]byte, 10))
	c.Flush(now)
	c.Flush(now)
	if len(log) != 1 || log[0] != "close write" {
		t.Error(log)
	}
	c.Close()
	c.Flush(now)
	c.Flush(now)
	if len(log) != 2 || log[1] != "close" {
		t.Error(log)
	}
}

// failing is a Stream whose Write fails.
type failing struct{ half }

var errReset = errors.New("reset")

func (failing) Write(time.Time, []byte) (int, error) { return 0, errReset }

func TestFlushSaysWhatTheStreamSaid(t *testing.T) {
	a, _ := halves(10)
	c := co.GoBuffered(failing{a}, now, func(c *co.Buffered) error {
		c.Write([]byte("x"))
		_, err := c.Read(make([]byte, 1))
		return err
	})
	defer c.Stop()
	for range 2 {
		if err := c.Resume(now); err != errReset {
			t.Error(err)
		}
	}
}

var _ sock.Stream = failing{}
