package device

import (
	"errors"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/stack"
)

var errConnectTimeout = errors.New("device: no answer to SYN")

// bind is BIND. Spec hif-messages 3.4; which status when: driver-api 3.6.
func (f *firmware) bind(now time.Time, m hif.Bind) {
	s := f.claim(now, m.Sock, m.Session)
	if s == nil {
		return
	}
	status := s.bind(now, m.Addr)
	s.answer(hif.OpBind, hif.BindReply{Sock: s.id, Status: status, Session: m.Session})
}

// answer queues an answer that CLOSE takes back [HM-11].
func (s *socket) answer(op hif.Op, m hif.BindReply) { enqueue(s.f.d, op, m, s.id, s.gen, maxReplies) }

func (s *socket) bind(now time.Time, at netip.AddrPort) hif.Status {
	f := s.f
	switch {
	case s.state == sockDead:
		return s.verdict
	case s.state != sockNamed:
		return hif.StatusInvalid
	case !at.IsValid() || !at.Addr().IsUnspecified() && at.Addr() != f.stack.Addr().Addr():
		return hif.StatusInvalidAddress
	case at.Port() == 0 && f.host >= hif.V19_5_4:
		// Newer hosts check for it (driver-api BND-02); for older ones the chip picks a port (hif-messages 3.4).
		return hif.StatusInvalidAddress
	}
	s.resetOptions()
	if !s.isTCP() {
		return s.openUDP(now, at)
	}
	if f.portTaken(at.Port()) {
		return hif.StatusAddressInUse
	}
	s.local, s.state = at, sockBound
	return hif.StatusOK
}

// portTaken reports whether a TCP socket is bound to port. Accepted connections do not count: they share the port of
// their listener and outlive it.
func (f *firmware) portTaken(port uint16) bool {
	for i := range f.sockets[:f.limits.tcp] {
		if s := &f.sockets[i]; port != 0 && s.local.IsValid() && s.local.Port() == port {
			return true
		}
	}
	return false
}

// listen is LISTEN. The backlog is not looked at (3.4): as many may wait as there are sockets.
func (f *firmware) listen(now time.Time, m hif.Listen) {
	s := f.socket(m.Sock)
	if s == nil {
		return
	}
	s.answer(hif.OpListen, hif.BindReply{Sock: s.id, Status: s.listen(now), Session: m.Session})
}

func (s *socket) listen(now time.Time) hif.Status {
	f := s.f
	switch {
	case s.state == sockDead:
		return s.verdict
	case s.state != sockBound || !s.isTCP():
		return hif.StatusInvalid
	case f.listeners() >= f.d.profile.Listeners:
		return hif.StatusTooManyListen
	}
	if s.sec != nil && s.sec.bound && !s.serve(now) {
		return hif.StatusInvalid
	}
	l, err := f.stack.Listen(now, s.local, stack.ListenConfig{Hold: true, Tag: s})
	if err != nil {
		return statusOf(err)
	}
	s.lis, s.state = l, sockListening
	return hif.StatusOK
}

func (f *firmware) listeners() int {
	n := 0
	for i := range f.sockets {
		if f.sockets[i].state == sockListening {
			n++
		}
	}
	return n
}

// connect is CONNECT. The answer comes when the handshake is over, one way or the other. Spec 3.6.
func (f *firmware) connect(now time.Time, m hif.SockConnect) {
	s := f.claim(now, m.Sock, m.Session)
	if s == nil {
		return
	}
	if status := s.connect(now, m.Addr); status != hif.StatusOK {
		s.connectAnswer(status)
	}
}

func (s *socket) connect(now time.Time, to netip.AddrPort) hif.Status {
	f := s.f
	switch {
	case s.state == sockDead:
		return s.verdict
	case s.state != sockNamed && s.state != sockBound || !s.isTCP():
		return hif.StatusInvalid
	case !to.IsValid() || to.Port() == 0 || !f.connectable(to.Addr()):
		return hif.StatusInvalidAddress
	case !f.stack.Addr().IsValid():
		return hif.StatusInvalid
	}
	s.resetOptions()
	local := s.local
	if local.IsValid() {
		local = netip.AddrPortFrom(f.stack.Addr().Addr(), local.Port())
	}
	c, err := f.stack.Dial(now, local, to)
	if err != nil {
		s.state, s.verdict = sockDead, hif.StatusInvalid
		return statusOf(err)
	}
	c.SetTag(s)
	s.tcp, s.remote, s.state = c, to, sockConnecting
	s.connectBy = now.Add(f.d.profile.ConnectTimeout)
	f.expectBy(s.connectBy)
	return hif.StatusOK
}

// connectable reports whether a is the address of one host.
func (f *firmware) connectable(a netip.Addr) bool {
	return a.Is4() && !a.IsUnspecified() && !a.IsMulticast() && a != broadcast && a != f.subnetBroadcast()
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// subnetBroadcast is the directed broadcast of our network, not valid without an address.
func (f *firmware) subnetBroadcast() netip.Addr {
	p := f.stack.Addr()
	if !p.IsValid() || p.Bits() > 30 {
		return netip.Addr{}
	}
	b := p.Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}

// connected ends the handshake.
func (s *socket) connected(now time.Time, err error) {
	if err == nil && s.sec != nil && s.sec.start {
		s.tcp.SetNoDelay(true)
		s.f.shake(now, s) // the answer comes when the handshake of TLS is over, too
		return
	}
	s.connectBy = time.Time{}
	if err == nil {
		s.state = sockConnected
		s.tcp.SetNoDelay(true) // what a host gives to SEND goes out at once
		s.connectAnswer(hif.StatusOK)
		return
	}
	s.abort(now)
	s.state, s.verdict = sockDead, hif.StatusInvalid
	s.connectAnswer(statusOf(err))
}

// connectAnswer queues the answer to CONNECT. The offset is that of plain TCP and not 0, which hosts take for "not
// connected"; after a failure its place says "no TLS error".
func (s *socket) connectAnswer(status hif.Status) {
	m := hif.SockConnectReply{Sock: s.id, Status: status}
	if status == hif.StatusOK {
		m.AppDataOffset = hif.TCPAppDataOffset
	}
	enqueue(s.f.d, hif.OpSockConnect, m, s.id, s.gen, maxQueue)
}

// statusOf says an error of the IP host in the protocol's numbers. Spec hif-messages 3.16, driver-api 3.6.
func statusOf(err error) hif.Status {
	switch {
	case err == nil:
		return hif.StatusOK
	case errors.Is(err, errConnectTimeout), errors.Is(err, stack.ErrTimeout):
		return hif.StatusTimeout
	case errors.Is(err, stack.ErrRefused), errors.Is(err, stack.ErrReset), errors.Is(err, stack.ErrUnreachable),
		errors.Is(err, stack.ErrAborted), errors.Is(err, stack.ErrNoBuffers):
		return hif.StatusAborted
	case errors.Is(err, stack.ErrAddrInUse):
		return hif.StatusAddressInUse
	}
	return hif.StatusInvalid
}
