package tls

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	stdtls "crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/sock"
	"github.com/understudy-net/understudy/sock/co"
)

// now is the time of all tests.
var now = time.Date(2020, 6, 1, 12, 0, 0, 0, time.UTC)

// half is a Stream: one end of two bounded buffers.
type half struct {
	in, out *pipe
}

type pipe struct {
	b      []byte
	limit  int
	closed bool
}

func (h half) Read(_ time.Time, p []byte) (int, error) {
	switch n := copy(p, h.in.b); {
	case n > 0:
		h.in.b = h.in.b[n:]
		return n, nil
	case h.in.closed:
		return 0, io.EOF
	}
	return 0, sock.ErrWouldBlock
}

func (h half) Write(_ time.Time, p []byte) (int, error) {
	n := max(0, min(len(p), h.out.limit-len(h.out.b)))
	h.out.b = append(h.out.b, p[:n]...)
	if n < len(p) {
		return n, sock.ErrWouldBlock
	}
	return n, nil
}
func (h half) CloseWrite(time.Time) error { return nil }
func (h half) Close(time.Time) error      { h.out.closed = true; return nil }
func (h half) LocalAddr() netip.AddrPort  { return netip.AddrPort{} }
func (h half) RemoteAddr() netip.AddrPort { return netip.AddrPort{} }

func halves(limit int) (half, half) {
	a, b := &pipe{limit: limit}, &pipe{limit: limit}
	return half{a, b}, half{b, a}
}

// authority makes certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	a := &authority{}
	a.cert, a.key = a.make(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	return a
}

// make makes what c says, signed by a, or by itself if a is empty.
func (a *authority) make(t testing.TB, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber = big.NewInt(1)
	if c.NotAfter.IsZero() {
		c.NotBefore, c.NotAfter = now.Add(-time.Hour), now.Add(time.Hour)
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	x, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return x, key
}

// server makes the identity of a server.
func (a *authority) server(t testing.TB, edit func(c *x509.Certificate)) stdtls.Certificate {
	t.Helper()
	c := &x509.Certificate{Subject: pkix.Name{CommonName: "server.test"}, DNSNames: []string{"server.test"}}
	if edit != nil {
		edit(c)
	}
	x, key := a.make(t, c)
	return stdtls.Certificate{Certificate: [][]byte{x.Raw}, PrivateKey: key, Leaf: x}
}

// peer is a crypto/tls server or client on the other half.
type peer struct {
	*co.Buffered
	conn *stdtls.Conn
	err  error // of the handshake
	up   bool
	got  []byte
}

func newPeer(h half, side func(c *co.Buffered) *stdtls.Conn) *peer {
	p := &peer{}
	p.Buffered = co.GoBuffered(h, now, func(c *co.Buffered) error {
		p.conn = side(c)
		if p.err = p.conn.Handshake(); p.err != nil {
			return p.err
		}
		p.up = true
		var err error
		for b := make([]byte, 1000); err == nil; {
			var n int
			n, err = p.conn.Read(b)
			p.got = append(p.got, b[:n]...)
		}
		return err
	})
	return p
}

func serverPeer(h half, c *stdtls.Config) *peer {
	c.Time = func() time.Time { return now }
	return newPeer(h, func(b *co.Buffered) *stdtls.Conn { return stdtls.Server(b, c) })
}

// turns lets both sides go on until nothing moves.
func turns(s *Session, p *peer) {
	for range 200 {
		p.Resume(now)
		s.Ready(now)
	}
}

var modern = Suites(1<<14 | 1<<15)

func TestClientToServer(t *testing.T) {
	ca := newAuthority(t, "ca")
	for _, v := range []uint16{stdtls.VersionTLS12, stdtls.VersionTLS13} {
		a, b := halves(700)
		p := serverPeer(b, &stdtls.Config{Certificates: []stdtls.Certificate{ca.server(t, nil)}, MinVersion: stdtls.VersionTLS10, MaxVersion: v, NextProtos: []string{"x", "http/1.1"}})
		s := Client(a, now, Config{
			Roots: []*x509.Certificate{ca.cert}, ServerName: "server.test", CheckName: true, Suites: AllSuites, Expiry: ExpiryOn,
			MaxVersion: stdtls.VersionTLS13, Protocols: []string{"h2", "http/1.1"},
		})
		turns(s, p)
		if up, err := s.State(); !up || err != nil || s.Protocol() != 2 || s.conn.ConnectionState().Version != v {
			t.Fatal(up, err, s.Protocol(), s)
		}
		sent, back := []byte(strings.Repeat("to the server ", 5000)), 0
		var got []byte
		answer := []byte(strings.Repeat("to the client ", 5000))
		for i := 0; len(sent) > 0 || len(got) < len(answer); i++ {
			if i == 100_000 {
				t.Fatal("no end", len(sent), len(got))
			}
			n, err := s.Write(now, sent)
			if err != nil && err != sock.ErrWouldBlock {
				t.Fatal(err)
			}
			sent = sent[n:]
			if p.Pending() == 0 && back < len(answer) {
				n, _ := p.conn.Write(answer[back:min(len(answer), back+5000)])
				back += n
			}
			p.Resume(now)
			s.Ready(now)
			var buf [900]byte
			n, err = s.Read(now, buf[:])
			if err != nil && err != sock.ErrWouldBlock {
				t.Fatal(err)
			}
			got = append(got, buf[:n]...)
		}
		turns(s, p)
		if string(got) != string(answer) || string(p.got) != strings.Repeat("to the server ", 5000) {
			t.Error("wrong bytes")
		}
		s.Close(now)
		for range 10 {
			p.Resume(now)
			s.Flush(now)
		}
		if !p.Done() || p.Err() != io.EOF || s.Pending() != 0 {
			t.Error("after Close:", p.Done(), p.Err(), s.Pending())
		}
		p.Stop()
	}
}

// Each refusal has its alert, on the air and here, and says why.
func TestRefusals(t *testing.T) {
	ca, other := newAuthority(t, "ca"), newAuthority(t, "another ca")
	roots := []*x509.Certificate{ca.cert}
	expired := func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.Add(-2*time.Hour), now.Add(-time.Hour) }
	unknown := func(time.Time) time.Time { return time.Time{} }
	for _, tc := range []struct {
		name   string
		c      Config
		server *stdtls.Config
		source Source
		alert  Alert
		text   string
	}{
		{"trusted", Config{Roots: roots}, &stdtls.Config{}, 0, 0, ""},
		{"no roots", Config{}, &stdtls.Config{}, Local, UnknownCA, "the flash holds no root certificates"},
		{"another root", Config{Roots: []*x509.Certificate{other.cert}}, &stdtls.Config{}, Local, UnknownCA, `the roots "CN=another ca"`},
		{"bypass", Config{Bypass: true}, &stdtls.Config{}, 0, 0, ""},
		{"expired", Config{Roots: roots, Expiry: ExpiryOn}, &stdtls.Config{Certificates: []stdtls.Certificate{ca.server(t, expired)}}, Local, CertificateExpired, "expired"},
		{"expired, unchecked", Config{Roots: roots, Expiry: ExpiryOff}, &stdtls.Config{Certificates: []stdtls.Certificate{ca.server(t, expired)}}, 0, 0, ""},
		{"expired, time unknown", Config{Roots: roots, Expiry: ExpiryIfTime, Clock: unknown}, &stdtls.Config{Certificates: []stdtls.Certificate{ca.server(t, expired)}}, 0, 0, ""},
		{"expired, time known", Config{Roots: roots, Expiry: ExpiryIfTime}, &stdtls.Config{Certificates: []stdtls.Certificate{ca.server(t, expired)}}, Local, CertificateExpired, "expired"},
		{"checked, time unknown", Config{Roots: roots, Expiry: ExpiryOn, Clock: unknown}, &stdtls.Config{}, Local, CertificateExpired, "does not know the time"},
		{"another name", Config{Roots: roots, ServerName: "other.test", CheckName: true}, &stdtls.Config{}, Local, BadCertificate, `for "server.test", not for "other.test"`},
		{"another name, unchecked", Config{Roots: roots, ServerName: "other.test"}, &stdtls.Config{}, 0, 0, ""},
		{"no name to check", Config{Roots: roots, CheckName: true}, &stdtls.Config{}, 0, 0, ""},
		{"version", Config{Roots: roots}, &stdtls.Config{MinVersion: stdtls.VersionTLS13}, Remote, ProtocolVersion, "the server offers only other versions, this profile accepts TLS 1.0 to 1.2 with"},
		{"suites", Config{Roots: roots}, &stdtls.Config{CipherSuites: []uint16{stdtls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256}, MaxVersion: stdtls.VersionTLS12}, Remote, HandshakeFailure,
			"the server offers only other cipher suites, or other versions, this profile accepts TLS 1.0 to 1.2 with ECDHE-RSA-AES128-GCM-SHA256, ECDHE-ECDSA-AES128-GCM-SHA256"},
		{"old server", Config{Roots: roots, MinVersion: stdtls.VersionTLS12}, &stdtls.Config{MaxVersion: stdtls.VersionTLS11}, Remote, ProtocolVersion, "this profile accepts TLS 1.2 with"},
		{"protocol", Config{Roots: roots, Protocols: []string{"mqtt"}}, &stdtls.Config{NextProtos: []string{"h2"}}, Remote, NoApplicationProtocol, `"mqtt"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, b := halves(1000)
			if tc.server.Certificates == nil {
				tc.server.Certificates = []stdtls.Certificate{ca.server(t, nil)}
			}
			tc.c.Suites = modern
			p := serverPeer(b, tc.server)
			s := Client(a, now, tc.c)
			defer s.Stop()
			defer p.Stop()
			turns(s, p)
			up, err := s.State()
			var e *Error
			switch {
			case tc.text == "":
				if !up || err != nil {
					t.Fatal(up, err)
				}
				return
			case up || !errors.As(err, &e):
				t.Fatal(up, err)
			}
			if e.Source != tc.source || e.Alert != tc.alert || !strings.Contains(e.Error(), tc.text) {
				t.Errorf("%v %v: %v", e.Source, e.Alert, e)
			}
			s.Close(now)
			turns(s, p)
			if e.Source == Local && !strings.Contains(p.err.Error(), tc.alert.String()) {
				t.Error("the server heard", p.err)
			}
			if n, err := s.Write(now, []byte("x")); n != 0 || err == nil {
				t.Error("Write:", n, err)
			}
			if _, err := s.Read(now, make([]byte, 1)); err == nil || err == sock.ErrWouldBlock {
				t.Error("Read:", err)
			}
		})
	}
}
