package stack

import (
	"errors"
	"net"
	"syscall"

	"github.com/understudy-net/understudy/sock"
	"github.com/understudy-net/understudy/stack/tcp"
)

// netError is an error of a socket with the number that other systems give it, so that errors.Is
// finds both.
type netError struct {
	text  string
	errno error
}

func (e *netError) Error() string { return e.text }
func (e *netError) Unwrap() error { return e.errno }

// Timeout and Temporary make it a net.Error.
func (e *netError) Timeout() bool   { return e.errno == syscall.ETIMEDOUT }
func (e *netError) Temporary() bool { return e.Timeout() }

// Is makes a timeout of the stack count as os.ErrDeadlineExceeded does not: only the same error
// matches.
func (e *netError) Is(target error) bool { return target == error(e) }

// What calls and events report. Those with an equivalent wrap it: errors.Is(err,
// syscall.ECONNREFUSED) holds for ErrRefused. A call that would have to wait returns
// [sock.ErrWouldBlock].
var (
	ErrClosed       = net.ErrClosed // the handle was closed
	ErrRefused      = error(&netError{"connection refused", syscall.ECONNREFUSED})
	ErrReset        = error(&netError{"connection reset by peer", syscall.ECONNRESET})
	ErrAborted      = error(&netError{"connection aborted", syscall.ECONNABORTED})
	ErrTimeout      = error(&netError{"timed out: no answer from the peer", syscall.ETIMEDOUT})
	ErrUnreachable  = error(&netError{"unreachable: no way to the destination", syscall.EHOSTUNREACH})
	ErrPort         = error(&netError{"port unreachable: nothing listens there", syscall.ECONNREFUSED})
	ErrAddrInUse    = error(&netError{"address already in use", syscall.EADDRINUSE})
	ErrNoAddress    = error(&netError{"no address yet: use SetAddr or UseDHCP first", syscall.EADDRNOTAVAIL})
	ErrBadAddress   = error(&netError{"not an address for this: want IPv4 unicast and a port", syscall.EINVAL})
	ErrNoBuffers    = error(&netError{"limit reached: close sockets or raise the limit in Config", syscall.ENOBUFS})
	ErrPipe         = error(&netError{"write after close", syscall.EPIPE})
	ErrMessageSize  = error(&netError{"message too long", syscall.EMSGSIZE})
	ErrNotConnected = error(&netError{"not connected", syscall.ENOTCONN})
	ErrTTLExceeded  = errors.New("time to live exceeded in transit")
)

// errWouldBlock is short for what non-blocking calls return.
var errWouldBlock = sock.ErrWouldBlock

// causeError turns the cause of a connection's death into an error; nil after an orderly end.
func causeError(c tcp.Cause) error {
	switch c {
	case tcp.CauseReset:
		return ErrReset
	case tcp.CauseRefused:
		return ErrRefused
	case tcp.CauseTimeout:
		return ErrTimeout
	case tcp.CauseAborted:
		return ErrAborted
	case tcp.CauseUnreachable:
		return ErrUnreachable
	}
	return nil
}
