package wifi

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"reflect"
	"testing"

	"github.com/understudy-net/understudy/wire"
)

var golden = []struct {
	m    Management
	want string // without the check sequence
	text string
}{
	{Management{Subtype: Beacon, Timestamp: 0x0102030405060708, Interval: 100, Capability: 0x11, SSID: []byte("net"), Channel: 6, RSN: rsnPSK},
		"8000" + "0807060504030201" + "6400" + "1100" + "00036e6574" + "030106" + "30140100000fac040100000fac040100000fac020000",
		`Beacon "net" ch 6 WPA2-PSK`},
	{Management{Subtype: ProbeResponse, Interval: 100, Capability: 1, SSID: []byte("net"), Channel: 6, Extra: []byte{0xdd, 1, 7}},
		"5000" + "0000000000000000" + "6400" + "0100" + "00036e6574" + "030106" + "dd0107", `Probe Response "net" ch 6 open`},
	{Management{Subtype: ProbeRequest, SSID: []byte{}}, "4000" + "0000", `Probe Request ""`},
	{Management{Subtype: ProbeRequest, SSID: []byte("net")}, "4000" + "00036e6574", `Probe Request "net"`},
	{Management{Subtype: Authentication, Sequence: 1}, "b000" + "0000" + "0100" + "0000", "Authentication seq 1 SUCCESS"},
	{Management{Subtype: AssociationRequest, Capability: 1, ListenInterval: 10, SSID: []byte("net"), RSN: []byte{1, 0}},
		"0000" + "0100" + "0a00" + "00036e6574" + "30020100", `Association Request "net"`},
	{Management{Subtype: AssociationResponse, Capability: 1, Status: StatusFull, AID: 5}, "1000" + "0100" + "1100" + "05c0",
		"Association Response DENIED_NO_MORE_STAS aid 5"},
	{Management{Subtype: Deauthentication, Reason: CodeHandshakeTimeout}, "c000" + "0f00", "Deauthentication 4WAY_HANDSHAKE_TIMEOUT"},
	{Management{Subtype: Disassociation, Reason: 999}, "a000" + "e703", "Disassociation reason(999)"},
	{Management{Subtype: Null}, "4800", "Null"},
}

// sealed appends the check sequence.
func sealed(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(bytes.Clone(b), crc32.ChecksumIEEE(b))
}

func TestManagementGoldenBytes(t *testing.T) {
	for _, c := range golden {
		want := sealed(unhex(t, c.want))
		got := c.m.Append(nil)
		if !bytes.Equal(got, want) {
			t.Errorf("%v: %x, want %x", c.m, got, want)
		}
		back, err := ParseManagement(want)
		if err != nil || !reflect.DeepEqual(back, c.m) {
			t.Errorf("parsed %+v, %v, want %+v", back, err, c.m)
		}
		if c.m.String() != c.text {
			t.Errorf("prints as %s, want %s", c.m, c.text)
		}
	}
}

func TestManagementBroken(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     error
	}{
		{"unknown subtype", "f000", wire.ErrInvalid},
		{"flags", "8001", wire.ErrInvalid},
		{"beacon cut in its fields", "8000" + "0807060504030201" + "6400" + "11", wire.ErrShort},
		{"beacon without elements", "8000" + "0807060504030201" + "6400" + "1100", wire.ErrShort},
		{"element cut in its header", "4000" + "00", wire.ErrShort},
		{"element cut in its body", "4000" + "0003" + "6e65", wire.ErrShort},
		{"SSID of 33 bytes", "4000" + "0021" + hex.EncodeToString(make([]byte, 33)), wire.ErrInvalid},
		{"no SSID first", "4000" + "dd0101", wire.ErrInvalid},
		{"channel of 2 bytes", "8000" + "0000000000000000" + "6400" + "0100" + "0000" + "03020606", wire.ErrInvalid},
		{"channel 0", "8000" + "0000000000000000" + "6400" + "0100" + "0000" + "030100", wire.ErrInvalid},
		{"RSN cut", "8000" + "0000000000000000" + "6400" + "0100" + "0000" + "3014" + "0100", wire.ErrShort},
		{"further element cut", "4000" + "0000" + "dd09" + "01", wire.ErrShort},
		{"bytes after a deauthentication", "c000" + "0f00" + "00", wire.ErrInvalid},
		{"short authentication", "b000" + "0000" + "0100", wire.ErrShort},
	} {
		if m, err := ParseManagement(sealed(unhex(t, c.in))); !errors.Is(err, c.want) || !reflect.DeepEqual(m, Management{}) {
			t.Errorf("%s: %+v, %v, want %v", c.name, m, err, c.want)
		}
	}
	good := golden[0].m.Append(nil)
	for n := range len(good) {
		if _, err := ParseManagement(good[:n]); err == nil {
			t.Errorf("the first %d of %d bytes pass", n, len(good))
		}
		bad := bytes.Clone(good)
		bad[n] ^= 4
		if _, err := ParseManagement(bad); !errors.Is(err, wire.ErrChecksum) {
			t.Errorf("byte %d changed: %v", n, err)
		}
	}
}

func TestManagementCutsWhatIsTooLong(t *testing.T) {
	m := Management{Subtype: Beacon, SSID: make([]byte, 40), RSN: make([]byte, 300)}
	got, err := ParseManagement(m.Append(nil))
	if err != nil || len(got.SSID) != 32 || len(got.RSN) != 255 {
		t.Errorf("SSID of %d, RSN of %d bytes, %v", len(got.SSID), len(got.RSN), err)
	}
}

func TestParsingAMessageCostsNoAllocation(t *testing.T) {
	b := golden[0].m.Append(nil)
	out := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() {
		m, err := ParseManagement(b)
		if err != nil || securityOf(m) != WPA2PSK {
			t.Fatal(err)
		}
		out = m.Append(out[:0])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParseManagement(f *testing.F) {
	for _, c := range golden {
		b, err := hex.DecodeString(c.want)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		_, _ = ParseManagement(body) // the check sequence as it comes
		m, err := ParseManagement(sealed(body))
		if err != nil {
			return
		}
		_ = m.String()
		again, err := ParseManagement(m.Append(nil))
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("%+v, then %+v, %v", m, again, err)
		}
	})
}
