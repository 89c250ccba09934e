package wire

import (
	"net/netip"
	"reflect"
	"testing"
)

var goldenIPv4 = []struct {
	name string
	h    IPv4
	n    int // payload
	hex  string
}{
	{"UDP, DF", IPv4{DF: true, TTL: 64, Proto: ProtoUDP, Src: netip.MustParseAddr("192.168.0.1"), Dst: netip.MustParseAddr("192.168.0.199")},
		0x73 - 20, "45000073 00004000 4011b861 c0a80001 c0a800c7"},
	{"fragment", IPv4{TOS: 0x10, ID: 0xbeef, MF: true, Offset: 1480, TTL: 64, Proto: ProtoICMP, Src: srcIP, Dst: dstIP},
		8, "4510001c beef20b9 4001aeec c0000201 c6336407"},
	{"router alert", IPv4{ID: 1, DF: true, TTL: 255, Proto: ProtoIGMP, Src: srcIP, Dst: dstIP, Options: routerAlert},
		0, "46000018 00014000 ff02faa1 c0000201 c6336407 94040000"},
}

func TestIPv4Golden(t *testing.T) {
	for _, tt := range goldenIPv4 {
		wantBytes(t, tt.name, tt.h.Append([]byte(prefix), tt.n), tt.hex)
		got, payload, err := ParseIPv4(append(unhex(t, tt.hex), make([]byte, tt.n)...))
		if err != nil || len(payload) != tt.n || !reflect.DeepEqual(got, tt.h) {
			t.Errorf("%s: parsed %v, %d bytes, %v", tt.name, got, len(payload), err)
		}
	}
}

// resum puts a right checksum into the header at the start of b.
func resum(b []byte) []byte {
	n := min(int(b[0]&15)*4, len(b))
	if n < 12 {
		return b
	}
	b[10], b[11] = 0, 0
	c := Checksum(b[:n])
	b[10], b[11] = byte(c>>8), byte(c)
	return b
}

func TestIPv4Broken(t *testing.T) {
	good := IPv4{TTL: 64, Proto: ProtoUDP, Src: srcIP, Dst: dstIP}.Append(nil, 20)
	good = append(good, make([]byte, 20)...)
	for _, tt := range []struct {
		id, name string
		b        []byte
		want     error
	}{
		{"IP-1 I-01", "version 0", resum(change(good, 0, 0x05)), ErrInvalid},
		{"IP-1 I-01", "version 5", resum(change(good, 0, 0x55)), ErrInvalid},
		{"IP-1 I-01", "version 6", resum(change(good, 0, 0x65)), ErrInvalid},
		{"IP-1 I-01", "version 15", resum(change(good, 0, 0xf5)), ErrInvalid},
		{"IP-2 I-02", "IHL 0", change(good, 0, 0x40), ErrInvalid},
		{"IP-2 I-02", "IHL 1", change(good, 0, 0x41), ErrInvalid},
		{"IP-2 I-02", "IHL 4", resum(change(good, 0, 0x44)), ErrInvalid},
		{"IP-2 I-03", "IHL 15 in 20 bytes", change(good, 0, 0x4f)[:20], ErrInvalid},
		{"I-04", "TL 0", resum(change(good, 3, 0)), ErrInvalid},
		{"I-04", "TL 19", resum(change(good, 3, 19)), ErrInvalid},
		{"I-04", "TL below IHL", resum(change(change(good, 0, 0x46), 3, 23)), ErrInvalid},
		{"I-05", "TL 1500", resum(change(change(good, 2, 5), 3, 0xdc)), ErrShort},
		{"I-05", "TL one more than arrived", resum(change(good, 3, 41)), ErrShort},
		{"IP-3 I-07", "checksum wrong by one", change(good, 11, good[11]+1), ErrChecksum},
		{"IP-3 I-07", "checksum 0", change(change(good, 10, 0), 11, 0), ErrChecksum},
		{"IP-3 I-07", "checksum 0xffff", change(change(good, 10, 0xff), 11, 0xff), ErrChecksum},
		{"IP-9 I-12", "option length 0", withOptions(148, 0, 0, 0), ErrInvalid},
		{"IP-9 I-12", "option length 1", withOptions(148, 1, 0, 0), ErrInvalid},
		{"IP-9 I-13", "option length 40 with 3 bytes left", withOptions(1, 131, 40, 4), ErrInvalid},
		{"IP-9", "option kind as the last byte", withOptions(1, 1, 1, 7), ErrInvalid},
		{"E-02", "nothing", nil, ErrShort},
	} {
		_, _, err := ParseIPv4(tt.b)
		wantErr(t, tt.id+" "+tt.name, err, tt.want)
	}
	for n := range len(good) { // also E-02
		if _, _, err := ParseIPv4(good[:n]); err != ErrShort {
			t.Errorf("first %d bytes: %v, want ErrShort", n, err)
		}
	}
}

// withOptions returns a packet with the given option area and a right checksum.
func withOptions(opts ...byte) []byte {
	return IPv4{TTL: 1, Proto: ProtoUDP, Src: srcIP, Dst: dstIP, Options: opts}.Append(nil, 0)
}

// LNK-4, I-06: the total length decides what is data.
func TestLNK4_I06_PaddingIsCutOff(t *testing.T) {
	b := IPv4{Proto: ProtoUDP, Src: srcIP, Dst: dstIP}.Append(nil, 3)
	b = append(b, "abc and the padding of a frame"...)
	_, payload, err := ParseIPv4(b)
	if err != nil || string(payload) != "abc" || cap(payload) != 3 {
		t.Errorf("payload %q (cap %d), %v", payload, cap(payload), err)
	}
}

// IP-9, I-16, I-17, I-19, I-20: options that keep to their lengths do not stop a packet.
func TestIP9_I19_I20_WellFormedOptionsAreAccepted(t *testing.T) {
	nops := make([]byte, 40)
	for i := range nops {
		nops[i] = 1
	}
	for name, opts := range map[string][]byte{
		"40 bytes of NOP":                nops,
		"end of list, rubbish behind":    {0, 148, 0, 99},
		"router alert":                   routerAlert,
		"CIPSO":                          {134, 6, 0, 0, 0, 1, 0, 0},
		"unknown kind 130":               {130, 3, 7, 0},
		"unknown kind 255":               {255, 2, 1, 1},
		"record route, pointer 0":        {7, 7, 0, 0, 0, 0, 0, 0},
		"timestamp, flag 3, overflow 15": {68, 4, 5, 0xf3},
	} {
		h, _, err := ParseIPv4(withOptions(opts...))
		if err != nil || string(h.Options) != string(opts) || h.SourceRouted() {
			t.Errorf("%s: options %x, routed %v, %v", name, h.Options, h.SourceRouted(), err)
		}
	}
}

// IP-10, I-14, I-15: source routes can be told, whatever is in them.
func TestIP10_I14_SourceRoutesAreSeen(t *testing.T) {
	for name, opts := range map[string][]byte{
		"loose":         {131, 7, 4, 10, 0, 0, 1, 0},
		"strict":        {137, 3, 255, 0},
		"behind others": {1, 148, 4, 0, 0, 131, 3, 0},
		"two":           {131, 3, 0, 137, 3, 0, 0, 0},
	} {
		h, _, err := ParseIPv4(withOptions(opts...))
		if err != nil || !h.SourceRouted() {
			t.Errorf("%s: routed %v, %v", name, h.SourceRouted(), err)
		}
	}
}

func TestIPv4OptionsIterator(t *testing.T) {
	type option struct {
		Kind IPv4OptionKind
		Data string
	}
	var got []option
	for k, d := range IPv4Options([]byte{1, 148, 4, 9, 8, 1, 7, 3, 4, 0, 99, 99}) {
		got = append(got, option{k, string(d)})
	}
	want := []option{{IPv4OptionRouterAlert, "\x09\x08"}, {IPv4OptionRecordRoute, "\x04"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	for range IPv4Options([]byte{148, 4, 0, 0, 7, 99}) {
		break // stopping early is fine
	}
	n := 0
	for range IPv4Options([]byte{148, 4, 0, 0, 7, 99}) {
		n++
	}
	if n != 1 {
		t.Errorf("%d options before the broken one, want 1", n)
	}
}

func TestIPv4OptionsThatDoNotFit(t *testing.T) {
	if b := withOptions(make([]byte, 41)...); len(b) != 20 {
		t.Errorf("41 bytes of options make a header of %d bytes, want 20", len(b))
	}
	if b := withOptions(1, 1, 1); len(b) != 24 {
		t.Errorf("3 bytes of options make a header of %d bytes, want 24", len(b))
	}
}

// I-21, I-24: odd flags are reported, not judged.
func TestI21_I24_Flags(t *testing.T) {
	b := IPv4{DF: true, MF: true, Offset: 65528, Src: srcIP, Dst: dstIP}.Append(nil, 0)
	b[6] |= 0x80
	h, _, err := ParseIPv4(resum(b))
	if err != nil || !h.DF || !h.MF || h.Offset != 65528 || !h.IsFragment() {
		t.Errorf("%v, %v", h, err)
	}
	if (IPv4{DF: true}).IsFragment() {
		t.Error("a whole packet is taken for a fragment")
	}
}

func TestIPv4Text(t *testing.T) {
	h := IPv4{ID: 7, DF: true, MF: true, Offset: 8, TTL: 64, Proto: 41, Src: srcIP, Dst: dstIP, Options: routerAlert}
	if got, want := h.String(), "192.0.2.1 > 198.51.100.7 proto(41) ttl 64 id 7 DF offset 8 MF options 94040000"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for p, want := range map[Proto]string{ProtoICMP: "ICMP", ProtoIGMP: "IGMP", ProtoTCP: "TCP", ProtoUDP: "UDP"} {
		if p.String() != want {
			t.Errorf("%d: %v", uint8(p), p)
		}
	}
}

func FuzzIPv4(f *testing.F) {
	for _, tt := range goldenIPv4 {
		f.Add(append(unhex(f, tt.hex), make([]byte, tt.n)...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= IPv4MinLen {
			b = resum(append([]byte(nil), b...)) // or nothing but checksums gets tested
		}
		h, payload, err := ParseIPv4(b)
		if err != nil {
			return
		}
		h.SourceRouted()
		for range IPv4Options(h.Options) {
		}
		again, p, err := ParseIPv4(append(h.Append(nil, len(payload)), payload...))
		if err != nil || !reflect.DeepEqual(again, h) || string(p) != string(payload) {
			t.Errorf("%v became %v, %v", h, again, err)
		}
	})
}
