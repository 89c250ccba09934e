package stack

import (
	"net/netip"
	"testing"
	"time"

	"github.com/understudy-net/understudy/stack/tcp"
	"github.com/understudy-net/understudy/wire"
)

// SYN cookies (RFC 4987, 3.6; T-33 of spec/hostile-inputs.md).

// flood sends n SYNs from as many addresses, none of which will answer.
func (x *script) flood(n int) {
	for i := range n {
		src := netip.AddrFrom4([4]byte{172, 16, byte(i >> 8), byte(i)})
		seg := wire.TCP{SrcPort: uint16(1000 + i), DstPort: 80, Seq: uint32(i), Flags: wire.SYN}.Append(nil, src, addrA, nil)
		x.s.Input(x.now, x.ipFrom(src, addrA, wire.ProtoTCP, seg))
	}
	x.out = nil
}

func TestT33_CookiesLetAGoodClientIn(t *testing.T) {
	x := play(t, "+0 listen 4")
	x.flood(1000)
	if n := len(x.s.tcps); n != 4 {
		t.Fatalf("%d connections", n)
	}
	x.run(`
	+0 < S 0:0(0) win 8000 <mss 1400>
	+0 > S. 0:0(0) ack 1 win 65535 <mss 1460>
	`)
	if n := len(x.s.tcps); n != 4 {
		t.Fatalf("%d connections: something was kept of a SYN that is answered by a cookie", n)
	}
	x.run(`
	+0.2 < P. 1:11(10) ack 1 win 8000         # the ACK itself was lost
	+0 accept
	+0 unread 10
	+0 read 10
	+0.04 > . 1:1(0) ack 11
	+0 write 2000
	+0 > . 1:1401(1400) ack 11                # the MSS was remembered
	+0.1 < . 11:11(0) ack 1401 win 8000
	+0 > P. 1401:2001(600) ack 11
	+0.1 < . 11:11(0) ack 2001 win 8000
	+0 close
	+0 > F. 2001:2001(0) ack 11
	`)
	if c := x.s.stats.TCP; c.CookiesGood != 1 || c.CookiesSent != 997 {
		t.Fatalf("%+v", c)
	}
}

func TestT33_CookiesRememberOptions(t *testing.T) {
	// Window scale and SACK come back in the timestamp, whose clock does not run ahead.
	c := scriptConf()
	c.TCP = tcp.Config{}
	for scale := range uint8(15) {
		x := lone(t, c).run("+0 listen 1")
		x.pass(time.Duration(scale) * 7 * time.Millisecond)
		x.flood(5)
		syn := wire.TCP{SrcPort: 7, DstPort: 80, Seq: peerISN, Flags: wire.SYN, Wnd: 100}
		syn.Opt = wire.TCPOptions{MSS: 1460, TS: true, TSVal: 50, HasWScale: true, WScale: scale, SACKPermitted: scale%2 == 0}
		x.s.Input(x.now, x.segment(syn, nil))
		_, b, _ := wire.ParseIPv4(x.out[0].frame[ethLen:])
		sa, _, err := wire.ParseTCP(b, addrA, addrB)
		if err != nil || !sa.Opt.TS || sa.Opt.TSEcr != 50 || !sa.Opt.HasWScale || sa.Opt.SACKPermitted != syn.Opt.SACKPermitted {
			t.Fatalf("%+v %v", sa, err)
		}
		x.out = nil
		ack := wire.TCP{SrcPort: 7, DstPort: 80, Seq: peerISN + 1, Ack: sa.Seq + 1, Flags: wire.ACK, Wnd: 100}
		ack.Opt = wire.TCPOptions{TS: true, TSVal: 60, TSEcr: sa.Opt.TSVal}
		x.s.Input(x.now, x.segment(ack, nil))
		k, err := x.l.Accept(x.now)
		if err != nil {
			t.Fatal(err)
		}
		i := k.Info()
		if !i.Timestamps || i.SACK != syn.Opt.SACKPermitted || i.SendWindow != 100<<scale || i.MSS != 1448 || i.RTT != 0 {
			t.Fatalf("scale %d: %+v", scale, i)
		}
		k.Write(x.now, []byte("x"))
		_, b, _ = wire.ParseIPv4(x.out[0].frame[ethLen:])
		data, _, _ := wire.ParseTCP(b, addrA, addrB)
		if d := data.Opt.TSVal - sa.Opt.TSVal; d > 64 {
			t.Fatalf("the timestamp clock went from %d to %d", sa.Opt.TSVal, data.Opt.TSVal)
		}
	}
}

func TestT33_CookiesCannotBeMadeUp(t *testing.T) {
	// Without a flood no ACK is taken for a cookie.
	x := play(t, "+0 listen 4")
	x.inject(f(". 1:1(0) ack 1"))
	if x.s.stats.TCP.ResetsSent != 1 {
		t.Fatal("no RST")
	}
	x.out = nil
	x.flood(100)
	x.inject(f("S 0:0(0)"))
	x.text(x.out[0].frame)
	x.out = nil
	for _, bad := range []string{
		". 2:2(0) ack 1", // another ISN of the peer
		". 1:1(0) ack 2", ". 1:1(0) ack 257", ". 1:1(0) ack 9",
	} {
		x.inject(f(bad))
	}
	x.peer++ // another port
	x.inject(f(". 1:1(0) ack 1"))
	x.peer--
	if c := x.s.stats.TCP; c.CookiesGood != 0 || c.ResetsSent != 6 {
		t.Fatalf("%+v", c)
	}
	// They are good for one to two minutes.
	x.pass(3 * time.Minute)
	x.flood(100)
	x.inject(f(". 1:1(0) ack 1"))
	if x.s.stats.TCP.CookiesGood != 0 {
		t.Fatal("an old cookie was taken")
	}
}

func TestT33_CookiesAndAcceptQueue(t *testing.T) {
	// Who holds a cookie still waits for room in the accept queue; there is no RST.
	x := play(t, "+0 listen 1")
	x.flood(1)
	x.run(`
	+0 < S 0:0(0) win 8000 <mss 1400>
	+0 > S. 0:0(0) ack 1 win 65535 <mss 1460>
	+0 < . 1:1(0) ack 1 win 8000
	`)
	first := x.iss
	x.peer = 8
	x.run("+0 < S 0:0(0) win 8000 <mss 1400>") // the accept queue is full: no cookies
	x.peer, x.iss = 7, first
	x.run("+0 accept\n+0 state ESTABLISHED")
}
