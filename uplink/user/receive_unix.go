//go:build unix

package user

import (
	"io"
	"syscall"
)

// A receiver reads from a socket of the host and takes a buffer only when there is something to read, so that a
// thousand idle flows hold none.
type receiver struct {
	c    io.Reader
	raw  syscall.RawConn // nil: c is no socket of the system
	try  func(fd uintptr) bool
	buf  *buffer
	n    int
	err  error
	zero bool // no bytes are no end: datagrams may be empty
}

func newReceiver(c io.Reader, datagrams bool) *receiver {
	r := &receiver{c: c, zero: datagrams}
	r.try = r.attempt // once: a method value made for each read would allocate
	if s, ok := c.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			r.raw = raw
		}
	}
	return r
}

// receive waits for bytes and returns them in a buffer, which the caller gives back. The buffer is nil only with an
// error; io.EOF says that the far end has finished.
func (r *receiver) receive() (*buffer, int, error) {
	if r.raw == nil {
		return receiveHolding(r.c)
	}
	if err := r.raw.Read(r.try); err != nil {
		return nil, 0, err // closed
	}
	b := r.buf
	r.buf = nil
	if r.err != nil {
		putBuffer(b)
		return nil, 0, r.err
	}
	if r.n == 0 && !r.zero {
		putBuffer(b)
		return nil, 0, io.EOF
	}
	return b, r.n, nil
}

// attempt reads once; false asks to be called again when the socket is readable.
func (r *receiver) attempt(fd uintptr) bool {
	b := getBuffer()
	for {
		r.n, r.err = syscall.Read(int(fd), b[:])
		if r.err != syscall.EINTR {
			break
		}
	}
	if r.err == syscall.EAGAIN {
		putBuffer(b)
		return false
	}
	r.buf = b
	return true
}
