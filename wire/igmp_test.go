package wire

import (
	"net/netip"
	"testing"
)

var goldenIGMP = []struct {
	m   IGMP
	hex string
}{
	{IGMP{IGMPQuery, 100, netip.IPv4Unspecified()}, "1164ee9b00000000"},
	{IGMP{IGMPReportV2, 0, netip.MustParseAddr("239.1.2.3")}, "1600f8faef010203"},
}

func TestIGMPGolden(t *testing.T) {
	for _, tt := range goldenIGMP {
		wantBytes(t, tt.m.String(), tt.m.Append([]byte(prefix)), tt.hex)
		if got, err := ParseIGMP(unhex(t, tt.hex)); err != nil || got != tt.m {
			t.Errorf("parsed %v, %v, want %v", got, err, tt.m)
		}
	}
}

// I-25: a query that is too short, and one that claims 65535 sources and has none.
func TestI25_BrokenIGMP(t *testing.T) {
	good := unhex(t, goldenIGMP[0].hex)
	for n := range len(good) {
		_, err := ParseIGMP(good[:n])
		wantErr(t, "short", err, ErrShort)
	}
	_, err := ParseIGMP(change(good, 1, 99))
	wantErr(t, "checksum", err, ErrChecksum)
	v3 := append(change(change(good, 2, 0), 3, 0), 0, 0, 0xff, 0xff)
	c := Checksum(v3)
	v3[2], v3[3] = byte(c>>8), byte(c)
	if m, err := ParseIGMP(v3); err != nil || m.Type != IGMPQuery {
		t.Errorf("version 3: %v, %v", m, err)
	}
}

func TestIGMPText(t *testing.T) {
	for typ, want := range map[IGMPType]string{
		IGMPQuery: "membership query", IGMPReportV1: "version 1 membership report",
		IGMPReportV2: "version 2 membership report", IGMPLeave: "leave group", 0x22: "igmp(0x22)",
	} {
		if typ.String() != want {
			t.Errorf("%v, want %s", typ, want)
		}
	}
}

func FuzzIGMP(f *testing.F) {
	for _, tt := range goldenIGMP {
		f.Add(unhex(f, tt.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= IGMPLen {
			b = change(change(b, 2, 0), 3, 0)
			c := Checksum(b)
			b[2], b[3] = byte(c>>8), byte(c)
		}
		m, err := ParseIGMP(b)
		if err != nil {
			return
		}
		if again, err := ParseIGMP(m.Append(nil)); err != nil || again != m {
			t.Errorf("%v became %v, %v", m, again, err)
		}
	})
}
