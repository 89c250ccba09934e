package driver

import (
	"net/netip"

	"github.com/understudy-net/understudy/bus/hif"
)

// emit sends an event of a socket on its way: to its hook, made by the pump as
// soon as the message is handled, or to the queue of the dispatcher. Lock held.
func (d *Driver) emit(id int8, ev Event) {
	r := &d.sockets.recs[id]
	s := d.sockAt(id)
	switch {
	case r.hook != nil:
		d.hooks = append(d.hooks, hookCall{toSock: r.hook, sock: s, ev: ev})
	case d.onSocket != nil:
		d.calls.push(call{sock: s, ev: ev})
	case ev.Kind == KindAccept && ev.Err == nil:
		// Nobody listens: a child that nobody knows would hold its id for ever.
		_ = d.closeSocket(ev.Socket.id)
	}
}

// delivery is the callback for a queued socket event, nil if the socket was
// closed meanwhile or nobody is registered now. Lock held.
func (d *Driver) delivery(s Socket, ev Event) func() {
	fn := d.onSocket
	if fn == nil || d.sockets.lookup(s) == nil {
		if ev.Kind == KindAccept && ev.Err == nil && d.sockets.lookup(ev.Socket) != nil {
			_ = d.closeSocket(ev.Socket.id)
		}
		return nil
	}
	return func() { fn(s, ev.msg()) }
}

// rec finds the record that an answer belongs to; nil, and counted, if the
// socket is gone. Session 0 means that the answer carries none.
func (d *Driver) rec(id int8, session uint16) *sockRec {
	if id >= 0 && int(id) < len(d.sockets.recs) {
		if r := &d.sockets.recs[id]; r.used && (session == 0 || session == r.session) {
			return r
		}
	}
	d.stats.Stale++
	return nil
}

func (d *Driver) stale() { d.stats.Stale++ }

// handleBound is the answer to BIND or LISTEN. Lock held.
func (d *Driver) handleBound(op hif.Op, m hif.BindReply) {
	r := d.rec(m.Sock, m.Session)
	if r == nil {
		return
	}
	err := sockErr(int(m.Status))
	switch {
	case op != hif.OpListen && r.binding:
		r.binding = false
		r.settleOptions(err)
		d.emit(m.Sock, Event{Kind: KindBind, Err: err})
	case op == hif.OpListen && r.listenSent:
		r.listenSent = false
		r.listening = r.listening || err == nil
		d.emit(m.Sock, Event{Kind: KindListen, Err: err})
	default:
		d.stale()
	}
}

// handleAccept makes the record of a connection that came in. The device has
// chosen its id; the session is ours, told with the first request. Lock held.
func (d *Driver) handleAccept(m hif.Accept) {
	l := &sockRec{}
	if m.Listener >= 0 && m.Listener < d.sockets.tcp {
		l = &d.sockets.recs[m.Listener]
	}
	known := l.used && (l.listening || l.listenSent)
	switch {
	case m.Sock < 0:
		if known {
			d.emit(m.Listener, Event{Kind: KindAccept, Err: sockErr(int(m.Sock))})
		}
	case m.Sock >= d.sockets.tcp:
		d.stats.Short++
	case !known:
		d.refuseChild(m.Sock) // the listener was closed meanwhile (3.5)
		d.stale()
	case d.sockets.recs[m.Sock].used:
		// Host and device have chosen the same id: the child goes (3.5).
		d.refuseChild(m.Sock)
		d.emit(m.Listener, Event{Kind: KindAccept, Err: ErrMaxTCP})
	default:
		r := d.sockets.occupy(m.Sock, l.hook)
		r.peer, r.connected = m.Peer, true
		if l.tls != nil && !r.inherit(m.AppDataOffset) {
			_ = d.closeSocket(m.Sock)
			d.stats.Short++
			d.emit(m.Listener, Event{Kind: KindAccept, Err: ErrSockInvalid})
			return
		}
		d.emit(m.Listener, Event{Kind: KindAccept, Socket: d.sockAt(m.Sock), Peer: m.Peer})
	}
}

// refuseChild closes an accepted connection that gets no socket here. The fresh
// session keeps the device from taking it for the owner of the id.
func (d *Driver) refuseChild(id int8) {
	_ = send(d, hif.OpClose, hif.Close{Sock: id, Session: d.sockets.nextSession()})
}

// handleConnected is the answer to CONNECT. Lock held.
func (d *Driver) handleConnected(m hif.SockConnectReply, alpn int) {
	r := d.rec(m.Sock, 0)
	if r == nil {
		return
	}
	securing := r.tls != nil && r.tls.securing
	if d.isStream(m.Sock) && d.sockets.staleConnect[m.Sock] || !r.connecting && !securing {
		d.stale()
		return
	}
	ev := Event{Kind: KindConnect}
	if securing {
		ev.Kind = KindSecure
	}
	if r.tls != nil && !r.takeTLS(m, alpn) {
		d.stats.Short++
		m.Status = hif.StatusInvalid
	}
	ev.Err = r.tlsErr(m.Status)
	r.connecting, r.connected = false, r.connected || ev.Err == nil
	if securing {
		r.tls.securing = false
	} else {
		r.settleOptions(sockErr(int(m.Status)))
	}
	if !r.connected {
		r.peer = netip.AddrPort{}
	}
	d.emit(m.Sock, ev)
}

// handleSent is the answer to SEND or SENDTO. Lock held.
func (d *Driver) handleSent(op hif.Op, m hif.SendReply) {
	r := d.rec(m.Sock, m.Session)
	if r == nil {
		return
	}
	ev := Event{Kind: KindSend, N: max(int(m.Status), 0), Err: sockErr(int(m.Status))}
	n := &r.sends
	if op == hif.OpSendTo {
		ev.Kind, n = KindSendTo, &r.sendTos
	}
	if *n == 0 {
		d.stale()
		return
	}
	*n--
	d.emit(m.Sock, ev)
}

// handleReceived is the answer to RECV or RECVFROM. Data are copied into the
// application's buffer; a hook sees them where they are. Lock held.
func (d *Driver) handleReceived(op hif.Op, m hif.RecvReply) {
	r := d.rec(m.Sock, m.Session)
	if r == nil {
		return
	}
	if !r.recv.pending || r.recv.from != (op == hif.OpRecvFrom) {
		d.stale()
		return
	}
	stream := d.isStream(m.Sock)
	ev := Event{Kind: KindRecv, Peer: m.Remote}
	if r.recv.from {
		ev.Kind = KindRecvFrom
	}
	if stream && r.peer.IsValid() {
		ev.Peer = r.peer
	}
	p := r.recv.buf
	r.recv.pending, r.recv.buf = false, nil
	switch {
	case m.Status <= 0:
		ev.Err = recvErr(m.Status, stream)
	case int(m.Status) != len(m.Data): // cut off on the way: bytes are lost
		d.stats.Short++
		ev.Err = ErrConnAborted
	case p == nil && stream && len(m.Data) > r.recv.most: // the layer above has no room for the rest
		d.stats.Short++
		ev.Err = ErrConnAborted
	case p == nil:
		ev.Data = m.Data[:min(len(m.Data), r.recv.most)]
	default:
		n := copy(p, m.Data)
		ev.Data = p[:n]
		if stream && n < len(m.Data) {
			r.recv.held = append([]byte(nil), m.Data[n:]...)
		}
	}
	d.emit(m.Sock, ev)
}

// serveHeld answers a receive request from the bytes that did not fit into a
// buffer given later and smaller than the one asked for (3.6, recv). Lock held.
func (d *Driver) serveHeld(s Socket, r *sockRec, op hif.Op, p []byte) error {
	n := copy(p, r.recv.held)
	ev := Event{Kind: KindRecv, Data: p[:n], Peer: r.peer}
	if op == hif.OpRecvFrom {
		ev.Kind = KindRecvFrom
	}
	if r.recv.held = r.recv.held[n:]; len(r.recv.held) == 0 {
		r.recv.held = nil
	}
	if d.onSocket != nil {
		d.calls.push(call{sock: s, ev: ev})
		d.signal()
	}
	return nil
}

// abortSockets tells everybody that the link is gone: in ascending id a pending
// connect, sends and the receive end with CONN_ABORTED; ids stay until closed
// (spec/driver-api.md 3.8). With old, only sockets made before our disconnect
// are meant. The device says the same; its answers then find nothing pending.
// Lock held.
func (d *Driver) abortSockets(old bool) {
	for i := range d.sockets.recs {
		r, id := &d.sockets.recs[i], int8(i)
		if !r.used || old && r.epoch == d.sockets.epoch {
			continue
		}
		r.was = nil
		if r.connecting {
			r.connecting = false
			d.emit(id, Event{Kind: KindConnect, Err: connectErr(int(ErrConnAborted))})
		}
		if r.tls != nil && r.tls.securing {
			r.tls.securing = false
			d.emit(id, Event{Kind: KindSecure, Err: ErrConnAborted})
		}
		for ; r.sends > 0; r.sends-- {
			d.emit(id, Event{Kind: KindSend, Err: ErrConnAborted})
		}
		for ; r.sendTos > 0; r.sendTos-- {
			d.emit(id, Event{Kind: KindSendTo, Err: ErrConnAborted})
		}
		if r.recv.pending {
			ev := Event{Kind: KindRecv, Err: ErrConnAborted, Peer: r.peer}
			if r.recv.from {
				ev.Kind = KindRecvFrom
			}
			r.recv.pending, r.recv.buf = false, nil
			d.emit(id, ev)
		}
		if r.hook != nil {
			d.emit(id, Event{Kind: KindLost, Err: ErrConnAborted})
		}
	}
}
