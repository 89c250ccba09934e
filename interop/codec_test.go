package interop

import (
	"bytes"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/understudy-net/understudy/wire"
)

// decode has gopacket look at an Ethernet frame: all of it must be understood
// and all checksums right.
func decode(t *testing.T, frame []byte) gopacket.Packet {
	t.Helper()
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	if e := p.ErrorLayer(); e != nil {
		t.Fatalf("gopacket: %v\n% x", e.Error(), frame[:min(len(frame), 100)])
	}
	for _, l := range p.Layers() {
		if l, ok := l.(interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}); ok && p.NetworkLayer() != nil {
			l.SetNetworkLayerForChecksum(p.NetworkLayer())
		}
	}
	err, bad := p.VerifyChecksums()
	if err != nil {
		t.Fatalf("gopacket: %v\n% x", err, frame[:min(len(frame), 100)])
	}
	for _, m := range bad {
		t.Fatalf("gopacket: checksum of %v is %04x, want %04x\n% x", m.Layer.LayerType(), m.Actual, m.Correct, frame[:min(len(frame), 100)])
	}
	return p
}

// layer is the layer of type L in p.
func layer[L gopacket.Layer](t *testing.T, p gopacket.Packet) L {
	t.Helper()
	for _, l := range p.Layers() {
		if l, ok := l.(L); ok {
			return l
		}
	}
	var none L
	t.Fatalf("no %T in %v", none, p)
	return none
}

// dice makes what goes into random packets.
type dice struct{ *rand.Rand }

func (d dice) addr() netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(d.Uint32()), byte(d.Uint32()), byte(1 + d.IntN(254))})
}

func (d dice) mac() (m wire.MAC) {
	for i := range m {
		m[i] = byte(d.Uint32())
	}
	m[0] &^= 1
	return m
}

func (d dice) bytes(most int) []byte {
	b := make([]byte, d.IntN(most+1))
	for i := range b {
		b[i] = byte(d.Uint32())
	}
	return b
}

const trials = 2000

// each runs f with many seeds; a failure names its seed.
func each(t *testing.T, f func(t *testing.T, d dice)) {
	for seed := range uint64(trials) {
		f(t, dice{rand.New(rand.NewPCG(seed, 7))})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// packet puts an IPv4 and an Ethernet header before what append makes.
func (d dice) packet(h wire.IPv4, payload []byte) []byte {
	f := wire.Ethernet{Dst: d.mac(), Src: d.mac(), Type: wire.EtherTypeIPv4}.Append(nil)
	return append(h.Append(f, len(payload)), payload...)
}

func (d dice) ip(p wire.Proto) wire.IPv4 {
	return wire.IPv4{TOS: uint8(d.Uint32()), ID: uint16(d.Uint32()), DF: d.IntN(2) == 0, TTL: uint8(1 + d.IntN(255)),
		Proto: p, Src: d.addr(), Dst: d.addr()}
}

func sameIP(t *testing.T, l *layers.IPv4, h wire.IPv4, payload int) {
	t.Helper()
	df := l.Flags&layers.IPv4DontFragment != 0
	if l.TOS != h.TOS || l.Id != h.ID || df != h.DF || l.TTL != h.TTL || uint8(l.Protocol) != uint8(h.Proto) ||
		l.SrcIP.String() != h.Src.String() || l.DstIP.String() != h.Dst.String() || int(l.Length) != 20+len(h.Options)+payload {
		t.Errorf("gopacket reads %+v, ours was %v", l, h)
	}
}

func TestTCPSegmentsAsGopacketReadsThem(t *testing.T) {
	each(t, func(t *testing.T, d dice) {
		ip, data := d.ip(wire.ProtoTCP), d.bytes(1400)
		h := wire.TCP{SrcPort: uint16(d.Uint32()), DstPort: 1 + uint16(d.IntN(1000)), Seq: d.Uint32(), Ack: d.Uint32(),
			Flags: wire.TCPFlags(d.Uint32()), Wnd: uint16(d.Uint32()), Urg: uint16(d.Uint32())}
		if d.IntN(2) == 0 {
			h.Opt.TS, h.Opt.TSVal, h.Opt.TSEcr = true, d.Uint32(), d.Uint32()
		}
		if h.Flags.Has(wire.SYN) { // elsewhere these options are not read
			h.Opt.MSS, h.Opt.HasWScale, h.Opt.WScale, h.Opt.SACKPermitted = uint16(1+d.IntN(9000)), true, uint8(d.IntN(15)), true
		} else if h.Flags.Has(wire.ACK) {
			for h.Opt.NSACK = range 1 + d.IntN(3) {
				left := d.Uint32()
				h.Opt.SACK[h.Opt.NSACK] = wire.SACKBlock{Left: left, Right: left + uint32(1+d.IntN(1<<20))}
			}
			h.Opt.NSACK++
		}
		segment := h.Append(nil, ip.Src, ip.Dst, data)
		p := decode(t, d.packet(ip, segment))
		sameIP(t, layer[*layers.IPv4](t, p), ip, len(segment))
		l := layer[*layers.TCP](t, p)
		flags := wire.TCPFlags(0)
		for i, on := range []bool{l.FIN, l.SYN, l.RST, l.PSH, l.ACK, l.URG, l.ECE, l.CWR} {
			if on {
				flags |= 1 << i
			}
		}
		if uint16(l.SrcPort) != h.SrcPort || uint16(l.DstPort) != h.DstPort || l.Seq != h.Seq || l.Ack != h.Ack || l.Window != h.Wnd ||
			flags != h.Flags || l.Urgent != h.Urg || !bytes.Equal(l.Payload, data) {
			t.Errorf("gopacket reads %+v, ours was %v", l, h)
		}
		sameOptions(t, l.Options, h.Opt)

		again, payload, err := wire.ParseTCP(serialize(t, ip, l, data), ip.Src, ip.Dst)
		if err != nil || again != h || !bytes.Equal(payload, data) {
			t.Errorf("of gopacket's segment we read %v, %v; it was %v", again, err, h)
		}
	})
}

func sameOptions(t *testing.T, got []layers.TCPOption, want wire.TCPOptions) {
	t.Helper()
	var o wire.TCPOptions
	for _, x := range got {
		b := x.OptionData
		be32 := func(i int) uint32 {
			return uint32(b[i])<<24 | uint32(b[i+1])<<16 | uint32(b[i+2])<<8 | uint32(b[i+3])
		}
		switch x.OptionType {
		case layers.TCPOptionKindMSS:
			o.MSS = uint16(b[0])<<8 | uint16(b[1])
		case layers.TCPOptionKindWindowScale:
			o.HasWScale, o.WScale = true, b[0]
		case layers.TCPOptionKindSACKPermitted:
			o.SACKPermitted = true
		case layers.TCPOptionKindTimestamps:
			o.TS, o.TSVal, o.TSEcr = true, be32(0), be32(4)
		case layers.TCPOptionKindSACK:
			for i := 0; i+8 <= len(b); i += 8 {
				o.SACK[o.NSACK] = wire.SACKBlock{Left: be32(i), Right: be32(i + 4)}
				o.NSACK++
			}
		}
	}
	if o != want {
		t.Errorf("gopacket reads the options %v, ours were %v", o, want)
	}
}

// serialize has gopacket write what it read: the transport layer alone.
func serialize(t *testing.T, ip wire.IPv4, l gopacket.SerializableLayer, data []byte) []byte {
	t.Helper()
	if c, ok := l.(interface {
		SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
	}); ok {
		c.SetNetworkLayerForChecksum(&layers.IPv4{SrcIP: ip.Src.AsSlice(), DstIP: ip.Dst.AsSlice(), Protocol: layers.IPProtocol(ip.Proto)})
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, l, gopacket.Payload(data)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestDatagramsAsGopacketReadsThem(t *testing.T) {
	each(t, func(t *testing.T, d dice) {
		ip, data := d.ip(wire.ProtoUDP), d.bytes(1400)
		// Ports above those that gopacket knows a protocol for.
		h := wire.UDP{SrcPort: uint16(40000 + d.IntN(9000)), DstPort: uint16(40000 + d.IntN(9000))}
		p := decode(t, d.packet(ip, h.Append(nil, ip.Src, ip.Dst, data)))
		sameIP(t, layer[*layers.IPv4](t, p), ip, 8+len(data))
		l := layer[*layers.UDP](t, p)
		if uint16(l.SrcPort) != h.SrcPort || uint16(l.DstPort) != h.DstPort || !bytes.Equal(l.Payload, data) {
			t.Errorf("gopacket reads %+v, ours was %v", l, h)
		}
		again, payload, err := wire.ParseUDP(serialize(t, ip, l, data), ip.Src, ip.Dst)
		if err != nil || again != h || !bytes.Equal(payload, data) {
			t.Errorf("of gopacket's datagram we read %v, %v; it was %v", again, err, h)
		}
	})
}

func TestICMPAsGopacketReadsIt(t *testing.T) {
	each(t, func(t *testing.T, d dice) {
		ip, body := d.ip(wire.ProtoICMP), d.bytes(200)
		h := wire.ICMP{Type: wire.ICMPEcho, ID: uint16(d.Uint32()), Seq: uint16(d.Uint32())}
		if d.IntN(2) == 0 {
			h.Type = wire.ICMPEchoReply
		}
		l := layer[*layers.ICMPv4](t, decode(t, d.packet(ip, h.Append(nil, body))))
		if l.TypeCode.Type() != uint8(h.Type) || l.TypeCode.Code() != h.Code || l.Id != h.ID || l.Seq != h.Seq || !bytes.Equal(l.Payload, body) {
			t.Errorf("gopacket reads %+v, ours was %v", l, h)
		}
		again, payload, err := wire.ParseICMP(serialize(t, ip, l, body))
		if err != nil || again != h || !bytes.Equal(payload, body) {
			t.Errorf("of gopacket's message we read %v, %v; it was %v", again, err, h)
		}
	})
}

func TestARPAsGopacketReadsIt(t *testing.T) {
	each(t, func(t *testing.T, d dice) {
		h := wire.ARP{Op: wire.ARPOp(1 + d.IntN(2)), SenderMAC: d.mac(), SenderIP: d.addr(), TargetMAC: d.mac(), TargetIP: d.addr()}
		f := wire.Ethernet{Dst: wire.Broadcast, Src: h.SenderMAC, Type: wire.EtherTypeARP}.Append(nil)
		l := layer[*layers.ARP](t, decode(t, h.Append(f)))
		same := func(b []byte, m wire.MAC) bool { return bytes.Equal(b, m[:]) }
		if l.Operation != uint16(h.Op) || !same(l.SourceHwAddress, h.SenderMAC) || !same(l.DstHwAddress, h.TargetMAC) ||
			net.IP(l.SourceProtAddress).String() != h.SenderIP.String() || net.IP(l.DstProtAddress).String() != h.TargetIP.String() {
			t.Errorf("gopacket reads %+v, ours was %v", l, h)
		}
		if again, err := wire.ParseARP(serialize(t, wire.IPv4{}, l, nil)); err != nil || again != h {
			t.Errorf("of gopacket's packet we read %v, %v; it was %v", again, err, h)
		}
	})
}

func TestIGMPAsGopacketReadsIt(t *testing.T) {
	for _, h := range []wire.IGMP{
		{Type: wire.IGMPReportV2, Group: netip.MustParseAddr("239.1.2.3")},
		{Type: wire.IGMPLeave, Group: netip.MustParseAddr("239.1.2.3")},
		{Type: wire.IGMPQuery, MaxResp: 100, Group: netip.IPv4Unspecified()},
	} {
		d := dice{rand.New(rand.NewPCG(1, 1))}
		ip := d.ip(wire.ProtoIGMP)
		l := layer[*layers.IGMPv1or2](t, decode(t, d.packet(ip, h.Append(nil))))
		if uint8(l.Type) != uint8(h.Type) || l.GroupAddress.String() != h.Group.String() {
			t.Errorf("gopacket reads %+v, ours was %v", l, h)
		}
	}
}
