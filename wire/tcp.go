package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
)

// TCPFlags are the control bits of a segment (RFC 9293, 3.1).
type TCPFlags uint8

// The control bits.
const (
	FIN TCPFlags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// Has reports whether all bits of f are set.
func (t TCPFlags) Has(f TCPFlags) bool { return t&f == f }

// String prints the flags in packetdrill's notation: S, S., ., P., F., R and so on, the point being
// ACK; none set prints as -.
func (t TCPFlags) String() string {
	const letters = "FSRP.UEW"
	var s [8]byte
	n := 0
	for i := range letters {
		if i != 4 && t&(1<<i) != 0 {
			s[n] = letters[i]
			n++
		}
	}
	if t&ACK != 0 { // the point stands behind the letters
		s[n] = letters[4]
		n++
	}
	if n == 0 {
		return "-"
	}
	return string(s[:n])
}

// Sizes of TCP, in bytes.
const (
	TCPMinLen     = 20 // a header without options
	TCPMaxOptions = 40
)

// TCP is the header of a segment (RFC 9293, 3.1).
//
//	 0               1               2               3
//	+---------------+---------------+---------------+---------------+
//	|          source port          |       destination port        |
//	+---------------+---------------+---------------+---------------+
//	|                        sequence number                        |
//	+---------------+---------------+---------------+---------------+
//	|                     acknowledgment number                     |
//	+-------+-------+---------------+---------------+---------------+
//	|  DO   | rsvd  |     flags     |            window             |
//	+-------+-------+---------------+---------------+---------------+
//	|           checksum            |        urgent pointer         |
//	+---------------+---------------+---------------+---------------+
//	|                   options, 0 to 40 bytes
type TCP struct {
	SrcPort, DstPort uint16
	Seq, Ack         uint32
	Flags            TCPFlags
	Wnd              uint16 // as sent: scaled down, but for a SYN
	Urg              uint16
	Opt              TCPOptions
}

// ParseTCP reads the segment b, which traveled from src to dst. The payload aliases b. A data offset out of bounds
// and options with impossible lengths make the segment [ErrInvalid] (MUST-7); see
// [TCPOptions] for how options are read. Reserved bits, ports and flags are not judged.
func ParseTCP(b []byte, src, dst netip.Addr) (h TCP, payload []byte, err error) {
	if len(b) < TCPMinLen {
		return TCP{}, nil, ErrShort
	}
	hlen := int(b[12]>>4) * 4
	if hlen < TCPMinLen {
		return TCP{}, nil, ErrInvalid
	}
	if hlen > len(b) {
		return TCP{}, nil, ErrShort
	}
	if Fold(Sum(PseudoSum(ProtoTCP, as4(src), as4(dst), len(b)), b)) != 0xffff {
		return TCP{}, nil, ErrChecksum
	}
	h.SrcPort = binary.BigEndian.Uint16(b[0:2])
	h.DstPort = binary.BigEndian.Uint16(b[2:4])
	h.Seq = binary.BigEndian.Uint32(b[4:8])
	h.Ack = binary.BigEndian.Uint32(b[8:12])
	h.Flags = TCPFlags(b[13])
	h.Wnd = binary.BigEndian.Uint16(b[14:16])
	h.Urg = binary.BigEndian.Uint16(b[18:20])
	if hlen > TCPMinLen && !h.Opt.parse(b[TCPMinLen:hlen], h.Flags&SYN != 0) {
		return TCP{}, nil, ErrInvalid
	}
	return h, b[hlen:], nil
}

// Append appends the segment made of h and payload, which travels from src to dst, to b. Header and payload
// together must fit in 65515 bytes; payload must not lie in the spare room of b.
func (h TCP) Append(b []byte, src, dst netip.Addr, payload []byte) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint16(b, h.SrcPort)
	b = binary.BigEndian.AppendUint16(b, h.DstPort)
	b = binary.BigEndian.AppendUint32(b, h.Seq)
	b = binary.BigEndian.AppendUint32(b, h.Ack)
	b = append(b, 0, byte(h.Flags))
	b = binary.BigEndian.AppendUint16(b, h.Wnd)
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint16(b, h.Urg)
	b = h.Opt.Append(b)
	b[start+12] = byte((len(b)-start)/4) << 4
	b = append(b, payload...)
	sum := Sum(PseudoSum(ProtoTCP, as4(src), as4(dst), len(b)-start), b[start:])
	binary.BigEndian.PutUint16(b[start+16:], ^Fold(sum))
	return b
}

// Len returns the length of the segment in sequence space (SEG.LEN), given that of its payload:
// SYN and FIN count one each.
func (h TCP) Len(payload int) uint32 {
	n := uint32(payload)
	if h.Flags&SYN != 0 {
		n++
	}
	if h.Flags&FIN != 0 {
		n++
	}
	return n
}

// Text prints the segment in packetdrill's notation, given the length of its payload:
//
//	S 0:0(0) win 65535 <mss 1460,sackOK,wscale 7>
func (h TCP) Text(payload int) string { return h.RelativeText(0, 0, payload) }

// RelativeText is Text with sequence numbers counted from seq and acknowledgments from ack,
// the two initial sequence numbers of the connection as the sender of this segment sees it.
func (h TCP) RelativeText(seq, ack uint32, payload int) string {
	var s strings.Builder
	from := h.Seq - seq
	fmt.Fprintf(&s, "%v %d:%d(%d)", h.Flags, from, from+uint32(payload), payload)
	if h.Flags&ACK != 0 {
		fmt.Fprintf(&s, " ack %d", h.Ack-ack)
	}
	fmt.Fprintf(&s, " win %d", h.Wnd)
	if h.Flags&URG != 0 {
		fmt.Fprintf(&s, " urg %d", h.Urg)
	}
	if h.Opt != (TCPOptions{}) {
		fmt.Fprintf(&s, " <%v>", h.Opt)
	}
	return s.String()
}

// String prints ports and the segment as [TCP.Text] does, as if it had no payload.
func (h TCP) String() string { return fmt.Sprintf("TCP %d > %d %s", h.SrcPort, h.DstPort, h.Text(0)) }
