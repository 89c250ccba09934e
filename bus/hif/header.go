package hif

import (
	"encoding/binary"
	"errors"
)

var le = binary.LittleEndian

// Errors of Parse functions.
var (
	ErrShort   = errors.New("hif: message shorter than its layout")
	ErrInvalid = errors.New("hif: field with an impossible value")
)

// Sizes of the transport. Spec hif-messages 1.1, 1.6.
const (
	HeaderLen  = 8    // bytes before the payload, of which four are defined
	MaxLen     = 1596 // longest message, header included [host-bus BH-14]
	MaxPayload = MaxLen - HeaderLen
	MaxSend    = 1400 // most bytes of an application in one SEND, SENDTO or SSL_SEND
)

// Header is the head of a message in the memory of the device.
//
//	 0        1        2                 4
//	+--------+--------+-----------------+-----------------------------------+
//	| group  | opcode | length, LE      | undefined from a host, 0 to it    |
//	+--------+--------+-----------------+-----------------------------------+
type Header struct {
	Op  Op
	Len int // of the whole message in bytes, these 8 included (1.1)
}

// ParseHeader reads a header from the first 4 bytes of b; what follows is not looked at [HM-03].
// Bit 7 of the opcode means nothing in memory (1.3) and is dropped. A length below [HeaderLen] is
// [ErrInvalid]; the caller compares the length with what was announced on the registers.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < 4 {
		return Header{}, ErrShort
	}
	h := Header{Op: MakeOp(Group(b[0]), b[1]), Len: int(le.Uint16(b[2:]))}
	if h.Len < HeaderLen {
		return h, ErrInvalid
	}
	return h, nil
}

// Append appends the 8 bytes of the header: opcode without the data bit [HM-05], four zeros at the
// end [host-bus BH-13].
func (h Header) Append(b []byte) []byte {
	return append(b, byte(h.Op.Group()), h.Op.Code(), byte(h.Len), byte(h.Len>>8), 0, 0, 0, 0)
}

// Payload is what every message struct of this package can do: append its bytes.
type Payload interface{ Append(b []byte) []byte }

// AppendMessage appends header and payload of a message. It does not allocate when b has room.
func AppendMessage[P Payload](b []byte, op Op, p P) []byte {
	start := len(b)
	b = Header{Op: op}.Append(b)
	b = p.Append(b)
	n := len(b) - start
	b[start+2], b[start+3] = byte(n), byte(n>>8)
	return b
}

// None is the payload of messages that have none, such as [OpDisconnect] or [OpGetRSSI].
type None struct{}

// Append appends nothing.
func (None) Append(b []byte) []byte { return b }

// Request is the word that a host writes to the register NMI_STATE_REG (0x108C) to ask for a buffer
// for a message. Spec hif-messages 1.4.
type Request struct {
	Op   Op
	Data bool // the data-packet bit: the only requests that a device may refuse [HM-08]
	Len  int  // of the whole message, header included
}

// ParseRequest reads the word.
func ParseRequest(v uint32) Request {
	return Request{Op: MakeOp(Group(v), uint8(v>>8)), Data: v>>15&1 == 1, Len: int(v >> 16)}
}

// Word builds the word: group | opcode<<8 | data bit 15 | length<<16.
func (r Request) Word() uint32 {
	v := uint32(r.Op.Group()) | uint32(r.Op.Code())<<8 | uint32(uint16(r.Len))<<16
	if r.Data {
		v |= 1 << 15
	}
	return v
}

// Notice is the word in the register WIFI_HOST_RCV_CTRL_0 (0x1070), by which a device announces a
// message and a host takes and releases it. Spec hif-messages 1.5, host-bus 5.3.
type Notice struct {
	Pending bool // bit 0: set by the device, cleared by the host when it takes the message
	Done    bool // bit 1: RX done, set by the host: the buffer is free
	Size    int  // bits 13:2: bytes of the message, rounded up to 4 or as they are [HM-06]
}

// ParseNotice reads the word.
func ParseNotice(v uint32) Notice {
	return Notice{Pending: v&1 != 0, Done: v&2 != 0, Size: int(v >> 2 & 0xfff)}
}

// Word builds the word.
func (n Notice) Word() uint32 {
	v := uint32(n.Size&0xfff) << 2
	if n.Pending {
		v |= 1
	}
	if n.Done {
		v |= 2
	}
	return v
}
