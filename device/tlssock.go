package device

import (
	stdtls "crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/device/flash"
	"github.com/understudy-net/understudy/device/tls"
	"github.com/understudy-net/understudy/stack"
)

// secured is what a TLS socket has besides. Spec hif-messages 3.12 to 3.15, driver-api 3.9.
type secured struct {
	counted bool // it is one of the profile's TLS sockets
	sni     string
	alpn    []string
	flags   hif.TLSFlags // of SSL_CONNECT or SECURE
	bound   bool         // by SSL_BIND
	start   bool         // a connection is to be secured as soon as it stands
	asking  bool         // SECURE is under way
	plain   int          // bytes sent in clear that were not acknowledged when the session began

	server  *tls.Config  // of a listener: that of its children
	session *tls.Session // nil before the handshake
	failed  *tls.Error   // why there is none any more
}

// tlsAppDataOffset is the offset that a TLS connection reports: room for the head of a record and an IV in front of the
// data, as hosts expect it to be more than that of TCP (3.6).
const tlsAppDataOffset = hif.TCPAppDataOffset + 16

// String says how it stands with TLS.
func (k *secured) String() string {
	switch {
	case k.failed != nil:
		return k.failed.Error()
	case k.session != nil:
		return k.session.String()
	case k.start || k.asking:
		return "waits for its turn"
	}
	return "in clear"
}

// tls is the TLS session of s, nil if there is none.
func (s *socket) tls() *tls.Session {
	if s.sec == nil {
		return nil
	}
	return s.sec.session
}

// encrypted reports whether data of s travel encrypted: the handshake is over.
func (s *socket) encrypted() bool {
	return s.tls() != nil && s.state != sockConnecting && !s.sec.asking
}

// security makes s a TLS socket, if it is not one.
func (s *socket) security() *secured {
	if s.sec == nil {
		s.sec = &secured{}
		s.admitTLS()
	}
	return s.sec
}

// admitTLS reports whether s is one of the TLS sockets that the profile allows, and makes it one if there is room.
func (s *socket) admitTLS() bool {
	if !s.sec.counted {
		s.sec.counted = s.f.tlsSockets() < s.f.d.profile.TLSSockets
	}
	return s.sec.counted
}

// tlsSockets counts those that the limit is about, connections included that are not accepted yet.
func (f *firmware) tlsSockets() int {
	n := len(f.tlsChildren)
	for i := range f.sockets {
		if k := f.sockets[i].sec; k != nil && k.counted {
			n++
		}
	}
	return n
}

// sslCreate is SSL_CREATE, which comes when the host makes a TLS socket. What was there before has lost its owner.
func (f *firmware) sslCreate(now time.Time, m hif.SSLCreate) {
	s := f.socket(m.Sock)
	switch {
	case s == nil:
		return
	case !s.isTCP():
		f.d.counters.Malformed++
		return
	case s.state > sockNamed:
		f.d.counters.SocketsReused++
		s.abort(now)
		s.clear()
		s.state = sockNamed
	}
	s.sec = nil
	s.security()
}

// sslOption is SSL_SET_SOCK_OPT. There is no answer, so what cannot be is only counted.
func (f *firmware) sslOption(now time.Time, m hif.SSLOption) {
	s := f.socket(m.Sock)
	if s == nil {
		return
	}
	list, ok := []string(nil), s.sec != nil
	if ok && m.Option == hif.SSLOptALPN {
		list, ok = hif.ParseALPN(m.Value)
	}
	switch {
	case !ok || m.Option != hif.SSLOptSNI && m.Option != hif.SSLOptALPN:
		f.d.counters.Malformed++
	case m.Option == hif.SSLOptSNI:
		name := m.Value
		if i := slices.Index(name, 0); i >= 0 {
			name = name[:i]
		}
		s.sec.sni = string(name)
	default:
		s.sec.alpn = list
	}
}

// sslExpiry is SSL_EXP_CHECK.
func (f *firmware) sslExpiry(_ time.Time, m hif.SSLExpCheck) {
	if m.Mode > hif.ExpCheckKnown {
		f.d.counters.Malformed++
		return
	}
	f.expiry = tls.Expiry(m.Mode)
}

// setCiphers is SET_CS_LIST: the host's list, cut to what there is, is in force for later handshakes. One of which nothing
// is left, an empty one for instance, only asks (driver-api 2.13).
func (f *firmware) setCiphers(_ time.Time, m hif.CipherSuites) {
	if have := tls.Suites(m.Bits).Available(); have != 0 {
		f.ciphers = have
	}
	reply(f.d, hif.OpCipherSuites, hif.CipherSuites{Bits: uint32(f.ciphers)})
}

// sslConnect is SSL_CONNECT: a connect, then the handshake. With the flag "delayed" the handshake waits for SECURE (3.15).
func (f *firmware) sslConnect(now time.Time, m hif.SockConnect) {
	s := f.claim(now, m.Sock, m.Session)
	if s == nil {
		return
	}
	status := hif.StatusInvalid
	if s.isTCP() {
		k := s.security() // one known host says SSL_CREATE in the wrong place (dependencies, habit 8)
		status = hif.StatusTooManyTCP
		if s.admitTLS() {
			if s.state == sockNamed || s.state == sockBound {
				k.flags, k.start = m.Flags, m.Flags&hif.TLSDelayed == 0
			}
			status = s.connect(now, m.Addr)
		}
	}
	if status != hif.StatusOK {
		s.connectAnswer(status)
	}
}

// secure is SECURE: the running plain connection becomes a TLS connection. Bytes of the clear that wait in either
// direction must have gone first (driver-api 3.6).
func (f *firmware) secure(now time.Time, m hif.SockConnect) {
	s := f.socket(m.Sock)
	if s == nil {
		return
	}
	s.heard(m.Session)
	in, out := 0, 0
	if s.tcp.Valid() {
		s.acked(now)
		in, out = s.tcp.Buffered()
	}
	switch {
	case s.state == sockDead:
		s.connectAnswer(s.verdict)
	case s.state != sockConnected || s.sec == nil || s.tls() != nil || s.sec.asking || in > 0 || len(s.tx.held) > 0:
		s.connectAnswer(hif.StatusInvalid)
	default:
		s.sec.flags, s.sec.asking, s.sec.plain = m.Flags, true, out
		s.connectBy = now.Add(f.d.profile.ConnectTimeout)
		f.expectBy(s.connectBy)
		f.shake(now, s)
	}
}

// clientConfig is how a session of k is to be.
func (f *firmware) clientConfig(now time.Time, k *secured) tls.Config {
	c := f.tlsConfig()
	c.Bypass = k.flags&hif.TLSBypassX509 != 0
	c.CheckName = k.flags&hif.TLSCheckSNI != 0
	c.ServerName, c.Protocols, c.Expiry = k.sni, k.alpn, f.expiry
	if k.flags&hif.TLSCacheSession != 0 {
		if f.sessions == nil {
			f.sessions = stdtls.NewLRUClientSessionCache(cachedSessions)
		}
		c.Cache = f.sessions
	}
	c.Roots, c.Revoked = f.roots(now), f.revoked
	if own, err := tls.Identity(f.d.flash.F); err == nil { // else there is none to show
		c.Identity = own
	}
	return c
}

// roots are the certificates of those who are trusted.
func (f *firmware) roots(now time.Time) []*x509.Certificate {
	roots, err := tls.Roots(f.d.flash.F)
	if err != nil && !errors.Is(err, flash.ErrNoRegion) {
		f.d.trace(now, EventTLS, 0, nil, "no server is trusted: "+err.Error())
	}
	return roots
}

// cachedSessions is how many sessions are kept to be taken up again, one a server.
const cachedSessions = 8

// tlsConfig is what clients and servers have in common.
func (f *firmware) tlsConfig() tls.Config {
	p := &f.d.profile
	return tls.Config{
		MinVersion: p.MinTLS, MaxVersion: p.MaxTLS, MaxRSA: p.MaxRSA, Suites: f.ciphers,
		Clock: f.clock.now,
	}
}

// shaker is somebody who wants to shake hands.
type shaker interface {
	begun() bool
	begin(now time.Time)
}

// shake begins a handshake, or has it wait for its turn: the controller does one at a time (driver-api 3.2, 3.9).
func (f *firmware) shake(now time.Time, k shaker) {
	f.shakers = append(f.shakers, k)
	f.nextHandshake(now)
}

// shaken ends the turn of k, if it has one or waits for it.
func (f *firmware) shaken(now time.Time, k shaker) {
	if i := slices.Index(f.shakers, k); i >= 0 {
		f.shakers = slices.Delete(f.shakers, i, i+1)
		f.nextHandshake(now)
	}
}

// nextHandshake begins those whose turn it is.
func (f *firmware) nextHandshake(now time.Time) {
	for {
		turns := f.shakers[:min(len(f.shakers), f.d.profile.TLSHandshakes)]
		i := slices.IndexFunc(turns, func(k shaker) bool { return !k.begun() })
		if i < 0 {
			return
		}
		turns[i].begin(now)
	}
}

func (s *socket) begun() bool { return s.sec.session != nil }

func (s *socket) begin(now time.Time) {
	s.sec.session = tls.Client(s.tcp, now, s.f.clientConfig(now, s.sec))
	s.shaking(now)
}

// shaking looks how the handshake stands.
func (s *socket) shaking(now time.Time) {
	up, err := s.sec.session.State()
	switch {
	case err != nil:
		s.tlsFailed(now, err)
	case up:
		s.f.shaken(now, s)
		s.state, s.sec.asking, s.connectBy = sockConnected, false, time.Time{}
		s.tlsAnswer(hif.StatusOK)
		s.queueRecv()
	}
}

// tlsFailed is the end of a handshake without a session: the peer is told why, and so is the host.
func (s *socket) tlsFailed(now time.Time, err error) {
	s.f.tlsRefused(now, err)
	errors.As(err, &s.sec.failed)
	s.f.linger(now, s)
	s.abort(now)
	s.state, s.verdict, s.connectBy, s.sec.asking = sockDead, hif.StatusAborted, time.Time{}, false
	s.tlsAnswer(hif.StatusAborted)
	s.failSends(hif.StatusAborted)
	s.queueRecv()
}

// tlsRefused counts a handshake that failed and says why.
func (f *firmware) tlsRefused(now time.Time, err error) {
	f.d.counters.TLSFailed++
	if f.d.cfg.Trace != nil {
		f.d.trace(now, EventTLS, 0, nil, err.Error())
	}
}

// tlsAnswer answers SSL_CONNECT or SECURE. After a failure, the place of the offset holds the source of the error and its
// alert (3.6); with a list for ALPN the answer says which protocol it is (3.15).
func (s *socket) tlsAnswer(status hif.Status) {
	m := hif.SockConnectReply{Sock: s.id, Status: status}
	switch {
	case status == hif.StatusOK:
		m.AppDataOffset = tlsAppDataOffset
	case s.sec.failed != nil:
		m.AppDataOffset = uint16(s.sec.failed.Source) | uint16(s.sec.failed.Alert)<<8
	}
	if status == hif.StatusOK && len(s.sec.alpn) > 0 {
		a := hif.ALPNReply{SockConnectReply: m, Protocol: uint8(s.sec.session.Protocol())}
		enqueue(s.f.d, hif.OpSSLConnectALPN, a, s.id, s.gen, maxQueue)
		return
	}
	enqueue(s.f.d, hif.OpSockConnect, m, s.id, s.gen, maxQueue)
}

// tlsEvent is what the IP host reports about the connection below a session.
func (s *socket) tlsEvent(now time.Time, e stack.Event) {
	k := s.sec
	k.session.Ready(now)
	if s.state == sockConnecting || k.asking {
		s.shaking(now)
	} else {
		s.acked(now)
		s.flush(now)
		if k.session.Readable() {
			s.queueRecv()
		}
		var err *tls.Error
		if s.state == sockConnected && errors.As(k.session.Err(), &err) {
			s.f.tlsRefused(now, err)
			k.failed = err
			s.fail(now, err)
		}
	}
	if e.Flags.Has(stack.Closed) && e.Err != nil {
		s.fail(now, e.Err)
	}
}

// tlsAcked makes the plaintext that has arrived of n acknowledged bytes.
func (k *secured) tlsAcked(n int) int {
	if k.session == nil {
		return n // in clear
	}
	plain := min(n, k.plain)
	k.plain -= plain
	return plain + k.session.Acked(n-plain)
}

// dropTLS ends the session of s, whose connection is gone or goes.
func (s *socket) dropTLS(now time.Time) {
	if s.sec == nil {
		return
	}
	if s.sec.session != nil {
		s.sec.session.Stop()
		s.sec.session = nil
	}
	s.sec.start, s.sec.asking = false, false
	s.f.shaken(now, s)
}

// stopTLS ends all sessions: the power goes.
func (f *firmware) stopTLS() {
	f.shakers = nil
	for i := range f.sockets {
		if k := f.sockets[i].tls(); k != nil {
			k.Stop()
		}
	}
	for _, l := range f.lingering {
		if l.tls != nil {
			l.tls.Stop()
		}
	}
	for _, c := range f.tlsChildren {
		if c.session != nil {
			c.session.Stop()
		}
	}
}
