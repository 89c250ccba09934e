package wps

import "encoding/binary"

// The element of management frames: vendor specific (221), 00:50:f2, type 4.
const (
	elementVendor = 221
	elementHead   = "\x00\x50\xf2\x04"
)

// Offer is what an access point says in beacons and probe responses.
type Offer struct {
	Open     bool   // its button was pushed, or it was told a PIN
	Password uint16 // PasswordButton or PasswordPIN
}

// Append appends the element of an access point with a network. A closed offer is none: nothing is appended.
func (o Offer) Append(b []byte) []byte {
	if !o.Open {
		return b
	}
	var l list
	l.u8(attrVersion, version1)
	l.u8(attrSetupState, 2) // configured
	l.u8(attrSelectedRegistrar, 1)
	l.u16(attrDevicePasswordID, o.Password)
	l.u16(attrSelectedMethods, ourMethods)
	l.version2()
	return appendElement(b, l)
}

// Request is what a station says that wants a network, in probe and association requests.
type Request struct {
	UUID     [16]byte // of probe requests only
	Password uint16   // likewise
}

// AppendProbe appends the element of a probe request.
func (r Request) AppendProbe(b []byte) []byte {
	var l list
	l.u8(attrVersion, version1)
	l.u8(attrRequestType, 1) // an enrollee that will open EAP
	l.u16(attrConfigMethods, ourMethods)
	l.bytes(attrUUIDE, r.UUID[:])
	l.bytes(attrPrimaryDeviceType, deviceType)
	l.u8(attrRFBands, 1)
	l.u16(attrAssociationState, 0)
	l.u16(attrConfigError, errorNone)
	l.u16(attrDevicePasswordID, r.Password)
	l.version2()
	return appendElement(b, l)
}

// AppendAssociation appends that of an association request, which only says that it is not about joining.
func (r Request) AppendAssociation(b []byte) []byte {
	var l list
	l.u8(attrVersion, version1)
	l.u8(attrRequestType, 1)
	l.version2()
	return appendElement(b, l)
}

func appendElement(b []byte, l list) []byte {
	b = append(b, elementVendor, byte(len(elementHead)+len(l)))
	return append(append(b, elementHead...), l...)
}

// find returns the attributes of the element among elements, nil if there is none that can be read.
func find(elements []byte) fields {
	for len(elements) >= 2 && len(elements) >= 2+int(elements[1]) {
		id, body := elements[0], elements[2:2+int(elements[1])]
		elements = elements[2+len(body):]
		if id == elementVendor && len(body) > len(elementHead) && string(body[:len(elementHead)]) == elementHead {
			if f, err := parseFields(body[len(elementHead):]); err == nil {
				return f
			}
		}
	}
	return nil
}

// ParseOffer looks for an offer among the elements of a beacon or probe response.
func ParseOffer(elements []byte) Offer {
	f := find(elements)
	if !f.has(attrSelectedRegistrar, attrDevicePasswordID) || f[attrSelectedRegistrar][0] != 1 {
		return Offer{}
	}
	return Offer{Open: true, Password: binary.BigEndian.Uint16(f[attrDevicePasswordID])}
}

// ParseProbe looks for the request among the elements of a probe request.
func ParseProbe(elements []byte) (Request, bool) {
	f := find(elements)
	if !f.has(attrUUIDE, attrDevicePasswordID) {
		return Request{}, false
	}
	return Request{UUID: [16]byte(f[attrUUIDE]), Password: f.u16(attrDevicePasswordID)}, true
}

// Requested reports whether an association request, by its elements, is for this.
func Requested(elements []byte) bool {
	f := find(elements)
	return f.has(attrRequestType) && f[attrRequestType][0] <= 1
}
