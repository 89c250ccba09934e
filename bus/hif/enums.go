package hif

import "strconv"

// Security is the kind of protection of a network. Spec hif-messages 2.1.
type Security uint8

// The kinds.
const (
	SecurityInvalid    Security = 0
	SecurityOpen       Security = 1
	SecurityPSK        Security = 2 // WPA and WPA2 with a pre-shared key
	SecurityWEP        Security = 3
	SecurityEnterprise Security = 4 // 802.1X
)

// String prints the name of the kind, or its number.
func (s Security) String() string {
	switch s {
	case SecurityInvalid:
		return "invalid"
	case SecurityOpen:
		return "open"
	case SecurityPSK:
		return "WPA-PSK"
	case SecurityWEP:
		return "WEP"
	case SecurityEnterprise:
		return "802.1X"
	}
	return "security(" + strconv.Itoa(int(s)) + ")"
}

// AllChannels is the channel number that stands for every channel.
const AllChannels = 255

// channelFromZero reads a channel that the wire counts from 0.
func channelFromZero(c uint8) uint8 {
	if c == AllChannels {
		return c
	}
	return c + 1
}

// channelToZero writes a channel that the wire counts from 0; 0 (no channel) becomes all.
func channelToZero(c uint8) uint8 {
	if c == AllChannels || c == 0 {
		return AllChannels
	}
	return c - 1
}

// ConnState is the state in [StateChanged].
type ConnState uint8

// The states.
const (
	Disconnected   ConnState = 0
	Connected      ConnState = 1
	Roamed         ConnState = 2 // 19.6.1
	StateUndefined ConnState = 255
)

// String prints the name of the state, or its number.
func (s ConnState) String() string {
	switch s {
	case Disconnected:
		return "disconnected"
	case Connected:
		return "connected"
	case Roamed:
		return "roamed"
	case StateUndefined:
		return "undefined"
	}
	return "state(" + strconv.Itoa(int(s)) + ")"
}

// ConnError says why a connection failed or ended, in [StateChanged]. Only meaningful with
// [Disconnected].
type ConnError uint8

// The errors.
const (
	ConnOK         ConnError = 0 // left, or lost
	ConnScanFail   ConnError = 1 // no such SSID
	ConnJoinFail   ConnError = 2
	ConnAuthFail   ConnError = 3 // wrong key
	ConnAssocFail  ConnError = 4
	ConnInProgress ConnError = 5 // another connect is running
)

// String prints the name of the error, or its number.
func (e ConnError) String() string {
	switch e {
	case ConnOK:
		return "ok"
	case ConnScanFail:
		return "scan failed"
	case ConnJoinFail:
		return "join failed"
	case ConnAuthFail:
		return "authentication failed"
	case ConnAssocFail:
		return "association failed"
	case ConnInProgress:
		return "connect in progress"
	}
	return "error(" + strconv.Itoa(int(e)) + ")"
}
