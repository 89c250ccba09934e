package tls

import (
	stdtls "crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
)

// Source says where a session failed, with the numbers of the host interface (spec hif-messages 3.6).
type Source uint8

// The sources.
const (
	Unknown Source = 0 // no TLS error: the connection went
	Remote  Source = 1 // an alert of the peer
	Local   Source = 2 // an alert raised here
)

// String prints the source.
func (s Source) String() string {
	switch s {
	case Unknown:
		return "unknown"
	case Remote:
		return "remote"
	case Local:
		return "local"
	}
	return fmt.Sprintf("source(%d)", uint8(s))
}

// Alert is a TLS alert (RFC 8446, 6; RFC 5246, 7.2).
type Alert uint8

// Those that this package raises or explains.
const (
	CloseNotify            Alert = 0
	HandshakeFailure       Alert = 40
	BadCertificate         Alert = 42
	UnsupportedCertificate Alert = 43
	CertificateRevoked     Alert = 44
	CertificateExpired     Alert = 45
	UnknownCA              Alert = 48
	ProtocolVersion        Alert = 70
	InsufficientSecurity   Alert = 71
	InternalError          Alert = 80
	NoApplicationProtocol  Alert = 120
)

// String prints the alert as crypto/tls words it.
func (a Alert) String() string { return strings.TrimPrefix(stdtls.AlertError(a).Error(), "tls: ") }

// Error is why a session failed.
type Error struct {
	Source Source
	Alert  Alert  // of Remote and Local
	Why    string // what the two sides offer, where that explains it; "" if it does not
	Err    error  // what crypto/tls or the check of certificates said
}

// Error says what happened and, where the two sides have nothing in common, what each of them has.
func (e *Error) Error() string {
	s := "tls: "
	switch e.Source {
	case Remote:
		s += fmt.Sprintf("the peer refused with the alert %v (%d)", e.Alert, uint8(e.Alert))
	case Local:
		s += fmt.Sprintf("%s (alert %v, %d)", strings.TrimPrefix(e.Err.Error(), "tls: "), e.Alert, uint8(e.Alert))
	default:
		s += fmt.Sprintf("the connection ended: %v", e.Err)
	}
	if e.Why != "" {
		s += ": " + e.Why
	}
	return s
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

func local(a Alert, err error) *Error { return &Error{Source: Local, Alert: a, Err: err} }

// alertNumbers finds the number of an alert by the words of crypto/tls, which keeps its type to itself.
var alertNumbers = func() map[string]Alert {
	m := map[string]Alert{}
	for i := 255; i >= 0; i-- {
		m[stdtls.AlertError(i).Error()] = Alert(i)
	}
	return m
}()

// failure makes an Error of what crypto/tls returned.
func (s *Session) failure(err error) *Error {
	var own *Error
	if errors.As(err, &own) { // of verify
		return own
	}
	e := &Error{Err: err}
	var op *net.OpError
	switch {
	case errors.As(err, &op) && op.Op == "remote error":
		e.Source, e.Alert = Remote, alertNumbers[op.Err.Error()]
	case errors.As(err, &op) && op.Op == "local error":
		e.Source, e.Alert = Local, alertNumbers[op.Err.Error()]
	case s.link.alerted:
		e.Source, e.Alert = Local, s.link.alert
	case s.link.broken != nil: // the stream, not TLS
		return e
	default:
		e.Source, e.Alert = Local, InternalError
	}
	if !s.up {
		e.Why = s.mismatch(e)
	}
	return e
}

// mismatch says what the two sides offer, if that may be why they did not come together.
func (s *Session) mismatch(e *Error) string {
	switch e.Alert {
	case HandshakeFailure, ProtocolVersion, InsufficientSecurity:
	case NoApplicationProtocol:
		return fmt.Sprintf("the protocols offered here are %q", s.c.Protocols)
	default:
		return ""
	}
	mine := "this profile accepts " + s.c.accepts()
	switch {
	case s.hello != nil:
		return fmt.Sprintf("the client offers only %s, %s", offer(s.hello.SupportedVersions, s.hello.CipherSuites), mine)
	case s.link.chosen != nil:
		return fmt.Sprintf("the server offers only %s, %s", offer(s.link.chosen[:1], s.link.chosen[1:]), mine)
	case e.Alert == ProtocolVersion:
		return "the server offers only other versions, " + mine
	case e.Alert == HandshakeFailure || e.Alert == InsufficientSecurity:
		return "the server offers only other cipher suites, or other versions, " + mine
	}
	return mine
}

// accepts is what a handshake may come to.
func (c *Config) accepts() string {
	v := stdtls.VersionName(c.min())
	if c.max() != c.min() {
		v += " to " + strings.TrimPrefix(stdtls.VersionName(c.max()), "TLS ")
	}
	return fmt.Sprintf("%s with %v", v, c.Suites.Available())
}

// maxOffer bounds how much of a peer's list is put into words.
const maxOffer = 24

func offer(versions, suites []uint16) string {
	var v, c []string
	for _, n := range versions[:min(len(versions), maxOffer)] {
		if name := stdtls.VersionName(n); strings.Contains(name, " ") { // one that exists
			v = append(v, name)
		}
	}
	for _, n := range suites[:min(len(suites), maxOffer)] {
		c = append(c, stdtls.CipherSuiteName(n))
	}
	if len(suites) > maxOffer {
		c = append(c, "more")
	}
	return fmt.Sprintf("%s with %s", strings.Join(v, ", "), strings.Join(c, ", "))
}
