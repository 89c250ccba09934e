package wifi

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/understudy-net/understudy/wire"
)

// Subtype is the first byte of a management message: that of the frame control field of IEEE 802.11-2016, 9.2.4.1, with
// protocol version, type and subtype.
type Subtype uint8

// The subtypes that travel on the virtual air.
const (
	AssociationRequest  Subtype = 0x00
	AssociationResponse Subtype = 0x10
	ProbeRequest        Subtype = 0x40
	Null                Subtype = 0x48 // data without data: "I am still here"
	ProbeResponse       Subtype = 0x50
	Beacon              Subtype = 0x80
	Disassociation      Subtype = 0xa0
	Authentication      Subtype = 0xb0
	Deauthentication    Subtype = 0xc0
)

// String prints the name that the standard gives the subtype, or the byte.
func (s Subtype) String() string {
	switch s {
	case AssociationRequest:
		return "Association Request"
	case AssociationResponse:
		return "Association Response"
	case ProbeRequest:
		return "Probe Request"
	case Null:
		return "Null"
	case ProbeResponse:
		return "Probe Response"
	case Beacon:
		return "Beacon"
	case Disassociation:
		return "Disassociation"
	case Authentication:
		return "Authentication"
	case Deauthentication:
		return "Deauthentication"
	}
	return fmt.Sprintf("subtype(0x%02x)", uint8(s))
}

// Capability is the capability information field (IEEE 802.11-2016, 9.4.1.4).
type Capability uint16

// The capabilities that we look at.
const (
	CapabilityESS     Capability = 1 << 0 // an access point
	CapabilityPrivacy Capability = 1 << 4 // data is protected
)

// Elements (IEEE 802.11-2016, table 9-77).
const (
	elementSSID = 0
	elementDS   = 3
	elementRSN  = 48
)

const (
	openSystem = 0      // authentication algorithm (9.4.1.1)
	aidMask    = 0xc000 // the two high bits of an AID are set (9.4.1.8)
)

// Management is a management message, as package air carries it in a frame of kind management:
//
//	+---------+---+--------------------------------------------+--------------+
//	| subtype | 0 | body of the frame, IEEE 802.11-2016, 9.3.3 | FCS, 4 bytes |
//	+---------+---+--------------------------------------------+--------------+
//
// The other fields of the 802.11 header are left out: the addresses are those of the [air.Frame], and the air needs
// no duration and no sequence number. Of the elements, SSID, DS parameter set and RSN come first, in this
// order; what follows is Extra. The frame check sequence is the CRC-32 of what stands before it (9.2.4.8).
//
// Which fields count depends on Subtype; the others are ignored by Append and zero after parsing.
type Management struct {
	Subtype Subtype

	// Beacon, probe response.
	Timestamp uint64 // µs since the access point started
	Interval  uint16 // between beacons, in time units of 1024 µs

	// Beacon, probe response, association request and response.
	Capability Capability

	// Beacon, probe request and response, association request. Slices alias what was parsed.
	SSID    []byte // 0 to 32 bytes; empty hides the name, or asks for every network
	Channel uint8  // 0: not given; beacon and probe response only
	RSN     []byte // body of the RSN element, up to 255 bytes; nil: none; not in a probe request
	Extra   []byte // further elements, whole

	ListenInterval uint16 // association request, in beacons

	Algorithm uint16     // authentication: 0 is open system
	Sequence  uint16     // authentication: 1 or 2
	Status    StatusCode // authentication, association response
	AID       uint16     // association response: 1 to 16383

	Reason ReasonCode // deauthentication, disassociation
}

const (
	header = 2 // subtype and flags
	fcsLen = 4
)

// ParseManagement reads a management message. Its errors wrap [wire.ErrShort], [wire.ErrChecksum] and [wire.ErrInvalid].
func ParseManagement(b []byte) (m Management, err error) {
	if len(b) < header+fcsLen {
		return m, wire.ErrShort
	}
	fcs := b[len(b)-fcsLen:]
	b = b[:len(b)-fcsLen]
	if binary.LittleEndian.Uint32(fcs) != crc32.ChecksumIEEE(b) {
		return m, wire.ErrChecksum
	}
	if b[1] != 0 {
		return m, wire.ErrInvalid
	}
	m.Subtype = Subtype(b[0])
	b = b[header:]
	fixed := fixedLen(m.Subtype)
	if fixed < 0 {
		return Management{}, wire.ErrInvalid
	}
	if len(b) < fixed {
		return Management{}, wire.ErrShort
	}
	elements := b[fixed:]
	le := binary.LittleEndian
	switch m.Subtype {
	case Beacon, ProbeResponse:
		m.Timestamp = le.Uint64(b)
		m.Interval = le.Uint16(b[8:])
		m.Capability = Capability(le.Uint16(b[10:]))
		err = m.parseElements(elements)
	case ProbeRequest:
		err = m.parseElements(elements)
	case AssociationRequest:
		m.Capability = Capability(le.Uint16(b))
		m.ListenInterval = le.Uint16(b[2:])
		err = m.parseElements(elements)
	case AssociationResponse:
		m.Capability = Capability(le.Uint16(b))
		m.Status = StatusCode(le.Uint16(b[2:]))
		m.AID = le.Uint16(b[4:]) &^ aidMask
	case Authentication:
		m.Algorithm = le.Uint16(b)
		m.Sequence = le.Uint16(b[2:])
		m.Status = StatusCode(le.Uint16(b[4:]))
	case Deauthentication, Disassociation:
		m.Reason = ReasonCode(le.Uint16(b))
	}
	if err == nil && !m.hasElements() && len(elements) > 0 {
		err = wire.ErrInvalid
	}
	if err != nil {
		return Management{}, err
	}
	return m, nil
}

// fixedLen is the length of the fields before the elements, -1 for what we do not know.
func fixedLen(s Subtype) int {
	switch s {
	case ProbeRequest, Null:
		return 0
	case Deauthentication, Disassociation:
		return 2
	case AssociationRequest:
		return 4
	case Authentication, AssociationResponse:
		return 6
	case Beacon, ProbeResponse:
		return 12
	}
	return -1
}

// hasElements reports whether the body goes on with elements, an SSID first.
func (m *Management) hasElements() bool {
	switch m.Subtype {
	case Beacon, ProbeRequest, ProbeResponse, AssociationRequest:
		return true
	}
	return false
}

func (m *Management) isBeacon() bool { return m.Subtype == Beacon || m.Subtype == ProbeResponse }

// element splits off one element (IEEE 802.11-2016, 9.4.2.1).
func element(b []byte) (id uint8, body, rest []byte, err error) {
	if len(b) < 2 || len(b) < 2+int(b[1]) {
		return 0, nil, nil, wire.ErrShort
	}
	n := 2 + int(b[1])
	return b[0], b[2:n:n], b[n:], nil
}

// elementsValid reports whether b is a sequence of whole elements.
func elementsValid(b []byte) bool {
	for len(b) > 0 {
		var err error
		if _, _, b, err = element(b); err != nil {
			return false
		}
	}
	return true
}

func (m *Management) parseElements(b []byte) error {
	id, body, b, err := element(b)
	if err != nil {
		return err
	}
	if id != elementSSID || len(body) > maxSSID {
		return wire.ErrInvalid
	}
	m.SSID = body
	if m.isBeacon() && len(b) > 0 && b[0] == elementDS {
		if _, body, b, err = element(b); err != nil {
			return err
		}
		if len(body) != 1 || body[0] == 0 {
			return wire.ErrInvalid
		}
		m.Channel = body[0]
	}
	if m.Subtype != ProbeRequest && len(b) > 0 && b[0] == elementRSN {
		if _, m.RSN, b, err = element(b); err != nil {
			return err
		}
	}
	if !elementsValid(b) {
		return wire.ErrShort
	}
	if len(b) > 0 {
		m.Extra = b
	}
	return nil
}

// Append appends the message to b. An SSID or RSN element that is too long is cut to what an element can hold.
func (m Management) Append(b []byte) []byte {
	le := binary.LittleEndian
	start := len(b)
	b = append(b, byte(m.Subtype), 0)
	switch m.Subtype {
	case Beacon, ProbeResponse:
		b = le.AppendUint64(b, m.Timestamp)
		b = le.AppendUint16(b, m.Interval)
		b = le.AppendUint16(b, uint16(m.Capability))
	case AssociationRequest:
		b = le.AppendUint16(b, uint16(m.Capability))
		b = le.AppendUint16(b, m.ListenInterval)
	case AssociationResponse:
		b = le.AppendUint16(b, uint16(m.Capability))
		b = le.AppendUint16(b, uint16(m.Status))
		b = le.AppendUint16(b, m.AID|aidMask)
	case Authentication:
		b = le.AppendUint16(b, m.Algorithm)
		b = le.AppendUint16(b, m.Sequence)
		b = le.AppendUint16(b, uint16(m.Status))
	case Deauthentication, Disassociation:
		b = le.AppendUint16(b, uint16(m.Reason))
	}
	if m.hasElements() {
		b = m.appendElements(b)
	}
	return le.AppendUint32(b, crc32.ChecksumIEEE(b[start:]))
}

// setTimestamp changes the timestamp of a beacon or probe response made by Append.
func setTimestamp(b []byte, us uint64) {
	binary.LittleEndian.PutUint64(b[header:], us)
	body := b[:len(b)-fcsLen]
	binary.LittleEndian.PutUint32(b[len(body):], crc32.ChecksumIEEE(body))
}

func (m *Management) appendElements(b []byte) []byte {
	b = appendElement(b, elementSSID, m.SSID[:min(len(m.SSID), maxSSID)])
	if m.isBeacon() && m.Channel != 0 {
		b = append(b, elementDS, 1, m.Channel)
	}
	if m.Subtype != ProbeRequest && m.RSN != nil {
		b = appendElement(b, elementRSN, m.RSN[:min(len(m.RSN), 255)])
	}
	return append(b, m.Extra...)
}

func appendElement(b []byte, id uint8, body []byte) []byte {
	b = append(b, id, byte(len(body)))
	return append(b, body...)
}

// String prints one line: the subtype and what matters for it.
func (m Management) String() string {
	switch m.Subtype {
	case Beacon, ProbeResponse:
		return fmt.Sprintf("%v %q ch %d %v", m.Subtype, m.SSID, m.Channel, securityOf(m))
	case ProbeRequest, AssociationRequest:
		return fmt.Sprintf("%v %q", m.Subtype, m.SSID)
	case AssociationResponse:
		return fmt.Sprintf("%v %v aid %d", m.Subtype, m.Status, m.AID)
	case Authentication:
		return fmt.Sprintf("%v seq %d %v", m.Subtype, m.Sequence, m.Status)
	case Deauthentication, Disassociation:
		return fmt.Sprintf("%v %v", m.Subtype, m.Reason)
	}
	return m.Subtype.String()
}
