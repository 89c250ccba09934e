package stack

import (
	"encoding/binary"
	"net/netip"
)

// ip4 is an IPv4 address as it is on the wire: addresses are checked where they enter, and are
// four bytes from there on.
type ip4 = [4]byte

var limitedBroadcast = ip4{255, 255, 255, 255}

// from4 returns the bytes of a and whether it is an IPv4 address.
func from4(a netip.Addr) (ip4, bool) {
	if a.Is4() || a.Is4In6() {
		return a.As4(), true
	}
	return ip4{}, false
}

func u32(a ip4) uint32 { return binary.BigEndian.Uint32(a[:]) }

func addrPort(a ip4, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4(a), port)
}

// The classes of addresses that matter to a host (RFC 1122, 3.2.1.3).
func isZero(a ip4) bool      { return a == ip4{} }
func isLoopback(a ip4) bool  { return a[0] == 127 }
func isMulticast(a ip4) bool { return a[0]&0xf0 == 0xe0 }
func isClassE(a ip4) bool    { return a[0]&0xf0 == 0xf0 } // the limited broadcast address among them

// isUnicast reports whether a can be the address of a single host anywhere.
func isUnicast(a ip4) bool {
	return a[0] != 0 && !isLoopback(a) && !isMulticast(a) && !isClassE(a)
}

// isSubnetBroadcast reports whether a is the all-ones or, in the old form, the all-zeros address of
// our subnet (RFC 1122, 3.3.6). Networks of 31 and 32 bits have neither (RFC 3021).
func (s *Stack) isSubnetBroadcast(a ip4) bool {
	if isZero(s.addr) || ^s.mask <= 1 || u32(a)&s.mask != u32(s.addr)&s.mask {
		return false
	}
	host := u32(a) &^ s.mask
	return host == ^s.mask || host == 0
}

// isBroadcast reports whether a means all hosts of the link.
func (s *Stack) isBroadcast(a ip4) bool { return a == limitedBroadcast || s.isSubnetBroadcast(a) }

// endpoint is one end of a connection, the key of listeners and UDP sockets. An address of
// 0 stands for any.
type endpoint struct {
	ip   ip4
	port uint16
}

func (e endpoint) addrPort() netip.AddrPort { return addrPort(e.ip, e.port) }

// tuple is both ends of a connection.
type tuple struct {
	local, remote endpoint
}

// bytes is the tuple as input of the hash that makes sequence numbers and ports.
func (t tuple) bytes() (b [12]byte) {
	copy(b[0:4], t.local.ip[:])
	copy(b[4:8], t.remote.ip[:])
	binary.BigEndian.PutUint16(b[8:10], t.local.port)
	binary.BigEndian.PutUint16(b[10:12], t.remote.port)
	return b
}
