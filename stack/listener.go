package stack

import (
	"errors"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/stack/tcp"
	"github.com/understudy-net/understudy/wire"
)

const defaultBacklog = 128

// ListenConfig says how a listener behaves. The zero value works.
type ListenConfig struct {
	// Backlog bounds the connections that wait for Accept, and those whose handshake is not over, each. What comes beyond is
	// not answered, so that its peer tries again. 0: 128.
	Backlog int
	// Hold reports each SYN with an event Held instead of answering it: Accept, Refuse or Drop of Event.TCP
	// decides. Held connections count as such whose handshake is not over.
	Hold bool
	// AnyPort listens at all ports that have no listener of their own.
	AnyPort bool
	Tag     any // comes back in the events of the listener, and in those of held connections until their own SetTag
}

type listener struct {
	id, gen    uint32
	at         endpoint
	c          ListenConfig
	tag        any
	queued     bool
	pending    int // connections in SYN-RECEIVED, held ones included
	ready      int // in the accept queue
	head, tail *tcpSock
}

// Listener is a handle of a listener; it is a sock.Acceptor once NewListener has wrapped it.
type Listener struct {
	s       *Stack
	id, gen uint32
}

// Listen waits for connections at an address and port. An address that is zero or not valid means all addresses, which on a promiscuous
// interface is any address whatever. A listener at one address goes before one at all; one with AnyPort comes last.
func (s *Stack) Listen(now time.Time, at netip.AddrPort, c ListenConfig) (Listener, error) {
	e, err := s.localEndpoint(at)
	if err != nil {
		return Listener{}, err
	}
	if isMulticast(e.ip) {
		return Listener{}, ErrBadAddress
	}
	if c.Backlog <= 0 {
		c.Backlog = defaultBacklog
	}
	l := &listener{gen: s.nextGen(), at: e, c: c, tag: c.Tag}
	if c.AnyPort {
		if s.anyPort != nil {
			return Listener{}, ErrAddrInUse
		}
		s.anyPort = l
	} else {
		if l.at.port == 0 {
			if l.at.port = s.freeListenPort(e.ip); l.at.port == 0 {
				return Listener{}, ErrAddrInUse
			}
		}
		if s.listeners[l.at] != nil {
			return Listener{}, ErrAddrInUse
		}
		if s.listeners == nil {
			s.listeners = make(map[endpoint]*listener)
		}
		s.listeners[l.at] = l
	}
	l.id = uint32(len(s.lnSlots))
	s.lnSlots = append(s.lnSlots, l)
	return Listener{s, l.id, l.gen}, nil
}

func (s *Stack) freeListenPort(ip ip4) uint16 {
	start := s.randN(numEphemeral)
	for i := uint64(0); i < numEphemeral; i++ {
		p := uint16(firstEphemeral + (start+i)%numEphemeral)
		if s.listeners[endpoint{ip, p}] == nil && s.listeners[endpoint{port: p}] == nil {
			return p
		}
	}
	return 0
}

func (l Listener) sock() (*listener, error) {
	if l.s == nil || int(l.id) >= len(l.s.lnSlots) {
		return nil, ErrClosed
	}
	k := l.s.lnSlots[l.id]
	if k == nil || k.gen != l.gen {
		return nil, ErrClosed
	}
	return k, nil
}

// Accept takes the connection that has waited longest; sock.ErrWouldBlock if there is none.
func (l Listener) Accept(now time.Time) (TCP, error) {
	k, err := l.sock()
	if err != nil {
		return TCP{}, err
	}
	c := k.head
	if c == nil {
		return TCP{}, errWouldBlock
	}
	k.head, c.next = c.next, nil
	if k.head == nil {
		k.tail = nil
	}
	k.ready--
	c.ln, c.waiting, c.orphan = nil, false, false
	l.s.stats.TCP.Accepted++
	return c.handle(l.s), nil
}

// Close stops listening. Connections that were not accepted are reset (RFC 9293, 3.10.4).
func (l Listener) Close(now time.Time) error {
	k, err := l.sock()
	if err != nil {
		return err
	}
	s := l.s
	if s.anyPort == k {
		s.anyPort = nil
	} else {
		delete(s.listeners, k.at)
	}
	s.lnSlots[k.id] = nil
	for n := len(s.lnSlots); n > 0 && s.lnSlots[n-1] == nil; n-- {
		s.lnSlots = s.lnSlots[:n-1]
	}
	if k.pending > 0 || k.ready > 0 {
		for _, c := range s.tcpSlots {
			if c != nil && c.ln == k {
				c.ln, c.waiting = nil, false
				s.abort(now, c)
			}
		}
	}
	s.touch()
	return nil
}

// Addr returns where it listens; the address is 0.0.0.0 for all, the port 0 with AnyPort.
func (l Listener) Addr() netip.AddrPort {
	k, err := l.sock()
	if err != nil {
		return netip.AddrPort{}
	}
	return k.at.addrPort()
}

// SetTag sets what comes back in the listener's events. If connections wait already, an event follows.
func (l Listener) SetTag(tag any) {
	k, err := l.sock()
	if err != nil {
		return
	}
	k.tag = tag
	if k.head != nil {
		l.s.listenerEvent(k)
		l.s.touch()
	}
}

func (s *Stack) listenerEvent(l *listener) {
	if !l.queued {
		l.queued = true
		s.events.push(eventRef{l.id, l.gen, eventListener})
	}
}

// inputTCP handles a segment.
func (s *Stack) inputTCP(now time.Time, p *packet) {
	s.stats.TCP.In++
	if p.group {
		s.stats.TCP.BadSource++ // TCP is between two hosts (MUST-57)
		return
	}
	seg, data, err := wire.ParseTCP(p.payload, netip.AddrFrom4(p.src), netip.AddrFrom4(p.dst))
	if err != nil {
		if errors.Is(err, wire.ErrChecksum) {
			s.stats.TCP.BadChecksum++ // MUST-3
		} else {
			s.stats.TCP.Malformed++
		}
		return
	}
	if seg.SrcPort == 0 || seg.DstPort == 0 {
		s.stats.TCP.BadSource++ // T-06
		return
	}
	t := s.at(now)
	key := tuple{endpoint{p.dst, seg.DstPort}, endpoint{p.src, seg.SrcPort}}
	k := s.lastTCP
	if k == nil || k.key != key {
		if k = s.tcps[key]; k == nil {
			s.inputListen(now, t, key, &seg, data, 0)
			return
		}
		s.lastTCP = k
	}
	if k.conn.State() == tcp.StateTimeWait && k.conn.Reusable(&seg) && s.findListener(key.local) != nil {
		// A new connection out of TIME-WAIT: its sequence numbers begin beyond those of the old one (MAY-2).
		after := k.conn.Next()
		s.retire(k)
		s.stats.TCP.Reused++
		s.inputListen(now, t, key, &seg, data, after)
		return
	}
	s.afterTCP(now, t, k, k.conn.Input(t, &seg, data))
}

// retire ends TIME-WAIT early.
func (s *Stack) retire(k *tcpSock) {
	c := k.conn.Kill(tcp.CauseNone)
	s.tcpChanged(time.Time{}, k, c)
}

// findListener returns who listens at e, the closest first.
func (s *Stack) findListener(e endpoint) *listener {
	if len(s.listeners) > 0 {
		if l := s.listeners[e]; l != nil {
			return l
		}
		if l := s.listeners[endpoint{port: e.port}]; l != nil {
			return l
		}
	}
	if l := s.anyPort; l != nil && (isZero(l.at.ip) || l.at.ip == e.ip) {
		return l
	}
	return nil
}

// inputListen handles a segment of no connection: RFC 9293, 3.10.7.1 (CLOSED) and 3.10.7.2 (LISTEN). after, if not 0, is a number that ours must be beyond.
func (s *Stack) inputListen(now time.Time, t tcp.Instant, key tuple, seg *wire.TCP, data []byte, after uint32) {
	l := s.findListener(key.local)
	if l == nil {
		s.stats.TCP.NoPort++
		s.resetTCP(now, key, seg, len(data))
		return
	}
	switch {
	case seg.Flags.Has(wire.RST): // first: there is nothing to reset
		s.stats.TCP.NoPort++
	case seg.Flags.Has(wire.ACK): // second: an ACK of nothing we sent
		s.stats.TCP.NoPort++
		s.resetTCP(now, key, seg, len(data))
	case !seg.Flags.Has(wire.SYN): // fourth: nothing that could begin a connection
		s.stats.TCP.NoPort++
	default: // third; a FIN bit beside SYN is ignored
		s.inputSYN(now, t, l, key, seg, after)
	}
}

// inputSYN begins a connection, within the bounds of the listener. Beyond them the SYN is dropped, without a RST, so that
// its sender tries again.
func (s *Stack) inputSYN(now time.Time, t tcp.Instant, l *listener, key tuple, seg *wire.TCP, after uint32) {
	if l.pending >= l.c.Backlog || l.ready >= l.c.Backlog {
		s.stats.TCP.BacklogFull++
		return
	}
	if len(s.tcps) >= orInt(s.cfg.MaxTCP, defaultMaxTCP) {
		s.stats.TCP.LimitFull++
		return
	}
	k := s.newTCP(key)
	k.ln = l
	l.pending++
	p := s.params(t, key)
	if after != 0 && !wire.SeqGT(p.ISS, after) {
		p.ISS = after + 1 + uint32(s.randN(1<<16))
	}
	k.conn.Accept(t, &s.cfg.TCP, p, seg, l.c.Hold)
	k.ackedSeq = k.conn.FirstByte()
	if l.c.Hold {
		k.held, k.tag = true, l.tag
		s.tcpEvent(k, Held)
	} else {
		k.orphan = true // until it is accepted
	}
	s.afterTCP(now, t, k, 0)
}

// passiveChanged moves a connection of a listener on. It reports whether the owner of the connection is to be told as well.
func (s *Stack) passiveChanged(k *tcpSock, c tcp.Change) bool {
	l := k.ln
	if k.waiting {
		// In the accept queue: whoever accepts it finds out.
		if c&tcp.Closed != 0 {
			s.unlink(k)
		}
		return false
	}
	l.pending--
	if !k.orphan { // held, or accepted after being held: it has an owner
		k.ln, k.held = nil, false
		return true
	}
	if c&tcp.Closed != 0 && c&tcp.Connected == 0 {
		k.ln = nil
		return true // back to LISTEN: freed as an orphan
	}
	k.waiting, k.orphan = true, false
	l.ready++
	if l.tail != nil {
		l.tail.next = k
	} else {
		l.head = k
	}
	l.tail = k
	s.listenerEvent(l)
	if c&tcp.Closed != 0 {
		s.unlink(k)
	}
	return false
}

// resetTCP answers a segment of no connection with RST (RFC 9293, 3.5.2, group 1).
func (s *Stack) resetTCP(now time.Time, key tuple, seg *wire.TCP, n int) {
	rst, ok := tcp.Reset(seg, n)
	if !ok {
		return
	}
	s.stats.TCP.ResetsSent++
	s.stats.TCP.Out++
	src, dst := key.local.ip, key.remote.ip
	b := s.frame()
	rst.Append(b[:payStart], netip.AddrFrom4(src), netip.AddrFrom4(dst), nil)
	s.sendIP(now, ipHeader{proto: wire.ProtoTCP, src: src, dst: dst, ttl: s.cfg.TTL, frag: ipDF}, wire.TCPMinLen, nil)
}

// heldSock returns the connection if it is held.
func (c TCP) heldSock() (*tcpSock, error) {
	k, err := c.sock()
	if err != nil {
		return nil, err
	}
	if !k.held {
		return nil, ErrNotConnected
	}
	return k, nil
}

// Accept answers a held SYN: the handshake goes on, and the event Connected says how it ended.
func (c TCP) Accept(now time.Time) error {
	k, err := c.heldSock()
	if err != nil {
		return err
	}
	t := c.s.at(now)
	k.held = false
	k.conn.Release(t)
	c.s.stats.TCP.Accepted++
	c.s.afterTCP(now, t, k, 0)
	c.s.touch()
	return nil
}

// Refuse answers a held SYN with RST, as a closed port would. The handle is stale.
func (c TCP) Refuse(now time.Time) error {
	k, err := c.heldSock()
	if err != nil {
		return err
	}
	c.s.orphan(k)
	c.s.afterTCP(now, c.s.at(now), k, k.conn.Refuse())
	c.s.touch()
	return nil
}

// Drop forgets a held SYN without an answer, as if nobody were there. The handle is stale.
func (c TCP) Drop(now time.Time) error {
	k, err := c.heldSock()
	if err != nil {
		return err
	}
	c.s.orphan(k)
	c.s.afterTCP(now, c.s.at(now), k, k.conn.Kill(tcp.CauseAborted))
	c.s.touch()
	return nil
}
