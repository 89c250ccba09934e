// Package wire holds the formats that travel on the air: Ethernet, ARP, IPv4,
// ICMP, IGMP, UDP, TCP and NTP, with the Internet checksum and the arithmetic
// of sequence numbers. It has no state: what to do with a packet is decided by
// package stack and its children.
//
// Each protocol is a struct, a Parse function and an Append method. The struct
// holds what a sender may choose; lengths and checksums are computed by Append
// and verified by Parse, and have no field. Reading a frame goes from the
// outside in, each parser handing the payload to the next:
//
//	eth, b, err := wire.ParseEthernet(frame)
//	ip, b, err := wire.ParseIPv4(b)
//	udp, payload, err := wire.ParseUDP(b, ip.Src, ip.Dst)
//
// Payloads and options alias the bytes they were parsed from. Nothing here
// allocates, but for an Append into a slice without room.
//
// # Errors
//
// A parser fails in three ways: [ErrShort], [ErrChecksum] and [ErrInvalid]. They are
// returned unwrapped, fit for counting drops by reason.
//
// # Addresses
//
// All addresses are IPv4. A [netip.Addr] given to a function here that is not (the zero
// Addr among them) counts as 0.0.0.0; the stack checks addresses where they enter.
//
// # Limits
//
// IPv6, 802.1Q tags and LLC/SNAP have no parser. Fragments are parsed, not
// reassembled. TCP options other than MSS, window scale, SACK and timestamps
// are skipped.
package wire

import (
	"errors"
	"net/netip"
)

// The ways in which a parser fails.
var (
	// ErrShort says that fewer bytes are there than the format, or one of its
	// length fields, asks for.
	ErrShort = errors.New("wire: packet too short")
	// ErrChecksum says that the checksum does not match the contents.
	ErrChecksum = errors.New("wire: bad checksum")
	// ErrInvalid says that a field has a value that the format does not allow.
	ErrInvalid = errors.New("wire: invalid field")
)

// as4 returns the four bytes of a, or 0.0.0.0 if a is no IPv4 address.
func as4(a netip.Addr) [4]byte {
	if a.Is4() || a.Is4In6() {
		return a.As4()
	}
	return [4]byte{}
}
