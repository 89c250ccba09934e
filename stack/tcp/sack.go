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
	lostTo  uint32              // what was not SACKed below is lost, as a tail loss probe has shown; una or below: nothing
	rescued bool                // the rescue retransmission of this recovery was sent
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
			return wire.SeqMax(s.ranges[i].left, s.lostTo)
		}
	}
	return wire.SeqMax(una, s.lostTo)
}

// pipe estimates how many octets are in the network (RFC 6675, 4, SetPipe): those in flight,
// without what was SACKed, and without what is lost and was not sent again.
func (s *scoreboard) pipe(una, nxt, mss uint32) uint32 {
	p := nxt - una - s.bytes
	lost := s.lostBelow(una, mss)
	at, i := una, 0
	for ; i < s.n && wire.SeqLT(at, lost); i++ {
		if hole := wire.SeqMax(at, s.highRxt); wire.SeqLT(hole, s.ranges[i].left) {
			p -= s.ranges[i].left - hole
		}
		at = s.ranges[i].right
	}
	// What was sent again without being lost is there twice (rule 3 of NextSeg).
	for at, i = wire.SeqMax(una, lost), 0; i < s.n && wire.SeqLT(at, s.highRxt); i++ {
		r := s.ranges[i]
		if end := wire.SeqMin(r.left, s.highRxt); wire.SeqLT(at, end) {
			p += end - at
		}
		at = wire.SeqMax(at, r.right)
	}
	return p
}

// next returns the next octets to send again (RFC 6675, 4, NextSeg, rule 1): from the first hole
// that is lost and was not sent in this recovery, as far as it goes. It returns nothing if there is
// none.
func (s *scoreboard) next(una, mss uint32) seqRange { return s.nextBelow(una, s.lostBelow(una, mss)) }

// nextBelow returns the first hole below lost that was not sent in this recovery.
func (s *scoreboard) nextBelow(una, lost uint32) seqRange {
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
			c.sacked = &scoreboard{highRxt: c.snd.una, lostTo: c.snd.una}
			c.ptoAt = 0
			if c.cc.fast { // the first segment was sent again without it
				c.sacked.highRxt = wire.SeqMin(c.snd.una+c.segMSS(), c.snd.nxt)
				c.cc.cwnd = c.cc.ssthresh
			}
		}
		r := seqRange{b.Left, b.Right}
		if c.sacked.add(r) {
			news = true
		}
		if c.probeArrived(r) {
			c.sacked.lostTo = wire.SeqMax(c.sacked.lostTo, b.Left)
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
	c.endTLP()
	c.recoverProbe()
	if c.sacked != nil {
		c.sacked.rescued = false
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

// outputRescue sends, when nothing else may be sent that is of more use, what is not yet known to be
// lost: the holes below the highest SACKed octet, and once in a recovery the end of what is in flight
// (RFC 6675, 4, NextSeg, rules 3 and 4).
func (c *Conn) outputRescue(now Instant, b []byte) int {
	s, mss := c.sacked, c.segMSS()
	if pipe := s.pipe(c.snd.una, c.snd.nxt, mss); pipe+mss > c.cc.cwnd || s.n == 0 || c.snd.pos != c.snd.nxt {
		return 0
	}
	top := s.ranges[s.n-1]
	edge := c.snd.una + c.snd.wnd
	if r := s.nextBelow(c.snd.una, top.left); r.left != r.right && wire.SeqLT(r.left, edge) {
		n := min(r.right-r.left, mss, edge-r.left)
		s.highRxt = r.left + n
		return c.outputAt(now, b, r.left, n)
	}
	last := wire.SeqMin(c.snd.nxt, c.end())
	if s.rescued || !wire.SeqLT(top.right, last) || !wire.SeqLEQ(last, edge) {
		return 0
	}
	s.rescued = true
	n := min(mss, last-top.right)
	return c.outputAt(now, b, last-n, n)
}

// putSACK writes the blocks that tell of data beyond a hole, as many as fit in room bytes, and
// returns the length of the option with its padding and its sum. The first one has the segment that
// came last (RFC 2018, 4; SACK-2), or tells what came twice (RFC 2883, 4).
func (c *Conn) putSACK(b []byte, room int) (n int, sum uint64) {
	var blocks [4]seqRange
	most, k := min((room-4)/8, len(blocks)), 0
	put := func(r seqRange) {
		if k < most {
			blocks[k] = r
			k++
		}
	}
	first := seqRange{}
	if c.has(flagDup) && most > 0 {
		put(c.dup)
		first, _ = c.ooo.covering(c.dup) // if it lies beyond the hole, its surroundings follow
		c.clear(flagDup)
	}
	if o := c.ooo; o != nil && o.n > 0 {
		if first == (seqRange{}) {
			if first = o.last; wire.SeqLEQ(first.right, c.rcv.nxt) { // it is in order by now
				first = o.ranges[o.n-1]
			}
		}
		put(first)
		for i := o.n - 1; i >= 0; i-- { // the others from the top: those are the latest, as a rule
			if r := o.ranges[i]; r != first {
				put(r)
			}
		}
	}
	if k == 0 {
		return 0, 0
	}
	word := func(v uint32) {
		binary.BigEndian.PutUint32(b[n:], v)
		sum += swapped(v)
		n += 4
	}
	word(0x01010500 | uint32(2+8*k))
	for _, r := range blocks[:k] {
		word(r.left)
		word(r.right)
	}
	return n, sum
}
