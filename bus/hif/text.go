package hif

import (
	"bytes"
	"net/netip"
)

// text returns the string in a field: up to the first NUL or the end of the field.
func text(field []byte) string {
	if i := bytes.IndexByte(field, 0); i >= 0 {
		field = field[:i]
	}
	return string(field)
}

// cstring returns the string in a field whose last byte is for a NUL, there or not.
func cstring(field []byte) string { return text(field[:len(field)-1]) }

// appendText appends s in a field of size bytes, zero-filled, with at least one NUL at its end.
func appendText(b []byte, s string, size int) []byte {
	return appendField(b, s[:min(len(s), size-1)], size)
}

// appendField appends s, cut or zero-filled to size bytes.
func appendField[S string | []byte](b []byte, s S, size int) []byte {
	n := min(len(s), size)
	b = append(b, s[:n]...)
	return appendZero(b, size-n)
}

// appendZero appends n zero bytes.
func appendZero(b []byte, n int) []byte {
	for n > 0 {
		k := min(n, len(zeros))
		b = append(b, zeros[:k]...)
		n -= k
	}
	return b
}

var zeros [64]byte

func flag(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// AddrLen is the length of an address in messages.
const AddrLen = 8

// afINET is the only address family of the interface.
const afINET = 2

// parseAddr reads the 8 bytes of an address: family LE, port and IPv4 address in network order.
// A family other than 2 gives the zero AddrPort. Spec hif-messages 3.2.
func parseAddr(b []byte) netip.AddrPort {
	if le.Uint16(b) != afINET {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), uint16(b[2])<<8|uint16(b[3]))
}

// appendAddr appends the 8 bytes of an address; zeros when a is not a valid IPv4 address.
func appendAddr(b []byte, a netip.AddrPort) []byte {
	ip := a.Addr().Unmap()
	if !ip.Is4() {
		return appendZero(b, AddrLen)
	}
	p, ip4 := a.Port(), ip.As4()
	return append(b, afINET, 0, byte(p>>8), byte(p), ip4[0], ip4[1], ip4[2], ip4[3])
}
