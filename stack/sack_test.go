package stack

import (
	"fmt"
	"testing"

	"github.com/understudy-net/understudy/wire"
)

// Selective acknowledgments: SACK-1 to SACK-3, CC-8 of spec/stack-conformance.md, T-15 to T-17 of
// spec/hostile-inputs.md.

const sackHandshake = `
	+0 listen
	+0 < S 0:0(0) win 65535 <mss 1460,sackOK>
	+0 > S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK>
	+0.1 < . 1:1(0) ack 1 win 65535
	+0 accept
`

func playSACK(t *testing.T, text string) *script {
	t.Helper()
	c := scriptConf()
	c.TCP.NoSACK = false
	return lone(t, c).run(text)
}

func TestSACK1_OnlyIfPermitted(t *testing.T) {
	playSACK(t, `
	+0 listen
	+0 < S 0:0(0) win 65535 <mss 1460>
	+0 > S. 0:0(0) ack 1 win 65535 <mss 1460>
	+0.1 < . 1:1(0) ack 1 win 65535
	+0 accept
	+0 < . 1461:2921(1460) ack 1
	+0 > . 1:1(0) ack 1 win 65535
	`)
	playSACK(t, `
	+0 connect
	+0 > S 0:0(0) win 65535 <mss 1460,sackOK>
	`)
	// T-16: blocks without the agreement are ignored.
	play(t, handshake+`
	+0 write 4380
	+0 > . 1:1461(1460) ack 1
	+0 > . 1461:2921(1460) ack 1
	+0 > P. 2921:4381(1460) ack 1
	+0.1 < . 1:1(0) ack 1 win 60000 <sack 1461:4381>
	`)
}

func TestSACK2_Blocks(t *testing.T) {
	// The first block has the segment that came last; up to four, the latest first.
	x := playSACK(t, sackHandshake+`
	+0 < . 101:201(100) ack 1
	+0 > . 1:1(0) ack 1 win 65535 <sack 101:201>
	+0 < . 301:401(100) ack 1
	+0 > . 1:1(0) ack 1 win 65535 <sack 301:401 101:201>
	+0 < . 501:601(100) ack 1
	+0 > . 1:1(0) ack 1 win 65535 <sack 501:601 301:401 101:201>
	+0 < . 201:251(50) ack 1
	+0 > . 1:1(0) ack 1 win 65535 <sack 101:251 501:601 301:401>
	+0 < . 701:801(100) ack 1
	+0 > . 1:1(0) ack 1 win 65535 <sack 701:801 501:601 301:401 101:251>
	+0 < . 901:1001(100) ack 1
	+0 > . 1:1(0) ack 1 win 65535 <sack 901:1001 701:801 501:601 301:401>
	+0 < . 1:101(100) ack 1
	+0 > . 1:1(0) ack 251 win 65285 <sack 901:1001 701:801 501:601 301:401>
	`)
	// A full segment has room for no block, a small one for some (MUST-16).
	x.run(`
	+0 write 1480
	+0 > . 1:1461(1460) ack 251 win 65285
	+0.1 < . 251:251(0) ack 1461
	+0 > P. 1461:1481(20) ack 251 win 65285 <sack 901:1001 701:801 501:601 301:401>
	`)
}

func TestSACK2_ThreeBlocksBesideTimestamps(t *testing.T) {
	c := scriptConf()
	c.TCP.NoSACK, c.TCP.NoTimestamps = false, false
	x := lone(t, c).run(`
	+0 listen
	+0 < S 0:0(0) win 65535 <mss 1460,sackOK,TS val 1 ecr 0>
	+0 > S. 0:0(0) ack 1
	+0.1 < . 1:1(0) ack 1 win 65535 <TS val 2 ecr 1>
	+0 accept
	`)
	for i := range 6 {
		x.inject(f(fmt.Sprintf(". %d:%d(10) ack 1 <TS val 3 ecr 1>", 101+i*100, 111+i*100)))
	}
	o := x.out[len(x.out)-1].frame
	_, b, _ := wire.ParseIPv4(o[ethLen:])
	seg, _, err := wire.ParseTCP(b, addrA, addrB)
	if err != nil || seg.Opt.NSACK != 3 || !seg.Opt.TS || seg.Opt.SACK[0].Left != peerISN+601 {
		t.Fatalf("%v, %v", seg, err)
	}
}

const tenSegments = `
	+0 write 14600
	+0 > . 1:1461(1460) ack 1
	+0 > . 1461:2921(1460) ack 1
	+0 > . 2921:4381(1460) ack 1
	+0 > . 4381:5841(1460) ack 1
	+0 > . 5841:7301(1460) ack 1
	+0 > . 7301:8761(1460) ack 1
	+0 > . 8761:10221(1460) ack 1
	+0 > . 10221:11681(1460) ack 1
	+0 > . 11681:13141(1460) ack 1
	+0 > P. 13141:14601(1460) ack 1
`

func TestCC8_RecoveryByScoreboard(t *testing.T) {
	// Segments 1, 3 and 5 are lost. All of them are sent again in one round trip, and nothing else.
	playSACK(t, sackHandshake+tenSegments+`
	+0.1 < . 1:1(0) ack 1 win 65535 <sack 1461:2921>
	+0 < . 1:1(0) ack 1 win 65535 <sack 4381:5841 1461:2921>
	+0 < . 1:1(0) ack 1 win 65535 <sack 7301:8761 4381:5841 1461:2921>
	+0 > . 1:1461(1460) ack 1                # three ranges above it: lost
	+0 < . 1:1(0) ack 1 win 65535 <sack 7301:10221 4381:5841 1461:2921>
	+0 < . 1:1(0) ack 1 win 65535 <sack 7301:11681 4381:5841 1461:2921>
	+0 > . 2921:4381(1460) ack 1             # as pipe falls below cwnd, 7300
	+0 > . 5841:7301(1460) ack 1
	+0 < . 1:1(0) ack 1 win 65535 <sack 7301:13141 4381:5841 1461:2921>
	+0 > P. 13141:14601(1460) ack 1          # nothing else to send: the rescue retransmission, once
	+0 < . 1:1(0) ack 1 win 65535 <sack 7301:14601 4381:5841 1461:2921>
	+0.1 < . 1:1(0) ack 2921 win 65535 <sack 7301:14601 4381:5841>
	+0 < . 1:1(0) ack 5841 win 65535 <sack 7301:14601>
	+0 < . 1:1(0) ack 14601 win 65535
	+0 cwnd 7300
	+1 state ESTABLISHED
	`)
}

func TestSACK3_TimeoutForgetsTheScoreboard(t *testing.T) {
	// A receiver may drop what it SACKed: after a timeout all of it goes out again, unless it is
	// SACKed anew.
	playSACK(t, sackHandshake+`
	+0 write 5840
	+0 > . 1:1461(1460) ack 1
	+0 > . 1461:2921(1460) ack 1
	+0 > . 2921:4381(1460) ack 1
	+0 > P. 4381:5841(1460) ack 1
	+0.05 < . 1:1(0) ack 1 win 65535 <sack 1461:2921>
	+0.25 > . 1:1461(1460) ack 1
	+0.05 < . 1:1(0) ack 1461 win 65535
	+0 > . 1461:2921(1460) ack 1
	+0 > . 2921:4381(1460) ack 1
	+0.05 < . 1:1(0) ack 2921 win 65535 <sack 4381:5841>
	+0.05 < . 1:1(0) ack 5841 win 65535
	`)
}

func TestT15_T17_BadBlocks(t *testing.T) {
	x := playSACK(t, sackHandshake+tenSegments)
	for i, b := range []string{"0:1", "1:1", "20000:30000", "14601:14602", "100:50", "4294960000:1461", "1461:20000"} {
		x.inject(f(fmt.Sprintf(". 1:1(0) ack 1 win %d <sack %s>", 60000+i, b))) // no duplicate ACK
		if len(x.out) != 0 {
			t.Fatalf("%s: %s", b, x.text(x.out[0].frame))
		}
	}
	k, _ := x.c.sock()
	if _, out := k.conn.Buffered(); out != 14600 {
		t.Fatalf("%d bytes are left in the buffer", out)
	}
	// A thousand ACKs with other tiny blocks: bounded, and the transfer still ends.
	for i := range 1000 {
		l := 1461 + i*13
		x.inject(f(fmt.Sprintf(". 1:1(0) ack 1 win 65535 <sack %d:%d>", l, l+1)))
	}
	if n := len(x.out); n > 200 {
		t.Fatalf("%d segments", n)
	}
	x.out = nil
	x.run("+0 < . 1:1(0) ack 14601 win 65535\n+5 state ESTABLISHED")
}
