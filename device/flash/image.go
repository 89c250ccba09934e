package flash

import (
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/understudy-net/understudy/device/image"
)

// BlockLen is the length of a version block in bytes. Spec host-bus 4.5.
const BlockLen = image.BlockLen

// MakeImage builds an image of ours as it lies in a slot: head, and body behind it; see [image.Make]. It is ErrFull if it is
// longer than a slot.
func MakeImage(block [BlockLen]byte, body []byte) ([]byte, error) {
	b, err := image.Make(block, body, nil)
	if err != nil {
		err = fmt.Errorf("%w: %v", ErrFull, err)
	}
	return b, err
}

// CheckImage reads the image in a slot and checks it: an image of ours by its CRC, a foreign one only for not being
// erased, which is [image.ErrForeign]. A slot without an image is ErrNoImage.
func CheckImage(p Part) (image.Head, error) {
	h, err := image.Check(p, int64(p.len))
	if errors.Is(err, image.ErrImage) {
		err = fmt.Errorf("%w: %w", ErrNoImage, err)
	}
	return h, err
}

// Sum is the CRC-32 (IEEE) of the first n bytes of a part, as [Slot] keeps it. More bytes than there are is ErrRange.
func (p Part) Sum(n int) (sum uint32, err error) {
	if n < 0 || n > p.len {
		return 0, fmt.Errorf("%w: %d bytes of %d", ErrRange, n, p.len)
	}
	var b [4 * PageSize]byte
	for off := 0; off < n; off += len(b) {
		k := min(len(b), n-off)
		if _, err := p.ReadAt(b[:k], int64(off)); err != nil {
			return 0, err
		}
		sum = crc32.Update(sum, crc32.IEEETable, b[:k])
	}
	return sum, nil
}
