package wire

import "testing"

// RFC 9293, 3.4: all comparison is modulo 2^32.
func TestSequenceNumbersWrap(t *testing.T) {
	for _, tt := range []struct {
		a, b uint32
		lt   bool
	}{
		{1, 2, true}, {2, 1, false}, {5, 5, false},
		{0xffffffff, 0, true}, {0, 0xffffffff, false},
		{0xfffffff0, 0x10, true}, {0x7fffffff, 0x80000000, true},
		{0, 0x7fffffff, true}, {0x80000001, 0, true},
	} {
		eq := tt.a == tt.b
		if SeqLT(tt.a, tt.b) != tt.lt || SeqLEQ(tt.a, tt.b) != (tt.lt || eq) ||
			SeqGT(tt.a, tt.b) != (!tt.lt && !eq) || SeqGEQ(tt.a, tt.b) != !tt.lt {
			t.Errorf("%#x and %#x: < %v <= %v > %v >= %v", tt.a, tt.b,
				SeqLT(tt.a, tt.b), SeqLEQ(tt.a, tt.b), SeqGT(tt.a, tt.b), SeqGEQ(tt.a, tt.b))
		}
		later, earlier := tt.a, tt.b
		if tt.lt {
			later, earlier = tt.b, tt.a
		}
		if SeqMax(tt.a, tt.b) != later || SeqMin(tt.a, tt.b) != earlier {
			t.Errorf("%#x and %#x: max %#x, min %#x", tt.a, tt.b, SeqMax(tt.a, tt.b), SeqMin(tt.a, tt.b))
		}
	}
}
