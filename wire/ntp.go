package wire

import (
	"encoding/binary"
	"fmt"
	"time"
)

// NTPMode is the role of an NTP packet's sender.
type NTPMode uint8

// The modes of RFC 4330, 4 that a simple client and server use.
const (
	NTPClient    NTPMode = 3
	NTPServer    NTPMode = 4
	NTPBroadcast NTPMode = 5
)

// String prints the name of the mode, or the number of another one.
func (m NTPMode) String() string {
	switch m {
	case NTPClient:
		return "client"
	case NTPServer:
		return "server"
	case NTPBroadcast:
		return "broadcast"
	}
	return fmt.Sprintf("mode(%d)", uint8(m))
}

// NTPUnsynchronized is the leap indicator of a server whose clock is not set.
const NTPUnsynchronized = 3

// NTPLen is the length of an NTP packet without extensions in bytes.
const NTPLen = 48

// NTP is the packet of NTP and SNTP (RFC 4330, 4), without extension fields and authentication.
//
//	 0               1               2               3
//	+--+-----+------+---------------+---------------+---------------+
//	|LI|  VN | mode |    stratum    |     poll      |   precision   |
//	+--+-----+------+---------------+---------------+---------------+
//	|   root delay (4), root dispersion (4), reference identifier (4)
//	+---------------+---------------+---------------+---------------+
//	|   reference, originate, receive, transmit timestamp (8 each)
type NTP struct {
	Leap           uint8 // leap indicator, 0 to 3; 3 is NTPUnsynchronized
	Version        uint8 // 1 to 7; 4 is current
	Mode           NTPMode
	Stratum        uint8 // 0 kiss-o'-death, 1 primary, 2 to 15 secondary
	Poll           int8  // log2 of seconds
	Precision      int8  // log2 of seconds
	RootDelay      uint32
	RootDispersion uint32 // both in seconds, 16 bits after the point
	RefID          [4]byte
	Reference      NTPTime
	Originate      NTPTime // T1: the client's transmit time, given back
	Receive        NTPTime // T2
	Transmit       NTPTime // T3
}

// ParseNTP reads the packet b. Extensions and authenticators behind the 48th byte are not read. Whether
// the fields make sense for an answer is for the client to judge.
func ParseNTP(b []byte) (NTP, error) {
	if len(b) < NTPLen {
		return NTP{}, ErrShort
	}
	return NTP{
		Leap:           b[0] >> 6,
		Version:        b[0] >> 3 & 7,
		Mode:           NTPMode(b[0] & 7),
		Stratum:        b[1],
		Poll:           int8(b[2]),
		Precision:      int8(b[3]),
		RootDelay:      binary.BigEndian.Uint32(b[4:8]),
		RootDispersion: binary.BigEndian.Uint32(b[8:12]),
		RefID:          [4]byte(b[12:16]),
		Reference:      NTPTime(binary.BigEndian.Uint64(b[16:24])),
		Originate:      NTPTime(binary.BigEndian.Uint64(b[24:32])),
		Receive:        NTPTime(binary.BigEndian.Uint64(b[32:40])),
		Transmit:       NTPTime(binary.BigEndian.Uint64(b[40:48])),
	}, nil
}

// Append appends the 48 bytes of the packet to b.
func (p NTP) Append(b []byte) []byte {
	b = append(b, p.Leap<<6|p.Version&7<<3|uint8(p.Mode)&7, p.Stratum, byte(p.Poll), byte(p.Precision))
	b = binary.BigEndian.AppendUint32(b, p.RootDelay)
	b = binary.BigEndian.AppendUint32(b, p.RootDispersion)
	b = append(b, p.RefID[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(p.Reference))
	b = binary.BigEndian.AppendUint64(b, uint64(p.Originate))
	b = binary.BigEndian.AppendUint64(b, uint64(p.Receive))
	return binary.BigEndian.AppendUint64(b, uint64(p.Transmit))
}

// String prints mode, stratum and transmit time.
func (p NTP) String() string {
	return fmt.Sprintf("NTPv%d %v stratum %d transmit %v", p.Version, p.Mode, p.Stratum, p.Transmit)
}

// NTPTime is a timestamp of NTP: seconds since 1900 in the upper half, their binary fraction in the
// lower one. Zero means "not known".
type NTPTime uint64

const (
	ntpEpoch = 2208988800 // seconds from 1900 to 1970
	ntpEra   = 1 << 32    // seconds of an era; the second one begins on 7 February 2036
)

// NTPTimeOf returns the timestamp of t, to a quarter of a nanosecond. Times before 1968 and
// after 2104 come back from [NTPTime.Time] in another era.
func NTPTimeOf(t time.Time) NTPTime {
	sec := uint64(t.Unix() + ntpEpoch)
	frac := (uint64(t.Nanosecond())<<32 + 1e9/2) / 1e9
	return NTPTime(sec<<32 | frac)
}

// Time returns the time in UTC. A timestamp with its top bit set lies between 1968 and 2036, one
// without between 2036 and 2104 (RFC 4330, 3). Of a zero timestamp it returns the zero Time.
func (t NTPTime) Time() time.Time {
	if t == 0 {
		return time.Time{}
	}
	sec := int64(t>>32) - ntpEpoch
	if t>>63 == 0 {
		sec += ntpEra
	}
	return time.Unix(sec, int64((uint64(uint32(t))*1e9+1<<31)>>32)).UTC()
}

// String prints the time in the form of RFC 3339, or 0 for "not known".
func (t NTPTime) String() string {
	if t == 0 {
		return "0"
	}
	return t.Time().Format(time.RFC3339Nano)
}
