package driver

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
)

// sockSend is the verdict of a request that could not be handed over: code
// where the document has one, with the cause. Lock held.
func sockSend(err error, code SockErr) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", code, err)
}

// v4 makes sure that a is an address the interface can carry; the zero Addr is
// 0.0.0.0.
func v4(a netip.AddrPort) (netip.AddrPort, bool) {
	ip := a.Addr().Unmap()
	if !ip.IsValid() {
		ip = netip.IPv4Unspecified()
	}
	return netip.AddrPortFrom(ip, a.Port()), ip.Is4()
}

// Bind gives the socket its local address: a zero address means any. BindMsg
// follows. Errors: ErrSockArg for an address that is not IPv4, ErrSockInvalid
// if not sendable. It stands for bind.
func (s Socket) Bind(at netip.AddrPort) error {
	d, r, err := s.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	at, ok := v4(at)
	if !ok {
		return ErrSockArg
	}
	op := hif.OpBind
	if r.tls != nil {
		op = hif.OpSSLBind
	}
	err = send(d, op, hif.Bind{Addr: at, Sock: s.id, Session: s.session})
	if err == nil {
		r.binding = true
		r.resetOptions()
	}
	return sockSend(err, ErrSockInvalid)
}

// Listen makes a bound stream socket a listener: ListenMsg follows, then an
// AcceptMsg for each connection. The backlog, 0 to 255, is passed on. It stands
// for listen.
func (s Socket) Listen(backlog int) error {
	d, r, err := s.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	if backlog < 0 || backlog > 255 {
		return ErrSockArg
	}
	err = send(d, hif.OpListen, hif.Listen{Sock: s.id, Backlog: uint8(backlog), Session: s.session})
	if err == nil {
		r.listenSent = true
	}
	return sockSend(err, ErrSockInvalid)
}

// Accept only checks that the socket is one: connections are reported without
// it. It stands for accept.
func (s Socket) Accept() error {
	d, _, err := s.enter()
	if err == nil {
		d.unlock()
	}
	return err
}

// Connect opens a connection to a peer: ConnectMsg follows. Errors: ErrSockArg
// for an address that is not IPv4, ErrSockInvalid if not sendable. It stands
// for connect.
func (s Socket) Connect(to netip.AddrPort) error {
	d, r, err := s.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	to, ok := v4(to)
	if !ok {
		return ErrSockArg
	}
	m, op := hif.SockConnect{Addr: to, Sock: s.id, Session: s.session}, hif.OpSockConnect
	if r.tls != nil {
		op, m.Flags = hif.OpSSLConnect, r.tls.flags|tlsAlways
		if r.tls.later {
			m.Flags |= hif.TLSDelayed
		}
	}
	err = send(d, op, m)
	if err == nil {
		r.connecting = true
		if !r.peer.IsValid() {
			r.peer = to
		}
		r.resetOptions()
	}
	return sockSend(err, ErrSockInvalid)
}

// Send hands over at most 1400 bytes (see Limits), which are copied: p may be reused at
// once. SendMsg follows, for TCP when the peer has acknowledged them. On a
// datagram socket they go to the destination of the last SendTo. Errors:
// ErrSockArg for more bytes, ErrBufferFull when the device has no buffer: try
// again after the next message. It stands for send.
func (s Socket) Send(p []byte) error {
	d, r, err := s.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	op, offset := hif.OpSend, hif.UDPDataOffset
	switch {
	case r.ciphered() && r.tls.secured:
		op, offset = hif.OpSSLSend, r.tls.offset
	case d.isStream(s.id):
		offset = hif.TCPDataOffset
	}
	err = d.sendBytes(op, s, netip.AddrPort{}, p, offset)
	if err == nil && !r.silent {
		r.sends++
	}
	return err
}

// SendTo is Send to a destination; the zero AddrPort means the last one.
// SendToMsg follows. It stands for sendto.
func (s Socket) SendTo(p []byte, to netip.AddrPort) error {
	d, r, err := s.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	if to != (netip.AddrPort{}) {
		var ok bool
		if to, ok = v4(to); !ok {
			return ErrSockArg
		}
	}
	offset := hif.UDPDataOffset
	if d.isStream(s.id) {
		offset = hif.TCPDataOffset
	}
	err = d.sendBytes(hif.OpSendTo, s, to, p, offset)
	if err == nil && !r.silent {
		r.sendTos++
	}
	return err
}

// sendBytes builds the whole message in place: header, control part, gap, data.
// Lock held.
func (d *Driver) sendBytes(op hif.Op, s Socket, to netip.AddrPort, p []byte, offset int) error {
	if len(p) > d.limits.Send {
		return ErrSockArg
	}
	n := hif.HeaderLen + offset + len(p)
	b := hif.Header{Op: op, Len: n}.Append(d.tx[:0])
	b = hif.Send{Sock: s.id, Size: uint16(len(p)), Addr: to, Session: s.session}.Append(b)
	gap := len(b)
	b = b[:hif.HeaderLen+offset]
	clear(b[gap:])
	b = append(b, p...)
	switch err := d.transmit(op, true, b); {
	case err == nil:
		return nil
	case errors.Is(err, errRefused):
		return ErrBufferFull
	default:
		return sendError(op, err)
	}
}

// sendData hands over a message whose payload has a data part behind its
// control part, so that the device may refuse it. Lock held.
func (d *Driver) sendData(op hif.Op, p hif.Payload) error {
	msg := hif.Header{Op: op}.Append(d.tx[:0])
	msg = p.Append(msg)
	msg[2], msg[3] = byte(len(msg)), byte(len(msg)>>8)
	return sendError(op, d.transmit(op, true, msg))
}

// Recv asks for data: they are put into p, and RecvMsg follows, when there are
// some, when the peer closed or reset, or after the time-out (rounded up to
// 1 ms; zero, negative or more than 2^32-2 ms: never). One request is
// outstanding at a time; another call replaces only the buffer. p belongs to
// the driver until the message. Errors: ErrSockArg for an empty p, ErrBufferFull
// if not sendable. It stands for recv.
func (s Socket) Recv(p []byte, timeout time.Duration) error {
	return s.receive(hif.OpRecv, p, len(p), timeout)
}

// RecvFrom is Recv for datagrams: RecvFromMsg follows, with the sender. What
// does not fit into p is lost. It stands for recvfrom.
func (s Socket) RecvFrom(p []byte, timeout time.Duration) error {
	return s.receive(hif.OpRecvFrom, p, len(p), timeout)
}

// RecvHook is Recv, or RecvFrom on a datagram socket, of at most n bytes for a
// socket of SocketHook: the hook is given the data in the driver's own buffer.
// ErrSockArg on other sockets and for n < 1.
func (s Socket) RecvHook(n int, timeout time.Duration) error {
	return s.receive(recvByType, nil, n, timeout)
}

// recvByType stands for RECV or RECVFROM, by the type of the socket.
const recvByType hif.Op = 0

func (s Socket) receive(op hif.Op, p []byte, n int, timeout time.Duration) error {
	d, r, err := s.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	if n < 1 || p == nil && r.hook == nil {
		return ErrSockArg
	}
	stream := d.isStream(s.id)
	switch {
	case r.ciphered() && op != hif.OpRecvFrom:
		op = hif.OpSSLRecv
	case op == recvByType && stream:
		op = hif.OpRecv
	case op == recvByType:
		op = hif.OpRecvFrom
	}
	if r.recv.pending {
		r.recv.buf = p
		return nil
	}
	if len(r.recv.held) > 0 {
		return d.serveHeld(s, r, op, p)
	}
	n = min(n, d.limits.Datagram)
	if stream {
		n = min(n, d.limits.Send)
	}
	err = send(d, op, hif.Recv{Timeout: wireTimeout(timeout), Sock: s.id, Session: s.session, HasBuffer: true, Buffer: uint16(n)})
	if err != nil { // not marked pending: the next call asks again
		return sockSend(err, ErrBufferFull)
	}
	r.recv.pending, r.recv.from, r.recv.most, r.recv.buf = true, op == hif.OpRecvFrom, n, p
	return nil
}

// wireTimeout is a time-out in milliseconds, rounded up.
func wireTimeout(t time.Duration) uint32 {
	if t <= 0 {
		return hif.NoTimeout
	}
	ms := (t + time.Millisecond - 1) / time.Millisecond
	if ms >= time.Duration(hif.NoTimeout) {
		return hif.NoTimeout
	}
	return uint32(ms)
}

// Close ends the socket: no message for it will come, not even for pending
// requests, and s is not valid any more. The device sends what it has accepted,
// then closes the connection. The id is free in any case; the error,
// ErrSockInvalid, says that the device could not be told. It stands for close
// and shutdown.
func (s Socket) Close() error {
	if s.d == nil {
		return ErrSockArg
	}
	d := s.d
	d.lock()
	defer d.unlock()
	if d.sockets.lookup(s) == nil {
		return ErrClosed
	}
	err := d.closeSocket(s.id)
	return sockSend(err, ErrSockInvalid)
}

// closeSocket frees the id and tells the device. Lock held.
func (d *Driver) closeSocket(id int8) error {
	r := &d.sockets.recs[id]
	session, connecting, op := r.session, r.connecting, hif.OpClose
	if r.tls != nil {
		op, connecting = hif.OpSSLClose, connecting || r.tls.securing
	}
	*r = sockRec{}
	if d.state != StateReady {
		return nil
	}
	err := send(d, op, hif.Close{Sock: id, Session: session})
	if connecting {
		d.sockets.markStale(id, d.mailFull())
	}
	return err
}

// closeSockets closes all of them. Lock held.
func (d *Driver) closeSockets() {
	for id := range d.sockets.recs {
		if d.sockets.recs[id].used {
			_ = d.closeSocket(int8(id))
		}
	}
}
