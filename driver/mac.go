package driver

import (
	"net/netip"

	"github.com/understudy-net/understudy/bus/hif"
)

// MAC is a hardware address in the order in which it is written and sent. Its
// form is that of wire.MAC, so one converts to the other.
type MAC [6]byte

// String prints the address as 02:00:5e:10:00:01.
func (m MAC) String() string {
	const digits = "0123456789abcdef"
	b := make([]byte, 0, 17)
	for i, x := range m {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, digits[x>>4], digits[x&15])
	}
	return string(b)
}

// Addr is an address; all of this package are IPv4.
type Addr = netip.Addr

// Version is a release of firmware or driver, such as 19.7.7. Versions compare
// as numbers.
type Version = hif.Version

// driverVersion is the release of the vendor's driver whose messages we speak;
// oldestVersion stands in the upper half of the word that the firmware is told,
// as those drivers have it (spec/hif-messages.md 0.1).
const (
	driverVersion = hif.V19_7_7
	oldestVersion = hif.V19_3_0
)

// addr4 makes an address of its four octets; 0.0.0.0 is the zero Addr, "none".
func addr4(b [4]byte) Addr {
	if b == [4]byte{} {
		return Addr{}
	}
	return netip.AddrFrom4(b)
}

// octets is the reverse of addr4.
func octets(a Addr) [4]byte {
	if a = a.Unmap(); a.Is4() {
		return a.As4()
	}
	return [4]byte{}
}
