package wire

import "testing"

var goldenICMP = []struct {
	name string
	h    ICMP
	body string
	hex  string
}{
	{"echo", ICMP{Type: ICMPEcho, ID: 0x1234, Seq: 7}, "ping!", "0800e5f31234000770696e6721"},
	{"fragmentation needed", ICMP{Type: ICMPUnreachable, Code: ICMPFragmentationNeeded, MTU: 1400}, "\x45\x00\x00\x14", "0304b26f0000057845000014"},
	{"port unreachable", ICMP{Type: ICMPUnreachable, Code: ICMPPortUnreachable}, "quoted", "0303b6ae0000000071756f746564"},
	{"parameter problem", ICMP{Type: ICMPParameterProblem, Pointer: 20}, "", "0c00dfff14000000"},
}

func TestICMPGolden(t *testing.T) {
	for _, tt := range goldenICMP {
		wantBytes(t, tt.name, tt.h.Append([]byte(prefix), []byte(tt.body)), tt.hex)
		got, body, err := ParseICMP(unhex(t, tt.hex))
		if err != nil || got != tt.h || string(body) != tt.body {
			t.Errorf("%s: parsed %v, %q, %v", tt.name, got, body, err)
		}
	}
}

func TestICMP1_C01_C06_Broken(t *testing.T) {
	good := unhex(t, goldenICMP[0].hex)
	for n := range ICMPLen {
		_, _, err := ParseICMP(good[:n])
		wantErr(t, "C-01", err, ErrShort)
	}
	for i := range good {
		_, _, err := ParseICMP(change(good, i, good[i]^0x10))
		wantErr(t, "C-06", err, ErrChecksum)
	}
	_, _, err := ParseICMP(good[:len(good)-1])
	wantErr(t, "cut", err, ErrChecksum)
}

func TestICMPErrorsAreTold(t *testing.T) {
	for typ, want := range map[ICMPType]bool{
		ICMPEcho: false, ICMPEchoReply: false, ICMPRouterAdvert: false, 13: false,
		ICMPUnreachable: true, ICMPSourceQuench: true, ICMPRedirect: true, ICMPTimeExceeded: true, ICMPParameterProblem: true,
	} {
		if typ.IsError() != want {
			t.Errorf("%v: %v", typ, !want)
		}
	}
}

func TestICMPText(t *testing.T) {
	for want, h := range map[string]ICMP{
		"ICMP echo id 1 seq 2":                         {Type: ICMPEcho, ID: 1, Seq: 2},
		"ICMP echo reply id 1 seq 2":                   {Type: ICMPEchoReply, ID: 1, Seq: 2},
		"ICMP destination unreachable code 4 mtu 1400": {Type: ICMPUnreachable, Code: 4, MTU: 1400},
		"ICMP time exceeded code 1":                    {Type: ICMPTimeExceeded, Code: 1},
		"ICMP source quench code 0":                    {Type: ICMPSourceQuench},
		"ICMP redirect code 1":                         {Type: ICMPRedirect, Code: 1},
		"ICMP router advertisement code 0":             {Type: ICMPRouterAdvert},
		"ICMP parameter problem code 0":                {Type: ICMPParameterProblem},
		"ICMP icmp(17) code 0":                         {Type: 17},
	} {
		if h.String() != want {
			t.Errorf("%s, want %s", h, want)
		}
	}
}

func FuzzICMP(f *testing.F) {
	for _, tt := range goldenICMP {
		f.Add(unhex(f, tt.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= ICMPLen {
			b = change(change(b, 2, 0), 3, 0)
			c := Checksum(b)
			b[2], b[3] = byte(c>>8), byte(c)
		}
		h, body, err := ParseICMP(b)
		if err != nil {
			return
		}
		again, p, err := ParseICMP(h.Append(nil, body))
		if err != nil || again != h || string(p) != string(body) {
			t.Errorf("%v became %v, %v", h, again, err)
		}
	})
}
