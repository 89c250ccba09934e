package air

import (
	"fmt"

	"github.com/understudy-net/understudy/wire"
)

// Kind says what a frame carries.
type Kind uint8

const (
	// KindData is an Ethernet frame without frame check sequence.
	KindData Kind = iota
	// KindManagement is a message of package air/wifi: beacon, probe, authentication, association, leave.
	KindManagement
)

// String prints "data" or "management".
func (k Kind) String() string {
	switch k {
	case KindData:
		return "data"
	case KindManagement:
		return "management"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// MaxData is the most bytes that a frame carries: the largest MSDU of IEEE 802.11-2016, 9.2.4.7.
const MaxData = 2304

// Channels that are no radio channel; see [Port.SetChannel].
const (
	ChannelAll uint8 = 0   // a monitor: every channel, every address
	ChannelOff uint8 = 255 // a receiver that is switched off
)

// Frame is what travels on the air.
//
// From and To are the addresses of the two radios, so a frame that a station sends through its access point has the
// BSSID in To, and its final destination in the Ethernet header of Data.
type Frame struct {
	Kind     Kind
	From, To wire.MAC
	Channel  uint8  // 1 to 14 for 2.4 GHz
	RSSI     int8   // dBm at the receiver; set by the air
	Data     []byte // may be read until the receiver returns
}

// String prints one line: addresses, channel, kind and length.
func (f Frame) String() string {
	return fmt.Sprintf("%v > %v ch %d %v %d", f.From, f.To, f.Channel, f.Kind, len(f.Data))
}
