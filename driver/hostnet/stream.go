package hostnet

import (
	"errors"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/sock"
)

// stream is a TCP socket of the driver in the form of sock.Stream. Guarded by
// the Net's lock.
type stream struct {
	n             *Net
	s             driver.Socket
	conn          *sock.Conn // nil until the connection stands
	local, remote netip.AddrPort
	protos        []string // that ALPN offers

	q    sock.Waiters // who dials
	done bool         // the request that q waits for was answered
	err  error        // with this

	in     ring
	posted bool  // a receive request is outstanding
	rerr   error // ends Read when in is empty; io.EOF

	flight  int  // sends without an answer
	full    bool // Write was refused for want of room in the window
	refused bool // Write was refused by the device
	werr    error
	told    bool // werr was returned by a call
}

var _ sock.Stream = (*stream)(nil)

func (st *stream) LocalAddr() netip.AddrPort  { return st.local }
func (st *stream) RemoteAddr() netip.AddrPort { return st.remote }

// Read takes what has come. The next receive request is out before the
// application asks, as long as there is room.
func (st *stream) Read(_ time.Time, p []byte) (int, error) {
	if st.in.n > 0 {
		k := st.in.pull(p, st.n.giveRing)
		st.post()
		return k, nil
	}
	if st.rerr == nil {
		st.post()
	}
	if st.rerr != nil {
		return 0, st.rerr
	}
	return 0, sock.ErrWouldBlock
}

// post asks the device for data if a whole message's worth fits.
func (st *stream) post() {
	size := min(st.n.limits.Send, st.n.cfg.ReadBuffer)
	if st.posted || st.rerr != nil || st.n.cfg.ReadBuffer-st.in.n < size {
		return
	}
	err := st.s.RecvHook(size, 0)
	switch {
	case err == nil:
		st.posted = true
	case errors.Is(err, driver.ErrBufferFull): // again with the next call or event
		st.n.refused(st.n.now())
	default:
		st.rerr = closedErr(err)
	}
}

// Write hands over as many pieces as the window and the device take. They are
// accepted then: their acknowledgement is not waited for.
func (st *stream) Write(now time.Time, p []byte) (done int, err error) {
	if st.werr != nil {
		st.told = true
		return 0, st.werr
	}
	st.full, st.refused = false, false
	for len(p) > 0 {
		if st.flight >= st.n.window() {
			st.full = true
			return done, sock.ErrWouldBlock
		}
		piece := p[:min(len(p), st.n.limits.Send)]
		err := st.s.Send(piece)
		if err == driver.ErrBufferFull {
			st.refused = true
			st.n.refused(now)
			return done, sock.ErrWouldBlock
		}
		if err != nil {
			st.werr, st.told = closedErr(err), true
			return done, st.werr
		}
		st.flight++
		done += len(piece)
		p = p[len(piece):]
	}
	return done, nil
}

// CloseWrite: the device has no half-close.
func (st *stream) CloseWrite(time.Time) error { return errors.ErrUnsupported }

// Close gives the socket back. The device still delivers what it accepted. The
// error is that of a send that failed and was not told yet.
func (st *stream) Close(time.Time) error {
	st.in.drop(st.n.giveRing)
	err := st.n.release(st.s)
	switch {
	case st.werr != nil && !st.told:
		return st.werr
	case errors.Is(err, driver.ErrClosed):
		return nil // the driver gave it back before us
	}
	return err
}

func (st *stream) event(now time.Time, ev driver.Event) {
	switch ev.Kind {
	case driver.KindBind, driver.KindConnect, driver.KindSecure:
		st.answer(ev.Err)
	case driver.KindRecv:
		st.received(ev)
	case driver.KindSend:
		st.sent(ev)
	case driver.KindLost:
		st.fail(now, ev.Err)
	}
}

// answer completes the call that dials.
func (st *stream) answer(err error) {
	st.done, st.err = true, err
	st.n.Wake(&st.q)
}

func (st *stream) received(ev driver.Event) {
	st.posted = false
	was := st.in.n
	switch {
	case ev.Err == nil:
		st.in.push(ev.Data, st.n.takeRing)
		st.post()
	case errors.Is(ev.Err, driver.ErrTimedOut):
		st.post()
	default:
		st.rerr = ev.Err
		if st.werr == nil && errors.Is(ev.Err, driver.ErrConnAborted) {
			st.werr = ev.Err
		}
	}
	if st.conn != nil && (was == 0 || st.rerr != nil) {
		st.conn.Ready(true, st.werr != nil)
	}
}

func (st *stream) sent(ev driver.Event) {
	st.flight--
	if ev.Err != nil && st.werr == nil {
		st.werr = ev.Err
	}
	// A writer that found the window full goes on when half of it is free, not
	// for every piece: a wake-up costs about as much as a piece.
	if st.conn != nil && (st.werr != nil || st.full && st.flight <= st.n.window()/2) {
		st.full = false
		st.conn.Ready(false, true)
	}
}

func (st *stream) retry() {
	st.post()
	if st.refused && st.conn != nil {
		st.refused = false
		st.conn.Ready(st.rerr != nil, true)
	}
}

func (st *stream) fail(_ time.Time, err error) {
	if st.rerr == nil {
		st.rerr = err
	}
	if st.werr == nil {
		st.werr = err
	}
	if !st.done {
		st.answer(err)
	}
	if st.conn != nil {
		st.conn.Ready(true, true)
	}
}
