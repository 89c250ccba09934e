package tls

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	stdtls "crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/understudy-net/understudy/sock"
)

// sealer encrypts records of TLS 1.3 with AES-128-GCM as a server does (RFC 8446, 5.2 and 7.3).
type sealer struct {
	aead   cipher.AEAD
	iv     []byte
	secret []byte
	seq    byte
}

func newSealer(t *testing.T, secret []byte) *sealer {
	t.Helper()
	block, err := aes.NewCipher(expandLabel(t, secret, "key", 16))
	if err != nil {
		t.Fatal(err)
	}
	s := &sealer{iv: expandLabel(t, secret, "iv", 12), secret: secret}
	if s.aead, err = cipher.NewGCM(block); err != nil {
		t.Fatal(err)
	}
	return s
}

// expandLabel is HKDF-Expand-Label with an empty context (RFC 8446, 7.1).
func expandLabel(t *testing.T, secret []byte, label string, n int) []byte {
	t.Helper()
	label = "tls13 " + label
	info := append([]byte{0, byte(n), byte(len(label))}, label...)
	b, err := hkdf.Expand(sha256.New, secret, string(append(info, 0)), n)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (s *sealer) record(kind byte, p []byte) []byte {
	inner := append(append([]byte(nil), p...), kind)
	head := []byte{23, 3, 3, 0, byte(len(inner) + s.aead.Overhead())}
	nonce := append([]byte(nil), s.iv...)
	nonce[11] ^= s.seq
	s.seq++
	return s.aead.Seal(head, nonce, inner, head)
}

// update is a KeyUpdate that asks for one in return, and the keys behind it (RFC 8446, 4.6.3 and 7.2).
func (s *sealer) update(t *testing.T) (record []byte, next *sealer) {
	return s.record(22, []byte{24, 0, 0, 1, 1}), newSealer(t, expandLabel(t, s.secret, "traffic upd", 32))
}

// A writer is stalled by its peer's window. Key updates that want an answer, and then a bad record, must not freeze the
// owner: every call returns, answers are bounded, and the alert goes out when there is room.
func TestStalledWriterKeyUpdatesAndBadRecord(t *testing.T) {
	ca := newAuthority(t, "ca")
	a, b := halves(3000)
	var keys bytes.Buffer
	p := serverPeer(b, &stdtls.Config{Certificates: []stdtls.Certificate{ca.server(t, nil)}, KeyLogWriter: &keys, SessionTicketsDisabled: true})
	s := Client(a, now, Config{Roots: []*x509.Certificate{ca.cert}, Suites: modern, MaxVersion: stdtls.VersionTLS13})
	defer s.Stop()
	turns(s, p)
	p.Stop() // from here on the peer is this test
	if up, err := s.State(); !up || s.conn.ConnectionState().CipherSuite != stdtls.TLS_AES_128_GCM_SHA256 {
		t.Fatal(up, err, s) // crypto/tls prefers it on both sides where AES is fast
	}
	_, line, _ := strings.Cut(keys.String(), "SERVER_TRAFFIC_SECRET_0 ")
	_, text, _ := strings.Cut(line, " ")
	text, _, _ = strings.Cut(text, "\n")
	secret, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	in := a.in // what the session reads
	seal := newSealer(t, secret)

	n, err := s.Write(now, make([]byte, 40_000))
	if n != maxPlaintext || err != sock.ErrWouldBlock || s.Pending() == 0 {
		t.Fatal(n, err, s.Pending())
	}
	if n, err := s.Write(now, []byte("more")); n != 0 || err != sock.ErrWouldBlock {
		t.Fatal("written while the stream is stalled:", n, err)
	}
	before := s.Pending()
	for i := range 5 {
		var r []byte
		r, seal = seal.update(t)
		in.b = append(append(in.b, r...), seal.record(23, []byte{'a' + byte(i)})...)
		s.Ready(now)
	}
	got := make([]byte, 10)
	if n, err := s.Read(now, got); string(got[:n]) != "abcde" || err != nil {
		t.Fatalf("%q, %v", got[:n], err)
	}
	if more := s.Pending() - before; more <= 0 || more > 5*100 {
		t.Error("the answers to five key updates have", more, "bytes")
	}
	in.b = append(in.b, append([]byte{23, 3, 3, 0, 30}, make([]byte, 30)...)...)
	s.Ready(now)
	var e *Error
	if _, err := s.Read(now, got); !errors.As(err, &e) || e.Source != Local || e.Alert != 20 {
		t.Error("the bad record:", err)
	}
	if _, err := s.Write(now, []byte("x")); !errors.As(err, &e) {
		t.Error("written behind it:", err)
	}
	s.Close(now)
	for range 100 { // the peer reads again: all that waits goes out, then the end
		b.in.b = nil
		s.Flush(now)
	}
	if s.Pending() != 0 || !b.in.closed {
		t.Error(s.Pending(), "bytes are left; closed:", b.in.closed)
	}
}

// A peer that only wants answers and reads none does not make them pile up (sock/co bounds what is read ahead).
func TestFloodOfKeyUpdatesIsBounded(t *testing.T) {
	ca := newAuthority(t, "ca")
	a, b := halves(1500)
	var keys bytes.Buffer
	p := serverPeer(b, &stdtls.Config{Certificates: []stdtls.Certificate{ca.server(t, nil)}, KeyLogWriter: &keys, SessionTicketsDisabled: true})
	s := Client(a, now, Config{Roots: []*x509.Certificate{ca.cert}, Suites: modern, MaxVersion: stdtls.VersionTLS13})
	defer s.Stop()
	turns(s, p)
	p.Stop()
	_, line, _ := strings.Cut(keys.String(), "SERVER_TRAFFIC_SECRET_0 ")
	_, text, _ := strings.Cut(line, " ")
	text, _, _ = strings.Cut(text, "\n")
	secret, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	seal := newSealer(t, secret)
	most := 0
	for range 3000 {
		var r, data []byte
		r, seal = seal.update(t)
		data = seal.record(23, []byte("x"))
		a.in.b = append(append(a.in.b, r...), data...)
		s.Ready(now)
		s.Read(now, make([]byte, 1))
		most = max(most, s.Pending())
	}
	if most > 64<<10+1000 || most == 0 {
		t.Error(most, "bytes of answers wait")
	}
}

// Acknowledgements of the stream become those of plaintext record by record.
func TestAckedCountsWholeRecords(t *testing.T) {
	ca := newAuthority(t, "ca")
	a, b := halves(1 << 20)
	p := serverPeer(b, &stdtls.Config{Certificates: []stdtls.Certificate{ca.server(t, nil)}})
	s := Client(a, now, Config{Roots: []*x509.Certificate{ca.cert}, Suites: modern})
	defer s.Stop()
	defer p.Stop()
	turns(s, p)
	if n := s.Acked(int(s.link.written)); n != 0 {
		t.Fatal(n, "bytes of plaintext in the handshake")
	}
	start := s.link.written
	s.Write(now, make([]byte, 100))
	first := int(s.link.written - start)
	s.Write(now, make([]byte, 50))
	second := int(s.link.written-start) - first
	for _, tc := range []struct{ acked, plain int }{{first - 1, 0}, {1, 100}, {0, 0}, {second - 5, 0}, {5, 50}} {
		if n := s.Acked(tc.acked); n != tc.plain {
			t.Errorf("%d bytes acknowledge %d of plaintext, want %d", tc.acked, n, tc.plain)
		}
	}
}
