package stack

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/understudy-net/understudy/wire"
)

// Tests of spec/hostile-inputs.md, by its identifiers. "Drop" means: no answer, no change, a
// counter, and everything works afterwards.

// hostile makes a stack with a listener, a connection and a UDP socket, all of which may be
// attacked.
func hostile(t *testing.T) *script {
	x := play(t, handshake)
	if _, err := x.s.ListenUDP(x.now, netip.AddrPortFrom(addrA, 53), UDPConfig{}); err != nil {
		t.Fatal(err)
	}
	x.drainEvents()
	return x
}

// drops checks that frame is dropped and that the counter goes up.
func (x *script) drops(what string, frame []byte, counter *uint64) {
	x.t.Helper()
	before := *counter
	conns, nbs := len(x.s.tcps), len(x.s.neighbors.m)
	x.s.Input(x.now, frame)
	if len(x.out) > 0 {
		x.t.Errorf("%s: answered with %s", what, describe(x.out[0].frame))
		x.out = nil
	}
	if *counter == before {
		x.t.Errorf("%s: not counted", what)
	}
	if len(x.s.tcps) != conns || len(x.s.neighbors.m) != nbs {
		x.t.Errorf("%s: a table changed", what)
	}
}

// alive checks that ping, UDP and TCP still work.
func (x *script) alive() {
	x.t.Helper()
	x.pass(3 * time.Second) // challenge allowances fill again
	x.out = nil
	x.s.Input(x.now, x.ip(wire.ProtoICMP, wire.ICMP{Type: wire.ICMPEcho, ID: 1, Seq: 2}.Append(nil, []byte("alive"))))
	if len(x.out) != 1 || !bytes.Contains(x.out[0].frame, []byte("alive")) {
		x.t.Errorf("no answer to ping")
	}
	x.out = nil
	x.s.Input(x.now, x.ip(wire.ProtoUDP, wire.UDP{SrcPort: 9, DstPort: 53}.Append(nil, addrB, addrA, []byte("x"))))
	got := false
	for _, e := range x.drainEvents() {
		got = got || e.Flags.Has(Readable) && e.UDP != UDP{}
	}
	if !got {
		x.t.Errorf("no datagram arrives")
	}
	if x.state() != "ESTABLISHED" {
		x.t.Fatalf("the connection is %s", x.state())
	}
	k, _ := x.c.sock()
	at := int(k.conn.Info().Unread)
	seq := x.rcvNxt()
	x.inject(f(fmt.Sprintf("P. %d:%d(3) ack 1", seq, seq+3)))
	if in, _ := x.c.Buffered(); in != at+3 {
		x.t.Errorf("no data arrive")
	}
	x.pass(time.Second)
	x.out = nil
}

// rcvNxt finds RCV.NXT from outside: by the ACK that a challenge brings.
func (x *script) rcvNxt() int {
	x.out = nil
	x.inject(f("S 500000:500000(0)"))
	if len(x.out) != 1 {
		x.t.Fatalf("no challenge ACK")
	}
	ip, b, _ := wire.ParseIPv4(x.out[0].frame[ethLen:])
	seg, _, err := wire.ParseTCP(b, ip.Src, ip.Dst)
	if err != nil {
		x.t.Fatal(err)
	}
	x.out = nil
	return int(int32(seg.Ack - peerISN))
}

func (x *script) eth(t wire.EtherType, payload []byte) []byte {
	return append(wire.Ethernet{Dst: x.s.cfg.MAC, Src: peerMAC, Type: t}.Append(nil), payload...)
}

// fixIP sets the header checksum of the IP packet in frame.
func fixIP(frame []byte) []byte {
	h := frame[ethLen:]
	n := min(int(h[0]&15)*4, len(h))
	if n >= ipLen {
		h[10], h[11] = 0, 0
		binary.BigEndian.PutUint16(h[10:], wire.Checksum(h[:n]))
	}
	return frame
}

func TestE01_E02_ShortFrames(t *testing.T) {
	x := hostile(t)
	whole := x.segment(wire.TCP{SrcPort: 7, DstPort: 80, Flags: wire.SYN}, nil)
	for n := range 14 {
		x.drops(fmt.Sprintf("%d bytes", n), whole[:n:n], &x.s.stats.Link.Short)
	}
	for n := 14; n < 34; n++ {
		x.drops(fmt.Sprintf("%d bytes", n), whole[:n:n], &x.s.stats.IP.Malformed)
	}
	x.alive()
}

func TestE03_E04_E11_OtherFrames(t *testing.T) {
	x := hostile(t)
	llc := append([]byte{0xaa, 0xaa, 3, 0, 0, 0, 8, 0}, x.segment(wire.TCP{SrcPort: 7, DstPort: 80, Flags: wire.SYN}, nil)[ethLen:]...)
	x.drops("802.3", x.eth(0x05dc, llc), &x.s.stats.Link.BadType)
	for _, tag := range []string{"8100000a", "8100000a8100", "8100"} {
		b, _ := hex.DecodeString(tag)
		f := x.eth(0, nil)[:12]
		x.drops("802.1Q", append(f, append(b, make([]byte, 46)...)...), &x.s.stats.Link.BadType)
	}
	rarp := wire.ARP{Op: 4, SenderMAC: peerMAC, SenderIP: addrB, TargetMAC: x.s.cfg.MAC, TargetIP: netip.MustParseAddr("10.0.0.77")}.Append(nil)
	x.drops("RARP", x.eth(0x8035, rarp), &x.s.stats.Link.BadType)
	if x.s.Addr().Addr() != addrA {
		t.Fatal("the address changed")
	}
	x.alive()
}

func TestE05_BadSourceMAC(t *testing.T) {
	x := hostile(t)
	for _, m := range []wire.MAC{wire.Broadcast, {1, 0, 0x5e, 0, 0, 1}, {}} {
		f := x.ip(wire.ProtoICMP, wire.ICMP{Type: wire.ICMPEcho}.Append(nil, nil))
		copy(f[6:], m[:])
		x.drops(m.String(), f, &x.s.stats.Link.BadSource)
	}
	f := x.ip(wire.ProtoICMP, wire.ICMP{Type: wire.ICMPEcho}.Append(nil, nil))
	copy(f[6:], x.s.cfg.MAC[:])
	x.drops("ours", f, &x.s.stats.Link.OurOwn)
	x.alive()
}

func TestE06_LongFrames(t *testing.T) {
	x := hostile(t)
	for _, n := range []int{1515, 9000, 65535} {
		x.drops(fmt.Sprint(n), x.eth(wire.EtherTypeIPv4, make([]byte, n-ethLen)), &x.s.stats.Link.Long)
	}
	x.alive()
}

func TestE08_E10_BrokenARP(t *testing.T) {
	x := hostile(t)
	good := wire.ARP{Op: wire.ARPRequest, SenderMAC: peerMAC, SenderIP: addrB, TargetIP: addrA}.Append(nil)
	for n := range 28 {
		x.drops(fmt.Sprintf("%d bytes", n), x.eth(wire.EtherTypeARP, good[:n:n]), &x.s.stats.ARP.Malformed)
	}
	for _, c := range []struct{ at, v int }{{4, 0}, {4, 5}, {4, 7}, {4, 255}, {5, 0}, {5, 3}, {5, 16}, {5, 255}, {1, 6}, {2, 0x86}, {7, 0}, {7, 3}, {7, 9}, {6, 255}} {
		b := bytes.Clone(good)
		b[c.at] = byte(c.v)
		x.drops(fmt.Sprintf("byte %d is %d", c.at, c.v), x.eth(wire.EtherTypeARP, b), &x.s.stats.ARP.Malformed)
	}
	// E-20: 18 bytes of padding, and a target MAC that is not zero.
	b := wire.ARP{Op: wire.ARPRequest, SenderMAC: peerMAC, SenderIP: addrB, TargetMAC: peerMAC, TargetIP: addrA}.Append(nil)
	x.s.Input(x.now, x.eth(wire.EtherTypeARP, append(b, make([]byte, 18)...)))
	if len(x.out) != 1 {
		t.Fatal("a good request was not answered (ARP-1)")
	}
	h, p, _ := wire.ParseEthernet(x.out[0].frame)
	a, err := wire.ParseARP(p)
	if err != nil || h.Dst != peerMAC || a.Op != wire.ARPReply || a.SenderIP != addrA || a.SenderMAC != x.s.cfg.MAC || len(x.out[0].frame) != 60 {
		t.Fatalf("%v, %v", a, err)
	}
	x.alive()
}

func TestE12_E13_E14_E15_E16_ARPLearning(t *testing.T) {
	x := hostile(t)
	gw := netip.MustParseAddr("10.0.0.254")
	reply := func(ip netip.Addr, mac, src wire.MAC) []byte {
		f := wire.Ethernet{Dst: x.s.cfg.MAC, Src: src, Type: wire.EtherTypeARP}.Append(nil)
		return wire.ARP{Op: wire.ARPReply, SenderMAC: mac, SenderIP: ip, TargetMAC: x.s.cfg.MAC, TargetIP: addrA}.Append(f)
	}
	// The gateway becomes known by asking us.
	x.arpReply(wire.ARP{Op: wire.ARPRequest, SenderMAC: wire.MAC{2, 0, 0, 0, 0, 7}, SenderIP: gw, TargetIP: addrA})
	x.out = nil
	x.s.Input(x.now, reply(gw, wire.MAC{2, 0, 0, 0, 0, 8}, wire.MAC{2, 0, 0, 0, 0, 8}))
	if x.s.stats.ARP.Changed != 1 {
		t.Error("E-12: a changed MAC was not counted")
	}
	x.s.neighbors.remove(x.s.neighbors.m[gw.As4()])
	other := wire.ARP{Op: wire.ARPReply, SenderMAC: peerMAC, SenderIP: gw, TargetMAC: x.s.cfg.MAC, TargetIP: netip.MustParseAddr("10.0.0.3")}
	x.arpReply(other)
	if x.s.neighbors.m[gw.As4()] != nil {
		t.Error("E-12: a packet for somebody else made an entry")
	}
	x.arpReply(wire.ARP{Op: wire.ARPRequest, SenderMAC: peerMAC, SenderIP: gw, TargetIP: addrA})
	// E-13: a flood of requests to us leaves the table bounded and the gateway in it.
	for i := range 10000 {
		ip := netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
		if i%256 == 255 || i%256 < 3 || i%256 == 254 {
			continue
		}
		m := wire.MAC{2, 1, 0, 0, byte(i >> 8), byte(i)}
		x.arpReply(wire.ARP{Op: wire.ARPRequest, SenderMAC: m, SenderIP: ip, TargetIP: addrA})
		x.out = nil
	}
	if n := len(x.s.neighbors.m); n > defaultMaxARP || x.s.neighbors.m[gw.As4()] == nil {
		t.Errorf("E-13: %d entries, gateway %v", n, x.s.neighbors.m[gw.As4()])
	}
	for _, s := range []string{"255.255.255.255", "224.0.0.1", "127.0.0.1", "10.0.0.255"} {
		x.drops("E-14 "+s, reply(netip.MustParseAddr(s), peerMAC, peerMAC), &x.s.stats.ARP.NotLearned)
	}
	for _, m := range []wire.MAC{wire.Broadcast, {1, 0, 0x5e, 0, 0, 1}} {
		x.drops("E-15", reply(netip.MustParseAddr("10.0.0.4"), m, peerMAC), &x.s.stats.ARP.NotLearned)
	}
	x.drops("E-16", reply(netip.MustParseAddr("10.0.0.4"), wire.MAC{2, 3}, peerMAC), &x.s.stats.ARP.NotLearned)
	if n := x.s.neighbors.m[addrB.As4()]; n != nil && n.mac == (wire.MAC{2, 3}) {
		t.Error("E-16: learned")
	}
}

func TestARP7_TableEvictsTheOldest(t *testing.T) {
	c := scriptConf()
	c.MaxNeighbor = 4
	x := lone(t, c)
	for i := 10; i < 20; i++ {
		x.arpReply(wire.ARP{Op: wire.ARPRequest, SenderMAC: wire.MAC{2, 1, 0, 0, 0, byte(i)}, SenderIP: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), TargetIP: addrA})
	}
	l := x.s.Neighbors()
	if len(l) != 4 || l[0].Addr != netip.MustParseAddr("10.0.0.16") {
		t.Fatalf("%v", l)
	}
}

func TestE17_ACD5_DefendOnceThenGiveUp(t *testing.T) {
	x := hostile(t)
	claim := wire.ARP{Op: wire.ARPRequest, SenderMAC: peerMAC, SenderIP: addrA, TargetIP: addrA}
	x.arpReply(claim)
	if len(x.out) != 1 {
		t.Fatalf("%d frames in defence", len(x.out))
	}
	x.out = nil
	x.pass(11 * time.Second)
	x.arpReply(claim)
	if len(x.out) != 1 || x.s.Addr().Addr() != addrA {
		t.Fatal("not defended after ten seconds")
	}
	x.out = nil
	x.drainEvents()
	for range 100 {
		x.arpReply(claim)
	}
	if len(x.out) != 0 || x.s.Addr().IsValid() {
		t.Fatalf("%d answers, address %v", len(x.out), x.s.Addr())
	}
	var flags Flags
	for _, e := range x.drainEvents() {
		flags |= e.Flags
	}
	if !flags.Has(Conflict) || !flags.Has(AddressLost) || !flags.Has(Closed) {
		t.Fatal(flags)
	}
}

func TestE17_KeepingTheAddress(t *testing.T) {
	c := scriptConf()
	x := lone(t, c)
	x.s.guard.keep = true
	claim := wire.ARP{Op: wire.ARPRequest, SenderMAC: peerMAC, SenderIP: addrA, TargetIP: addrA}
	for range 1000 {
		x.arpReply(claim)
		x.pass(100 * time.Millisecond)
	}
	if n := len(x.out); n < 9 || n > 11 || x.s.Addr().Addr() != addrA {
		t.Fatalf("%d defences in 100 s, address %v", n, x.s.Addr())
	}
}

func TestE19_OurOwnFramesComeBack(t *testing.T) {
	x := hostile(t)
	f := wire.Ethernet{Dst: wire.Broadcast, Src: x.s.cfg.MAC, Type: wire.EtherTypeARP}.Append(nil)
	f = wire.ARP{Op: wire.ARPRequest, SenderMAC: x.s.cfg.MAC, SenderIP: addrA, TargetIP: addrA}.Append(f)
	x.drops("announcement", f, &x.s.stats.Link.OurOwn)
	x.alive()
}

func TestE21_E22_ARP5_ARP6_WaitingPackets(t *testing.T) {
	x := lone(t, scriptConf())
	u, _ := x.s.ListenUDP(x.now, netip.AddrPort{}, UDPConfig{})
	far := netip.MustParseAddrPort("10.0.0.3:9")
	u.Connect(x.now, far)
	for i := range 50 {
		if _, err := u.WriteTo(x.now, []byte{byte(i)}, netip.AddrPort{}); err != nil {
			t.Fatalf("not reported on first use: %v", err)
		}
	}
	if len(x.out) != 1 { // one request
		t.Fatalf("%d frames", len(x.out))
	}
	x.out = nil
	x.arpReply(wire.ARP{Op: wire.ARPReply, SenderMAC: wire.MAC{2, 3}, SenderIP: far.Addr(), TargetMAC: x.s.cfg.MAC, TargetIP: addrA})
	if len(x.out) != arpQueue {
		t.Fatalf("%d of the waiting packets were sent", len(x.out))
	}
	for i, o := range x.out {
		if o.frame[payStart+8] != byte(50-arpQueue+i) {
			t.Fatalf("packet %d is %d", i, o.frame[payStart+8])
		}
	}
	x.out = nil
	// Now one that never answers: at most a request a second, then the waiting fail (ARP-4).
	v, _ := x.s.ListenUDP(x.now, netip.AddrPort{}, UDPConfig{})
	v.Connect(x.now, netip.MustParseAddrPort("10.0.0.4:9"))
	var last error
	for range 400 {
		if _, err := v.WriteTo(x.now, []byte("x"), netip.AddrPort{}); err != nil {
			last = err
		}
		x.pass(10 * time.Millisecond)
	}
	if n := len(x.out); n < 3 || n > 5 {
		t.Fatalf("%d requests in 4 s", n)
	}
	if _, _, err := v.ReadFrom(x.now, make([]byte, 10)); err != ErrUnreachable {
		t.Fatalf("read gave %v, write %v", err, last)
	}
}

func TestARP3_EntriesExpireInUse(t *testing.T) {
	x := lone(t, scriptConf())
	var u UDP
	u, _ = x.s.ListenUDP(x.now, netip.AddrPort{}, UDPConfig{})
	x.gone = true
	for range 200 {
		u.WriteTo(x.now, []byte("x"), netip.AddrPortFrom(addrB, 9))
		x.pass(time.Second)
	}
	if x.deaf < 100 || x.deaf > 141 { // one a second at most, once the entry is stale
		t.Fatalf("%d requests in 200 s", x.deaf)
	}
	if n := x.s.neighbors.m[addrB.As4()]; n.state == neighborReachable || n.state == neighborStale {
		t.Fatal("still believed")
	}
}

func TestI01toI07_BrokenHeaders(t *testing.T) {
	x := hostile(t)
	good := x.segment(wire.TCP{SrcPort: 8, DstPort: 80, Flags: wire.SYN}, nil)
	set := func(at int, v ...byte) []byte {
		f := bytes.Clone(good)
		copy(f[ethLen+at:], v)
		return fixIP(f)
	}
	for _, v := range []byte{0x05, 0x55, 0x65, 0xf5} {
		x.drops(fmt.Sprintf("I-01 %#x", v), set(0, v), &x.s.stats.IP.Malformed)
	}
	for _, v := range []byte{0x40, 0x41, 0x44} {
		x.drops(fmt.Sprintf("I-02 %#x", v), set(0, v), &x.s.stats.IP.Malformed)
	}
	x.drops("I-03", set(0, 0x4f), &x.s.stats.IP.Malformed)
	for _, v := range []uint16{0, 19} {
		x.drops("I-04", set(2, byte(v>>8), byte(v)), &x.s.stats.IP.Malformed)
	}
	x.drops("I-05", set(2, 5, 0xdc), &x.s.stats.IP.Malformed)
	f := bytes.Clone(good)
	f[ethLen+10]++
	x.drops("I-07", f, &x.s.stats.IP.BadChecksum)
	// I-06: the tail is ignored.
	x.s.Input(x.now, append(x.ip(wire.ProtoICMP, wire.ICMP{Type: wire.ICMPEcho, ID: 5}.Append(nil, []byte("abc"))), make([]byte, 1000)...))
	if len(x.out) != 1 || len(x.out[0].frame) != 60 {
		t.Error("I-06: the tail of a frame was used")
	}
	x.out = nil
	x.alive()
}

func TestI08_I09_I10_Addresses(t *testing.T) {
	x := hostile(t)
	for _, a := range []string{"0.0.0.0", "255.255.255.255", "127.0.0.1", "224.0.0.1", "240.0.0.1", "10.0.0.255", "10.0.0.1"} {
		src := netip.MustParseAddr(a)
		seg := wire.TCP{SrcPort: 80, DstPort: 80, Flags: wire.SYN}.Append(nil, src, addrA, nil)
		x.drops("I-08, I-09 "+a, x.ipFrom(src, addrA, wire.ProtoTCP, seg), &x.s.stats.IP.BadSource)
	}
	for _, a := range []string{"127.0.0.1", "0.0.0.0", "10.0.0.77", "9.9.9.9"} {
		dst := netip.MustParseAddr(a)
		seg := wire.TCP{SrcPort: 80, DstPort: 80, Flags: wire.SYN}.Append(nil, addrB, dst, nil)
		x.drops("I-10 "+a, x.ipFrom(addrB, dst, wire.ProtoTCP, seg), &x.s.stats.IP.NotForUs)
	}
	x.drops("I-10, network", x.ipFrom(addrB, netip.MustParseAddr("10.0.0.0"), wire.ProtoTCP,
		wire.TCP{SrcPort: 80, DstPort: 80, Flags: wire.SYN}.Append(nil, addrB, netip.MustParseAddr("10.0.0.0"), nil)), &x.s.stats.TCP.BadSource)
	x.alive()
}

func TestI11_IP8_TTL(t *testing.T) {
	x := hostile(t)
	for _, ttl := range []byte{0, 1} {
		f := x.ip(wire.ProtoICMP, wire.ICMP{Type: wire.ICMPEcho}.Append(nil, nil))
		f[ethLen+8] = ttl
		x.s.Input(x.now, fixIP(f))
		if len(x.out) != 1 || x.out[0].frame[ethLen+8] != 64 {
			t.Errorf("TTL %d", ttl)
		}
		x.out = nil
	}
}

// withOptions is an echo request with IP options.
func (x *script) withOptions(opts []byte) []byte {
	p := wire.ICMP{Type: wire.ICMPEcho, ID: 3}.Append(nil, []byte("options"))
	f := wire.Ethernet{Dst: x.s.cfg.MAC, Src: peerMAC, Type: wire.EtherTypeIPv4}.Append(nil)
	f = wire.IPv4{TTL: 64, Proto: wire.ProtoICMP, Src: addrB, Dst: addrA, Options: opts}.Append(f, len(p))
	return append(f, p...)
}

func TestI12toI20_Options(t *testing.T) {
	x := hostile(t)
	for _, o := range [][]byte{{0x44, 0, 0, 0}, {0x44, 1, 0, 0}, {0x07, 40, 1, 1}, {1, 1, 1, 0x82}} {
		x.drops(fmt.Sprintf("I-12, I-13 %x", o), x.withOptions(o), &x.s.stats.IP.Malformed)
	}
	for _, kind := range []byte{131, 137} {
		for _, p := range []byte{0, 3, 4, 8, 255} {
			x.drops("I-14", x.withOptions([]byte{kind, 7, p, 10, 0, 0, 9, 0}), &x.s.stats.IP.SourceRouted)
		}
		x.drops("I-14, length 3", x.withOptions([]byte{kind, 3, 4, 0}), &x.s.stats.IP.SourceRouted)
		x.drops("I-15", x.withOptions([]byte{1, kind, 7, 4, 10, 0, 0, 9, kind, 7, 4, 10, 0, 0, 8, 0}), &x.s.stats.IP.SourceRouted)
	}
	for _, o := range [][]byte{
		append([]byte{7, 39, 4}, make([]byte, 37)...),  // I-16
		append([]byte{7, 39, 0}, make([]byte, 37)...),  // pointer 0
		append([]byte{7, 39, 99}, make([]byte, 37)...), // past the end
		{0x44, 4, 5, 0xf3},          // I-17
		bytes.Repeat([]byte{1}, 40), // I-19
		{0, 0x83, 0xff, 0xff},       // I-19: rubbish behind the end
		{148, 4, 0, 0},              // I-20
		{0x86, 6, 0, 0, 0, 1, 1, 0},
		{0x88, 4, 0, 1},
		{200, 4, 1, 1},
	} {
		x.s.Input(x.now, x.withOptions(o))
		if len(x.out) != 1 || x.out[0].frame[ethLen] != 0x45 || !bytes.Contains(x.out[0].frame, []byte("options")) {
			t.Errorf("%x: not answered without options", o)
		}
		x.out = nil
	}
	// I-21: the reserved bit.
	f := x.ip(wire.ProtoICMP, wire.ICMP{Type: wire.ICMPEcho}.Append(nil, nil))
	f[ethLen+6] |= 0x80
	x.s.Input(x.now, fixIP(f))
	if len(x.out) != 1 {
		t.Error("I-21")
	}
	x.alive()
}

func TestI22_I23_ICMP7_UnknownProtocols(t *testing.T) {
	x := hostile(t)
	n := 0
	for _, p := range []wire.Proto{4, 41, 47, 50, 0, 61, 255} {
		x.s.Input(x.now, x.ip(p, x.segment(wire.TCP{SrcPort: 7, DstPort: 80, Flags: wire.SYN}, nil)[ethLen:]))
		n++
		if len(x.out) > 0 && x.out[len(x.out)-1].frame[payStart+1] != wire.ICMPProtocolUnreachable {
			t.Error("not protocol unreachable")
		}
	}
	if len(x.out) == 0 || len(x.out) > bucketSize {
		t.Errorf("%d errors for %d packets", len(x.out), n)
	}
	x.alive()
}

func TestI25_IGMP(t *testing.T) {
	x := hostile(t)
	u, _ := x.s.ListenUDP(x.now, netip.MustParseAddrPort("0.0.0.0:5353"), UDPConfig{})
	if err := u.JoinGroup(x.now, netip.MustParseAddr("224.0.0.251")); err != nil {
		t.Fatal(err)
	}
	if len(x.out) != 1 {
		t.Fatalf("IP-23: %d frames on joining", len(x.out))
	}
	x.pass(20 * time.Second)
	x.out = nil
	query := func(b []byte) []byte {
		f := x.ipFrom(addrB, netip.MustParseAddr("224.0.0.1"), wire.ProtoIGMP, b)
		copy(f, []byte{1, 0, 0x5e, 0, 0, 1})
		return f
	}
	x.drops("short", query([]byte{0x11, 0, 0xee, 0xff}), &x.s.stats.IP.Malformed)
	q := wire.IGMP{Type: wire.IGMPQuery, MaxResp: 0, Group: netip.IPv4Unspecified()}.Append(nil)
	for range 1000 {
		x.s.Input(x.now, query(q))
	}
	v3 := append(bytes.Clone(q), 0, 0, 0xff, 0xff)
	v3[2], v3[3] = 0, 0
	binary.BigEndian.PutUint16(v3[2:], wire.Checksum(v3))
	x.s.Input(x.now, query(v3))
	x.pass(20 * time.Second)
	if len(x.out) != 1 { // one report for one group, however many queries
		t.Fatalf("%d reports", len(x.out))
	}
	x.out = nil
	u.LeaveGroup(x.now, netip.MustParseAddr("224.0.0.251"))
	if len(x.out) != 1 {
		t.Fatal("no leave message")
	}
	x.out = nil
	x.alive()
}

func TestC01toC09_ICMP(t *testing.T) {
	x := hostile(t)
	for n := range 8 {
		x.drops(fmt.Sprintf("C-01, %d bytes", n), x.ip(wire.ProtoICMP, make([]byte, n)), &x.s.stats.ICMP.Malformed)
	}
	f := x.ip(wire.ProtoICMP, wire.ICMP{Type: wire.ICMPEcho}.Append(nil, make([]byte, 72)))
	binary.BigEndian.PutUint16(f[ethLen+2:], 1400)
	x.drops("C-02", fixIP(f), &x.s.stats.IP.Malformed)
	f = x.ipFrom(netip.MustParseAddr("10.0.0.9"), netip.MustParseAddr("10.0.0.255"), wire.ProtoICMP, wire.ICMP{Type: wire.ICMPEcho}.Append(nil, nil))
	copy(f, wire.Broadcast[:])
	x.drops("C-04", f, &x.s.stats.ICMP.Ignored)
	x.drops("C-05", x.ip(wire.ProtoICMP, wire.ICMP{Type: wire.ICMPEchoReply, ID: 1}.Append(nil, nil)), &x.s.stats.ICMP.Ignored)
	b := wire.ICMP{Type: wire.ICMPEcho}.Append(nil, nil)
	b[2]++
	x.drops("C-06", x.ip(wire.ProtoICMP, b), &x.s.stats.ICMP.BadChecksum)
	before := x.s.Addr()
	for _, typ := range []wire.ICMPType{4, 5, 9, 13, 15, 16, 17, 18, 30, 255} {
		for _, n := range []int{0, 4, 28, 60} {
			x.drops(fmt.Sprintf("C-07 to C-09, C-17, type %d", typ), x.ip(wire.ProtoICMP, wire.ICMP{Type: typ}.Append(nil, make([]byte, n))), &x.s.stats.ICMP.Ignored)
		}
	}
	if x.s.Addr() != before || len(x.s.routes) != 0 {
		t.Error("configuration changed")
	}
	x.alive()
}

func TestC10_C11_C15_C18_QuotedPackets(t *testing.T) {
	x := hostile(t)
	x.run("+0 write 10\n+0 > P. 1:11(10) ack 1")
	for code := range 16 {
		x.icmp(3, code, 5000, 0) // outside of what is in flight
	}
	for _, c := range []int{0, 1, 2, 3, 5, 9, 13} {
		x.icmp(3, c, 1, 0)
	}
	x.icmp(11, 0, 1, 0)
	x.icmp(12, 0, 1, 0)
	q := wire.TCP{SrcPort: 80, DstPort: 7, Seq: x.iss + 1}.Append(nil, addrA, addrB, nil)
	p := wire.IPv4{Proto: wire.ProtoTCP, Src: addrA, Dst: addrB}.Append(nil, len(q))
	for n := range 8 { // C-15: too short
		x.drops("C-15", x.ip(wire.ProtoICMP, wire.ICMP{Type: 3, Code: 3}.Append(nil, append(bytes.Clone(p), q[:n]...))), &x.s.stats.ICMP.Ignored)
	}
	p[0] = 0x4f
	x.drops("C-15, IHL 15", x.ip(wire.ProtoICMP, wire.ICMP{Type: 3, Code: 3}.Append(nil, append(bytes.Clone(p), q[:8]...))), &x.s.stats.ICMP.Ignored)
	x.run("+0.05 < . 1:1(0) ack 11")
	x.alive()
}

func TestC13_C14_PathMTUFlood(t *testing.T) {
	x := hostile(t)
	for _, mtu := range []int{0, 1, 20, 67, 68, 1500, 65535} {
		x.run("+0 write 10\n+0 skip")
		k, _ := x.c.sock()
		before := x.c.Info().MSS
		x.icmp(3, 4, k.conn.FirstByte()-x.iss2(), mtu)
		if m := x.c.Info().MSS; m < 512 || m > before {
			t.Errorf("MTU %d makes segments of %d", mtu, m)
		}
		x.out = nil
		x.inject(f(fmt.Sprintf(". 1:1(0) ack %d", k.conn.Next()-x.iss)))
	}
}

func (x *script) iss2() uint32 { return x.iss }

func TestC16_ICMP4_NoErrorsAboutErrors(t *testing.T) {
	x := hostile(t)
	// An unknown ICMP-like error in an unknown protocol's place cannot be made; what can: errors
	// about errors, broadcasts, fragments.
	f := x.ipFrom(addrB, netip.MustParseAddr("10.0.0.255"), wire.ProtoUDP, wire.UDP{SrcPort: 1, DstPort: 999}.Append(nil, addrB, netip.MustParseAddr("10.0.0.255"), nil))
	copy(f, wire.Broadcast[:])
	x.drops("broadcast", f, &x.s.stats.UDP.NoPort)
	f = x.ipFrom(addrB, netip.MustParseAddr("255.255.255.255"), 99, make([]byte, 20))
	copy(f, wire.Broadcast[:])
	x.drops("broadcast", f, &x.s.stats.IP.UnknownProto)
	x.alive()
}

func TestC19_ICMP6_ErrorsAreLimited(t *testing.T) {
	x := hostile(t)
	d := x.ip(wire.ProtoUDP, wire.UDP{SrcPort: 1, DstPort: 999}.Append(nil, addrB, addrA, []byte("hello")))
	for range 100000 {
		x.s.Input(x.now, d)
		x.now = x.now.Add(100 * time.Microsecond)
	}
	if n := len(x.out); n < 20 || n > 90 { // ten seconds
		t.Fatalf("%d errors in 10 s", n)
	}
	// ICMP-5: header and at least eight bytes, unchanged.
	_, b, _ := wire.ParseEthernet(x.out[0].frame)
	_, b, _ = wire.ParseIPv4(b)
	h, quote, err := wire.ParseICMP(b)
	if err != nil || h.Type != wire.ICMPUnreachable || h.Code != wire.ICMPPortUnreachable || !bytes.Equal(quote, d[ethLen:]) {
		t.Fatalf("%v %v %x", h, err, quote)
	}
	x.alive()
}

func TestI18_ErrorsQuoteAtMost576Bytes(t *testing.T) {
	x := hostile(t)
	x.s.Input(x.now, x.ip(wire.ProtoUDP, wire.UDP{SrcPort: 1, DstPort: 999}.Append(nil, addrB, addrA, make([]byte, 1400))))
	if len(x.out) != 1 || len(x.out[0].frame) != ethLen+576 {
		t.Fatalf("%d", len(x.out[0].frame))
	}
}

func TestU01toU08_UDP(t *testing.T) {
	x := hostile(t)
	good := wire.UDP{SrcPort: 9, DstPort: 53}.Append(nil, addrB, addrA, []byte("data"))
	for n := range 8 {
		x.drops("U-01", x.ip(wire.ProtoUDP, good[:n:n]), &x.s.stats.UDP.Malformed)
	}
	for _, v := range []byte{0, 7, 13, 255} {
		b := bytes.Clone(good)
		b[5] = v
		x.drops("U-01, U-02", x.ip(wire.ProtoUDP, b), &x.s.stats.UDP.Malformed)
	}
	b := bytes.Clone(good)
	b[7]++
	x.drops("U-04", x.ip(wire.ProtoUDP, b), &x.s.stats.UDP.BadChecksum)
	for _, p := range [][2]uint16{{0, 53}, {9, 0}} {
		x.drops("U-05", x.ip(wire.ProtoUDP, wire.UDP{SrcPort: p[0], DstPort: p[1]}.Append(nil, addrB, addrA, nil)), &x.s.stats.UDP.Malformed)
	}
	f := x.ipFrom(netip.MustParseAddr("10.0.0.255"), addrA, wire.ProtoUDP, wire.UDP{SrcPort: 7, DstPort: 53}.Append(nil, netip.MustParseAddr("10.0.0.255"), addrA, nil))
	x.drops("U-08", f, &x.s.stats.IP.BadSource)
	// U-03, U-04: the rest is ignored, no checksum is accepted, and a datagram of no bytes is
	// delivered (UDP-4).
	var u UDP
	for id, k := range x.s.udpSlots {
		u = UDP{x.s, uint32(id), k.gen}
	}
	b = append(bytes.Clone(good), "rubbish"...)
	x.s.Input(x.now, x.ip(wire.ProtoUDP, b))
	b = bytes.Clone(good)
	b[6], b[7] = 0, 0
	x.s.Input(x.now, x.ip(wire.ProtoUDP, b))
	x.s.Input(x.now, x.ip(wire.ProtoUDP, wire.UDP{SrcPort: 9, DstPort: 53}.Append(nil, addrB, addrA, nil)))
	var buf [100]byte
	for _, want := range []string{"data", "data", ""} {
		n, m, err := u.ReadMessage(x.now, buf[:])
		if err != nil || string(buf[:n]) != want || m.From != netip.AddrPortFrom(addrB, 9) || m.To != netip.AddrPortFrom(addrA, 53) {
			t.Fatalf("%q %+v %v", buf[:n], m, err)
		}
	}
	// U-06: truncated, and said so; no second read of the rest.
	x.s.Input(x.now, x.ip(wire.ProtoUDP, wire.UDP{SrcPort: 9, DstPort: 53}.Append(nil, addrB, addrA, make([]byte, 1000))))
	if n, m, err := u.ReadMessage(x.now, buf[:]); n != 100 || !m.Truncated || m.Size != 1000 || err != nil {
		t.Fatal(n, m, err)
	}
	if _, _, err := u.ReadMessage(x.now, buf[:]); err != errWouldBlock {
		t.Fatal(err)
	}
	// UDP-8: bounded, the newest is dropped.
	for range 100 {
		x.s.Input(x.now, x.ip(wire.ProtoUDP, wire.UDP{SrcPort: 9, DstPort: 53}.Append(nil, addrB, addrA, make([]byte, 1400))))
	}
	if u.Dropped() == 0 || u.Dropped() != x.s.stats.UDP.QueueFull {
		t.Fatal("not bounded")
	}
	for {
		if _, _, err := u.ReadMessage(x.now, buf[:]); err != nil {
			break
		}
	}
	x.alive()
}

func TestU07_UDP3_UDP6_ConnectedSockets(t *testing.T) {
	x := hostile(t)
	u, _ := x.s.ListenUDP(x.now, netip.AddrPort{}, UDPConfig{})
	if err := u.Connect(x.now, netip.AddrPortFrom(addrB, 9)); err != nil {
		t.Fatal(err)
	}
	port := u.LocalAddr().Port()
	x.s.Input(x.now, x.ip(wire.ProtoUDP, wire.UDP{SrcPort: 10, DstPort: port}.Append(nil, addrB, addrA, []byte("forged"))))
	x.out = nil
	if _, _, err := u.ReadFrom(x.now, make([]byte, 10)); err != errWouldBlock {
		t.Fatal("read from a stranger")
	}
	u.WriteTo(x.now, []byte("x"), netip.AddrPort{})
	sent := x.out[len(x.out)-1].frame
	x.out = nil
	x.s.Input(x.now, x.ip(wire.ProtoICMP, wire.ICMP{Type: 3, Code: 3}.Append(nil, sent[ethLen:])))
	if _, _, err := u.ReadFrom(x.now, make([]byte, 10)); err != ErrPort {
		t.Fatalf("port unreachable is not reported: %v", err)
	}
	x.alive()
}

func TestT01toT05_BrokenSegments(t *testing.T) {
	x := hostile(t)
	good := wire.TCP{SrcPort: 7, DstPort: 80, Seq: peerISN + 1, Ack: x.iss + 1, Flags: wire.ACK | wire.RST}.Append(nil, addrB, addrA, []byte("data"))
	sum := func(b []byte) []byte {
		b = bytes.Clone(b)
		if len(b) >= 20 {
			b[16], b[17] = 0, 0
			binary.BigEndian.PutUint16(b[16:], ^wire.Fold(wire.Sum(wire.PseudoSum(wire.ProtoTCP, addrB.As4(), addrA.As4(), len(b)), b)))
		}
		return b
	}
	for n := range 20 {
		x.drops("T-01", x.ip(wire.ProtoTCP, good[:n:n]), &x.s.stats.TCP.Malformed)
	}
	for _, do := range []byte{0, 4, 7, 15} {
		b := bytes.Clone(good)
		b[12] = do << 4
		x.drops(fmt.Sprintf("T-02 to T-04, DO %d", do), x.ip(wire.ProtoTCP, sum(b)), &x.s.stats.TCP.Malformed)
	}
	for at := range len(good) {
		b := bytes.Clone(good)
		b[at] ^= 4
		if at == 12 {
			continue
		}
		x.drops(fmt.Sprintf("T-05, MUST-3, byte %d", at), x.ip(wire.ProtoTCP, b), &x.s.stats.TCP.BadChecksum)
	}
	for _, p := range [][2]uint16{{0, 80}, {7, 0}} {
		x.drops("T-06", x.segment(wire.TCP{SrcPort: p[0], DstPort: p[1], Flags: wire.SYN}, nil), &x.s.stats.TCP.BadSource)
	}
	x.alive()
}

// tcpOptions is a segment with the option area o.
func (x *script) tcpOptions(h wire.TCP, o []byte, data []byte) []byte {
	b := h.Append(nil, addrB, addrA, nil)
	for len(o)%4 != 0 {
		o = append(o, 0)
	}
	b = append(append(b[:20:20], o...), data...)
	b[12] = byte((20+len(o))/4) << 4
	b[16], b[17] = 0, 0
	binary.BigEndian.PutUint16(b[16:], ^wire.Fold(wire.Sum(wire.PseudoSum(wire.ProtoTCP, addrB.As4(), addrA.As4(), len(b)), b)))
	return x.ip(wire.ProtoTCP, b)
}

func TestT09toT19_MUST4toMUST7_Options(t *testing.T) {
	x := hostile(t)
	seq := uint32(peerISN + 1)
	h := func() wire.TCP {
		return wire.TCP{SrcPort: 7, DstPort: 80, Seq: seq, Ack: x.iss + 1, Flags: wire.ACK | wire.PSH, Wnd: 65535}
	}
	for _, o := range [][]byte{{0xfe, 0}, {8, 0}, {2, 1}, {8, 1, 0, 0}, {8, 40}, {1, 1, 1, 2}, {1, 1, 1, 8}, {5, 255, 0, 0}} {
		x.drops(fmt.Sprintf("T-09 to T-11 %x", o), x.tcpOptions(h(), o, []byte("data")), &x.s.stats.TCP.Malformed)
	}
	// What is only strange is ignored, and the data count (MUST-5, MUST-6, MUST-64).
	good := [][]byte{
		{1, 1, 1}, {0, 9, 9, 9}, {2, 2}, {2, 3, 1}, {2, 5, 1, 1, 1}, {2, 4, 0, 1}, {3, 3, 15}, {3, 2}, {3, 4, 1, 1},
		{5, 2}, {5, 3, 1}, {5, 9, 1, 1, 1, 1, 1, 1, 1}, {5, 11, 1, 1, 1, 1, 1, 1, 1, 1, 1}, {8, 2}, {8, 9, 1, 1, 1, 1, 1, 1, 1},
		{8, 10, 0, 0, 0, 1, 0, 0, 0, 2}, {19, 18, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, {29, 4, 1, 1}, {29, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14},
		{5, 10, 0, 0, 0, 9, 0, 0, 0, 1}, {5, 34, 1, 1, 1, 1, 2, 2, 2, 2, 1, 1, 1, 1, 2, 2, 2, 2, 1, 1, 1, 1, 2, 2, 2, 2, 1, 1, 1, 1, 2, 2, 2, 2},
	}
	for kind := 9; kind <= 252; kind += 27 {
		for _, n := range []int{2, 3, 17, 38} {
			good = append(good, append([]byte{byte(kind), byte(n)}, make([]byte, n-2)...))
		}
	}
	for _, o := range good {
		in, _ := x.c.Buffered()
		x.s.Input(x.now, x.tcpOptions(h(), o, []byte("data")))
		seq += 4
		if got, _ := x.c.Buffered(); got != in+4 {
			t.Fatalf("%x: data were not taken", o)
		}
	}
	x.pass(time.Second)
	x.out = nil
	if i := x.c.Info(); i.MSS != 1460 || i.WScale || i.Timestamps || i.OutOfOrder != 0 {
		t.Fatalf("%+v", i)
	}
	x.alive()
}

func TestT13_TinyMSS(t *testing.T) {
	for _, mss := range []int{0, 1, 8, 47, 65535} {
		x := play(t, fmt.Sprintf(`
		+0 listen
		+0 < S 0:0(0) win 65535 <mss %d>
		+0 > S. 0:0(0) ack 1
		+0.1 < . 1:1(0) ack 1
		+0 accept
		`, mss))
		if m := x.c.Info().MSS; m < 64 || m > 1460 {
			t.Fatalf("MSS %d makes segments of %d", mss, m)
		}
		x.c.Write(x.now, make([]byte, 5000))
		if len(x.out) == 0 || len(x.out) > 10 {
			t.Fatalf("%d segments", len(x.out))
		}
	}
}

func TestT33_T34_SynFlood(t *testing.T) {
	x := lone(t, scriptConf())
	x.l, _ = x.s.Listen(x.now, netip.AddrPortFrom(addrA, 80), ListenConfig{Backlog: 4, NoCookies: true})
	for i := range 10000 {
		src := netip.AddrFrom4([4]byte{10, 0, 0, byte(3 + i%200)})
		seg := wire.TCP{SrcPort: uint16(1000 + i), DstPort: 80, Seq: uint32(i), Flags: wire.SYN}.Append(nil, src, addrA, nil)
		x.s.Input(x.now, x.ipFrom(src, addrA, wire.ProtoTCP, seg))
	}
	if len(x.s.tcps) != 4 || x.s.stats.TCP.BacklogFull != 9996 || x.s.stats.TCP.ResetsSent != 0 {
		t.Fatalf("%d connections, %+v", len(x.s.tcps), x.s.stats.TCP)
	}
	x.pass(61 * time.Second) // they time out (T-34), and a good client gets in
	x.out = nil
	x.run(`
	+0 < S 0:0(0)
	+0 > S. 0:0(0) ack 1
	+0.1 < . 1:1(0) ack 1
	+0 accept
	+0 state ESTABLISHED
	`)
}

func TestBacklogIsBounded(t *testing.T) {
	// The accept queue: overflow drops the SYN, never a RST.
	x := play(t, "+0 listen 2")
	for i := range 5 {
		x.peer = uint16(100 + i)
		x.inject(f("S 0:0(0)"))
		if len(x.out) > 0 {
			x.text(x.out[0].frame)
			x.out = nil
			x.inject(f(". 1:1(0) ack 1"))
		}
	}
	for i := range 3 {
		if _, err := x.l.Accept(x.now); (err == nil) != (i < 2) {
			t.Fatalf("accept %d: %v", i, err)
		}
	}
	if x.s.stats.TCP.BacklogFull != 3 || len(x.out) != 0 {
		t.Fatalf("%+v", x.s.stats.TCP)
	}
}

func TestT35_ConnectionsAreBounded(t *testing.T) {
	c := scriptConf()
	c.MaxTCP = 10
	x := lone(t, c).run("+0 listen")
	for i := range 20 {
		x.peer = uint16(100 + i)
		x.inject(f("S 0:0(0)"))
	}
	if len(x.s.tcps) != 10 || x.s.stats.TCP.LimitFull != 10 {
		t.Fatal(len(x.s.tcps))
	}
	if _, err := x.s.Dial(x.now, netip.AddrPort{}, netip.AddrPortFrom(addrB, 9)); err != ErrNoBuffers {
		t.Fatal(err)
	}
}

func TestT39_DataAtTheEdges(t *testing.T) {
	c := scriptConf()
	c.TCP.RecvBuffer = 4096
	lone(t, c).run(`
	+0 listen
	+0 < S 0:0(0) win 65535 <mss 1460>
	+0 > S. 0:0(0) ack 1 win 4096
	+0.1 < . 1:1(0) ack 1
	+0 accept
	+0 < . 1:101(100) ack 1
	+0 < . 51:151(100) ack 1          # the left edge: trimmed, an ACK at once
	+0 > . 1:1(0) ack 151
	+0 < . 4000:4200(200) ack 1       # the right edge
	+0 > . 1:1(0) ack 151
	+0 < . 5000:5010(10) ack 1        # beyond
	+0 > . 1:1(0) ack 151
	+0 < . 151:1611(1460) ack 1
	+0 > . 1:1(0) ack 1611
	+0 < . 1611:3071(1460) ack 1
	+0 > . 1:1(0) ack 3071
	+0 < . 3071:4000(929) ack 1
	+0 > . 1:1(0) ack 4097 win 0
	+0 read 4096
	+0 > . 1:1(0) ack 4097 win 4096
	`)
}

func TestT40_FirstCopyWins(t *testing.T) {
	x := play(t, handshake)
	put := func(seq int, s string) {
		h := wire.TCP{SrcPort: 7, DstPort: 80, Seq: peerISN + uint32(seq), Ack: x.iss + 1, Flags: wire.ACK, Wnd: 65535}
		x.s.Input(x.now, x.segment(h, []byte(s)))
	}
	put(11, "KLMNO")
	put(9, "xxxxxxxxx") // around it
	put(1, "ABCDEFGHyyyyyy")
	put(1, "zzzzzzzzzzzzzzzz")
	var buf [100]byte
	n, _ := x.c.Read(x.now, buf[:])
	if got := string(buf[:n]); got != "ABCDEFGHxxKLMNOxx" {
		t.Fatalf("%q", got)
	}
}

func TestT41_ManyHoles(t *testing.T) {
	x := hostile(t)
	for i := range 10000 {
		h := wire.TCP{SrcPort: 7, DstPort: 80, Seq: peerISN + 3 + uint32(2*i), Ack: x.iss + 1, Flags: wire.ACK, Wnd: 65535}
		x.s.Input(x.now, x.segment(h, []byte("x")))
	}
	k, _ := x.c.sock()
	if n := k.conn.Info().OutOfOrder; n == 0 || n > 32 {
		t.Fatalf("%d ranges", n)
	}
	x.out = nil
	// The stream goes on all the same.
	h := wire.TCP{SrcPort: 7, DstPort: 80, Seq: peerISN + 1, Ack: x.iss + 1, Flags: wire.ACK, Wnd: 65535}
	x.s.Input(x.now, x.segment(h, make([]byte, 1000)))
	if in, _ := x.c.Buffered(); in < 1000 {
		t.Fatalf("%d bytes", in)
	}
	x.pass(time.Second)
	x.out = nil
	x.alive()
}

func TestT42_FinsOutOfPlace(t *testing.T) {
	play(t, handshake+`
	+0 < F. 11:11(0) ack 1            # out of order
	+0 > . 1:1(0) ack 1
	+0 < F. 21:21(0) ack 1            # a second one elsewhere: the first counts
	+0 > . 1:1(0) ack 1
	+0 < . 11:21(10) ack 1            # data behind it do not exist
	+0 state ESTABLISHED
	+0 < . 1:11(10) ack 1
	+0 > . 1:1(0) ack 12
	+0 state CLOSE-WAIT
	+0 read 10
	+0 eof
	+0 < P. 12:22(10) ack 1           # data behind FIN
	+0.1 eof
	`)
}

func TestT45_T46_DuplicateACKs(t *testing.T) {
	x := play(t, handshake)
	x.c.Write(x.now, make([]byte, 14600))
	x.out = nil
	for range 1000 {
		x.inject(f(". 1:1(0) ack 1"))
	}
	if n := len(x.out); n > 60 {
		t.Fatalf("%d segments for 1000 duplicate ACKs", n)
	}
}

func TestT47_SameTupleAgain(t *testing.T) {
	play(t, handshake+`
	+0 < P. 1:11(10) ack 1
	+0 < S 90000:90000(0)             # the peer started anew: challenged,
	+0 > . 1:1(0) ack 11
	+0 < R 11:11(0)                   # and resets with the right number
	+0 < S 90000:90000(0)
	+0 > S. 0:0(0) ack 90001
	`)
}

func TestT49_CloseWaits(t *testing.T) {
	play(t, handshake+`
	+0 write 10
	+0 > P. 1:11(10) ack 1
	+0 close
	+0 > F. 11:11(0) ack 1
	+0 < R 1:1(0)
	+0 state CLOSED
	`)
}

func TestT50_ReservedBits(t *testing.T) {
	x := hostile(t)
	h := wire.TCP{SrcPort: 7, DstPort: 80, Seq: peerISN + 1, Ack: x.iss + 1, Flags: wire.ACK | wire.ECE | wire.CWR, Wnd: 65535}
	b := h.Append(nil, addrB, addrA, []byte("data"))
	b[12] |= 0x0f
	b[16], b[17] = 0, 0
	binary.BigEndian.PutUint16(b[16:], ^wire.Fold(wire.Sum(wire.PseudoSum(wire.ProtoTCP, addrB.As4(), addrA.As4(), len(b)), b)))
	x.s.Input(x.now, x.ip(wire.ProtoTCP, b))
	if in, _ := x.c.Buffered(); in != 4 {
		t.Fatal("not taken")
	}
	x.alive()
}

func TestT51_T52_KeepAlivesAndEmptySegments(t *testing.T) {
	x := hostile(t)
	for range 100 {
		x.inject(f(". 0:0(0) ack 1"))
		x.inject(f(". 0:1(1) ack 1"))
		x.pass(10 * time.Millisecond)
	}
	if n := len(x.out); n < 10 || n > 120 {
		t.Fatalf("%d answers", n)
	}
	if in, _ := x.c.Buffered(); in != 0 {
		t.Fatal("a garbage byte was delivered")
	}
	x.out = nil
	for range 10000 {
		x.inject(f("P. 65536:65536(0) ack 1"))
	}
	if n := len(x.out); n > 10 {
		t.Fatalf("%d answers to empty segments", n)
	}
	x.alive()
}

func TestX05_AddressChanges(t *testing.T) {
	x := play(t, handshake)
	x.c.SetTag("tag")
	x.s.SetAddr(x.now, netip.MustParsePrefix("10.0.0.50/24"), netip.Addr{})
	if len(x.out) != 0 {
		t.Fatal("something was sent from the old address")
	}
	x.run("+0 err unreachable")
	ended := false
	for _, e := range x.drainEvents() {
		ended = ended || e.Tag == "tag" && e.Flags.Has(Closed) && e.Err == ErrUnreachable
	}
	if !ended {
		t.Fatal("the owner was not told")
	}
	x.pass(time.Minute)
	if len(x.out) != 0 {
		t.Fatal("something was sent from the old address")
	}
}

func TestX06_ClockJumps(t *testing.T) {
	x := play(t, handshake+"+0 close\n+0 > F. 1:1(0) ack 1\n+0 < F. 1:1(0) ack 2\n+0 > . 2:2(0) ack 2\n+0 state TIME-WAIT")
	x.now = x.now.Add(-24 * time.Hour) // set back: nothing happens early or late
	x.s.Advance(x.now)
	x.run("+59 state TIME-WAIT\n+2 state CLOSED")
}

func TestX07_HostDoesNotRead(t *testing.T) {
	p := newPair(t)
	a, b := p.connect(80)
	for range 100 {
		a.Write(p.now, make([]byte, 4096))
		p.run()
		p.pass(time.Minute)
	}
	if in, _ := b.Buffered(); in > 64<<10 {
		t.Fatalf("%d bytes", in)
	}
	if _, err := p.a.Ping(p.now, addrB, PingConfig{}); err != nil {
		t.Fatal(err)
	}
	p.run()
	if a.State() != b.State() || a.State().String() != "ESTABLISHED" {
		t.Fatal(a.State(), b.State())
	}
}

func TestX08_NoAddress(t *testing.T) {
	x := lone(t, scriptConf())
	frame := x.segment(wire.TCP{SrcPort: 7, DstPort: 80, Flags: wire.SYN}, nil)
	x.s.ClearAddr(x.now)
	x.drops("a SYN", frame, &x.s.stats.IP.NotForUs)
	x.drops("ARP", x.eth(wire.EtherTypeARP, wire.ARP{Op: wire.ARPRequest, SenderMAC: peerMAC, SenderIP: addrB, TargetIP: addrA}.Append(nil)), &x.s.stats.ARP.In)
	if _, err := x.s.Dial(x.now, netip.AddrPort{}, netip.AddrPortFrom(addrB, 9)); err != ErrNoAddress {
		t.Fatal(err)
	}
}

func TestX09_TheSameFrameAgainAndAgain(t *testing.T) {
	x := play(t, handshake)
	frames := [][]byte{
		x.segment(wire.TCP{SrcPort: 7, DstPort: 80, Seq: peerISN, Flags: wire.SYN}, nil),
		x.segment(wire.TCP{SrcPort: 7, DstPort: 80, Seq: peerISN + 1, Ack: x.iss + 1, Flags: wire.ACK, Wnd: 65535}, []byte("data")),
		x.eth(wire.EtherTypeARP, wire.ARP{Op: wire.ARPRequest, SenderMAC: peerMAC, SenderIP: addrB, TargetIP: addrA}.Append(nil)),
	}
	for _, f := range frames {
		x.s.Input(x.now, f)
	}
	before := x.s.Snapshot()
	for range 1000 {
		for _, f := range frames {
			x.s.Input(x.now, f)
		}
	}
	after := x.s.Snapshot()
	before.Stats, after.Stats = Stats{}, Stats{}
	if !reflect.DeepEqual(before, after) {
		t.Fatalf("%+v\n%+v", before, after)
	}
}
