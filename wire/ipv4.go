package wire

import (
	"encoding/binary"
	"fmt"
	"iter"
	"net/netip"
)

// Proto says what an IPv4 packet carries (IANA "Assigned Internet Protocol Numbers").
type Proto uint8

// The protocols over IPv4 that this system speaks.
const (
	ProtoICMP Proto = 1
	ProtoIGMP Proto = 2
	ProtoTCP  Proto = 6
	ProtoUDP  Proto = 17
)

// String prints the name of the protocol, or the number of an unknown one.
func (p Proto) String() string {
	switch p {
	case ProtoICMP:
		return "ICMP"
	case ProtoIGMP:
		return "IGMP"
	case ProtoTCP:
		return "TCP"
	case ProtoUDP:
		return "UDP"
	}
	return fmt.Sprintf("proto(%d)", uint8(p))
}

// Sizes of IPv4, in bytes.
const (
	IPv4MinLen     = 20    // a header without options
	IPv4MaxOptions = 40    // all options together
	IPv4MaxLen     = 65535 // a whole packet
)

// Bits of the word that holds flags and fragment offset.
const (
	ipv4DF         = 0x4000
	ipv4MF         = 0x2000
	ipv4OffsetMask = 0x1fff
)

// IPv4 is the header of an IPv4 packet (RFC 791, 3.1).
//
//	 0               1               2               3
//	+-------+-------+---------------+---------------+---------------+
//	|version|  IHL  |      TOS      |         total length          |
//	+-------+-------+---------------+-----+---------+---------------+
//	|        identification         |flags|     fragment offset     |
//	+---------------+---------------+-----+---------+---------------+
//	|      TTL      |   protocol    |        header checksum        |
//	+---------------+---------------+---------------+---------------+
//	|                            source                             |
//	+---------------+---------------+---------------+---------------+
//	|                          destination                          |
//	+---------------+---------------+---------------+---------------+
//	|                   options, 0 to 40 bytes
type IPv4 struct {
	TOS      uint8 // DSCP and ECN (RFC 2474, RFC 3168)
	ID       uint16
	DF, MF   bool
	Offset   int // of this fragment, in bytes: a multiple of 8, at most 65528
	TTL      uint8
	Proto    Proto
	Src, Dst netip.Addr
	Options  []byte // the option area with its padding; at most 40 bytes
}

// IsFragment reports whether the packet is a part of a greater one.
func (h IPv4) IsFragment() bool { return h.MF || h.Offset != 0 }

// ParseIPv4 reads the packet b. It verifies version, header length, total length, header checksum and
// the lengths inside the options (RFC 1122, 3.2.1), and cuts off whatever follows the total length, such as
// link padding. Payload and options alias b. A fragment's place is not judged here: Offset plus
// payload may exceed 65535.
func ParseIPv4(b []byte) (h IPv4, payload []byte, err error) {
	if len(b) < IPv4MinLen {
		return IPv4{}, nil, ErrShort
	}
	if b[0]>>4 != 4 {
		return IPv4{}, nil, ErrInvalid
	}
	hlen, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:4]))
	if hlen < IPv4MinLen || total < hlen {
		return IPv4{}, nil, ErrInvalid
	}
	if total > len(b) {
		return IPv4{}, nil, ErrShort
	}
	if Fold(Sum(0, b[:hlen])) != 0xffff {
		return IPv4{}, nil, ErrChecksum
	}
	if hlen > IPv4MinLen {
		h.Options = b[IPv4MinLen:hlen:hlen]
		if !validIPv4Options(h.Options) {
			return IPv4{}, nil, ErrInvalid
		}
	}
	frag := binary.BigEndian.Uint16(b[6:8])
	h.TOS = b[1]
	h.ID = binary.BigEndian.Uint16(b[4:6])
	h.DF, h.MF = frag&ipv4DF != 0, frag&ipv4MF != 0
	h.Offset = int(frag&ipv4OffsetMask) * 8
	h.TTL, h.Proto = b[8], Proto(b[9])
	h.Src = netip.AddrFrom4([4]byte(b[12:16]))
	h.Dst = netip.AddrFrom4([4]byte(b[16:20]))
	return h, b[hlen:total:total], nil
}

// Append appends the header of a packet with a payload of payloadLen bytes to b; the payload
// itself is for the caller to append. Options are padded with zeros to a whole number of words; those
// longer than 40 bytes are left out. Header and payload together must fit in 65535 bytes.
func (h IPv4) Append(b []byte, payloadLen int) []byte {
	opts := h.Options
	if len(opts) > IPv4MaxOptions {
		opts = nil
	}
	words := (IPv4MinLen + len(opts) + 3) / 4
	frag := uint16(h.Offset/8) & ipv4OffsetMask
	if h.DF {
		frag |= ipv4DF
	}
	if h.MF {
		frag |= ipv4MF
	}
	src, dst := as4(h.Src), as4(h.Dst)
	start := len(b)
	b = append(b, 0x40|byte(words), h.TOS)
	b = binary.BigEndian.AppendUint16(b, uint16(words*4+payloadLen))
	b = binary.BigEndian.AppendUint16(b, h.ID)
	b = binary.BigEndian.AppendUint16(b, frag)
	b = append(b, h.TTL, byte(h.Proto), 0, 0)
	b = append(b, src[:]...)
	b = append(b, dst[:]...)
	b = append(b, opts...)
	for len(b)-start < words*4 {
		b = append(b, 0)
	}
	binary.BigEndian.PutUint16(b[start+10:], Checksum(b[start:]))
	return b
}

// String prints addresses, protocol and what is unusual of the rest.
func (h IPv4) String() string {
	s := fmt.Sprintf("%v > %v %v ttl %d id %d", h.Src, h.Dst, h.Proto, h.TTL, h.ID)
	if h.DF {
		s += " DF"
	}
	if h.IsFragment() {
		s += fmt.Sprintf(" offset %d", h.Offset)
	}
	if h.MF {
		s += " MF"
	}
	if len(h.Options) > 0 {
		s += fmt.Sprintf(" options %x", h.Options)
	}
	return s
}

// IPv4OptionKind is the first byte of an IPv4 option: copied flag, class and number.
type IPv4OptionKind uint8

// The IPv4 options that matter to a host (RFC 791, 3.1; RFC 2113).
const (
	IPv4OptionEnd         IPv4OptionKind = 0
	IPv4OptionNop         IPv4OptionKind = 1
	IPv4OptionRecordRoute IPv4OptionKind = 7
	IPv4OptionTimestamp   IPv4OptionKind = 68
	IPv4OptionLooseRoute  IPv4OptionKind = 131
	IPv4OptionStrictRoute IPv4OptionKind = 137
	IPv4OptionRouterAlert IPv4OptionKind = 148
)

// IPv4Options returns the options of the area b, without padding, each with its data (what follows its
// length byte). It ends at the end-of-list option or at the first option whose length is wrong.
func IPv4Options(b []byte) iter.Seq2[IPv4OptionKind, []byte] {
	return func(yield func(IPv4OptionKind, []byte) bool) {
		for {
			kind, data, rest, ok := nextOption(b)
			if !ok || kind == 0 {
				return
			}
			if kind != 1 && !yield(IPv4OptionKind(kind), data) {
				return
			}
			b = rest
		}
	}
}

// validIPv4Options reports whether the options of b keep to their lengths. RFC 1122, 3.2.1.8
// wants unknown options skipped, which a wrong length makes impossible.
func validIPv4Options(b []byte) bool {
	for len(b) > 0 {
		kind, _, rest, ok := nextOption(b)
		if !ok {
			return false
		}
		if kind == 0 {
			return true // what follows the end of the list is padding, whatever it holds
		}
		b = rest
	}
	return true
}

// SourceRouted reports whether the packet has a loose or strict source route,
// which hosts had better drop (RFC 7126, 4.3 and 4.4).
func (h IPv4) SourceRouted() bool {
	for b := h.Options; len(b) > 0; {
		kind, _, rest, ok := nextOption(b)
		if !ok || kind == byte(IPv4OptionEnd) {
			return false
		}
		if kind == byte(IPv4OptionLooseRoute) || kind == byte(IPv4OptionStrictRoute) {
			return true
		}
		b = rest
	}
	return false
}

// nextOption splits the first option off b. IPv4 and TCP share the form: kinds 0 (end of list)
// and 1 (no operation) are one byte, all others have a length that counts
// kind and length as well. It is not ok if b is empty or the length is wrong.
func nextOption(b []byte) (kind byte, data, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, nil, false
	}
	if b[0] <= 1 {
		return b[0], nil, b[1:], true
	}
	if len(b) < 2 {
		return 0, nil, nil, false
	}
	n := int(b[1])
	if n < 2 || n > len(b) {
		return 0, nil, nil, false
	}
	return b[0], b[2:n], b[n:], true
}
