package device

import (
	"slices"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/stack"
)

// handshake is a SYN that was accepted and whose handshake is not over.
type handshake struct {
	c  stack.TCP
	at time.Time
}

// freshHandshake is how long a handshake keeps an id from others. One that takes longer goes on, but without a place: so
// a flood of SYNs that nobody follows up cannot lock the socket table.
const freshHandshake = time.Second

// held is a SYN for the listener s that waits for a decision. While no id is free for it, it is dropped, as if it had
// been lost: the peer sends it again (driver-api 3.6).
func (f *firmware) held(now time.Time, s *socket, c stack.TCP) {
	if s.state != sockListening || f.freeTCPs() <= f.freshHandshakes(now)+len(f.tlsChildren) || s.sec != nil && f.tlsSockets() >= f.d.profile.TLSSockets {
		s.crowded = true
		c.Drop(now)
		return
	}
	s.crowded = false
	if c.Accept(now) == nil {
		f.handshakes = append(f.handshakes, handshake{c, now})
	}
}

// freshHandshakes counts those that may need an id, and forgets the others.
func (f *firmware) freshHandshakes(now time.Time) int {
	f.handshakes = slices.DeleteFunc(f.handshakes, func(h handshake) bool {
		return !h.c.Valid() || !now.Before(h.at.Add(freshHandshake))
	})
	return len(f.handshakes)
}

// freeTCPs is the number of ids that freeTCP could return.
func (f *firmware) freeTCPs() int {
	n := 0
	for i := range f.sockets[:f.limits.tcp] {
		if f.sockets[i].state == sockFree {
			n++
		}
	}
	return n
}

// freeTCP returns the socket for the next incoming connection: the highest free id, far from those that the host takes
// next, and none that the host has mentioned since its last CLOSE (3.5).
func (f *firmware) freeTCP() *socket {
	for i := f.limits.tcp - 1; i >= 0; i-- {
		if f.sockets[i].state == sockFree {
			return &f.sockets[i]
		}
	}
	return nil
}

// handshakeOver is the end of the handshake of a connection to the listener s. It gets an id; if the last one went
// meanwhile, it is reset.
func (f *firmware) handshakeOver(now time.Time, s *socket, e stack.Event) {
	f.handshakes = slices.DeleteFunc(f.handshakes, func(h handshake) bool { return h.c == e.TCP })
	child := f.freeTCP()
	switch {
	case !e.Flags.Has(stack.Connected) || e.Err != nil || s.state != sockListening:
		e.TCP.Abort(now)
	case child == nil:
		f.d.counters.AcceptNoSlot++
		e.TCP.Abort(now)
	case s.sec != nil && s.sec.server != nil:
		f.secureChild(now, s, e.TCP)
	default:
		f.accept(now, s, child, e.TCP, hif.TCPAppDataOffset)
	}
}

// accept makes child the socket of c, and tells the host with the event ACCEPT on the listener. False: it could not.
func (f *firmware) accept(now time.Time, s, child *socket, c stack.TCP, offset uint16) bool {
	e := f.d.out.push(maxQueue)
	if e == nil {
		f.d.counters.RepliesLost++
		c.Abort(now)
		return false
	}
	child.state, child.accepted, child.tcp, child.remote = sockConnected, true, c, c.RemoteAddr()
	c.SetNoDelay(true)
	c.SetTag(child) // an event follows for what has come already
	e.kind, e.op, e.sock, e.gen = entryAccept, hif.OpAccept, s.id, s.gen
	e.child, e.childGen = child.id, child.gen
	e.len = len(hif.Accept{
		Peer: child.remote, Listener: s.id, Sock: child.id, AppDataOffset: offset,
	}.Append(e.buf[:0]))
	return true
}

// buildAccept checks once more, when its turn has come, that the event is still true. A child whose listener was closed
// meanwhile would be a stranger to the host: it is reset.
func (f *firmware) buildAccept(now time.Time, e *outEntry, b []byte) int {
	child := &f.sockets[e.child]
	if child.gen != e.childGen {
		return -1 // claimed by the host, or dead with the link
	}
	if f.sockets[e.sock].gen != e.gen {
		child.abort(now)
		child.clear()
		return -1
	}
	return copy(b, e.buf[:e.len])
}
