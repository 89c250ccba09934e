package hif

import "net/netip"

// Send is the control part of SEND, SENDTO and SSL_SEND, 16 bytes (3.7). The data stand behind a gap,
// at [TCPDataOffset], [UDPDataOffset] or the AppDataOffset of the socket less [HeaderLen].
type Send struct {
	Sock int8
	Size uint16 // bytes of data, at most [MaxSend]
	// Addr is the destination of SENDTO; not valid (zero): the one of the last SENDTO on the socket.
	// In SEND these bytes are garbage.
	Addr    netip.AddrPort
	Session uint16
}

// SendLen is the length of [Send] in bytes.
const SendLen = 16

// ParseSend reads the control part.
func ParseSend(b []byte) (Send, error) {
	if len(b) < SendLen {
		return Send{}, ErrShort
	}
	return Send{Sock: int8(b[0]), Size: le.Uint16(b[2:]), Addr: parseAddr(b[4:]), Session: le.Uint16(b[12:])}, nil
}

// Append appends the control part.
func (m Send) Append(b []byte) []byte {
	b = append(b, byte(m.Sock), 0, byte(m.Size), byte(m.Size>>8))
	b = appendAddr(b, m.Addr)
	return append(b, byte(m.Session), byte(m.Session>>8), 0, 0)
}

// Data returns the m.Size bytes of data at the offset in the payload, without copying. When the
// message is too short for them it is [ErrShort]; an offset inside the control part is [ErrInvalid].
func (m Send) Data(payload []byte, offset int) ([]byte, error) {
	if offset < SendLen {
		return nil, ErrInvalid
	}
	if len(payload) < offset+int(m.Size) {
		return nil, ErrShort
	}
	return payload[offset : offset+int(m.Size)], nil
}

// SendReply answers SEND, SENDTO and SSL_SEND, 8 bytes (3.7).
type SendReply struct {
	Sock    int8
	Status  Status // bytes sent, all that were asked for, or an error
	Session uint16
}

// SendReplyLen is the length of [SendReply] in bytes.
const SendReplyLen = 8

// ParseSendReply reads the payload.
func ParseSendReply(b []byte) (SendReply, error) {
	if len(b) < SendReplyLen {
		return SendReply{}, ErrShort
	}
	return SendReply{Sock: int8(b[0]), Status: Status(le.Uint16(b[2:])), Session: le.Uint16(b[4:])}, nil
}

// Append appends the payload.
func (m SendReply) Append(b []byte) []byte {
	return append(b, byte(m.Sock), 0, byte(m.Status), byte(uint16(m.Status)>>8), byte(m.Session), byte(m.Session>>8), 0, 0)
}

// NoTimeout is the timeout of a [Recv] that waits for ever.
const NoTimeout uint32 = 0xffffffff

// Recv is RECV, RECVFROM and SSL_RECV from the host, 8 bytes, 12 from 19.7.7 on (3.8). One request
// gets exactly one reply.
type Recv struct {
	Timeout uint32 // milliseconds, or [NoTimeout]
	Sock    int8
	Session uint16
	// HasBuffer says that the long form came or is meant, with Buffer the number of bytes that the
	// host can take: it reads the reply once and loses what is beyond [HM-12].
	HasBuffer bool
	Buffer    uint16
}

// Lengths of [Recv] in bytes.
const (
	RecvLen     = 8
	RecvLenLong = 12
)

// ParseRecv reads either form, by length.
func ParseRecv(b []byte) (Recv, error) {
	if len(b) < RecvLen {
		return Recv{}, ErrShort
	}
	m := Recv{Timeout: le.Uint32(b), Sock: int8(b[4]), Session: le.Uint16(b[6:])}
	if len(b) >= RecvLenLong {
		m.HasBuffer, m.Buffer = true, le.Uint16(b[8:])
	}
	return m, nil
}

// Append appends the payload, in the long form if HasBuffer.
func (m Recv) Append(b []byte) []byte {
	b = le.AppendUint32(b, m.Timeout)
	b = append(b, byte(m.Sock), 0, byte(m.Session), byte(m.Session>>8))
	if m.HasBuffer {
		b = append(b, byte(m.Buffer), byte(m.Buffer>>8), 0, 0)
	}
	return b
}

// RecvReply answers RECV, RECVFROM and SSL_RECV: 16 bytes, then the data (3.8).
type RecvReply struct {
	Remote  netip.AddrPort
	Status  Status // bytes of data; 0 the peer closed (never on UDP); or an error
	Offset  uint16 // of the data, from the start of the payload, at least [RecvReplyLen]; parsed: 0 without data
	Sock    int8
	Session uint16
	Data    []byte // parsed: inside the payload, not copied, fewer than Status when the payload ends before
}

// RecvReplyLen is the length of [RecvReply] in bytes, without data.
const RecvReplyLen = 16

// ParseRecvReply reads the payload or, from a host that fetches the rest later, its first 16 bytes.
// An offset inside those 16 bytes is [ErrInvalid] when there are data.
func ParseRecvReply(b []byte) (RecvReply, error) {
	if len(b) < RecvReplyLen {
		return RecvReply{}, ErrShort
	}
	m := RecvReply{Remote: parseAddr(b), Status: Status(le.Uint16(b[8:])), Sock: int8(b[12]), Session: le.Uint16(b[14:])}
	if m.Status <= 0 {
		return m, nil
	}
	if m.Offset = le.Uint16(b[10:]); m.Offset < RecvReplyLen {
		return m, ErrInvalid
	}
	if off := int(m.Offset); off < len(b) {
		m.Data = b[off:min(len(b), off+int(m.Status))]
	}
	return m, nil
}

// Append appends the 16 bytes and Data at Offset; an Offset below [RecvReplyLen] is written as
// [RecvReplyLen]. Status is written as it is, so a device may append the data itself.
func (m RecvReply) Append(b []byte) []byte {
	off := max(m.Offset, RecvReplyLen)
	b = appendAddr(b, m.Remote)
	b = append(b, byte(m.Status), byte(uint16(m.Status)>>8), byte(off), byte(off>>8),
		byte(m.Sock), 0, byte(m.Session), byte(m.Session>>8))
	if len(m.Data) > 0 {
		b = appendZero(b, int(off)-RecvReplyLen)
		b = append(b, m.Data...)
	}
	return b
}
