package tls

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Expiry says whether the dates of certificates count, with the numbers of SSL_EXP_CHECK (spec hif-messages 3.12).
type Expiry uint8

// The choices.
const (
	ExpiryOff    Expiry = 0 // they do not
	ExpiryOn     Expiry = 1 // they do: without the time nobody is trusted
	ExpiryIfTime Expiry = 2 // they do if the time is known
)

// The far past and the far future: validity of a certificate whose dates do not count, and a time within.
var (
	longAgo = time.Unix(0, 0)
	between = longAgo.Add(time.Hour)
	farOff  = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
)

// verify checks the chain of a server. The error is an *Error.
func (c *Config) verify(now time.Time, chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return local(BadCertificate, errors.New("the server has shown no certificate"))
	}
	if err := c.checkKeys(chain[:1]); err != nil || c.Bypass {
		return err
	}
	utc := now
	if c.Clock != nil {
		utc = c.Clock(now)
	}
	dates := c.Expiry == ExpiryOn || c.Expiry == ExpiryIfTime && !utc.IsZero()
	switch {
	case dates && utc.IsZero():
		return local(CertificateExpired, errors.New("dates of certificates are to be checked, but the device does not know the time; set it, or switch the check off"))
	case !dates:
		utc = between
	}
	return c.verifyAt(utc, !dates, chain)
}

// verifyAt checks the chain at the time utc.
func (c *Config) verifyAt(utc time.Time, undated bool, chain []*x509.Certificate) error {
	o := x509.VerifyOptions{
		Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: utc,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, r := range c.Roots {
		o.Roots.AddCert(dateless(r, undated))
	}
	for _, i := range chain[1:] {
		o.Intermediates.AddCert(dateless(i, undated))
	}
	chains, err := dateless(chain[0], undated).Verify(o)
	if err != nil {
		return c.untrusted(chain[0], err)
	}
	if err := c.checkKeys(chains[0]); err != nil {
		return err
	}
	if err := c.checkRevoked(chains[0]); err != nil {
		return err
	}
	if c.CheckName && c.ServerName != "" && !named(chain[0], c.ServerName) {
		return local(BadCertificate, fmt.Errorf("the server's certificate is for %s, not for %q", names(chain[0]), c.ServerName))
	}
	return nil
}

// dateless returns c, or a copy of it that is always valid.
func dateless(c *x509.Certificate, undated bool) *x509.Certificate {
	if !undated {
		return c
	}
	k := *c
	k.NotBefore, k.NotAfter = longAgo, farOff
	return &k
}

// checkKeys refuses RSA keys that the profile cannot compute with.
func (c *Config) checkKeys(chain []*x509.Certificate) error {
	for _, x := range chain {
		if k, ok := x.PublicKey.(*rsa.PublicKey); ok && c.MaxRSA > 0 && k.N.BitLen() > c.MaxRSA {
			return local(UnsupportedCertificate, fmt.Errorf("the server offers an RSA key of %d bits (%s), this profile accepts up to %d", k.N.BitLen(), x.Subject, c.MaxRSA))
		}
	}
	return nil
}

// untrusted says why a chain is not trusted, in the alerts of RFC 5246, 7.2.2.
func (c *Config) untrusted(leaf *x509.Certificate, err error) error {
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return local(UnknownCA, fmt.Errorf("the server's certificate was issued by %q; the flash holds %s: %w", leaf.Issuer, c.rootNames(), err))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return local(CertificateExpired, err)
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return local(UnsupportedCertificate, err)
	}
	return local(BadCertificate, err)
}

func (c *Config) rootNames() string {
	if len(c.Roots) == 0 {
		return "no root certificates"
	}
	var s []string
	for _, r := range c.Roots {
		s = append(s, fmt.Sprintf("%q", r.Subject))
	}
	return "the roots " + strings.Join(s, ", ")
}

// named reports whether the certificate is for host: by its common name, as the document says, or an alternative name
// (spec driver-api 3.6 and open question 22).
func named(c *x509.Certificate, host string) bool {
	if c.VerifyHostname(host) == nil {
		return true
	}
	host, cn := strings.ToLower(strings.TrimSuffix(host, ".")), strings.ToLower(c.Subject.CommonName)
	if cn == "" {
		return false
	}
	if rest, ok := strings.CutPrefix(cn, "*."); ok {
		_, domain, dot := strings.Cut(host, ".")
		return dot && domain == rest && strings.Contains(rest, ".") // RFC 6125, 6.4.3: one label
	}
	return cn == host
}

// names is whom the certificate is for.
func names(c *x509.Certificate) string {
	s := []string{fmt.Sprintf("%q", c.Subject.CommonName)}
	for _, n := range c.DNSNames {
		if n != c.Subject.CommonName {
			s = append(s, fmt.Sprintf("%q", n))
		}
	}
	return strings.Join(s[:min(len(s), 8)], ", ")
}
