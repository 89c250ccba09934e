package tcp

import (
	"encoding/binary"

	"github.com/understudy-net/understudy/wire"
)

// maxSacked bounds the scoreboard. Blocks that would need one more entry are ignored (hostile input
// T-17): what they say is said again.
const maxSacked = 64

// scoreboard is what the sender knows from SACK blocks (RFC 2018, 5; RFC 6675). It is made when
// the first block arrives and lasts until all that was in flight is acknowledged.
type scoreboard struct {
	n       int
	ranges  [maxSacked]seqRange // beyond una, in order, with holes between them
	bytes   uint32              // in ranges
	highRxt uint32              // HighRxt: what was sent again in this recovery ends here
}

// add takes one block. It reports whether it said anything new.
func (s *scoreboard) add(b seqRange) bool {
	i := 0
	for i < s.n && wire.SeqLT(s.ranges[i].right, b.left) {
		i++
	}
	j := i // ranges i to j-1 overlap or touch b
	for j < s.n && wire.SeqLEQ(s.ranges[j].left, b.right) {
		j++
	}
	if i == j {
		if s.n == maxSacked {
			return false
		}
		copy(s.ranges[i+1:], s.ranges[i:s.n])
		s.ranges[i] = b
		s.n++
		s.bytes += b.right - b.left
		return true
	}
	merged := seqRange{wire.SeqMin(b.left, s.ranges[i].left), wire.SeqMax(b.right, s.ranges[j-1].right)}
	had := uint32(0)
	for _, r := range s.ranges[i:j] {
		had += r.right - r.left
	}
	copy(s.ranges[i+1:], s.ranges[j:s.n])
	s.ranges[i] = merged
	s.n -= j - i - 1
	grown := merged.right - merged.left - had
	s.bytes += grown
	return grown > 0
}

// ackTo forgets what una has passed.
func (s *scoreboard) ackTo(una uint32) {
	for s.n > 0 && wire.SeqLEQ(s.ranges[0].left, una) {
		r := s.ranges[0]
		if wire.SeqGT(r.right, una) { // cannot be, of an honest receiver
			s.bytes -= una - r.left
			s.ranges[0].left = una
			return
		}
		s.bytes -= r.right - r.left
		copy(s.ranges[:], s.ranges[1:s.n])
		s.n--
	}
}

// lostBelow returns the number below which all that was not SACKed counts as lost: three ranges, or
// more than two segments, were SACKed above it (RFC 6675, 4, IsLost). It is una if nothing is.
func (s *scoreboard) lostBelow(una, mss uint32) uint32 {
	bytes := uint32(0)
	for i := s.n - 1; i >= 0; i-- {
		bytes += s.ranges[i].right - s.ranges[i].left
		if s.n-i >= dupThresh || bytes > (dupThresh-1)*mss {
			return s.ranges[i].left
		}
	}
	return una
}

// pipe estimates how many octets are in the network (RFC 6675, 4, SetPipe): those in flight,
// without what was SACKed, and without what is lost and was not sent again.
func (s *scoreboard) pipe(una, nxt, mss uint32) uint32 {
	p := nxt - una - s.bytes
	lost := s.lostBelow(una, mss)
	at := una
	for i := 0; i < s.n && wire.SeqLT(at, lost); i++ {
		if hole := wire.SeqMax(at, s.highRxt); wire.SeqLT(hole, s.ranges[i].left) {
			p -= s.ranges[i].left - hole
		}
		at = s.ranges[i].right
	}
	return p
}

// next returns the next octets to send again (RFC 6675, 4, NextSeg, rule 1): from the first hole
// that is lost and was not sent in this recovery, as far as it goes. It returns nothing if there is
// none.
func (s *scoreboard) next(una, mss uint32) seqRange {
	lost := s.lostBelow(una, mss)
	at := una
	for i := 0; i < s.n && wire.SeqLT(at, lost); i++ {
		if from := wire.SeqMax(at, s.highRxt); wire.SeqLT(from, s.ranges[i].left) {
			return seqRange{from, s.ranges[i].left}
		}
		at = s.ranges[i].right
	}
	return seqRange{}
}

// skip returns the first octet from seq on that was not SACKed, and where the next SACKed range
// begins; end if there is none.
func (s *scoreboard) skip(seq, end uint32) (from, to uint32) {
	for _, r := range s.ranges[:s.n] {
		if wire.SeqLT(seq, r.left) {
			return seq, r.left
		}
		if wire.SeqLT(seq, r.right) {
			seq = r.right
		}
	}
	return seq, end
}

// takeSACK reads the blocks of a segment. Only those between una and nxt can be true (T-15). It
// reports whether they say anything new.
func (c *Conn) takeSACK(seg *wire.TCP) bool {
	if seg.Opt.NSACK == 0 || !c.has(flagSACK) {
		return false // T-16: not agreed to
	}
	news := false
	for _, b := range seg.Opt.Blocks() {
		// A block at or below the ACK is a D-SACK (RFC 2883), of no use here.
		if !wire.SeqGT(b.Left, wire.SeqMax(seg.Ack, c.snd.una)) || wire.SeqGT(b.Right, c.snd.nxt) || !wire.SeqLT(b.Left, b.Right) {
			continue
		}
		if c.sacked == nil {
			c.sacked = &scoreboard{highRxt: c.snd.una}
			if c.cc.fast { // the first segment was sent again without it
				c.sacked.highRxt = wire.SeqMin(c.snd.una+c.segMSS(), c.snd.nxt)
				c.cc.cwnd = c.cc.ssthresh
			}
		}
		if c.sacked.add(seqRange{b.Left, b.Right}) {
			news = true
		}
	}
	return news
}

// recovering reports whether a loss is being repaired by the scoreboard.
func (c *Conn) recovering() bool { return c.cc.fast && c.sacked != nil }

// enterRecovery begins to repair a loss: the first unacknowledged segment goes out at once, the
// rest as pipe allows.
func (c *Conn) enterRecovery() {
	c.set(flagResend)
	c.timedAt = 0
	if c.sacked != nil {
		c.cc.cwnd = c.cc.ssthresh // RFC 6675, 5, step 4.2: pipe takes the place of inflation
		c.sacked.highRxt = c.snd.una
	}
}

// outputSACK sends again what the scoreboard says is lost, as far as cwnd allows (RFC 6675, 5, step
// C).
func (c *Conn) outputSACK(now Instant, b []byte) int {
	mss := c.segMSS()
	if pipe := c.sacked.pipe(c.snd.una, c.snd.nxt, mss); pipe+mss > c.cc.cwnd {
		return 0
	}
	r := c.sacked.next(c.snd.una, mss)
	edge := c.snd.una + c.snd.wnd
	if r.left == r.right || !wire.SeqLT(r.left, edge) {
		return 0
	}
	n := min(r.right-r.left, mss, edge-r.left)
	c.sacked.highRxt = r.left + n
	return c.outputAt(now, b, r.left, n)
}

// putSACK writes the blocks that tell of data beyond a hole, as many as fit in room bytes, and
// returns the length of the option with its padding and its sum. The first one has the segment that
// came last (RFC 2018, 4; SACK-2).
func (c *Conn) putSACK(b []byte, room int) (n int, sum uint64) {
	o := c.ooo
	most := min((room-4)/8, o.n)
	if most <= 0 {
		return 0, 0
	}
	put := func(v uint32) {
		binary.BigEndian.PutUint32(b[n:], v)
		sum += swapped(v)
		n += 4
	}
	put(0x01010500 | uint32(2+8*most))
	first := o.last
	if wire.SeqLEQ(first.right, c.rcv.nxt) { // it is in order by now
		first = o.ranges[o.n-1]
	}
	put(first.left)
	put(first.right)
	most--
	// The others from the top: those are the latest, as a rule.
	for i := o.n - 1; i >= 0 && most > 0; i-- {
		if r := o.ranges[i]; r != first {
			put(r.left)
			put(r.right)
			most--
		}
	}
	return n, sum
}
