package image

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
)

// Checker checks a file that comes as a stream, and says which of its bytes go into the slot. It holds none of them but the
// heads. Make one with [NewChecker]; set Chip and Key before the first Write.
//
// The rules are those of spec hif-messages 4.4: the magic is right, the size in the header is at most that of the slot and
// equals the number of bytes that came, and the digest agrees. The image inside, if it is ours, must be one that a boot
// ROM starts; a foreign one must not look like erased flash.
type Checker struct {
	Chip uint32            // refuse images of ours that are for another chip; 0: take all
	Key  ed25519.PublicKey // refuse whatever is not signed with it, foreign images too; nil: take all

	slot   int64
	head   [FileHeadLen]byte
	inner  [SignedHeadLen]byte // beginning of the payload
	digest hash.Hash           // SHA-256 of what is behind the digest
	signed hash.Hash           // SHA-512 of what is signed, nil without a key
	got    int64               // bytes of the file so far
	sum    uint32              // CRC of the payload
	crc    uint32              // of the payload as heads of ours count it
	parsed bool                // the head of the payload was looked at
	found  Head
	kind   error // nil for an image of ours, else ErrForeign
	err    error // the first
}

// NewChecker returns a checker of files for a slot of that many bytes.
func NewChecker(slot int) *Checker {
	return &Checker{slot: int64(slot), digest: sha256.New()}
}

// Write takes the next bytes of the file, in pieces of any length, and returns what of them belongs into the slot, behind
// what earlier calls returned: all but the header, aliasing p.
//
// It fails as soon as the file cannot be good any more: [ErrMagic], [ErrTooLarge], [ErrImage] for a header that leaves no
// room for an image, [ErrChip], [ErrSignature], and [ErrLong] at the first byte too many, when the bytes before it are
// returned all the same. The error stays, and later bytes are ignored.
func (c *Checker) Write(p []byte) (payload []byte, err error) {
	if c.err != nil {
		return nil, c.err
	}
	if c.got < FileHeadLen {
		n := copy(c.head[c.got:], p)
		c.got += int64(n)
		p = p[n:]
		if c.got < FileHeadLen {
			return nil, nil
		}
		c.err = c.header()
	}
	if c.err == nil && c.got+int64(len(p)) > c.Expected() {
		c.err = fmt.Errorf("%w: %d bytes", ErrLong, c.Expected())
		p = p[:c.Expected()-c.got]
		c.take(p)
		return p, c.err
	}
	if c.err == nil {
		c.err = c.take(p)
	}
	if c.err != nil {
		return nil, c.err
	}
	return p, nil
}

// header looks at the header, when it is complete.
func (c *Checker) header() error {
	size := c.Expected()
	switch m := le.Uint32(c.head[DigestLen:]); {
	case m != Magic:
		return fmt.Errorf("%w: %#08x, want %#08x", ErrMagic, m, uint32(Magic))
	case size > c.slot:
		return fmt.Errorf("%w: a file of %d bytes, the slot has %d", ErrTooLarge, size, c.slot)
	case size <= FileHeadLen:
		return fmt.Errorf("%w: a file of %d bytes", ErrImage, size)
	}
	c.digest.Write(c.head[DigestLen:])
	return nil
}

// take is the payload.
func (c *Checker) take(p []byte) error {
	at := c.Stored()
	c.digest.Write(p)
	c.sum = crc32.Update(c.sum, crc32.IEEETable, p)
	c.crc = crc32.Update(c.crc, crc32.IEEETable, beyond(p, at, crcFrom))
	if at < SignedHeadLen {
		copy(c.inner[at:], p)
	}
	c.got += int64(len(p))
	if size := c.Expected() - FileHeadLen; !c.parsed && c.Stored() >= min(SignedHeadLen, size) {
		if err := c.look(c.inner[:min(SignedHeadLen, size)]); err != nil {
			return err
		}
	}
	if c.signed != nil {
		c.signed.Write(beyond(p, at, SignedHeadLen))
	}
	return nil
}

// beyond returns the part of p, which is at at, from offset from on.
func beyond(p []byte, at, from int64) []byte {
	return p[min(int64(len(p)), max(0, from-at)):]
}

// look is at the head of the payload. What is wrong with it waits for the digest, which is the better reason; what it says
// of itself need not.
func (c *Checker) look(b []byte) error {
	c.parsed = true
	c.found, c.kind = ParseHead(b)
	if c.kind == nil && c.Chip != 0 && c.found.Chip() != 0 && c.found.Chip() != c.Chip {
		return fmt.Errorf("%w: %#x, this one is %#x", ErrChip, c.found.Chip(), c.Chip)
	}
	if c.Key == nil {
		return nil
	}
	if !c.Key.Equal(c.found.Key) {
		return fmt.Errorf("%w: not signed with the key %s", ErrSignature, hex.EncodeToString(c.Key))
	}
	c.signed = sha512.New()
	b = bytes.Clone(b)
	clear(b[crcAt:crcFrom])
	clear(b[sigAt:])
	c.signed.Write(b)
	return nil
}

// Close says whether the whole file has come and is good: nil, the error of Write, or [ErrShort], [ErrDigest], [ErrImage],
// [ErrSignature]. It may be called more than once.
func (c *Checker) Close() error {
	switch {
	case c.err != nil:
	case c.got < FileHeadLen:
		c.err = fmt.Errorf("%w: %d bytes, a header has %d", ErrShort, c.got, FileHeadLen)
	case c.got < c.Expected():
		c.err = fmt.Errorf("%w: %d of %d bytes", ErrShort, c.got, c.Expected())
	case [DigestLen]byte(c.digest.Sum(nil)) != [DigestLen]byte(c.head[:]):
		c.err = fmt.Errorf("%w: it is %x, the file says %x", ErrDigest, c.digest.Sum(nil), c.head[:DigestLen])
	default:
		c.err = c.image()
	}
	return c.err
}

// image is the last check: would a boot ROM start what now lies in the slot.
func (c *Checker) image() error {
	switch size := c.Expected() - FileHeadLen; {
	case errors.Is(c.kind, ErrForeign):
		return nil // the digest is all there is
	case c.kind != nil:
		return c.kind
	case int64(c.found.Size) != size:
		return fmt.Errorf("%w: a size of %d in a payload of %d bytes", ErrImage, c.found.Size, size)
	case c.crc != c.found.CRC:
		return fmt.Errorf("%w: CRC %#08x, want %#08x", ErrImage, c.crc, c.found.CRC)
	case c.signed != nil:
		if err := ed25519.VerifyWithOptions(c.Key, c.signed.Sum(nil), c.found.Signature, signOptions); err != nil {
			return fmt.Errorf("%w: %v", ErrSignature, err)
		}
	}
	return nil
}

// Expected returns the length of the whole file, 0 until its header has come.
func (c *Checker) Expected() int64 {
	if c.got < FileHeadLen {
		return 0
	}
	return int64(le.Uint32(c.head[36:]))
}

// Stored returns how many bytes of the payload have come.
func (c *Checker) Stored() int64 { return max(0, c.got-FileHeadLen) }

// Sum returns the CRC-32 (IEEE) of the payload so far: what a slot that holds it has to show.
func (c *Checker) Sum() uint32 { return c.sum }

// Head returns the head of the image inside, as soon as it has come: nil before that, and for foreign images. Nothing of it is
// proven before Close has returned nil.
func (c *Checker) Head() *Head {
	if !c.parsed || c.kind != nil {
		return nil
	}
	return &c.found
}
