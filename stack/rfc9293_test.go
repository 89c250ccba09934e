package stack

import "testing"

// Tests of spec/stack-conformance.md, part 1.5, by its identifiers, which are those of RFC 9293.

func TestMUST13_TimeWait(t *testing.T) {
	play(t, handshake+`
	+0 close
	+0 > F. 1:1(0) ack 1
	+0 state FIN-WAIT-1
	+0.1 < . 1:1(0) ack 2
	+0 state FIN-WAIT-2
	+0.1 < F. 1:1(0) ack 2
	+0 > . 2:2(0) ack 2
	+0 state TIME-WAIT
	+59.9 state TIME-WAIT
	+0.2 state CLOSED
	`)
}

func TestMUST13_TimeWaitRestarts(t *testing.T) {
	// A FIN that comes again is acknowledged, and 2 MSL begin again (RFC 9293, 3.10.7.4, eighth
	// step).
	play(t, handshake+`
	+0 close
	+0 > F. 1:1(0) ack 1
	+0.1 < F. 1:1(0) ack 2
	+0 > . 2:2(0) ack 2
	+0 state TIME-WAIT
	+50 < F. 1:1(0) ack 2
	+0 > . 2:2(0) ack 2
	+50 state TIME-WAIT
	+11 state CLOSED
	`)
}

func TestMUST10_SimultaneousOpen(t *testing.T) {
	// RFC 9293, figure 8.
	play(t, `
	+0 connect
	+0 > S 0:0(0) win 65535 <mss 1460>
	+0.1 < S 0:0(0) win 8192 <mss 1460>
	+0 > S. 0:0(0) ack 1 win 65535 <mss 1460>
	+0 state SYN-RECEIVED
	+0.1 < S. 0:0(0) ack 1 win 8192 <mss 1460>
	+0 > . 1:1(0) ack 1
	+0 state ESTABLISHED
	+0 write 5
	+0 > P. 1:6(5) ack 1
	+0.1 < . 1:11(10) ack 6
	+0 read 10
	+0.04 > . 6:6(0) ack 11
	`)
}

func TestMUST10_SimultaneousOpenPlainAck(t *testing.T) {
	play(t, `
	+0 connect
	+0 > S 0:0(0)
	+0.1 < S 0:0(0) win 8192 <mss 1460>
	+0 > S. 0:0(0) ack 1
	+0.1 < . 1:1(0) ack 1 win 8192
	+0 state ESTABLISHED
	`)
}

func TestMUST11_ResetInSynReceived(t *testing.T) {
	// From LISTEN: back to it, nobody is told. From SYN-SENT: refused.
	x := play(t, `
	+0 listen
	+0 < S 0:0(0)
	+0 > S. 0:0(0) ack 1
	+0.1 < R 1:1(0)
	+0 state CLOSED
	+0 noaccept
	+0 < S 0:0(0)
	+0 > S. 0:0(0) ack 1
	+0.1 < . 1:1(0) ack 1
	+0 accept
	`)
	if n := x.l; n.Addr().Port() != 80 {
		t.Fatal("the listener is gone")
	}
	play(t, `
	+0 connect
	+0 > S 0:0(0)
	+0 < S 0:0(0)
	+0 > S. 0:0(0) ack 1
	+0.1 < R 1:1(0)
	+0 err refused
	`)
}

func TestMUST12_ResetIsNotEOF(t *testing.T) {
	play(t, handshake+`
	+0 < R 1:1(0)
	+0 err reset
	+0 state CLOSED
	`)
}

func TestMUST14_MUST15_NoMSSMeans536(t *testing.T) {
	play(t, `
	+0 listen
	+0 < S 0:0(0)
	+0 > S. 0:0(0) ack 1 win 65535 <mss 1460>
	+0.1 < . 1:1(0) ack 1
	+0 accept
	+0 write 600
	+0 > . 1:537(536) ack 1
	+0.01 < . 1:1(0) ack 537
	+0 > P. 537:601(64) ack 1
	`)
}

func TestMUST16_SendSizeIsThePeersMSS(t *testing.T) {
	play(t, `
	+0 listen
	+0 < S 0:0(0) win 65535 <mss 1000>
	+0 > S. 0:0(0) ack 1
	+0.1 < . 1:1(0) ack 1
	+0 accept
	+0 write 2000
	+0 > . 1:1001(1000) ack 1
	+0 > P. 1001:2001(1000) ack 1
	`)
}

func TestMUST16_TimestampsAreTakenOff(t *testing.T) {
	c := scriptConf()
	c.TCP.NoTimestamps = false
	lone(t, c).run(`
	+0 listen
	+0 < S 0:0(0) win 65535 <mss 1460,TS val 100 ecr 0>
	+0 > S. 0:0(0) ack 1
	+0.1 < . 1:1(0) ack 1 win 65535 <TS val 200 ecr 1>
	+0 accept
	+0 write 1460
	+0 > . 1:1449(1448) ack 1        # the rest waits (Nagle)
	+0.1 < . 1:1(0) ack 1449 win 65535 <TS val 300 ecr 1>
	+0 > P. 1449:1461(12) ack 1
	`)
}

func TestMUST17_Nagle(t *testing.T) {
	play(t, handshake+`
	+0 write 1
	+0 > P. 1:2(1) ack 1
	+0 write 1
	+0 write 1
	+0.05 < . 1:1(0) ack 2
	+0 > P. 2:4(2) ack 1
	+0 nodelay
	+0 write 1
	+0 > P. 4:5(1) ack 1
	`)
}

func TestMUST18_RTO4_KarnAndBackoff(t *testing.T) {
	// No answer: the segment goes out again after RTO, doubled each time. An ACK of it is no
	// sample.
	play(t, handshake+`
	+0 write 10
	+0 > P. 1:11(10) ack 1
	+0.3 > P. 1:11(10) ack 1     # SRTT 0.1 s: RTO = 0.1 + 4*0.05
	+0.6 > P. 1:11(10) ack 1
	+1.2 > P. 1:11(10) ack 1
	+0.5 < . 1:1(0) ack 11
	+0 write 10
	+0 > P. 11:21(10) ack 1
	+2.4 > P. 11:21(10) ack 1    # still backed off: there was no measurement
	+0.1 < . 1:1(0) ack 21
	`)
}

func TestMUST20_RetransmissionGivesUp(t *testing.T) {
	x := play(t, handshake+`
	+0 usertimeout 10
	+0 write 10
	+0 > P. 1:11(10) ack 1
	+0.3 > P. 1:11(10) ack 1
	+0.6 > P. 1:11(10) ack 1
	+1.2 > P. 1:11(10) ack 1
	+2.4 > P. 1:11(10) ack 1
	+4.8 > P. 1:11(10) ack 1
	+0.7 > R. 11:11(0) ack 1
	+0 err timed out
	`)
	if !x.c.Err().(interface{ Timeout() bool }).Timeout() {
		t.Fatal(x.c.Err())
	}
}

func TestMUST22_MUST23_SynIsRepeatedForThreeMinutes(t *testing.T) {
	play(t, `
	+0 connect
	+0 > S 0:0(0)
	+1 > S 0:0(0)
	+2 > S 0:0(0)
	+4 > S 0:0(0)
	+8 > S 0:0(0)
	+16 > S 0:0(0)
	+32 > S 0:0(0)
	+60 > S 0:0(0)
	+56 state SYN-SENT
	+1.1 err timed out
	`)
}

func TestMAY1_SHLD3_CloseWithUnreadDataResets(t *testing.T) {
	play(t, handshake+`
	+0 < P. 1:11(10) ack 1
	+0 close
	+0 > R. 1:1(0) ack 11
	+0 state CLOSED
	`)
	play(t, handshake+`
	+0 close
	+0 > F. 1:1(0) ack 1
	+0.1 < P. 1:11(10) ack 2
	+0 > R. 2:2(0) ack 1
	+0 state CLOSED
	`)
}

func TestSHLD2_ResetWithData(t *testing.T) {
	play(t, handshake+`
	+0 < R 1:11(10)
	+0 err reset
	`)
}

func TestMUST30_UrgentDataInLine(t *testing.T) {
	// T-20 to T-22 of the hostile inputs: the pointer is never used.
	play(t, handshake+`
	+0 < U. 1:1(0) ack 1 urg 0
	+0 < PU. 1:11(10) ack 1 urg 65535
	+0 unread 10
	+0.04 > . 1:1(0) ack 11
	+0 < PU. 11:21(10) ack 1 urg 1
	+0 read 20
	+0.04 > . 1:1(0) ack 21
	`)
}

func TestMUST34_PeerShrinksItsWindow(t *testing.T) {
	// SHLD-15 to SHLD-17: nothing new beyond the edge, what is inside is sent again, no time-out.
	play(t, handshake+`
	+0 write 4380
	+0 > . 1:1461(1460) ack 1
	+0 > . 1461:2921(1460) ack 1
	+0 > P. 2921:4381(1460) ack 1
	+0.05 < . 1:1(0) ack 1461 win 1000
	+0 write 1460
	+0.29375 > . 1461:2461(1000) ack 1
	+0.05 < . 1:1(0) ack 2461 win 3380
	+0 > . 2461:3921(1460) ack 1
	+0.05 < . 1:1(0) ack 3921 win 8000
	+0 > . 3921:5381(1460) ack 1
	+0.05 < . 1:1(0) ack 5381 win 8000
	+0 > P. 5381:5841(460) ack 1
	`)
}

func TestMUST36_ZeroWindowProbes(t *testing.T) {
	// The first probe after one RTO, then ever rarer (SHLD-29, SHLD-30), one octet each.
	play(t, `
	+0 listen
	+0 < S 0:0(0) win 1000 <mss 1460>
	+0 > S. 0:0(0) ack 1
	+0.1 < . 1:1(0) ack 1 win 1000
	+0 accept
	+0 write 2000
	+0 > . 1:1001(1000) ack 1
	+0.1 < . 1:1(0) ack 1001 win 0
	+0.25 > . 1001:1002(1) ack 1
	+0.05 < . 1:1(0) ack 1001 win 0
	+0.45 > . 1001:1002(1) ack 1
	+0.05 < . 1:1(0) ack 1001 win 0
	+0.95 > . 1001:1002(1) ack 1
	+0.05 < . 1:1(0) ack 1001 win 4000
	+0 > P. 1001:2001(1000) ack 1
	`)
}

func TestMUST37_ZeroWindowForHours(t *testing.T) {
	x := play(t, `
	+0 listen
	+0 < S 0:0(0) win 1000 <mss 1460>
	+0 > S. 0:0(0) ack 1
	+0.1 < . 1:1(0) ack 1 win 0
	+0 accept
	+0 write 100
	`)
	probes := 0
	for until := x.now.Add(3 * hour); x.now.Before(until); {
		x.pass(second / 10)
		for range x.out {
			probes++
			x.out = nil
			x.line([]string{"<", ".", "1:1(0)", "ack", "1", "win", "0"})
		}
	}
	if x.state() != "ESTABLISHED" || probes < 100 || probes > 250 {
		t.Fatalf("%s after %d probes", x.state(), probes)
	}
	// When probes are not answered any more, R2 ends it (T-36).
	x.pass(4 * minute)
	x.out = nil
	if x.state() != "CLOSED" {
		t.Fatal(x.state())
	}
}

func TestMUST66_ZeroWindowOfOursTakesACKsAndResets(t *testing.T) {
	x := lone(t, scriptConf())
	x.s.cfg.TCP.RecvBuffer = 4096
	x.run(`
	+0 listen
	+0 < S 0:0(0) win 65535 <mss 1460>
	+0 > S. 0:0(0) ack 1 win 4096
	+0.1 < . 1:1(0) ack 1
	+0 accept
	+0 write 10
	+0 > P. 1:11(10) ack 1
	+0 < . 1:1461(1460) ack 1
	+0 < . 1461:2921(1460) ack 1
	+0 > . 11:11(0) ack 2921 win 1176
	+0 < . 2921:4097(1176) ack 1
	+0.04 > . 11:11(0) ack 4097 win 0
	+0.05 < . 4097:4098(1) ack 11
	+0 > . 11:11(0) ack 4097 win 0
	+1 state ESTABLISHED
	+0 < R 4097:4097(0)
	+0 read 4096
	+0 err reset
	`)
}

func TestMUST38_SenderAvoidsSillyWindows(t *testing.T) {
	play(t, `
	+0 listen
	+0 < S 0:0(0) win 4000 <mss 1000>
	+0 > S. 0:0(0) ack 1
	+0.1 < . 1:1(0) ack 1 win 4000
	+0 accept
	+0 write 6000
	+0 > . 1:1001(1000) ack 1
	+0 > . 1001:2001(1000) ack 1
	+0 > . 2001:3001(1000) ack 1
	+0 > . 3001:4001(1000) ack 1
	+0.05 < . 1:1(0) ack 4001 win 1
	+0.01 < . 1:1(0) ack 4001 win 2
	+0.01 < . 1:1(0) ack 4001 win 500
	+0.01 < . 1:1(0) ack 4001 win 1000
	+0 > . 4001:5001(1000) ack 1
	`)
}

func TestMUST39_ReceiverAvoidsSillyWindows(t *testing.T) {
	x := lone(t, scriptConf())
	x.s.cfg.TCP.RecvBuffer = 4096
	x.run(`
	+0 listen
	+0 < S 0:0(0) win 65535 <mss 1460>
	+0 > S. 0:0(0) ack 1 win 4096
	+0.1 < . 1:1(0) ack 1
	+0 accept
	+0 < . 1:1461(1460) ack 1
	+0 < . 1461:2921(1460) ack 1
	+0 > . 1:1(0) ack 2921 win 1176
	+0 < . 2921:4097(1176) ack 1
	+0.04 > . 1:1(0) ack 4097 win 0
	`)
	for range 2047 { // one byte at a time: no announcement before half of the buffer
		x.run("+0 read 1")
	}
	x.run(`
	+0 read 1
	+0 > . 1:1(0) ack 4097 win 2048
	`)
}

func TestMUST40_SHLD18_DelayedACK(t *testing.T) {
	play(t, handshake+`
	+0 < . 1:1461(1460) ack 1
	+0.04 > . 1:1(0) ack 1461
	+0 < . 1461:2921(1460) ack 1
	+0 < . 2921:4381(1460) ack 1
	+0 > . 1:1(0) ack 4381
	`)
}

func TestMUST58_SHLD31_HoleIsFilledWithOneACK(t *testing.T) {
	play(t, handshake+`
	+0 < . 1461:2921(1460) ack 1
	+0 > . 1:1(0) ack 1
	+0 < . 2921:4381(1460) ack 1
	+0 > . 1:1(0) ack 1
	+0 < . 1:1461(1460) ack 1
	+0 > . 1:1(0) ack 4381
	+0 read 4380
	`)
}

func TestMUST60_PushAtTheEndOfAWrite(t *testing.T) {
	play(t, handshake+`
	+0 write 3000
	+0 > . 1:1461(1460) ack 1
	+0 > . 1461:2921(1460) ack 1
	+0.1 < . 1:1(0) ack 2921
	+0 > P. 2921:3001(80) ack 1
	`)
}

func TestMUST54_MUST56_SoftErrorsDoNotAbort(t *testing.T) {
	// SHLD-25, SHLD-26, ICMP-9: before ESTABLISHED code 3 is hard; later nothing is.
	play(t, `
	+0 connect
	+0 > S 0:0(0)
	+0 icmp 3 1 0
	+0 icmp 3 0 0
	+0 icmp 11 0 0
	+0 icmp 12 0 0
	+0 icmp 4 0 0      # source quench (MUST-55)
	+0 state SYN-SENT
	+0 icmp 3 3 1      # not in flight (ICMP-10)
	+0 state SYN-SENT
	+0 icmp 3 3 0
	+0 err refused
	`)
	play(t, handshake+`
	+0 write 10
	+0 > P. 1:11(10) ack 1
	+0 icmp 3 2 1
	+0 icmp 3 3 1
	+0 state ESTABLISHED
	`)
}

func TestMAY2_NewConnectionOutOfTimeWait(t *testing.T) {
	x := play(t, handshake+`
	+0 close
	+0 > F. 1:1(0) ack 1
	+0.1 < F. 1:1(0) ack 2
	+0 > . 2:2(0) ack 2
	+0 < S 1:1(0)                  # not newer: challenged
	+0 > . 2:2(0) ack 2
	+0 state TIME-WAIT
	`)
	old := x.iss + 2
	x.run(`
	+0 < S 100:100(0) win 65535 <mss 1460>
	+0 > S. 0:0(0) ack 101
	+0 state SYN-RECEIVED
	+0 < . 101:101(0) ack 1
	+0 accept
	`)
	if int32(x.iss-old) <= 0 {
		t.Fatalf("the new ISS %d is not beyond %d", x.iss, old)
	}
}

func TestTW1_TimeWaitIgnoresReset(t *testing.T) {
	play(t, handshake+`
	+0 close
	+0 > F. 1:1(0) ack 1
	+0.1 < F. 1:1(0) ack 2
	+0 > . 2:2(0) ack 2
	+0 < R 2:2(0)
	+0 state TIME-WAIT
	`)
}

func TestKeepAlive_MUST24to29(t *testing.T) {
	// Off by default; when idle only; single lost answers are survived; no data.
	play(t, handshake+`
	+7300 state ESTABLISHED
	+0 keepalive 60 10 3
	+60 > . 0:0(0) ack 1
	+0.1 < . 1:1(0) ack 1
	+60 > . 0:0(0) ack 1
	+10 > . 0:0(0) ack 1
	+0.1 < . 1:1(0) ack 1
	+60 > . 0:0(0) ack 1
	+10 > . 0:0(0) ack 1
	+10 > . 0:0(0) ack 1
	+10 > R. 1:1(0) ack 1
	+0 err timed out
	`)
}

func TestSimultaneousClose(t *testing.T) {
	// RFC 9293, figure 13.
	play(t, handshake+`
	+0 close
	+0 > F. 1:1(0) ack 1
	+0 < F. 1:1(0) ack 1
	+0 > . 2:2(0) ack 2
	+0 state CLOSING
	+0.1 < . 2:2(0) ack 2
	+0 state TIME-WAIT
	`)
}

func TestHalfClose(t *testing.T) {
	play(t, handshake+`
	+0 closewrite
	+0 > F. 1:1(0) ack 1
	+0.1 < . 1:1(0) ack 2
	+0 state FIN-WAIT-2
	+1 < P. 1:11(10) ack 2
	+0 read 10
	+0.04 > . 2:2(0) ack 11
	+300 < F. 11:11(0) ack 2      # no time limit while the user reads
	+0 > . 2:2(0) ack 12
	+0 eof
	+0 state TIME-WAIT
	`)
	play(t, handshake+`
	+0 < F. 1:1(0) ack 1
	+0 > . 1:1(0) ack 2
	+0 state CLOSE-WAIT
	+0 eof
	+5 write 10
	+0 > P. 1:11(10) ack 2
	+0.1 < . 2:2(0) ack 11
	+0 close
	+0 > F. 11:11(0) ack 2
	+0 state LAST-ACK
	+0.1 < . 2:2(0) ack 12
	+0 state CLOSED
	`)
}

func TestFinIsRetransmitted(t *testing.T) {
	play(t, handshake+`
	+0 write 10
	+0 > P. 1:11(10) ack 1
	+0 close
	+0 > F. 11:11(0) ack 1
	+0.3 > FP. 1:11(10) ack 1
	+0.1 < . 1:1(0) ack 11
	+0.6 > F. 11:11(0) ack 1
	+0.1 < . 1:1(0) ack 12
	+0 state FIN-WAIT-2
	+60 state CLOSED          # the peer never closes, and nobody is there to wait
	`)
}

func TestBothEndsProbeAtOnce(t *testing.T) {
	// Both windows were closed, both probes are taken, and both ACKs carry the number before the
	// probe.
	x := lone(t, scriptConf())
	x.s.cfg.TCP.RecvBuffer = 2048
	x.run(`
	+0 listen
	+0 < S 0:0(0) win 1000 <mss 1460>
	+0 > S. 0:0(0) ack 1 win 2048
	+0.1 < . 1:1(0) ack 1 win 0
	+0 accept
	+0 write 100
	+0 < . 1:2(1) ack 1 win 0            # the peer's probe is taken
	+0.04 > . 1:1(0) ack 2
	+0.26 > . 1:2(1) ack 2               # and so is ours
	+0.01 < . 1:1(0) ack 2 win 500       # but the peer has not seen our ACK
	+0 > P. 2:101(99) ack 2              # it counts all the same
	+0.05 < . 2:2(0) ack 101 win 500
	`)
}
