package wire

import (
	"encoding/binary"
	"fmt"
)

// EtherType says what an Ethernet frame carries (IANA "IEEE 802 Numbers").
type EtherType uint16

// The EtherTypes that this system speaks.
const (
	EtherTypeIPv4  EtherType = 0x0800
	EtherTypeARP   EtherType = 0x0806
	EtherTypeEAPOL EtherType = 0x888e // IEEE 802.1X: the WPA2 handshake
)

// String prints the name of the protocol, or the number of an unknown one.
func (t EtherType) String() string {
	switch t {
	case EtherTypeIPv4:
		return "IPv4"
	case EtherTypeARP:
		return "ARP"
	case EtherTypeEAPOL:
		return "EAPOL"
	}
	return fmt.Sprintf("ethertype(0x%04x)", uint16(t))
}

// EthernetLen is the length of an Ethernet II header in bytes.
const EthernetLen = 14

// minEtherType is the lowest value that is a type; below it the field is a length (RFC 894; IEEE 802.3).
const minEtherType = 0x0600

// Ethernet is the header of an Ethernet II frame (RFC 894).
//
//	+--------------------+--------------------+---------+---------
//	| destination, 6     | source, 6          | type, 2 | payload
//	+--------------------+--------------------+---------+---------
type Ethernet struct {
	Dst, Src MAC
	Type     EtherType
}

// ParseEthernet reads the header of the frame b, which has no frame check sequence. The payload aliases b and may
// end in padding, which IPv4 tells from data by its own length. An IEEE 802.3 frame, whose
// type field is a length below 0x0600, is [ErrInvalid].
func ParseEthernet(b []byte) (h Ethernet, payload []byte, err error) {
	if len(b) < EthernetLen {
		return Ethernet{}, nil, ErrShort
	}
	h.Dst, h.Src = MAC(b[0:6]), MAC(b[6:12])
	h.Type = EtherType(binary.BigEndian.Uint16(b[12:14]))
	if h.Type < minEtherType {
		return Ethernet{}, nil, ErrInvalid
	}
	return h, b[EthernetLen:], nil
}

// Append appends the 14 bytes of the header to b; the payload is for the caller to append.
func (h Ethernet) Append(b []byte) []byte {
	b = append(b, h.Dst[:]...)
	b = append(b, h.Src[:]...)
	return binary.BigEndian.AppendUint16(b, uint16(h.Type))
}

// String prints the header as source > destination and type.
func (h Ethernet) String() string { return fmt.Sprintf("%v > %v %v", h.Src, h.Dst, h.Type) }
