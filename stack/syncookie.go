package stack

import (
	"time"

	"github.com/understudy-net/understudy/stack/tcp"
	"github.com/understudy-net/understudy/wire"
)

// cookieKey is the key of the cookies for one pair of addresses and ports.
func (s *Stack) cookieKey(key tuple) tcp.Secret {
	return tcp.Secret{s.hash(key), s.secret[0] ^ s.secret[1]}
}

// sendCookie answers a SYN for which there is no room, and keeps nothing of it (RFC 4987, 3.6).
func (s *Stack) sendCookie(now time.Time, t tcp.Instant, key tuple, seg *wire.TCP) {
	s.stats.TCP.CookiesSent++
	s.cookieAt = t
	p := s.params(t, key)
	p.ISS = tcp.Cookie(t, s.cookieKey(key), seg)
	var c tcp.Conn
	c.CookieReply(t, &s.cfg.TCP, p, seg)
	b := s.frame()
	n := c.Output(t, b[payStart:])
	s.stats.TCP.Out++
	s.sendIP(now, ipHeader{proto: wire.ProtoTCP, src: key.local.ip, dst: key.remote.ip, ttl: s.cfg.TTL, frag: ipDF}, n, nil)
}

// inputCookie makes a connection of an ACK that brings a cookie back. It reports whether it did, or
// there was no room for the connection: then the peer sends its data again. Nobody can try out
// cookies unless some were sent lately.
func (s *Stack) inputCookie(now time.Time, t tcp.Instant, l *listener, key tuple, seg *wire.TCP, data []byte) bool {
	if s.cookieAt == 0 || t.Sub(s.cookieAt) > tcp.CookieLife || l.c.Hold || seg.Flags.Has(wire.SYN) {
		return false
	}
	syn, ok := tcp.CheckCookie(t, s.cookieKey(key), seg)
	if !ok {
		return false
	}
	if l.ready >= l.c.Backlog {
		s.stats.TCP.BacklogFull++
		return true
	}
	if len(s.tcps) >= orInt(s.cfg.MaxTCP, defaultMaxTCP) {
		s.stats.TCP.LimitFull++
		return true
	}
	s.stats.TCP.CookiesGood++
	k := s.newTCP(key)
	k.ln, k.orphan = l, true
	l.pending++
	p := s.params(t, key)
	p.ISS = seg.Ack - 1
	k.conn.AcceptCookie(t, &s.cfg.TCP, p, &syn)
	k.ackedSeq = k.conn.FirstByte()
	ack := *seg
	ack.Opt.TSEcr = 0 // its low bits are no time
	s.afterTCP(now, t, k, k.conn.Input(t, &ack, data))
	return true
}
