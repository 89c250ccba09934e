package stack

import "testing"

func TestMAY18_CUBIC_LossByThreeTenths(t *testing.T) {
	// RFC 9438, 4.6: after a loss seven tenths of the window are left; NewReno keeps half of it (see
	// TestCC8_RecoveryByScoreboard).
	c := scriptConf()
	c.TCP.Congestion, c.TCP.NoSACK = 0, false
	lone(t, c).run(sackHandshake + tenSegments + `
	+0.1 < . 1:1(0) ack 1 win 65535 <sack 1461:2921>
	+0 < . 1:1(0) ack 1 win 65535 <sack 1461:4381>
	+0 < . 1:1(0) ack 1 win 65535 <sack 1461:5841>
	+0 skip
	+0 cwnd 10220
	+0.1 < . 1:1(0) ack 14601 win 65535
	+0 cwnd 10220
	`)
}
