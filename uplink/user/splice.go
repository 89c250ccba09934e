package user

import (
	"errors"
	"io"
	"net"
	"time"

	"github.com/understudy-net/understudy/sock"
)

// toHost copies what the device sends to the host. While the host's socket is full it waits there and reads no more, so
// the device finds the window closed: that is the back pressure.
func (f *tcpFlow) toHost() {
	for {
		b := getBuffer()
		n, err := f.readDevice(b)
		var failed error
		if n > 0 {
			_, failed = f.host.Write(b[:n])
		}
		putBuffer(b)
		switch {
		case failed != nil:
			// The host takes no more, but what it sent before may still be read: toDevice sees the end.
			f.finish()
			return
		case err == sock.ErrWouldBlock:
			select {
			case <-f.readable:
			case <-f.done:
				return
			}
		case err == io.EOF:
			closeWrite(f.host)
			f.finish()
			return
		case err != nil:
			f.fail()
			return
		}
	}
}

// readDevice reads what the device has sent.
func (f *tcpFlow) readDevice(b *buffer) (int, error) {
	u := f.u
	now := u.lock()
	defer u.unlock()
	if f.ended {
		return 0, net.ErrClosed
	}
	n, err := f.tcp.Read(now, b[:])
	u.stats.TCP.ToHost += uint64(n)
	return n, err
}

// closeWrite passes an end of data on to the host. What cannot be closed half is closed when the other half is.
func closeWrite(s stream) {
	if c, ok := s.(interface{ CloseWrite() error }); ok {
		c.CloseWrite()
	}
}

// toDevice copies what the host sends to the device, one buffer at a time. The stack takes it as the device's window
// opens, in the world's own goroutine; this one is woken when the whole buffer has been taken.
func (f *tcpFlow) toDevice() {
	r := newReceiver(f.host, false)
	for {
		b, n, err := r.receive()
		switch {
		case err == nil:
			if !f.deliver(b, n) {
				return
			}
		case errors.Is(err, io.EOF):
			f.closeDevice()
			return
		default:
			f.fail() // the host's reset becomes the device's
			return
		}
	}
}

// deliver hands n bytes of b to the stack and waits until it has taken them. It gives b back.
func (f *tcpFlow) deliver(b *buffer, n int) bool {
	u := f.u
	now := u.lock()
	if f.ended {
		u.unlock()
		putBuffer(b)
		return false
	}
	f.pending, f.from, f.to = b, 0, n
	f.push(now)
	left := f.pending != nil
	u.unlock()
	if !left {
		return true
	}
	select {
	case <-f.drained:
		return true
	case <-f.done:
		return false
	}
}

// push writes of pending what the stack takes now. The lock is held.
func (f *tcpFlow) push(now time.Time) {
	n, err := f.tcp.Write(now, f.pending[f.from:f.to])
	f.from += n
	f.u.stats.TCP.ToDevice += uint64(n)
	switch {
	case f.from == f.to:
		putBuffer(f.pending)
		f.pending = nil
	case err != nil && err != sock.ErrWouldBlock:
		f.abort(now)
	}
}

// closeDevice passes an end of data on to the device.
func (f *tcpFlow) closeDevice() {
	now := f.u.lock()
	if !f.ended {
		f.tcp.CloseWrite(now)
	}
	f.u.unlock()
	f.finish()
}

// finish ends one direction; the second one ends the flow.
func (f *tcpFlow) finish() {
	u := f.u
	now := u.lock()
	defer u.unlock()
	if f.ways--; f.ways > 0 || f.ended {
		return
	}
	f.end()
	u.stats.TCP.Finished++
	f.tcp.Close(now)
	u.retire(f.host)
}

// fail ends the flow after an error of either side.
func (f *tcpFlow) fail() {
	now := f.u.lock()
	f.abort(now)
	f.u.unlock()
}
