package ota

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/device/flash"
	"github.com/understudy-net/understudy/device/image"
	"github.com/understudy-net/understudy/device/tls"
	"github.com/understudy-net/understudy/sock"
)

// The tests run an updater on a network that is played: servers are scripts of what comes and when. Time is virtual.

var epoch = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

var (
	errRefused = errors.New("refused")
	errReset   = errors.New("reset")
)

// step is something that a server does, some time after the one before.
type step struct {
	after time.Duration
	data  []byte
	fin   bool
	err   error // of the stream
}

func send(s string) step          { return step{data: []byte(s)} }
func sendBytes(b []byte) step     { return step{data: b} }
func fin() step                   { return step{fin: true} }
func reset() step                 { return step{err: errReset} }
func wait(d time.Duration) step   { return step{after: d} }
func hang() step                  { return step{after: 24 * time.Hour} }
func answer(parts ...step) []step { return append(parts, fin()) }

// server answers the n-th request, from 0, whose text it gets.
type server func(n int, request string) []step

// fake is the network.
type fake struct {
	t       *testing.T
	now     time.Time
	u       *Updater
	f       *flash.Flash
	up      bool
	names   map[string][]netip.Addr
	servers map[string]server // by "address:port"; none: refused
	silent  map[string]bool   // connections get no answer

	asked    string // name under way
	conn     *stream
	requests []string
	dials    int
	events   []Event
	shut     bool // windows of servers are zero
}

// stream is a connection.
type stream struct {
	n      *fake
	remote netip.AddrPort
	serve  server
	opened bool
	gone   bool // by us
	out    bytes.Buffer
	in     []byte
	fin    bool
	err    error
	steps  []step
	at     time.Time // of the next step
}

func (s *stream) Read(_ time.Time, p []byte) (int, error) {
	switch n := copy(p, s.in); {
	case n > 0:
		s.in = s.in[n:]
		return n, nil
	case s.err != nil:
		return 0, s.err
	case s.fin:
		return 0, io.EOF
	}
	return 0, sock.ErrWouldBlock
}

func (s *stream) Write(now time.Time, p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if s.n.shut {
		return 0, sock.ErrWouldBlock
	}
	n := min(len(p), 100) // requests come in pieces
	s.out.Write(p[:n])
	if text := s.out.String(); strings.HasSuffix(text, "\r\n\r\n") {
		s.n.requests = append(s.n.requests, text)
		s.steps = s.serve(len(s.n.requests)-1, text)
		s.schedule(now)
	}
	if n < len(p) {
		return n, sock.ErrWouldBlock
	}
	return n, nil
}

// schedule says when the next step is due: one frame takes a millisecond.
func (s *stream) schedule(now time.Time) {
	s.at = time.Time{}
	if len(s.steps) > 0 {
		s.at = now.Add(time.Millisecond + s.steps[0].after)
	}
}

func (s *stream) CloseWrite(time.Time) error { return nil }
func (s *stream) Close(time.Time) error      { s.gone = true; s.n.drop(s); return nil }
func (s *stream) Abort(time.Time) error      { s.gone = true; s.n.drop(s); return nil }
func (s *stream) LocalAddr() netip.AddrPort  { return netip.AddrPort{} }
func (s *stream) RemoteAddr() netip.AddrPort { return s.remote }

func (n *fake) drop(s *stream) {
	if n.conn == s {
		n.conn = nil
	}
}

func (n *fake) Online() bool { return n.up }

func (n *fake) Resolve(_ time.Time, name string) error {
	if n.asked != "" {
		n.t.Error("two look-ups at a time")
	}
	n.asked = name
	return nil
}

func (n *fake) CancelResolve(time.Time) { n.asked = "" }

func (n *fake) Dial(now time.Time, to netip.AddrPort) (Stream, error) {
	if n.conn != nil {
		n.t.Error("two connections at a time")
	}
	n.dials++
	s := &stream{n: n, remote: to, serve: n.servers[to.String()], at: now.Add(time.Millisecond)}
	if n.silent[to.String()] {
		s.at = time.Time{}
	}
	n.conn = s
	return s, nil
}

func (n *fake) TLS(time.Time) tls.Config { return tls.Config{Suites: tls.DefaultSuites} }

// step lets the next thing happen; false if nothing is left.
func (n *fake) step() bool {
	type due struct {
		at time.Time
		do func()
	}
	var next due
	consider := func(at time.Time, do func()) {
		if !at.IsZero() && (next.do == nil || at.Before(next.at)) {
			next = due{at, do}
		}
	}
	if n.asked != "" && n.asked != "silent.test" {
		consider(n.now.Add(time.Millisecond), func() {
			name := n.asked
			n.asked = ""
			var err error
			if n.names[name] == nil {
				err = errors.New("no such name")
			}
			n.u.Resolved(n.now, n.names[name], err)
		})
	}
	if s := n.conn; s != nil {
		consider(s.at, func() { n.play(s) })
		if s.opened && s.out.Len() > 0 && len(s.steps) == 0 && !strings.HasSuffix(s.out.String(), "\r\n\r\n") {
			consider(n.now.Add(time.Millisecond), func() { n.u.Ready(n.now) }) // room for more of the request
		}
	}
	consider(n.u.Deadline(), func() { n.u.Advance(n.now) })
	if next.do == nil {
		return false
	}
	if next.at.After(n.now) {
		n.now = next.at
	}
	next.do()
	n.collect()
	return true
}

func (n *fake) collect() {
	for e, ok := n.u.NextEvent(); ok; e, ok = n.u.NextEvent() {
		n.events = append(n.events, e)
	}
}

// play does the next step of a connection.
func (n *fake) play(s *stream) {
	if !s.opened {
		s.opened, s.at = true, time.Time{}
		var err error
		if s.serve == nil {
			err = errRefused
		}
		n.u.Connected(n.now, err)
		return
	}
	k := s.steps[0]
	s.steps = s.steps[1:]
	s.in = append(s.in, k.data...)
	s.fin, s.err = s.fin || k.fin, k.err
	s.schedule(n.now)
	n.u.Ready(n.now)
}

var serverAddr = netip.MustParseAddr("10.0.0.1")

// newFake makes a network with one server at http://server.test/, and an updater over a fresh flash whose firmware is 19.7.7.
func newFake(t *testing.T, s server) *fake {
	t.Helper()
	format := flash.Format{Version: 0x1330_1377}
	first, err := image.Build(image.Spec{Version: 0x1377})
	if err != nil {
		t.Fatal(err)
	}
	copy(format.Block[:], first[image.FileHeadLen+16:])
	base, err := format.Base()
	if err != nil {
		t.Fatal(err)
	}
	n := &fake{
		t: t, now: epoch, up: true, f: base.New(),
		names:   map[string][]netip.Addr{"server.test": {serverAddr}, "other.test": {netip.MustParseAddr("10.0.0.2")}},
		servers: map[string]server{}, silent: map[string]bool{},
	}
	if s != nil {
		n.servers["10.0.0.1:80"] = s
	}
	n.u = New(Config{Flash: n.f, Net: n, Chip: chip})
	return n
}

const (
	chip     = 0x1003a0
	imageURL = "http://server.test/new.img"
)

// update runs one to its end and returns its status.
func (n *fake) update(u string) Event {
	n.t.Helper()
	n.u.Update(n.now, Request{URL: u})
	n.collect()
	return n.end()
}

// end runs until the updater rests, and returns the one event that came.
func (n *fake) end() Event {
	n.t.Helper()
	for i := 0; n.u.Busy(); i++ {
		if i == 200_000 || !n.step() {
			n.t.Fatalf("no end: %+v", n.u.State())
		}
	}
	if len(n.events) != 1 {
		n.t.Fatalf("%d events: %+v", len(n.events), n.events)
	}
	e := n.events[0]
	n.events = nil
	if n.conn != nil || n.asked != "" {
		n.t.Error("a connection or a look-up outlives the job")
	}
	return e
}

// build makes an update file.
func build(t testing.TB, v image.Version, size int) []byte {
	t.Helper()
	b, err := image.Build(image.Spec{Version: v, Chip: chip, Size: size})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ok is an answer with a length, in frames.
func ok(body []byte) []step {
	return answer(append([]step{send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body)))}, frames(body)...)...)
}

func frames(body []byte) (s []step) {
	for len(body) > 0 {
		n := min(len(body), 1460)
		s, body = append(s, sendBytes(body[:n])), body[n:]
	}
	return s
}

var loopback = netip.MustParseAddr("127.0.0.1")

func bufioReader(text string) *bufio.Reader { return bufio.NewReader(strings.NewReader(text)) }
