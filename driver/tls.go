package driver

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/understudy-net/understudy/bus/hif"
)

// tlsRec is what a TLS socket has besides. Guarded by the driver's lock.
type tlsRec struct {
	later    bool // TLSLater, and Secure was not called
	securing bool // SECURE without an answer
	secured  bool // the handshake is over
	flags    hif.TLSFlags
	offset   int // of data in SSL_SEND, as the device said
	alpn     int
	detail   ErrDetail
}

// ciphered says whether requests about data are those of TLS.
func (r *sockRec) ciphered() bool { return r.tls != nil && !r.tls.later }

// Bounds of the offset at which a device wants data of SSL_SEND, counted from
// the start of the message (spec/hif-messages.md 3.6).
const (
	minTLSOffset = hif.HeaderLen + 16
	maxTLSOffset = hif.MaxLen - MaxSend
)

// Source says who ended a TLS handshake.
type Source uint8

// The sources.
const (
	SourceUnknown Source = 0
	SourceRemote  Source = 1 // an alert of the peer
	SourceLocal   Source = 2 // an alert that the device has raised
)

// String is the name, or the number.
func (s Source) String() string {
	switch s {
	case SourceUnknown:
		return "unknown"
	case SourceRemote:
		return "remote"
	case SourceLocal:
		return "local"
	}
	return "source(" + strconv.Itoa(int(s)) + ")"
}

// ErrDetail is why a TLS handshake failed: who ended it, and with which alert
// (RFC 5246, 7.2: 40 handshake_failure, 42 bad_certificate, 45
// certificate_expired, 48 unknown_ca, 70 protocol_version).
type ErrDetail struct {
	Source Source
	Alert  uint8
}

// TLSAlert is the error of a ConnectMsg or SecureMsg when TLS failed. It
// matches ErrConnAborted.
type TLSAlert struct{ ErrDetail }

// Error says who ended the handshake, and how.
func (e *TLSAlert) Error() string {
	s := "socket: CONN_ABORTED (-12): the peer refused TLS"
	if e.Source == SourceLocal {
		s = "socket: CONN_ABORTED (-12): the device refused TLS"
	}
	s += ": alert " + strconv.Itoa(int(e.Alert))
	if name := alertNames[e.Alert]; name != "" {
		s += " (" + name + ")"
	}
	return s
}

// Unwrap returns ErrConnAborted.
func (e *TLSAlert) Unwrap() error { return ErrConnAborted }

// alertNames are the names of RFC 5246, 7.2 and later documents.
var alertNames = map[uint8]string{
	0: "close_notify", 10: "unexpected_message", 20: "bad_record_mac", 22: "record_overflow", 40: "handshake_failure",
	42: "bad_certificate", 43: "unsupported_certificate", 44: "certificate_revoked", 45: "certificate_expired",
	46: "certificate_unknown", 47: "illegal_parameter", 48: "unknown_ca", 49: "access_denied", 50: "decode_error",
	51: "decrypt_error", 70: "protocol_version", 71: "insufficient_security", 80: "internal_error", 86: "inappropriate_fallback",
	90: "user_canceled", 109: "missing_extension", 110: "unsupported_extension", 112: "unrecognized_name",
	116: "certificate_required", 120: "no_application_protocol",
}

// Secure turns the running connection of a TLSLater socket into a TLS
// connection; SecureMsg follows. What has come in clear must have been received
// before: else the message says ErrSockInvalid. After any other error the
// socket must be closed. ErrSockArg unless s is a TLSLater socket, connected and
// not secured; ErrSockInvalid if not sendable. It stands for secure.
func (s Socket) Secure() error {
	d, r, err := s.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	if r.tls == nil || !r.tls.later || r.tls.securing || !r.connected {
		return fmt.Errorf("%w: Secure needs a connected socket of the configuration TLSLater", ErrSockArg)
	}
	err = send(d, hif.OpSecure, hif.SockConnect{Sock: s.id, Flags: r.tls.flags | tlsAlways, Session: s.session})
	if err == nil {
		r.tls.securing = true
	}
	return sockSend(err, ErrSockInvalid)
}

// tlsAlways are the flags that hosts always set.
const tlsAlways = hif.TLSActive | hif.TLSNoTXCopy

// Bounds of the document.
const (
	maxSNI  = 63
	maxALPN = 29
)

// SetSNI sets the name that is sent to the server, and that OptTLSCheckSNI
// compares: at most 63 characters, "" for none. To be set before Connect or
// Secure. Errors: ErrSockArg for a longer name, and if s is no TLS socket;
// ErrBufferFull if not sendable. It stands for setsockopt with SO_SSL_SNI.
func (s Socket) SetSNI(name string) error {
	if len(name) > maxSNI || strings.IndexByte(name, 0) >= 0 {
		return fmt.Errorf("%w: a server name of %d characters, at most %d", ErrSockArg, len(name), maxSNI)
	}
	return s.tlsOption(hif.SSLOptSNI, []byte(name))
}

// SetALPN sets the protocols that are offered to the server, the preferred one
// first, or that a server of ours supports. To be set before Connect, Secure or
// Bind. Errors: ErrSockArg for no names, empty names, names with a blank, and
// more than 29 characters with a blank between each two; and if s is no TLS
// socket; ErrBufferFull if not sendable. It stands for set_alpn_list.
func (s Socket) SetALPN(names ...string) error {
	list := strings.Join(names, " ")
	if len(list) > maxALPN || slices.ContainsFunc(names, func(n string) bool { return n == "" || strings.ContainsAny(n, " \x00") }) || len(names) == 0 {
		return fmt.Errorf("%w: %q is no list of protocols of at most %d characters", ErrSockArg, list, maxALPN)
	}
	return s.tlsOption(hif.SSLOptALPN, hif.AppendALPN(nil, names))
}

func (s Socket) tlsOption(o hif.SSLOpt, value []byte) error {
	d, r, err := s.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	if r.tls == nil {
		return fmt.Errorf("%w: not a TLS socket", ErrSockArg)
	}
	return sockSend(send(d, hif.OpSSLSetOpt, hif.SSLOption{Sock: s.id, Option: o, Session: s.session, Value: value}), ErrBufferFull)
}

// ALPN is the place, from 1, in the list of SetALPN of the protocol that was
// agreed on; 0: none was. It is known after ConnectMsg or SecureMsg. ErrSockArg
// if s is no TLS socket. It stands for get_alpn_index.
func (s Socket) ALPN() (int, error) {
	d, r, err := s.enter()
	if err != nil {
		return 0, err
	}
	defer d.unlock()
	if r.tls == nil {
		return 0, fmt.Errorf("%w: not a TLS socket", ErrSockArg)
	}
	return r.tls.alpn, nil
}

// ErrDetail says why the handshake of a TLS socket has failed, after ConnectMsg
// or SecureMsg and until Close; the zero value if it has not, or if it was not
// TLS. ErrSockArg for a datagram socket. It stands for get_error_detail.
func (s Socket) ErrDetail() (ErrDetail, error) {
	d, r, err := s.enter()
	if err != nil {
		return ErrDetail{}, err
	}
	defer d.unlock()
	switch {
	case !d.isStream(s.id):
		return ErrDetail{}, fmt.Errorf("%w: a datagram socket has no TLS", ErrSockArg)
	case r.tls == nil:
		return ErrDetail{}, nil
	}
	return r.tls.detail, nil
}

// takeTLS takes from the answer to a connect what is about TLS; false if the
// device has said impossible things. Lock held.
func (r *sockRec) takeTLS(m hif.SockConnectReply, alpn int) bool {
	k := r.tls
	switch {
	case m.Status < 0:
		k.detail = ErrDetail{Source(m.AppDataOffset & 0xff), uint8(m.AppDataOffset >> 8)}
		return true
	case k.later && !k.securing:
		return true
	case m.AppDataOffset < minTLSOffset || m.AppDataOffset > maxTLSOffset:
		return false
	}
	k.offset, k.alpn, k.secured, k.later = int(m.AppDataOffset)-hif.HeaderLen, alpn, true, false
	return true
}

// inherit makes r, which a TLS listener has accepted, a TLS socket; false if the
// device's offset is impossible. Lock held.
func (r *sockRec) inherit(offset uint16) bool {
	r.tls = &tlsRec{}
	return r.takeTLS(hif.SockConnectReply{AppDataOffset: offset}, 0)
}

// tlsErr is connectErr of a socket that may be one of TLS. Lock held.
func (r *sockRec) tlsErr(status hif.Status) error {
	if r.tls != nil && status == hif.StatusAborted && r.tls.detail.Source != SourceUnknown {
		return &TLSAlert{r.tls.detail}
	}
	return connectErr(int(status))
}
