package sock_test

import (
	"context"
	"io"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/sock"
	"github.com/understudy-net/understudy/world"
)

// pipe is one direction between two ends: a bounded buffer.
type pipe struct {
	buf  []byte
	eof  bool // the writer has finished
	gone bool // the reader has closed
}

// end is a Stream: one end of two pipes.
type end struct {
	in, out *pipe
	other   *end
	peer    *sock.Conn // of the other end, once there is one
	port    uint16
}

const pipeSize = 4096

func (e *end) Read(_ time.Time, p []byte) (int, error) {
	switch {
	case len(e.in.buf) > 0:
		n := copy(p, e.in.buf)
		e.in.buf = append(e.in.buf[:0], e.in.buf[n:]...)
		e.ready(false, true)
		return n, nil
	case e.in.eof:
		return 0, io.EOF
	}
	return 0, sock.ErrWouldBlock
}

func (e *end) Write(_ time.Time, p []byte) (int, error) {
	if e.out.gone || e.out.eof {
		return 0, io.ErrClosedPipe
	}
	n := min(len(p), pipeSize-len(e.out.buf))
	if n == 0 {
		return 0, sock.ErrWouldBlock
	}
	e.out.buf = append(e.out.buf, p[:n]...)
	e.ready(true, false)
	return n, nil
}

func (e *end) CloseWrite(time.Time) error {
	e.out.eof = true
	e.ready(true, false)
	return nil
}

func (e *end) Close(now time.Time) error {
	e.in.gone = true
	e.CloseWrite(now)
	e.ready(true, true)
	return nil
}

func (e *end) ready(readable, writable bool) {
	if e.peer != nil {
		e.peer.Ready(readable, writable)
	}
}

func (e *end) LocalAddr() netip.AddrPort  { return addr(e.port) }
func (e *end) RemoteAddr() netip.AddrPort { return addr(3 - e.port) }

func addr(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, 1}), port)
}

// newPair makes two connected conns.
func newPair(o sock.Owner) (*sock.Conn, *sock.Conn) {
	c1, e2 := newEnds(o)
	c2 := sock.NewConn(o, e2)
	e2.self(c2)
	return c1, c2
}

// newEnds makes a conn, and the stream at its other end, which becomes a conn
// by self.
func newEnds(o sock.Owner) (*sock.Conn, *end) {
	var a, b pipe
	e1, e2 := &end{in: &a, out: &b, port: 1}, &end{in: &b, out: &a, port: 2}
	c1 := sock.NewConn(o, e1)
	e1.other, e2.other, e2.peer = e2, e1, c1
	return c1, e2
}

// self says which conn was made of e.
func (e *end) self(c *sock.Conn) { e.other.peer = c }

// running returns a wall world that runs until stop.
func running() (w *world.World, stop func()) {
	w = world.New()
	ctx, cancel := context.WithCancel(context.Background())
	end := make(chan error)
	go func() { end <- w.Run(ctx) }()
	return w, func() { cancel(); <-end }
}
