package driver

import (
	"github.com/understudy-net/understudy/bus/hif"
)

// Ciphers is a set of cipher suites of TLS, in the numbering of the host
// interface (spec/hif-messages.md 5.1). It stands for the context of
// WDRV_WINC_SSLCTXDefault, whose value is 0.
type Ciphers uint32

// DefaultCiphers are those that the controller starts with: AES-128 and no
// elliptic curves (spec/driver-api.md 3.9).
const DefaultCiphers Ciphers = 0x3f

// AllCiphers are all that have a number. A device of ours has no DHE suites and
// no RSA-AES256-CBC-SHA256: it leaves them out of its answer.
const AllCiphers Ciphers = 0xffff

// ianaCiphers are the IANA numbers of the bits.
var ianaCiphers = [16]uint16{
	0x002f, 0x003c, 0x0033, 0x0067, 0x009c, 0x009e, 0x0035, 0x003d, 0x0039, 0x006b, 0xc013, 0xc014, 0xc027, 0xc023, 0xc02f, 0xc02b,
}

// CiphersFromIANA makes a set of IANA numbers, up to a 0; those that the
// controller does not know are ignored. It stands for
// WDRV_WINC_SSLCTXCipherSuitesSet, which refuses more than 16 numbers.
func CiphersFromIANA(ids []uint16) Ciphers {
	var c Ciphers
	for _, id := range ids {
		if id == 0 {
			break
		}
		for i, known := range ianaCiphers {
			if id == known {
				c |= 1 << i
			}
		}
	}
	return c
}

// IANA lists the numbers of the set, in order of the bits. It stands for
// WDRV_WINC_SSLCTXCipherSuitesGet.
func (c Ciphers) IANA() []uint16 {
	var ids []uint16
	for i, id := range ianaCiphers {
		if c&(1<<i) != 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// SetCiphers chooses the cipher suites of handshakes to come, for all sockets.
// fn is told which are in force then: a device leaves out what it does not
// have, and an empty set, or one of which nothing is left, changes nothing: 0
// only asks. The next SetCiphers replaces fn; nil is nobody. It stands for
// WDRV_WINC_SSLActiveCipherSuitesSet.
func (c *Client) SetCiphers(set Ciphers, fn func(Ciphers)) error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	old := d.sockets.ciphers
	d.sockets.ciphers = cipherCall{c, fn}
	if err := send(d, hif.OpSetCipherSuites, hif.CipherSuites{Bits: uint32(set)}); err != nil {
		d.sockets.ciphers = old
		return err
	}
	return nil
}

// cipherCall is the callback of SetCiphers, and whose it is. Guarded by the
// driver's lock.
type cipherCall struct {
	c  *Client
	fn func(Ciphers)
}

// handleCiphers is the answer to SET_CS_LIST. Lock held.
func (d *Driver) handleCiphers(m hif.CipherSuites) {
	c := d.client
	if c == nil || d.sockets.ciphers.c != c {
		return
	}
	d.postClient(func() {
		d.lock()
		call := d.sockets.ciphers
		d.unlock()
		if call.c == c && call.fn != nil {
			call.fn(Ciphers(m.Bits))
		}
	})
}

// CertExpiry says whether the dates of certificates count.
type CertExpiry uint8

// The choices.
const (
	ExpiryOff    CertExpiry = CertExpiry(hif.ExpCheckOff)
	ExpiryOn     CertExpiry = CertExpiry(hif.ExpCheckOn)
	ExpiryIfTime CertExpiry = CertExpiry(hif.ExpCheckKnown) // if the device knows the time; the default
)

// SetCertExpiry says whether TLS handshakes to come look at the dates of
// certificates; it holds for all sockets, until the device restarts. With
// ExpiryOn a device that does not know the time trusts nobody. Errors:
// ErrInvalid for another value, ErrBufferFull if not sendable. It stands for
// sslEnableCertExpirationCheck.
func (c *Client) SetCertExpiry(e CertExpiry) error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	if e > ExpiryIfTime {
		return ErrInvalid
	}
	return sockSend(send(d, hif.OpSSLExpCheck, hif.SSLExpCheck{Mode: hif.ExpCheck(e)}), ErrBufferFull)
}

// OnECC would be told when the device wants elliptic curves computed by the
// host. It always returns ErrUnsupported: devices of ours compute for
// themselves. It stands for WDRV_WINC_SSLECCReqCallbackSet.
func (c *Client) OnECC(func(request []byte)) error { return c.unsupported() }

// AnswerECC would answer such a request. It always returns ErrUnsupported. It
// stands for WDRV_WINC_SSLECCHandShakeRsp.
func (c *Client) AnswerECC(answer, data []byte) error { return c.unsupported() }

// ECCMaterial would read the certificates and hashes that belong to such a
// request. It always returns ErrUnsupported. It stands for
// WDRV_WINC_SSLRetrieveCert, WDRV_WINC_SSLRetrieveHash and
// WDRV_WINC_SSLStopRetrieveCert.
func (c *Client) ECCMaterial(p []byte) (int, error) { return 0, c.unsupported() }

// unsupported is the answer of what is not there, after the common checks.
func (c *Client) unsupported() error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	d.unlock()
	return ErrUnsupported
}
