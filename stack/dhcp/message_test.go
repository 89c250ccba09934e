package dhcp

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/understudy-net/understudy/wire"
)

var (
	mac    = wire.MAC{0x02, 0, 0x5e, 0, 0x53, 1}
	server = netip.MustParseAddr("192.168.5.1")
	leased = netip.MustParseAddr("192.168.5.100")
	mask24 = netip.MustParseAddr("255.255.255.0")
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// fixed returns the 240 bytes before the options of an answer with the given yiaddr.
func fixed(op string, yiaddr string) string {
	return op + "010600" + "deadbeef" + "0003" + "8000" + "00000000" + yiaddr + "00000000" + "00000000" +
		"02005e005301" + strings.Repeat("00", 10+64+128) + "63825363"
}

func TestMessageGolden(t *testing.T) {
	m := Message{
		Op: BootReply, XID: 0xdeadbeef, Secs: 3, Broadcast: true, YourIP: leased, MAC: mac,
		Type: Ack, ServerID: server, LeaseTime: 3600, T1: 1800, T2: 3150, Mask: mask24,
		Routers: []netip.Addr{server}, DNS: []netip.Addr{server, addr("192.0.2.53")}, Domain: "example",
		ClientID: []byte{1, 2, 0, 0x5e, 0, 0x53, 1},
	}
	want := fixed("02", "c0a80564") + "350105" + "3604c0a80501" + // order: type and server first,
		"0104ffffff00" + "0304c0a80501" + // then as asked, the mask before the routers,
		"330400000e10" +
		"3d0701 02005e005301" + "3a0400000708" + "3b0400000c4e" + "0608c0a80501c0000235" + "0f076578616d706c65" + "ff"
	got := m.Append([]byte("pre"), []byte{optRouters, optMask, optLeaseTime})
	if !strings.HasPrefix(string(got), "pre") {
		t.Fatal("Append overwrote what was there")
	}
	got = got[3:]
	wantBytes := unhex(t, want)
	for len(wantBytes) < 300 {
		wantBytes = append(wantBytes, 0)
	}
	if string(got) != string(wantBytes) {
		t.Errorf("appended\n%x, want\n%x", got, wantBytes)
	}
	parsed, err := Parse(wantBytes)
	if err != nil || !reflect.DeepEqual(parsed, m) {
		t.Errorf("parsed\n%+v, want\n%+v, %v", parsed, m, err)
	}
	if got, want := m.String(), "DHCPACK xid deadbeef 02:00:5e:00:53:01 yiaddr 192.168.5.100 server 192.168.5.1 lease 3600 s"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestDC2_AtLeast300Bytes(t *testing.T) {
	m := Message{Op: BootRequest, MAC: mac, Type: Discover}
	if b := m.Append(nil, nil); len(b) != 300 {
		t.Errorf("%d bytes, want 300", len(b))
	}
}

// with returns an answer that has the given options behind its type and nothing else.
func with(options string) string { return fixed("02", "c0a80564") + "350102" + options }

// The rows of hostile-inputs.md that a parser has to see, for client and server alike (V-13).
func TestD01_D02_D03_D05_D16_V13_BrokenMessages(t *testing.T) {
	good := unhex(t, with("ff"))
	for n := range 240 {
		if _, err := Parse(good[:n]); err != ErrShort {
			t.Errorf("D-01: %d bytes: %v, want ErrShort", n, err)
		}
	}
	set := func(at int, v byte) string {
		b := append([]byte(nil), good...)
		b[at] = v
		return hex.EncodeToString(b)
	}
	for _, tt := range []struct {
		name, hex string
		want      error
	}{
		{"D-01 cookie", set(239, 0), ErrInvalid},
		{"D-02 op 0", set(0, 0), ErrInvalid},
		{"D-02 op 3", set(0, 3), ErrInvalid},
		{"D-02 htype 6", set(1, 6), ErrInvalid},
		{"D-02 V-04 hlen 0", set(2, 0), ErrInvalid},
		{"D-02 V-04 hlen 7", set(2, 7), ErrInvalid},
		{"D-02 V-04 hlen 16", set(2, 16), ErrInvalid},
		{"D-02 V-04 hlen 255", set(2, 255), ErrInvalid},
		{"D-03 option past the end", with("0c05616263"), ErrShort},
		{"D-03 option code as the last byte", with("0c"), ErrShort},
		{"D-03 length 255, nothing behind", with("0cff"), ErrShort},
		{"D-05 no type", fixed("02", "00000000") + "ff", ErrInvalid},
		{"D-05 type 0", fixed("02", "00000000") + "350100ff", ErrInvalid},
		{"D-05 D-23 type 9", fixed("02", "00000000") + "350109ff", ErrInvalid},
		{"D-05 type 200", fixed("02", "00000000") + "3501c8ff", ErrInvalid},
		{"D-05 type of length 0", fixed("02", "00000000") + "3500ff", ErrInvalid},
		{"D-05 type of length 2", fixed("02", "00000000") + "35020202ff", ErrInvalid},
		{"D-05 two types", with("350105ff"), ErrInvalid},
		{"D-06 server identifier of length 3", with("3603c0a805ff"), ErrInvalid},
		{"D-07 lease time of length 3", with("3303000e10ff"), ErrInvalid},
		{"D-11 mask of length 3", with("0103ffffffff"), ErrInvalid},
		{"D-16 overload 0", with("340100ff"), ErrInvalid},
		{"D-16 overload 4", with("340104ff"), ErrInvalid},
		{"D-16 overload of length 2", with("34020101ff"), ErrInvalid},
		{"D-27 9000 bytes", with(strings.Repeat("00", 8760)), ErrInvalid},
	} {
		if m, err := Parse(unhex(t, tt.hex)); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, %v, want %v", tt.name, m.Type, err, tt.want)
		}
	}
}

func TestD04_D18_EndAndPads(t *testing.T) {
	for name, options := range map[string]string{
		"D-04 no end":            "0c03616263",
		"D-18 pads between":      strings.Repeat("00", 60) + "0c03616263" + "0000ff",
		"D-18 1000 pads":         strings.Repeat("00", 1000) + "0c03616263ff",
		"rubbish behind the end": "0c03616263ff0c",
	} {
		if m, err := Parse(unhex(t, with(options))); err != nil || m.Hostname != "abc" {
			t.Errorf("%s: %q, %v", name, m.Hostname, err)
		}
	}
}

func TestD12_D13_OddLists(t *testing.T) {
	for name, tt := range map[string]struct {
		options string
		want    []netip.Addr
	}{
		"D-13 length 0":            {"0600", nil},
		"D-13 length 3":            {"0603c00002", nil},
		"D-13 length 5":            {"0605c000023599", []netip.Addr{addr("192.0.2.53")}},
		"D-13 zero is left out":    {"060800000000c0000235", []netip.Addr{addr("192.0.2.53")}},
		"D-12 63 of them, bounded": {"06fc" + strings.Repeat("c0000235", 63), slicesRepeat(addr("192.0.2.53"), 8)},
	} {
		if m, err := Parse(unhex(t, with(tt.options+"ff"))); err != nil || !reflect.DeepEqual(m.DNS, tt.want) {
			t.Errorf("%s: %v, %v, want %v", name, m.DNS, err, tt.want)
		}
	}
}

func slicesRepeat(a netip.Addr, n int) []netip.Addr {
	var list []netip.Addr
	for range n {
		list = append(list, a)
	}
	return list
}

func TestD14_V11_NamesAreFitToPrint(t *testing.T) {
	for options, want := range map[string]string{
		"0c03616263":                       "abc",
		"0c05616200ff63":                   "ab",
		"0c041b5b324a":                     "?[2J",
		"0c02c3a9":                         "??",
		"0c06 2e2e2f2e2e2f":                "../../",
		"0cff" + strings.Repeat("61", 255): strings.Repeat("a", 255),
		"0c00":                             "",
		"0c02 6162 0c02 6364":              "abcd",
		"0cc8" + strings.Repeat("61", 200) + "0cc8" + strings.Repeat("62", 200): strings.Repeat("a", 200) + strings.Repeat("b", 55),
	} {
		if m, err := Parse(unhex(t, with(options+"ff"))); err != nil || m.Hostname != want {
			t.Errorf("%s: %q, %v, want %q", options, m.Hostname, err, want)
		}
	}
}

// DC-17: file and sname may carry options (RFC 2132, 9.3); pieces are joined in the order options, file, sname
// (RFC 3396, 5).
func TestDC17_D16_Overload(t *testing.T) {
	build := func(over byte, file, sname string) []byte {
		b := unhex(t, with("3401"+hex.EncodeToString([]byte{over})+"0c0161ff"))
		copy(b[108:236], unhex(t, file))
		copy(b[44:108], unhex(t, sname))
		return b
	}
	for _, tt := range []struct {
		name        string
		over        byte
		file, sname string
		host        string
		err         error
	}{
		{"file", 1, "0c0162ff", "0c0163ff", "ab", nil},
		{"sname", 2, "0c0162ff", "0c0163ff", "ac", nil},
		{"both", 3, "0c0162ff", "0c0163ff", "abc", nil},
		{"overload again inside", 1, "3401030c0162ff", "0c0163ff", "ab", nil},
		{"no end inside", 3, "0c0162", "0c0163", "abc", nil},
		{"lie inside", 1, "0cff", "", "", ErrShort},
		{"not looked at", 1, "ff", "0cff", "a", nil},
	} {
		m, err := Parse(build(tt.over, tt.file, tt.sname))
		if tt.err != err || err == nil && m.Hostname != tt.host {
			t.Errorf("%s: %q, %v, want %q, %v", tt.name, m.Hostname, err, tt.host, tt.err)
		}
	}
}

func TestD17_JoiningIsBounded(t *testing.T) {
	m, err := Parse(unhex(t, with(strings.Repeat("7905 18c0000201", 50)+strings.Repeat("0c14"+strings.Repeat("61", 20), 30)+"ff")))
	if err != nil || len(m.Hostname) != 255 || len(m.Routes) > maxAddrs {
		t.Errorf("%d bytes of name, %d routes, %v", len(m.Hostname), len(m.Routes), err)
	}
}

func TestD19_ClasslessRoutes(t *testing.T) {
	def := Route{netip.MustParsePrefix("0.0.0.0/0"), server}
	for name, tt := range map[string]struct {
		options string
		want    []Route
	}{
		"default":                 {"7905 00 c0a80501", []Route{def}},
		"net and default":         {"790d 18c00002 c0a80502 00 c0a80501", []Route{{netip.MustParsePrefix("192.0.2.0/24"), addr("192.168.5.2")}, def}},
		"width 33":                {"7905 21 c0a80501", nil},
		"width 255":               {"7905 ff c0a80501", nil},
		"cut":                     {"7904 00 c0a805", nil},
		"cut behind a good one":   {"7907 00 c0a80501 18c0", []Route{def}},
		"bits beyond the width":   {"7906 04 ff c0a80501", []Route{{netip.MustParsePrefix("240.0.0.0/4"), server}}},
		"none":                    {"7900", nil},
		"10 of them, 8 are kept":  {"7932" + strings.Repeat("00c0a80501", 10), []Route{def, def, def, def, def, def, def, def}},
		"in pieces (RFC 3396, 7)": {"7903 00c0a8 7902 0501", []Route{def}},
	} {
		m, err := Parse(unhex(t, with(tt.options+"ff")))
		if err != nil || !m.HasRoutes || !reflect.DeepEqual(m.Routes, tt.want) {
			t.Errorf("%s: %v, %v, want %v", name, m.Routes, err, tt.want)
		}
	}
}

func TestMaskLength(t *testing.T) {
	for mask, want := range map[string]int{"255.255.255.0": 24, "255.255.255.255": 32, "0.0.0.0": 0, "128.0.0.0": 1, "255.0.255.0": -1, "0.0.0.1": -1} {
		if n, ok := maskBits(addr(mask)); ok != (want >= 0) || ok && n != want {
			t.Errorf("%s: %d, %v", mask, n, ok)
		}
	}
	for bits := range 33 {
		if n, ok := maskBits(maskOf(netip.PrefixFrom(server, bits))); !ok || n != bits {
			t.Errorf("/%d came back as %d, %v", bits, n, ok)
		}
	}
}

func TestNamesOfThings(t *testing.T) {
	for got, want := range map[string]string{
		Discover.String(): "DHCPDISCOVER", Inform.String(): "DHCPINFORM", MessageType(0).String(): "dhcp(0)", MessageType(9).String(): "dhcp(9)",
		BootRequest.String(): "BOOTREQUEST", BootReply.String(): "BOOTREPLY", Op(7).String(): "op(7)",
		StateRebinding.String(): "REBINDING", StateStopped.String(): "STOPPED", State(99).String(): "state(99)",
		EventBound.String(): "bound", EventRenewed.String(): "renewed", EventLost.String(): "lost", EventFailed.String(): "failed", EventKind(0).String(): "event(0)",
		LeaseFree.String(): "free", LeaseOffered.String(): "offered", LeaseBound.String(): "bound", LeaseDeclined.String(): "declined", LeaseState(9).String(): "lease(9)",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if s := (&Message{LeaseTime: Infinite}).String(); !strings.HasSuffix(s, "lease for ever") {
		t.Error(s)
	}
}

func FuzzMessage(f *testing.F) {
	f.Add(unhex(f, with("ff")))
	f.Add(unhex(f, with("0104ffffff00 0304c0a80501 330400000e10 3401 03 3604c0a80501 7905 00c0a80501 3d0701aabbccddeeff 37020103 390205dcff")))
	full := Message{Op: BootRequest, MAC: mac, Type: Request, Params: params, ClientID: []byte{1, 2}, MaxSize: 1500, Hostname: "h", Text: "t", T1: 1, T2: 2, RequestedIP: leased}
	f.Add(full.Append(nil, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			return
		}
		_ = m.String()
		again, err := Parse(m.Append(nil, m.Params))
		if err == ErrInvalid && len(m.Append(nil, m.Params)) > maxLen {
			return // names and lists that were spread over the fixed fields take more room
		}
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Errorf("%+v became %+v, %v", m, again, err)
		}
	})
}
