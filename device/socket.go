package device

import (
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/stack"
)

// socketState is where a socket of the host is. Spec driver-api 3.7.
//
//	 FREE ── any request ──▶ NAMED ── BIND ──▶ BOUND ── LISTEN ──▶ LISTENING
//	  ▲                        │                 │                     │ connection comes in
//	  │                        └──── CONNECT ────┴──▶ CONNECTING       ▼ (another id)
//	CLOSE                                                 └────▶ CONNECTED
//	  │                                                              │ refused, reset, timed out, link lost
//	  └──────────────────────── every state ◀────────────────────── DEAD
type socketState uint8

const (
	sockFree       socketState = iota
	sockNamed                  // the host has mentioned it: no connection may be given this id
	sockBound                  // TCP with a local port; UDP that can send and receive
	sockListening              //
	sockConnecting             //
	sockConnected              //
	sockDead                   // every request fails until CLOSE
)

// String prints the state.
func (s socketState) String() string {
	return [...]string{"free", "named", "bound", "listening", "connecting", "connected", "dead"}[s]
}

// socket is one of the ids that host and device share.
type socket struct {
	f  *firmware
	id int8

	// gen counts the lives of the id: what was queued for an earlier one is void [HM-11]. tok does the same for the
	// answers to RECV and SEND within one life.
	gen, tok uint32

	state   socketState
	lost    bool       // dead because the link went: nothing is left to read
	verdict hif.Status // what requests get when dead

	session    uint16 // of BIND or CONNECT, or the first one heard on an accepted socket
	hasSession bool
	accepted   bool // the device chose the id
	unread     bool // of UDP: datagrams have come since the last one was read
	crowded    bool // of a listener: a connection had to wait, because no id was free

	tcp    stack.TCP
	lis    stack.Listener
	udp    stack.UDP
	local  netip.AddrPort // as bound
	remote netip.AddrPort // of TCP: the peer; of UDP: where the last SENDTO went

	connectBy time.Time // give up the handshake

	rx   recvState
	tx   sendQueue
	opts options
	sec  *secured // of TLS sockets
}

// options are those of SET_SOCKET_OPTION. Spec hif-messages 3.11.
type options struct {
	quiet     bool // UDP: no answers to SEND and SENDTO
	keepAlive bool
	idle      time.Duration
	interval  time.Duration
	count     int
}

// keepAliveUnit is the unit of the keep-alive times.
const keepAliveUnit = 500 * time.Millisecond

func defaultOptions() options {
	return options{idle: 120 * keepAliveUnit, interval: keepAliveUnit, count: 20}
}

// makeSockets makes the table anew, for the limits in force.
func (f *firmware) makeSockets() {
	f.sockets = make([]socket, f.limits.tcp+f.limits.udp)
	for i := range f.sockets {
		f.sockets[i] = socket{f: f, id: int8(i), opts: defaultOptions()}
	}
}

// noSockets reports whether all are free.
func (f *firmware) noSockets() bool {
	for i := range f.sockets {
		if f.sockets[i].state != sockFree {
			return false
		}
	}
	return true
}

// socket returns the socket id for a request about it, nil if there is none: that is counted, and not answered, because
// hosts index their tables with what comes back (3.1).
func (f *firmware) socket(id int8) *socket {
	if id < 0 || int(id) >= len(f.sockets) {
		f.d.counters.BadSocket++
		return nil
	}
	s := &f.sockets[id]
	if s.state == sockFree {
		s.state = sockNamed
	}
	return s
}

func (s *socket) isTCP() bool { return int(s.id) < s.f.limits.tcp }

// claim returns the socket for BIND or CONNECT. An id that is in use under another session has lost its owner without
// CLOSE, by a reset of the host: what was there is dropped without a word (3.1). So is a connection that the device just
// gave the id to (3.5).
func (f *firmware) claim(now time.Time, id int8, session uint16) *socket {
	s := f.socket(id)
	if s == nil {
		return nil
	}
	if s.state > sockNamed && (!s.hasSession || s.session != session) {
		f.d.counters.SocketsReused++
		s.abort(now)
		s.clear()
		s.state = sockNamed
	}
	s.session, s.hasSession = session, true
	return s
}

// heard notes the session of a request on an accepted socket, which is how the device learns it [HM-10].
func (s *socket) heard(session uint16) {
	if !s.hasSession {
		s.session, s.hasSession = session, true
	}
}

// resetOptions is what BIND and CONNECT do to options. The switch of send answers stays as it is for hosts before 19.5.4,
// which set it before BIND (3.7, 3.11).
func (s *socket) resetOptions() {
	o := defaultOptions()
	if s.f.host < hif.V19_5_4 {
		o.quiet = s.opts.quiet
	}
	s.opts = o
}

// clear makes the id free; the network side must have been closed.
func (s *socket) clear() {
	s.dropHeld()
	*s = socket{f: s.f, id: s.id, gen: s.gen + 1, tok: s.tok + 1, tx: sendQueue{ring: s.tx.ring, held: s.tx.held[:0]}, opts: defaultOptions()}
}

// abort ends the network side at once.
func (s *socket) abort(now time.Time) {
	s.dropTLS(now)
	if s.tcp != (stack.TCP{}) {
		s.tcp.SetTag(nil)
		s.tcp.Abort(now)
		s.tcp = stack.TCP{}
	}
	s.closeOthers(now)
}

func (s *socket) closeOthers(now time.Time) {
	if s.lis != (stack.Listener{}) {
		s.lis.SetTag(nil)
		s.lis.Close(now)
		s.lis = stack.Listener{}
		s.f.dropChildren(now, s)
	}
	if s.udp != (stack.UDP{}) {
		s.udp.SetTag(nil)
		s.udp.Close(now)
		s.udp = stack.UDP{}
	}
}

// closeRequest is CLOSE: final for the id, which is free when it returns; nothing about it follows. A connection is shut
// down in order, data that the device has accepted are delivered first. Children of a listener live on. Spec 3.4.
func (f *firmware) closeRequest(now time.Time, m hif.Close) {
	if m.Sock < 0 || int(m.Sock) >= len(f.sockets) {
		f.d.counters.BadSocket++
		return
	}
	s := &f.sockets[m.Sock]
	if s.state == sockFree {
		return
	}
	if s.state == sockConnected {
		s.tcp.SetTag(nil)
		if len(s.tx.held) > 0 || s.tls() != nil {
			f.linger(now, s)
		} else {
			s.tcp.Close(now)
		}
		s.tcp = stack.TCP{}
	}
	s.abort(now)
	s.clear()
}

// setOption is SET_SOCKET_OPTION. There is no answer, so a wrong value is only counted. Spec 3.11.
func (f *firmware) setOption(now time.Time, m hif.SocketOption) {
	s := f.socket(m.Sock)
	if s == nil {
		return
	}
	s.heard(m.Session)
	switch m.Option {
	case hif.OptUDPSendCallback:
		s.opts.quiet = m.Value == 0
	case hif.OptJoinGroup, hif.OptLeaveGroup:
		s.setGroup(now, netip.AddrFrom4(m.Group()), m.Option == hif.OptJoinGroup)
	case hif.OptKeepAlive:
		s.opts.keepAlive = m.Value != 0
		s.applyKeepAlive(now)
	case hif.OptKeepAliveIdle:
		s.opts.idle = time.Duration(min(m.Value, 1<<20)) * keepAliveUnit
		s.applyKeepAlive(now)
	case hif.OptKeepAliveInterval:
		s.opts.interval = time.Duration(min(m.Value, 255)) * keepAliveUnit
		s.applyKeepAlive(now)
	case hif.OptKeepAliveCount:
		s.opts.count = int(min(m.Value, 255))
		s.applyKeepAlive(now)
	default:
		f.d.counters.Malformed++
	}
}

// setGroup joins or leaves a multicast group.
func (s *socket) setGroup(now time.Time, group netip.Addr, join bool) {
	if s.udp == (stack.UDP{}) || !group.IsMulticast() {
		s.f.d.counters.Malformed++
		return
	}
	var err error
	if join {
		err = s.udp.JoinGroup(now, group)
	} else {
		err = s.udp.LeaveGroup(now, group)
	}
	if err != nil {
		s.f.d.counters.Malformed++
	}
}

// applyKeepAlive hands the options to a connection.
func (s *socket) applyKeepAlive(now time.Time) {
	if s.state != sockConnected {
		return
	}
	if !s.opts.keepAlive {
		s.tcp.SetKeepAlive(now, 0, 0, 0)
		return
	}
	s.tcp.SetKeepAlive(now, s.opts.idle, s.opts.interval, s.opts.count)
}

// socketEvent is what the IP host reports about s.
func (f *firmware) socketEvent(now time.Time, s *socket, e stack.Event) {
	switch {
	case e.Flags.Has(stack.Held):
		f.held(now, s, e.TCP)
		return
	case e.TCP.Valid() && e.TCP != s.tcp: // of a connection to a listener, which has no id yet
		f.handshakeOver(now, s, e)
		return
	}
	if e.Flags.Has(stack.Connected) && s.state == sockConnecting {
		s.connected(now, e.Err)
	}
	if s.tls() != nil {
		s.tlsEvent(now, e)
		return
	}
	if e.Flags.Has(stack.Acked) {
		s.acked(now)
	}
	if e.Flags.Has(stack.Writable) {
		s.flush(now)
	}
	if e.Flags.Has(stack.Readable | stack.Closed) {
		s.unread = s.state == sockBound
		s.queueRecv()
	}
	if e.Flags.Has(stack.Closed) && e.Err != nil {
		s.fail(now, e.Err)
	}
}

// fail is the end of a connection by the peer, the network or a time-out: what waits gets its answer, later requests
// get the same verdict.
func (s *socket) fail(now time.Time, err error) {
	switch s.state {
	case sockConnecting:
		s.connected(now, err)
	case sockConnected:
		securing := s.sec != nil && s.sec.asking
		if securing { // nothing more can be read: neither in clear nor decrypted
			s.abort(now)
		}
		s.state, s.verdict, s.connectBy = sockDead, hif.StatusAborted, time.Time{}
		if securing {
			s.connectAnswer(statusOf(err))
		}
		s.failSends(hif.StatusAborted)
		s.queueRecv()
	}
}

// expireSockets fires what is due: handshakes, RECV time-outs, closing sockets that get nowhere.
func (f *firmware) expireSockets(now time.Time) {
	if due(f.soonest, now) {
		f.soonest = time.Time{}
		for i := range f.sockets {
			f.sockets[i].expire(now)
		}
	}
	f.expireChildren(now)
	f.expireLingering(now)
}

func (s *socket) expire(now time.Time) {
	if due(s.connectBy, now) {
		s.connectTimedOut(now)
	}
	s.f.expectBy(s.connectBy)
	switch {
	case !s.rx.pending:
	case due(s.rx.deadline, now):
		s.rx.deadline, s.rx.timedOut = time.Time{}, true
		s.queueRecv()
	default:
		s.f.expectBy(s.rx.deadline)
	}
}

// expectBy notes that a time of a socket was set. Nobody notes that one was cleared: at the worst expireSockets looks once
// for nothing, and then finds the next. So nextSocket, which is asked after each transfer, need not look at all of them.
func (f *firmware) expectBy(t time.Time) { f.soonest = earlier(f.soonest, t) }

// connectTimedOut ends a connect, or a SECURE, that gets nowhere.
func (s *socket) connectTimedOut(now time.Time) {
	s.connectBy = time.Time{}
	switch {
	case s.state == sockConnecting:
		s.connected(now, errConnectTimeout)
	case s.state == sockConnected && s.sec != nil && s.sec.asking:
		s.fail(now, errConnectTimeout)
	}
}

// nextSocket is the earliest of those times, or before it.
func (f *firmware) nextSocket() time.Time {
	t := f.soonest
	if len(f.tlsChildren) > 0 {
		t = earlier(t, f.nextChild())
	}
	if len(f.lingering) > 0 {
		t = earlier(t, f.nextLingering())
	}
	return t
}
