package wps

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"math/big"
	"math/rand/v2"

	"github.com/understudy-net/understudy/wire"
)

const (
	nonceLen   = 16
	publicLen  = 192 // bytes of the group
	privateLen = 32
)

type nonce [nonceLen]byte

// prime is that of the 1536-bit group of RFC 3526, section 2: 2^1536 - 2^1472 - 1 + 2^64 (⌊2^1406 π⌋ + 741804). Its
// generator is 2.
var prime, _ = new(big.Int).SetString(
	"ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd"+
		"ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed"+
		"ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f"+
		"83655d23dca3ad961c62f356208552bb9ed529077096966d670c354e4abc9804f1746c08ca237327ffffffffffffffff", 16)

var generator = big.NewInt(2)

// session is what both ends have in common.
type session struct {
	rand     rand.Source
	mac      wire.MAC // of the enrollee
	n1, n2   nonce
	private  *big.Int
	pke, pkr []byte // public keys
	password string
	psk      [2][16]byte

	authKey [32]byte
	wrapKey [16]byte

	last []byte // the message before, which the next authenticator covers
}

// fill draws random bytes.
func fill(r rand.Source, b []byte) {
	for len(b) > 0 {
		var w [8]byte
		binary.BigEndian.PutUint64(w[:], r.Uint64())
		b = b[copy(b, w[:]):]
	}
}

// keyPair draws a private key and returns the public one.
func (s *session) keyPair() []byte {
	var b [privateLen]byte
	fill(s.rand, b[:])
	s.private = new(big.Int).SetBytes(b[:])
	return new(big.Int).Exp(generator, s.private, prime).FillBytes(make([]byte, publicLen))
}

// agree makes the keys of the session from the other side's public key. Keys of which the secret is known to all are
// refused (RFC 2631, 2.1.5).
func (s *session) agree(peer []byte) error {
	y := new(big.Int).SetBytes(peer)
	if y.Cmp(big.NewInt(1)) <= 0 || y.Cmp(new(big.Int).Sub(prime, big.NewInt(1))) >= 0 {
		return ErrMalformed
	}
	secret := new(big.Int).Exp(y, s.private, prime).FillBytes(make([]byte, publicLen))
	key := sha256.Sum256(secret)
	kdk := mac(key[:], s.n1[:], s.mac[:], s.n2[:])
	var out []byte // the key derivation function: 640 bits
	for i := uint32(1); len(out) < 80; i++ {
		block := mac(kdk[:], binary.BigEndian.AppendUint32(nil, i), []byte("Wi-Fi Easy and Secure Key Derivation"), binary.BigEndian.AppendUint32(nil, 640))
		out = append(out, block[:]...)
	}
	copy(s.authKey[:], out)
	copy(s.wrapKey[:], out[32:]) // what follows, the EMSK, is for other uses
	half := (len(s.password) + 1) / 2
	for i, part := range []string{s.password[:half], s.password[half:]} {
		h := mac(s.authKey[:], []byte(part))
		copy(s.psk[i][:], h[:])
	}
	return nil
}

// mac is HMAC-SHA-256.
func mac(key []byte, parts ...[]byte) (sum [32]byte) {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(sum[:0])
	return sum
}

// commitment is E-Hash or R-Hash number i of the secret nonce.
func (s *session) commitment(i int, secret []byte) []byte {
	h := mac(s.authKey[:], secret, s.psk[i][:], s.pke, s.pkr)
	return h[:]
}

// sign ends a message with its authenticator and keeps it for the next one.
func (s *session) sign(l *list) []byte {
	h := mac(s.authKey[:], s.last, *l)
	l.bytes(attrAuthenticator, h[:8])
	s.last = append([]byte(nil), *l...)
	return s.last
}

// authentic checks the authenticator, which is the last attribute, and keeps the message for the next one.
func (s *session) authentic(msg []byte) bool {
	const n = 4 + 8
	if len(msg) < n || attribute(binary.BigEndian.Uint16(msg[len(msg)-n:])) != attrAuthenticator || msg[len(msg)-n+3] != 8 {
		return false
	}
	h := mac(s.authKey[:], s.last, msg[:len(msg)-n])
	if subtle.ConstantTimeCompare(h[:8], msg[len(msg)-8:]) != 1 {
		return false
	}
	s.last = append([]byte(nil), msg...)
	return true
}

// seal encrypts settings: IV, then AES-128 in CBC of the settings, their authenticator and padding.
func (s *session) seal(settings list) []byte {
	h := mac(s.authKey[:], settings)
	settings.bytes(attrKeyWrapAuthenticator, h[:8])
	pad := aes.BlockSize - len(settings)%aes.BlockSize
	for range pad {
		settings = append(settings, byte(pad))
	}
	out := make([]byte, aes.BlockSize+len(settings))
	fill(s.rand, out[:aes.BlockSize])
	block, err := aes.NewCipher(s.wrapKey[:])
	if err != nil {
		panic(err) // impossible: the key has 16 bytes
	}
	cipher.NewCBCEncrypter(block, out[:aes.BlockSize]).CryptBlocks(out[aes.BlockSize:], settings)
	return out
}

// open decrypts settings and checks who has made them.
func (s *session) open(b []byte) (fields, error) {
	if len(b) < 2*aes.BlockSize || len(b)%aes.BlockSize != 0 {
		return nil, ErrMalformed
	}
	block, err := aes.NewCipher(s.wrapKey[:])
	if err != nil {
		panic(err) // impossible: the key has 16 bytes
	}
	plain := make([]byte, len(b)-aes.BlockSize)
	cipher.NewCBCDecrypter(block, b[:aes.BlockSize]).CryptBlocks(plain, b[aes.BlockSize:])
	pad := int(plain[len(plain)-1])
	const n = 4 + 8
	if pad < 1 || pad > aes.BlockSize || len(plain)-pad < n {
		return nil, ErrAuthenticator
	}
	plain = plain[:len(plain)-pad]
	body, tail := plain[:len(plain)-n], plain[len(plain)-n:]
	h := mac(s.authKey[:], body)
	if attribute(binary.BigEndian.Uint16(tail)) != attrKeyWrapAuthenticator || subtle.ConstantTimeCompare(h[:8], tail[4:]) != 1 {
		return nil, ErrAuthenticator
	}
	return parseFields(body)
}
