package image

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
)

// Values of a file. Spec hif-messages 4.4.
const (
	FileHeadLen = 40 // of digest, magic and size
	DigestLen   = sha256.Size
	Magic       = 0x1abcdef9
)

// What is wrong with a file; errors.Is finds them in what the functions here return.
var (
	ErrMagic     = errors.New("image: not an OTA file: the magic is wrong")
	ErrTooLarge  = errors.New("image: too large for a firmware slot")
	ErrShort     = errors.New("image: shorter than it says")
	ErrLong      = errors.New("image: longer than it says")
	ErrDigest    = errors.New("image: the digest does not agree")
	ErrChip      = errors.New("image: for another chip")
	ErrSignature = errors.New("image: no good signature")
)

// Spec says what [Build] builds.
type Spec struct {
	Version   Version // of the firmware; not 0
	MinDriver Version // the oldest host driver that it works with; 0 means 19.3.0
	Chip      uint32  // id of the chip that it is for; 0 means any
	Date      string  // of the build, as "Nov 25 2026", at most 11 bytes; may be empty
	Time      string  // as "12:00:00", at most 8 bytes; may be empty

	Body []byte // what is behind the head
	// Size is the length of the whole file. If it is more than Body needs, the rest is filled with bytes that are drawn
	// from the version: the same in every build, and not compressible. 0 means no filling.
	Size int
	Key  ed25519.PrivateKey // to sign with; nil: not signed
}

// Build builds a file with an image of ours. The same Spec gives the same bytes. A file that is longer than a slot is
// [ErrTooLarge]: the device refuses it.
func Build(s Spec) ([]byte, error) {
	block, err := s.block()
	if err != nil {
		return nil, err
	}
	body := s.Body
	head := FileHeadLen + HeadLen
	if s.Key != nil {
		head = FileHeadLen + SignedHeadLen
	}
	switch {
	case s.Size < 0:
		return nil, fmt.Errorf("image: size %d", s.Size)
	case s.Size > SlotSize || len(body) > SlotSize-head:
		return nil, fmt.Errorf("%w: %d bytes, a slot takes files of %d", ErrTooLarge, max(s.Size, head+len(body)), SlotSize)
	case s.Size != 0 && s.Size < head+len(body):
		return nil, fmt.Errorf("image: size %d; head and body are %d bytes already", s.Size, head+len(body))
	case s.Size != 0:
		body = filled(body, s.Size-head, s.Version)
	}
	payload, err := Make(block, body, s.Key)
	if err != nil {
		return nil, err
	}
	return Wrap(payload), nil
}

// block is the version block.
func (s *Spec) block() (b [BlockLen]byte, err error) {
	least := s.MinDriver
	if least == 0 {
		least = 0x1330
	}
	switch {
	case s.Version == 0:
		return b, errors.New("image: version 0; drivers take that for no firmware")
	case len(s.Date) > 11 || len(s.Time) > 8:
		return b, fmt.Errorf("image: date %q and time %q; at most 11 and 8 bytes", s.Date, s.Time)
	}
	le.PutUint32(b[:], s.Chip)
	for i, v := range []Version{s.Version, least} {
		copy(b[4+3*i:], []byte{byte(v >> 8), byte(v >> 4 & 15), byte(v & 15)})
	}
	copy(b[10:21], s.Date)
	copy(b[22:30], s.Time)
	return b, nil
}

// filled returns body with bytes behind it up to n.
func filled(body []byte, n int, v Version) []byte {
	out := append(make([]byte, 0, n), body...)
	for r := rand.NewPCG(uint64(v), Magic); len(out) < n; {
		out = le.AppendUint64(out, r.Uint64())[:min(len(out)+8, n)]
	}
	return out
}

// Wrap builds a file around any payload, ours or a foreign one.
func Wrap(payload []byte) []byte {
	b := make([]byte, DigestLen, FileHeadLen+len(payload))
	b = le.AppendUint32(b, Magic)
	b = le.AppendUint32(b, uint32(FileHeadLen+len(payload)))
	b = append(b, payload...)
	sum := sha256.Sum256(b[DigestLen:])
	copy(b, sum[:])
	return b
}

// File is what a file says of itself.
type File struct {
	Digest  [DigestLen]byte
	Size    uint32 // length of the whole file, as its header says
	Payload []byte // aliases the file
	Foreign bool   // the payload has no mark of ours: Head is zero
	Head    Head
}

// Parse reads a file and checks nothing but that it can be read: [Verify] checks. Less than a header is [ErrShort], no magic
// [ErrMagic], a head of ours that makes no sense [ErrImage].
func Parse(file []byte) (File, error) {
	var f File
	if len(file) < FileHeadLen {
		return f, fmt.Errorf("%w: %d bytes, a header has %d", ErrShort, len(file), FileHeadLen)
	}
	if m := le.Uint32(file[DigestLen:]); m != Magic {
		return f, fmt.Errorf("%w: %#08x, want %#08x", ErrMagic, m, uint32(Magic))
	}
	copy(f.Digest[:], file)
	f.Size = le.Uint32(file[36:])
	f.Payload = file[FileHeadLen:]
	var err error
	f.Head, err = ParseHead(f.Payload)
	if errors.Is(err, ErrForeign) {
		f.Foreign, err = true, nil
	}
	return f, err
}

// Verify makes all checks of a [Checker] on a whole file, for a slot of that many bytes.
func Verify(file []byte, slot int) error {
	c := NewChecker(slot)
	if _, err := c.Write(file); err != nil {
		return err
	}
	return c.Close()
}
