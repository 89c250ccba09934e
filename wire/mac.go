package wire

import (
	"fmt"
	"net/netip"
)

// MAC is an IEEE 802 48-bit address, in the order in which it is sent. It is comparable and a
// plain [6]byte is assignable to it. The zero value stands for "no address".
type MAC [6]byte

// Broadcast is the address of every station on the link.
var Broadcast = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

const hexDigits = "0123456789abcdef"

// String prints the address as 02:00:5e:00:53:01.
func (m MAC) String() string {
	var s [17]byte
	for i, b := range m {
		if i > 0 {
			s[3*i-1] = ':'
		}
		s[3*i], s[3*i+1] = hexDigits[b>>4], hexDigits[b&15]
	}
	return string(s[:])
}

// ParseMAC reads an address of six pairs of hexadecimal digits with colons or hyphens
// between them, such as 02:00:5e:00:53:01. Its error, which wraps [ErrInvalid], names the string.
func ParseMAC(s string) (MAC, error) {
	var m MAC
	if len(s) != 17 {
		return MAC{}, badMAC(s)
	}
	for i := range m {
		if i > 0 && (s[3*i-1] != s[2] || s[2] != ':' && s[2] != '-') {
			return MAC{}, badMAC(s)
		}
		hi, lo := hexValue(s[3*i]), hexValue(s[3*i+1])
		if hi < 0 || lo < 0 {
			return MAC{}, badMAC(s)
		}
		m[i] = byte(hi<<4 | lo)
	}
	return m, nil
}

func badMAC(s string) error {
	return fmt.Errorf("%w: %q is no MAC address, want the form 02:00:5e:00:53:01", ErrInvalid, s)
}

func hexValue(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// IsZero reports whether m is the zero value.
func (m MAC) IsZero() bool { return m == MAC{} }

// IsBroadcast reports whether m is [Broadcast].
func (m MAC) IsBroadcast() bool { return m == Broadcast }

// IsMulticast reports whether m is a group address. Broadcast is one.
func (m MAC) IsMulticast() bool { return m[0]&1 != 0 }

// MulticastMAC returns the link address of the IPv4 multicast group (RFC 1112, 6.4):
// 01:00:5e and the low 23 bits of the group.
func MulticastMAC(group netip.Addr) MAC {
	g := as4(group)
	return MAC{0x01, 0x00, 0x5e, g[1] & 0x7f, g[2], g[3]}
}
