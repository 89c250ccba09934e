package driver

import (
	"net/netip"
	"strconv"

	"github.com/understudy-net/understudy/bus/hif"
)

// Limits of the real part (spec/driver-api.md 3.2); those of the device at hand
// are Client.Limits.
const (
	MaxTCPSockets = hif.TCPSockets // ids 0 to 6
	MaxUDPSockets = hif.UDPSockets // ids 7 to 10
	MaxSend       = hif.MaxSend    // bytes a send, and of one TCP receive event, whatever the buffer
	MaxDatagram   = 1472           // bytes of a datagram received
)

// SockType is the type of a socket.
type SockType uint8

// The types.
const (
	Stream   SockType = 1 // TCP
	Datagram SockType = 2 // UDP
)

// SockConfig says how a stream socket is secured. A datagram socket ignores it.
type SockConfig uint8

// The configurations. The device can have 4 TLS sockets, TLSLater included; one
// too many is refused by ConnectMsg or BindMsg with ErrMaxTCP.
const (
	Plain    SockConfig = 0
	TLS      SockConfig = 1
	TLSLater SockConfig = 2 // plain until Socket.Secure
)

// Socket names a socket: a small value that can be compared and copied. It
// stops being valid when the socket is closed, and does not become valid again
// when its id is another socket's. Methods of the zero Socket return
// ErrSockArg.
type Socket struct {
	d       *Driver
	id      int8
	session uint16
}

// ID is the id on the device, 0 to 10; -1 for the zero Socket.
func (s Socket) ID() int {
	if s.d == nil {
		return -1
	}
	return int(s.id)
}

// Valid says whether s was made by Client.Socket or an AcceptMsg; it may be
// closed by now.
func (s Socket) Valid() bool { return s.d != nil }

// String prints the id, the type and the session.
func (s Socket) String() string {
	if s.d == nil {
		return "socket(none)"
	}
	return "socket(" + strconv.Itoa(int(s.id)) + " session " + strconv.Itoa(int(s.session)) + ")"
}

// sockRec is the state of one id. Only what is needed to check answers is kept:
// which requests are outstanding. Guarded by the driver's lock.
type sockRec struct {
	used    bool
	session uint16
	epoch   uint32 // of the link in which it was made
	hook    func(Socket, Event)
	peer    netip.AddrPort // of a connection

	tls       *tlsRec // nil: a plain socket
	connected bool    // CONNECT was answered with 0

	binding, listenSent, connecting bool // requests without an answer
	listening                       bool // LISTEN was answered with 0
	sends, sendTos                  int  // answers to come
	silent                          bool // datagram sends have no answer (option 0x00 is off)

	recv recvRec
	opts [hif.OptKeepAliveCount + 1]optRec
	was  *optsBefore // while a BIND or CONNECT has no answer
}

// recvRec is the receive request of a socket.
type recvRec struct {
	pending bool
	from    bool   // RECVFROM
	most    int    // bytes asked for
	buf     []byte // the application's; nil with a hook
	held    []byte // TCP: bytes that did not fit into a replaced buffer
}

type optRec struct {
	set   bool
	value uint32
}

// sockTable is all sockets.
type sockTable struct {
	recs    []sockRec
	tcp     int8    // the first so many are TCP
	last    [2]int8 // id given last, +1, of each type: the next search starts behind it
	session uint16  // counts on, never 0
	epoch   uint32  // counts ends of the link
	// A CONNECT answer carries no session. One that lay in the mailbox when
	// its socket was closed must not reach the next owner of the id.
	staleConnect []bool
	anyStale     bool
	ciphers      cipherCall // of SetCiphers
}

// resize makes an empty table for l sockets.
func (t *sockTable) resize(l Limits) {
	t.recs, t.staleConnect = make([]sockRec, l.TCP+l.UDP), make([]bool, l.TCP)
	t.tcp = int8(l.TCP)
	t.clear()
}

// clear forgets all sockets; the session counter goes on, so that old Sockets
// stay recognisable.
func (t *sockTable) clear() {
	clear(t.recs)
	t.last = [2]int8{}
	t.epoch++
	t.forgetStale()
}

func (t *sockTable) markStale(id int8, mail bool) {
	if id < t.tcp && mail {
		t.staleConnect[id], t.anyStale = true, true
	}
}

// forgetStale: a message was taken, what was in the mailbox is out of it.
func (t *sockTable) forgetStale() {
	if t.anyStale {
		clear(t.staleConnect)
		t.anyStale = false
	}
}

func (t *sockTable) nextSession() uint16 {
	t.session++
	if t.session == 0 {
		t.session = 1
	}
	return t.session
}

// alloc takes the next free id behind the one given last (3.2).
func (t *sockTable) alloc(typ SockType) (id int8, err error) {
	first, n, which, full := int8(0), t.tcp, 0, ErrMaxTCP
	if typ == Datagram {
		first, n, which, full = t.tcp, int8(len(t.recs))-t.tcp, 1, ErrMaxUDP
	}
	for i := range n {
		k := int8((int(t.last[which]) + int(i)) % int(n))
		if id := first + k; !t.recs[id].used {
			t.last[which] = k + 1
			return id, nil
		}
	}
	return -1, full
}

// occupy makes a fresh record at id.
func (t *sockTable) occupy(id int8, hook func(Socket, Event)) *sockRec {
	r := &t.recs[id]
	*r = sockRec{used: true, session: t.nextSession(), epoch: t.epoch, hook: hook}
	return r
}

// isStream says what the id alone tells. Lock held.
func (d *Driver) isStream(id int8) bool { return id < d.sockets.tcp }

func (d *Driver) sockAt(id int8) Socket {
	return Socket{d: d, id: id, session: d.sockets.recs[id].session}
}

// Socket makes a socket; its events go to OnSocket. The device is not told.
// Errors: ErrSockArg for an unknown type or configuration, ErrMaxTCP, ErrMaxUDP
// when all are in use, ErrSockInvalid if the device cannot be told of a TLS
// socket. It stands for socket.
func (c *Client) Socket(t SockType, cfg SockConfig) (Socket, error) {
	return c.SocketHook(t, cfg, nil)
}

// SocketHook is Socket for a layer above: its events, and those of connections
// that it accepts, go to fn, on the pump, with no lock of the driver held, and
// not to OnSocket. fn must not block.
func (c *Client) SocketHook(t SockType, cfg SockConfig, fn func(Socket, Event)) (Socket, error) {
	d, err := c.enterSockets()
	if err != nil {
		return Socket{}, err
	}
	defer d.unlock()
	switch {
	case t != Stream && t != Datagram, cfg > TLSLater:
		return Socket{}, ErrSockArg
	}
	id, err := d.sockets.alloc(t)
	if err != nil {
		return Socket{}, err
	}
	r := d.sockets.occupy(id, fn)
	if t == Stream && cfg != Plain {
		r.tls = &tlsRec{later: cfg == TLSLater}
		if err := send(d, hif.OpSSLCreate, hif.SSLCreate{Sock: id}); err != nil {
			*r = sockRec{}
			return Socket{}, sockSend(err, ErrSockInvalid)
		}
	}
	return d.sockAt(id), nil
}

// OnSocket registers fn for the messages of all sockets, replacing an earlier
// one from the next message on; nil unregisters: messages that come meanwhile
// are lost, operations go on. It works on a closed client too and outlives
// clients. ErrInvalid only for an invalid handle. It stands for
// WDRV_WINC_SocketRegisterEventCallback, registerSocketEventCallback and
// registerSocketCallback.
func (c *Client) OnSocket(fn func(Socket, Msg)) error {
	if !c.valid() {
		return ErrInvalid
	}
	c.d.lock()
	defer c.d.unlock()
	c.d.onSocket = fn
	return nil
}

// enter makes the common check of section 3 (C0) and takes the lock: the caller
// unlocks unless there is an error.
func (s Socket) enter() (*Driver, *sockRec, error) {
	if s.d == nil {
		return nil, nil, ErrSockArg
	}
	d := s.d
	d.lock()
	r := d.sockets.lookup(s)
	if r == nil {
		d.unlock()
		return nil, nil, ErrClosed
	}
	if err := d.ready(); err != nil {
		d.unlock()
		return nil, nil, err
	}
	return d, r, nil
}

// lookup finds the record of s, nil if s is stale.
func (t *sockTable) lookup(s Socket) *sockRec {
	if s.id < 0 || int(s.id) >= len(t.recs) {
		return nil
	}
	if r := &t.recs[s.id]; r.used && r.session == s.session {
		return r
	}
	return nil
}
