package stack

import (
	"net/netip"
	"testing"
	"time"
)

// Path MTU discovery: PMTU-1 to PMTU-3 of spec/stack-conformance.md.

// reduced is a connection whose path takes 1000 bytes, as a router has said.
const reduced = handshake + `
	+0 nodelay
	+0 write 1460
	+0 > P. 1:1461(1460) ack 1
	+0 icmp 3 4 1 1000
	+0 > . 1:961(960) ack 1
	+0 > P. 961:1461(500) ack 1
	+0.1 < . 1:1(0) ack 1461
`

func TestPMTU2_RaisedAfterTenMinutes(t *testing.T) {
	play(t, reduced+`
	+590 write 5300                           # not before ten minutes have passed
	+0 > . 1461:2421(960) ack 1
	+0 > . 2421:3381(960) ack 1
	+0 > . 3381:4341(960) ack 1
	+0 > . 4341:5301(960) ack 1
	+0 > . 5301:6261(960) ack 1
	+0 > P. 6261:6761(500) ack 1
	+0.1 < . 1:1(0) ack 6761
	+10 write 5300
	+0 > . 6761:8221(1460) ack 1              # a probe, with enough behind it
	+0 > . 8221:9181(960) ack 1
	+0 > . 9181:10141(960) ack 1
	+0 > . 10141:11101(960) ack 1
	+0 > P. 11101:12061(960) ack 1
	+0.1 < . 1:1(0) ack 12061                 # it has passed
	+0 write 1460
	+0 > P. 12061:13521(1460) ack 1
	+0.1 < . 1:1(0) ack 13521
	`)
}

func TestPMTU2_LostProbeIsNoCongestion(t *testing.T) {
	x := play(t, reduced+`
	+610 write 5300
	+0 > . 1461:2921(1460) ack 1
	+0 > . 2921:3881(960) ack 1
	+0 > . 3881:4841(960) ack 1
	+0 > . 4841:5801(960) ack 1
	+0 > P. 5801:6761(960) ack 1
	+0.1 < . 1:1(0) ack 1461
	+0 < . 1:1(0) ack 1461
	+0 < . 1:1(0) ack 1461
	+0 > . 1461:2421(960) ack 1               # in pieces
	`)
	x.run(`
	+0.1 < . 1:1(0) ack 2421
	+0 > . 2421:3381(960) ack 1
	+0.1 < . 1:1(0) ack 6761
	`)
	if i := x.c.Info(); i.Ssthresh < 9600 || i.MSS != 960 {
		t.Fatalf("%+v", i)
	}
	// The report about a probe sets the size to what it says, if that is more than before.
	play(t, reduced+`
	+610 write 5300
	+0 skip
	+0 icmp 3 4 1461 1300
	+0 > . 1461:2721(1260) ack 1
	+0 > . 2721:3981(1260) ack 1
	+0 > . 3981:5241(1260) ack 1
	+0 > . 5241:6501(1260) ack 1
	+0 > P. 6501:6761(260) ack 1
	+0.1 < . 1:1(0) ack 6761
	`)
}

func TestPMTU3_BlackHole(t *testing.T) {
	// Nothing of full size comes through and no router says so: after two timeouts shorter segments
	// are tried, then much shorter ones.
	x := play(t, handshake+`
	+0 write 1460
	+0 > P. 1:1461(1460) ack 1
	+0.3 > P. 1:1461(1460) ack 1
	+0.6 > . 1:1241(1240) ack 1
	+1.2 > . 1:513(512) ack 1
	+0.1 < . 1:1(0) ack 513
	+0 > . 513:1025(512) ack 1
	+0 > P. 1025:1461(436) ack 1
	+0.1 < . 1:1(0) ack 1461
	`)
	if i := x.c.Info(); i.MSS != 512 {
		t.Fatalf("%+v", i)
	}
	// Short segments that get lost say nothing of the path.
	y := play(t, handshake+`
	+0 write 500
	+0 > P. 1:501(500) ack 1
	+0.3 > P. 1:501(500) ack 1
	+0.6 > P. 1:501(500) ack 1
	+1.2 > P. 1:501(500) ack 1
	+2.4 > P. 1:501(500) ack 1
	+0.1 < . 1:1(0) ack 501
	`)
	if i := y.c.Info(); i.MSS != 1460 {
		t.Fatalf("%+v", i)
	}
}

func TestPMTU1_NextConnectionsKnowThePath(t *testing.T) {
	x := play(t, reduced+"+0 close\n+0 > F. 1461:1461(0) ack 1")
	x.peer = 8
	x.run(`
	+0 < S 0:0(0) win 65535 <mss 1460>
	+0 > S. 0:0(0) ack 1 win 65535 <mss 1460>   # what we can receive is as it was (MUST-67)
	+0.1 < . 1:1(0) ack 1 win 65535
	+0 accept
	+0 nodelay
	+0 write 1460
	+0 > . 1:961(960) ack 1
	+0 > P. 961:1461(500) ack 1
	+0.1 < . 1:1(0) ack 1461
	`)
	// Another destination has another path.
	o := netip.MustParseAddr("10.0.0.77")
	c, err := x.s.Dial(x.now, netip.AddrPort{}, netip.AddrPortFrom(o, 80))
	if err != nil {
		t.Fatal(err)
	}
	if m := c.Info().MSS; m != 1460 {
		t.Fatal(m)
	}
	for i := range 100 { // bounded
		x.s.notePath(x.s.at(x.now.Add(time.Duration(i))), ip4{10, 9, 0, byte(i)}, 600)
	}
}
