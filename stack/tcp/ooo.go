package tcp

import "github.com/understudy-net/understudy/wire"

// maxRanges bounds the holes in what was received. A segment that would make one more is
// dropped: the sender repeats it (hostile input T-41).
const maxRanges = 32

type seqRange struct{ left, right uint32 }

// reassembly knows which data beyond RCV.NXT have arrived. The bytes themselves lie in the receive
// ring, where they will stand once the holes before them are filled. It is made at the first loss.
type reassembly struct {
	n      int
	ranges [maxRanges]seqRange // in order of sequence, with holes between them
	last   seqRange            // the range that grew last: the first block of a SACK option
	fin    uint32              // where the stream ends, if hasFin
	hasFin bool
}

// add stores data that begin at seq, beyond nxt, into ring. What is there already stays as it is:
// the first copy wins, so data never change under the reader. It reports whether there was a place
// for them.
func (o *reassembly) add(p *Pool, ring *Ring, nxt, seq uint32, data []byte) bool {
	end := seq + uint32(len(data))
	i := 0
	for i < o.n && wire.SeqLT(o.ranges[i].right, seq) {
		i++
	}
	j := i // ranges i to j-1 overlap or touch [seq, end)
	for j < o.n && wire.SeqLEQ(o.ranges[j].left, end) {
		j++
	}
	if i == j && o.n == maxRanges {
		return false
	}
	at := seq
	for k := i; k < j; k++ {
		if r := o.ranges[k]; wire.SeqLT(at, r.left) {
			o.put(p, ring, nxt, at, data[at-seq:r.left-seq])
		}
		at = wire.SeqMax(at, o.ranges[k].right)
	}
	if wire.SeqLT(at, end) {
		o.put(p, ring, nxt, at, data[at-seq:])
	}
	merged := seqRange{seq, end}
	if i < j {
		merged.left = wire.SeqMin(seq, o.ranges[i].left)
		merged.right = wire.SeqMax(end, o.ranges[j-1].right)
	}
	o.replace(i, j, merged)
	o.last = merged
	return true
}

func (o *reassembly) put(p *Pool, ring *Ring, nxt, seq uint32, data []byte) {
	ring.WriteAt(p, int(seq-nxt), data)
}

// replace puts r in the place of ranges i to j-1.
func (o *reassembly) replace(i, j int, r seqRange) {
	if i == j {
		copy(o.ranges[i+1:], o.ranges[i:o.n])
		o.n++
	} else {
		copy(o.ranges[i+1:], o.ranges[j:o.n])
		o.n -= j - i - 1
	}
	o.ranges[i] = r
}

// take returns how many bytes now follow nxt without a hole, and forgets the ranges that nxt
// has passed.
func (o *reassembly) take(nxt uint32) uint32 {
	n := uint32(0)
	for o.n > 0 && wire.SeqLEQ(o.ranges[0].left, nxt+n) {
		if r := o.ranges[0].right; wire.SeqGT(r, nxt+n) {
			n = r - nxt
		}
		copy(o.ranges[:], o.ranges[1:o.n])
		o.n--
	}
	return n
}

// empty reports whether nothing is waiting.
func (o *reassembly) empty() bool { return o.n == 0 && !o.hasFin }
