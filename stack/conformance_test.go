package stack

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/understudy-net/understudy/wire"
)

// The rest of spec/stack-conformance.md, 1.1 to 1.5, and of the rows S and X of
// spec/hostile-inputs.md.
//
// Requirements whose test bears the identifier of an input that shows them:
//
//	LNK-1 E-03    LNK-6 E-06 E-04   ARP-2 E-12       ARP-8 E-14 E-15   IP-1 I-01       IP-2 I-02 to I-05   IP-3 I-07
//	IP-4 I-10     IP-5 I-08         IP-9 I-12 I-20   IP-10 I-14        IP-15 F-02      IP-16 F-11 F-19     ICMP-1 C-06
//	ICMP-2 C-03   ICMP-3 C-04       ICMP-11 C-08     ICMP-12 C-17      ICMP-13 C-07    ICMP-14 PMTU-1 C-13 UDP-1 U-01 U-03
//	UDP-5 U-04    UDP-7 S-07        MUST-2 T-05      REC-1 WS-1        SHLD-5 MAY-3 MUST-14 MUST-67        SHLD-1 S-01
//	MUST-9 S-03   MUST-44 MUST-43   SHLD-4 MAY-2     SHLD-7 MUST-17    MUST-19 CC-2 CC-3 RTO-4             SHLD-9 MUST-20
//	SHLD-12 MAY-5 MAY-6 MUST-24     MUST-62 SHLD-13 MUST-30 (T-20 to T-22)                                 MUST-35 MUST-36
//	SHLD-19 MUST-40                 MAY-13 SHLD-31   MUST-59 MUST-58   SHLD-21 MUST-48 MUST-61 MAY-15 MUST-60
//	SHLD-27 SHLD-28 MUST-60         CC-10 MUST-58    TS-3 S-11         T-03 T-04       T-21 MUST-30        C-12 MUST-54
//	E-09 E-08     X-02 FuzzInput

func TestLNK2_LNK3_GroupsOfTheLink(t *testing.T) {
	x := hostile(t)
	stranger := x.ip(wire.ProtoICMP, echo(8))
	copy(stranger, []byte{2, 9, 9, 9, 9, 9})
	x.drops("another station", stranger, &x.s.stats.Link.NotForUs)
	group := x.ipFrom(addrB, netip.MustParseAddr("224.0.0.251"), wire.ProtoUDP, wire.UDP{SrcPort: 1, DstPort: 53}.Append(nil, addrB, netip.MustParseAddr("224.0.0.251"), nil))
	copy(group, []byte{1, 0, 0x5e, 0, 0, 0xfb})
	x.drops("a group that nobody joined", group, &x.s.stats.Link.NotForUs)
	u, _ := x.s.ListenUDP(x.now, netip.MustParseAddrPort("0.0.0.0:53"), UDPConfig{})
	u.JoinGroup(x.now, netip.MustParseAddr("224.0.0.251"))
	x.s.Input(x.now, group)
	if _, m, err := u.ReadMessage(x.now, nil); err != nil || m.To.Addr() != netip.MustParseAddr("224.0.0.251") {
		t.Fatal(m, err)
	}
	// Another group with the same MAC (LNK-2 is not enough, IP-4).
	copy(group[ethLen+16:], []byte{225, 0, 0, 251})
	x.out = nil
	x.drops("another group", fixIP(group), &x.s.stats.IP.NotForUs)
}

func TestLNK4_LNK5_Padding(t *testing.T) {
	x := lone(t, scriptConf())
	u, _ := x.s.ListenUDP(x.now, netip.AddrPort{}, UDPConfig{})
	u.WriteTo(x.now, bytes.Repeat([]byte{0xee}, 1000), netip.AddrPortFrom(addrB, 9)) // fills the buffer
	u.WriteTo(x.now, []byte{1}, netip.AddrPortFrom(addrB, 9))
	f := x.out[1].frame
	if len(f) != 60 || !bytes.Equal(f[43:], make([]byte, 17)) {
		t.Fatalf("%x", f)
	}
}

func TestIP6_IP7_OurAddressesOnTheWire(t *testing.T) {
	x := lone(t, scriptConf())
	lo := netip.MustParseAddrPort("127.0.0.1:9")
	u, _ := x.s.ListenUDP(x.now, netip.AddrPort{}, UDPConfig{})
	if _, err := u.WriteTo(x.now, nil, lo); err == nil {
		t.Error("sent to loopback")
	}
	if err := x.s.SendUDP(x.now, lo, netip.AddrPortFrom(addrB, 9), nil); err == nil {
		t.Error("sent from loopback")
	}
	if err := x.s.SendUDP(x.now, netip.MustParseAddrPort("10.0.0.9:9"), netip.AddrPortFrom(addrB, 9), nil); err != ErrNoAddress {
		t.Error("sent from an address that is not ours", err)
	}
	if _, err := x.s.Listen(x.now, netip.MustParseAddrPort("10.0.0.9:9"), ListenConfig{}); err != ErrNoAddress {
		t.Error(err)
	}
	if len(x.out) > 0 {
		t.Error("something was sent")
	}
}

func TestIP18_S09_Identifications(t *testing.T) {
	x := lone(t, scriptConf())
	u, _ := x.s.ListenUDP(x.now, netip.AddrPort{}, UDPConfig{})
	seen := map[uint16]bool{}
	for range 1000 {
		u.WriteTo(x.now, []byte("x"), netip.AddrPortFrom(addrB, 9))
	}
	for _, o := range x.out {
		id := uint16(o.frame[ethLen+4])<<8 | uint16(o.frame[ethLen+5])
		if seen[id] {
			t.Fatalf("identification %d twice", id)
		}
		seen[id] = true
	}
	// Traffic to one destination says nothing to most others.
	told := 0
	for i := range 100 {
		d := ip4{10, 0, 0, byte(100 + i)}
		before := x.s.nextID(d)
		x.s.nextID(addrB.As4())
		if x.s.nextID(d) != before+1 {
			told++
		}
	}
	if told > 10 {
		t.Fatalf("%d of 100 destinations share a counter", told)
	}
}

func TestUDP2_ChecksumZeroIsSentAsOnes(t *testing.T) {
	x := lone(t, scriptConf())
	u, _ := x.s.ListenUDP(x.now, netip.AddrPort{}, UDPConfig{})
	for i := range 65536 { // some payload makes the sum come out as 0
		u.WriteTo(x.now, []byte{byte(i >> 8), byte(i)}, netip.AddrPortFrom(addrB, 9))
		f := x.out[0].frame
		x.out = nil
		if f[payStart+6]|f[payStart+7] == 0 {
			t.Fatal("sent without a checksum")
		}
		if f[payStart+6]&f[payStart+7] == 0xff {
			if _, _, err := wire.ParseUDP(f[payStart:], addrA, addrB); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatal("no payload made a sum of 0")
}

func TestMUST41_MUST42_ListenersSideBySide(t *testing.T) {
	p := newPair(t)
	any, _ := p.b.Listen(p.now, netip.MustParseAddrPort("0.0.0.0:80"), ListenConfig{Tag: "any"})
	one, err := p.b.Listen(p.now, netip.AddrPortFrom(addrB, 80), ListenConfig{Tag: "one"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.b.Listen(p.now, netip.AddrPortFrom(addrB, 80), ListenConfig{}); err != ErrAddrInUse {
		t.Fatal(err)
	}
	p.a.Dial(p.now, netip.AddrPort{}, netip.AddrPortFrom(addrB, 80))
	p.run()
	if e := p.events(p.b); len(e) != 1 || e[0].Tag != "one" || e[0].Flags != Acceptable {
		t.Fatalf("%+v", e)
	}
	c, err := one.Accept(p.now)
	if err != nil {
		t.Fatal(err)
	}
	one.Close(p.now) // does not disturb the connection
	p.run()
	if c.State().String() != "ESTABLISHED" {
		t.Fatal(c.State())
	}
	p.a.Dial(p.now, netip.AddrPort{}, netip.AddrPortFrom(addrB, 80))
	p.run()
	if _, err := any.Accept(p.now); err != nil {
		t.Fatal(err)
	}
}

func TestMUST43_MUST45_LocalAddress(t *testing.T) {
	p := newPair(t)
	c, _ := p.a.Dial(p.now, netip.AddrPort{}, netip.AddrPortFrom(addrB, 9))
	if c.LocalAddr().Addr() != addrA || c.RemoteAddr() != netip.AddrPortFrom(addrB, 9) {
		t.Fatal(c.LocalAddr(), c.RemoteAddr())
	}
	d, err := p.a.Dial(p.now, netip.AddrPortFrom(addrA, 5555), netip.AddrPortFrom(addrB, 9))
	if err != nil || d.LocalAddr().Port() != 5555 {
		t.Fatal(d.LocalAddr(), err)
	}
	if _, err := p.a.Dial(p.now, netip.AddrPortFrom(addrA, 5555), netip.AddrPortFrom(addrB, 9)); err != ErrAddrInUse {
		t.Fatal(err)
	}
}

func TestMUST50_OptionsBelowTCP(t *testing.T) {
	x := play(t, handshake)
	seg := wire.TCP{SrcPort: 7, DstPort: 80, Seq: peerISN + 1, Ack: x.iss + 1, Flags: wire.ACK | wire.PSH, Wnd: 65535}.Append(nil, addrB, addrA, []byte("data"))
	f := wire.Ethernet{Dst: x.s.cfg.MAC, Src: peerMAC, Type: wire.EtherTypeIPv4}.Append(nil)
	f = wire.IPv4{TTL: 64, Proto: wire.ProtoTCP, Src: addrB, Dst: addrA, Options: []byte{148, 4, 0, 0, 200, 4, 1, 2}}.Append(f, len(seg))
	x.s.Input(x.now, append(f, seg...))
	if in, _ := x.c.Buffered(); in != 4 {
		t.Fatal("not taken")
	}
}

func TestMUST21_SuspectsTheNeighbor(t *testing.T) {
	// R1: after three retransmissions the way is checked again.
	x := play(t, handshake)
	x.gone = true
	x.run("+0 write 10\n+0 skip")
	x.pass(10 * time.Second)
	if x.deaf == 0 {
		t.Fatal("the neighbour was not asked")
	}
}

func TestSHLD14_WindowIsNotTakenBack(t *testing.T) {
	x := play(t, handshake)
	edge := 0
	for i := range 40 {
		if i == 5 {
			x.c.SetBuffers(8192, 0)
		}
		seq := i*1000 + 1
		x.inject(f(fmt.Sprintf(". %d:%d(1000) ack 1", seq, seq+1000)))
		for _, o := range x.out {
			ip, b, _ := wire.ParseIPv4(o.frame[ethLen:])
			seg, _, _ := wire.ParseTCP(b, ip.Src, ip.Dst)
			if e := int(seg.Ack-peerISN) + int(seg.Wnd); e < edge {
				t.Fatalf("the right edge moved from %d to %d", edge, e)
			} else {
				edge = e
			}
		}
		x.out = nil
	}
}

func TestUrgentToClosedAndNewSockets_T25(t *testing.T) {
	play(t, `
	+0 listen
	+0 < S 0:0(0) win 65535 <mss 1460>
	+0 > S. 0:0(0) ack 1
	+0.1 < U. 1:1(0) ack 1 urg 1
	+0 accept
	+0 < PU. 1:2(1) ack 1 urg 1
	+0 unread 1
	+0 read 1
	+0.04 > . 1:1(0) ack 2
	+0 close
	+0 > F. 1:1(0) ack 2
	+0 < PU. 2:3(1) ack 2 urg 1
	+0 > R. 2:2(0) ack 2
	`)
}

func TestI24_OddFlags(t *testing.T) {
	x := hostile(t)
	fr := x.ip(wire.ProtoICMP, echo(8))
	fr[ethLen+6] = 0x60 // DF and MF
	before := x.s.stats.IP.Fragments
	x.s.Input(x.now, fixIP(fr))
	if x.s.stats.IP.Fragments != before+1 || len(x.out) != 0 {
		t.Fatal("I-24: not treated as a fragment")
	}
	x.pass(2 * time.Minute)
	x.out = nil
	x.alive()
}

func TestS05_S06_SynAckNumbersAreAsRandom(t *testing.T) {
	x := lone(t, scriptConf()).run("+0 listen 4000")
	seen := map[uint32]bool{}
	ones := 0
	for i := range 2000 {
		x.peer = uint16(1000 + i)
		x.inject(f("S 0:0(0)"))
		x.text(x.out[0].frame)
		x.out = nil
		seen[x.iss] = true
		for v := x.iss; v != 0; v &= v - 1 {
			ones++
		}
	}
	if len(seen) != 2000 || ones < 31500 || ones > 32500 {
		t.Fatalf("%d numbers, %d ones", len(seen), ones)
	}
}

func TestX04_LinkGoesDown(t *testing.T) {
	// In each state: every connection ends in bounded time, and what is asked for meanwhile fails
	// at once.
	for _, st := range arrivalStates {
		x := play(t, st.script)
		x.s.ClearAddr(x.now)
		x.c.Close(x.now)
		x.l.Close(x.now)
		x.pass(10 * time.Minute)
		if len(x.s.tcps) != 0 || len(x.s.timers) != 0 {
			t.Errorf("%s: %d connections are left", st.name, len(x.s.tcps))
		}
		if _, err := x.s.Ping(x.now, addrB, PingConfig{}); err != ErrNoAddress {
			t.Error(err)
		}
		if err := x.s.Resolve(x.now, "www.test", nil); err == nil {
			t.Error("resolves without a link")
		}
	}
}

// TestX03_Churn opens, closes and aborts sockets of all kinds while frames for them arrive, by a
// seed.
func TestX03_Churn(t *testing.T) {
	for seed := uint64(1); seed <= 60; seed++ {
		rnd := rand.New(rand.NewPCG(seed, 3))
		l := newBadLink(seed, impairments{loss: 0.05, dup: 0.05, reorder: 0.1, delay: time.Millisecond, jitter: time.Millisecond}, false)
		addrs := []netip.Addr{addrA, addrB}
		var conns [2][]TCP
		var lns [2][]Listener
		var udps [2][]UDP
		for range 3000 {
			i := rnd.IntN(2)
			s := l.stacks[i]
			switch rnd.IntN(14) {
			case 0, 1:
				if c, err := s.Dial(l.now, netip.AddrPort{}, netip.AddrPortFrom(addrs[1-i], uint16(80+rnd.IntN(4)))); err == nil {
					c.SetTag(&seed)
					conns[i] = append(conns[i], c)
				}
			case 2:
				if n, err := s.Listen(l.now, netip.AddrPortFrom(addrs[i], uint16(80+rnd.IntN(4))), ListenConfig{Backlog: 3, Hold: rnd.IntN(3) == 0, Tag: &seed}); err == nil {
					lns[i] = append(lns[i], n)
				}
			case 3:
				if n := len(lns[i]); n > 0 {
					j := rnd.IntN(n)
					lns[i][j].Close(l.now)
				}
			case 4:
				for _, n := range lns[i] {
					if c, err := n.Accept(l.now); err == nil {
						conns[i] = append(conns[i], c)
					}
				}
			case 5:
				for {
					e, ok := s.NextEvent()
					if !ok {
						break
					}
					if e.Flags.Has(Held) {
						switch rnd.IntN(3) {
						case 0:
							e.TCP.Accept(l.now)
							conns[i] = append(conns[i], e.TCP)
						case 1:
							e.TCP.Refuse(l.now)
						case 2:
							e.TCP.Drop(l.now)
						}
					}
				}
			case 6, 7:
				if n := len(conns[i]); n > 0 {
					c := conns[i][rnd.IntN(n)]
					c.Write(l.now, make([]byte, rnd.IntN(5000)))
					c.Read(l.now, make([]byte, rnd.IntN(5000)))
				}
			case 8:
				if n := len(conns[i]); n > 0 {
					j := rnd.IntN(n)
					switch rnd.IntN(4) {
					case 0:
						conns[i][j].Abort(l.now)
					case 1:
						conns[i][j].CloseWrite(l.now)
					default:
						conns[i][j].Close(l.now)
					}
				}
			case 9:
				if u, err := s.ListenUDP(l.now, netip.AddrPort{}, UDPConfig{}); err == nil {
					udps[i] = append(udps[i], u)
				}
			case 10:
				if n := len(udps[i]); n > 0 {
					udps[i][rnd.IntN(n)].Close(l.now)
				}
			default:
				for range rnd.IntN(20) {
					l.step(l.now.Add(time.Duration(rnd.IntN(300)) * time.Millisecond))
				}
			}
			for _, q := range l.stacks {
				for _, k := range q.tcpSlots {
					if k != nil && k.orphan && k.conn.State().String() == "CLOSED" {
						t.Fatalf("seed %d: an orphan was not freed: cause %v, held %v, waiting %v, ln %v", seed, k.conn.Cause(), k.held, k.waiting, k.ln != nil)
					}
				}
			}
			if rnd.IntN(1000) == 0 {
				s.ClearAddr(l.now)
				s.SetAddr(l.now, netip.PrefixFrom(addrs[i], 24), netip.Addr{})
			}
		}
		for i, s := range l.stacks {
			for _, n := range lns[i] {
				n.Close(l.now)
			}
			for _, c := range conns[i] {
				c.Close(l.now)
			}
			for _, u := range udps[i] {
				u.Close(l.now)
			}
			_ = s
		}
		for range 100000 {
			if !l.step(l.now.Add(time.Hour)) {
				break
			}
		}
		for i, s := range l.stacks {
			for _, k := range s.tcpSlots {
				if k != nil {
					t.Fatalf("seed %d: stack %d keeps a connection in %v, orphan %v, waiting %v, held %v", seed, i, k.conn.State(), k.orphan, k.waiting, k.held)
				}
			}
			if len(s.tcps) != 0 || len(s.timers) != 0 || len(s.udps) != 0 || len(s.listeners) != 0 {
				t.Fatalf("seed %d: stack %d keeps %d %d %d %d", seed, i, len(s.tcps), len(s.timers), len(s.udps), len(s.listeners))
			}
		}
	}
}
