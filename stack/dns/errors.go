package dns

import (
	"errors"
	"net/netip"

	"golang.org/x/net/dns/dnsmessage"
)

// Why a name was not resolved. Results wrap one of them in an [Error].
var (
	// ErrNotFound: the name does not exist (RCODE 3, NXDOMAIN).
	ErrNotFound = errors.New("no such host")
	// ErrNoData: the name exists, but has no IPv4 address (RFC 2308, 2.2).
	ErrNoData = errors.New("name has no IPv4 address")
	// ErrServerFailure: the servers could not answer (RCODE 2, and all that have no error of their own).
	ErrServerFailure = errors.New("server failure")
	// ErrRefused: the servers do not answer us (RCODE 5).
	ErrRefused = errors.New("server refused the query")
	// ErrTimeout: no server answered in time.
	ErrTimeout = errors.New("no server answered in time")
	// ErrBadAnswer: the answer matches the question, but its records are broken or its aliases go in a circle.
	ErrBadAnswer = errors.New("malformed answer")
	// ErrTruncated: the answer is too long for UDP, and TCP is not to be had.
	ErrTruncated = errors.New("answer needs TCP, which failed")
	// ErrNoServers: there is no server to ask; the network is not up, or offers none.
	ErrNoServers = errors.New("no DNS server is known")
	// ErrInvalidName: the name cannot be one of a host.
	ErrInvalidName = errors.New("invalid host name")
	// ErrBusy: too many names are being resolved, or questions wait for an answer; try again later.
	ErrBusy = errors.New("too many names are being resolved")
	// ErrCanceled: the resolver was stopped.
	ErrCanceled = errors.New("resolver stopped")
	// ErrNotQuery: what a client sent is too short for a query, or a response.
	ErrNotQuery = errors.New("not a DNS query")
)

// Error says which name was not resolved and why. Err is one of the package's variables.
type Error struct {
	Name   string
	Server netip.AddrPort // the last one asked; zero if none was
	Err    error
}

// Error puts name, server and reason into one line.
func (e *Error) Error() string {
	s := "resolve " + quote(e.Name)
	if e.Server.IsValid() {
		s += " at " + e.Server.String()
	}
	return s + ": " + e.Err.Error()
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// Timeout reports whether no server answered, as net.Error has it.
func (e *Error) Timeout() bool { return e.Err == ErrTimeout }

// NotFound reports whether the name has no address, for good.
func (e *Error) NotFound() bool { return e.Err == ErrNotFound || e.Err == ErrNoData }

// errorOf returns the error of an RCODE, nil for success.
func errorOf(r dnsmessage.RCode) error {
	switch r {
	case dnsmessage.RCodeSuccess:
		return nil
	case dnsmessage.RCodeNameError:
		return ErrNotFound
	case dnsmessage.RCodeRefused:
		return ErrRefused
	}
	return ErrServerFailure
}
