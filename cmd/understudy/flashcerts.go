package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	stdtls "crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/understudy-net/understudy/device"
	"github.com/understudy-net/understudy/device/flash"
	devicetls "github.com/understudy-net/understudy/device/tls"
)

func newFlashRoots(std stdio) *cobra.Command {
	var add []string
	var clear, asJSON bool
	c := &cobra.Command{
		Use:   "roots FILE [--add PEM ...] [--clear]",
		Short: "Show the certificates that the device trusts, or add some",
		Long: `Show the root certificates in the flash of a chip, which its TLS sockets and its
updates by https trust, or add some. All of them together have 4 KiB: that is three
to nine, so give it the roots of your servers, and not a whole bundle.

With --add or --clear the file is made if there is none.`,
		Example: `  understudy flash roots chip.bin --add ca.pem
  understudy flash roots chip.bin --clear --add other.pem     # in place of what is there
  understudy ota update --flash chip.bin https://updates.example.com/new.img`,
		Args: argCount(1, "one file"),
		RunE: func(_ *cobra.Command, args []string) error {
			p := printer{std.out, asJSON}
			if len(add) == 0 && !clear {
				f, err := readFlash(args[0])
				if err != nil {
					return err
				}
				s := rootsIn(f)
				return s.show(p, "root certificate", "")
			}
			more, err := readCertificates("--add", add...)
			if err != nil {
				return err
			}
			return changeFlash(args[0], func(f *flash.Flash) error { return setRoots(p, f, more, clear) })
		},
	}
	c.Flags().StringArrayVar(&add, "add", nil, "add the certificates in the PEM `FILE`; may be given more than once")
	c.Flags().BoolVar(&clear, "clear", false, "first take away what is there")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// setRoots adds certificates to those in f, or replaces them.
func setRoots(p printer, f *flash.Flash, more []*x509.Certificate, clear bool) error {
	var roots []*x509.Certificate
	if !clear {
		var err error
		if roots, err = devicetls.Roots(f); errors.Is(err, devicetls.ErrStore) {
			return fmt.Errorf("%w\nreplace what is there with --clear", err)
		} else if err != nil {
			return err
		}
	}
	for _, c := range more {
		if !slices.ContainsFunc(roots, c.Equal) {
			roots = append(roots, c)
		}
	}
	if err := devicetls.SetRoots(f, roots...); errors.Is(err, devicetls.ErrFull) {
		return fmt.Errorf("%w\nnothing was changed; give it only the roots of your servers, or begin anew with --clear", err)
	} else if err != nil {
		return err
	}
	s := rootsIn(f)
	return s.show(p, "root certificate", "")
}

func newFlashIdentity(std stdio) *cobra.Command {
	var cert, key string
	var clear, asJSON bool
	c := &cobra.Command{
		Use:   "identity FILE [--cert PEM --key PEM | --clear]",
		Short: "Show the device's own certificate, or give it one",
		Long: `Show the certificate in the flash of a chip, or give it another one and its key. A TLS
server of the device shows it, and a client whose server asks for one. Behind its own the
file of --cert may have the certificates of its issuers. The key is stored as it is.

With --cert and --key the file of the flash is made if there is none.`,
		Example: `  openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=device.example.com -keyout key.pem -out cert.pem
  understudy flash identity chip.bin --cert cert.pem --key key.pem`,
		Args: argCount(1, "one file"),
		RunE: func(_ *cobra.Command, args []string) error {
			p := printer{std.out, asJSON}
			if (cert == "") != (key == "") || clear && cert != "" {
				return usagef("flash identity takes --cert and --key together, or --clear")
			}
			if cert == "" && !clear {
				f, err := readFlash(args[0])
				if err != nil {
					return err
				}
				s := identityIn(f)
				return s.show(p, "TLS server", "certificate of the issuer")
			}
			var pair stdtls.Certificate
			if !clear {
				var err error
				if pair, err = readPair(cert, key); err != nil {
					return err
				}
			}
			return changeFlash(args[0], func(f *flash.Flash) error { return setIdentity(p, f, pair) })
		},
	}
	c.Flags().StringVar(&cert, "cert", "", "PEM `FILE` with the certificate, and then those of its issuers")
	c.Flags().StringVar(&key, "key", "", "PEM `FILE` with its private key")
	c.Flags().BoolVar(&clear, "clear", false, "take away what is there")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// readPair reads a certificate and its key.
func readPair(cert, key string) (pair stdtls.Certificate, err error) {
	c, err := os.ReadFile(cert)
	if err != nil {
		return pair, usagef("--cert: %v", err)
	}
	k, err := os.ReadFile(key)
	if err != nil {
		return pair, usagef("--key: %v", err)
	}
	if pair, err = stdtls.X509KeyPair(c, k); err != nil {
		return pair, usagef("--cert %s, --key %s: %v", cert, key, err)
	}
	return pair, nil
}

// setIdentity puts a key and certificates into f, or with none takes away those that are there.
func setIdentity(p printer, f *flash.Flash, c stdtls.Certificate) error {
	if len(c.Certificate) == 0 {
		r, err := f.Region(flash.TLSServer)
		if err != nil {
			return err
		}
		if err := r.Erase(0, r.Size()/flash.SectorSize); err != nil {
			return err
		}
	} else if err := devicetls.SetIdentity(f, c); errors.Is(err, devicetls.ErrFull) {
		return fmt.Errorf("%w\nnothing was changed; leave out the certificate of the root, which nobody needs to be shown", err)
	} else if err != nil {
		return err
	}
	s := identityIn(f)
	return s.show(p, "TLS server", "certificate of the issuer")
}

// show prints a store alone.
func (s *flashCerts) show(p printer, first, others string) error {
	if p.json {
		return p.result(s, "")
	}
	w := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	s.print(w, first, others)
	return w.Flush()
}

// readCertificates reads certificates from PEM files, or from files with a single one in DER.
func readCertificates(flag string, names ...string) (list []*x509.Certificate, err error) {
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, usagef("%s: %v", flag, err)
		}
		der := b // of all that are in the file
		if bytes.Contains(b, []byte("-----BEGIN ")) {
			der = nil
			for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
				if block.Type == "CERTIFICATE" {
					der = append(der, block.Bytes...)
				}
			}
		}
		certs, err := x509.ParseCertificates(der)
		if err != nil {
			return nil, usagef("%s %s: want a PEM file with certificates: %v", flag, name, err)
		}
		if len(certs) == 0 {
			return nil, usagef("%s %s: no certificate in it; want a PEM file", flag, name)
		}
		list = append(list, certs...)
	}
	return list, nil
}

// certificate is what is told of one.
type certificate struct {
	Subject string    `json:"subject"`
	Issuer  string    `json:"issuer,omitempty"` // of others than roots
	Names   []string  `json:"names,omitempty"`
	Key     string    `json:"key"`
	From    time.Time `json:"not_before"`
	To      time.Time `json:"not_after"`
	Bytes   int       `json:"bytes"`
	SHA256  string    `json:"sha256"`
	Note    string    `json:"note,omitempty"` // why it may be of no use
}

func newCertificateInfo(c *x509.Certificate) certificate {
	sum := sha256.Sum256(c.Raw)
	i := certificate{
		Subject: c.Subject.String(), Names: c.DNSNames, Key: keyName(c.PublicKey), From: c.NotBefore, To: c.NotAfter,
		Bytes: len(c.Raw), SHA256: hex.EncodeToString(sum[:]),
	}
	if !bytes.Equal(c.RawIssuer, c.RawSubject) {
		i.Issuer = c.Issuer.String()
	}
	p := device.WINC1500()
	k, ok := c.PublicKey.(*rsa.PublicKey)
	switch now := time.Now(); {
	case ok && k.N.BitLen() > p.MaxRSA:
		i.Note = fmt.Sprintf("%s takes RSA keys up to %d bits; --profile unlimited takes it", p.Name, p.MaxRSA)
	case now.After(c.NotAfter):
		i.Note = "expired"
	case now.Before(c.NotBefore):
		i.Note = "not valid yet"
	}
	return i
}

// certificatesOf tells of roots.
func certificatesOf(roots []*x509.Certificate) []certificate {
	var list []certificate
	for _, c := range roots {
		i := newCertificateInfo(c)
		if i.Note == "" && c.BasicConstraintsValid && !c.IsCA {
			i.Note = "not of an authority: trusted as a server's own, and for no other"
		}
		list = append(list, i)
	}
	return list
}

// identityOf tells of the device's own certificates.
func identityOf(c stdtls.Certificate) flashCerts {
	var s flashCerts
	for n, der := range c.Certificate {
		x, err := x509.ParseCertificate(der)
		if err != nil {
			return flashCerts{Why: fmt.Sprintf("certificate %d: %v", n, err)}
		}
		s.Certificates = append(s.Certificates, newCertificateInfo(x))
	}
	return s
}

func keyName(key any) string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return fmt.Sprintf("%T", key)
}

func (c *certificate) text() string {
	s := fmt.Sprintf("%q, %s, until %s", c.Subject, c.Key, c.To.UTC().Format(time.DateOnly))
	if c.Issuer != "" {
		s += fmt.Sprintf(", by %q", c.Issuer)
	}
	if c.Note != "" {
		s += " (" + c.Note + ")"
	}
	return s
}
