package hif

import (
	"bytes"
	"strconv"
)

// MaxName is the longest host name of a DNS_RESOLVE in bytes, without its NUL.
const MaxName = 64

// DNSResolve is DNS_RESOLVE from the host: the name and a NUL, 2 to 65 bytes (3.9).
type DNSResolve struct {
	Name string
}

// ParseDNSResolve reads the payload. No name is [ErrShort], one of more than [MaxName] bytes
// [ErrInvalid]; a NUL that is missing at the end is forgiven.
func ParseDNSResolve(b []byte) (DNSResolve, error) {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	switch {
	case len(b) == 0:
		return DNSResolve{}, ErrShort
	case len(b) > MaxName:
		return DNSResolve{}, ErrInvalid
	}
	return DNSResolve{Name: string(b)}, nil
}

// Append appends the payload.
func (m DNSResolve) Append(b []byte) []byte {
	return append(append(b, m.Name[:min(len(m.Name), MaxName)]...), 0)
}

// DNSReply answers DNS_RESOLVE, 68 bytes (3.9). It has no number: hosts pair it by name or order.
type DNSReply struct {
	Name string  // as asked for; one of 64 bytes has no NUL
	IP   [4]byte // 0.0.0.0: not found
}

// DNSReplyLen is the length of [DNSReply] in bytes.
const DNSReplyLen = 68

// ParseDNSReply reads the payload.
func ParseDNSReply(b []byte) (DNSReply, error) {
	if len(b) < DNSReplyLen {
		return DNSReply{}, ErrShort
	}
	return DNSReply{Name: text(b[:64]), IP: [4]byte(b[64:68])}, nil
}

// Append appends the payload.
func (m DNSReply) Append(b []byte) []byte {
	b = appendField(b, m.Name, 64)
	return append(b, m.IP[:]...)
}

// Ping is PING from the host, 12 bytes (3.10).
type Ping struct {
	IP      [4]byte
	Private uint32 // the host's own: echoed bit for bit, some hosts keep a pointer in it
	Count   uint16 // of requests, 1 in the hosts seen
	TTL     uint8  // 0: the default of the stack
}

// PingLen is the length of [Ping] in bytes.
const PingLen = 12

// ParsePing reads the payload.
func ParsePing(b []byte) (Ping, error) {
	if len(b) < PingLen {
		return Ping{}, ErrShort
	}
	return Ping{IP: [4]byte(b[:4]), Private: le.Uint32(b[4:]), Count: le.Uint16(b[8:]), TTL: b[10]}, nil
}

// Append appends the payload.
func (m Ping) Append(b []byte) []byte {
	b = append(b, m.IP[:]...)
	b = le.AppendUint32(b, m.Private)
	return append(b, byte(m.Count), byte(m.Count>>8), m.TTL, 0)
}

// PingError is the error of a [PingReply].
type PingError uint8

// The errors.
const (
	PingOK          PingError = 0
	PingUnreachable PingError = 1
	PingTimeout     PingError = 2
)

// String prints the name of the error, or its number.
func (e PingError) String() string {
	switch e {
	case PingOK:
		return "ok"
	case PingUnreachable:
		return "unreachable"
	case PingTimeout:
		return "timeout"
	}
	return "ping(" + strconv.Itoa(int(e)) + ")"
}

// PingReply answers PING, 20 bytes (3.10).
type PingReply struct {
	IP       [4]byte // as in the request, whoever answered
	Private  uint32
	RTT      uint32 // milliseconds
	Success  uint16
	Failures uint16
	Error    PingError
}

// PingReplyLen is the length of [PingReply] in bytes.
const PingReplyLen = 20

// ParsePingReply reads the payload.
func ParsePingReply(b []byte) (PingReply, error) {
	if len(b) < PingReplyLen {
		return PingReply{}, ErrShort
	}
	return PingReply{IP: [4]byte(b[:4]), Private: le.Uint32(b[4:]), RTT: le.Uint32(b[8:]),
		Success: le.Uint16(b[12:]), Failures: le.Uint16(b[14:]), Error: PingError(b[16])}, nil
}

// Append appends the payload.
func (m PingReply) Append(b []byte) []byte {
	b = append(b, m.IP[:]...)
	b = le.AppendUint32(b, m.Private)
	b = le.AppendUint32(b, m.RTT)
	b = le.AppendUint16(b, m.Success)
	b = le.AppendUint16(b, m.Failures)
	return append(b, byte(m.Error), 0, 0, 0)
}
