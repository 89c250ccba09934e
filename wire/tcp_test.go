package wire

import "testing"

var goldenTCP = []struct {
	name    string
	h       TCP
	payload string
	hex     string
	text    string
}{
	{"SYN",
		TCP{SrcPort: 49152, DstPort: 80, Seq: 0x01020304, Flags: SYN, Wnd: 64240,
			Opt: TCPOptions{MSS: 1460, SACKPermitted: true, TS: true, TSVal: 1, WScale: 7, HasWScale: true}},
		"", "c0000050 01020304 00000000 a002faf0 9c7b0000 020405b4 0402080a00000001 00000000 01030307",
		"S 16909060:16909060(0) win 64240 <mss 1460,sackOK,TS val 1 ecr 0,wscale 7>"},
	{"data",
		TCP{SrcPort: 49152, DstPort: 80, Seq: 0x01020305, Ack: 0xfffffffe, Flags: PSH | ACK, Wnd: 502,
			Opt: TCPOptions{TS: true, TSVal: 258, TSEcr: 772}},
		"hello", "c0000050 01020305 fffffffe 801801f6 7c4f0000 0101080a 00000102 00000304 68656c6c6f",
		"P. 16909061:16909066(5) ack 4294967294 win 502 <TS val 258 ecr 772>"},
	{"SACK",
		TCP{SrcPort: 80, DstPort: 49152, Seq: 100, Ack: 200, Flags: ACK, Wnd: 1000,
			Opt: TCPOptions{SACK: [4]SACKBlock{{300, 400}, {500, 600}}, NSACK: 2}},
		"", "0050c000 00000064 000000c8 a01003e8 a1040000 01010512 0000012c 00000190 000001f4 00000258",
		". 100:100(0) ack 200 win 1000 <sack 300:400 500:600>"},
	{"RST",
		TCP{SrcPort: 80, DstPort: 49152, Seq: 100, Ack: 200, Flags: RST | ACK},
		"", "0050c000 00000064 000000c8 50140000 02180000",
		"R. 100:100(0) ack 200 win 0"},
}

func TestTCPGolden(t *testing.T) {
	for _, tt := range goldenTCP {
		wantBytes(t, tt.name, tt.h.Append([]byte(prefix), srcIP, dstIP, []byte(tt.payload)), tt.hex)
		got, payload, err := ParseTCP(unhex(t, tt.hex), srcIP, dstIP)
		if err != nil || got != tt.h || string(payload) != tt.payload {
			t.Errorf("%s: parsed %v, %q, %v", tt.name, got, payload, err)
		}
		if got := tt.h.Text(len(tt.payload)); got != tt.text {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.text)
		}
	}
}

func TestTCPText(t *testing.T) {
	h := TCP{SrcPort: 1, DstPort: 2, Seq: 1001, Ack: 5001, Flags: FIN | ACK | URG, Wnd: 9, Urg: 3}
	if got, want := h.RelativeText(1000, 5000, 10), "FU. 1:11(10) ack 1 win 9 urg 3"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := h.String(), "TCP 1 > 2 FU. 1001:1001(0) ack 5001 win 9 urg 3"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for f, want := range map[TCPFlags]string{0: "-", SYN: "S", SYN | ACK: "S.", ACK: ".", FIN | PSH | ACK: "FP.", RST: "R", 0xff: "FSRPUEW."} {
		if f.String() != want {
			t.Errorf("%#x: %v, want %s", uint8(f), f, want)
		}
	}
	if !(SYN | ACK).Has(SYN) || (SYN | ACK).Has(SYN|FIN) {
		t.Error("Has")
	}
}

func TestSegmentLength(t *testing.T) {
	for _, tt := range []struct {
		f    TCPFlags
		n    int
		want uint32
	}{{ACK, 0, 0}, {SYN, 0, 1}, {FIN | ACK, 10, 11}, {SYN | FIN, 5, 7}, {RST, 3, 3}} {
		if got := (TCP{Flags: tt.f}).Len(tt.n); got != tt.want {
			t.Errorf("%v with %d bytes: %d, want %d", tt.f, tt.n, got, tt.want)
		}
	}
}

// resumTCP puts a right checksum into the segment b.
func resumTCP(b []byte) []byte {
	if len(b) < TCPMinLen {
		return b
	}
	b = append([]byte(nil), b...)
	b[16], b[17] = 0, 0
	c := ^Fold(Sum(PseudoSum(ProtoTCP, srcIP.As4(), dstIP.As4(), len(b)), b))
	b[16], b[17] = byte(c>>8), byte(c)
	return b
}

func TestTCPBroken(t *testing.T) {
	good := unhex(t, goldenTCP[1].hex)
	for _, tt := range []struct {
		name string
		b    []byte
		want error
	}{
		{"T-02 data offset 0", resumTCP(change(good, 12, 0)), ErrInvalid},
		{"T-02 data offset 4", resumTCP(change(good, 12, 0x40)), ErrInvalid},
		{"T-03 T-04 data offset 15", resumTCP(change(good, 12, 0xf0)), ErrShort},
		{"MUST-3 T-05 flipped bit in the data", change(good, 36, 'j'), ErrChecksum},
		{"MUST-3 T-05 flipped bit in the flags", change(good, 13, 0x19), ErrChecksum},
	} {
		_, _, err := ParseTCP(tt.b, srcIP, dstIP)
		wantErr(t, tt.name, err, tt.want)
	}
	for n := range TCPMinLen {
		_, _, err := ParseTCP(resumTCP(good[:n]), srcIP, dstIP)
		wantErr(t, "T-01", err, ErrShort)
	}
	if _, _, err := ParseTCP(good, dstIP, srcIP); err != nil {
		t.Error("the sum does not care for order, so swapped addresses pass:", err)
	}
	if _, _, err := ParseTCP(good, srcIP, srcIP); err != ErrChecksum {
		t.Errorf("to another address: %v", err)
	}
}

// parseOptions parses a segment with the given option area, padded with zeros.
func parseOptions(flags TCPFlags, opts ...byte) (TCPOptions, error) {
	for len(opts)%4 != 0 {
		opts = append(opts, 0)
	}
	b := TCP{SrcPort: 1, DstPort: 2, Flags: flags}.Append(nil, srcIP, dstIP, nil)
	b = append(b, opts...)
	b[12] = byte(5+len(opts)/4) << 4
	h, _, err := ParseTCP(resumTCP(b), srcIP, dstIP)
	return h.Opt, err
}

// MUST-7, T-09 to T-11, T-19: lengths that cannot be make the segment invalid, in bounded time.
func TestMUST7_T09_T10_T11_ImpossibleLengths(t *testing.T) {
	for name, opts := range map[string][]byte{
		"T-09 MSS length 0":         {2, 0, 5, 0xb4},
		"T-09 unknown, length 0":    {99, 0, 0, 0},
		"T-10 MSS length 1":         {2, 1, 5, 0xb4},
		"T-10 past the header":      {1, 1, 2, 4},
		"T-10 length 255":           {8, 255, 0, 0},
		"T-11 kind as the last":     {1, 1, 1, 2},
		"T-18 timestamps cut":       {1, 1, 8, 10, 0, 0, 0, 1},
		"T-12 MSS length 40":        {2, 40, 0, 0},
		"T-15 SACK length 42":       append([]byte{5, 42}, make([]byte, 34)...),
		"T-19 authentication, lies": {29, 200, 1, 1},
	} {
		for _, flags := range []TCPFlags{SYN, ACK} {
			if o, err := parseOptions(flags, opts...); err != ErrInvalid {
				t.Errorf("%s, %v: %v, %v, want ErrInvalid", name, flags, o, err)
			}
		}
	}
}

// T-12 to T-19: options whose length is possible but not their kind's are skipped, the rest is read.
func TestT12_T14_T15_T18_T19_OddOptionsAreSkipped(t *testing.T) {
	mss := []byte{2, 4, 5, 0xb4}
	for name, odd := range map[string][]byte{
		"T-12 MSS length 2":           {2, 2},
		"T-12 MSS length 3":           {2, 3, 9},
		"T-12 MSS length 5":           {2, 5, 1, 2, 3},
		"T-14 window scale length 2":  {3, 2},
		"T-14 window scale length 4":  {3, 4, 7, 7},
		"SACK-permitted length 3":     {4, 3, 0},
		"T-15 SACK length 9":          {5, 9, 0, 0, 0, 0, 0, 0, 0},
		"T-15 SACK in SYN":            {5, 10, 0, 0, 0, 1, 0, 0, 0, 2},
		"T-18 timestamps length 2":    {8, 2},
		"T-18 timestamps length 9":    {8, 9, 0, 0, 0, 0, 0, 0, 0},
		"T-18 timestamps length 12":   {8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"T-19 MD5":                    append([]byte{19, 18}, make([]byte, 16)...),
		"T-19 authentication":         {29, 4, 1, 1},
		"MUST-6 unknown 9, length 2":  {9, 2},
		"MUST-6 unknown 252, long 34": append([]byte{252, 34}, make([]byte, 32)...),
	} {
		o, err := parseOptions(SYN, append(append([]byte{}, odd...), mss...)...)
		if err != nil || o != (TCPOptions{MSS: 1460}) {
			t.Errorf("%s: %v, %v, want mss 1460 alone", name, o, err)
		}
	}
}

// MUST-4, MUST-64: any order, any alignment, and the end of the list ends it.
func TestMUST4_MUST64_AnyOrderAnyAlignment(t *testing.T) {
	want := TCPOptions{MSS: 1460, WScale: 2, HasWScale: true, SACKPermitted: true, TS: true, TSVal: 1, TSEcr: 2}
	parts := [][]byte{{2, 4, 5, 0xb4}, {3, 3, 2}, {4, 2}, {8, 10, 0, 0, 0, 1, 0, 0, 0, 2}}
	for nops := range 4 {
		for turn := range parts {
			opts := []byte{1, 1, 1}[:nops:nops]
			for i := range parts {
				opts = append(opts, parts[(i+turn)%len(parts)]...)
			}
			opts = append(opts, 0, 9) // what follows the end does not count, even if it is cut off
			if o, err := parseOptions(SYN, opts...); err != nil || o != want {
				t.Errorf("%d NOPs, turn %d: %v, %v", nops, turn, o, err)
			}
		}
	}
}

// MUST-5, WS-1, SACK-1: what belongs into a SYN alone is not read elsewhere.
func TestMUST5_WS1_SACK1_SynOptionsOutsideSyn(t *testing.T) {
	o, err := parseOptions(ACK, 2, 4, 5, 0xb4, 3, 3, 7, 4, 2)
	if err != nil || o != (TCPOptions{}) {
		t.Errorf("%v, %v, want none", o, err)
	}
}

// WS-1, T-14: shifts above 14 count as 14; the first of two counts.
func TestWS1_T14_WindowScale(t *testing.T) {
	for _, tt := range [][2]uint8{{0, 0}, {14, 14}, {15, 14}, {255, 14}} {
		o, err := parseOptions(SYN, 3, 3, tt[0], 3, 3, 1)
		if err != nil || !o.HasWScale || o.WScale != tt[1] {
			t.Errorf("shift %d: %v, %v, want %d", tt[0], o, err, tt[1])
		}
	}
}

// T-13: whatever the peer says is reported; 0 is no MSS at all, so 536 applies.
func TestT13_MSSValues(t *testing.T) {
	for _, mss := range []uint16{0, 1, 8, 47, 65535} {
		if o, err := parseOptions(SYN, 2, 4, byte(mss>>8), byte(mss)); err != nil || o.MSS != mss {
			t.Errorf("%d: %v, %v", mss, o, err)
		}
	}
}

func TestT15_SACKBlocks(t *testing.T) {
	block := func(l, r byte) []byte { return []byte{0, 0, 0, l, 0, 0, 0, r} }
	opts := []byte{5, 34}
	for _, b := range [][]byte{block(1, 2), block(4, 3), block(5, 5), block(6, 9)} {
		opts = append(opts, b...)
	}
	o, err := parseOptions(ACK, opts...)
	if err != nil || o.NSACK != 2 || o.SACK[0] != (SACKBlock{1, 2}) || o.SACK[1] != (SACKBlock{6, 9}) {
		t.Errorf("%v, %v, want the blocks 1:2 and 6:9", o, err)
	}
	if o, err := parseOptions(ACK, 5, 10, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 5); err != nil || o.NSACK != 1 {
		t.Errorf("a block over the wrap: %v, %v", o, err)
	}
	if o, err := parseOptions(ACK, 5, 2); err != nil || o != (TCPOptions{}) {
		t.Errorf("no block: %v, %v", o, err)
	}
}

// MUST-68, MUST-69: our own options are whole words, padded in front by NOPs, never more than 40 bytes.
func TestMUST69_OptionsFitAndAreAligned(t *testing.T) {
	blocks := [4]SACKBlock{{1, 2}, {3, 4}, {5, 6}, {7, 8}}
	for _, tt := range []struct {
		name string
		o    TCPOptions
		size int
	}{
		{"none", TCPOptions{}, 0},
		{"MSS", TCPOptions{MSS: 536}, 4},
		{"all of a SYN", TCPOptions{MSS: 1, SACKPermitted: true, TS: true, HasWScale: true}, 20},
		{"SACK-permitted", TCPOptions{SACKPermitted: true}, 4},
		{"4 blocks", TCPOptions{SACK: blocks, NSACK: 4}, 36},
		{"SACK-2: 3 beside timestamps", TCPOptions{TS: true, SACK: blocks, NSACK: 4}, 40},
		{"too many", TCPOptions{SACK: blocks, NSACK: 99}, 36},
		{"negative", TCPOptions{NSACK: -1}, 0},
		{"everything", TCPOptions{MSS: 1, SACKPermitted: true, TS: true, HasWScale: true, SACK: blocks, NSACK: 4}, 40},
	} {
		b := tt.o.Append(nil)
		if len(b) != tt.size || tt.o.Size() != tt.size {
			t.Errorf("%s: %d bytes, Size %d, want %d", tt.name, len(b), tt.o.Size(), tt.size)
		}
	}
}

// T-50: reserved bits mean nothing.
func TestT50_ReservedBits(t *testing.T) {
	b := change(unhex(t, goldenTCP[1].hex), 12, 0x8f)
	if h, _, err := ParseTCP(resumTCP(b), srcIP, dstIP); err != nil || h != goldenTCP[1].h {
		t.Errorf("%v, %v", h, err)
	}
}

func FuzzTCP(f *testing.F) {
	for _, tt := range goldenTCP {
		f.Add(unhex(f, tt.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, payload, err := ParseTCP(resumTCP(b), srcIP, dstIP)
		if err != nil {
			return
		}
		if h.Opt.Size() != len(h.Opt.Append(nil)) || h.Opt.Size() > TCPMaxOptions {
			t.Errorf("%v: size %d", h, h.Opt.Size())
		}
		_ = h.Text(len(payload))
		again, p, err := ParseTCP(h.Append(nil, srcIP, dstIP, payload), srcIP, dstIP)
		if err != nil || again != h || string(p) != string(payload) {
			t.Errorf("%v became %v, %v", h, again, err)
		}
	})
}

func BenchmarkTCP(b *testing.B) {
	buf, payload := make([]byte, 0, 1500), make([]byte, 1448)
	h := TCP{SrcPort: 1, DstPort: 2, Flags: ACK, Opt: TCPOptions{TS: true}}
	b.Run("Append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h.Append(buf, srcIP, dstIP, payload)
		}
	})
	seg := h.Append(nil, srcIP, dstIP, payload)
	b.Run("Parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ParseTCP(seg, srcIP, dstIP)
		}
	})
}
