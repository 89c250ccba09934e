package wire

// Comparison of 32-bit sequence numbers modulo 2^32 (RFC 9293, 3.4): a is less than b if b is
// reached from a by going forward less than half the space. Numbers exactly 2^31 apart are less
// than each other.

// SeqLT reports whether a comes before b.
func SeqLT(a, b uint32) bool { return int32(a-b) < 0 }

// SeqLEQ reports whether a comes before b or is b.
func SeqLEQ(a, b uint32) bool { return int32(a-b) <= 0 }

// SeqGT reports whether a comes after b.
func SeqGT(a, b uint32) bool { return int32(b-a) < 0 }

// SeqGEQ reports whether a comes after b or is b.
func SeqGEQ(a, b uint32) bool { return int32(b-a) <= 0 }

// SeqMax returns the later of a and b.
func SeqMax(a, b uint32) uint32 {
	if SeqLT(a, b) {
		return b
	}
	return a
}

// SeqMin returns the earlier of a and b.
func SeqMin(a, b uint32) uint32 {
	if SeqLT(b, a) {
		return b
	}
	return a
}
