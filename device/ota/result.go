package ota

import (
	"errors"
	"fmt"

	"github.com/understudy-net/understudy/bus/hif"
)

// Error is how a download ended that did not succeed.
type Error struct {
	Status hif.UpdateResult // what the host is told
	Err    error            // why
}

// Error says the status and why.
func (e *Error) Error() string { return fmt.Sprintf("%v: %v", e.Status, e.Err) }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// The statuses of spec driver-api 2.8, each with its reason.
func connError(err error) error   { return &Error{hif.UpdateConnError, err} }
func serverError(err error) error { return &Error{hif.UpdateServError, err} }

// Result returns what the host is told of err: that of an [Error], nil is success, and anything else a plain failure.
func Result(err error) hif.UpdateResult {
	var e *Error
	switch {
	case err == nil:
		return hif.UpdateOK
	case errors.As(err, &e):
		return e.Status
	}
	return hif.UpdateFailed
}

// Reasons that have no error of their own elsewhere.
var (
	errOffline   = errors.New("the station has no network, or no address in it")
	errAborted   = errors.New("aborted by the host")
	errNoAddress = errors.New("the name has no address")
	errConnect   = errors.New("no answer to the connection")
	errHandshake = errors.New("the TLS handshake takes too long")
	errResolve   = errors.New("no answer about the name")
	errStall     = errors.New("the server stalls")
	errSlow      = errors.New("the whole takes too long")
)
