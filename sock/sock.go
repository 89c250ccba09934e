package sock

import (
	"errors"
	"net/netip"
	"time"
)

// ErrWouldBlock is what a non-blocking socket says instead of waiting.
var ErrWouldBlock = errors.New("operation would block")

// Stream is one end of a connection. All methods are called with the owner's
// lock held, take effect before they return, and never wait.
type Stream interface {
	// Read copies received bytes to p. io.EOF: the peer has finished and all
	// was read. ErrWouldBlock: nothing yet. An error lasts: callers that got
	// bytes with it will ask again.
	Read(now time.Time, p []byte) (int, error)
	// Write takes bytes from p. It may take fewer than all, together with
	// ErrWouldBlock or nil; what it took is not lost without an error later.
	Write(now time.Time, p []byte) (int, error)
	// CloseWrite says that no more bytes follow. errors.ErrUnsupported where
	// there is no such thing.
	CloseWrite(now time.Time) error
	// Close ends both directions. What was written is still delivered.
	Close(now time.Time) error
	// LocalAddr and RemoteAddr are not asked after Close.
	LocalAddr() netip.AddrPort
	RemoteAddr() netip.AddrPort
}

// Acceptor is a listening socket, under the rules of [Stream].
type Acceptor interface {
	// Accept returns the next connection; ErrWouldBlock: none yet.
	Accept(now time.Time) (Stream, error)
	Close(now time.Time) error
	Addr() netip.AddrPort
}

// Datagram is a datagram socket, under the rules of [Stream].
type Datagram interface {
	// ReadFrom copies the next datagram to p, cut to its size, and returns
	// its sender; ErrWouldBlock: none yet.
	ReadFrom(now time.Time, p []byte) (int, netip.AddrPort, error)
	// WriteTo sends one datagram, whole or not at all.
	WriteTo(now time.Time, p []byte, to netip.AddrPort) (int, error)
	Close(now time.Time) error
	LocalAddr() netip.AddrPort
}

// Owner has the lock under which sockets are called and parks those who wait.
// A world.World is one.
type Owner interface {
	// Lock takes the lock and returns the time on the owner's clock.
	Lock() time.Time
	Unlock()
	// Wait gives the lock back, parks the caller on q until Wake(q) or until
	// (zero: no limit), takes the lock again and returns the time. It may
	// return early: callers look again at what they waited for.
	// After the owner's end it returns at once.
	Wait(q *Waiters, until time.Time) time.Time
	// Wake ends the waiting of all who are parked on q, in the order in which
	// they came. The lock is held; it never blocks.
	Wake(q *Waiters)
	// Closed says that the owner has ended: nothing will ever be ready again.
	// The lock is held.
	Closed() bool
}
