package stack

import (
	"io"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/stack/tcp"
)

// Read takes up to len(p) bytes that arrived. It returns io.EOF behind the peer's FIN, the error
// that ended the connection once all before it was read, and sock.ErrWouldBlock when there is
// nothing yet.
func (c TCP) Read(now time.Time, p []byte) (int, error) {
	k, err := c.sock()
	if err != nil {
		return 0, err
	}
	n := k.conn.Read(p)
	switch {
	case n > 0:
		if k.conn.Wants() {
			c.s.afterTCP(now, c.s.at(now), k, 0) // a window update
			c.s.touch()
		}
		return n, nil
	case k.conn.AtEOF():
		return 0, io.EOF
	case k.conn.State() == tcp.StateClosed:
		if err := causeError(k.conn.Cause()); err != nil {
			return 0, err
		}
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	return 0, errWouldBlock
}

// Write takes as much of p as the send buffer has room for, and sends what the windows allow. If
// that is less than all of p it returns sock.ErrWouldBlock with the number, and the event Writable
// follows when there is room again.
func (c TCP) Write(now time.Time, p []byte) (int, error) {
	k, err := c.sock()
	if err != nil {
		return 0, err
	}
	if !k.conn.CanWrite() {
		if err := causeError(k.conn.Cause()); err != nil {
			return 0, err
		}
		return 0, ErrPipe
	}
	t := c.s.at(now)
	n := k.conn.Write(t, p)
	if n > 0 {
		c.s.afterTCP(now, t, k, 0)
		c.s.touch()
	}
	if n < len(p) {
		return n, errWouldBlock
	}
	return n, nil
}

// CloseWrite says that nothing more will be written: the peer reads io.EOF behind what was. Reading
// goes on.
func (c TCP) CloseWrite(now time.Time) error {
	k, err := c.sock()
	if err != nil {
		return err
	}
	if err := causeError(k.conn.Cause()); err != nil {
		return err
	}
	t := c.s.at(now)
	k.conn.CloseWrite(t)
	c.s.afterTCP(now, t, k, 0)
	c.s.touch()
	return nil
}

// Close gives the connection up. What was written is still sent, and FIN after it; data that were
// received and not read, or arrive from now on, reset the connection (RFC 9293, 3.6.1). The handle
// is stale at once, and no more events come.
func (c TCP) Close(now time.Time) error {
	k, err := c.sock()
	if err != nil {
		return err
	}
	t := c.s.at(now)
	c.s.orphan(k)
	c.s.afterTCP(now, t, k, k.conn.Close(t))
	c.s.touch()
	return nil
}

// Abort resets the connection and closes it: what was written and not acknowledged is lost.
func (c TCP) Abort(now time.Time) error {
	k, err := c.sock()
	if err != nil {
		return err
	}
	c.s.abort(now, k)
	c.s.touch()
	return nil
}

// LocalAddr returns our end; the zero AddrPort if the handle is stale.
func (c TCP) LocalAddr() netip.AddrPort {
	k, err := c.sock()
	if err != nil {
		return netip.AddrPort{}
	}
	return k.key.local.addrPort()
}

// RemoteAddr returns the peer's end; the zero AddrPort if the handle is stale.
func (c TCP) RemoteAddr() netip.AddrPort {
	k, err := c.sock()
	if err != nil {
		return netip.AddrPort{}
	}
	return k.key.remote.addrPort()
}

// Buffered returns the bytes that wait to be read, and those that wait to be acknowledged.
func (c TCP) Buffered() (in, out int) {
	k, err := c.sock()
	if err != nil {
		return 0, 0
	}
	return k.conn.Buffered()
}

// Room returns how many bytes Write would take now.
func (c TCP) Room() int {
	k, err := c.sock()
	if err != nil {
		return 0
	}
	return k.conn.Room()
}

// State returns the state of the connection; CLOSED if the handle is stale.
func (c TCP) State() tcp.State {
	k, err := c.sock()
	if err != nil {
		return tcp.StateClosed
	}
	return k.conn.State()
}

// Err returns what ended the connection; nil while it lives and after an orderly end.
func (c TCP) Err() error {
	k, err := c.sock()
	if err != nil {
		return err
	}
	return causeError(k.conn.Cause())
}

// Info returns a look at the connection; the zero Info if the handle is stale.
func (c TCP) Info() tcp.Info {
	k, err := c.sock()
	if err != nil {
		return tcp.Info{}
	}
	return k.conn.Info()
}
