package wire

import (
	"net/netip"
	"testing"
)

const goldenARP = "0001 0800 06 04 0001 02005e005301 c0000201 000000000000 c6336407"

func TestARPGolden(t *testing.T) {
	p := ARP{Op: ARPRequest, SenderMAC: macA, SenderIP: srcIP, TargetIP: dstIP}
	wantBytes(t, "request", p.Append([]byte(prefix)), goldenARP)
	got, err := ParseARP(unhex(t, goldenARP))
	if err != nil || got != p {
		t.Errorf("parsed %v, %v", got, err)
	}
	reply := ARP{Op: ARPReply, SenderMAC: macB, SenderIP: dstIP, TargetMAC: macA, TargetIP: srcIP}
	wantBytes(t, "reply", reply.Append([]byte(prefix)), "0001080006040002 02005e005302 c6336407 02005e005301 c0000201")
}

// A probe has the sender address 0.0.0.0 (RFC 5227, 1.1), which a zero Addr also writes.
func TestARPProbe(t *testing.T) {
	b := ARP{Op: ARPRequest, SenderMAC: macA, TargetIP: dstIP}.Append(nil)
	p, err := ParseARP(b)
	if err != nil || p.SenderIP != netip.IPv4Unspecified() {
		t.Errorf("%v, %v", p, err)
	}
}

func TestE08_ARPLengths(t *testing.T) {
	b := unhex(t, goldenARP)
	for n := range len(b) {
		_, err := ParseARP(b[:n])
		wantErr(t, "short", err, ErrShort)
	}
	if _, err := ParseARP(append(b, make([]byte, 18)...)); err != nil {
		t.Errorf("with padding: %v", err)
	}
}

// ARP-1, E-09, E-10: the header is checked before anything else is believed.
func TestARP1_E09_E10_BrokenHeaders(t *testing.T) {
	good := unhex(t, goldenARP)
	for name, b := range map[string][]byte{
		"htype 6":       change(good, 1, 6),
		"htype 0x0101":  change(good, 0, 1),
		"ptype 0x86dd":  change(change(good, 2, 0x86), 3, 0xdd),
		"hlen 0":        change(good, 4, 0),
		"hlen 5":        change(good, 4, 5),
		"hlen 7":        change(good, 4, 7),
		"hlen 255":      change(good, 4, 255),
		"plen 0":        change(good, 5, 0),
		"plen 3":        change(good, 5, 3),
		"plen 16":       change(good, 5, 16),
		"plen 255":      change(good, 5, 255),
		"opcode 0":      change(good, 7, 0),
		"opcode 3":      change(good, 7, 3), // RARP
		"opcode 9":      change(good, 7, 9),
		"opcode 0xff01": change(good, 6, 0xff),
	} {
		_, err := ParseARP(b)
		wantErr(t, name, err, ErrInvalid)
	}
}

func TestARPText(t *testing.T) {
	p := ARP{Op: ARPRequest, SenderMAC: macA, SenderIP: srcIP, TargetIP: dstIP}
	if got, want := p.String(), "ARP REQUEST sender 192.0.2.1 02:00:5e:00:53:01 target 198.51.100.7 00:00:00:00:00:00"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := ARPOp(9).String(); got != "arp(9)" {
		t.Error(got)
	}
}

func FuzzARP(f *testing.F) {
	f.Add(unhex(f, goldenARP))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseARP(b)
		if err != nil {
			return
		}
		if again, err := ParseARP(p.Append(nil)); err != nil || again != p {
			t.Errorf("%v became %v, %v", p, again, err)
		}
	})
}
