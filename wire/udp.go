package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Sizes of UDP over IPv4, in bytes.
const (
	UDPLen        = 8
	UDPMaxPayload = IPv4MaxLen - IPv4MinLen - UDPLen // 65507
)

// UDP is the header of a user datagram (RFC 768).
//
//	 0               1               2               3
//	+---------------+---------------+---------------+---------------+
//	|          source port          |       destination port        |
//	+---------------+---------------+---------------+---------------+
//	|            length             |           checksum            |
//	+---------------+---------------+---------------+---------------+
type UDP struct {
	SrcPort, DstPort uint16
}

// ParseUDP reads the datagram b, which traveled from src to dst. The payload aliases b; bytes
// beyond the datagram's own length are cut off. A checksum of zero means that the sender made
// none and is accepted (RFC 1122, 4.1.3.4). Port 0 is not judged.
func ParseUDP(b []byte, src, dst netip.Addr) (h UDP, payload []byte, err error) {
	if len(b) < UDPLen {
		return UDP{}, nil, ErrShort
	}
	n := int(binary.BigEndian.Uint16(b[4:6]))
	if n < UDPLen {
		return UDP{}, nil, ErrInvalid
	}
	if n > len(b) {
		return UDP{}, nil, ErrShort
	}
	if b[6]|b[7] != 0 && Fold(Sum(PseudoSum(ProtoUDP, as4(src), as4(dst), n), b[:n])) != 0xffff {
		return UDP{}, nil, ErrChecksum
	}
	h = UDP{binary.BigEndian.Uint16(b[0:2]), binary.BigEndian.Uint16(b[2:4])}
	return h, b[UDPLen:n:n], nil
}

// Append appends the datagram made of h and payload, which travels from src to dst, to b. The payload may have
// at most [UDPMaxPayload] bytes and must not lie in the spare room of b.
func (h UDP) Append(b []byte, src, dst netip.Addr, payload []byte) []byte {
	start := len(b)
	n := UDPLen + len(payload)
	b = binary.BigEndian.AppendUint16(b, h.SrcPort)
	b = binary.BigEndian.AppendUint16(b, h.DstPort)
	b = binary.BigEndian.AppendUint16(b, uint16(n))
	b = append(b, 0, 0)
	b = append(b, payload...)
	sum := ^Fold(Sum(PseudoSum(ProtoUDP, as4(src), as4(dst), n), b[start:]))
	if sum == 0 {
		sum = 0xffff // zero is reserved for "no checksum" (RFC 768)
	}
	binary.BigEndian.PutUint16(b[start+6:], sum)
	return b
}

// String prints the ports.
func (h UDP) String() string { return fmt.Sprintf("UDP %d > %d", h.SrcPort, h.DstPort) }
