package image

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

var le = binary.LittleEndian

// Lengths in bytes.
const (
	HeadLen       = 64 // of the head of an image of ours
	SignedHeadLen = 160
	BlockLen      = 40        // of a version block
	SlotSize      = 236 << 10 // of a firmware slot in the flash; spec hif-messages 4.4
)

const (
	bootMark = "NMIS" // boot ROMs look for it; spec host-bus 6.4
	ourMark  = "USTD"

	crcAt, crcFrom = 12, 16 // where the CRC is, and where begins what it covers
	keyAt, sigAt   = HeadLen, HeadLen + ed25519.PublicKeySize
)

// What is wrong with an image; errors.Is finds them in what the functions here return.
var (
	ErrForeign = errors.New("image: not an image of ours")
	ErrImage   = errors.New("image: no sound firmware image")
)

// Head is the beginning of an image of ours. 64 bytes, or 160 if it is signed, little-endian; the format is our own but
// for the first word:
//
//	 0  4  "NMIS"
//	 4  4  "USTD"
//	 8  4  size of the image, head included
//	12  4  CRC-32 (IEEE) of everything from offset 16 to the end
//	16 40  version block (spec host-bus 4.5), of which chip and versions are the first ten bytes
//	56  4  1 if a signature follows, else 0
//	60  4  zero
//	64 32  public key, of signed images only
//	96 64  signature: Ed25519ph (RFC 8032, section 5.1) with the context "understudy image" over the image with zeros in
//	       place of CRC and signature
type Head struct {
	Size  uint32
	CRC   uint32
	Block [BlockLen]byte // version block
	// Key is the key that the image says it was signed with, nil if it is not signed. Whoever can sign can put any key
	// here: compare it with the one you trust, as [Checker.Key] does.
	Key       ed25519.PublicKey
	Signature []byte
}

// Chip returns the id of the chip that the image is for, 0 for any.
func (h *Head) Chip() uint32 { return le.Uint32(h.Block[:]) }

// Version returns the version of the firmware.
func (h *Head) Version() Version { return makeVersion(h.Block[4], h.Block[5], h.Block[6]) }

// MinDriver returns the oldest host driver that the firmware works with.
func (h *Head) MinDriver() Version { return makeVersion(h.Block[7], h.Block[8], h.Block[9]) }

// Len returns the length of the head.
func (h *Head) Len() int {
	if h.Key != nil {
		return SignedHeadLen
	}
	return HeadLen
}

// ParseHead reads the head of an image; the rest of it may be missing, and nothing but the head is checked. It wants
// [SignedHeadLen] bytes, or all of an image that is shorter. No mark of ours is [ErrForeign]; erased, cut off or an
// impossible size is [ErrImage].
func ParseHead(b []byte) (Head, error) {
	var h Head
	switch {
	case len(b) < 8:
		return h, fmt.Errorf("%w: %d bytes", ErrImage, len(b))
	case le.Uint64(b) == 1<<64-1:
		return h, fmt.Errorf("%w: erased", ErrImage)
	case string(b[:8]) != bootMark+ourMark:
		return h, ErrForeign
	case len(b) < HeadLen:
		return h, fmt.Errorf("%w: a head of %d bytes", ErrImage, len(b))
	}
	h.Size, h.CRC = le.Uint32(b[8:]), le.Uint32(b[crcAt:])
	copy(h.Block[:], b[16:])
	need := HeadLen
	switch flags := le.Uint32(b[56:]); flags {
	case 0:
	case 1:
		need = SignedHeadLen
	default:
		return h, fmt.Errorf("%w: flags %#x", ErrImage, flags)
	}
	if int64(h.Size) < int64(need) || h.Size > SlotSize {
		return h, fmt.Errorf("%w: size %d", ErrImage, h.Size)
	}
	if need == HeadLen {
		return h, nil
	}
	if len(b) < need {
		return h, fmt.Errorf("%w: a signed head of %d bytes", ErrImage, len(b))
	}
	h.Key = append(h.Key, b[keyAt:sigAt]...)
	h.Signature = append(h.Signature, b[sigAt:SignedHeadLen]...)
	return h, nil
}

// Make builds an image of ours, as it lies in a slot: head, and body behind it. With a key it is signed. One that is longer
// than a slot is [ErrTooLarge].
func Make(block [BlockLen]byte, body []byte, key ed25519.PrivateKey) ([]byte, error) {
	n := HeadLen
	if key != nil {
		n = SignedHeadLen
		if len(key) != ed25519.PrivateKeySize {
			return nil, fmt.Errorf("%w: a private key of %d bytes", ErrSignature, len(key))
		}
	}
	if len(body) > SlotSize-n {
		return nil, fmt.Errorf("%w: an image of %d bytes, a slot has %d", ErrTooLarge, n+len(body), SlotSize)
	}
	b := make([]byte, n, n+len(body))
	copy(b, bootMark+ourMark)
	le.PutUint32(b[8:], uint32(n+len(body)))
	copy(b[16:], block[:])
	b = append(b, body...)
	if key != nil {
		b[56] = 1
		copy(b[keyAt:], key[ed25519.SeedSize:])
		sum := sha512.Sum512(b)
		sig, err := key.Sign(nil, sum[:], signOptions)
		if err != nil {
			return nil, fmt.Errorf("%w: %v", ErrSignature, err)
		}
		copy(b[sigAt:], sig)
	}
	le.PutUint32(b[crcAt:], crc32.ChecksumIEEE(b[crcFrom:]))
	return b, nil
}

var signOptions = &ed25519.Options{Hash: crypto.SHA512, Context: "understudy image"}

// Check reads an image from r, in which at most max bytes are its own, and checks it as a boot ROM does: one of ours by its
// CRC, a foreign one only for not being erased, which is [ErrForeign]. What cannot be started is [ErrImage].
func Check(r io.ReaderAt, max int64) (Head, error) {
	var b [1024]byte
	n, err := r.ReadAt(b[:min(SignedHeadLen, max)], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return Head{}, err
	}
	h, err := ParseHead(b[:n])
	if err != nil {
		return h, err
	}
	if int64(h.Size) > max {
		return h, fmt.Errorf("%w: size %d in %d bytes", ErrImage, h.Size, max)
	}
	sum := uint32(0)
	for off := int64(crcFrom); off < int64(h.Size); off += int64(n) {
		n = int(min(int64(len(b)), int64(h.Size)-off))
		if k, err := r.ReadAt(b[:n], off); k < n {
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("%w: %d of %d bytes", ErrImage, off+int64(k), h.Size)
			}
			return h, err
		}
		sum = crc32.Update(sum, crc32.IEEETable, b[:n])
	}
	if sum != h.CRC {
		return h, fmt.Errorf("%w: CRC %#08x, want %#08x", ErrImage, sum, h.CRC)
	}
	return h, nil
}
