package driver

import (
	"io"
	"net/netip"
	"strconv"

	"github.com/understudy-net/understudy/bus/hif"
)

// MsgKind is the kind of a socket message, with the values of the document
// (spec/driver-api.md 3.4).
type MsgKind uint8

// The kinds.
const (
	KindBind     MsgKind = 1
	KindListen   MsgKind = 2
	KindAccept   MsgKind = 4
	KindConnect  MsgKind = 5
	KindRecv     MsgKind = 6
	KindSend     MsgKind = 7
	KindSendTo   MsgKind = 8
	KindRecvFrom MsgKind = 9
	KindSecure   MsgKind = 10
	// KindLost is no message of the document and only told to hooks: the link
	// is gone and the device has forgotten the socket, which answers nothing
	// any more.
	KindLost MsgKind = 128
)

func (k MsgKind) String() string {
	switch k {
	case KindBind:
		return "BIND"
	case KindListen:
		return "LISTEN"
	case KindAccept:
		return "ACCEPT"
	case KindConnect:
		return "CONNECT"
	case KindRecv:
		return "RECV"
	case KindSend:
		return "SEND"
	case KindSendTo:
		return "SENDTO"
	case KindRecvFrom:
		return "RECVFROM"
	case KindSecure:
		return "SECURE"
	case KindLost:
		return "LOST"
	}
	return "msg(" + strconv.Itoa(int(k)) + ")"
}

// Msg is a message about a socket: *one* of the types below.
type Msg interface{ Kind() MsgKind }

// BindMsg answers Bind: nil; ErrSockAddress without a port or for an address
// that is not ours; ErrAddrInUse; ErrSockInvalid if bound or connected already.
type BindMsg struct{ Err error }

// ListenMsg answers Listen: nil; ErrSockInvalid if not bound, a datagram socket
// or listening already; ErrMaxListen.
type ListenMsg struct{ Err error }

// AcceptMsg reports a connection to a listener. The new socket has no receive
// request yet. With Err, Socket is not valid.
type AcceptMsg struct {
	Socket Socket
	Peer   netip.AddrPort
	Err    error
}

// ConnectMsg answers Connect: nil; ErrSockAddress, ErrSockInvalid,
// ErrConnAborted (matches syscall.ECONNREFUSED), ErrTimedOut; of a TLS socket
// also a *TLSAlert, and ErrMaxTCP when there are too many TLS sockets. After an
// error the socket must be closed.
type ConnectMsg struct{ Err error }

// SecureMsg answers Secure: nil; ErrSockInvalid while bytes wait that came in
// clear; a *TLSAlert, or ErrConnAborted. After these two the socket must be
// closed.
type SecureMsg struct{ Err error }

// SendMsg answers Send: for TCP the peer has acknowledged the N bytes.
type SendMsg struct {
	N   int
	Err error
}

// SendToMsg answers SendTo.
type SendToMsg SendMsg

// RecvMsg answers Recv. Data is the beginning of the buffer that was given. Err
// is io.EOF when the peer has closed, ErrTimedOut, or the connection's end.
type RecvMsg struct {
	Data []byte
	Peer netip.AddrPort
	Err  error
}

// RecvFromMsg answers RecvFrom: one datagram, perhaps empty, cut to the buffer.
type RecvFromMsg RecvMsg

// Kind is KindBind.
func (BindMsg) Kind() MsgKind { return KindBind }

// Kind is KindListen.
func (ListenMsg) Kind() MsgKind { return KindListen }

// Kind is KindAccept.
func (AcceptMsg) Kind() MsgKind { return KindAccept }

// Kind is KindConnect.
func (ConnectMsg) Kind() MsgKind { return KindConnect }

// Kind is KindSecure.
func (SecureMsg) Kind() MsgKind { return KindSecure }

// Kind is KindSend.
func (SendMsg) Kind() MsgKind { return KindSend }

// Kind is KindSendTo.
func (SendToMsg) Kind() MsgKind { return KindSendTo }

// Kind is KindRecv.
func (RecvMsg) Kind() MsgKind { return KindRecv }

// Kind is KindRecvFrom.
func (RecvFromMsg) Kind() MsgKind { return KindRecvFrom }

// Event is a socket message as a plain value, for Client.SocketHook: making one
// allocates nothing.
type Event struct {
	Kind   MsgKind
	Err    error
	N      int            // bytes of Send and SendTo
	Data   []byte         // of Recv and RecvFrom; after RecvHook valid only until the hook returns
	Peer   netip.AddrPort // of Accept, Recv and RecvFrom
	Socket Socket         // the new one of Accept
}

// msg makes the typed message of an event.
func (e Event) msg() Msg {
	switch e.Kind {
	case KindBind:
		return BindMsg{e.Err}
	case KindListen:
		return ListenMsg{e.Err}
	case KindAccept:
		return AcceptMsg{e.Socket, e.Peer, e.Err}
	case KindConnect:
		return ConnectMsg{e.Err}
	case KindSecure:
		return SecureMsg{e.Err}
	case KindSend:
		return SendMsg{e.N, e.Err}
	case KindSendTo:
		return SendToMsg{e.N, e.Err}
	case KindRecv:
		return RecvMsg{e.Data, e.Peer, e.Err}
	}
	return RecvFromMsg{e.Data, e.Peer, e.Err}
}

// recvErr is the verdict of a receive request that brought no data.
func recvErr(s hif.Status, stream bool) error {
	if s == 0 && stream {
		return io.EOF
	}
	return sockErr(int(s))
}
