package driver

import (
	"os"
	"strconv"
	"syscall"
)

// SockErr is an error code of the socket layer, with the values of the
// document (spec/driver-api.md 3.3): from a call, when the request was refused
// here and no event will come, or in a message, as the device's verdict.
type SockErr int8

// The socket errors.
const (
	ErrSockAddress  SockErr = -1  // INVALID_ADDRESS
	ErrAddrInUse    SockErr = -2  // ADDR_ALREADY_IN_USE; matches syscall.EADDRINUSE
	ErrMaxTCP       SockErr = -3  // MAX_TCP_SOCK; matches syscall.EMFILE
	ErrMaxUDP       SockErr = -4  // MAX_UDP_SOCK; matches syscall.EMFILE
	ErrSockArg      SockErr = -6  // INVALID_ARG: from the call itself
	ErrMaxListen    SockErr = -7  // MAX_LISTEN_SOCK
	ErrSockInvalid  SockErr = -9  // INVALID: not allowed in this state
	ErrAddrRequired SockErr = -11 // ADDR_IS_REQUIRED
	ErrConnAborted  SockErr = -12 // CONN_ABORTED; matches syscall.ECONNRESET
	ErrTimedOut     SockErr = -13 // TIMEOUT; matches os.ErrDeadlineExceeded
	ErrBufferFull   SockErr = -14 // BUFFER_FULL: try again after the next event
	sockErrNone     SockErr = 0
)

func (e SockErr) String() string {
	switch e {
	case sockErrNone:
		return "NO_ERROR"
	case ErrSockAddress:
		return "INVALID_ADDRESS"
	case ErrAddrInUse:
		return "ADDR_ALREADY_IN_USE"
	case ErrMaxTCP:
		return "MAX_TCP_SOCK"
	case ErrMaxUDP:
		return "MAX_UDP_SOCK"
	case ErrSockArg:
		return "INVALID_ARG"
	case ErrMaxListen:
		return "MAX_LISTEN_SOCK"
	case ErrSockInvalid:
		return "INVALID"
	case ErrAddrRequired:
		return "ADDR_IS_REQUIRED"
	case ErrConnAborted:
		return "CONN_ABORTED"
	case ErrTimedOut:
		return "TIMEOUT"
	case ErrBufferFull:
		return "BUFFER_FULL"
	}
	return "sockerr(" + strconv.Itoa(int(e)) + ")"
}

// Error is the name of the code with its number.
func (e SockErr) Error() string {
	return "socket: " + e.String() + " (" + strconv.Itoa(int(e)) + ")"
}

// Timeout reports whether time ran out (-13).
func (e SockErr) Timeout() bool { return e == ErrTimedOut }

// Is matches the errors of the standard library that say the same.
func (e SockErr) Is(target error) bool {
	switch target {
	case os.ErrDeadlineExceeded:
		return e == ErrTimedOut
	case syscall.ECONNRESET:
		return e == ErrConnAborted
	case syscall.EADDRINUSE:
		return e == ErrAddrInUse
	case syscall.EMFILE:
		return e == ErrMaxTCP || e == ErrMaxUDP
	}
	return false
}

// refused is CONN_ABORTED as the verdict of a connect, where it means that the
// peer refused: it matches ECONNREFUSED besides what the plain code matches.
type refused struct{}

func (refused) Error() string        { return ErrConnAborted.Error() }
func (refused) Unwrap() error        { return ErrConnAborted }
func (refused) Is(target error) bool { return target == error(syscall.ECONNREFUSED) }

// sockErr makes an error of a code in a device's message; a code that is not
// negative is no error.
func sockErr(code int) error {
	switch {
	case code >= 0:
		return nil
	case code < -128:
		return ErrSockInvalid
	}
	return SockErr(code)
}

// connectErr is sockErr for the verdict of a connect.
func connectErr(code int) error {
	if code == int(ErrConnAborted) {
		return refused{}
	}
	return sockErr(code)
}
