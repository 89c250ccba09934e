package wire

import "testing"

const goldenUDP = "0044 0043 000b 4eb2 616263"

func TestUDPGolden(t *testing.T) {
	h := UDP{SrcPort: 68, DstPort: 67}
	wantBytes(t, "abc", h.Append([]byte(prefix), srcIP, dstIP, []byte("abc")), goldenUDP)
	got, payload, err := ParseUDP(unhex(t, goldenUDP), srcIP, dstIP)
	if err != nil || got != h || string(payload) != "abc" {
		t.Errorf("parsed %v, %q, %v", got, payload, err)
	}
	wantBytes(t, "empty", UDP{0x1234, 53}.Append([]byte(prefix), srcIP, dstIP, nil), "1234003500080139")
}

// UDP-2: a checksum that comes out as zero is sent as 0xffff.
func TestUDP2_ComputedZeroGoesOutAsOnes(t *testing.T) {
	wantBytes(t, "zero", UDP{1, 2}.Append([]byte(prefix), srcIP, dstIP, []byte{0x13, 0x9b}), "00010002000affff139b")
	if _, _, err := ParseUDP(unhex(t, "00010002000affff139b"), srcIP, dstIP); err != nil {
		t.Errorf("0xffff: %v", err)
	}
}

// UDP-2, U-04: zero means that there is none.
func TestUDP2_U04_NoChecksumIsAccepted(t *testing.T) {
	if _, p, err := ParseUDP(unhex(t, "00440043000b0000616263"), srcIP, dstIP); err != nil || string(p) != "abc" {
		t.Errorf("%q, %v", p, err)
	}
}

// UDP-1, U-03: the excess is cut off, and does not count in the checksum.
func TestUDP1_U03_ExcessIsCutOff(t *testing.T) {
	_, p, err := ParseUDP(append(unhex(t, goldenUDP), "rest"...), srcIP, dstIP)
	if err != nil || string(p) != "abc" || cap(p) != 3 {
		t.Errorf("%q (cap %d), %v", p, cap(p), err)
	}
}

func TestUDPBroken(t *testing.T) {
	good := unhex(t, goldenUDP)
	for _, tt := range []struct {
		name string
		b    []byte
		want error
	}{
		{"U-01 length 0", change(good, 5, 0), ErrInvalid},
		{"U-01 length 7", change(good, 5, 7), ErrInvalid},
		{"U-02 length one too many", change(good, 5, 12), ErrShort},
		{"U-02 length 65535", change(change(good, 4, 0xff), 5, 0xff), ErrShort},
		{"U-04 payload changed", change(good, 10, 'd'), ErrChecksum},
		{"U-04 checksum 0xffff", change(change(good, 6, 0xff), 7, 0xff), ErrChecksum},
	} {
		_, _, err := ParseUDP(tt.b, srcIP, dstIP)
		wantErr(t, tt.name, err, tt.want)
	}
	for n := range len(good) {
		_, _, err := ParseUDP(good[:n], srcIP, dstIP)
		wantErr(t, "truncated", err, ErrShort)
	}
	if _, _, err := ParseUDP(good, dstIP, dstIP); err != ErrChecksum {
		t.Errorf("from another address: %v, want ErrChecksum", err)
	}
}

func TestUDPText(t *testing.T) {
	if got := (UDP{68, 67}).String(); got != "UDP 68 > 67" {
		t.Error(got)
	}
}

func FuzzUDP(f *testing.F) {
	f.Add(unhex(f, goldenUDP))
	f.Add(unhex(f, "1234003500080139"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= UDPLen {
			b = change(change(b, 6, 0), 7, 0)
		}
		h, payload, err := ParseUDP(b, srcIP, dstIP)
		if err != nil {
			return
		}
		again, p, err := ParseUDP(h.Append(nil, srcIP, dstIP, payload), srcIP, dstIP)
		if err != nil || again != h || string(p) != string(payload) {
			t.Errorf("%v became %v, %v", h, again, err)
		}
	})
}
