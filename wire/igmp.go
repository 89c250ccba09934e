package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// IGMPType is the type of an IGMP message.
type IGMPType uint8

// The IGMP types (RFC 2236, 2.1).
const (
	IGMPQuery    IGMPType = 0x11
	IGMPReportV1 IGMPType = 0x12
	IGMPReportV2 IGMPType = 0x16
	IGMPLeave    IGMPType = 0x17
)

// String prints the name of the type, or the number of an unknown one.
func (t IGMPType) String() string {
	switch t {
	case IGMPQuery:
		return "membership query"
	case IGMPReportV1:
		return "version 1 membership report"
	case IGMPReportV2:
		return "version 2 membership report"
	case IGMPLeave:
		return "leave group"
	}
	return fmt.Sprintf("igmp(0x%02x)", uint8(t))
}

// IGMPLen is the length of an IGMPv2 message in bytes.
const IGMPLen = 8

// IGMP is an IGMPv2 message (RFC 2236, 2).
//
//	 0               1               2               3
//	+---------------+---------------+---------------+---------------+
//	|     type      | max resp time |           checksum            |
//	+---------------+---------------+---------------+---------------+
//	|                         group address                         |
//	+---------------+---------------+---------------+---------------+
type IGMP struct {
	Type    IGMPType
	MaxResp uint8      // in queries: time to answer, in tenths of a second; 0 from a version 1 querier
	Group   netip.Addr // 0.0.0.0 in a general query
}

// ParseIGMP reads the message b. The checksum covers all of b; bytes beyond the eighth, such as the
// sources of a version 3 query, are not read (RFC 2236, 2.5).
func ParseIGMP(b []byte) (IGMP, error) {
	if len(b) < IGMPLen {
		return IGMP{}, ErrShort
	}
	if Fold(Sum(0, b)) != 0xffff {
		return IGMP{}, ErrChecksum
	}
	return IGMP{IGMPType(b[0]), b[1], netip.AddrFrom4([4]byte(b[4:8]))}, nil
}

// Append appends the eight bytes of the message to b.
func (m IGMP) Append(b []byte) []byte {
	start := len(b)
	group := as4(m.Group)
	b = append(b, byte(m.Type), m.MaxResp, 0, 0)
	b = append(b, group[:]...)
	binary.BigEndian.PutUint16(b[start+2:], Checksum(b[start:]))
	return b
}

// String prints type and group.
func (m IGMP) String() string { return fmt.Sprintf("IGMP %v %v", m.Type, m.Group) }
