package wifi

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/understudy-net/understudy/air/wps"
	"github.com/understudy-net/understudy/wire"
)

// Security is how a network is protected. The numbers are those of the host interface (spec/hif-messages.md, 2.1).
type Security uint8

// Open and WPA2PSK can be joined and offered. The others are recognised in scans; asking for them is [ErrUnsupported].
const (
	Open       Security = 1
	WPA2PSK    Security = 2 // WPA2-Personal: CCMP, pre-shared key
	WEP        Security = 3
	Enterprise Security = 4 // IEEE 802.1X
)

// String prints "open", "WPA2-PSK", "WEP" or "802.1X".
func (s Security) String() string {
	switch s {
	case Open:
		return "open"
	case WPA2PSK:
		return "WPA2-PSK"
	case WEP:
		return "WEP"
	case Enterprise:
		return "802.1X"
	}
	return fmt.Sprintf("security(%d)", uint8(s))
}

// maxSSID is the longest network name in bytes (IEEE 802.11-2016, 9.4.2.2).
const maxSSID = 32

// maxChannel is the highest 2.4 GHz channel.
const maxChannel = 14

// Network is what a scan found out about an access point.
type Network struct {
	SSID     string // empty when the network hides it and was not probed by name
	BSSID    wire.MAC
	Channel  uint8
	RSSI     int8 // dBm
	Security Security
	Hidden   bool // its beacons do not name it

	rsn      string // body of its RSN element, which message 3 of the handshake must repeat
	interval uint16 // between beacons, in time units
	offer    wps.Offer
}

// String prints one line.
func (n Network) String() string {
	return fmt.Sprintf("%q %v ch %d %d dBm %v", n.SSID, n.BSSID, n.Channel, n.RSSI, n.Security)
}

// sortNetworks puts the strongest first; equals in order of BSSID.
func sortNetworks(list []Network) {
	slices.SortFunc(list, func(a, b Network) int {
		if c := cmp.Compare(b.RSSI, a.RSSI); c != 0 {
			return c
		}
		return bytes.Compare(a.BSSID[:], b.BSSID[:])
	})
}
