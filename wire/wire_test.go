package wire

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

var (
	srcIP = netip.MustParseAddr("192.0.2.1")
	dstIP = netip.MustParseAddr("198.51.100.7")
	macA  = MAC{0x02, 0, 0x5e, 0, 0x53, 1}
	macB  = MAC{0x02, 0, 0x5e, 0, 0x53, 2}
)

// unhex reads hexadecimal digits, spaces ignored.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// wantBytes compares with hexadecimal digits. prefix was in the buffer before and must still be there.
func wantBytes(t *testing.T, name string, got []byte, want string) {
	t.Helper()
	if !strings.HasPrefix(string(got), prefix) {
		t.Errorf("%s: Append overwrote what was in the buffer", name)
		return
	}
	if got = got[len(prefix):]; string(got) != string(unhex(t, want)) {
		t.Errorf("%s: appended\n%x, want\n%x", name, got, unhex(t, want))
	}
}

// prefix is odd in length, so that nothing may rely on alignment.
const prefix = "pre"

// change returns a copy of b with one byte changed.
func change(b []byte, at int, to byte) []byte {
	c := append([]byte(nil), b...)
	c[at] = to
	return c
}

// wantErr checks an error of a parser.
func wantErr(t *testing.T, name string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: error %v, want %v", name, got, want)
	}
}

func TestAddressesThatAreNotIPv4CountAsZero(t *testing.T) {
	v6 := netip.MustParseAddr("2001:db8::1")
	zero := netip.MustParseAddr("0.0.0.0")
	for _, a := range []netip.Addr{{}, v6} {
		if got, want := (UDP{1, 2}).Append(nil, a, a, []byte("x")), (UDP{1, 2}).Append(nil, zero, zero, []byte("x")); string(got) != string(want) {
			t.Errorf("%v: %x, want %x", a, got, want)
		}
		if _, _, err := ParseUDP((UDP{1, 2}).Append(nil, zero, zero, nil), a, a); err != nil {
			t.Errorf("%v: %v", a, err)
		}
	}
}

// One way down and up again without an allocation, as a stack does it for every frame.
func TestNothingAllocates(t *testing.T) {
	buf := make([]byte, 0, 2048)
	payload := make([]byte, 1400)
	h := TCP{SrcPort: 1, DstPort: 2, Seq: 3, Ack: 4, Flags: ACK | PSH, Wnd: 5,
		Opt: TCPOptions{TS: true, TSVal: 1, TSEcr: 2, SACK: [4]SACKBlock{{1, 2}}, NSACK: 1}}
	check := func(name string, f func()) {
		t.Helper()
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
	check("TCP in IPv4 in Ethernet", func() {
		b := Ethernet{macA, macB, EtherTypeIPv4}.Append(buf[:0])
		b = IPv4{TTL: 64, Proto: ProtoTCP, Src: srcIP, Dst: dstIP, DF: true}.Append(b, 20+24+len(payload))
		b = h.Append(b, srcIP, dstIP, payload)
		_, b, err := ParseEthernet(b)
		if err != nil {
			t.Fatal(err)
		}
		ip, b, err := ParseIPv4(b)
		if err != nil {
			t.Fatal(err)
		}
		if _, b, err = ParseTCP(b, ip.Src, ip.Dst); err != nil || len(b) != len(payload) {
			t.Fatal(len(b), err)
		}
	})
	check("UDP", func() {
		b := UDP{1, 2}.Append(buf[:0], srcIP, dstIP, payload)
		if _, _, err := ParseUDP(b, srcIP, dstIP); err != nil {
			t.Fatal(err)
		}
	})
	check("ICMP, IGMP, ARP, NTP", func() {
		if _, _, err := ParseICMP((ICMP{Type: ICMPEcho}).Append(buf[:0], payload)); err != nil {
			t.Fatal(err)
		}
		if _, err := ParseIGMP((IGMP{Type: IGMPQuery}).Append(buf[:0])); err != nil {
			t.Fatal(err)
		}
		if _, err := ParseARP((ARP{Op: ARPReply, SenderIP: srcIP, TargetIP: dstIP}).Append(buf[:0])); err != nil {
			t.Fatal(err)
		}
		if _, err := ParseNTP((NTP{}).Append(buf[:0])); err != nil {
			t.Fatal(err)
		}
	})
	check("IPv4 options", func() {
		ip := IPv4{Src: srcIP, Dst: dstIP, Options: routerAlert}
		got, _, err := ParseIPv4(ip.Append(buf[:0], 0))
		if err != nil || got.SourceRouted() {
			t.Fatal(got, err)
		}
		for range IPv4Options(got.Options) {
		}
	})
}

var routerAlert = []byte{148, 4, 0, 0}
