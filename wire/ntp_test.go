package wire

import (
	"testing"
	"time"
)

const goldenNTP = "24020ae9 00000a3d 00000f5c c0000202" +
	"e9a1b2c3 00000000 e9a1b2c4 80000000 e9a1b2c5 00000001 e9a1b2c5 40000000"

var goldenNTPPacket = NTP{
	Version: 4, Mode: NTPServer, Stratum: 2, Poll: 10, Precision: -23,
	RootDelay: 0x0a3d, RootDispersion: 0x0f5c, RefID: [4]byte{192, 0, 2, 2},
	Reference: 0xe9a1b2c3_00000000, Originate: 0xe9a1b2c4_80000000,
	Receive: 0xe9a1b2c5_00000001, Transmit: 0xe9a1b2c5_40000000,
}

func TestNTPGolden(t *testing.T) {
	wantBytes(t, "reply", goldenNTPPacket.Append([]byte(prefix)), goldenNTP)
	if got, err := ParseNTP(unhex(t, goldenNTP)); err != nil || got != goldenNTPPacket {
		t.Errorf("parsed %v, %v", got, err)
	}
	// NTP-1: a request is the version, the mode and the time.
	wantBytes(t, "request", NTP{Version: 4, Mode: NTPClient, Transmit: 1}.Append([]byte(prefix)),
		"23000000"+"00000000"+"00000000"+"00000000"+"0000000000000000"+"0000000000000000"+"0000000000000000"+"0000000000000001")
}

func TestN01_NTPLengths(t *testing.T) {
	b := unhex(t, goldenNTP)
	for n := range len(b) {
		_, err := ParseNTP(b[:n])
		wantErr(t, "short", err, ErrShort)
	}
	if p, err := ParseNTP(append(b, "extension fields"...)); err != nil || p != goldenNTPPacket {
		t.Errorf("with extensions: %v, %v", p, err)
	}
}

// NTP-7, N-07: the count of seconds begins anew on 7 February 2036 (RFC 4330, 3).
func TestNTP7_N07_Eras(t *testing.T) {
	for _, tt := range []struct {
		ts   NTPTime
		want string
	}{
		{0x83aa7e80_00000000, "1970-01-01T00:00:00Z"},
		{0xffffffff_00000000, "2036-02-07T06:28:15Z"},
		{0x00000000_80000000, "2036-02-07T06:28:16.5Z"},
		{0x00000001_00000000, "2036-02-07T06:28:17Z"},
		{0x80000000_00000000, "1968-01-20T03:14:08Z"},
		{0x7fffffff_00000000, "2104-02-26T09:42:23Z"},
	} {
		if got := tt.ts.String(); got != tt.want {
			t.Errorf("%#x: %s, want %s", uint64(tt.ts), got, tt.want)
		}
		if got := NTPTimeOf(tt.ts.Time()); got != tt.ts {
			t.Errorf("%#x came back as %#x", uint64(tt.ts), uint64(got))
		}
	}
	if NTPTime(0).String() != "0" || !NTPTime(0).Time().IsZero() {
		t.Error("zero is not a time")
	}
}

func TestNTPTimeKeepsNanoseconds(t *testing.T) {
	base := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for _, ns := range []int{0, 1, 2, 3, 499_999_999, 500_000_000, 999_999_998, 999_999_999} {
		want := base.Add(time.Duration(ns))
		if got := NTPTimeOf(want).Time(); !got.Equal(want) {
			t.Errorf("%v came back as %v", want, got)
		}
	}
}

func TestNTPText(t *testing.T) {
	p := NTP{Version: 4, Mode: NTPClient}
	if got, want := p.String(), "NTPv4 client stratum 0 transmit 0"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for m, want := range map[NTPMode]string{NTPServer: "server", NTPBroadcast: "broadcast", 6: "mode(6)"} {
		if m.String() != want {
			t.Errorf("%v, want %s", m, want)
		}
	}
}

func FuzzNTP(f *testing.F) {
	f.Add(unhex(f, goldenNTP))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseNTP(b)
		if err != nil {
			return
		}
		_ = p.String()
		if again, err := ParseNTP(p.Append(nil)); err != nil || again != p {
			t.Errorf("%v became %v, %v", p, again, err)
		}
	})
}
