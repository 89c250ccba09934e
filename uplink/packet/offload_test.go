package packet

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"testing"

	"github.com/understudy-net/understudy/uplink/frames"
	"github.com/understudy-net/understudy/wire"
)

var (
	src = netip.MustParseAddr("10.77.0.1")
	dst = netip.MustParseAddr("10.77.0.2")
)

// vnet makes the header that the kernel puts before a packet.
func vnet(flags, joined uint8, size, start, offset int) []byte {
	b := []byte{flags, joined, 0, 0}
	for _, v := range []int{size, start, offset} {
		b = binary.NativeEndian.AppendUint16(b, uint16(v))
	}
	return b
}

// frame makes an Ethernet frame with an IPv4 packet.
func frame(proto wire.Proto, payload []byte, options ...byte) []byte {
	b := wire.Ethernet{Dst: wire.MAC{2, 0, 0, 0, 0, 2}, Src: wire.MAC{2, 0, 0, 0, 0, 1}, Type: wire.EtherTypeIPv4}.Append(nil)
	b = wire.IPv4{ID: 0xfffe, DF: true, TTL: 64, Proto: proto, Src: src, Dst: dst, Options: options}.Append(b, len(payload))
	return append(b, payload...)
}

// partial puts the sum of the pseudo header into a checksum field, as the kernel does that leaves the rest to the
// hardware.
func partial(segment []byte, proto wire.Proto, at int) []byte {
	sum := wire.Fold(wire.PseudoSum(proto, src.As4(), dst.As4(), len(segment)))
	binary.BigEndian.PutUint16(segment[at:], sum)
	return segment
}

func tcpSegment(payload []byte) []byte {
	h := wire.TCP{SrcPort: 1000, DstPort: 2000, Seq: 0xffffff00, Ack: 7, Flags: wire.TCPFlags(flagFIN | flagPSH | flagCWR | 0x10), Wnd: 500}
	return h.Append(nil, src, dst, payload)
}

func run(t *testing.T, in []byte) (out [][]byte, ok bool) {
	t.Helper()
	var b frames.Batch
	ok = finish(&b, in)
	for i := range b.Len() {
		out = append(out, b.Frame(i))
	}
	return out, ok
}

func TestWholePacketStaysAsItIs(t *testing.T) {
	f := frame(wire.ProtoTCP, tcpSegment([]byte("hello")))
	got, ok := run(t, append(vnet(0, vnetWhole, 0, 0, 0), f...))
	if !ok || len(got) != 1 || !bytes.Equal(got[0], f) {
		t.Errorf("%v, %x", ok, got)
	}
}

func TestMissingChecksumIsFilledIn(t *testing.T) {
	for _, c := range []struct {
		name    string
		proto   wire.Proto
		segment []byte
		at      int
	}{
		{"TCP", wire.ProtoTCP, tcpSegment([]byte("hello")), tcpChecksum},
		{"UDP", wire.ProtoUDP, wire.UDP{SrcPort: 1, DstPort: 2}.Append(nil, src, dst, []byte("hello!")), udpChecksum},
		// With this payload the sum comes out as 0, which UDP says as ffff.
		{"UDP with the sum 0", wire.ProtoUDP, zeroSum(), udpChecksum},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := frame(c.proto, c.segment)
			in := frame(c.proto, partial(bytes.Clone(c.segment), c.proto, c.at))
			got, ok := run(t, append(vnet(vnetNeedsChecksum, vnetWhole, 0, 34, c.at), in...))
			if !ok || len(got) != 1 || !bytes.Equal(got[0], want) {
				t.Errorf("%v\n got %x\nwant %x", ok, got, want)
			}
		})
	}
}

// zeroSum finds a datagram whose checksum is ffff in place of 0.
func zeroSum() []byte {
	for i := range 1 << 16 {
		d := wire.UDP{SrcPort: 1, DstPort: 2}.Append(nil, src, dst, []byte{byte(i >> 8), byte(i)})
		if d[6] == 0xff && d[7] == 0xff {
			return d
		}
	}
	panic("there is always one")
}

func TestJoinedTCPIsCut(t *testing.T) {
	payload := make([]byte, 3000)
	for i := range payload {
		payload[i] = byte(i / 7)
	}
	for _, options := range [][]byte{nil, {1, 1, 1, 0}} { // of IP
		in := frame(wire.ProtoTCP, partial(tcpSegment(payload), wire.ProtoTCP, tcpChecksum), options...)
		got, ok := run(t, append(vnet(vnetNeedsChecksum, vnetTCP4|vnetECN, 1400, 0, 0), in...))
		if !ok || len(got) != 3 {
			t.Fatalf("%v, %d frames, want 3", ok, len(got))
		}
		var all []byte
		for i, f := range got {
			_, p, err := wire.ParseEthernet(f)
			if err != nil {
				t.Fatal(err)
			}
			ip, p, err := wire.ParseIPv4(p)
			if err != nil {
				t.Fatalf("frame %d: %v", i, err)
			}
			if want := uint16(0xfffe + i); ip.ID != want || !ip.DF {
				t.Errorf("frame %d: ID %#x, want %#x", i, ip.ID, want)
			}
			h, data, err := wire.ParseTCP(p, ip.Src, ip.Dst)
			if err != nil {
				t.Fatalf("frame %d: %v", i, err)
			}
			if want := uint32(0xffffff00) + uint32(len(all)); h.Seq != want {
				t.Errorf("frame %d: SEQ %d, want %d", i, h.Seq, want)
			}
			want := [3]wire.TCPFlags{0x10 | flagCWR, 0x10, 0x10 | flagFIN | flagPSH}[i]
			if h.Flags != want {
				t.Errorf("frame %d: flags %v, want %v", i, h.Flags, want)
			}
			all = append(all, data...)
		}
		if !bytes.Equal(all, payload) {
			t.Error("the payload is not the same")
		}
	}
}

func TestJoinedUDPIsCut(t *testing.T) {
	payload := bytes.Repeat([]byte("datagram"), 30)
	d := wire.UDP{SrcPort: 5, DstPort: 6}.Append(nil, src, dst, payload)
	got, ok := run(t, append(vnet(vnetNeedsChecksum, vnetUDP4, 100, 34, 6), frame(wire.ProtoUDP, d)...))
	if !ok || len(got) != 3 {
		t.Fatalf("%v, %d frames, want 3", ok, len(got))
	}
	var all []byte
	for i, f := range got {
		ip, p, err := wire.ParseIPv4(f[wire.EthernetLen:])
		if err != nil {
			t.Fatalf("frame %d: %v", i, err)
		}
		_, data, err := wire.ParseUDP(p, ip.Src, ip.Dst)
		if err != nil {
			t.Fatalf("frame %d: %v", i, err)
		}
		if len(data) != []int{100, 100, 40}[i] {
			t.Errorf("datagram %d has %d bytes", i, len(data))
		}
		all = append(all, data...)
	}
	if !bytes.Equal(all, payload) {
		t.Error("the payload is not the same")
	}
}

func TestUnusablePacketsAreRefused(t *testing.T) {
	tcp := frame(wire.ProtoTCP, tcpSegment(make([]byte, 100)))
	change := func(at int, v byte) []byte {
		b := bytes.Clone(tcp)
		b[at] = v
		return b
	}
	for name, in := range map[string][]byte{
		"no header":                        vnet(0, 0, 0, 0, 0)[:9],
		"a checksum behind the end":        append(vnet(vnetNeedsChecksum, vnetWhole, 0, len(tcp)-1, 0), tcp...),
		"joined TCP over IPv6":             append(vnet(0, 4, 50, 0, 0), tcp...),
		"pieces of 0 bytes":                append(vnet(0, vnetTCP4, 0, 0, 0), tcp...),
		"joined, cut off in the IP header": append(vnet(0, vnetTCP4, 50, 0, 0), tcp[:30]...),
		"joined, cut off in TCP's":         append(vnet(0, vnetTCP4, 50, 0, 0), tcp[:50]...),
		"joined, without payload":          append(vnet(0, vnetTCP4, 50, 0, 0), tcp[:54]...),
		"joined, not IPv4":                 append(vnet(0, vnetTCP4, 50, 0, 0), change(13, 6)...),
		"joined, IP version 5":             append(vnet(0, vnetTCP4, 50, 0, 0), change(14, 0x55)...),
		"joined, IP header of 16 bytes":    append(vnet(0, vnetTCP4, 50, 0, 0), change(14, 0x44)...),
		"joined, a fragment":               append(vnet(0, vnetTCP4, 50, 0, 0), change(20, 0x20)...),
		"joined, ICMP":                     append(vnet(0, vnetTCP4, 50, 0, 0), change(23, 1)...),
		"joined, TCP header of 16 bytes":   append(vnet(0, vnetTCP4, 50, 0, 0), change(46, 0x40)...),
		"joined, TCP header behind end":    append(vnet(0, vnetTCP4, 50, 0, 0), change(46, 0xf0)[:70]...),
	} {
		if got, ok := run(t, in); ok || len(got) > 0 {
			t.Errorf("%s: %v, %s", name, ok, hex.EncodeToString(in))
		}
	}
}

func FuzzFinish(f *testing.F) {
	tcp := frame(wire.ProtoTCP, tcpSegment(make([]byte, 300)))
	f.Add(append(vnet(vnetNeedsChecksum, vnetTCP4, 100, 34, 16), tcp...))
	f.Add(append(vnet(vnetNeedsChecksum, vnetWhole, 0, 34, 16), tcp...))
	f.Add(append(vnet(0, vnetUDP4, 30, 34, 6), frame(wire.ProtoUDP, wire.UDP{SrcPort: 1, DstPort: 2}.Append(nil, src, dst, make([]byte, 200)))...))
	f.Fuzz(func(t *testing.T, in []byte) {
		whole := len(in) >= vnetLen && in[1]&^vnetECN == vnetWhole
		out, ok := run(t, bytes.Clone(in))
		if !ok && len(out) > 0 {
			t.Fatal("frames of a packet that was refused")
		}
		if !ok || whole {
			return
		}
		for _, p := range out {
			ip, payload, err := wire.ParseIPv4(p[wire.EthernetLen:])
			if err != nil {
				t.Fatalf("%x: %v", p, err)
			}
			if ip.Proto == wire.ProtoTCP {
				_, _, err = wire.ParseTCP(payload, ip.Src, ip.Dst)
			} else {
				_, _, err = wire.ParseUDP(payload, ip.Src, ip.Dst)
			}
			if err != nil {
				t.Fatalf("%x: %v", p, err)
			}
		}
	})
}
