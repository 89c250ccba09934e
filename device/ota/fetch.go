package ota

import (
	"bufio"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/device/tls"
	"github.com/understudy-net/understudy/sock"
	"github.com/understudy-net/understudy/sock/co"
)

// Stream is a connection of a [Net].
type Stream interface {
	sock.Stream
	Abort(now time.Time) error // ends it at once
}

// Net is the network that an updater uses. All calls take effect before they return, and what they bring about is told to
// the updater later, never from inside of them.
type Net interface {
	// Online reports whether there is a link and an address.
	Online() bool
	// Resolve looks a name up. The result goes to Updater.Resolved, unless CancelResolve came before; one look-up runs at a time.
	Resolve(now time.Time, name string) error
	CancelResolve(now time.Time)
	// Dial connects. How that went goes to Updater.Connected, and later that the stream can go on to Updater.Ready. After Close or
	// Abort there is no news of it.
	Dial(now time.Time, to netip.AddrPort) (Stream, error)
	// TLS is how a TLS connection is to be. The fetcher sets who is trusted how, and the name.
	TLS(now time.Time) tls.Config
}

// sink is where a file goes.
type sink interface {
	// begin is told that the file comes from its beginning, of n bytes, -1: not known. It comes again when a download starts over.
	begin(n int64) error
	Write(p []byte) error
	// finish is told that all of it has come.
	finish() error
}

// Phase is what a download does.
type Phase uint8

// The phases.
const (
	Idle       Phase = iota
	Resolving        // the name of the server
	Connecting       //
	Securing         // the TLS handshake
	Asking           // the request was sent; the head of the answer has not come
	Receiving        //
	Pausing          // the connection was lost; soon the next one asks for the rest
)

// String prints the phase in a word.
func (p Phase) String() string {
	names := [...]string{"idle", "resolving", "connecting", "securing", "asking", "receiving", "pausing"}
	if int(p) < len(names) {
		return names[p]
	}
	return "phase(" + strconv.Itoa(int(p)) + ")"
}

// Bounds of a download.
const (
	maxRedirects = 5
	maxAddresses = 4               // of a name, that are tried
	maxBarren    = 3               // tries in a row to go on that bring no further byte
	maxResumes   = 16              // tries to go on at all
	firstPause   = 1 * time.Second // before the first of them; then twice as long each time
)

// fetcher gets a file: name, connection, request, answer, and again behind redirects and losses. It is a machine: at most
// one connection, a deadline, and an end that finished reports once.
type fetcher struct {
	c   Config
	net Net

	phase  Phase
	asked  Request
	target target
	to     sink

	limit   time.Time // of the phase
	overall time.Time // of all
	heard   time.Time // when the server last said something

	addrs   []netip.Addr // still to try
	failure error        // why the one before did not work
	stream  Stream
	session *tls.Session // nil without TLS
	conn    *co.Conn     // the exchange
	in      *bufio.Reader
	buf     []byte

	offset    int64  // bytes of the file that went into the sink
	total     int64  // bytes of the file, -1: not known
	validator string // for If-Range
	broken    error  // how the stream ended

	redirects, resumes, barren int
	mark                       int64 // how far any connection has come

	over bool  // the end was not fetched yet
	err  error // how it was
}

// start begins a download.
func (f *fetcher) start(now time.Time, r Request, to sink) {
	*f = fetcher{c: f.c, net: f.net, asked: r, to: to, total: -1, overall: now.Add(f.c.Overall)}
	t, err := parseTarget(r.URL)
	if err != nil {
		f.end(now, &Error{hif.UpdateInvalidArg, err})
		return
	}
	f.target = t
	f.in, f.buf = bufio.NewReaderSize(nil, maxHead), make([]byte, bodyBuffer)
	f.open(now)
}

// finished reports the end of the download, once.
func (f *fetcher) finished() (error, bool) {
	was := f.over
	f.over = false
	return f.err, was
}

// end is the end, good or bad. Buffers and connection are given back.
func (f *fetcher) end(now time.Time, err error) {
	f.hangUp(now, err == nil)
	f.phase, f.limit, f.overall = Idle, time.Time{}, time.Time{}
	f.in, f.buf, f.addrs = nil, nil, nil
	f.err, f.over = err, true
}

// hangUp ends what is under way: a look-up, a connection. After a whole file it says goodbye.
func (f *fetcher) hangUp(now time.Time, whole bool) {
	if f.phase == Resolving {
		f.net.CancelResolve(now)
	}
	if f.conn != nil {
		f.conn.Stop()
		f.conn = nil
	}
	if whole && f.session != nil {
		f.farewell(now)
	} else if whole && f.stream != nil {
		_ = f.stream.Close(now)
		f.stream = nil
	}
	if f.session != nil {
		f.session.Stop()
	}
	if f.stream != nil {
		_ = f.stream.Abort(now)
	}
	f.stream, f.session = nil, nil
}

// open begins a connection to the target.
func (f *fetcher) open(now time.Time) {
	if !f.net.Online() {
		f.end(now, connError(errOffline))
		return
	}
	if a, ok := f.target.addr(); ok {
		f.addrs = append(f.addrs[:0], a)
		f.dial(now)
		return
	}
	f.phase, f.limit = Resolving, now.Add(f.c.Resolve)
	if err := f.net.Resolve(now, f.target.host); err != nil {
		f.phase = Idle
		f.lose(now, fmt.Errorf("%s: %w", f.target.host, err))
	}
}

// resolved is the result of a look-up.
func (f *fetcher) resolved(now time.Time, addrs []netip.Addr, err error) {
	if f.phase != Resolving {
		return
	}
	f.phase, f.addrs = Connecting, append(f.addrs[:0], addrs[:min(len(addrs), maxAddresses)]...)
	if err == nil && len(addrs) == 0 {
		err = errNoAddress
	}
	if err != nil {
		f.lose(now, fmt.Errorf("%s: %w", f.target.host, err))
		return
	}
	f.dial(now)
}

// dial tries the next address.
func (f *fetcher) dial(now time.Time) {
	for len(f.addrs) > 0 {
		a := f.addrs[0]
		f.addrs = f.addrs[1:]
		if f.redirects > 0 && inward(a) {
			f.end(now, serverError(errInward)) // a name may hide what an address may not say
			return
		}
		s, err := f.net.Dial(now, netip.AddrPortFrom(a, f.target.port))
		if err == nil {
			f.stream, f.phase, f.limit = s, Connecting, now.Add(f.c.Connect)
			return
		}
		f.failure = fmt.Errorf("%v: %w", a, err)
	}
	f.lose(now, f.failure)
}

// connected is how a connection went.
func (f *fetcher) connected(now time.Time, err error) {
	switch {
	case f.phase != Connecting || f.stream == nil:
	case err != nil:
		f.failure = fmt.Errorf("%v: %w", f.stream.RemoteAddr(), err)
		f.hangUp(now, false)
		f.dial(now)
	case f.target.secure:
		f.session = tls.Client(f.stream, now, f.security(now))
		f.phase, f.limit = Securing, now.Add(f.c.Connect)
		f.secured(now)
	default:
		f.converse(now, f.stream)
	}
}

// security is how the TLS connection is to be. The host's name for the server counts until a redirect leads to another.
func (f *fetcher) security(now time.Time) tls.Config {
	c := f.net.TLS(now)
	c.ServerName = f.target.host
	if f.asked.SNI != "" && f.redirects == 0 {
		c.ServerName = f.asked.SNI
	}
	c.Bypass = f.asked.Flags&hif.TLSBypassX509 != 0
	c.CheckName = f.asked.Flags&hif.TLSCheckSNI != 0
	return c
}

// secured looks how the handshake stands.
func (f *fetcher) secured(now time.Time) {
	switch up, err := f.session.State(); {
	case err != nil:
		f.farewell(now)
		f.lose(now, err)
	case up:
		f.converse(now, f.session)
	}
}

// farewell says goodbye to a TLS server, or what is wrong with it. A stream that takes it all has closed then.
func (f *fetcher) farewell(now time.Time) {
	_ = f.session.Close(now)
	if f.session.Pending() == 0 {
		f.session, f.stream = nil, nil
	}
}

// converse asks, over a stream that is ready.
func (f *fetcher) converse(now time.Time, s sock.Stream) {
	f.phase, f.limit, f.heard = Asking, now.Add(f.c.Stall), now
	f.conn = co.Go(s, now, f.exchange)
	f.went(now)
}

// ready is told that the stream can go on.
func (f *fetcher) ready(now time.Time) {
	switch f.phase {
	case Securing:
		f.session.Ready(now)
		f.secured(now)
	case Asking, Receiving:
		if f.session != nil {
			f.session.Ready(now)
		}
		f.conn.Resume(now)
		f.went(now)
	}
}

// went looks how the exchange stands. The head has a time limit of its own, which a slow drip of bytes does not move [H-09].
func (f *fetcher) went(now time.Time) {
	if !f.conn.Done() {
		if f.phase == Receiving {
			f.limit = f.heard.Add(f.c.Stall)
		}
		return
	}
	err := f.conn.Err()
	var m moved
	var l lost
	switch {
	case err == nil:
		f.end(now, nil)
	case errors.As(err, &m):
		f.follow(now, m.to)
	case errors.As(err, &l):
		f.lose(now, err)
	default:
		f.end(now, err)
	}
}

// follow goes where a redirect leads.
func (f *fetcher) follow(now time.Time, to target) {
	f.hangUp(now, false)
	f.redirects++
	if f.redirects > maxRedirects {
		f.end(now, serverError(fmt.Errorf("more than %d redirects", maxRedirects)))
		return
	}
	f.target = to
	f.open(now)
}

// lose is a connection that ended, stalled or could not be made. If a part of the file has come it is worth another try.
func (f *fetcher) lose(now time.Time, err error) {
	f.hangUp(now, false)
	f.barren++
	if f.offset > f.mark {
		f.mark, f.barren = f.offset, 0
	}
	if f.offset == 0 || f.barren >= maxBarren || f.resumes >= maxResumes {
		f.end(now, connError(err))
		return
	}
	f.resumes++
	f.phase, f.limit = Pausing, now.Add(firstPause<<f.barren)
}

// offline is told that link or address are gone.
func (f *fetcher) offline(now time.Time) {
	if f.phase != Idle {
		f.end(now, connError(errOffline))
	}
}

// advance does what is due.
func (f *fetcher) advance(now time.Time) {
	switch {
	case f.phase == Idle:
	case due(f.overall, now):
		f.end(now, connError(errSlow))
	case due(f.limit, now):
		f.late(now)
	}
}

// late is the end of a phase's time.
func (f *fetcher) late(now time.Time) {
	switch f.phase {
	case Resolving:
		f.lose(now, fmt.Errorf("%s: %w", f.target.host, errResolve))
	case Connecting:
		f.connected(now, errConnect)
	case Securing:
		f.lose(now, errHandshake)
	case Asking, Receiving:
		f.lose(now, errStall)
	case Pausing:
		f.open(now)
	}
}

// deadline is when advance is needed.
func (f *fetcher) deadline() time.Time {
	if f.phase == Idle || f.overall.Before(f.limit) {
		return f.overall
	}
	return f.limit
}

// due reports whether the deadline t has come.
func due(t, now time.Time) bool { return !t.IsZero() && !t.After(now) }
