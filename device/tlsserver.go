package device

import (
	"slices"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/device/tls"
	"github.com/understudy-net/understudy/stack"
)

// sslBind is SSL_BIND: BIND of a TLS socket.
func (f *firmware) sslBind(now time.Time, m hif.Bind) {
	s := f.claim(now, m.Sock, m.Session)
	if s == nil {
		return
	}
	s.answer(hif.OpSSLBind, hif.BindReply{Sock: s.id, Status: s.sslBind(now, m), Session: m.Session})
}

func (s *socket) sslBind(now time.Time, m hif.Bind) hif.Status {
	if !s.isTCP() {
		return hif.StatusInvalid
	}
	s.security()
	if !s.admitTLS() {
		return hif.StatusTooManyTCP
	}
	s.sec.bound = true
	return s.bind(now, m.Addr)
}

// serve makes a bound TLS socket a server, before it listens. Its key and certificates lie in the flash (3.13); without
// them it is nobody.
func (s *socket) serve(now time.Time) bool {
	f := s.f
	identity, err := tls.Identity(f.d.flash.F)
	if err != nil {
		f.tlsRefused(now, err)
		return false
	}
	c := f.tlsConfig()
	c.Identity, c.Protocols, c.TicketKey = identity, s.sec.alpn, f.ticket()
	s.sec.server = &c
	return true
}

// ticket is the key with which clients take up old sessions, the same until the firmware ends: servers always keep
// sessions (driver-api 3.6).
func (f *firmware) ticket() [32]byte {
	if f.ticketKey == ([32]byte{}) {
		f.fillRandom(f.ticketKey[:])
	}
	return f.ticketKey
}

// tlsChild is a connection to a TLS listener that has no id yet: the host hears of it when the handshake is over, and not
// at all if it fails.
type tlsChild struct {
	f       *firmware
	c       stack.TCP
	parent  *socket
	session *tls.Session
	until   time.Time // zero while it waits for its turn
}

// childTimeout is how long a client may take to shake hands, from its turn on.
const childTimeout = 10 * time.Second

// secureChild begins the handshake of a connection that came in.
func (f *firmware) secureChild(now time.Time, s *socket, c stack.TCP) {
	c.SetNoDelay(true)
	k := &tlsChild{f: f, c: c, parent: s}
	f.tlsChildren = append(f.tlsChildren, k)
	c.SetTag(k)
	f.shake(now, k)
}

func (k *tlsChild) begun() bool { return k.session != nil }

func (k *tlsChild) begin(now time.Time) {
	c := *k.parent.sec.server
	c.Suites = k.f.ciphers
	k.until = now.Add(childTimeout)
	k.session = tls.Server(k.c, now, c)
	k.shaking(now)
}

// event is what the IP host reports about the connection.
func (k *tlsChild) event(now time.Time, e stack.Event) {
	if k.session != nil {
		k.session.Ready(now)
		k.shaking(now)
	}
	if e.Flags.Has(stack.Closed) && e.Err != nil && slices.Contains(k.f.tlsChildren, k) {
		k.drop(now)
	}
}

// shaking looks how the handshake stands.
func (k *tlsChild) shaking(now time.Time) {
	f := k.f
	up, err := k.session.State()
	switch {
	case err != nil:
		f.tlsRefused(now, err)
		k.forget(now)
		f.lingerOver(now, &lingering{f: f, tcp: k.c, tls: k.session})
	case up:
		k.accepted(now)
	}
}

// accepted gives the connection an id and tells the host.
func (k *tlsChild) accepted(now time.Time) {
	f := k.f
	child := f.freeTCP()
	if child == nil {
		f.d.counters.AcceptNoSlot++
		k.drop(now)
		return
	}
	k.forget(now)
	child.sec = &secured{counted: true, session: k.session}
	if !f.accept(now, k.parent, child, k.c, tlsAppDataOffset) {
		k.session.Stop()
		child.sec = nil
	}
}

// forget takes k off the list.
func (k *tlsChild) forget(now time.Time) {
	f := k.f
	f.tlsChildren = slices.DeleteFunc(f.tlsChildren, func(o *tlsChild) bool { return o == k })
	f.shaken(now, k)
}

// drop resets the connection.
func (k *tlsChild) drop(now time.Time) {
	k.forget(now)
	if k.session != nil {
		k.session.Stop()
	}
	k.c.SetTag(nil)
	k.c.Abort(now)
}

// dropChildren resets those of s, of all sockets if s is nil.
func (f *firmware) dropChildren(now time.Time, s *socket) {
	for i := len(f.tlsChildren) - 1; i >= 0 && i < len(f.tlsChildren); i-- {
		if k := f.tlsChildren[i]; s == nil || k.parent == s {
			k.drop(now)
		}
	}
}

// expireChildren ends handshakes that take too long.
func (f *firmware) expireChildren(now time.Time) {
	for i := len(f.tlsChildren) - 1; i >= 0 && i < len(f.tlsChildren); i-- {
		if k := f.tlsChildren[i]; due(k.until, now) {
			f.d.counters.TLSFailed++
			k.drop(now)
		}
	}
}

func (f *firmware) nextChild() time.Time {
	var t time.Time
	for _, k := range f.tlsChildren {
		t = earlier(t, k.until)
	}
	return t
}
