package wps

import (
	"github.com/understudy-net/understudy/wire"
)

// messageType is the attribute of that name.
type messageType uint8

const (
	typeM1   messageType = 4
	typeM2   messageType = 5
	typeM2D  messageType = 6
	typeM3   messageType = 7
	typeM4   messageType = 8
	typeM5   messageType = 9
	typeM6   messageType = 10
	typeM7   messageType = 11
	typeM8   messageType = 12
	typeAck  messageType = 13
	typeNack messageType = 14
	typeDone messageType = 15
)

// Device password ids.
const (
	PasswordPIN    = 0
	PasswordButton = 4
)

// buttonPassword stands for the PIN when a button is pushed.
const buttonPassword = "00000000"

// Config errors, which NACK and M2D carry.
const (
	errorNone        = 0
	errorAuth        = 2  // decryption failed; also a message that is not authentic
	errorOverlap     = 12 // more than one button was pushed
	errorBusy        = 13 // not now
	errorPassword    = 18
	errorUnspecified = 33 // it cannot go on
)

// configError says an error in the protocol's numbers.
func configError(err error) uint16 {
	switch err {
	case ErrAuthenticator:
		return errorAuth
	case ErrOverlap:
		return errorOverlap
	case ErrPassword:
		return errorPassword
	}
	return errorUnspecified
}

// saidError is what the other side's number means.
func saidError(n uint16) error {
	switch n {
	case errorOverlap:
		return ErrOverlap
	case errorPassword:
		return ErrPassword
	}
	return ErrRefused
}

// Config methods: a button in software, and a PIN shown by software.
const ourMethods = 0x0280 | 0x2008

// Authentication and encryption types, also as flags.
const (
	authOpen    = 0x0001
	authWPAPSK  = 0x0002
	authWPA2PSK = 0x0020

	cipherNone = 0x0001
	cipherTKIP = 0x0004
	cipherAES  = 0x0008
)

// Device says who somebody is. All texts may be empty.
type Device struct {
	MAC          wire.MAC
	UUID         [16]byte // see [UUID]
	Name         string   // at most 32 bytes
	Manufacturer string   // at most 64
	Model        string   // at most 32
}

// UUID makes an identifier of an address, the same each time: version 8 of RFC 9562, section 5.8.
func UUID(mac wire.MAC) (u [16]byte) {
	h := mac2uuid(mac)
	copy(u[:], h[:])
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80
	return u
}

func mac2uuid(m wire.MAC) [32]byte { return mac([]byte("understudy WPS"), m[:]) }

// describe appends what M1 and M2 have in common. Every message is one network adapter of the category "computer", like
// other boards (primary device type 1-0050f204-1).
func (d *Device) describe(l *list) {
	l.u16(attrAuthTypeFlags, authOpen|authWPAPSK|authWPA2PSK)
	l.u16(attrEncryptionTypeFlags, cipherNone|cipherTKIP|cipherAES)
	l.u8(attrConnTypeFlags, 1) // an infrastructure network
	l.u16(attrConfigMethods, ourMethods)
}

func (d *Device) introduce(l *list) {
	cut := func(s string, n int) string { return s[:min(len(s), n)] }
	l.text(attrManufacturer, cut(d.Manufacturer, 64))
	l.text(attrModelName, cut(d.Model, 32))
	l.text(attrModelNumber, "1")
	l.text(attrSerialNumber, "1")
	l.bytes(attrPrimaryDeviceType, deviceType)
	l.text(attrDeviceName, cut(d.Name, 32))
	l.u8(attrRFBands, 1) // 2.4 GHz
}

var deviceType = []byte{0, 1, 0x00, 0x50, 0xf2, 0x04, 0, 1}

// Credential is a network as M8 hands it over.
type Credential struct {
	SSID string
	MAC  wire.MAC // of the enrollee that it is for
	Key  string   // passphrase or 64 hexadecimal digits of WPA-PSK and WPA2-PSK; "": open
}

func (c *Credential) append(l *list) {
	var in list
	in.u8(attrNetworkIndex, 1)
	in.text(attrSSID, c.SSID)
	auth, enc := uint16(authWPA2PSK), uint16(cipherAES)
	if c.Key == "" {
		auth, enc = authOpen, cipherNone
	}
	in.u16(attrAuthType, auth)
	in.u16(attrEncryptionType, enc)
	in.text(attrNetworkKey, c.Key)
	in.bytes(attrMACAddress, c.MAC[:])
	l.bytes(attrCredential, in)
}

// parseCredential reads the one network of the settings of M8.
func parseCredential(b []byte) (c Credential, err error) {
	f, err := parseFields(b)
	if err != nil || !f.has(attrSSID, attrAuthType, attrEncryptionType, attrNetworkKey) {
		return c, ErrMalformed
	}
	c.SSID, c.Key = string(f[attrSSID]), string(f[attrNetworkKey])
	for len(c.Key) > 0 && c.Key[len(c.Key)-1] == 0 { // some access points end a passphrase with NUL
		c.Key = c.Key[:len(c.Key)-1]
	}
	copy(c.MAC[:], f[attrMACAddress])
	psk := f.u16(attrAuthType)&(authWPAPSK|authWPA2PSK) != 0
	switch {
	case c.SSID == "" || len(c.SSID) > 32:
		return c, ErrMalformed
	case psk && (len(c.Key) < 8 || len(c.Key) > 64):
		return c, ErrMalformed
	case !psk && (f.u16(attrAuthType) != authOpen || f.u16(attrEncryptionType)&cipherNone == 0 || c.Key != ""):
		return c, ErrUnsupported
	}
	return c, nil
}
