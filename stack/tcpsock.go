package stack

import (
	"time"

	"github.com/understudy-net/understudy/sock"
	"github.com/understudy-net/understudy/stack/tcp"
	"github.com/understudy-net/understudy/wire"
)

const (
	defaultMaxTCP = 1 << 16
	maxSpares     = 64 // connections kept for reuse
)

// tcpSock is a connection with what the stack knows about it.
type tcpSock struct {
	conn      tcp.Conn
	key       tuple
	id, gen   uint32
	heap      int32  // 1 + index in the timer heap; 0: not there
	ackedSeq  uint32 // SND.UNA as of the latest Acked
	ipSum     uint32 // see putIP
	neigh     *neighbor
	ln        *listener // while its owner has not accepted it
	next      *tcpSock  // accept queue, spares
	tag       any
	flags     Flags
	queued    bool
	orphan    bool // the owner has closed it, or there never was one
	waiting   bool // in the accept queue of ln
	held      bool // reported with Held, not decided yet
	wantAcked bool
	late      bool // its ACK was put off; see batch
	unlinked  bool // it is in no table any more but that of slots
	ttl, tos  uint8
}

// TCP is a handle of a connection; it is a sock.Stream. Copies are the same connection; after Close
// and Abort all of them say ErrClosed. No method waits.
type TCP struct {
	s       *Stack
	id, gen uint32
}

var _ sock.Stream = TCP{}

func (c TCP) sock() (*tcpSock, error) {
	if c.s == nil || int(c.id) >= len(c.s.tcpSlots) {
		return nil, ErrClosed
	}
	k := c.s.tcpSlots[c.id]
	if k == nil || k.gen != c.gen {
		return nil, ErrClosed
	}
	return k, nil
}

// Valid reports whether the handle stands for a connection that was not closed by its owner.
func (c TCP) Valid() bool {
	_, err := c.sock()
	return err == nil
}

func (k *tcpSock) handle(s *Stack) TCP { return TCP{s, k.id, k.gen} }

// nextGen returns a number that no other socket of the stack has had lately.
func (s *Stack) nextGen() uint32 {
	s.gen++
	return s.gen
}

// hash is a keyed hash of t that differs from the one in sequence numbers.
func (s *Stack) hash(t tuple) uint64 {
	return tcp.Hash(tcp.Secret{s.secret[1], ^s.secret[0]}, t.bytes())
}

// newTCP makes a connection for key, which is free.
func (s *Stack) newTCP(key tuple) *tcpSock {
	k := s.spare
	if k != nil {
		s.spare, k.next = k.next, nil
		s.spares--
	} else {
		k = &tcpSock{}
	}
	if n := len(s.tcpFree); n > 0 {
		k.id = s.tcpFree[n-1]
		s.tcpFree = s.tcpFree[:n-1]
	} else {
		k.id = uint32(len(s.tcpSlots))
		s.tcpSlots = append(s.tcpSlots, nil)
	}
	k.gen, k.key, k.wantAcked = s.nextGen(), key, true
	k.ipSum = ipSum(key)
	s.tcpSlots[k.id] = k
	if s.tcps == nil {
		s.tcps = make(map[tuple]*tcpSock)
	}
	s.tcps[key] = k
	return k
}

// params are those of a new connection for key.
func (s *Stack) params(t tcp.Instant, key tuple) tcp.Params {
	h := tcp.Hash(s.secret, key.bytes())
	return tcp.Params{
		LocalPort: key.local.port, RemotePort: key.remote.port,
		Pseudo:   wire.PseudoSum(wire.ProtoTCP, key.local.ip, key.remote.ip, 0),
		ISS:      tcp.ISN(t, h),
		MSS:      uint16(s.cfg.MTU - ipLen - wire.TCPMinLen),
		TSOffset: uint32(h >> 32), // the half that tells nothing of the other
	}
}

// unlink takes a connection that is over out of the way of segments and timers.
func (s *Stack) unlink(k *tcpSock) {
	if k.unlinked { // by now another one may have its key
		return
	}
	k.unlinked = true
	delete(s.tcps, k.key)
	if s.lastTCP == k {
		s.lastTCP = nil
	}
	s.timers.remove(k)
	k.neigh = nil
}

// freeTCP gives the connection back.
func (s *Stack) freeTCP(k *tcpSock) {
	s.unlink(k)
	k.conn.Discard()
	s.tcpSlots[k.id] = nil
	s.tcpFree = append(s.tcpFree, k.id)
	if len(s.tcps) == 0 && s.cfg.TCP.Pool.Held() > idlePool {
		s.cfg.TCP.Pool.Trim() // an idle stack is small
	}
	if s.spares >= maxSpares {
		return
	}
	k.recycle()
	k.next, s.spare = s.spare, k
	s.spares++
}

// recycle makes k as good as new, but for what newTCP sets, and for conn: that is much, and Open and Accept
// make it new.
func (k *tcpSock) recycle() {
	k.ackedSeq, k.neigh, k.ln, k.next, k.tag = 0, nil, nil, nil, nil
	k.flags, k.queued, k.orphan, k.waiting, k.held, k.late, k.unlinked = 0, false, false, false, false, false, false
	k.ttl, k.tos = 0, 0
}

// idlePool is what an idle stack keeps of free buffers, in bytes.
const idlePool = 64 << 10

func (s *Stack) abort(now time.Time, k *tcpSock) {
	t := s.at(now)
	s.orphan(k)
	k.conn.Abort(t)
	s.afterTCP(now, t, k, tcp.Closed)
}

// orphan takes the owner away.
func (s *Stack) orphan(k *tcpSock) {
	if k.ln != nil && !k.waiting { // it was held, and its handshake is not over
		k.ln.pending--
		k.ln, k.held = nil, false
	}
	k.gen = s.nextGen()
	k.orphan, k.queued, k.flags, k.tag = true, false, 0, nil
}

// endConnections ends all connections from the address a, which is not ours any more.
// Nothing is sent.
func (s *Stack) endConnections(now time.Time, a ip4) {
	for _, k := range s.tcpSlots {
		if k != nil && k.key.local.ip == a && k.conn.State() != tcp.StateClosed {
			s.tcpChanged(now, k, k.conn.Kill(tcp.CauseUnreachable))
		}
	}
}
