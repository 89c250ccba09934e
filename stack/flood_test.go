package stack

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/understudy-net/understudy/stack/dhcp"
	"github.com/understudy-net/understudy/stack/dns"
	"github.com/understudy-net/understudy/wire"
)

// flooded makes a stack that has something to lose: a listener, a connection, UDP sockets, a group, a ping
// and a look-up under way. The look-up of www.test is q.
func flooded(t *testing.T) (x *script, q lookup) {
	x = hostile(t)
	x.s.guard.keep = true // the address stays, whoever claims it
	u, err := x.s.ListenUDP(x.now, netip.AddrPort{}, UDPConfig{})
	if err != nil {
		t.Fatal(err)
	}
	u.JoinGroup(x.now, netip.MustParseAddr("224.0.0.251"))
	if _, err := x.s.Ping(x.now, addrB, PingConfig{}); err != nil {
		t.Fatal(err)
	}
	return x, x.resolve("www.test")
}

// bounded checks the tables of the stack.
func (x *script) bounded() {
	x.t.Helper()
	if n := len(x.s.neighbors.m); n > defaultMaxARP {
		x.t.Errorf("%d neighbours", n)
	}
	if n := len(x.s.tcps); n > 300 {
		x.t.Errorf("%d connections", n)
	}
}

// rubbish frames of 60 bytes at the line rate of 100 Mbit/s. What the host wants is done meanwhile, and
// at once when it is over. Half of the rubbish is random from its first byte; the other is addressed to us, with good checksums.
func TestX01_RubbishAtLineRate(t *testing.T) {
	const rate = 100_000_000 / 8 / (60 + 4 + 20) // frames a second, with check sequence, preamble and gap
	seconds := 10
	if testing.Short() {
		seconds = 1
	}
	x, _ := flooded(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	var frame [60]byte
	protos := []byte{1, 2, 6, 17, 17, 99}
	sent, in, base := 0, x.s.stats.FramesIn, uint64(0)
	for tenth := range seconds * 10 {
		for i := range rate / 10 {
			for j := 0; j < 56; j += 8 {
				binary.LittleEndian.PutUint64(frame[j:], rnd.Uint64())
			}
			if i%2 == 0 {
				frame[ethLen] = 0x45
				frame[ethLen+6], frame[ethLen+7] = 0, 0
				frame[ethLen+9] = protos[i/2%len(protos)]
				repair(x, frame[:])
			}
			x.s.Input(x.now, frame[:])
			sent++
			x.out = x.out[:0]
		}
		x.pass(100 * time.Millisecond)
		x.out = nil
		// The host's commands.
		x.drainEvents()
		if _, err := x.s.Ping(x.now, addrB, PingConfig{}); err != nil {
			t.Fatalf("ping after %d tenths: %v", tenth, err)
		}
		if _, err := x.c.Write(x.now, []byte("x")); err != nil && err != errWouldBlock {
			t.Fatalf("write after %d tenths: %v", tenth, err)
		}
		if len(x.out) == 0 {
			t.Fatalf("neither a ping nor data leave after %d tenths", tenth)
		}
		x.bounded()
		if tenth == 5 {
			base = heap()
		}
	}
	if n := x.s.stats.FramesIn - in; n < uint64(sent) {
		t.Errorf("%d of %d frames were counted", n, sent)
	}
	if grown := int64(heap() - base); grown > 1<<20 {
		t.Errorf("%d bytes more than in the beginning", grown)
	}
	st := x.s.stats
	for what, n := range map[string]uint64{
		"link type": st.Link.BadType + st.Link.NotForUs + st.Link.BadSource, "IP": st.IP.UnknownProto, "ICMP": st.ICMP.Ignored + st.ICMP.Malformed,
		"UDP": st.UDP.NoPort, "TCP": st.TCP.Malformed, "TCP port": st.TCP.NoPort,
	} {
		if n == 0 {
			t.Errorf("%s: nothing was dropped: %+v", what, st)
		}
	}
	x.c.Read(x.now, make([]byte, 100))
	x.alive()
	x.namesAlive("ftp.test")
}

// badBases are one frame of each kind that the hostile inputs vary; each has numbers that are near to those of the stack's
// connections and look-ups, but never right.
func badBases(x *script, q lookup) [][]byte {
	seg := func(h wire.TCP, data string) []byte {
		h.SrcPort, h.DstPort = 7, 80
		return x.segment(h, []byte(data))
	}
	udp := func(from, to uint16, b []byte) []byte {
		return x.ip(wire.ProtoUDP, wire.UDP{SrcPort: from, DstPort: to}.Append(nil, addrB, addrA, b))
	}
	arp := func(op wire.ARPOp) []byte {
		return x.eth(wire.EtherTypeARP, wire.ARP{Op: op, SenderMAC: peerMAC, SenderIP: addrB, TargetMAC: x.s.cfg.MAC, TargetIP: addrA}.Append(nil))
	}
	const far = peerISN + 100001 // beyond the window
	opt := wire.TCPOptions{MSS: 1460, TS: true, TSVal: 1, HasWScale: true, WScale: 7, SACKPermitted: true}
	sack := wire.TCPOptions{NSACK: 2}
	sack.SACK[0], sack.SACK[1] = wire.SACKBlock{Left: x.iss + 1, Right: x.iss + 100}, wire.SACKBlock{Left: x.iss + 200, Right: x.iss + 300}
	wrong := lookup{q.port, append([]byte{^q.payload[0], ^q.payload[1]}, q.payload[2:]...)}
	poison := answer(x.t, wrong, "www.test", netip.MustParseAddr("203.0.113.66"))
	lease := dhcp.Message{Op: dhcp.BootReply, XID: 1, MAC: x.s.cfg.MAC, Type: dhcp.Ack, YourIP: netip.MustParseAddr("10.0.0.99"), ServerID: addrB, LeaseTime: 9}
	quote := seg(wire.TCP{Seq: 1}, "quoted")[ethLen:]
	routed := x.ip(wire.ProtoICMP, echo(20)) // with a source route
	routed = append(routed[:payStart:payStart], append([]byte{0x83, 7, 4, 10, 0, 0, 3, 0}, routed[payStart:]...)...)
	routed[ethLen] = 0x47
	return [][]byte{
		arp(wire.ARPRequest), arp(wire.ARPReply),
		x.eth(0x8100, seg(wire.TCP{Flags: wire.SYN}, "")[12:]),
		seg(wire.TCP{Seq: far, Flags: wire.SYN, Wnd: 9, Opt: opt}, ""),
		seg(wire.TCP{Seq: far, Ack: x.iss + 1, Flags: wire.ACK | wire.PSH | wire.URG, Urg: 3, Wnd: 9}, "data of nobody"),
		seg(wire.TCP{Seq: far, Ack: x.iss + 1, Flags: wire.ACK, Wnd: 9, Opt: sack}, ""),
		seg(wire.TCP{Seq: far, Flags: wire.RST}, ""),
		seg(wire.TCP{Seq: far, Ack: x.iss + 1, Flags: wire.ACK | wire.FIN, Wnd: 9}, ""),
		udp(9, 9, []byte("no port")), udp(9, 53, nil), udp(67, 68, lease.Append(nil, nil)),
		x.ip(wire.ProtoUDP, poison),
		x.ip(wire.ProtoICMP, echo(30)),
		x.ip(wire.ProtoICMP, wire.ICMP{Type: wire.ICMPEchoReply, ID: 9, Seq: 9}.Append(nil, make([]byte, 32))),
		x.ip(wire.ProtoICMP, wire.ICMP{Type: 3, Code: 4, MTU: 68}.Append(nil, quote)),
		x.ip(wire.ProtoICMP, wire.ICMP{Type: 5, Code: 1}.Append(nil, quote)),
		x.quoted(3, 3, q.port, dns.Port), x.quoted(11, 0, q.port, dns.Port),
		x.ip(wire.ProtoIGMP, wire.IGMP{Type: wire.IGMPQuery}.Append(nil)),
		x.ip(99, make([]byte, 20)), fixIP(routed),
		x.frag(addrB, 7, wire.ProtoUDP, 0, true, make([]byte, 40)), x.frag(addrB, 7, wire.ProtoUDP, 32, false, make([]byte, 9)),
	}
}

// badFrames makes of each frame: all its beginnings, and itself with each byte changed, with right and with wrong checksums, with and
// without padding.
func badFrames(x *script, q lookup) (all [][]byte) {
	for _, base := range badBases(x, q) {
		for n := range base {
			all = append(all, base[:n:n])
			if n < 12 {
				continue // the addresses of the link
			}
			for _, v := range []byte{0, 1, 0x7f, 0x80, 0xff, ^base[n], base[n] + 1} {
				if v == base[n] {
					continue
				}
				f := append(append([]byte(nil), base...), make([]byte, max(0, 60-len(base)))...)
				f[n] = v
				whole := append([]byte(nil), f...)
				if wire.EtherType(binary.BigEndian.Uint16(f[12:])) == wire.EtherTypeIPv4 {
					repair(x, whole)
				}
				all = append(all, f[:len(base)], f, whole)
			}
		}
	}
	return all
}

// all that is hostile, ten times, at full speed; then everything works.
func TestX10_EverythingTenTimes(t *testing.T) {
	x, q := flooded(t)
	frames := badFrames(x, q)
	in, base := x.s.stats.FramesIn, uint64(0)
	for round := range 10 {
		before := x.s.stats
		for _, f := range frames {
			x.s.Input(x.now, f)
			x.out = x.out[:0]
		}
		after := x.s.stats
		for what, n := range map[string]uint64{
			"Link.Short":      after.Link.Short - before.Link.Short,
			"Link.BadType":    after.Link.BadType - before.Link.BadType,
			"ARP.Malformed":   after.ARP.Malformed - before.ARP.Malformed,
			"IP.Malformed":    after.IP.Malformed - before.IP.Malformed,
			"IP.BadChecksum":  after.IP.BadChecksum - before.IP.BadChecksum,
			"ICMP.Malformed":  after.ICMP.Malformed - before.ICMP.Malformed,
			"UDP.Malformed":   after.UDP.Malformed - before.UDP.Malformed,
			"UDP.BadChecksum": after.UDP.BadChecksum - before.UDP.BadChecksum,
			"TCP.Malformed":   after.TCP.Malformed - before.TCP.Malformed,
			"TCP.BadChecksum": after.TCP.BadChecksum - before.TCP.BadChecksum,
			"TCP.Dropped":     after.TCP.Dropped - before.TCP.Dropped,
			"FragmentsBad":    after.IP.FragmentsBad - before.IP.FragmentsBad,
		} {
			if n == 0 {
				t.Errorf("round %d: %s did not count", round, what)
			}
		}
		x.bounded()
		if round == 1 {
			base = heap()
		}
	}
	if n := x.s.stats.FramesIn - in; n != uint64(10*len(frames)) {
		t.Errorf("%d frames were counted, want ten times %d", n, len(frames))
	}
	if grown := int64(heap() - base); grown > 1<<20 {
		t.Errorf("%d bytes more after ten rounds than after two", grown)
	}
	if a, err := x.resolved(); a.IsValid() || err != nil {
		t.Errorf("www.test became %v, %v", a, err)
	}
	// Forgeries in such a number make the resolver ask by TCP, which nobody answers here.
	x.s.CancelResolve(x.now, "www.test")
	x.namesAlive("www.test")
	if x.s.Addr().Addr() != addrA {
		t.Errorf("our address is %v", x.s.Addr())
	}
	x.alive()
	x.leaseAlive()
}

// leaseAlive checks that an address can be got by DHCP, and the world be reached from it.
func (x *script) leaseAlive() {
	x.t.Helper()
	x.out = nil
	x.s.guard.keep = false
	if err := x.s.UseDHCP(x.now, DHCPConfig{}); err != nil {
		x.t.Fatal(err)
	}
	x.offer(dhcp.Offer, addrB, addrB, addrA)
	x.offer(dhcp.Ack, addrB, addrB, addrA)
	if _, ok := x.s.Lease(); !ok || x.s.Addr().Addr() != addrA {
		x.t.Fatalf("no lease: %v", x.s.Addr())
	}
	c, err := x.s.Dial(x.now, netip.AddrPort{}, netip.AddrPortFrom(addrB, 9))
	if err != nil {
		x.t.Fatal(err)
	}
	x.pass(time.Second)
	if len(x.out) == 0 {
		x.t.Error("no SYN leaves")
	}
	c.Abort(x.now)
}
