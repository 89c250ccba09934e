package driver

import (
	"fmt"
	"math"

	"github.com/understudy-net/understudy/bus/hif"
)

// Opt is a socket option (level 1 of the document).
type Opt uint8

// The options. Bind and Connect set them back to their defaults, the groups
// excepted: set them after BindMsg and ConnectMsg.
const (
	OptUDPSendEvents Opt = Opt(hif.OptUDPSendCallback) // 0 or 1: sends of a datagram socket have a message; default 1
	OptJoin          Opt = Opt(hif.OptJoinGroup)       // use Socket.Join
	OptLeave         Opt = Opt(hif.OptLeaveGroup)      // use Socket.Leave
	OptKeepAlive     Opt = Opt(hif.OptKeepAlive)       // 0 or 1; default 0
	OptKeepIdle      Opt = Opt(hif.OptKeepAliveIdle)   // before the first probe, units of 500 ms; default 120
	OptKeepInterval  Opt = Opt(hif.OptKeepAliveInterval)
	OptKeepCount     Opt = Opt(hif.OptKeepAliveCount) // probes before the connection is given up, at most 255; default 20
)

// Options of TLS sockets, which the document has at level 2: 0 or 1, default 0,
// to be set before Connect or Secure. The device hears of them with these.
const (
	OptTLSBypass   Opt = optTLS | Opt(hif.SSLOptBypassX509)   // accept any certificate: for tests
	OptTLSCache    Opt = optTLS | Opt(hif.SSLOptCacheSession) // take up old sessions; servers always do
	OptTLSCheckSNI Opt = optTLS | Opt(hif.SSLOptCheckSNI)     // the certificate must be for the name of SetSNI
)

// optTLS marks options of level 2.
const optTLS Opt = 0x80

// tlsFlag is how the device hears of an option of level 2, 0 for an unknown one.
func (o Opt) tlsFlag() hif.TLSFlags {
	switch o {
	case OptTLSBypass:
		return hif.TLSBypassX509
	case OptTLSCache:
		return hif.TLSCacheSession
	case OptTLSCheckSNI:
		return hif.TLSCheckSNI
	}
	return 0
}

// String prints the name of the option, or its number.
func (o Opt) String() string {
	switch o {
	case OptTLSBypass:
		return "SO_SSL_BYPASS_X509_VERIF"
	case OptTLSCache:
		return "SO_SSL_ENABLE_SESSION_CACHING"
	case OptTLSCheckSNI:
		return "SO_SSL_ENABLE_SNI_VALIDATION"
	}
	return hif.SockOption(o).String()
}

// SetOpt sets an option. Those of TLS are kept here until the socket connects;
// on other sockets they are ErrSockArg (OPT-02). There is no message: a value that the device does not
// like is ignored by it. Errors: ErrSockArg for an unknown option and for a
// value that does not fit into the four bytes of the message (OPT-01),
// ErrSockInvalid if not sendable. It stands for setsockopt.
func (s Socket) SetOpt(o Opt, value int) error {
	d, r, err := s.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	if f := o.tlsFlag(); f != 0 && r.tls != nil {
		r.tls.flags &^= f
		if value != 0 {
			r.tls.flags |= f
		}
		return nil
	}
	if int(o) >= len(r.opts) || o == 3 {
		return fmt.Errorf("%w: option %d", ErrSockArg, o)
	}
	return d.setOpt(s, r, o, value)
}

// setOpt sends the option. Lock held.
func (d *Driver) setOpt(s Socket, r *sockRec, o Opt, value int) error {
	if v := int64(value); v < math.MinInt32 || v > math.MaxUint32 {
		return fmt.Errorf("%w: option %v: value %d has more than four bytes", ErrSockArg, o, value)
	}
	m := hif.SocketOption{Value: uint32(value), Sock: s.id, Option: hif.SockOption(o), Session: s.session}
	if err := send(d, hif.OpSetSocketOpt, m); err != nil {
		return sockSend(err, ErrSockInvalid)
	}
	r.opts[o] = optRec{true, uint32(value)}
	if r.was != nil {
		r.was.opts[o] = r.opts[o]
	}
	if o == OptUDPSendEvents && !d.isStream(s.id) {
		r.silent = value == 0
		if r.was != nil {
			r.was.silent = r.silent
		}
	}
	return nil
}

// optsBefore is what a BIND or CONNECT that the device refuses gives back.
type optsBefore struct {
	opts           [hif.OptKeepAliveCount + 1]optRec
	silent         bool
	sends, sendTos int
}

// resetOptions does what bind and connect do to options (spec/driver-api.md
// 3.6, setsockopt), as long as the device does not say that it has refused them.
func (r *sockRec) resetOptions() {
	if r.was == nil {
		r.was = &optsBefore{r.opts, r.silent, r.sends, r.sendTos}
	}
	r.silent = false
	for o := range r.opts {
		if o == int(OptUDPSendEvents) || o >= int(OptKeepAlive) {
			r.opts[o] = optRec{}
		}
	}
}

// settleOptions is the answer to bind or connect. Refused for the state of the
// socket or for the address, the socket is to the device what it was.
func (r *sockRec) settleOptions(err error) {
	was := r.was
	if r.was = nil; was == nil || err != error(ErrSockInvalid) && err != error(ErrSockAddress) {
		return
	}
	r.opts, r.silent = was.opts, was.silent
	if r.silent { // what was sent meanwhile has no answer
		r.sends, r.sendTos = min(r.sends, was.sends), min(r.sendTos, was.sendTos)
	}
}

// Opt is the value that SetOpt set last, of options of TLS the one in force; ErrSockArg for an option that was
// never set. It stands for getsockopt, which the C driver does not have.
func (s Socket) Opt(o Opt) (int, error) {
	d, r, err := s.enter()
	if err != nil {
		return 0, err
	}
	defer d.unlock()
	if f := o.tlsFlag(); f != 0 && r.tls != nil {
		if r.tls.flags&f != 0 {
			return 1, nil
		}
		return 0, nil
	}
	if int(o) >= len(r.opts) || !r.opts[o].set {
		return 0, fmt.Errorf("%w: option %v was not set", ErrSockArg, o)
	}
	return int(r.opts[o].value), nil
}

// Join makes a datagram socket receive what is sent to a multicast group. It
// stands for setsockopt with IP_ADD_MEMBERSHIP.
func (s Socket) Join(group Addr) error { return s.membership(OptJoin, group) }

// Leave ends Join. It stands for setsockopt with IP_DROP_MEMBERSHIP.
func (s Socket) Leave(group Addr) error { return s.membership(OptLeave, group) }

func (s Socket) membership(o Opt, group Addr) error {
	d, r, err := s.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	group = group.Unmap()
	if !group.Is4() || !group.IsMulticast() || d.isStream(s.id) {
		return ErrSockArg
	}
	return d.setOpt(s, r, o, int(hif.GroupValue(group.As4())))
}
