package driver

import "strconv"

// Status is a refusal of a call: the status codes 1 to 15 of the document
// (spec/driver-api.md 1.6), as errors. Success (0) is a nil error.
type Status uint8

// The statuses, with the values of the C driver.
const (
	ErrNotOpen      Status = 1  // the client is closed
	ErrInvalid      Status = 2  // bad handle or argument
	ErrScanBusy     Status = 3  // a scan runs
	ErrNoBSS        Status = 4  // no scan result is cached
	ErrScanEnd      Status = 5  // no further scan result
	ErrConnect      Status = 6  // a connect or address request could not be sent
	ErrDisconnect   Status = 7  // the disconnect request could not be sent
	ErrRequest      Status = 8  // wrong state, or the device refused the request
	ErrContext      Status = 9  // the BSS does not validate
	ErrRetry        Status = 10 // not known yet, the device was asked
	ErrNoSpace      Status = 11 // a store is full
	ErrNoEthBuf     Status = 12 // bypass mode only
	ErrLock         Status = 13 // the host-file lock could not be taken
	ErrNotConnected Status = 14 // the association is gone
	ErrUnsupported  Status = 15 // not supported in this mode, or by this version
)

var statusText = [...]string{
	ErrNotOpen:      "NOT_OPEN: the client is closed; call Driver.Open",
	ErrInvalid:      "INVALID_ARG: a bad handle or argument",
	ErrScanBusy:     "SCAN_IN_PROGRESS: wait for the scan's callback",
	ErrNoBSS:        "NO_BSS_INFO: no scan result is cached; call Scan first",
	ErrScanEnd:      "BSS_FIND_END: no further scan result",
	ErrConnect:      "CONNECT_FAIL: the connect request could not be sent",
	ErrDisconnect:   "DISCONNECT_FAIL: the disconnect request could not be sent",
	ErrRequest:      "REQUEST_ERROR: wrong state, or the device refused the request",
	ErrContext:      "INVALID_CONTEXT: the BSS does not validate; see BSS.Valid",
	ErrRetry:        "RETRY_REQUEST: the device was asked; wait for the callback or call again",
	ErrNoSpace:      "NO_SPACE: the store is full",
	ErrNoEthBuf:     "NO_ETH_BUFFER: no receive buffer was given",
	ErrLock:         "RESOURCE_LOCK_ERROR: the lock could not be taken",
	ErrNotConnected: "NOT_CONNECTED: the association is gone",
	ErrUnsupported:  "OPERATION_NOT_SUPPORTED",
}

// Error begins with the name that the document gives to the status.
func (s Status) Error() string {
	if int(s) < len(statusText) && statusText[s] != "" {
		return "driver: " + statusText[s]
	}
	return "driver: status(" + strconv.Itoa(int(s)) + ")"
}

// requestError is a finer ErrRequest.
type requestError struct{ text string }

func (e *requestError) Error() string        { return "driver: REQUEST_ERROR: " + e.text }
func (e *requestError) Is(target error) bool { return target == error(ErrRequest) }

// Finer forms of ErrRequest; errors.Is(err, ErrRequest) is true for each
// (spec/driver-api.md 4.2).
var (
	// ErrConnected: must be done before connecting; disconnect first.
	ErrConnected error = &requestError{"must be done before connecting; disconnect first"}
	// ErrBusy: the device is at work on a request of the same kind.
	ErrBusy error = &requestError{"a request of this kind is still running"}
	// ErrMode: not possible in the present mode.
	ErrMode error = &requestError{"not possible in this mode"}
	// ErrBus: the device did not take the message, or the bus failed.
	ErrBus error = &requestError{"the device did not take the message"}
)

// plainError is a sentinel without a status code.
type plainError string

func (e plainError) Error() string { return "driver: " + string(e) }

// Conditions that the C driver has no status for.
const (
	// ErrNotReady: start-up is not finished, or it failed; then the cause is
	// wrapped beside it.
	ErrNotReady plainError = "not ready: start-up is not finished; run Tasks or Run, or Restart after a failure"
	// ErrClosed: the driver was closed, or the socket was: its id may be
	// another socket's by now. driver/hostnet turns it into net.ErrClosed.
	ErrClosed plainError = "closed"
	// ErrDeviceNotFound: no chip of the family answers on the bus (extended
	// status -11).
	ErrDeviceNotFound plainError = "DEVICE_NOT_FOUND: no chip of the family answers; check wiring, power and chip select"
	// ErrDeviceFailure: the chip was found but did not start, or stopped
	// answering later (extended status -12).
	ErrDeviceFailure plainError = "DEVICE_FAILURE: the chip does not start or stopped answering; Restart the driver"
	// ErrVersion: firmware and driver do not fit (part of a device failure).
	ErrVersion plainError = "firmware and driver versions do not fit"
	// ErrUnreachable and ErrEchoTimeout are the verdicts 1 and 2 of an echo
	// request.
	ErrUnreachable plainError = "destination unreachable"
	ErrEchoTimeout plainError = "echo request timed out"
)

// Timeout reports whether the error is a time-out.
func (e plainError) Timeout() bool { return e == ErrEchoTimeout }
