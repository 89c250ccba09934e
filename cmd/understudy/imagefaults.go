package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

// imageFaults are the ways in which a server of images can be a bad one. Places are numbers of bytes; nowhere is -1, the middle
// of the file half.
type imageFaults struct {
	status                 int // instead of the file; 0: none
	rate                   int // bytes a second; 0: as fast as it goes
	truncate, reset, stall int
	digest                 bool
	names                  []string // as they were given
}

const (
	nowhere = -1
	half    = -2

	slowRate = 8 << 10
)

func parseFaults(list []string) (imageFaults, error) {
	f := imageFaults{truncate: nowhere, reset: nowhere, stall: nowhere, names: list}
	for _, s := range list {
		name, value, given := strings.Cut(s, "=")
		n := half
		if given {
			v, err := strconv.ParseUint(value, 10, 31)
			if err != nil || v == 0 && name == "slow" {
				return f, usagef("--fault %s: want a number of bytes behind the =", s)
			}
			n = int(v)
		}
		switch name {
		case "slow":
			f.rate = n
			if !given {
				f.rate = slowRate
			}
			continue
		case "truncated":
			f.truncate = n
			continue
		case "reset":
			f.reset = n
			continue
		case "stall":
			f.stall = n
			continue
		}
		switch {
		case given:
			return f, usagef("--fault %s: %q takes no number", s, name)
		case name == "404" || name == "500":
			f.status, _ = strconv.Atoi(name)
		case name == "digest":
			f.digest = true
		default:
			return f, usagef("--fault %s: want 404, 500, slow, truncated, reset, stall or digest", s)
		}
	}
	return f, nil
}

// imageServer serves the files of a directory.
type imageServer struct {
	p      printer
	root   *os.Root
	faults imageFaults
	times  int // requests that the faults befall; 0: all

	mu       sync.Mutex
	requests int
}

// ServeHTTP answers a request and tells of it.
func (s *imageServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, n := s.faults, s.count()
	if s.times > 0 && n > s.times {
		f, _ = parseFaults(nil)
	}
	out := &faultyWriter{ResponseWriter: w, ctx: r.Context(), f: f, status: http.StatusOK}
	start := time.Now()
	defer func() {
		failed := recover()
		s.tell(r, out, time.Since(start), failed != nil)
		if failed != nil {
			panic(failed)
		}
	}()
	s.answer(out, r, f)
}

func (s *imageServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	return s.requests
}

func (s *imageServer) answer(w *faultyWriter, r *http.Request, f imageFaults) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w.ResponseWriter, "method not allowed", w.say(http.StatusMethodNotAllowed))
		return
	}
	if f.status != 0 {
		http.Error(w.ResponseWriter, "This is not the image you are looking for.", w.say(f.status))
		return
	}
	file, info, err := s.open(strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/"))
	if err != nil {
		http.Error(w.ResponseWriter, "not found", w.say(http.StatusNotFound))
		return
	}
	defer file.Close()
	w.size = info.Size()
	var content io.ReadSeeker = file
	if f.digest {
		content = &wrongEnd{ReadSeeker: file, last: info.Size() - 1}
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("ETag", fmt.Sprintf(`"%x-%x"`, info.Size(), info.ModTime().UnixNano())) // so that a download can go on
	http.ServeContent(w, r, "", info.ModTime(), content)
}

func (s *imageServer) open(name string) (*os.File, fs.FileInfo, error) {
	file, err := s.root.Open(name)
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return file, info, nil
}

// tell prints a line about a request.
func (s *imageServer) tell(r *http.Request, w *faultyWriter, d time.Duration, broken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := map[string]any{
		"event": "request", "from": r.RemoteAddr, "method": r.Method, "path": r.URL.Path, "status": w.status, "bytes": w.sent,
		"seconds": d.Seconds(), "broken_off": broken,
	}
	extra := ""
	if v := r.Header.Get("Range"); v != "" {
		m["range"] = v
		extra += ", " + v
	}
	if broken {
		extra += ", broken off"
	}
	s.p.result(m, "%s %s %q: %d, %d bytes in %.2f s%s\n", r.RemoteAddr, r.Method, r.URL.Path, w.status, w.sent, d.Seconds(), extra)
}

// faultyWriter sends a body as the faults will have it.
type faultyWriter struct {
	http.ResponseWriter
	ctx    context.Context
	f      imageFaults
	size   int64 // of the file
	status int
	sent   int64
}

// say notes a status and returns it.
func (w *faultyWriter) say(status int) int {
	w.status = status
	return status
}

// WriteHeader sends the status.
func (w *faultyWriter) WriteHeader(status int) { w.ResponseWriter.WriteHeader(w.say(status)) }

// Write sends a piece of the body, as far as it gets.
func (w *faultyWriter) Write(p []byte) (n int, err error) {
	for n < len(p) {
		k := len(p) - n
		if w.f.rate > 0 {
			k = min(k, max(1, w.f.rate/20))
		}
		if at, do := w.next(); do != nil {
			if w.sent >= at {
				do()
			}
			k = min(k, int(at-w.sent))
		}
		if w.f.rate > 0 { // not behind the last piece: who has it all may hang up
			w.pause(time.Duration(k) * time.Second / time.Duration(w.f.rate))
		}
		k, err = w.ResponseWriter.Write(p[n : n+k])
		n += k
		w.sent += int64(k)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// next is the first place at which the body is broken off, and how.
func (w *faultyWriter) next() (at int64, do func()) {
	for _, b := range []struct {
		at int
		do func()
	}{
		{w.f.truncate, func() { w.flush(); panic(http.ErrAbortHandler) }},
		{w.f.reset, w.reset},
		{w.f.stall, func() { w.flush(); <-w.ctx.Done(); panic(http.ErrAbortHandler) }},
	} {
		place := int64(b.at)
		switch b.at {
		case nowhere:
			continue
		case half:
			place = w.size / 2
		}
		if do == nil || place < at {
			at, do = place, b.do
		}
	}
	return at, do
}

func (w *faultyWriter) flush() { http.NewResponseController(w.ResponseWriter).Flush() }

// reset ends the connection with a RST.
func (w *faultyWriter) reset() {
	w.flush()
	c, _, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		if t, ok := c.(*net.TCPConn); ok {
			t.SetLinger(0)
		}
		c.Close()
	}
	panic(http.ErrAbortHandler)
}

// pause waits; what was written is on its way meanwhile.
func (w *faultyWriter) pause(d time.Duration) {
	w.flush()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-w.ctx.Done():
		panic(http.ErrAbortHandler)
	}
}

// wrongEnd flips the last bit of what it reads.
type wrongEnd struct {
	io.ReadSeeker
	last, at int64
}

func (r *wrongEnd) Read(p []byte) (int, error) {
	n, err := r.ReadSeeker.Read(p)
	if i := r.last - r.at; i >= 0 && i < int64(n) {
		p[i] ^= 1
	}
	r.at += int64(n)
	return n, err
}

func (r *wrongEnd) Seek(off int64, whence int) (int64, error) {
	at, err := r.ReadSeeker.Seek(off, whence)
	r.at = at
	return at, err
}
