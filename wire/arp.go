package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// ARPOp is the operation of an ARP packet.
type ARPOp uint16

// The operations of RFC 826.
const (
	ARPRequest ARPOp = 1
	ARPReply   ARPOp = 2
)

// String prints the name of the operation, or the number of an unknown one.
func (o ARPOp) String() string {
	switch o {
	case ARPRequest:
		return "REQUEST"
	case ARPReply:
		return "REPLY"
	}
	return fmt.Sprintf("arp(%d)", uint16(o))
}

// ARPLen is the length of an ARP packet for Ethernet and IPv4 in bytes.
const ARPLen = 28

// ARP is an address resolution packet for IPv4 over Ethernet (RFC 826).
//
//	 0               1               2               3
//	+---------------+---------------+---------------+---------------+
//	|       hardware type = 1       |    protocol type = 0x0800     |
//	+---------------+---------------+---------------+---------------+
//	|   hlen = 6    |   plen = 4    |           operation           |
//	+---------------+---------------+---------------+---------------+
//	|   sender MAC (6), sender IP (4), target MAC (6), target IP (4)
type ARP struct {
	Op        ARPOp
	SenderMAC MAC
	SenderIP  netip.Addr // 0.0.0.0 in a probe (RFC 5227, 1.1)
	TargetMAC MAC        // unused in a request
	TargetIP  netip.Addr
}

// ParseARP reads the packet b, whatever follows it (padding). Other hardware or protocol types,
// other address lengths and operations other than request and reply are [ErrInvalid], so a
// RARP packet never gets through.
func ParseARP(b []byte) (ARP, error) {
	if len(b) < ARPLen {
		return ARP{}, ErrShort
	}
	op := ARPOp(binary.BigEndian.Uint16(b[6:8]))
	if binary.BigEndian.Uint16(b[0:2]) != 1 || EtherType(binary.BigEndian.Uint16(b[2:4])) != EtherTypeIPv4 ||
		b[4] != 6 || b[5] != 4 || op != ARPRequest && op != ARPReply {
		return ARP{}, ErrInvalid
	}
	return ARP{
		Op:        op,
		SenderMAC: MAC(b[8:14]),
		SenderIP:  netip.AddrFrom4([4]byte(b[14:18])),
		TargetMAC: MAC(b[18:24]),
		TargetIP:  netip.AddrFrom4([4]byte(b[24:28])),
	}, nil
}

// Append appends the 28 bytes of the packet to b.
func (p ARP) Append(b []byte) []byte {
	b = append(b, 0, 1, 0x08, 0x00, 6, 4)
	b = binary.BigEndian.AppendUint16(b, uint16(p.Op))
	sender, target := as4(p.SenderIP), as4(p.TargetIP)
	b = append(b, p.SenderMAC[:]...)
	b = append(b, sender[:]...)
	b = append(b, p.TargetMAC[:]...)
	return append(b, target[:]...)
}

// String prints the packet as one line.
func (p ARP) String() string {
	return fmt.Sprintf("ARP %v sender %v %v target %v %v", p.Op, p.SenderIP, p.SenderMAC, p.TargetIP, p.TargetMAC)
}
