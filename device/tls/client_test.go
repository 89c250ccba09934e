package tls

import (
	"crypto/sha1"
	"crypto/sha256"
	stdtls "crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"testing"

	"github.com/understudy-net/understudy/device/flash"
)

// A client shows its certificate to servers that ask and have a use for it, and to no others.
func TestClientCertificate(t *testing.T) {
	ca, other := newAuthority(t, "ca"), newAuthority(t, "another ca")
	own := ca.server(t, func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: "lamp"} })
	pool := func(a *authority) *x509.CertPool {
		p := x509.NewCertPool()
		p.AddCert(a.cert)
		return p
	}
	for _, tc := range []struct {
		name     string
		identity stdtls.Certificate
		server   *stdtls.Config
		shown    string // "": none
		up       bool
	}{
		{"asked", own, &stdtls.Config{ClientAuth: stdtls.RequireAnyClientCert, ClientCAs: pool(ca)}, "lamp", true},
		{"not asked", own, &stdtls.Config{}, "", true},
		{"nothing to show", stdtls.Certificate{}, &stdtls.Config{ClientAuth: stdtls.RequestClientCert}, "", true},
		{"nothing to show, but needed", stdtls.Certificate{}, &stdtls.Config{ClientAuth: stdtls.RequireAnyClientCert}, "", false},
		{"by another authority", own, &stdtls.Config{ClientAuth: stdtls.RequestClientCert, ClientCAs: pool(other)}, "", true},
	} {
		for _, version := range []uint16{stdtls.VersionTLS12, stdtls.VersionTLS13} {
			a, b := halves(1000)
			tc.server.Certificates = []stdtls.Certificate{ca.server(t, nil)}
			tc.server.MinVersion, tc.server.MaxVersion = version, version
			p := serverPeer(b, tc.server.Clone())
			s := Client(a, now, Config{Roots: []*x509.Certificate{ca.cert}, Suites: modern, Identity: tc.identity, MaxVersion: version})
			turns(s, p)
			shown := ""
			if p.up {
				for _, c := range p.conn.ConnectionState().PeerCertificates[:min(1, len(p.conn.ConnectionState().PeerCertificates))] {
					shown = c.Subject.CommonName
				}
			}
			if p.up != tc.up || shown != tc.shown {
				t.Errorf("%s, %s: up %v, shown %q, %v", tc.name, stdtls.VersionName(version), p.up, shown, p.err)
			}
			if up, err := s.State(); version == stdtls.VersionTLS12 && up != tc.up {
				t.Errorf("%s: %v %v", tc.name, up, err)
			}
			s.Stop()
			p.Stop()
		}
	}
}

// Hashes of certificates that the host has revoked, of the server or of who stands behind it.
func TestRevoked(t *testing.T) {
	ca := newAuthority(t, "ca")
	id := ca.server(t, nil)
	leaf1, leaf256, root := sha1.Sum(id.Leaf.Raw), sha256.Sum256(id.Leaf.Raw), sha256.Sum256(ca.cert.Raw)
	for name, tc := range map[string]struct {
		list   [][]byte
		bypass bool
		up     bool
	}{
		"others":          {[][]byte{make([]byte, 20), make([]byte, 32), {1}, nil}, false, true},
		"SHA-1":           {[][]byte{{1}, leaf1[:]}, false, false},
		"SHA-256":         {[][]byte{leaf256[:]}, false, false},
		"the issuer":      {[][]byte{root[:]}, false, false},
		"all is accepted": {[][]byte{leaf256[:]}, true, true},
	} {
		a, b := halves(1000)
		p := serverPeer(b, &stdtls.Config{Certificates: []stdtls.Certificate{id}})
		s := Client(a, now, Config{Roots: []*x509.Certificate{ca.cert}, Suites: modern, Revoked: tc.list, Bypass: tc.bypass})
		turns(s, p)
		up, err := s.State()
		var e *Error
		if up != tc.up || !up && (!errors.As(err, &e) || e.Alert != CertificateRevoked || e.Source != Local) {
			t.Errorf("%s: %v %v", name, up, err)
		}
		s.Stop()
		p.Stop()
	}
}

func TestSetStore(t *testing.T) {
	ca := newAuthority(t, "ca")
	f, err := flash.New(flash.Size4M)
	if err != nil {
		t.Fatal(err)
	}
	if err := SetIdentity(f, ca.server(t, nil)); err != nil {
		t.Fatal(err)
	}
	image, err := readRegion(f, flash.TLSServer)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"nothing": nil, "zeros": make([]byte, 500), "cut": image[:storeHead+10]} {
		if err := SetStore(f, b); !errors.Is(err, ErrStore) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Identity(f); err != nil {
		t.Error("what was there is gone:", err)
	}
	g, err := flash.New(flash.Size4M)
	if err != nil {
		t.Fatal(err)
	}
	if err := SetStore(g, image); err != nil {
		t.Fatal(err)
	}
	if c, err := Identity(g); err != nil || c.Leaf.Subject.CommonName != "server.test" {
		t.Error(err)
	}
}
