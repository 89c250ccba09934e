package stack

import (
	"fmt"
	"math/bits"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/stack/tcp"
	"github.com/understudy-net/understudy/wire"
)

// Tests of spec/stack-conformance.md, part 1.6.

func TestRTO1_InitialRTO(t *testing.T) {
	x := play(t, `
	+0 connect
	+0 > S 0:0(0)
	+1 > S 0:0(0)
	`)
	if rto := x.c.Info().RTO; rto != 2*time.Second {
		t.Fatal(rto)
	}
}

func TestRTO2_Estimate(t *testing.T) {
	x := play(t, handshake) // one sample of 100 ms
	if i := x.c.Info(); i.RTT != 100*time.Millisecond || i.RTTVar != 50*time.Millisecond || i.RTO != 300*time.Millisecond {
		t.Fatalf("%+v", i)
	}
	x.run(`
	+0 write 10
	+0 > P. 1:11(10) ack 1
	+0.2 < . 1:1(0) ack 11
	`)
	// RTTVAR = 3/4*50 + 1/4*|100-200|, SRTT = 7/8*100 + 1/8*200
	if i := x.c.Info(); i.RTTVar != 62500*time.Microsecond || i.RTT != 112500*time.Microsecond || i.RTO != 362500*time.Microsecond {
		t.Fatalf("%+v", i)
	}
}

func TestRTO5_LostSyn(t *testing.T) {
	x := play(t, `
	+0 connect
	+0 > S 0:0(0)
	+1 > S 0:0(0)
	+0.1 < S. 0:0(0) ack 1 win 65535 <mss 1460>
	+0 > . 1:1(0) ack 1
	+0 write 2920
	+0 > . 1:1461(1460) ack 1         # CC-1: one segment
	`)
	if rto := x.c.Info().RTO; rto != 3*time.Second {
		t.Fatal(rto)
	}
}

func TestCC1_CC2_SlowStart(t *testing.T) {
	x := play(t, handshake)
	x.c.Write(x.now, make([]byte, 65535))
	if n := len(x.out); n != 10 {
		t.Fatalf("initial window of %d segments", n)
	}
	x.out = nil
	x.inject(f(". 1:1(0) ack 2921 win 65535")) // two segments: two more, and two for the growth
	if n := len(x.out); n != 4 {
		t.Fatalf("%d segments after an ACK of two", n)
	}
}

func f(s string) []string { return strings.Fields(s) }

func TestCC11_ACKDivisionGainsNothing(t *testing.T) {
	x := play(t, handshake+"+0 write 65535\n+0 skip")
	before := x.c.Info().Cwnd
	for i := 2; i <= 1461; i += 146 {
		x.inject(f(fmt.Sprintf(". 1:1(0) ack %d win 65535", i)))
	}
	if grown := x.c.Info().Cwnd - before; grown > 1460 {
		t.Fatalf("cwnd grew by %d for one segment", grown)
	}
	x.out = nil
	// Optimistic ACKs are not used at all.
	sent := x.c.Info().InFlight
	x.inject(f(". 1:1(0) ack 60000 win 65535"))
	if x.c.Info().InFlight != sent {
		t.Fatal("an ACK of what was not sent counted")
	}
}

func TestCC4_CC6_FastRetransmit(t *testing.T) {
	play(t, handshake+`
	+0 write 7300
	+0 > . 1:1461(1460) ack 1
	+0 > . 1461:2921(1460) ack 1
	+0 > . 2921:4381(1460) ack 1
	+0 > . 4381:5841(1460) ack 1
	+0 > P. 5841:7301(1460) ack 1
	+0.1 < . 1:1(0) ack 1
	+0 < . 1:1(0) ack 1 win 60000     # another window: not a duplicate (CC-4)
	+0 < . 1:1(0) ack 1 win 60000
	+0 < . 1:1(0) ack 1 win 60000
	+0 > . 1:1461(1460) ack 1
	+0.1 < . 1:1(0) ack 7301 win 60000
	+0 cwnd 2920                      # CC-6: deflated; ssthresh is half of the 7300 in flight, but nothing is in flight now
	`)
}

func TestCC7_NewRenoPartialACK(t *testing.T) {
	play(t, handshake+`
	+0 write 7300
	+0 > . 1:1461(1460) ack 1
	+0 > . 1461:2921(1460) ack 1
	+0 > . 2921:4381(1460) ack 1
	+0 > . 4381:5841(1460) ack 1
	+0 > P. 5841:7301(1460) ack 1
	+0.1 < . 1:1(0) ack 1
	+0 < . 1:1(0) ack 1
	+0 < . 1:1(0) ack 1
	+0 > . 1:1461(1460) ack 1
	+0.1 < . 1:1(0) ack 2921          # partial: the next hole at once
	+0 > . 2921:4381(1460) ack 1
	+0.1 < . 1:1(0) ack 7301
	+0 write 10
	+0 > P. 7301:7311(10) ack 1
	`)
}

func TestCC3_TimeoutStartsOver(t *testing.T) {
	play(t, handshake+`
	+0 write 7300
	+0 > . 1:1461(1460) ack 1
	+0 > . 1461:2921(1460) ack 1
	+0 > . 2921:4381(1460) ack 1
	+0 > . 4381:5841(1460) ack 1
	+0 > P. 5841:7301(1460) ack 1
	+0.3 > . 1:1461(1460) ack 1       # one segment, not several (RFC 2525, 2.15)
	+0 cwnd 1460
	+0.1 < . 1:1(0) ack 1461
	+0 > . 1461:2921(1460) ack 1
	+0 > . 2921:4381(1460) ack 1
	+0.1 < . 1:1(0) ack 7301
	`)
}

func TestCC5_LimitedTransmit(t *testing.T) {
	x := play(t, handshake+"+0 write 65535\n+0 skip")
	x.run(`
	+0.1 < . 1:1(0) ack 1
	+0 > . 14601:16061(1460) ack 1
	+0 < . 1:1(0) ack 1
	+0 > . 16061:17521(1460) ack 1
	+0 < . 1:1(0) ack 1
	+0 > . 1:1461(1460) ack 1
	`)
}

func TestCC9_IdleRestartsTheWindow(t *testing.T) {
	x := play(t, handshake)
	for range 6 { // grow cwnd beyond the initial window
		x.run("+0 write 30000\n+0 skip")
		for x.c.Info().InFlight > 0 {
			k := x.s.tcpSlots[0]
			x.inject(f(fmt.Sprintf(". 1:1(0) ack %d win 65535", k.conn.Next()-x.iss)))
			x.out = nil
		}
	}
	if x.c.Info().Cwnd < 20000 {
		t.Fatalf("%+v", x.c.Info())
	}
	x.pass(10 * time.Second)
	x.c.Write(x.now, make([]byte, 60000))
	if n := len(x.out); n != 10 {
		t.Fatalf("%d segments after a pause", n)
	}
}

func TestWS1_WindowScale(t *testing.T) {
	c := scriptConf()
	c.TCP.NoWindowScale = false
	// The window of a SYN is not scaled; 15 counts as 14 (T-14).
	x := lone(t, c).run(`
	+0 listen
	+0 < S 0:0(0) win 1000 <mss 1460,wscale 15>
	+0 > S. 0:0(0) ack 1 win 65505 <mss 1460,wscale 5>
	+0.1 < . 1:1(0) ack 1 win 2
	+0 accept
	`)
	if w := x.c.Info().SendWindow; w != 2<<14 {
		t.Fatal(w)
	}
	// MUST-1: a great window is unsigned.
	x.run("+0 < . 1:1(0) ack 1 win 65535")
	if w := x.c.Info().SendWindow; w != 65535<<14 {
		t.Fatal(w)
	}
	// Not offered by the peer: not used.
	lone(t, c).run(`
	+0 listen
	+0 < S 0:0(0) win 1000 <mss 1460>
	+0 > S. 0:0(0) ack 1 win 65535 <mss 1460>
	`)
}

func TestTS1_TS2_Timestamps(t *testing.T) {
	c := scriptConf()
	c.TCP.NoTimestamps = false
	lone(t, c).run(`
	+0 listen
	+0 < S 0:0(0) win 8000 <mss 1460,TS val 1000 ecr 0>
	+0 > S. 0:0(0) ack 1
	+0.1 < . 1:1(0) ack 1 win 8000 <TS val 1100 ecr 1>
	+0 accept
	+0 < P. 1:11(10) ack 1 win 8000             # without one: dropped, no RST
	+0 unread 0
	+0 < P. 1:11(10) ack 1 win 8000 <TS val 1050 ecr 1>
	+0 > . 1:1(0) ack 1                          # PAWS: dropped with an ACK
	+0 unread 0
	+0 < P. 1:11(10) ack 1 win 8000 <TS val 1101 ecr 1>
	+0 unread 10
	+0.04 > . 1:1(0) ack 11
	+0 < R 11:11(0)                              # never applied to RST
	+0 read 10
	+0 err reset
	`)
}

func TestTS2_PAWSForgetsAfter24Days(t *testing.T) {
	c := scriptConf()
	c.TCP.NoTimestamps = false
	lone(t, c).run(`
	+0 listen
	+0 < S 0:0(0) win 8000 <mss 1460,TS val 1000 ecr 0>
	+0 > S. 0:0(0) ack 1
	+0.1 < . 1:1(0) ack 1 win 8000 <TS val 1100 ecr 1>
	+0 accept
	+2160000 < P. 1:11(10) ack 1 win 8000 <TS val 5 ecr 1>
	+0 unread 10
	+0.04 > . 1:1(0) ack 11
	`)
}

func Test5961_4_ChallengeACKsAreLimited(t *testing.T) {
	// T-30: ten thousand provocations in a second, a few answers; per connection.
	x := play(t, handshake)
	for range 10000 {
		x.inject(f("R 1000:1000(0)"))
		x.pass(50 * time.Microsecond)
	}
	if n := len(x.out); n == 0 || n > 10 {
		t.Fatalf("%d challenge ACKs", n)
	}
	x.out = nil
	x.pass(2 * time.Second)
	x.run("+0 < R 1000:1000(0)\n+0 > . 1:1(0) ack 1")
}

func TestPMTU1_FragmentationNeeded(t *testing.T) {
	play(t, handshake+`
	+0 write 2920
	+0 > . 1:1461(1460) ack 1
	+0 > P. 1461:2921(1460) ack 1
	+0 icmp 3 4 9999 1000             # not in flight: ignored
	+0 icmp 3 4 1 1000                # sent again at once in pieces that fit
	+0 > . 1:961(960) ack 1
	+0 > . 961:1921(960) ack 1
	+0 > . 1921:2881(960) ack 1
	+0 > P. 2881:2921(40) ack 1
	+0 icmp 3 4 1 1500                # never raised (C-13)
	+0.1 < . 1:1(0) ack 2921
	+0 write 1460
	+0 > . 2921:3881(960) ack 1
	+0 icmp 3 4 2921 20               # never below 552
	+0 > . 2921:3433(512) ack 1
	+0 > . 3433:3945(512) ack 1
	+0.1 < . 1:1(0) ack 3945
	+0 > P. 3945:4381(436) ack 1
	`)
}

func TestS01_InitialSequenceNumbers(t *testing.T) {
	x := lone(t, scriptConf())
	seen := map[uint32]bool{}
	diffs := map[uint32]int{}
	var ones [32]int
	var last uint32
	const n = 10000
	for i := range n {
		k := tuple{endpoint{addrA.As4(), 80}, endpoint{addrB.As4(), uint16(1024 + i)}}
		v := x.s.params(x.s.at(x.now.Add(time.Duration(i)*100*time.Microsecond)), k).ISS
		seen[v] = true
		diffs[v-last]++
		last = v
		for b := range ones {
			ones[b] += int(v >> b & 1)
		}
	}
	if len(seen) < n-5 || len(diffs) < n-5 {
		t.Fatalf("%d different numbers, %d different steps", len(seen), len(diffs))
	}
	for b, c := range ones {
		if c < n*47/100 || c > n*53/100 {
			t.Fatalf("bit %d is set in %d of %d", b, c, n)
		}
	}
}

func TestS02_MUST8_ClockOfSequenceNumbers(t *testing.T) {
	x := lone(t, scriptConf())
	k := tuple{endpoint{addrA.As4(), 80}, endpoint{addrB.As4(), 1024}}
	a := x.s.params(x.s.at(x.now), k).ISS
	b := x.s.params(x.s.at(x.now.Add(time.Second)), k).ISS
	if b-a != 250000 {
		t.Fatalf("a second moves it on by %d", b-a)
	}
}

func TestS03_S04_S11_SecretsDiffer(t *testing.T) {
	x := newPair(t) // two sources of randomness
	k := tuple{endpoint{addrA.As4(), 80}, endpoint{addrB.As4(), 1024}}
	now := x.a.at(start)
	if a, b := x.a.params(now, k), x.b.params(now, k); a.ISS == b.ISS || a.TSOffset == b.TSOffset {
		t.Fatal("two stacks with one number")
	}
	k2 := k
	k2.remote.port++
	if x.a.params(now, k).TSOffset == x.a.params(now, k2).TSOffset {
		t.Fatal("timestamps of two peers have one offset")
	}
}

func TestHashIsSipHash(t *testing.T) {
	// The vector of the paper's appendix for key 00..0f, message 00..0b, as in its reference table.
	var id [12]byte
	for i := range id {
		id[i] = byte(i)
	}
	key := tcp.Secret{0x0706050403020100, 0x0f0e0d0c0b0a0908}
	const want = 0x751e8fbc860ee5fb
	if got := tcp.Hash(key, id); bits.OnesCount64(got^want) != 0 {
		t.Fatalf("%#x, want %#x", got, uint64(want))
	}
}

func TestS07_PORT1_EphemeralPorts(t *testing.T) {
	p := newPair(t)
	seen := map[uint16]int{}
	rising := 0
	var last uint16
	const n = 4000
	for range n {
		c, err := p.a.Dial(p.now, netip.AddrPort{}, netip.AddrPortFrom(addrB, 9))
		if err != nil {
			t.Fatal(err)
		}
		port := c.LocalAddr().Port()
		if port < firstEphemeral {
			t.Fatalf("port %d", port)
		}
		if seen[port]++; seen[port] > 1 {
			t.Fatalf("port %d twice", port)
		}
		if port > last {
			rising++
		}
		last = port
	}
	if rising < n*45/100 || rising > n*55/100 {
		t.Fatalf("%d of %d ports are above the one before", rising, n)
	}
}

func TestMUST46_MUST63_GroupsAreNoPeers(t *testing.T) {
	x := lone(t, scriptConf())
	for _, a := range []string{"255.255.255.255:80", "10.0.0.255:80", "10.0.0.0:80", "224.0.0.1:80", "0.0.0.0:80", "127.0.0.1:80", "10.0.0.2:0", "[::1]:80"} {
		if _, err := x.s.Dial(x.now, netip.AddrPort{}, netip.MustParseAddrPort(a)); err == nil {
			t.Errorf("dialed %s", a)
		}
	}
	if _, err := x.s.Dial(x.now, netip.AddrPort{}, netip.AddrPortFrom(addrA, 80)); err != ErrUnreachable {
		t.Errorf("dialed ourselves: %v (T-43)", err)
	}
	x.run("+0 listen")
	for _, a := range []string{"0.0.0.0", "255.255.255.255", "127.0.0.1", "10.0.0.1", "10.0.0.255", "240.0.0.1", "224.0.0.5"} {
		src := netip.MustParseAddr(a)
		seg := wire.TCP{SrcPort: 7, DstPort: 80, Flags: wire.SYN}.Append(nil, src, addrA, nil)
		x.s.Input(x.now, x.ipFrom(src, addrA, wire.ProtoTCP, seg))
	}
	if len(x.out) > 0 || len(x.s.tcps) > 0 {
		t.Fatal("a SYN from an impossible source was answered")
	}
}

func TestMUST57_T48_TCPToGroups(t *testing.T) {
	x := lone(t, scriptConf()).run("+0 listen")
	for _, d := range []string{"10.0.0.255", "255.255.255.255", "224.0.0.1"} {
		dst := netip.MustParseAddr(d)
		seg := wire.TCP{SrcPort: 7, DstPort: 80, Flags: wire.SYN}.Append(nil, addrB, dst, nil)
		frame := x.ipFrom(addrB, dst, wire.ProtoTCP, seg)
		copy(frame, wire.Broadcast[:])
		x.s.Input(x.now, frame)
	}
	seg := wire.TCP{SrcPort: 7, DstPort: 80, Flags: wire.SYN}.Append(nil, addrB, addrA, nil)
	frame := x.ip(wire.ProtoTCP, seg)
	copy(frame, wire.Broadcast[:]) // unicast IP in a broadcast frame (IP-21, E-07)
	x.s.Input(x.now, frame)
	if len(x.out) > 0 || len(x.s.tcps) > 0 {
		t.Fatal("TCP to a group was answered")
	}
}

func TestT44_SequenceNumbersWrap(t *testing.T) {
	// The torture test wraps now and then; here it is certain.
	x := lone(t, scriptConf())
	x.s.secret = tcp.Secret{}
	key := tuple{endpoint{addrA.As4(), 80}, endpoint{addrB.As4(), 7}}
	for d := time.Duration(0); ; d += time.Second { // wait until the clock makes the number wrap soon
		if v := x.s.params(x.s.at(start.Add(d)), key).ISS; -v < 200000 && v != 0 {
			x.now = start.Add(d)
			x.pass(time.Duration(-v-5) * 4 * time.Microsecond)
			break
		}
	}
	x.run(handshake)
	if -x.iss > 1000 {
		t.Fatalf("ISS %#x does not wrap", x.iss)
	}
	x.run(`
	+0 write 2920
	+0 > . 1:1461(1460) ack 1
	+0 > P. 1461:2921(1460) ack 1
	+0.1 < . 1:1(0) ack 2921
	+0 close
	+0 > F. 2921:2921(0) ack 1
	+0 < . 1:1(0) ack 2922
	+0 state FIN-WAIT-2
	`)
}
