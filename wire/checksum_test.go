package wire

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
)

// slowSum is RFC 1071 to the letter: 16 bits at a time.
func slowSum(b []byte) uint16 {
	var s uint32
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	for s>>16 != 0 {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// The worked example of RFC 1071, section 3.
func TestChecksumRFC1071Example(t *testing.T) {
	b := []byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}
	if got := Fold(Sum(0, b)); got != 0xddf2 {
		t.Errorf("sum %#04x, want 0xddf2", got)
	}
	if got := Checksum(b); got != ^uint16(0xddf2) {
		t.Errorf("checksum %#04x, want %#04x", got, ^uint16(0xddf2))
	}
}

// same reports whether two one's complement sums are equal: 0 has two forms.
func same(a, b uint16) bool { return a == b || a%0xffff == 0 && b%0xffff == 0 }

func TestChecksumAgreesWithSlowSumAtAllLengths(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	dst := make([]byte, 401)
	for n := range 400 {
		for _, fill := range []int{-1, 0x00, 0xff} {
			b := make([]byte, n)
			for i := range b {
				b[i] = byte(fill)
				if fill < 0 {
					b[i] = byte(r.Uint32())
				}
			}
			want := slowSum(b)
			if got := Fold(Sum(0, b)); !same(got, want) {
				t.Fatalf("n=%d fill=%d: sum %#04x, want %#04x", n, fill, got, want)
			}
			clear(dst)
			if got := Fold(SumCopy(0, dst, b)); !same(got, want) {
				t.Fatalf("n=%d fill=%d: SumCopy %#04x, want %#04x", n, fill, got, want)
			}
			if string(dst[:n]) != string(b) {
				t.Fatalf("n=%d: SumCopy copied wrong", n)
			}
			if n < 400 && dst[n] != 0 {
				t.Fatalf("n=%d: SumCopy wrote beyond", n)
			}
		}
	}
}

func TestSumCopyOfManySteps(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	b, dst := make([]byte, 20001), make([]byte, 20001)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	if got, want := Fold(SumCopy(0, dst, b)), slowSum(b); got != want || string(dst) != string(b) {
		t.Errorf("%#04x, want %#04x; copied right: %v", got, want, string(dst) == string(b))
	}
}

// Carries that ripple through all of the accumulator must not get lost.
func TestSumKeepsEveryCarry(t *testing.T) {
	ones := make([]byte, 1500)
	for i := range ones {
		ones[i] = 0xff
	}
	acc := ^uint64(0)
	for range 10 {
		acc = Sum(acc, ones)
	}
	if got := Fold(acc); got != 0xffff {
		t.Errorf("sum of ones %#04x, want 0xffff", got)
	}
	if got := Fold(AddUint16(^uint64(0), 1)); got != 1 {
		t.Errorf("-0 plus 1 is %#04x, want 1", got)
	}
	if got := Fold(AddUint32(^uint64(0)-1, 0x00010000)); same(got, 0) {
		t.Errorf("carry lost: %#04x", got)
	}
}

func TestCombineJoinsPiecesAtAnyOffset(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	b := make([]byte, 333)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	want := slowSum(b)
	for cut := range len(b) {
		got := Fold(Combine(Sum(0, b[:cut]), cut, Sum(0, b[cut:])))
		if !same(got, want) {
			t.Fatalf("cut at %d: %#04x, want %#04x", cut, got, want)
		}
	}
	// Three pieces, with the length so far as n.
	for range 100 {
		i := r.IntN(len(b))
		j := i + r.IntN(len(b)-i)
		acc := Combine(Sum(0, b[:i]), i, Sum(0, b[i:j]))
		acc = Combine(acc, j, Sum(0, b[j:]))
		if got := Fold(acc); !same(got, want) {
			t.Fatalf("cuts at %d, %d: %#04x, want %#04x", i, j, got, want)
		}
	}
}

func TestAddFieldsAsBytes(t *testing.T) {
	b := []byte{1, 2, 3, 4, 5, 6}
	got := Fold(AddUint16(AddUint32(0, 0x01020304), 0x0506))
	if want := slowSum(b); got != want {
		t.Errorf("%#04x, want %#04x", got, want)
	}
}

func TestPseudoSum(t *testing.T) {
	src, dst := [4]byte{192, 0, 2, 1}, [4]byte{255, 254, 100, 2}
	for _, n := range []int{0, 8, 255, 1480, 65515} {
		b := append(append([]byte{}, src[:]...), dst[:]...)
		b = append(b, 0, 17, byte(n>>8), byte(n))
		if got, want := Fold(PseudoSum(ProtoUDP, src, dst, n)), slowSum(b); !same(got, want) {
			t.Errorf("length %d: %#04x, want %#04x", n, got, want)
		}
	}
}

func FuzzChecksum(f *testing.F) {
	f.Add([]byte{}, uint16(0))
	f.Add([]byte{1, 2, 3}, uint16(1))
	f.Fuzz(func(t *testing.T, b []byte, at uint16) {
		want := slowSum(b)
		if got := Fold(Sum(0, b)); !same(got, want) {
			t.Fatalf("%#04x, want %#04x", got, want)
		}
		cut := 0
		if len(b) > 0 {
			cut = int(at) % len(b)
		}
		dst := make([]byte, len(b))
		acc := Combine(SumCopy(0, dst[:cut], b[:cut]), cut, SumCopy(0, dst[cut:], b[cut:]))
		if got := Fold(acc); !same(got, want) || string(dst) != string(b) {
			t.Fatalf("in pieces %#04x, want %#04x", got, want)
		}
	})
}

var sink uint64

func BenchmarkSum(b *testing.B) {
	for _, n := range []int{20, 64, 576, 1460} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := make([]byte, n)
			b.SetBytes(int64(n))
			for b.Loop() {
				sink = Sum(sink, p)
			}
		})
	}
}

func BenchmarkSumCopy(b *testing.B) {
	for _, n := range []int{64, 1460} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p, q := make([]byte, n), make([]byte, n)
			b.SetBytes(int64(n))
			for b.Loop() {
				sink = SumCopy(sink, q, p)
			}
		})
	}
}
