package stack

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/understudy-net/understudy/wire"
)

// Rows F of spec/hostile-inputs.md, IP-12 to IP-17.

// frag is a fragment of a packet from src to us.
func (x *script) frag(src netip.Addr, id uint16, proto wire.Proto, off int, more bool, b []byte) []byte {
	f := wire.Ethernet{Dst: x.s.cfg.MAC, Src: peerMAC, Type: wire.EtherTypeIPv4}.Append(nil)
	f = wire.IPv4{TTL: 64, Proto: proto, ID: id, MF: more, Offset: off, Src: src, Dst: addrA}.Append(f, len(b))
	return append(f, b...)
}

// echo is an echo request with n bytes of data.
func echo(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return wire.ICMP{Type: wire.ICMPEcho, ID: 1, Seq: 1}.Append(nil, b)
}

func (x *script) answered() bool {
	n := len(x.out)
	x.out = nil
	return n > 0
}

func TestIP12_IP13_C03_ReassembleInAnyOrder(t *testing.T) {
	for _, size := range []int{1480, 3000, 20000, 65507} {
		x := lone(t, scriptConf())
		p := echo(size)
		var frames [][]byte
		for off := 0; off < len(p); off += 1480 {
			n := min(1480, len(p)-off)
			frames = append(frames, x.frag(addrB, 7, wire.ProtoICMP, off, off+n < len(p), p[off:off+n]))
		}
		for _, i := range testPerm(len(frames)) {
			x.s.Input(x.now, frames[i])
			x.s.Input(x.now, frames[i]) // exact duplicates are allowed (F-04)
		}
		var got []byte
		for _, o := range x.out {
			ip, b, err := wire.ParseIPv4(o.frame[ethLen:])
			if err != nil || ip.Offset != len(got) {
				t.Fatalf("%d: %v, %v", size, ip, err)
			}
			got = append(got, b...)
		}
		h, data, err := wire.ParseICMP(got)
		if err != nil || h.Type != wire.ICMPEchoReply || !bytes.Equal(data, p[8:]) {
			t.Fatalf("%d: %v %v, %d bytes in %d frames", size, h, err, len(data), len(x.out))
		}
	}
}

func testPerm(n int) []int {
	src := testSource(uint64(n))
	p := make([]int, n)
	for i := range p {
		j := int(src.Uint64() % uint64(i+1))
		p[i], p[j] = p[j], i
	}
	return p
}

func TestF01toF08_BadFragments(t *testing.T) {
	x := hostile(t)
	bad := &x.s.stats.IP.FragmentsBad
	p := echo(72) // 80 bytes
	frag := func(id uint16, from, to int, more bool) []byte {
		return x.frag(addrB, id, wire.ProtoICMP, from, more, p[from:to])
	}
	x.drops("F-01", x.frag(addrB, 1, wire.ProtoICMP, 65528, false, make([]byte, 1480)), bad)
	x.s.Input(x.now, frag(2, 0, 40, true))
	x.drops("F-02", frag(2, 24, 28, false), bad)
	x.s.Input(x.now, frag(2, 40, 80, false))
	if x.answered() {
		t.Error("F-02: completed all the same")
	}
	x.s.Input(x.now, frag(3, 0, 40, true))
	x.drops("F-03", frag(3, 32, 80, false), bad)
	x.s.Input(x.now, frag(4, 32, 80, false))
	x.drops("F-03, other order", frag(4, 0, 40, true), bad)
	x.s.Input(x.now, frag(5, 0, 40, true))
	x.drops("F-04, other bytes", x.frag(addrB, 5, wire.ProtoICMP, 0, true, make([]byte, 40)), bad)
	x.s.Input(x.now, frag(6, 40, 80, false))
	x.drops("F-05", frag(6, 48, 72, false), bad)
	x.s.Input(x.now, frag(7, 40, 72, false))
	x.drops("F-06", x.frag(addrB, 7, wire.ProtoICMP, 72, true, p[72:80]), bad)
	x.drops("F-07", frag(8, 0, 41, true), bad)
	x.drops("F-08", frag(9, 0, 0, true), bad)
	x.drops("F-08", frag(9, 40, 40, false), bad)
	f := frag(10, 0, 40, true)
	f[ethLen+3] = 200
	x.drops("F-10", fixIP(f), &x.s.stats.IP.Malformed)
	x.drops("F-14", x.frag(addrB, 11, wire.ProtoTCP, 8, false, p[:40]), bad)
	x.alive()
}

func TestF11_F12_F19_ReassemblyIsBounded(t *testing.T) {
	x := hostile(t)
	far := netip.MustParseAddr("10.0.0.3")
	p := echo(72)
	x.arpReply(wire.ARP{Op: wire.ARPRequest, SenderMAC: wire.MAC{2, 3}, SenderIP: far, TargetIP: addrA})
	x.out = nil
	for i := range 10000 {
		x.s.Input(x.now, x.frag(addrB, uint16(i), wire.ProtoICMP, 0, true, make([]byte, 1480)))
		x.s.Input(x.now, x.frag(addrB, uint16(i+20000), wire.ProtoICMP, 8, false, make([]byte, 1480)))
		if n := len(x.s.frags.list); n > fragDatagrams || x.s.frags.bytes > defaultReassembly {
			t.Fatalf("%d datagrams, %d bytes", n, x.s.frags.bytes)
		}
		if i == 5000 {
			x.s.Input(x.now, x.frag(far, 1, wire.ProtoICMP, 0, true, p[:40]))
		}
		if i == 5100 {
			x.s.Input(x.now, x.frag(far, 1, wire.ProtoICMP, 40, false, p[40:]))
			if !x.answered() {
				t.Fatal("F-19: another host's datagram did not get through")
			}
		}
	}
	x.pass(2 * time.Minute)
	if x.s.frags != nil {
		t.Fatal("fragments are left")
	}
	if n := len(x.out); n > 40 {
		t.Fatalf("%d time exceeded messages", n)
	}
	x.out = nil
	x.alive()
}

func TestF13_ManySmallPieces(t *testing.T) {
	x := hostile(t)
	begin := time.Now()
	for off := 65504; off >= 0; off -= 8 {
		x.s.Input(x.now, x.frag(addrB, 1, wire.ProtoUDP, off, true, make([]byte, 8)))
	}
	if d := time.Since(begin); d > time.Second {
		t.Fatalf("took %v", d)
	}
	x.pass(2 * time.Minute)
	x.out = nil
	x.alive()
}

func TestIP14_F15_ReassemblyTimer(t *testing.T) {
	x := hostile(t)
	p := echo(72)
	x.s.Input(x.now, x.frag(addrB, 1, wire.ProtoICMP, 0, true, p[:40]))
	x.pass(59 * time.Second)
	if len(x.out) != 0 {
		t.Fatal("too early")
	}
	x.pass(2 * time.Second)
	if len(x.out) != 1 {
		t.Fatalf("%d messages", len(x.out))
	}
	_, b, _ := wire.ParseIPv4(x.out[0].frame[ethLen:])
	if h, q, err := wire.ParseICMP(b); err != nil || h.Type != wire.ICMPTimeExceeded || h.Code != wire.ICMPReassemblyExceeded || len(q) != 28 {
		t.Fatal(h, q, err)
	}
	x.out = nil
	x.s.Input(x.now, x.frag(addrB, 1, wire.ProtoICMP, 40, false, p[40:])) // F-15: no mixing with the old one
	if x.answered() {
		t.Fatal("old and new were mixed")
	}
	x.pass(time.Minute * 2)
	if len(x.out) != 0 {
		t.Fatal("reported without the first fragment")
	}
	x.alive()
}

func TestF16_F17_ReassembledLies(t *testing.T) {
	x := hostile(t)
	u := wire.UDP{SrcPort: 9, DstPort: 53}.Append(nil, addrB, addrA, make([]byte, 72))
	u[5] = 200
	x.s.Input(x.now, x.frag(addrB, 1, wire.ProtoUDP, 0, true, u[:40]))
	x.drops("F-16", x.frag(addrB, 1, wire.ProtoUDP, 40, false, u[40:]), &x.s.stats.UDP.Malformed)
	s := wire.TCP{SrcPort: 7, DstPort: 80, Flags: wire.SYN}.Append(nil, addrB, addrA, make([]byte, 12))
	s[12] = 0xf0
	x.s.Input(x.now, x.frag(addrB, 2, wire.ProtoTCP, 0, true, s[:24]))
	x.drops("F-17", x.frag(addrB, 2, wire.ProtoTCP, 24, false, s[24:]), &x.s.stats.TCP.Malformed)
	x.alive()
}

func TestF09_F18_KeysOfReassembly(t *testing.T) {
	x := hostile(t)
	p := echo(72)
	// F-18: same ID, other protocol: kept apart. F-09: options in one fragment only.
	x.s.Input(x.now, x.frag(addrB, 1, wire.ProtoUDP, 40, false, p[40:]))
	f := wire.Ethernet{Dst: x.s.cfg.MAC, Src: peerMAC, Type: wire.EtherTypeIPv4}.Append(nil)
	f = wire.IPv4{TTL: 64, Proto: wire.ProtoICMP, ID: 1, MF: true, Src: addrB, Dst: addrA, Options: []byte{1, 1, 1, 1}}.Append(f, 40)
	x.s.Input(x.now, append(f, p[:40]...))
	if x.answered() {
		t.Fatal("fragments of two protocols were put together")
	}
	x.s.Input(x.now, x.frag(addrB, 1, wire.ProtoICMP, 40, false, p[40:]))
	if !x.answered() {
		t.Fatal("not reassembled")
	}
	x.pass(2 * time.Minute)
	x.out = nil
	x.alive()
}

func TestIP24_UDPIsFragmented(t *testing.T) {
	p := newPair(t)
	u, err := p.b.ListenUDP(p.now, netip.AddrPortFrom(addrB, 9), UDPConfig{Queue: 1 << 18})
	if err != nil {
		t.Fatal(err)
	}
	v, _ := p.a.ListenUDP(p.now, netip.AddrPort{}, UDPConfig{})
	buf := make([]byte, 65536)
	for _, n := range []int{1472, 1473, 4000, 65507} {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(i * 7)
		}
		if _, err := v.WriteTo(p.now, data, netip.AddrPortFrom(addrB, 9)); err != nil {
			t.Fatal(err)
		}
		p.run()
		k, _, err := u.ReadFrom(p.now, buf)
		if err != nil || !bytes.Equal(buf[:k], data) {
			t.Fatalf("%d: %d bytes, %v, %+v", n, k, err, p.b.stats.IP)
		}
	}
	if _, err := v.WriteTo(p.now, make([]byte, 65508), netip.AddrPortFrom(addrB, 9)); err != ErrMessageSize {
		t.Fatal(err)
	}
	if err := p.b.Stats().IP; err.Reassembled != 3 {
		t.Fatalf("%+v", fmt.Sprint(err))
	}
}
