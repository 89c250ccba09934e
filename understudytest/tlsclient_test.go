package understudytest_test

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"

	"github.com/understudy-net/understudy/device"
	"github.com/understudy-net/understudy/driver"
)

// A server that asks for a certificate is shown the one in the flash; one that wants another authority's is shown none, and refuses.
func TestTLSServerAsksForACertificate(t *testing.T) {
	withTLS(t, device.Profile{}, func(r *rig) {
		pool := func(i issuer) *x509.CertPool {
			p := x509.NewCertPool()
			p.AddCert(i.cert)
			return p
		}
		srv := r.serveTLS(&tls.Config{ClientAuth: tls.RequireAnyClientCert, ClientCAs: pool(tlsKeys().ours)})
		s := r.secureSocket(driver.TLS)
		r.connect(s, srv.at, nil)
		r.roundTrip(s, "it is me")
		if len(srv.states) != 1 || len(srv.states[0].PeerCertificates) == 0 || srv.states[0].PeerCertificates[0].Subject.CommonName != "device.test" {
			r.fatalf("the server was shown %v", srv.states)
		}
		r.close(s)
		r.Sleep(patience)
	})
	withTLS(t, device.Profile{}, func(r *rig) {
		p := x509.NewCertPool()
		p.AddCert(tlsKeys().theirs.cert)
		srv := r.serveTLS(&tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: p})
		s := r.secureSocket(driver.TLS)
		r.failsTLS(s, srv.at, driver.ErrDetail{Source: driver.SourceRemote, Alert: 40})
		r.Sleep(patience)
		if len(srv.errs) != 1 || !strings.Contains(srv.errs[0].Error(), "certificate") {
			r.fatalf("the server heard %v", srv.errs)
		}
	})
}
