package stack

import (
	"net/netip"
	"slices"
	"time"
)

const defaultBacklog = 128

// ListenConfig says how a listener behaves. The zero value works.
type ListenConfig struct {
	// Backlog bounds the connections that wait for Accept, and those whose handshake is not over,
	// each; 0: 128. SYNs beyond the latter are answered by SYN cookies (RFC 4987), so that a flood of
	// them keeps nobody out; with Hold or NoCookies, and while too many wait for Accept, they are
	// not answered, and their peers try again.
	Backlog   int
	NoCookies bool
	// Hold reports each SYN with an event Held instead of answering it: Accept, Refuse or Drop of
	// Event.TCP decides. Held connections count as such whose handshake is not over. One whose
	// peer gives up meanwhile, or that nobody decides about in four minutes, ends with an event
	// Closed, and has to be closed like any other.
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

// Listen waits for connections at an address and port. An address that is zero or not valid means
// all addresses, which on a promiscuous interface is any address whatever. A listener at one
// address goes before one at all; one with AnyPort comes last.
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
	i := slices.Index(s.lnSlots, nil)
	if i < 0 {
		i = len(s.lnSlots)
		s.lnSlots = append(s.lnSlots, nil)
	}
	l.id, s.lnSlots[i] = uint32(i), l
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

// SetTag sets what comes back in the listener's events. If connections wait already, an event
// follows.
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
