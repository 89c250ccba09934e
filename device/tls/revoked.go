package tls

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
)

// checkRevoked refuses chains with a certificate on the host's list: by its SHA-1 or SHA-256, whichever has the length of the
// entry. The list says nothing of issuers, so a serial number would not do.
func (c *Config) checkRevoked(chain []*x509.Certificate) error {
	if len(c.Revoked) == 0 {
		return nil
	}
	listed := map[string]bool{}
	for _, e := range c.Revoked {
		listed[string(e)] = true
	}
	for _, x := range chain {
		short, long := sha1.Sum(x.Raw), sha256.Sum256(x.Raw)
		if listed[string(short[:])] || listed[string(long[:])] {
			return local(CertificateRevoked, fmt.Errorf("the certificate of %q was revoked by the host", x.Subject))
		}
	}
	return nil
}
