package wire

import "testing"

const goldenEthernet = "02005e005302 02005e005301 0800"

func TestEthernetGolden(t *testing.T) {
	h := Ethernet{Dst: macB, Src: macA, Type: EtherTypeIPv4}
	wantBytes(t, "IPv4", h.Append([]byte(prefix)), goldenEthernet)
	got, payload, err := ParseEthernet(unhex(t, goldenEthernet+"abcd"))
	if err != nil || got != h || string(payload) != "\xab\xcd" {
		t.Errorf("parsed %v, %x, %v", got, payload, err)
	}
}

func TestE01_ShortFrames(t *testing.T) {
	b := unhex(t, goldenEthernet)
	for n := range len(b) {
		_, _, err := ParseEthernet(b[:n])
		wantErr(t, "short frame", err, ErrShort)
	}
	if _, payload, err := ParseEthernet(b); err != nil || len(payload) != 0 {
		t.Errorf("header alone: %x, %v", payload, err)
	}
}

// LNK-1: a length is never taken for a type.
func TestLNK1_E03_LengthFieldIsNoType(t *testing.T) {
	b := unhex(t, goldenEthernet+"aaaa03000000 0800 4500")
	for _, field := range []EtherType{0, 46, 0x05dc, 0x05ff} {
		b[12], b[13] = byte(field>>8), byte(field)
		_, _, err := ParseEthernet(b)
		wantErr(t, field.String(), err, ErrInvalid)
	}
}

func TestEtherTypeText(t *testing.T) {
	for e, want := range map[EtherType]string{EtherTypeARP: "ARP", EtherTypeEAPOL: "EAPOL", EtherTypeIPv4: "IPv4", 0x86dd: "ethertype(0x86dd)"} {
		if e.String() != want {
			t.Errorf("%#x: %v, want %s", uint16(e), e, want)
		}
	}
	h := Ethernet{Dst: macB, Src: macA, Type: EtherTypeARP}
	if got, want := h.String(), "02:00:5e:00:53:01 > 02:00:5e:00:53:02 ARP"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func FuzzEthernet(f *testing.F) {
	f.Add(unhex(f, goldenEthernet))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, payload, err := ParseEthernet(b)
		if err != nil {
			return
		}
		if again, p, err := ParseEthernet(append(h.Append(nil), payload...)); err != nil || again != h || string(p) != string(payload) {
			t.Errorf("%v became %v, %v", h, again, err)
		}
	})
}
