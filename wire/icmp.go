package wire

import (
	"encoding/binary"
	"fmt"
)

// ICMPType is the type of an ICMP message.
type ICMPType uint8

// The ICMP types that a host meets (RFC 792, RFC 1256). Types 15 to 18 are deprecated (RFC 6918).
const (
	ICMPEchoReply        ICMPType = 0
	ICMPUnreachable      ICMPType = 3
	ICMPSourceQuench     ICMPType = 4 // deprecated: neither sent nor obeyed (RFC 6633)
	ICMPRedirect         ICMPType = 5
	ICMPEcho             ICMPType = 8
	ICMPRouterAdvert     ICMPType = 9
	ICMPTimeExceeded     ICMPType = 11
	ICMPParameterProblem ICMPType = 12
)

// Codes of [ICMPUnreachable] (RFC 792; RFC 1122, 3.2.2.1) and [ICMPTimeExceeded].
const (
	ICMPNetUnreachable      = 0
	ICMPHostUnreachable     = 1
	ICMPProtocolUnreachable = 2
	ICMPPortUnreachable     = 3
	ICMPFragmentationNeeded = 4
	ICMPSourceRouteFailed   = 5
	ICMPAdminProhibited     = 13

	ICMPTTLExceeded        = 0
	ICMPReassemblyExceeded = 1
)

// String prints the name of the type, or the number of an unknown one.
func (t ICMPType) String() string {
	switch t {
	case ICMPEchoReply:
		return "echo reply"
	case ICMPUnreachable:
		return "destination unreachable"
	case ICMPSourceQuench:
		return "source quench"
	case ICMPRedirect:
		return "redirect"
	case ICMPEcho:
		return "echo"
	case ICMPRouterAdvert:
		return "router advertisement"
	case ICMPTimeExceeded:
		return "time exceeded"
	case ICMPParameterProblem:
		return "parameter problem"
	}
	return fmt.Sprintf("icmp(%d)", uint8(t))
}

// IsError reports whether messages of this type quote a packet that went wrong. Nothing is ever
// sent in answer to one (RFC 1122, 3.2.2).
func (t ICMPType) IsError() bool {
	switch t {
	case ICMPUnreachable, ICMPSourceQuench, ICMPRedirect, ICMPTimeExceeded, ICMPParameterProblem:
		return true
	}
	return false
}

// ICMPLen is the length of an ICMP header in bytes.
const ICMPLen = 8

// ICMP is the header of an ICMP message (RFC 792). Its second word means what type and code
// make of it; of the fields ID to Pointer only those that belong to the type are sent and read.
//
//	 0               1               2               3
//	+---------------+---------------+---------------+---------------+
//	|     type      |     code      |           checksum            |
//	+---------------+---------------+---------------+---------------+
//	|    identifier (echo)          |   sequence number (echo)      |
//	|             unused            |   next-hop MTU (3/4)          |
//	|   pointer (12)|             unused                            |
//	+---------------+---------------+---------------+---------------+
type ICMP struct {
	Type    ICMPType
	Code    uint8
	ID, Seq uint16 // echo and echo reply
	MTU     uint16 // unreachable, fragmentation needed (RFC 1191, 4); 0 from old routers
	Pointer uint8  // parameter problem: offset of the offending byte
}

func (h ICMP) isEcho() bool { return h.Type == ICMPEcho || h.Type == ICMPEchoReply }

func (h ICMP) hasMTU() bool {
	return h.Type == ICMPUnreachable && h.Code == ICMPFragmentationNeeded
}

// ParseICMP reads the message b. The body is what follows the eight bytes of the header: the
// data of an echo, the quoted packet of an error. It aliases b.
func ParseICMP(b []byte) (h ICMP, body []byte, err error) {
	if len(b) < ICMPLen {
		return ICMP{}, nil, ErrShort
	}
	if Fold(Sum(0, b)) != 0xffff {
		return ICMP{}, nil, ErrChecksum
	}
	h.Type, h.Code = ICMPType(b[0]), b[1]
	switch {
	case h.isEcho():
		h.ID, h.Seq = binary.BigEndian.Uint16(b[4:6]), binary.BigEndian.Uint16(b[6:8])
	case h.hasMTU():
		h.MTU = binary.BigEndian.Uint16(b[6:8])
	case h.Type == ICMPParameterProblem:
		h.Pointer = b[4]
	}
	return h, b[ICMPLen:], nil
}

// Append appends the message made of h and body to b.
func (h ICMP) Append(b []byte, body []byte) []byte {
	start := len(b)
	b = append(b, byte(h.Type), h.Code, 0, 0)
	switch {
	case h.isEcho():
		b = binary.BigEndian.AppendUint16(b, h.ID)
		b = binary.BigEndian.AppendUint16(b, h.Seq)
	case h.hasMTU():
		b = binary.BigEndian.AppendUint16(append(b, 0, 0), h.MTU)
	case h.Type == ICMPParameterProblem:
		b = append(b, h.Pointer, 0, 0, 0)
	default:
		b = append(b, 0, 0, 0, 0)
	}
	b = append(b, body...)
	binary.BigEndian.PutUint16(b[start+2:], Checksum(b[start:]))
	return b
}

// String prints the type and what belongs to it.
func (h ICMP) String() string {
	switch {
	case h.isEcho():
		return fmt.Sprintf("ICMP %v id %d seq %d", h.Type, h.ID, h.Seq)
	case h.hasMTU():
		return fmt.Sprintf("ICMP %v code %d mtu %d", h.Type, h.Code, h.MTU)
	}
	return fmt.Sprintf("ICMP %v code %d", h.Type, h.Code)
}
