package tcp

import "github.com/understudy-net/understudy/wire"

// noteDuplicate remembers data that came twice, for the next ACK to report (RFC 2883, 4; SACK-4):
// the sender learns that it sent something in vain.
func (c *Conn) noteDuplicate(seq, end uint32) {
	if c.has(flagSACK) && wire.SeqLT(seq, end) {
		c.dup = seqRange{seq, end}
		c.set(flagDup)
	}
}

// covering returns the range that holds all of r, if there is one.
func (o *reassembly) covering(r seqRange) (seqRange, bool) {
	if o == nil {
		return seqRange{}, false
	}
	for _, q := range o.ranges[:o.n] {
		if wire.SeqLEQ(q.left, r.left) && wire.SeqGEQ(q.right, r.right) {
			return q, true
		}
	}
	return seqRange{}, false
}
