package tls

import (
	"crypto"
	stdtls "crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"

	"github.com/understudy-net/understudy/device/flash"
)

// The TLS server store, 8 KiB: a small directory of files (spec host-bus 6.3), little-endian:
//
//	0   8     start pattern; ours is "USTDSRV1", since that of the real part is not public
//	8   4     number of entries, at most 8
//	12  4     where the next file goes
//	16  448   8 entries: name[48], padded with zeros; u32 size; u32 address
//	464       files
//
// Addresses count from the beginning of the region. The file "key" is a private key in PKCS #8, the files "cert0",
// "cert1" and so on are the certificates in DER, that of the server first.
const (
	storeMark    = "USTDSRV1"
	storeEntries = 8
	storeEntry   = 56
	storeName    = 48
	storeHead    = 16 + storeEntries*storeEntry
)

// storeFile is an entry of the directory with its content.
type storeFile struct {
	name string
	data []byte
}

// parseStore reads the directory: whole, or [ErrStore].
func parseStore(b []byte) ([]storeFile, error) {
	if len(b) < storeHead || string(b[:8]) != storeMark {
		return nil, fmt.Errorf("%w: no mark %s", ErrStore, storeMark)
	}
	n := le.Uint32(b[8:])
	if n > storeEntries {
		return nil, fmt.Errorf("%w: %d files, at most %d", ErrStore, n, storeEntries)
	}
	var files []storeFile
	for i := range int(n) {
		e := b[16+i*storeEntry:][:storeEntry]
		name, _, _ := strings.Cut(string(e[:storeName]), "\x00")
		size, at := int64(le.Uint32(e[storeName:])), int64(le.Uint32(e[storeName+4:]))
		if at < storeHead || at+size > int64(len(b)) {
			return nil, fmt.Errorf("%w: file %q lies outside of it", ErrStore, name)
		}
		files = append(files, storeFile{name, b[at : at+size]})
	}
	return files, nil
}

// appendStore is the reverse of parseStore.
func appendStore(b []byte, files []storeFile) ([]byte, error) {
	if len(files) > storeEntries {
		return b, fmt.Errorf("%w: %d files, at most %d", ErrFull, len(files), storeEntries)
	}
	head := make([]byte, storeHead)
	copy(head, storeMark)
	at := storeHead
	for i, f := range files {
		e := head[16+i*storeEntry:][:storeEntry]
		copy(e[:storeName-1], f.name)
		le.PutUint32(e[storeName:], uint32(len(f.data)))
		le.PutUint32(e[storeName+4:], uint32(at))
		at += len(f.data)
	}
	le.PutUint32(head[8:], uint32(len(files)))
	le.PutUint32(head[12:], uint32(at))
	b = append(b, head...)
	for _, f := range files {
		b = append(b, f.data...)
	}
	return b, nil
}

// ParseIdentity reads the TLS server store: the key and the certificates of a server. Anything but a key and a first
// certificate that belong together is [ErrStore], an erased region too.
func ParseIdentity(b []byte) (stdtls.Certificate, error) {
	var c stdtls.Certificate
	files, err := parseStore(b)
	if err != nil {
		return c, err
	}
	for _, f := range files {
		switch {
		case f.name == "key":
			if c.PrivateKey, err = x509.ParsePKCS8PrivateKey(f.data); err != nil {
				return stdtls.Certificate{}, fmt.Errorf("%w: the key: %w", ErrStore, err)
			}
		case strings.HasPrefix(f.name, "cert"):
			c.Certificate = append(c.Certificate, f.data)
		}
	}
	if len(c.Certificate) == 0 || c.PrivateKey == nil {
		return stdtls.Certificate{}, fmt.Errorf("%w: it needs the files key and cert0", ErrStore)
	}
	if c.Leaf, err = x509.ParseCertificate(c.Certificate[0]); err != nil {
		return stdtls.Certificate{}, fmt.Errorf("%w: cert0: %w", ErrStore, err)
	}
	key, ok := c.PrivateKey.(crypto.Signer)
	pub, equal := c.Leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !equal || !pub.Equal(key.Public()) {
		return stdtls.Certificate{}, fmt.Errorf("%w: the key is not that of cert0", ErrStore)
	}
	return c, nil
}

// Identity returns the key and the certificates of a TLS server that are in f.
func Identity(f *flash.Flash) (stdtls.Certificate, error) {
	b, err := readRegion(f, flash.TLSServer)
	if err != nil {
		return stdtls.Certificate{}, err
	}
	return ParseIdentity(b)
}

// SetStore puts an image of the store, as ParseIdentity reads it, into f, in place of what is there. One that is no store of a
// key and its certificates is [ErrStore], and nothing is written.
func SetStore(f *flash.Flash, b []byte) error {
	if _, err := ParseIdentity(b); err != nil {
		return err
	}
	return writeRegion(f, flash.TLSServer, b)
}

// SetIdentity puts a key and its certificates, at most 7, into f, in place of what is there.
func SetIdentity(f *flash.Flash, c stdtls.Certificate) error {
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return fmt.Errorf("tls: the key cannot be stored: %w", err)
	}
	files := []storeFile{{"key", key}}
	for i, der := range c.Certificate {
		files = append(files, storeFile{fmt.Sprintf("cert%d", i), der})
	}
	b, err := appendStore(nil, files)
	if err != nil {
		return err
	}
	return writeRegion(f, flash.TLSServer, b)
}
