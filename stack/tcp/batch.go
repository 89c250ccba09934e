package tcp

const (
	// maxPutOff is how many segments one ACK answers at most.
	maxPutOff = 16

	// putOffAfter is how many bytes must have come before ACKs are put off. Until then the peer may be
	// in slow start, where each ACK lets its window grow by two segments at most (RFC 3465, 2.2).
	putOffAfter = 1 << 20
)

// PutOffAck takes back an ACK that is due for no other reason than that a second segment has come
// (SHLD-18), and reports whether there was one: for owners that have more segments at hand, and call
// [Conn.AckPutOff] behind them. RFC 5681, 4.2 allows an ACK for more than two segments where its
// generation cannot keep up; hosts whose interfaces join segments do the same. All ACKs that tell of
// losses, repetitions or the end of the stream are sent at once, and so is one for every sixteenth
// segment, and for every second one in the first MiB of a stream.
func (c *Conn) PutOffAck() bool {
	if !c.has(flagAckNow) || c.unacked < 2 || c.unacked >= maxPutOff || c.state != StateEstablished || c.ooo != nil ||
		c.rcv.nxt-c.irs < putOffAfter {
		return false
	}
	c.clear(flagAckNow)
	return true
}

// AckPutOff makes an ACK due that was put off, unless another one has gone out meanwhile.
func (c *Conn) AckPutOff() {
	if c.unacked >= 2 {
		c.set(flagAckNow)
	}
}
