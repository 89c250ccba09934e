package hif

import (
	"net/netip"
	"strconv"
)

// Socket ids. The host chooses them, except for accepted connections, which the device names from
// the TCP range. The id alone says the protocol. Spec hif-messages 3.1.
const (
	TCPSockets  = 7                       // ids 0..6
	UDPSockets  = 4                       // ids 7..10
	FirstUDP    = TCPSockets              // the first id of a UDP socket
	SocketCount = TCPSockets + UDPSockets // ids are below this
)

// Where the bytes of an application start in a send, counted from the start of the payload.
// Spec hif-messages 1.4. TLS has an offset per socket, see [SockConnectReply].
const (
	TCPDataOffset = 80
	UDPDataOffset = 68
)

// TCPAppDataOffset is the offset that CONNECT and ACCEPT report for plain TCP: [TCPDataOffset]
// counted from the start of the message (3.6). Never 0: hosts take 0 for "not connected".
const TCPAppDataOffset = HeaderLen + TCPDataOffset

// Status is the result of a socket call: not negative when it succeeded (then a count of bytes where
// there is one), else one of the constants. Spec hif-messages 3.16.
type Status int16

// The results that are not success.
const (
	StatusOK             Status = 0
	StatusInvalidAddress Status = -1
	StatusAddressInUse   Status = -2
	StatusTooManyTCP     Status = -3
	StatusTooManyUDP     Status = -4
	StatusInvalidArg     Status = -6
	StatusTooManyListen  Status = -7
	StatusInvalid        Status = -9
	StatusAddrRequired   Status = -11
	StatusAborted        Status = -12 // reset, refused, unreachable, or the link is gone
	StatusTimeout        Status = -13
	StatusBufferFull     Status = -14 // made by the host when a buffer was refused
)

// String prints the meaning of a negative status, the number of one without a meaning or of a count.
func (s Status) String() string {
	switch s {
	case StatusOK:
		return "ok"
	case StatusInvalidAddress:
		return "invalid address"
	case StatusAddressInUse:
		return "address in use"
	case StatusTooManyTCP:
		return "too many TCP sockets"
	case StatusTooManyUDP:
		return "too many UDP sockets"
	case StatusInvalidArg:
		return "invalid argument"
	case StatusTooManyListen:
		return "too many listeners"
	case StatusInvalid:
		return "invalid"
	case StatusAddrRequired:
		return "address required"
	case StatusAborted:
		return "connection aborted"
	case StatusTimeout:
		return "timeout"
	case StatusBufferFull:
		return "buffer full"
	}
	return strconv.Itoa(int(s))
}

// Bind is BIND and SSL_BIND from the host, 12 bytes (3.4).
type Bind struct {
	Addr    netip.AddrPort // normally 0.0.0.0; port 0: the device picks one that the host cannot learn
	Sock    int8
	Session uint16 // echoed in the reply [HM-10]
}

// BindLen is the length of [Bind] in bytes.
const BindLen = 12

// ParseBind reads the payload.
func ParseBind(b []byte) (Bind, error) {
	if len(b) < BindLen {
		return Bind{}, ErrShort
	}
	return Bind{Addr: parseAddr(b), Sock: int8(b[8]), Session: le.Uint16(b[10:])}, nil
}

// Append appends the payload.
func (m Bind) Append(b []byte) []byte {
	b = appendAddr(b, m.Addr)
	return append(b, byte(m.Sock), 0, byte(m.Session), byte(m.Session>>8))
}

// Listen is LISTEN from the host, 4 bytes (3.4).
type Listen struct {
	Sock    int8
	Backlog uint8 // meaning undefined; 0 is common
	Session uint16
}

// ListenLen is the length of [Listen] in bytes.
const ListenLen = 4

// ParseListen reads the payload.
func ParseListen(b []byte) (Listen, error) {
	if len(b) < ListenLen {
		return Listen{}, ErrShort
	}
	return Listen{Sock: int8(b[0]), Backlog: b[1], Session: le.Uint16(b[2:])}, nil
}

// Append appends the payload.
func (m Listen) Append(b []byte) []byte {
	return append(b, byte(m.Sock), m.Backlog, byte(m.Session), byte(m.Session>>8))
}

// BindReply answers BIND, LISTEN and SSL_BIND, 4 bytes (3.4).
type BindReply struct {
	Sock    int8
	Status  Status // one byte on the wire
	Session uint16
}

// BindReplyLen is the length of [BindReply] in bytes.
const BindReplyLen = 4

// ParseBindReply reads the payload.
func ParseBindReply(b []byte) (BindReply, error) {
	if len(b) < BindReplyLen {
		return BindReply{}, ErrShort
	}
	return BindReply{Sock: int8(b[0]), Status: Status(int8(b[1])), Session: le.Uint16(b[2:])}, nil
}

// Append appends the payload.
func (m BindReply) Append(b []byte) []byte {
	return append(b, byte(m.Sock), byte(m.Status), byte(m.Session), byte(m.Session>>8))
}

// Accept is the event ACCEPT: a connection came in, 12 bytes (3.5). It carries no session: the host
// makes one up, and the device learns it from the first request on the new socket.
type Accept struct {
	Peer          netip.AddrPort
	Listener      int8
	Sock          int8   // the new socket, chosen by the device from the TCP ids; negative: failure
	AppDataOffset uint16 // [TCPAppDataOffset] for plain TCP
}

// AcceptLen is the length of [Accept] in bytes.
const AcceptLen = 12

// ParseAccept reads the payload.
func ParseAccept(b []byte) (Accept, error) {
	if len(b) < AcceptLen {
		return Accept{}, ErrShort
	}
	return Accept{Peer: parseAddr(b), Listener: int8(b[8]), Sock: int8(b[9]), AppDataOffset: le.Uint16(b[10:])}, nil
}

// Append appends the payload.
func (m Accept) Append(b []byte) []byte {
	b = appendAddr(b, m.Peer)
	return append(b, byte(m.Listener), byte(m.Sock), byte(m.AppDataOffset), byte(m.AppDataOffset>>8))
}

// TLSFlags are the flags of a connect (3.6). In a plain CONNECT the byte is garbage.
type TLSFlags uint8

// The flags.
const (
	TLSActive       TLSFlags = 1 << 0
	TLSBypassX509   TLSFlags = 1 << 1
	TLSCacheSession TLSFlags = 1 << 4
	TLSNoTXCopy     TLSFlags = 1 << 5 // always set by hosts
	TLSCheckSNI     TLSFlags = 1 << 6
	TLSDelayed      TLSFlags = 1 << 7 // connect in clear, SECURE later (19.7.7)
)

// SockConnect is CONNECT, SSL_CONNECT and SECURE from the host, 12 bytes (3.6).
type SockConnect struct {
	Addr    netip.AddrPort
	Sock    int8
	Flags   TLSFlags
	Session uint16
}

// SockConnectLen is the length of [SockConnect] in bytes.
const SockConnectLen = 12

// ParseSockConnect reads the payload.
func ParseSockConnect(b []byte) (SockConnect, error) {
	if len(b) < SockConnectLen {
		return SockConnect{}, ErrShort
	}
	return SockConnect{Addr: parseAddr(b), Sock: int8(b[8]), Flags: TLSFlags(b[9]), Session: le.Uint16(b[10:])}, nil
}

// Append appends the payload.
func (m SockConnect) Append(b []byte) []byte {
	b = appendAddr(b, m.Addr)
	return append(b, byte(m.Sock), byte(m.Flags), byte(m.Session), byte(m.Session>>8))
}

// SockConnectReply answers CONNECT, SSL_CONNECT and SECURE, 4 bytes (3.6). It carries no session.
type SockConnectReply struct {
	Sock   int8
	Status Status // one byte on the wire; never positive: some hosts take that for success
	// AppDataOffset is where the host puts data of a send, counted from the start of the message:
	// [TCPAppDataOffset] for TCP, not below 24 and not 0 for TLS. After a failure, hosts of 19.7.7
	// read its low byte as the source of the error (0 none, 1 TLS alert of the peer, 2 TLS here)
	// and its high byte as the code.
	AppDataOffset uint16
}

// SockConnectReplyLen is the length of [SockConnectReply] in bytes.
const SockConnectReplyLen = 4

// ParseSockConnectReply reads the payload.
func ParseSockConnectReply(b []byte) (SockConnectReply, error) {
	if len(b) < SockConnectReplyLen {
		return SockConnectReply{}, ErrShort
	}
	return SockConnectReply{Sock: int8(b[0]), Status: Status(int8(b[1])), AppDataOffset: le.Uint16(b[2:])}, nil
}

// Append appends the payload.
func (m SockConnectReply) Append(b []byte) []byte {
	return append(b, byte(m.Sock), byte(m.Status), byte(m.AppDataOffset), byte(m.AppDataOffset>>8))
}

// ALPNReply is SSL_CONNECT_ALPN from a device (19.7.7), 8 bytes (3.15): the answer to SSL_CONNECT
// on a socket with an ALPN list.
type ALPNReply struct {
	SockConnectReply
	Protocol uint8 // 0 none was agreed on, else the position in the list, from 1
}

// ALPNReplyLen is the length of [ALPNReply] in bytes.
const ALPNReplyLen = 8

// ParseALPNReply reads the payload.
func ParseALPNReply(b []byte) (ALPNReply, error) {
	if len(b) < ALPNReplyLen {
		return ALPNReply{}, ErrShort
	}
	c, err := ParseSockConnectReply(b)
	return ALPNReply{SockConnectReply: c, Protocol: b[4]}, err
}

// Append appends the payload.
func (m ALPNReply) Append(b []byte) []byte {
	return append(m.SockConnectReply.Append(b), m.Protocol, 0, 0, 0)
}

// Close is CLOSE and SSL_CLOSE from the host, 4 bytes (3.4). There is no reply, and nothing about
// the socket may follow it [HM-11].
type Close struct {
	Sock    int8
	Session uint16
}

// CloseLen is the length of [Close] in bytes.
const CloseLen = 4

// ParseClose reads the payload.
func ParseClose(b []byte) (Close, error) {
	if len(b) < CloseLen {
		return Close{}, ErrShort
	}
	return Close{Sock: int8(b[0]), Session: le.Uint16(b[2:])}, nil
}

// Append appends the payload.
func (m Close) Append(b []byte) []byte {
	return append(b, byte(m.Sock), 0, byte(m.Session), byte(m.Session>>8))
}

// SockOption is an option of [SocketOption] (3.11).
type SockOption uint8

// The options. CONNECT and BIND set those of keep-alive back to their defaults.
const (
	OptUDPSendCallback   SockOption = 0 // 0 no replies to SEND and SENDTO on a UDP socket, 1 replies (default)
	OptJoinGroup         SockOption = 1 // value: the group, network order
	OptLeaveGroup        SockOption = 2
	OptKeepAlive         SockOption = 4 // 0 or 1, default 0 (19.6.1)
	OptKeepAliveIdle     SockOption = 5 // half seconds, default 120 (19.7.7)
	OptKeepAliveInterval SockOption = 6 // half seconds, at most 255, default 1 (19.7.7)
	OptKeepAliveCount    SockOption = 7 // at most 255, default 20 (19.7.7)
)

// String prints the name of the option, or its number.
func (o SockOption) String() string {
	switch o {
	case OptUDPSendCallback:
		return "UDP_SEND_CALLBACK"
	case OptJoinGroup:
		return "ADD_MEMBERSHIP"
	case OptLeaveGroup:
		return "DROP_MEMBERSHIP"
	case OptKeepAlive:
		return "KEEPALIVE"
	case OptKeepAliveIdle:
		return "KEEPIDLE"
	case OptKeepAliveInterval:
		return "KEEPINTVL"
	case OptKeepAliveCount:
		return "KEEPCNT"
	}
	return "option(" + strconv.Itoa(int(o)) + ")"
}

// SocketOption is SET_SOCKET_OPTION from the host, 8 bytes (3.11). There is no reply.
type SocketOption struct {
	Value   uint32 // for multicast groups see [SocketOption.Group]
	Sock    int8
	Option  SockOption
	Session uint16
}

// SocketOptionLen is the length of [SocketOption] in bytes.
const SocketOptionLen = 8

// ParseSocketOption reads the payload.
func ParseSocketOption(b []byte) (SocketOption, error) {
	if len(b) < SocketOptionLen {
		return SocketOption{}, ErrShort
	}
	return SocketOption{Value: le.Uint32(b), Sock: int8(b[4]), Option: SockOption(b[5]), Session: le.Uint16(b[6:])}, nil
}

// Append appends the payload.
func (m SocketOption) Append(b []byte) []byte {
	b = le.AppendUint32(b, m.Value)
	return append(b, byte(m.Sock), byte(m.Option), byte(m.Session), byte(m.Session>>8))
}

// Group returns the value as the IPv4 address of a multicast group.
func (m SocketOption) Group() [4]byte {
	var g [4]byte
	le.PutUint32(g[:], m.Value)
	return g
}

// GroupValue returns the value that stands for a multicast group.
func GroupValue(g [4]byte) uint32 { return le.Uint32(g[:]) }
