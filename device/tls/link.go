package tls

import (
	"github.com/understudy-net/understudy/sock"
	"github.com/understudy-net/understudy/sock/co"
)

// link is the conn under crypto/tls: the buffered coroutine, and an eye on the records that pass in clear, because
// crypto/tls says neither which alert it has sent nor what a server chose.
type link struct {
	*co.Buffered
	written int64 // bytes given to Write

	verdict Alert // of verify: what a bad_certificate is to be instead; 0: as it is
	alerted bool  // a fatal alert was sent in clear
	alert   Alert // which

	head   []byte   // the first bytes that came, until the hello is known
	seen   bool     // it is, or there is none
	chosen []uint16 // version and cipher suite of a ServerHello
	broken error    // how reading from the stream ended
}

// Sizes and numbers of records (RFC 5246, 6.2.1 and 7).
const (
	recordHead     = 5
	recordAlert    = 21
	recordHandsh   = 22
	helloServer    = 2
	alertFatal     = 2
	helloBytes     = recordHead + 4 + 2 + 32 + 1 + 32 + 2 // of a ServerHello up to the cipher suite
	maxPlaintext   = 16 << 10
	alertPlaintext = 2 // the length of an alert that is not encrypted
)

// Write looks for alerts in clear and hands p on. Where the check of the certificate knows better than crypto/tls, which
// calls everything a bad certificate, the alert says so (RFC 5246, 7.2.2: unknown_ca, certificate_expired).
func (l *link) Write(p []byte) (int, error) {
	l.written += int64(len(p))
	for at := 0; at+recordHead <= len(p); {
		n := int(p[at+3])<<8 | int(p[at+4])
		body := at + recordHead
		if p[at] == recordAlert && n == alertPlaintext && body+n <= len(p) && p[body] == alertFatal {
			l.alerted, l.alert = true, Alert(p[body+1])
			if l.alert == BadCertificate && l.verdict != 0 {
				l.alert = l.verdict
				q := append([]byte(nil), p...) // a Write must not change what it is given
				q[body+1] = byte(l.verdict)
				return l.Buffered.Write(q)
			}
		}
		at = body + n
	}
	return l.Buffered.Write(p)
}

// Read looks for the ServerHello.
func (l *link) Read(p []byte) (int, error) {
	n, err := l.Buffered.Read(p)
	if !l.seen {
		l.look(p[:n])
	}
	if err != nil {
		l.broken = err
	}
	return n, err
}

// look collects the beginning of the stream.
func (l *link) look(p []byte) {
	l.head = append(l.head, p[:min(len(p), helloBytes-len(l.head))]...)
	if len(l.head) < helloBytes && (len(l.head) == 0 || l.head[0] == recordHandsh) {
		return
	}
	h := l.head
	l.head, l.seen = nil, true
	if h[0] != recordHandsh || h[recordHead] != helloServer {
		return
	}
	b := h[recordHead+4:]
	version, id := uint16(b[0])<<8|uint16(b[1]), int(b[34])
	if id > 32 {
		return
	}
	b = b[35+id:]
	l.chosen = []uint16{version, uint16(b[0])<<8 | uint16(b[1])}
}

var _ sock.Stream = (*Session)(nil)
