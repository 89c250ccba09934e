package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"

	"github.com/understudy-net/understudy/device"
	"github.com/understudy-net/understudy/device/flash"
	devicetls "github.com/understudy-net/understudy/device/tls"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/driver/hostnet"
	"github.com/understudy-net/understudy/understudytest"
)

// Two TLS servers of the demo's network: one that the controller can trust, and one that it cannot.
const (
	tlsPort      = 443
	strangerPort = tlsPort + 1
)

// certificates are the demo's. Keys are made anew each time: it has no secrets to keep in its source.
type certificates struct{ trusted, stranger tls.Certificate }

// newCertificates makes two certificates for the web server's name, each its own root. They share a key, so that making keys takes
// no longer than it must.
func newCertificates() (c certificates, err error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return c, err
	}
	if c.trusted, err = newCertificate(key, "demo root"); err != nil {
		return c, err
	}
	c.stranger, err = newCertificate(key, "unknown root")
	return c, err
}

func newCertificate(key *rsa.PrivateKey, issuer string) (tls.Certificate, error) {
	x := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: issuer}, DNSNames: []string{wwwName},
		NotBefore: demoTime.Add(-24 * time.Hour), NotAfter: demoTime.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, x, x, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}

// newFlash is the controller's flash, as it left the factory but for the root certificate.
func (c certificates) newFlash() (*flash.Flash, error) {
	base, err := device.WINC1500().FlashFormat().Base()
	if err != nil {
		return nil, err
	}
	f := base.New()
	return f, devicetls.SetRoots(f, c.trusted.Leaf)
}

// serveTLS serves the page with TLS, with the one cipher suite that all controllers have.
func (c certificates) serveTLS(www *understudytest.Host) error {
	for i, cert := range []tls.Certificate{c.trusted, c.stranger} {
		config := &tls.Config{
			Certificates: []tls.Certificate{cert}, MaxVersion: tls.VersionTLS12,
			CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256},
		}
		err := www.HandleTCP(tlsPort+uint16(i), func(conn net.Conn) {
			s := tls.Server(conn, config)
			serveOne(s)
			s.Close()
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func stepTLS(t *tour) (string, error) {
	at := fmt.Sprintf("%s:%d", wwwName, tlsPort)
	t.call("Net.DialTLS(ctx, \"tcp\", %q), GET /page: the controller does TLS, and has the root certificate in its flash", at)
	c, err := t.Net.DialTLS(background, "tcp", at, hostnet.TLSOptions{})
	if err != nil {
		return "", err
	}
	if err := getPage(c); err != nil {
		return "", err
	}
	stranger := fmt.Sprintf("%s:%d", wwwName, strangerPort)
	t.call("Net.DialTLS(ctx, \"tcp\", %q), whose certificate chains to no root of the controller's", stranger)
	_, err = t.Net.DialTLS(background, "tcp", stranger, hostnet.TLSOptions{})
	var alert *driver.TLSAlert
	if !errors.As(err, &alert) {
		return "", fmt.Errorf("a server that nobody knows was trusted, or failed in another way: %v", err)
	}
	return "256 KiB, as served; the stranger was refused: " + alert.Error(), nil
}
