package stack

import "testing"

func TestCC7_LostAgainAfterATimeout(t *testing.T) {
	// After a timeout everything is sent again in slow start. If a part of that is lost as well,
	// duplicate ACKs show it, although they are below recover: the ACK before them had not jumped (RFC
	// 6582, 4.1). It must not take another timeout.
	play(t, handshake+tenSegments+`
	+0.3 > . 1:1461(1460) ack 1
	+0.1 < . 1:1(0) ack 1461
	+0 > . 1461:2921(1460) ack 1
	+0 > . 2921:4381(1460) ack 1
	+0.1 < . 1:1(0) ack 4381
	+0 > . 4381:5841(1460) ack 1              # lost again
	+0 > . 5841:7301(1460) ack 1
	+0 > . 7301:8761(1460) ack 1
	+0 > . 8761:10221(1460) ack 1
	+0.1 < . 1:1(0) ack 4381
	+0 > . 10221:11681(1460) ack 1            # limited transmit
	+0 < . 1:1(0) ack 4381
	+0 > . 11681:13141(1460) ack 1
	+0 < . 1:1(0) ack 4381
	+0 > . 4381:5841(1460) ack 1
	+0.1 < . 1:1(0) ack 13141
	+0 > P. 13141:14601(1460) ack 1
	+0.1 < . 1:1(0) ack 14601
	`)
	// But where the ACK had jumped, over what had arrived before the timeout, duplicate ACKs come of
	// sending that again, and mean nothing.
	play(t, handshake+tenSegments+`
	+0.3 > . 1:1461(1460) ack 1
	+0.1 < . 1:1(0) ack 8761
	+0 > . 8761:10221(1460) ack 1
	+0 > . 10221:11681(1460) ack 1
	+0 > . 11681:13141(1460) ack 1
	+0.1 < . 1:1(0) ack 8761
	+0 > P. 13141:14601(1460) ack 1           # limited transmit
	+0 < . 1:1(0) ack 8761
	+0 < . 1:1(0) ack 8761
	+0.1 < . 1:1(0) ack 14601
	`)
}
