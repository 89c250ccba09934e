package driver

import (
	"fmt"
	"strconv"

	"github.com/understudy-net/understudy/bus/hif"
)

// Channel selects where to look for a network: 1 to 14, or one of the two
// constants, which mean the same to a station.
type Channel uint8

// All channels.
const (
	AnyChannel  Channel = 0
	AllChannels Channel = 255
)

func (c Channel) valid() bool { return c <= 14 || c == AllChannels }

// wire is the channel in messages.
func (c Channel) wire() uint8 {
	if c == AnyChannel {
		return hif.AllChannels
	}
	return uint8(c)
}

// BSS names a network. It stands for WDRV_WINC_BSS_CONTEXT, made by
// WDRV_WINC_BSSCtxSetDefaults, BSSCtxSetSSID, BSSCtxSetBSSID,
// BSSCtxSetChannel and BSSCtxSetSSIDVisibility.
type BSS struct {
	SSID    string  // at most 32 bytes; empty only together with a BSSID
	Channel Channel // default: any
	BSSID   MAC     // zero: any access point of the network
	Hidden  bool    // the network does not tell its name
}

// Valid returns ErrContext for a BSS that no request can carry. An empty SSID
// is valid. It stands for WDRV_WINC_BSSCtxIsValid.
func (b BSS) Valid() error {
	switch {
	case len(b.SSID) > hif.MaxSSID:
		return fmt.Errorf("%w: the SSID has %d bytes, at most %d are possible", ErrContext, len(b.SSID), hif.MaxSSID)
	case !b.Channel.valid():
		return fmt.Errorf("%w: channel %d", ErrContext, b.Channel)
	}
	return nil
}

// AuthType is the kind of protection of a network.
type AuthType uint8

// The kinds, with the device's values.
const (
	AuthInvalid    AuthType = AuthType(hif.SecurityInvalid)
	AuthOpen       AuthType = AuthType(hif.SecurityOpen)
	AuthWPA        AuthType = AuthType(hif.SecurityPSK)
	AuthWEP        AuthType = AuthType(hif.SecurityWEP) // only seen in scans
	AuthEnterprise AuthType = AuthType(hif.SecurityEnterprise)
)

func (a AuthType) String() string {
	switch a {
	case AuthInvalid:
		return "invalid"
	case AuthOpen:
		return "open"
	case AuthWPA:
		return "WPA-PSK"
	case AuthWEP:
		return "WEP"
	case AuthEnterprise:
		return "802.1X"
	}
	return "auth(" + strconv.Itoa(int(a)) + ")"
}

// Auth is how to get into a network: OpenAuth or WPA(key). It stands for
// WDRV_WINC_AUTH_CONTEXT, made by WDRV_WINC_AuthCtxSetDefaults (the zero
// value), AuthCtxSetOpen and AuthCtxSetWPA; Save is the reverse of
// AuthCtxSetOneTimeUse.
type Auth struct {
	Type AuthType
	Key  string // WPA: 8 to 63 characters, or 64 hexadecimal digits
	Save bool   // the device keeps the credentials, for Reconnect
}

// OpenAuth is for networks without protection.
var OpenAuth = Auth{Type: AuthOpen}

// WPA is for networks with a pre-shared key: a passphrase of 8 to 63
// characters, or the key itself as 64 hexadecimal digits.
func WPA(key string) Auth { return Auth{Type: AuthWPA, Key: key} }

// Valid returns ErrInvalid for an unknown kind and for keys that the device
// cannot be told. Passphrases shorter than 8 pass: the device refuses them as
// ErrAuthFail. It stands for WDRV_WINC_AuthCtxIsValid.
func (a Auth) Valid() error {
	switch a.Type {
	case AuthOpen:
		return nil
	case AuthWPA:
		if len(a.Key) > hif.PSKDigits {
			return fmt.Errorf("%w: the key has %d characters, at most %d are possible", ErrInvalid, len(a.Key), hif.PSKDigits)
		}
		return nil
	case AuthEnterprise:
		return fmt.Errorf("%w: 802.1X", ErrUnsupported)
	}
	return fmt.Errorf("%w: authentication type %v", ErrInvalid, a.Type)
}
