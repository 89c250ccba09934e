package interop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// site is a web site on one of our networks, and a client on the other end.
type site struct {
	*http.Client
	*http.Transport
	conns atomic.Int32 // that the server has had
	open  atomic.Int32 // that it has now
}

// newSite serves h on ln, for a client that dials.
func newSite(t *testing.T, ln net.Listener, dial dialFunc, h http.Handler) *site {
	s := &site{Transport: &http.Transport{DialContext: dial}}
	s.Client = &http.Client{Transport: s.Transport, Timeout: 30 * time.Second}
	server := &http.Server{Handler: h, ConnState: func(_ net.Conn, st http.ConnState) {
		switch st {
		case http.StateNew:
			s.conns.Add(1)
			s.open.Add(1)
		case http.StateClosed, http.StateHijacked:
			s.open.Add(-1)
		}
	}}
	go server.Serve(ln)
	t.Cleanup(func() {
		s.Transport.CloseIdleConnections()
		server.Close()
	})
	return s
}

const siteURL = "http://peer.test"

// get wants a body.
func (s *site) get(t *testing.T, path, want string) {
	t.Helper()
	r, err := s.Client.Get(siteURL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if b, err := io.ReadAll(r.Body); err != nil || string(b) != want || r.StatusCode != 200 {
		t.Errorf("%s: %s, %q, %v; want %q", path, r.Status, b, err, want)
	}
}

// quiet waits until the server has n connections.
func (s *site) quiet(t *testing.T, n int32) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); s.open.Load() != n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the server has %d connections, want %d", s.open.Load(), n)
		}
	}
}

func TestHTTPKeepsItsConnection(t *testing.T) {
	dialers(t, func(t *testing.T, ln net.Listener, dial dialFunc) {
		s := newSite(t, ln, dial, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) }))
		reused := 0
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
			if i.Reused {
				reused++
			}
		}})
		for i := range 20 {
			r, err := http.NewRequestWithContext(ctx, "GET", fmt.Sprintf("%s/%d", siteURL, i), nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := s.Client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(resp.Body); err != nil || string(b) != fmt.Sprintf("/%d", i) {
				t.Errorf("%q, %v", b, err)
			}
			resp.Body.Close()
		}
		if reused != 19 || s.conns.Load() != 1 {
			t.Errorf("%d requests of 20 on a connection that was there, %d connections", reused, s.conns.Load())
		}
		// It ends when the client no longer wants it.
		s.Transport.CloseIdleConnections()
		s.quiet(t, 0)
		s.get(t, "/again", "/again")
	})
}

// Neither side knows how long its body will be; each has a trailer.
func TestHTTPChunkedBothWays(t *testing.T) {
	dialers(t, func(t *testing.T, ln net.Listener, dial dialFunc) {
		s := newSite(t, ln, dial, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if len(r.TransferEncoding) != 1 || r.ContentLength != -1 {
				t.Errorf("the request has %q, length %d", r.TransferEncoding, r.ContentLength)
			}
			c := http.NewResponseController(w)
			if err := c.EnableFullDuplex(); err != nil {
				t.Error(err)
			}
			w.Header().Set("Trailer", "Sum")
			hash, buf := sha256.New(), make([]byte, 1000)
			for {
				n, err := r.Body.Read(buf)
				hash.Write(buf[:n])
				w.Write(buf[:n])
				if e := c.Flush(); e != nil {
					t.Error(e)
				}
				if err == io.EOF {
					break
				} else if err != nil {
					t.Error(err)
					return
				}
			}
			if got, want := r.Trailer.Get("Sum"), fmt.Sprintf("%x", hash.Sum(nil)); got != want {
				t.Errorf("the request's trailer is %q, want %q", got, want)
			}
			w.Header().Set("Sum", r.Trailer.Get("Sum"))
		}))
		// The next chunk is written when the one before has come back: none waits in a buffer on the way.
		in, out := io.Pipe()
		r, err := http.NewRequestWithContext(t.Context(), "POST", siteURL, in)
		if err != nil {
			t.Fatal(err)
		}
		r.Trailer = http.Header{"Sum": nil}
		go out.Write([]byte("first"))
		resp, err := s.Client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		buf := make([]byte, 5000)
		if _, err := io.ReadFull(resp.Body, buf[:5]); err != nil || string(buf[:5]) != "first" {
			t.Fatalf("%q, %v", buf[:5], err)
		}
		hash := sha256.New()
		hash.Write([]byte("first"))
		for i := range 20 {
			chunk := randomBytes(1+i*250, uint64(i))
			hash.Write(chunk)
			go out.Write(chunk)
			if _, err := io.ReadFull(resp.Body, buf[:len(chunk)]); err != nil || !bytes.Equal(buf[:len(chunk)], chunk) {
				t.Fatalf("chunk %d: %v", i, err)
			}
		}
		sum := fmt.Sprintf("%x", hash.Sum(nil))
		r.Trailer.Set("Sum", sum)
		out.Close()
		if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
			t.Errorf("after the last chunk: %q, %v", rest, err)
		}
		if resp.Trailer.Get("Sum") != sum || len(resp.TransferEncoding) != 1 {
			t.Errorf("trailer %q, want %q; encoding %q", resp.Trailer.Get("Sum"), sum, resp.TransferEncoding)
		}
	})
}

// Bodies that no buffer on the way holds, in both directions at once.
func TestHTTPLargeBodies(t *testing.T) {
	const size = 3 << 20
	dialers(t, func(t *testing.T, ln net.Listener, dial dialFunc) {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /file", func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "file.bin", time.Time{}, bytes.NewReader(randomBytes(size, 7)))
		})
		mux.HandleFunc("PUT /file", func(w http.ResponseWriter, r *http.Request) {
			hash := sha256.New()
			n, err := io.Copy(hash, r.Body)
			if err != nil || n != r.ContentLength {
				t.Errorf("%d bytes of %d: %v", n, r.ContentLength, err)
			}
			fmt.Fprintf(w, "%x", hash.Sum(nil))
		})
		s := newSite(t, ln, dial, mux)
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() {
			body := randomBytes(size, 9)
			r, err := http.NewRequestWithContext(t.Context(), "PUT", siteURL+"/file", bytes.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			resp, err := s.Client.Do(r)
			if err != nil {
				t.Error("upload:", err)
				return
			}
			defer resp.Body.Close()
			if got, err := io.ReadAll(resp.Body); err != nil || string(got) != fmt.Sprintf("%x", sha256.Sum256(body)) {
				t.Errorf("upload: the server has %s, %v", got, err)
			}
		})
		resp, err := s.Client.Get(siteURL + "/file")
		if err != nil {
			t.Error("download:", err)
			return
		}
		defer resp.Body.Close()
		if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, randomBytes(size, 7)) {
			t.Errorf("download: %d bytes of %d, or others, %v", len(got), size, err)
		}
	})
}

// A request that is given up frees its socket at once: with a leak the seventh would fail.
func TestHTTPCancelledByContext(t *testing.T) {
	dialers(t, func(t *testing.T, ln net.Listener, dial dialFunc) {
		gone := make(chan struct{}, 100)
		mux := http.NewServeMux()
		mux.HandleFunc("/silent", func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			gone <- struct{}{}
		})
		mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
			for p := randomBytes(4096, 1); ; {
				if _, err := w.Write(p); err != nil {
					gone <- struct{}{}
					return
				}
			}
		})
		mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "here") })
		s := newSite(t, ln, dial, mux)
		cut := func(path string, read int64, limit time.Duration) {
			t.Helper()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			want := context.Canceled
			if limit > 0 {
				ctx, cancel = context.WithTimeout(ctx, limit)
				defer cancel()
				want = context.DeadlineExceeded
			}
			r, err := http.NewRequestWithContext(ctx, "GET", siteURL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if read == 0 && limit == 0 {
				time.AfterFunc(20*time.Millisecond, cancel)
			}
			resp, err := s.Client.Do(r)
			if read > 0 && err == nil {
				defer resp.Body.Close()
				if _, err = io.CopyN(io.Discard, resp.Body, read); err == nil {
					cancel()
					_, err = io.Copy(io.Discard, resp.Body)
				}
			}
			if !errors.Is(err, want) {
				t.Fatalf("%s: %v, want %v", path, err, want)
			}
			select {
			case <-gone:
			case <-time.After(20 * time.Second):
				t.Fatalf("%s: the server does not notice", path)
			}
		}
		for range 8 {
			cut("/silent", 0, 0)
			cut("/silent", 0, 20*time.Millisecond)
			cut("/endless", 100_000, 0)
		}
		s.get(t, "/", "here")
		s.quiet(t, 1)
	})
}

// More requests at once than there are sockets: they share as many connections as the client allows itself.
func TestHTTPManyRequestsWithinTheSockets(t *testing.T) {
	dialers(t, func(t *testing.T, ln net.Listener, dial dialFunc) {
		var now atomic.Int32
		var once sync.Once
		two := make(chan struct{}) // closed when two requests are being served
		s := newSite(t, ln, dial, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer now.Add(-1)
			if now.Add(1) == 2 {
				once.Do(func() { close(two) })
			}
			select { // the first one is not answered before there is a second
			case <-two:
			case <-time.After(20 * time.Second):
				t.Error("there was never more than one request at a time")
			}
			body, err := io.ReadAll(r.Body) // a server of HTTP/1 does not read on once it has begun to answer
			if err != nil {
				t.Error(err)
			}
			w.Write(body)
		}))
		const sockets = 6 // of seven: when the driver serves, its listener has one
		s.MaxConnsPerHost, s.MaxIdleConnsPerHost = sockets, sockets
		var wg sync.WaitGroup
		for i := range 60 {
			wg.Go(func() {
				body := randomBytes(5000+100*i, uint64(i))
				resp, err := s.Client.Post(siteURL, "", bytes.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, body) {
					t.Errorf("request %d: %d bytes of %d, or others, %v", i, len(got), len(body), err)
				}
			})
		}
		wg.Wait()
		if s.conns.Load() > sockets {
			t.Errorf("%d connections, want %d at most", s.conns.Load(), sockets)
		}
	})
}
