package tls

import (
	stdtls "crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/understudy-net/understudy/sock"
	"github.com/understudy-net/understudy/sock/co"
)

// Config is how a session is to be. The zero value trusts nobody, and has no cipher suites.
type Config struct {
	MinVersion, MaxVersion uint16 // crypto/tls's numbers; 0: TLS 1.0 and TLS 1.2, as the controller has them
	Suites                 Suites // of TLS up to 1.2, cut to those available
	MaxRSA                 int    // bits of the longest RSA key that is accepted; 0: what crypto/tls accepts

	// Clock is the time of day at the moment now of the owner's clock; the zero time: not known. Nil: the owner's.
	Clock func(now time.Time) time.Time

	// Protocols is the list for ALPN, the preferred one first; nil: no ALPN.
	Protocols []string

	// Of clients.

	Roots      []*x509.Certificate       // who is trusted
	Bypass     bool                      // accept every certificate
	Expiry     Expiry                    // whether dates count
	ServerName string                    // sent to the server (SNI), "" or an IP address: not
	CheckName  bool                      // the certificate must be for ServerName; without one it does nothing
	Cache      stdtls.ClientSessionCache // sessions to take up again; nil: none
	Revoked    [][]byte                  // SHA-1 or SHA-256 of certificates that are not trusted any more

	// Identity is the key and the certificates of a server; of a client, what it shows when a server asks for it and has
	// a use for it. Without, it shows none.
	Identity stdtls.Certificate

	// Of servers.

	TicketKey [32]byte // with which clients take up old sessions; zero: they cannot
}

func (c *Config) min() uint16 {
	if c.MinVersion == 0 {
		return stdtls.VersionTLS10
	}
	return c.MinVersion
}

func (c *Config) max() uint16 {
	if c.MaxVersion == 0 {
		return stdtls.VersionTLS12
	}
	return c.MaxVersion
}

// Session is one TLS connection. Make it with [Client] or [Server].
type Session struct {
	c      Config
	stream sock.Stream
	now    time.Time
	co     *co.Buffered
	link   *link
	conn   *stdtls.Conn
	server bool
	hello  *stdtls.ClientHelloInfo // what a client has said, until the handshake is over

	up     bool   // the handshake is over
	err    error  // why it failed, or how reading ended
	in     []byte // plaintext that waits for Read
	buf    []byte // where it lies
	broken error  // the stream takes no more

	acked int64 // bytes of the stream that the peer has acknowledged
	marks []mark
}

// mark says that so many bytes of plaintext have gone out when the stream has come to end.
type mark struct {
	end   int64
	plain int
}

// readSize is how much plaintext is decrypted ahead of Read.
const readSize = 4096

// Client makes a session to a server and begins its handshake.
func Client(s sock.Stream, now time.Time, c Config) *Session { return start(s, now, c, false) }

// Server makes a session to a client and begins its handshake.
func Server(s sock.Stream, now time.Time, c Config) *Session { return start(s, now, c, true) }

func start(stream sock.Stream, now time.Time, c Config, server bool) *Session {
	s := &Session{c: c, stream: stream, now: now, server: server}
	co.GoBuffered(stream, now, func(b *co.Buffered) error {
		s.co, s.link = b, &link{Buffered: b}
		if server {
			s.conn = stdtls.Server(s.link, s.config())
		} else {
			s.conn = stdtls.Client(s.link, s.config())
		}
		return s.run()
	})
	return s
}

// config is that of crypto/tls. Its own check of certificates is off: ours is told of every handshake, of those too that
// take up an old session.
func (s *Session) config() *stdtls.Config {
	c := &stdtls.Config{
		MinVersion: s.c.min(), MaxVersion: s.c.max(), CipherSuites: s.c.Suites.IDs(),
		NextProtos: s.c.Protocols, Time: s.time,
	}
	if !s.server {
		c.ServerName, c.ClientSessionCache = s.c.ServerName, s.c.Cache
		c.InsecureSkipVerify, c.VerifyConnection = true, s.verify
		c.GetClientCertificate = s.identity
		return c
	}
	c.Certificates = []stdtls.Certificate{s.c.Identity}
	c.GetConfigForClient = func(h *stdtls.ClientHelloInfo) (*stdtls.Config, error) {
		s.hello = h
		return nil, nil
	}
	if s.c.TicketKey == ([32]byte{}) {
		c.SessionTicketsDisabled = true
	} else {
		c.SetSessionTicketKeys([][32]byte{s.c.TicketKey})
	}
	return c
}

// identity is what a client shows to a server that asks.
func (s *Session) identity(ask *stdtls.CertificateRequestInfo) (*stdtls.Certificate, error) {
	if own := &s.c.Identity; len(own.Certificate) > 0 && ask.SupportsCertificate(own) == nil {
		return own, nil
	}
	return &stdtls.Certificate{}, nil // none (RFC 5246, 7.4.6)
}

// time is what crypto/tls takes for the time: for the age of sessions only.
func (s *Session) time() time.Time {
	if s.c.Clock != nil {
		if t := s.c.Clock(s.now); !t.IsZero() {
			return t
		}
	}
	return s.now
}

// verify checks the server's certificate. A client's is not asked for.
func (s *Session) verify(cs stdtls.ConnectionState) error {
	err := s.c.verify(s.now, cs.PeerCertificates)
	var e *Error
	if errors.As(err, &e) {
		s.link.verdict = e.Alert
	}
	return err
}

// run is the coroutine: the handshake, then reading, a little ahead of what is asked for.
func (s *Session) run() error {
	if err := s.conn.Handshake(); err != nil {
		s.err = s.failure(err)
		return s.err
	}
	s.up, s.hello = true, nil
	s.buf = make([]byte, readSize)
	for {
		for len(s.in) > 0 {
			if err := s.co.Wait(); err != nil {
				return err
			}
		}
		n, err := s.conn.Read(s.buf)
		s.in = s.buf[:n]
		switch {
		case err == io.EOF:
			s.err = io.EOF
			return nil
		case err != nil:
			s.err = s.failure(err)
			return s.err
		}
	}
}

// Ready goes on after the stream became readable or writable.
func (s *Session) Ready(now time.Time) {
	s.now = now
	s.flushed(s.co.Resume(now))
}

// flushed notes an error of the stream.
func (s *Session) flushed(err error) {
	if err != nil && s.broken == nil {
		s.broken = err
	}
}

// State reports on the handshake: false and nil while it goes on, true once it is over, false and an [*Error] when it
// has failed: then the owner calls Close, and the peer hears why.
func (s *Session) State() (up bool, err error) {
	if !s.up && s.err == nil && s.broken != nil {
		return false, &Error{Err: s.broken}
	}
	if s.up {
		return true, nil
	}
	return false, s.err
}

// Err is how reading ended: nil while it goes on, io.EOF behind the peer's close_notify, or an [*Error]. What came
// before it can still be read.
func (s *Session) Err() error { return s.err }

// Protocol returns the place in Config.Protocols of the one that was agreed on, from 1; 0: none was.
func (s *Session) Protocol() int {
	if !s.up {
		return 0
	}
	return 1 + slices.Index(s.c.Protocols, s.conn.ConnectionState().NegotiatedProtocol)
}

// Resumed reports whether the handshake took up an old session.
func (s *Session) Resumed() bool { return s.up && s.conn.ConnectionState().DidResume }

// String names version and cipher suite, "handshake" before there are any.
func (s *Session) String() string {
	if !s.up {
		return "handshake"
	}
	cs := s.conn.ConnectionState()
	return stdtls.VersionName(cs.Version) + " " + stdtls.CipherSuiteName(cs.CipherSuite)
}

// Read implements [sock.Stream].
func (s *Session) Read(now time.Time, p []byte) (n int, err error) {
	s.now = now
	for n < len(p) {
		if len(s.in) == 0 {
			s.Ready(now)
		}
		k := copy(p[n:], s.in)
		if k == 0 {
			break
		}
		s.in, n = s.in[k:], n+k
	}
	switch {
	case n > 0 || len(p) == 0:
		return n, nil
	case s.err != nil:
		return 0, s.err
	case s.co.Done():
		return 0, io.ErrClosedPipe
	}
	return 0, sock.ErrWouldBlock
}

// Readable reports whether Read would return at once.
func (s *Session) Readable() bool { return len(s.in) > 0 || s.err != nil }

// Write implements [sock.Stream]. It takes at most 16 KiB, and nothing while the stream has not taken all that was
// written before: so what waits here is bounded. It would block until the handshake is over.
func (s *Session) Write(now time.Time, p []byte) (int, error) {
	s.now = now
	switch {
	case s.broken != nil:
		return 0, s.broken
	case !s.up && s.err != nil, s.up && s.err != nil && s.err != io.EOF:
		return 0, s.err
	case !s.up || s.co.Pending() > 0:
		return 0, sock.ErrWouldBlock
	case len(p) == 0:
		return 0, nil
	}
	n, err := s.conn.Write(p[:min(len(p), maxPlaintext)])
	if n > 0 {
		s.marks = append(s.marks, mark{s.link.written, n})
	}
	s.flushed(s.co.Flush(now))
	if err == nil && n < len(p) {
		err = sock.ErrWouldBlock
	}
	return n, err
}

// Acked is told how many more bytes of the stream the peer has acknowledged, and returns how many of plaintext these
// complete: a record counts when all of it has arrived.
func (s *Session) Acked(n int) (plain int) {
	s.acked += int64(n)
	k := 0
	for ; k < len(s.marks) && s.marks[k].end <= s.acked; k++ {
		plain += s.marks[k].plain
	}
	s.marks = append(s.marks[:0], s.marks[k:]...)
	return plain
}

// Pending is the number of bytes that wait for the stream.
func (s *Session) Pending() int { return s.co.Pending() }

// Flush gives the stream what waits for it. The owner calls it, or Ready, when the stream became writable.
func (s *Session) Flush(now time.Time) { s.flushed(s.co.Flush(now)) }

// CloseWrite implements [sock.Stream]: there is no half-close.
func (s *Session) CloseWrite(time.Time) error { return errors.ErrUnsupported }

// Close says goodbye (close_notify, RFC 5246, 7.2.1), ends the coroutine, and closes the stream once that has taken all
// that was written: until Pending is 0 the owner goes on calling Flush. What has arrived and was not read is lost.
func (s *Session) Close(now time.Time) error {
	s.now = now
	err := s.conn.Close()
	s.co.Stop()
	s.in = nil
	s.discard(now)
	s.Flush(now)
	return err
}

// maxDiscard is more than a window.
const maxDiscard = 1 << 20

// discard reads what the peer has sent: a stream that is closed with unread bytes resets, and an alert would be lost.
func (s *Session) discard(now time.Time) {
	var b [512]byte
	for range maxDiscard / len(b) {
		if n, err := s.stream.Read(now, b[:]); n == 0 || err != nil {
			return
		}
	}
}

// Stop ends the coroutine and does nothing else: the stream is gone. Stopping twice is harmless.
func (s *Session) Stop() { s.co.Stop() }

// LocalAddr implements [sock.Stream].
func (s *Session) LocalAddr() netip.AddrPort { return s.stream.LocalAddr() }

// RemoteAddr implements [sock.Stream].
func (s *Session) RemoteAddr() netip.AddrPort { return s.stream.RemoteAddr() }
