package frames

// Bounds of a batch: what a reader takes before it hands over. More would
// keep others from the world's lock, less would take it too often.
const (
	batchFrames = 64
	batchBytes  = 64 << 10
)

// Batch holds the frames of one read, one behind the other.
type Batch struct {
	buf  []byte
	ends []int
}

// Full reports whether a device should read no more: 64 frames or 64 KiB are
// there.
func (b *Batch) Full() bool { return len(b.ends) >= batchFrames || len(b.buf) >= batchBytes }

// Len returns the number of frames.
func (b *Batch) Len() int { return len(b.ends) }

// Room returns n bytes to read the next frame into; [Batch.Commit] adds it.
func (b *Batch) Room(n int) []byte {
	if cap(b.buf)-len(b.buf) < n {
		grown := make([]byte, len(b.buf), len(b.buf)+n+batchBytes)
		copy(grown, b.buf)
		b.buf = grown
	}
	return b.buf[len(b.buf) : len(b.buf)+n]
}

// Commit makes the first n bytes of what Room returned the next frame.
func (b *Batch) Commit(n int) {
	b.buf = b.buf[:len(b.buf)+n]
	b.ends = append(b.ends, len(b.buf))
}

// Append adds a copy of a frame.
func (b *Batch) Append(frame []byte) {
	copy(b.Room(len(frame)), frame)
	b.Commit(len(frame))
}

// Frame returns frame i, counted from 0. It is valid until the next Reset.
func (b *Batch) Frame(i int) []byte {
	from := 0
	if i > 0 {
		from = b.ends[i-1]
	}
	return b.buf[from:b.ends[i]]
}

// Reset empties the batch. It keeps its memory, unless that was for a burst.
func (b *Batch) Reset() {
	if cap(b.buf) > 8*batchBytes {
		b.buf = nil
	}
	b.buf, b.ends = b.buf[:0], b.ends[:0]
}
