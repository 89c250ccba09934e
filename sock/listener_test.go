package sock_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/understudy-net/understudy/sock"
	"github.com/understudy-net/understudy/world"
)

// queue is an Acceptor.
type queue struct {
	streams []sock.Stream
}

func (q *queue) Accept(time.Time) (sock.Stream, error) {
	if len(q.streams) == 0 {
		return nil, sock.ErrWouldBlock
	}
	s := q.streams[0]
	q.streams = q.streams[1:]
	return s, nil
}
func (q *queue) Close(time.Time) error { return nil }
func (q *queue) Addr() netip.AddrPort  { return addr(80) }

func TestListenerWaitsAndCanBeClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, stop := running()
		defer stop()
		q := &queue{}
		l := sock.NewListener(w, q, nil)
		go func() {
			time.Sleep(time.Second)
			w.Lock()
			q.streams = append(q.streams, &end{port: 1})
			l.Ready()
			w.Unlock()
			time.Sleep(time.Second)
			l.Close()
		}()
		c, err := l.Accept()
		if err != nil || c.RemoteAddr().String() != "10.0.0.1:2" {
			t.Error(c, err)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if l.Addr().String() != "10.0.0.1:80" {
			t.Error(l.Addr())
		}
	})
}

// lan is a Listener and a way to dial it.
func lan(w *world.World) (l *sock.Listener, dial func() *sock.Conn) {
	q := &queue{}
	var server *sock.Conn
	l = sock.NewListener(w, q, func(s sock.Stream) *sock.Conn {
		server = sock.NewConn(w, s)
		s.(*end).self(server)
		return server
	})
	return l, func() *sock.Conn {
		w.Lock()
		defer w.Unlock()
		c, s := newEnds(w)
		q.streams = append(q.streams, s)
		l.Ready()
		return c
	}
}

// net/http, with all its goroutines, on both sides.
func TestHTTPOverListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, stop := running()
		defer stop()
		l, dial := lan(w)
		body := bytes.Repeat([]byte("0123456789"), 10*pipeSize)
		srv := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			rw.Write(b)
		})}
		end := make(chan error)
		go func() { end <- srv.Serve(l) }()
		tr := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return dial(), nil }}
		client := &http.Client{Transport: tr}
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				resp, err := client.Post("http://peer/", "text/plain", bytes.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				if b, err := io.ReadAll(resp.Body); !bytes.Equal(b, body) || err != nil {
					t.Error(len(b), err)
				}
			})
		}
		wg.Wait()
		tr.CloseIdleConnections()
		if err := srv.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-end; err != http.ErrServerClosed {
			t.Error(err)
		}
	})
}

func TestAcceptHasADeadline(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	l, _ := lan(w)
	err := w.Do(func() {
		l.SetDeadline(w.Now().Add(time.Hour))
		_, err := l.Accept()
		if d := w.Now().Sub(world.Epoch); !errors.Is(err, os.ErrDeadlineExceeded) || d != time.Hour {
			t.Error(d, err)
		}
		if s := err.Error(); s != "accept tcp 10.0.0.1:80: i/o timeout" {
			t.Error(s)
		}
		l.Close()
		for _, err := range []error{l.Close(), l.SetDeadline(time.Time{})} {
			if !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}
