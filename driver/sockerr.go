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
)

// sockErrText has the name of each code and what it means.
var sockErrText = [...]struct{ name, hint string }{
	0:                {"NO_ERROR", ""},
	-ErrSockAddress:  {"INVALID_ADDRESS", "no possible address, or not our own"},
	-ErrAddrInUse:    {"ADDR_ALREADY_IN_USE", "another socket has the port"},
	-ErrMaxTCP:       {"MAX_TCP_SOCK", "all TCP sockets are in use; close one"},
	-ErrMaxUDP:       {"MAX_UDP_SOCK", "all UDP sockets are in use; close one"},
	-ErrSockArg:      {"INVALID_ARG", "bad socket or argument"},
	-ErrMaxListen:    {"MAX_LISTEN_SOCK", "too many listeners"},
	-ErrSockInvalid:  {"INVALID", "not possible in this state"},
	-ErrAddrRequired: {"ADDR_IS_REQUIRED", "no destination was given yet"},
	-ErrConnAborted:  {"CONN_ABORTED", "connection reset, or the link was lost"},
	-ErrTimedOut:     {"TIMEOUT", "no answer in time"},
	-ErrBufferFull:   {"BUFFER_FULL", "the device has no buffer; try again after the next message"},
}

// String is the name of the code, or its number.
func (e SockErr) String() string {
	if i := -int(e); i >= 0 && i < len(sockErrText) && sockErrText[i].name != "" {
		return sockErrText[i].name
	}
	return "sockerr(" + strconv.Itoa(int(e)) + ")"
}

// Error is the name of the code with its number and what it means.
func (e SockErr) Error() string {
	s := "socket: " + e.String() + " (" + strconv.Itoa(int(e)) + ")"
	if i := -int(e); i > 0 && i < len(sockErrText) && sockErrText[i].hint != "" {
		s += ": " + sockErrText[i].hint
	}
	return s
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

func (refused) Error() string {
	return "socket: CONN_ABORTED (-12): connection refused, or nobody there"
}
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
