package stack

import (
	"errors"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/stack/tcp"
	"github.com/understudy-net/understudy/wire"
)

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
		// A new connection out of TIME-WAIT: its sequence numbers begin beyond those of the old one
		// (MAY-2).
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

// inputListen handles a segment of no connection: RFC 9293, 3.10.7.1 (CLOSED) and 3.10.7.2
// (LISTEN). after, if not 0, is a number that ours must be beyond.
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
	case seg.Flags.Has(wire.ACK): // second: an ACK of nothing we sent, unless it was a cookie
		if s.inputCookie(now, t, l, key, seg, data) {
			return
		}
		s.stats.TCP.NoPort++
		s.resetTCP(now, key, seg, len(data))
	case !seg.Flags.Has(wire.SYN): // fourth: nothing that could begin a connection
		s.stats.TCP.NoPort++
	default: // third; a FIN bit beside SYN is ignored
		s.inputSYN(now, t, l, key, seg, after)
	}
}

// inputSYN begins a connection, within the bounds of the listener. If too many handshakes are under
// way the answer is a cookie. If too many connections wait for Accept the SYN is dropped, without a
// RST, so that its sender tries again.
func (s *Stack) inputSYN(now time.Time, t tcp.Instant, l *listener, key tuple, seg *wire.TCP, after uint32) {
	if l.pending >= l.c.Backlog && l.ready < l.c.Backlog && !l.c.Hold && !l.c.NoCookies && after == 0 {
		s.sendCookie(now, t, key, seg)
		return
	}
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
	s.usePath(t, k)
	if l.c.Hold {
		k.held, k.tag = true, l.tag
		s.tcpEvent(k, Held)
	} else {
		k.orphan = true // until it is accepted
	}
	s.afterTCP(now, t, k, 0)
}

// passiveChanged moves a connection of a listener on. It reports whether the owner of the
// connection is to be told as well.
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
