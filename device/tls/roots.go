package tls

import (
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/understudy-net/understudy/device/flash"
)

var le = binary.LittleEndian

// Errors of the stores of certificates.
var (
	ErrStore = errors.New("tls: the region of the flash holds no list of certificates of ours")
	ErrFull  = errors.New("tls: more than the region of the flash can hold")
)

// The region of root certificates, 4 KiB. The format of the real part is not public, so this one is our own:
//
//	0  8  mark "USTDROOT"
//	8  2  number of certificates, at most [MaxRoots]
//	10 2  length n of the list
//	12 4  CRC-32 (IEEE) of the list
//	16 n  of each certificate: u16 length, the certificate in DER
//
// Numbers are little-endian. An erased region is an empty list.
const (
	rootsMark = "USTDROOT"
	rootsHead = 16
)

// MaxRoots is the most root certificates of a list; three to nine fit, as long as they are.
const MaxRoots = 32

// ParseRoots reads the region of root certificates. What lies behind the list does not matter. Anything but a whole list
// of X.509 certificates, or an erased region, is [ErrStore].
func ParseRoots(b []byte) ([]*x509.Certificate, error) {
	if erased(b) {
		return nil, nil
	}
	if len(b) < rootsHead || string(b[:8]) != rootsMark {
		return nil, fmt.Errorf("%w: no mark %s", ErrStore, rootsMark)
	}
	count, n := int(le.Uint16(b[8:])), int(le.Uint16(b[10:]))
	switch {
	case count > MaxRoots:
		return nil, fmt.Errorf("%w: %d certificates, at most %d", ErrStore, count, MaxRoots)
	case n > len(b)-rootsHead:
		return nil, fmt.Errorf("%w: a list of %d bytes in %d", ErrStore, n, len(b)-rootsHead)
	}
	list := b[rootsHead:][:n]
	if crc32.ChecksumIEEE(list) != le.Uint32(b[12:]) {
		return nil, fmt.Errorf("%w: wrong CRC", ErrStore)
	}
	var roots []*x509.Certificate
	for i := range count {
		if len(list) < 2 || int(le.Uint16(list)) > len(list)-2 {
			return nil, fmt.Errorf("%w: certificate %d is cut off", ErrStore, i)
		}
		k := 2 + int(le.Uint16(list))
		c, err := x509.ParseCertificate(list[2:k])
		if err != nil {
			return nil, fmt.Errorf("%w: certificate %d: %w", ErrStore, i, err)
		}
		roots, list = append(roots, c), list[k:]
	}
	if len(list) != 0 {
		return nil, fmt.Errorf("%w: %d bytes behind the last certificate", ErrStore, len(list))
	}
	return roots, nil
}

// AppendRoots appends a list for the region. More than [MaxRoots] certificates, or more than 64 KiB, are [ErrFull].
func AppendRoots(b []byte, roots []*x509.Certificate) ([]byte, error) {
	var list []byte
	for _, c := range roots {
		if len(c.Raw) > 1<<16-1 {
			return b, fmt.Errorf("%w: a certificate of %d bytes", ErrFull, len(c.Raw))
		}
		list = le.AppendUint16(list, uint16(len(c.Raw)))
		list = append(list, c.Raw...)
	}
	if len(roots) > MaxRoots || len(list) > 1<<16-1 {
		return b, fmt.Errorf("%w: %d root certificates of %d bytes", ErrFull, len(roots), len(list))
	}
	b = append(b, rootsMark...)
	b = le.AppendUint16(b, uint16(len(roots)))
	b = le.AppendUint16(b, uint16(len(list)))
	b = le.AppendUint32(b, crc32.ChecksumIEEE(list))
	return append(b, list...), nil
}

// Roots returns the root certificates in f, none if the region is erased. A flash of 2 Mbit has no such region:
// flash.ErrNoRegion.
func Roots(f *flash.Flash) ([]*x509.Certificate, error) {
	b, err := readRegion(f, flash.RootCertificates)
	if err != nil {
		return nil, err
	}
	return ParseRoots(b)
}

// SetRoots puts root certificates into f, in place of what is there. [ErrFull] if they do not fit into 4 KiB.
func SetRoots(f *flash.Flash, roots ...*x509.Certificate) error {
	b, err := AppendRoots(nil, roots)
	if err != nil {
		return err
	}
	return writeRegion(f, flash.RootCertificates, b)
}

func readRegion(f *flash.Flash, r flash.Region) ([]byte, error) {
	p, err := f.Region(r)
	if err != nil {
		return nil, err
	}
	b := make([]byte, p.Size())
	_, err = p.ReadAt(b, 0)
	return b, err
}

func writeRegion(f *flash.Flash, r flash.Region, b []byte) error {
	p, err := f.Region(r)
	if err != nil {
		return err
	}
	if len(b) > p.Size() {
		return fmt.Errorf("%w: %d bytes for the region %v of %d", ErrFull, len(b), r, p.Size())
	}
	if err := p.Erase(0, p.Size()/flash.SectorSize); err != nil {
		return err
	}
	_, err = p.WriteAt(b, 0)
	return err
}

func erased(b []byte) bool {
	for _, v := range b {
		if v != 0xff {
			return false
		}
	}
	return true
}
