package stack

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/understudy-net/understudy/wire"
)

// repair gives a frame the addresses and checksums that let it get further in, so that the fuzzer
// does not have to find them.
func repair(s *script, b []byte) {
	if len(b) < ethLen {
		return
	}
	copy(b[0:6], s.s.cfg.MAC[:])
	copy(b[6:12], peerMAC[:])
	if len(b) < payStart {
		return
	}
	b[12], b[13] = 8, 0
	h := b[ethLen:]
	h[0] = 0x40 | h[0]&15
	n := max(int(h[0]&15)*4, ipLen)
	if n > len(h) {
		return
	}
	h[0] = 0x40 | byte(n/4)
	binary.BigEndian.PutUint16(h[2:], uint16(len(h)))
	a, c := addrA.As4(), addrB.As4()
	copy(h[12:], c[:])
	copy(h[16:], a[:])
	fixIP(b)
	p := h[n:]
	sum := func(at int, proto wire.Proto) {
		if len(p) >= at+2 {
			p[at], p[at+1] = 0, 0
			binary.BigEndian.PutUint16(p[at:], ^wire.Fold(wire.Sum(wire.PseudoSum(proto, c, a, len(p)), p)))
		}
	}
	switch wire.Proto(h[9]) {
	case wire.ProtoTCP:
		if len(p) >= 4 && p[0]&1 == 0 { // often the connection that is there
			binary.BigEndian.PutUint16(p[0:], 7)
			binary.BigEndian.PutUint16(p[2:], 80)
		}
		sum(16, wire.ProtoTCP)
	case wire.ProtoUDP:
		if len(p) >= 6 {
			binary.BigEndian.PutUint16(p[4:], uint16(len(p)))
		}
		sum(6, wire.ProtoUDP)
	case wire.ProtoICMP, wire.ProtoIGMP:
		if len(p) >= 4 {
			p[2], p[3] = 0, 0
			binary.BigEndian.PutUint16(p[2:], wire.Checksum(p))
		}
	}
}

// FuzzInput feeds frames to a stack with open sockets. The input is a list of frames, each behind a
// byte that says whether it is repaired and how much time passes, and two bytes of length.
func FuzzInput(f *testing.F) {
	seed := func(frames ...[]byte) {
		var b []byte
		for _, x := range frames {
			b = append(b, 1, byte(len(x)>>8), byte(len(x)))
			b = append(b, x...)
		}
		f.Add(b)
	}
	x := &script{s: &Stack{cfg: Config{MAC: wire.MAC{2, 0, 0, 0, 0, 1}}}}
	seg := func(h wire.TCP, data string) []byte {
		h.SrcPort, h.DstPort = 7, 80
		return x.segment(h, []byte(data))
	}
	seed(seg(wire.TCP{Seq: peerISN + 1, Ack: 1, Flags: wire.ACK}, "data"), seg(wire.TCP{Seq: peerISN + 5, Flags: wire.FIN | wire.ACK}, ""))
	seed(seg(wire.TCP{Seq: peerISN + 100, Flags: wire.ACK | wire.URG, Urg: 0xffff}, "out of order"), seg(wire.TCP{Seq: peerISN + 1, Flags: wire.RST}, ""))
	seed(seg(wire.TCP{Seq: 1, Flags: wire.SYN, Opt: wire.TCPOptions{MSS: 1, TS: true, HasWScale: true, WScale: 14, SACKPermitted: true}}, ""))
	seed(x.ip(wire.ProtoICMP, echo(40)), x.ip(wire.ProtoUDP, wire.UDP{SrcPort: 53, DstPort: 53}.Append(nil, addrB, addrA, []byte("x"))))
	seed(x.frag(addrB, 1, wire.ProtoUDP, 0, true, make([]byte, 40)), x.frag(addrB, 1, wire.ProtoUDP, 40, false, make([]byte, 9)))
	seed(x.ip(wire.ProtoICMP, wire.ICMP{Type: 3, Code: 4, MTU: 68}.Append(nil, seg(wire.TCP{}, "")[ethLen:])))
	seed(x.ip(wire.ProtoIGMP, wire.IGMP{Type: wire.IGMPQuery}.Append(nil)))
	arp := wire.Ethernet{Dst: wire.Broadcast, Src: peerMAC, Type: wire.EtherTypeARP}.Append(nil)
	f.Add(append([]byte{0, 0, 42}, wire.ARP{Op: wire.ARPRequest, SenderMAC: peerMAC, SenderIP: addrB, TargetIP: addrA}.Append(arp)...))

	f.Fuzz(func(t *testing.T, b []byte) {
		x := play(t, handshake)
		x.s.guard.keep = true
		x.s.ListenUDP(x.now, netip.AddrPortFrom(addrA, 53), UDPConfig{})
		u, _ := x.s.ListenUDP(x.now, netip.AddrPort{}, UDPConfig{})
		u.JoinGroup(x.now, netip.MustParseAddr("224.0.0.251"))
		x.s.servers = []netip.Addr{addrB}
		x.s.Resolve(x.now, "www.test", nil)
		x.s.Ping(x.now, addrB, PingConfig{})
		x.c.Write(x.now, []byte("some data of ours"))
		for len(b) >= 3 {
			how, n := b[0], int(b[1])<<8|int(b[2])
			b = b[3:]
			n = min(n, len(b))
			frame := append([]byte(nil), b[:n]...)
			b = b[n:]
			if how&1 != 0 {
				repair(x, frame)
			}
			x.s.Input(x.now, frame)
			if how&2 != 0 {
				x.pass(time.Duration(how) * 10 * time.Millisecond)
			}
			if how&4 != 0 {
				x.c.Read(x.now, make([]byte, 100))
			}
		}
		x.pass(time.Second)
		if n := len(x.s.neighbors.m); n > defaultMaxARP {
			t.Fatalf("%d neighbours", n)
		}
		for _, o := range x.out { // whatever we say is well formed
			h, p, err := wire.ParseEthernet(o.frame)
			if err == nil && h.Type == wire.EtherTypeIPv4 {
				ip, q, err := wire.ParseIPv4(p)
				if err != nil {
					t.Fatalf("we sent %x: %v", o.frame, err)
				}
				if ip.Proto == wire.ProtoTCP {
					if _, _, err := wire.ParseTCP(q, ip.Src, ip.Dst); err != nil {
						t.Fatalf("we sent %x: %v", o.frame, err)
					}
				}
			}
		}
		x.out = nil
		x.s.Input(x.now, x.ip(wire.ProtoICMP, echo(10)))
		if len(x.out) == 0 {
			t.Fatal("no answer to ping any more")
		}
		x.c.Abort(x.now)
		x.pass(10 * time.Minute)
	})
}
