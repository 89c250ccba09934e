package tcp

import (
	"encoding/binary"
	"math/bits"
)

// Secret is the key from which initial sequence numbers are made: 128 random bits, fresh at every
// start of a stack (MUST-9).
type Secret [2]uint64

// ISN returns the initial sequence number for a connection (RFC 6528; RFC 9293, 3.4.1, SHLD-1,
// MUST-8): a clock of 4 µs plus the lower half of h, which is the [Hash] of its addresses and ports.
func ISN(now Instant, h uint64) uint32 { return uint32(int64(now)/4000) + uint32(h) }

// Hash is SipHash-2-4 of the twelve bytes of id, as Aumasson and Bernstein define it: a function
// that cannot be computed without the key.
func Hash(key Secret, id [12]byte) uint64 {
	v0 := key[0] ^ 0x736f6d6570736575
	v1 := key[1] ^ 0x646f72616e646f6d
	v2 := key[0] ^ 0x6c7967656e657261
	v3 := key[1] ^ 0x7465646279746573
	// Two words: eight bytes, then the rest with the length on top.
	words := [2]uint64{binary.LittleEndian.Uint64(id[:8]), uint64(binary.LittleEndian.Uint32(id[8:])) | 12<<56}
	for _, m := range words {
		v3 ^= m
		for range 2 {
			v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
		}
		v0 ^= m
	}
	v2 ^= 0xff
	for range 4 {
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	}
	return v0 ^ v1 ^ v2 ^ v3
}

func sipRound(v0, v1, v2, v3 uint64) (uint64, uint64, uint64, uint64) {
	v0 += v1
	v2 += v3
	v1 = bits.RotateLeft64(v1, 13) ^ v0
	v3 = bits.RotateLeft64(v3, 16) ^ v2
	v0 = bits.RotateLeft64(v0, 32)
	v2 += v1
	v0 += v3
	v1 = bits.RotateLeft64(v1, 17) ^ v2
	v3 = bits.RotateLeft64(v3, 21) ^ v0
	v2 = bits.RotateLeft64(v2, 32)
	return v0, v1, v2, v3
}
