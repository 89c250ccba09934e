package wps

import (
	"encoding/binary"
	"errors"
)

// Errors of both ends.
var (
	// ErrMalformed: a packet or message that cannot be read, or lacks what it must have.
	ErrMalformed = errors.New("wps: malformed message")
	// ErrUnexpected: a message that does not come at this point.
	ErrUnexpected = errors.New("wps: unexpected message")
	// ErrAuthenticator: a message is not from whom the exchange began with.
	ErrAuthenticator = errors.New("wps: a message is not authentic")
	// ErrPassword: the other side does not have the same PIN, or button.
	ErrPassword = errors.New("wps: the PIN differs")
	// ErrRefused: the other side has ended the exchange.
	ErrRefused = errors.New("wps: the other side has ended the exchange")
	// ErrOverlap: more than one button was pushed within two minutes.
	ErrOverlap = errors.New("wps: more than one button was pushed")
	// ErrUnsupported: the network that was handed over is protected in a way that is not built here.
	ErrUnsupported = errors.New("wps: the network is protected in an unknown way")
)

// attribute is the type of an attribute: two bytes, then two bytes of length, then the value, all big-endian.
type attribute uint16

// The attributes that we send or look at, with the names of the specification.
const (
	attrAssociationState     attribute = 0x1002
	attrAuthType             attribute = 0x1003
	attrAuthTypeFlags        attribute = 0x1004
	attrAuthenticator        attribute = 0x1005
	attrConfigMethods        attribute = 0x1008
	attrConfigError          attribute = 0x1009
	attrConnTypeFlags        attribute = 0x100d
	attrCredential           attribute = 0x100e
	attrEncryptionType       attribute = 0x100f
	attrEncryptionTypeFlags  attribute = 0x1010
	attrDeviceName           attribute = 0x1011
	attrDevicePasswordID     attribute = 0x1012
	attrEHash1               attribute = 0x1014
	attrEHash2               attribute = 0x1015
	attrESNonce1             attribute = 0x1016
	attrESNonce2             attribute = 0x1017
	attrEncryptedSettings    attribute = 0x1018
	attrEnrolleeNonce        attribute = 0x101a
	attrKeyWrapAuthenticator attribute = 0x101e
	attrMACAddress           attribute = 0x1020
	attrManufacturer         attribute = 0x1021
	attrMessageType          attribute = 0x1022
	attrModelName            attribute = 0x1023
	attrModelNumber          attribute = 0x1024
	attrNetworkIndex         attribute = 0x1026
	attrNetworkKey           attribute = 0x1027
	attrOSVersion            attribute = 0x102d
	attrPublicKey            attribute = 0x1032
	attrRegistrarNonce       attribute = 0x1039
	attrRequestType          attribute = 0x103a
	attrRFBands              attribute = 0x103c
	attrRHash1               attribute = 0x103d
	attrRHash2               attribute = 0x103e
	attrRSNonce1             attribute = 0x103f
	attrRSNonce2             attribute = 0x1040
	attrSelectedRegistrar    attribute = 0x1041
	attrSerialNumber         attribute = 0x1042
	attrSetupState           attribute = 0x1044
	attrSSID                 attribute = 0x1045
	attrUUIDE                attribute = 0x1047
	attrUUIDR                attribute = 0x1048
	attrVendorExtension      attribute = 0x1049
	attrVersion              attribute = 0x104a
	attrSelectedMethods      attribute = 0x1053
	attrPrimaryDeviceType    attribute = 0x1054
)

// lengths are those of attributes that have one length only.
var lengths = map[attribute]int{
	attrAuthType: 2, attrAuthenticator: 8, attrConfigError: 2, attrDevicePasswordID: 2, attrEHash1: 32, attrEHash2: 32,
	attrESNonce1: nonceLen, attrESNonce2: nonceLen, attrEncryptionType: 2, attrEnrolleeNonce: nonceLen,
	attrKeyWrapAuthenticator: 8, attrMACAddress: 6, attrMessageType: 1, attrPublicKey: publicLen,
	attrRegistrarNonce: nonceLen, attrRequestType: 1, attrRHash1: 32, attrRHash2: 32, attrRSNonce1: nonceLen,
	attrRSNonce2: nonceLen, attrSelectedRegistrar: 1, attrUUIDE: 16, attrUUIDR: 16, attrVersion: 1,
}

// fields are the attributes of a message; of those that come twice, the first.
type fields map[attribute][]byte

// parseFields reads attributes to the end of b; the values alias b.
func parseFields(b []byte) (fields, error) {
	f := fields{}
	for len(b) > 0 {
		if len(b) < 4 {
			return nil, ErrMalformed
		}
		id, n := attribute(binary.BigEndian.Uint16(b)), int(binary.BigEndian.Uint16(b[2:]))
		if n > len(b)-4 {
			return nil, ErrMalformed
		}
		v := b[4 : 4+n]
		if want, fixed := lengths[id]; fixed && n != want {
			return nil, ErrMalformed
		}
		if _, twice := f[id]; !twice {
			f[id] = v
		}
		b = b[4+n:]
	}
	return f, nil
}

// has reports whether all of these are there.
func (f fields) has(ids ...attribute) bool {
	for _, id := range ids {
		if _, ok := f[id]; !ok {
			return false
		}
	}
	return true
}

// u16 is the number in an attribute of two bytes, 0 if it is not there.
func (f fields) u16(id attribute) uint16 {
	if len(f[id]) != 2 {
		return 0
	}
	return binary.BigEndian.Uint16(f[id])
}

// list is a message in the making.
type list []byte

func (l *list) bytes(id attribute, v []byte) {
	*l = binary.BigEndian.AppendUint16(*l, uint16(id))
	*l = binary.BigEndian.AppendUint16(*l, uint16(len(v)))
	*l = append(*l, v...)
}

func (l *list) u8(id attribute, v uint8)     { l.bytes(id, []byte{v}) }
func (l *list) u16(id attribute, v uint16)   { l.bytes(id, []byte{byte(v >> 8), byte(v)}) }
func (l *list) text(id attribute, v string)  { l.bytes(id, []byte(v)) }
func (l *list) u32(id attribute, v uint32)   { l.bytes(id, binary.BigEndian.AppendUint32(nil, v)) }
func (l *list) message(t messageType)        { l.u8(attrVersion, version1); l.u8(attrMessageType, uint8(t)) }
func (l *list) nonce(id attribute, n *nonce) { l.bytes(id, n[:]) }
func (l *list) version2()                    { l.bytes(attrVendorExtension, extension2) }

// version1 is in every message, also of version 2, which says so in an extension (WFA vendor 00372a, subelement 0).
const version1 = 0x10

var extension2 = []byte{0x00, 0x37, 0x2a, 0x00, 0x01, 0x20}
