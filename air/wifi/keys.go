package wifi

import (
	"bytes"
	"crypto/aes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/understudy-net/understudy/wire"
)

// PMK is a pairwise master key: for WPA2-Personal the pre-shared key. All zero stands for none.
type PMK [32]byte

// ErrPassphrase says that a passphrase is neither 8 to 63 bytes nor 64 hexadecimal digits.
var ErrPassphrase = errors.New("wifi: a passphrase has 8 to 63 characters, or is a key of 64 hexadecimal digits")

// MakePMK derives the key from a network's name and its passphrase: PBKDF2 with HMAC-SHA1 and 4096 rounds (IEEE
// 802.11-2016, J.4.1), which takes about 1.6 ms; [PMKCache] remembers. A passphrase of 64 hexadecimal digits is the key
// itself. Errors are [ErrPassphrase], or that of crypto/pbkdf2, which refuses under GODEBUG=fips140=only.
func MakePMK(ssid, passphrase string) (PMK, error) {
	var k PMK
	if len(passphrase) == 2*len(k) {
		if _, err := hex.Decode(k[:], []byte(passphrase)); err != nil {
			return PMK{}, ErrPassphrase
		}
		return k, nil
	}
	if len(passphrase) < 8 || len(passphrase) > 63 {
		return PMK{}, ErrPassphrase
	}
	b, err := pbkdf2.Key(sha1.New, passphrase, []byte(ssid), 4096, len(k))
	if err != nil {
		return PMK{}, fmt.Errorf("wifi: cannot derive the key: %w", err)
	}
	return PMK(b), nil
}

// PMKCache remembers derived keys, so that ten thousand stations with one passphrase derive it once. The zero value is
// ready. Give one to many stations and access points of the same owner; it has no lock.
type PMKCache struct {
	// Max is the most keys to remember; 0 means 1024. The oldest makes room.
	Max int

	keys  map[pmkName]PMK
	order []pmkName
}

type pmkName struct{ ssid, passphrase string }

// Get returns what [MakePMK] returns.
func (c *PMKCache) Get(ssid, passphrase string) (PMK, error) {
	name := pmkName{ssid, passphrase}
	if k, ok := c.keys[name]; ok {
		return k, nil
	}
	k, err := MakePMK(ssid, passphrase)
	if err != nil {
		return k, err
	}
	limit := c.Max
	if limit <= 0 {
		limit = 1024
	}
	if c.keys == nil {
		c.keys = map[pmkName]PMK{}
	}
	for len(c.order) >= limit {
		delete(c.keys, c.order[0])
		c.order = append(c.order[:0], c.order[1:]...)
	}
	c.keys[name] = k
	c.order = append(c.order, name)
	return k, nil
}

// prf fills out with the pseudo-random function of IEEE 802.11-2016, 12.7.1.2, for the PRF-384 family.
func prf(out, key []byte, label string, data []byte) {
	h := hmac.New(sha1.New, key)
	for i := byte(0); len(out) > 0; i++ {
		h.Reset()
		h.Write([]byte(label))
		h.Write([]byte{0})
		h.Write(data)
		h.Write([]byte{i})
		out = out[copy(out, h.Sum(nil)):]
	}
}

// ptk is a pairwise transient key for CCMP (IEEE 802.11-2016, 12.7.1.3).
type ptk struct {
	kck [16]byte // confirms: the key of the MIC
	kek [16]byte // encrypts: the key of the key wrap
	tk  [16]byte // would encrypt data
}

type nonce [32]byte

// makePTK derives the keys of the pair aa (authenticator) and spa (supplicant).
func makePTK(pmk PMK, aa, spa wire.MAC, anonce, snonce nonce) (k ptk) {
	var data [76]byte
	lo, hi := aa, spa
	if bytes.Compare(lo[:], hi[:]) > 0 {
		lo, hi = hi, lo
	}
	nlo, nhi := anonce, snonce
	if bytes.Compare(nlo[:], nhi[:]) > 0 {
		nlo, nhi = nhi, nlo
	}
	b := append(data[:0], lo[:]...)
	b = append(b, hi[:]...)
	b = append(b, nlo[:]...)
	b = append(b, nhi[:]...)
	var out [48]byte
	prf(out[:], pmk[:], "Pairwise key expansion", b)
	copy(k.kck[:], out[:16])
	copy(k.kek[:], out[16:32])
	copy(k.tk[:], out[32:])
	return k
}

// micOf is the HMAC-SHA1-128 of an EAPOL frame (key descriptor version 2; IEEE 802.11-2016, 12.7.2).
func micOf(kck [16]byte, frame []byte) (m [16]byte) {
	h := hmac.New(sha1.New, kck[:])
	h.Write(frame)
	copy(m[:], h.Sum(nil))
	return m
}

// errUnwrap says that wrapped data is not what was wrapped with this key.
var errUnwrap = errors.New("wifi: key data does not unwrap")

// wrapIV is the initial value of the key wrap (RFC 3394, 2.2.3.1).
const wrapIV = 0xa6a6a6a6a6a6a6a6

// keyWrap appends data, wrapped with kek, to b (RFC 3394, 2.2.1). The length of data is a multiple of 8, at least 16.
func keyWrap(b []byte, kek [16]byte, data []byte) []byte {
	c, err := aes.NewCipher(kek[:])
	if err != nil {
		panic("wifi: AES refuses a key of 16 bytes: " + err.Error())
	}
	start := len(b)
	b = binary.BigEndian.AppendUint64(b, wrapIV)
	b = append(b, data...)
	r := b[start:]
	n := len(data) / 8
	var block [16]byte
	copy(block[:8], r)
	for t := uint64(1); t <= uint64(6*n); t++ {
		p := r[8*(1+(int(t)-1)%n):][:8]
		copy(block[8:], p)
		c.Encrypt(block[:], block[:])
		copy(p, block[8:])
		a := binary.BigEndian.Uint64(block[:8]) ^ t
		binary.BigEndian.PutUint64(block[:8], a)
	}
	copy(r, block[:8])
	return b
}

// keyUnwrap unwraps data in place and returns what was wrapped (RFC 3394, 2.2.2).
func keyUnwrap(kek [16]byte, data []byte) ([]byte, error) {
	if len(data) < 24 || len(data)%8 != 0 {
		return nil, errUnwrap
	}
	c, err := aes.NewCipher(kek[:])
	if err != nil {
		return nil, err
	}
	n := len(data)/8 - 1
	var block [16]byte
	copy(block[:8], data)
	for t := uint64(6 * n); t > 0; t-- {
		p := data[8*(1+(int(t)-1)%n):][:8]
		a := binary.BigEndian.Uint64(block[:8]) ^ t
		binary.BigEndian.PutUint64(block[:8], a)
		copy(block[8:], p)
		c.Decrypt(block[:], block[:])
		copy(p, block[8:])
	}
	if binary.BigEndian.Uint64(block[:8]) != wrapIV {
		return nil, errUnwrap
	}
	return data[8:], nil
}
