package hif

import "encoding/hex"

// Lengths of fields (spec hif-messages 2.1).
const (
	MaxSSID       = 32 // bytes
	MaxPassphrase = 63 // characters; exactly 64 are the hexadecimal digits of the key itself
	MinPassphrase = 8
	PSKDigits     = 64
)

const (
	ssidField = MaxSSID + 1   // with its NUL
	pskField  = PSKDigits + 1 // with its NUL
)

// Credentials are what a station needs to join a protected network. Which fields count follows from
// Security.
type Credentials struct {
	Security Security
	// Passphrase has 8 to 63 characters, or 64 hexadecimal digits of the key. [SecurityPSK]
	Passphrase string
	// WEPKey has 10 or 26 hexadecimal digits, WEPIndex 0 to 3 (some hosts: 1 to 4 in the old form). [SecurityWEP]
	WEPKey   string
	WEPIndex uint8
	// User and Password belong to the old form, at most 20 and 40 bytes. [SecurityEnterprise]
	User, Password string
	// Enterprise is the 802.1X part of the new form as it is (2.3); a parsed one lies in the payload
	// and is not copied. [SecurityEnterprise]
	Enterprise []byte
}

// ConnectOld is CONNECT, opcode 40, 108 bytes (2.2). It is followed by [StateChanged] and, with DHCP,
// by [IPConfig].
type ConnectOld struct {
	SSID    string
	Channel uint8 // 1 to 14, or [AllChannels]
	NoSave  bool  // do not keep the credentials for DEFAULT_CONNECT
	Credentials
}

// ConnectOldLen is the length of [ConnectOld] in bytes.
const ConnectOldLen = 108

// Offsets in [ConnectOld].
const (
	oldSecurity = 65
	oldChannel  = 68
	oldSSID     = 70
	oldNoSave   = 103
)

// ParseConnectOld reads the payload. Only bytes before a NUL count: the rest is garbage. A channel
// that does not fit a byte is [ErrInvalid].
func ParseConnectOld(b []byte) (ConnectOld, error) {
	if len(b) < ConnectOldLen {
		return ConnectOld{}, ErrShort
	}
	m := ConnectOld{SSID: cstring(b[oldSSID:oldNoSave]), Channel: b[oldChannel], NoSave: b[oldNoSave] != 0}
	m.Security = Security(b[oldSecurity])
	switch m.Security {
	case SecurityPSK:
		m.Passphrase = cstring(b[:pskField])
	case SecurityWEP:
		m.WEPIndex = b[0]
		m.WEPKey = text(b[2:][:min(int(b[1]), 26)])
	case SecurityEnterprise:
		m.User, m.Password = cstring(b[:21]), cstring(b[21:62])
	}
	if b[oldChannel+1] != 0 {
		return m, ErrInvalid
	}
	return m, nil
}

// Append appends the payload.
func (m ConnectOld) Append(b []byte) []byte {
	start := len(b)
	switch m.Security {
	case SecurityPSK:
		b = appendText(b, m.Passphrase, pskField)
	case SecurityWEP:
		key := m.WEPKey[:min(len(m.WEPKey), 26)]
		b = append(b, m.WEPIndex, byte(len(key)))
		b = appendText(b, key, 27)
	case SecurityEnterprise:
		b = appendText(b, m.User, 21)
		b = appendText(b, m.Password, 41)
	}
	b = appendZero(b, oldSecurity-(len(b)-start))
	b = append(b, byte(m.Security), 0, 0, m.Channel, 0)
	b = appendText(b, m.SSID, ssidField)
	return append(b, flag(m.NoSave), 0, 0, 0, 0)
}

// StoreFlags say whether a device keeps the credentials of a [Connect] (2.3).
type StoreFlags uint8

// The flags.
const (
	StoreCredentials StoreFlags = 0x01
	StoreEncrypted   StoreFlags = 0x02
)

// Connect is CONN, opcode 59 (19.6.1), 48 bytes and the credentials at offset [ConnectDataOffset]
// (2.3). For an open network there are none, and the request has no data bit.
type Connect struct {
	SSID     string
	Channel  uint8 // 1 to 14, or [AllChannels]; counted from 0 on the wire
	Store    StoreFlags
	HasBSSID bool // BSSID is to be joined and no other
	BSSID    [6]byte
	Credentials
}

// Sizes of [Connect] in bytes.
const (
	ConnectLen        = 48
	ConnectDataOffset = ConnectLen
	pskPart           = 108
	wepPart           = 16
	credentialFixed   = 44 // counted into the credential size besides the part behind the control
)

// ParseConnect reads the payload. Hosts are known to announce credentials that they do not send: the
// length of the message counts, not the size in it. Credentials that are cut off are [ErrShort]; a
// length of SSID, passphrase or WEP key beyond its field, or another WEP key than 5 or 13 bytes, is
// [ErrInvalid].
func ParseConnect(b []byte) (Connect, error) {
	if len(b) < ConnectLen {
		return Connect{}, ErrShort
	}
	m := Connect{Store: StoreFlags(b[2]), Channel: channelFromZero(b[3]), HasBSSID: b[37]&1 != 0, BSSID: [6]byte(b[38:44])}
	m.Security = Security(b[44])
	if b[4] > MaxSSID {
		return m, ErrInvalid
	}
	m.SSID = string(b[5:][:b[4]])
	part := b[ConnectDataOffset:]
	switch m.Security {
	case SecurityPSK:
		return m, m.parsePSK(part)
	case SecurityWEP:
		return m, m.parseWEP(part)
	case SecurityEnterprise:
		m.Enterprise = part
	}
	return m, nil
}

func (m *Connect) parsePSK(part []byte) error {
	if len(part) < 1+PSKDigits {
		return ErrShort
	}
	if part[0] > PSKDigits {
		return ErrInvalid
	}
	m.Passphrase = string(part[1:][:part[0]])
	return nil
}

func (m *Connect) parseWEP(part []byte) error {
	if len(part) < 2+13 {
		return ErrShort
	}
	if part[1] != 5 && part[1] != 13 {
		return ErrInvalid
	}
	m.WEPIndex, m.WEPKey = part[0], hex.EncodeToString(part[2:][:part[1]])
	return nil
}

// Append appends control part and credentials. A WEP key that is not hexadecimal becomes an empty one.
func (m Connect) Append(b []byte) []byte {
	part := 0
	switch m.Security {
	case SecurityPSK:
		part = pskPart
	case SecurityWEP:
		part = wepPart
	case SecurityEnterprise:
		part = len(m.Enterprise)
	}
	ssid := m.SSID[:min(len(m.SSID), MaxSSID)]
	b = le.AppendUint16(b, uint16(credentialFixed+part))
	b = append(b, byte(m.Store), channelToZero(m.Channel), byte(len(ssid)))
	b = appendField(b, ssid, MaxSSID)
	b = append(b, flag(m.HasBSSID))
	b = append(b, m.BSSID[:]...)
	b = append(b, byte(m.Security), 0, 0, 0)
	switch m.Security {
	case SecurityPSK:
		pass := m.Passphrase[:min(len(m.Passphrase), PSKDigits)]
		b = append(b, byte(len(pass)))
		b = appendField(b, pass, pskPart-1)
	case SecurityWEP:
		key, _ := hex.DecodeString(m.WEPKey[:min(len(m.WEPKey), 26)])
		b = append(b, m.WEPIndex, byte(len(key)))
		b = appendField(b, key, wepPart-2)
	case SecurityEnterprise:
		b = append(b, m.Enterprise...)
	}
	return b
}

// ConnectParam is IND_CONN_PARAM (19.6.1), 8 bytes and a blob behind them (2.3): the certificate of an
// 802.1X connect that follows.
type ConnectParam struct {
	Type     uint8 // 1
	Position uint16
	Data     []byte // parsed: inside the payload, not copied
}

// ConnectParamLen is the length of [ConnectParam] without its data, and their offset.
const ConnectParamLen = 8

// ParseConnectParam reads the payload; data that are cut off are [ErrShort].
func ParseConnectParam(b []byte) (ConnectParam, error) {
	if len(b) < ConnectParamLen || len(b) < ConnectParamLen+int(le.Uint16(b[6:])) {
		return ConnectParam{}, ErrShort
	}
	return ConnectParam{Type: b[0], Position: le.Uint16(b[4:]), Data: b[ConnectParamLen:][:le.Uint16(b[6:])]}, nil
}

// Append appends control part and data.
func (m ConnectParam) Append(b []byte) []byte {
	b = append(b, m.Type, 0, 0, 0)
	b = le.AppendUint16(b, m.Position)
	b = le.AppendUint16(b, uint16(len(m.Data)))
	return append(b, m.Data...)
}

// DefaultConnected is the result of DEFAULT_CONNECT, 4 bytes (2.4), sent for failures.
type DefaultConnected struct {
	Error int8 // one of the DefaultConnect constants
}

// Errors of [DefaultConnected].
const (
	DefaultConnectOK         = 0
	DefaultConnectListEmpty  = -20
	DefaultConnectNotFound   = -21
	DefaultConnectFailed     = -22
	DefaultConnectInProgress = -23
)

// DefaultConnectedLen is the length of [DefaultConnected] in bytes.
const DefaultConnectedLen = 4

// ParseDefaultConnected reads the payload.
func ParseDefaultConnected(b []byte) (DefaultConnected, error) {
	if len(b) < DefaultConnectedLen {
		return DefaultConnected{}, ErrShort
	}
	return DefaultConnected{Error: int8(b[0])}, nil
}

// Append appends the payload.
func (m DefaultConnected) Append(b []byte) []byte { return append(b, byte(m.Error), 0, 0, 0) }

// StateChanged is CON_STATE_CHANGED, 4 bytes (2.5): a station joined or left, here or at the Soft-AP.
type StateChanged struct {
	State ConnState
	Error ConnError
}

// StateChangedLen is the length of [StateChanged] in bytes.
const StateChangedLen = 4

// ParseStateChanged reads the payload.
func ParseStateChanged(b []byte) (StateChanged, error) {
	if len(b) < StateChangedLen {
		return StateChanged{}, ErrShort
	}
	return StateChanged{State: ConnState(b[0]), Error: ConnError(b[1])}, nil
}

// Append appends the payload.
func (m StateChanged) Append(b []byte) []byte { return append(b, byte(m.State), byte(m.Error), 0, 0) }

// DeleteAPID is DELETE_APID from the host (19.6.1), 36 bytes (2.14): forget stored credentials.
type DeleteAPID struct {
	All  bool   // forget all
	SSID string // else those of this network
}

// DeleteAPIDLen is the length of [DeleteAPID] in bytes.
const DeleteAPIDLen = 36

// ParseDeleteAPID reads the payload.
func ParseDeleteAPID(b []byte) (DeleteAPID, error) {
	switch {
	case len(b) < DeleteAPIDLen:
		return DeleteAPID{}, ErrShort
	case b[0] == 0xff:
		return DeleteAPID{All: true}, nil
	}
	return DeleteAPID{SSID: cstring(b[:ssidField])}, nil
}

// Append appends the payload.
func (m DeleteAPID) Append(b []byte) []byte {
	if m.All {
		return appendZero(append(b, 0xff), DeleteAPIDLen-1)
	}
	return appendZero(appendText(b, m.SSID, ssidField), 3)
}

// DeleteAPIDReply answers DELETE_APID, 4 bytes (2.14).
type DeleteAPIDReply struct {
	Error int8
}

// ParseDeleteAPIDReply reads the payload.
func ParseDeleteAPIDReply(b []byte) (DeleteAPIDReply, error) {
	if len(b) < 4 {
		return DeleteAPIDReply{}, ErrShort
	}
	return DeleteAPIDReply{Error: int8(b[0])}, nil
}

// Append appends the payload.
func (m DeleteAPIDReply) Append(b []byte) []byte { return append(b, byte(m.Error), 0, 0, 0) }
