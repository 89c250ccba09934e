package stack

import "testing"

// Tail loss probes (RFC 8985, 7; row RACK of spec/stack-conformance.md) and reports of what came
// twice (RFC 2883; SACK-4).

const fourSegments = `
	+0 write 5840
	+0 > . 1:1461(1460) ack 1
	+0 > . 1461:2921(1460) ack 1
	+0 > . 2921:4381(1460) ack 1
	+0 > P. 4381:5841(1460) ack 1
`

func TestRACK_TailLossIsProbed(t *testing.T) {
	// The round trip is 20 ms; the last two of four segments are lost. Without a probe RTO would
	// come at 200 ms.
	playSACK(t, `
	+0 listen
	+0 < S 0:0(0) win 65535 <mss 1460,sackOK>
	+0 > S. 0:0(0) ack 1
	+0.02 < . 1:1(0) ack 1 win 65535
	+0 accept
	`+fourSegments+`
	+0.02 < . 1:1(0) ack 2921 win 65535
	+0.04 > P. 4381:5841(1460) ack 1          # 2 SRTT later, the end of it again
	+0.02 < . 1:1(0) ack 2921 win 65535 <sack 4381:5841>
	+0 > . 2921:4381(1460) ack 1              # sent long before the probe: lost
	+0.02 < . 1:1(0) ack 5841 win 65535
	+1 state ESTABLISHED
	`)
}

func TestRACK_ProbeWithNewData(t *testing.T) {
	// cwnd is used up, the peer's window is not: the probe brings what comes next.
	x := playSACK(t, `
	+0 listen
	+0 < S 0:0(0) win 65535 <mss 1460,sackOK>
	+0 > S. 0:0(0) ack 1
	+0.02 < . 1:1(0) ack 1 win 65535
	+0 accept
	+0 write 20000
	+0 skip
	`)
	x.run(`
	+0.04 > . 14601:16061(1460) ack 1
	+0.01 < . 1:1(0) ack 16061 win 65535
	+0 > . 16061:17521(1460) ack 1
	+0 > . 17521:18981(1460) ack 1
	+0.01 < . 1:1(0) ack 18981 win 65535
	+0 > P. 18981:20001(1020) ack 1
	`)
	if i := x.c.Info(); i.Cwnd < 14600 {
		t.Fatalf("nothing was lost, but cwnd is %d", i.Cwnd)
	}
}

func TestRACK_OneProbeThenRTO(t *testing.T) {
	playSACK(t, `
	+0 listen
	+0 < S 0:0(0) win 65535 <mss 1460,sackOK>
	+0 > S. 0:0(0) ack 1
	+0.02 < . 1:1(0) ack 1 win 65535
	+0 accept
	`+fourSegments+`
	+0.04 > P. 4381:5841(1460) ack 1
	+0.2 > . 1:1461(1460) ack 1               # RTO counts from the probe
	+0 cwnd 1460
	+0.02 < . 1:1(0) ack 5841 win 65535
	+1 state ESTABLISHED
	`)
}

func TestRACK_LossRepairedByTheProbeIsHeard(t *testing.T) {
	// The segment and the probe that repeats it arrive both, and a D-SACK says so: nothing was lost.
	y := playSACK(t, `
	+0 listen
	+0 < S 0:0(0) win 65535 <mss 1460,sackOK>
	+0 > S. 0:0(0) ack 1
	+0.02 < . 1:1(0) ack 1 win 65535
	+0 accept
	`+fourSegments+`
	+0.04 > P. 4381:5841(1460) ack 1
	+0.001 < . 1:1(0) ack 5841 win 65535
	+0.02 < . 1:1(0) ack 5841 win 65535 <sack 4381:5841>
	+0 write 10
	+0 > P. 5841:5851(10) ack 1
	+0.02 < . 1:1(0) ack 5851 win 65535
	`)
	if c := y.c.Info().Cwnd; c < 14600 {
		t.Fatalf("cwnd %d after a probe in vain", c)
	}
	// Without a D-SACK the next ACK means that the probe repaired a loss, which counts as one (RFC
	// 8985, 7.4).
	z := playSACK(t, `
	+0 listen
	+0 < S 0:0(0) win 65535 <mss 1460,sackOK>
	+0 > S. 0:0(0) ack 1
	+0.02 < . 1:1(0) ack 1 win 65535
	+0 accept
	`+fourSegments+`
	+0.04 > P. 4381:5841(1460) ack 1
	+0.001 < . 1:1(0) ack 5841 win 65535
	+0 write 10
	+0 > P. 5841:5851(10) ack 1
	+0.02 < . 1:1(0) ack 5851 win 65535
	`)
	if c := z.c.Info().Cwnd; c >= 14600 {
		t.Fatalf("cwnd %d although the probe repaired a loss", c)
	}
}

func TestSACK4_DuplicatesAreReported(t *testing.T) {
	playSACK(t, sackHandshake+`
	+0 < . 1:101(100) ack 1
	+0 < . 101:201(100) ack 1
	+0 > . 1:1(0) ack 201 win 65335
	+0 < . 101:201(100) ack 1                 # all of it came before
	+0 > . 1:1(0) ack 201 win 65335 <sack 101:201>
	+0 < . 151:251(100) ack 1                 # and half of it
	+0 > . 1:1(0) ack 251 win 65285 <sack 151:201>
	+0 < . 301:401(100) ack 1
	+0 > . 1:1(0) ack 251 win 65285 <sack 301:401>
	+0 < . 501:601(100) ack 1
	+0 > . 1:1(0) ack 251 win 65285 <sack 501:601 301:401>
	+0 < . 321:351(30) ack 1                  # beyond the hole: the second block has its surroundings
	+0 > . 1:1(0) ack 251 win 65285 <sack 321:351 301:401 501:601>
	+0 < . 501:501(0) ack 1                   # it is reported once
	+0 < . 701:801(100) ack 1
	+0 > . 1:1(0) ack 251 win 65285 <sack 701:801 501:601 301:401>
	`)
}
