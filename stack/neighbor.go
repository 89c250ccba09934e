package stack

import (
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/stack/tcp"
	"github.com/understudy-net/understudy/wire"
)

const (
	arpInterval     = time.Second // between requests for one destination at least (RFC 1122, 2.3.2.1)
	arpTries        = 3           // requests before a neighbour counts as gone
	arpQueue        = 4           // packets that wait for a neighbour (RFC 1122, 2.3.2.2)
	defaultMaxARP   = 256
	defaultARPValid = 60 * time.Second
)

type neighborState uint8

const (
	neighborNew        neighborState = iota // nothing known, nothing asked
	neighborIncomplete                      // asked, no answer yet
	neighborReachable                       // answered
	neighborStale                           // answered long ago: used, and asked again
	neighborFailed                          // did not answer: not asked again before nextAt
)

// neighbor is an entry of the ARP cache.
type neighbor struct {
	ip         ip4
	mac        wire.MAC
	state      neighborState
	dead       bool // no longer in the cache
	tries      uint8
	until      tcp.Instant // Reachable: when it becomes stale
	nextAt     tcp.Instant // when the next request may go out
	queue      [][]byte    // frames that wait, oldest first
	prev, next *neighbor   // in order of their latest confirmation, oldest first
}

// neighbors is the ARP cache: bounded, the entry that was confirmed longest ago leaves first
// (ARP-7).
type neighbors struct {
	m              map[ip4]*neighbor
	oldest, newest *neighbor
	last           *neighbor // the latest that was asked for
}

func (c *neighbors) unlink(n *neighbor) {
	if n.prev != nil {
		n.prev.next = n.next
	} else {
		c.oldest = n.next
	}
	if n.next != nil {
		n.next.prev = n.prev
	} else {
		c.newest = n.prev
	}
	n.prev, n.next = nil, nil
}

func (c *neighbors) append(n *neighbor) {
	n.prev = c.newest
	if c.newest != nil {
		c.newest.next = n
	} else {
		c.oldest = n
	}
	c.newest = n
}

func (c *neighbors) remove(n *neighbor) {
	c.unlink(n)
	if c.last == n {
		c.last = nil
	}
	delete(c.m, n.ip)
	n.dead, n.queue = true, nil
}

// neighbor returns the entry for ip, made if need be; nil if ip cannot be a neighbour or
// the cache is full of entries that must stay.
func (s *Stack) neighbor(ip ip4) *neighbor {
	c := &s.neighbors
	if c.last != nil && c.last.ip == ip {
		return c.last
	}
	if n := c.m[ip]; n != nil {
		c.last = n
		return n
	}
	if !s.mayBeNeighbor(ip) {
		return nil
	}
	if limit := orInt(s.cfg.MaxNeighbor, defaultMaxARP); len(c.m) >= limit && !s.evictNeighbor() {
		return nil
	}
	if c.m == nil {
		c.m = make(map[ip4]*neighbor)
	}
	n := &neighbor{ip: ip}
	c.m[ip] = n
	c.append(n)
	return n
}

// evictNeighbor makes room. The gateway stays: strangers must not push it out.
func (s *Stack) evictNeighbor() bool {
	for n := s.neighbors.oldest; n != nil; n = n.next {
		if n.ip != s.gateway {
			s.stats.ARP.Evicted++
			s.neighbors.remove(n)
			return true
		}
	}
	return false
}

// mayBeNeighbor reports whether ip can be the address of another host on the link (ARP-8).
func (s *Stack) mayBeNeighbor(ip ip4) bool {
	return isUnicast(ip) && ip != s.addr && !s.isBroadcast(ip)
}

// usable reports whether frames can go to n at once. It asks for the address when it is not known
// or was confirmed too long ago; an entry in use expires all the same unless it answers (ARP-3).
func (s *Stack) usable(now time.Time, t tcp.Instant, n *neighbor) bool {
	switch n.state {
	case neighborReachable:
		if t < n.until {
			return true
		}
		n.state, n.tries = neighborStale, 0
		s.askNeighbor(now, t, n)
		return true
	case neighborStale:
		return true
	}
	return false
}

// enqueue keeps a copy of frame until n answers, and asks it. The oldest leaves when there are too
// many (ARP-5).
func (s *Stack) enqueue(now time.Time, t tcp.Instant, n *neighbor, frame []byte) error {
	if n.state == neighborFailed && t < n.nextAt {
		return ErrUnreachable // it was asked a moment ago; not more than one request a second (ARP-4)
	}
	if len(n.queue) >= arpQueue {
		s.stats.ARP.QueueFull++
		n.queue = append(n.queue[:0], n.queue[1:]...)
	}
	c := make([]byte, max(len(frame), minFrame))
	copy(c, frame)
	n.queue = append(n.queue, c[:len(frame)])
	if n.state != neighborIncomplete {
		n.state, n.tries = neighborIncomplete, 0
		s.askNeighbor(now, t, n)
	}
	return nil
}

// neighborFailed tells the owners of the packets that wait (ARP-6), and forgets the link address.
func (s *Stack) neighborFailed(now time.Time, t tcp.Instant, n *neighbor) {
	s.stats.ARP.Failed++
	n.state, n.mac, n.tries = neighborFailed, wire.MAC{}, 0
	n.nextAt = t.Add(arpInterval)
	queue := n.queue
	n.queue = nil
	for _, f := range queue {
		s.localUnreachable(now, t, f[ethLen:])
	}
}

// suspectNeighbor is told that packets to dst are not answered: the way is checked again (RFC 1122,
// 3.3.1.4).
func (s *Stack) suspectNeighbor(n *neighbor) {
	if n != nil && n.state == neighborReachable {
		n.until = 0
	}
}

// forgetNeighbors empties the cache: what was learnt belongs to another network (ARP-9).
func (s *Stack) forgetNeighbors() {
	for s.neighbors.oldest != nil {
		s.neighbors.remove(s.neighbors.oldest)
	}
	s.neighbors.m = nil
}

// Neighbor is an entry of the ARP cache.
type Neighbor struct {
	Addr      netip.Addr
	MAC       wire.MAC
	Reachable bool // it answers, or did until a short time ago
}

// Neighbors returns the ARP cache, the entry confirmed longest ago first.
func (s *Stack) Neighbors() []Neighbor {
	var l []Neighbor
	for n := s.neighbors.oldest; n != nil; n = n.next {
		l = append(l, Neighbor{netip.AddrFrom4(n.ip), n.mac, n.state == neighborReachable || n.state == neighborStale})
	}
	return l
}
