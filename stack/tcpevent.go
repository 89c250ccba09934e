package stack

import (
	"time"

	"github.com/understudy-net/understudy/sock"
	"github.com/understudy-net/understudy/stack/tcp"
)

// tcpChanged turns what happened to a connection into events.
func (s *Stack) tcpChanged(now time.Time, k *tcpSock, c tcp.Change) {
	if c&tcp.Dropped != 0 {
		s.stats.TCP.Dropped++
	}
	if c&tcp.Suspect != 0 {
		s.suspectNeighbor(k.neigh) // R1 (RFC 9293, 3.8.3)
	}
	if k.ln != nil && c&(tcp.Connected|tcp.Closed) != 0 && !s.passiveChanged(k, c) {
		return
	}
	if c&tcp.Closed != 0 {
		s.unlink(k)
		if k.orphan {
			s.freeTCP(k)
			return
		}
	}
	var f Flags
	if c&tcp.Connected != 0 || c&tcp.Closed != 0 && k.conn.Active() && k.flags&Connected == 0 && k.conn.NeverOpen() {
		f |= Connected
	}
	if c&tcp.Readable != 0 {
		f |= Readable
	}
	if c&tcp.Writable != 0 {
		f |= Writable
	}
	if c&tcp.Acked != 0 && k.wantAcked {
		f |= Acked
	}
	if c&tcp.Closed != 0 || c&tcp.Readable != 0 && k.conn.State() == tcp.StateTimeWait {
		f |= Closed
	}
	if f == 0 || k.orphan || k.waiting {
		return
	}
	if r, ok := k.tag.(*resolver); ok {
		r.m.Ready(now) // a DNS answer too long for UDP
		s.pumpDNS(now)
		return
	}
	s.tcpEvent(k, f)
}

func (s *Stack) tcpEvent(k *tcpSock, f Flags) {
	k.flags |= f
	if !k.queued {
		k.queued = true
		s.events.push(eventRef{k.id, k.gen, eventTCP})
	}
}

func (k *tcpSock) takeEvent(s *Stack) Event {
	e := Event{Tag: k.tag, Flags: k.flags, TCP: k.handle(s)}
	if k.flags&(Closed|Connected) != 0 {
		e.Err = causeError(k.conn.Cause())
	}
	k.flags, k.queued = 0, false
	return e
}

// SetTag sets what comes back in the connection's events. If there is something to read, room to
// write, or an end to report, an event follows at once, so nothing is missed between Accept and
// SetTag.
func (c TCP) SetTag(tag any) {
	k, err := c.sock()
	if err != nil {
		return
	}
	k.tag = tag
	_, isConn := tag.(*sock.Conn)
	k.wantAcked = !isConn
	if tag == nil {
		return
	}
	var f Flags
	if in, _ := k.conn.Buffered(); in > 0 || k.conn.AtEOF() {
		f |= Readable
	}
	if k.conn.State() == tcp.StateClosed {
		f |= Readable | Closed
	}
	if f != 0 {
		c.s.tcpEvent(k, f)
		c.s.touch()
	}
}

// Acked returns how many bytes of what was written the peer has acknowledged since the last call.
func (c TCP) Acked() int {
	k, err := c.sock()
	if err != nil {
		return 0
	}
	now := k.conn.FirstByte()
	n := now - k.ackedSeq
	k.ackedSeq = now
	return int(n)
}

// tcpError takes an ICMP error to the connection whose segment with number seq it quotes.
func (s *Stack) tcpError(now time.Time, t tcp.Instant, key tuple, seq uint32, v icmpVerdict) bool {
	k := s.tcps[key]
	if k == nil || !k.conn.InFlight(seq) {
		return false
	}
	if v.mtu != 0 {
		if k.conn.SetPathMTU(t, v.mtu) {
			s.notePath(t, key.remote.ip, min(v.mtu, s.cfg.MTU))
			s.afterTCP(now, t, k, 0)
		}
		return true
	}
	cause := tcp.CauseUnreachable
	if v.err == ErrPort {
		cause = tcp.CauseRefused
	}
	s.afterTCP(now, t, k, k.conn.Unreachable(seq, v.hard, cause)&^tcp.Dropped)
	return true
}
