package hif

// RSSI is CURRENT_RSSI from the device, 4 bytes (2.9).
type RSSI struct {
	RSSI int8 // dBm; hosts take 0 for "no answer yet"
}

// RSSILen is the length of [RSSI] in bytes.
const RSSILen = 4

// ParseRSSI reads the payload.
func ParseRSSI(b []byte) (RSSI, error) {
	if len(b) < RSSILen {
		return RSSI{}, ErrShort
	}
	return RSSI{RSSI: int8(b[0])}, nil
}

// Append appends the payload.
func (m RSSI) Append(b []byte) []byte { return append(b, byte(m.RSSI), 0, 0, 0) }

// ConnInfo is CONN_INFO from the device, 48 bytes (2.9).
type ConnInfo struct {
	SSID     string // of the access point; empty on a Soft-AP
	Security Security
	IP       [4]byte // of the station, here or there
	MAC      [6]byte // BSSID, or the associated station of a Soft-AP
	RSSI     int8    // dBm
	Channel  uint8   // 19.5.4; older hosts ignore it
}

// ConnInfoLen is the length of [ConnInfo] in bytes.
const ConnInfoLen = 48

// ParseConnInfo reads the payload.
func ParseConnInfo(b []byte) (ConnInfo, error) {
	if len(b) < ConnInfoLen {
		return ConnInfo{}, ErrShort
	}
	return ConnInfo{SSID: cstring(b[:ssidField]), Security: Security(b[33]), IP: [4]byte(b[34:]), MAC: [6]byte(b[38:]),
		RSSI: int8(b[44]), Channel: b[45]}, nil
}

// Append appends the payload.
func (m ConnInfo) Append(b []byte) []byte {
	b = appendText(b, m.SSID, ssidField)
	b = append(b, byte(m.Security))
	b = append(b, m.IP[:]...)
	b = append(b, m.MAC[:]...)
	return append(b, byte(m.RSSI), m.Channel, 0, 0)
}

// DeviceName is SET_DEVICE_NAME from the host, 48 bytes (2.11): the host name in DHCP.
type DeviceName struct {
	Name string // at most 48 bytes; one of 48 has no NUL
}

// DeviceNameLen is the length of [DeviceName] in bytes.
const DeviceNameLen = 48

// ParseDeviceName reads the payload.
func ParseDeviceName(b []byte) (DeviceName, error) {
	if len(b) < DeviceNameLen {
		return DeviceName{}, ErrShort
	}
	return DeviceName{Name: text(b[:DeviceNameLen])}, nil
}

// Append appends the payload.
func (m DeviceName) Append(b []byte) []byte { return appendField(b, m.Name, DeviceNameLen) }

// SetMAC is SET_MAC_ADDRESS from the host, 8 bytes (2.11).
type SetMAC struct {
	MAC [6]byte
}

// SetMACLen is the length of [SetMAC] in bytes.
const SetMACLen = 8

// ParseSetMAC reads the payload.
func ParseSetMAC(b []byte) (SetMAC, error) {
	if len(b) < SetMACLen {
		return SetMAC{}, ErrShort
	}
	return SetMAC{MAC: [6]byte(b)}, nil
}

// Append appends the payload.
func (m SetMAC) Append(b []byte) []byte { return append(append(b, m.MAC[:]...), 0, 0) }

// PowerSave is a mode of [Sleep].
type PowerSave uint8

// The modes.
const (
	NoPowerSave  PowerSave = 0
	PSAutomatic  PowerSave = 1
	PSHAutomatic PowerSave = 2
	PSDeep       PowerSave = 3 // deep automatic
	PSManual     PowerSave = 4
)

// Sleep is SLEEP from the host, 4 bytes (2.12): the power-save mode from now on.
type Sleep struct {
	Mode      PowerSave
	Broadcast bool // receive broadcasts
}

// SleepLen is the length of [Sleep] in bytes.
const SleepLen = 4

// ParseSleep reads the payload.
func ParseSleep(b []byte) (Sleep, error) {
	if len(b) < SleepLen {
		return Sleep{}, ErrShort
	}
	return Sleep{Mode: PowerSave(b[0]), Broadcast: b[1] != 0}, nil
}

// Append appends the payload.
func (m Sleep) Append(b []byte) []byte { return append(b, byte(m.Mode), flag(m.Broadcast), 0, 0) }

// Doze is DOZE from the host, 4 bytes (2.12), in manual mode only.
type Doze struct {
	Milliseconds uint32
}

// ParseDoze reads the payload.
func ParseDoze(b []byte) (Doze, error) {
	if len(b) < 4 {
		return Doze{}, ErrShort
	}
	return Doze{Milliseconds: le.Uint32(b)}, nil
}

// Append appends the payload.
func (m Doze) Append(b []byte) []byte { return le.AppendUint32(b, m.Milliseconds) }

// Setting is the payload of requests that carry one byte and three of padding (2.8, 2.13):
// SET_POWER_PROFILE (1 auto, 2 and 3 low, 4 high), SET_TX_POWER (1 high, 2 medium, 3 low),
// SET_ENABLE_LOGS, SET_GAIN_TABLE_IDX, XO_SLEEP_ENABLE, SET_STOP_SCAN_OPTION, ENABLE_P2P (channel).
type Setting struct {
	Value uint8
}

// ParseSetting reads the payload.
func ParseSetting(b []byte) (Setting, error) {
	if len(b) < 4 {
		return Setting{}, ErrShort
	}
	return Setting{Value: b[0]}, nil
}

// Append appends the payload.
func (m Setting) Append(b []byte) []byte { return append(b, m.Value, 0, 0, 0) }

// Setting16 is the payload of requests that carry 16 bits and two bytes of padding (2.12, 2.13):
// SET_BATTERY_VOLTAGE (volts × 100), LSN_INT (beacons).
type Setting16 struct {
	Value uint16
}

// ParseSetting16 reads the payload.
func ParseSetting16(b []byte) (Setting16, error) {
	if len(b) < 4 {
		return Setting16{}, ErrShort
	}
	return Setting16{Value: le.Uint16(b)}, nil
}

// Append appends the payload.
func (m Setting16) Append(b []byte) []byte { return append(b, byte(m.Value), byte(m.Value>>8), 0, 0) }

// Gains is SET_GAINS from the host, 4 bytes (2.13).
type Gains struct {
	PPA11b, PPA11gn uint16
}

// ParseGains reads the payload.
func ParseGains(b []byte) (Gains, error) {
	if len(b) < 4 {
		return Gains{}, ErrShort
	}
	return Gains{PPA11b: le.Uint16(b), PPA11gn: le.Uint16(b[2:])}, nil
}

// Append appends the payload.
func (m Gains) Append(b []byte) []byte {
	return le.AppendUint16(le.AppendUint16(b, m.PPA11b), m.PPA11gn)
}

// Roaming is ROAMING from the host (19.6.1), 4 bytes (2.13).
type Roaming struct {
	Enable bool
	DHCP   bool // ask for an address again after roaming
}

// ParseRoaming reads the payload.
func ParseRoaming(b []byte) (Roaming, error) {
	if len(b) < 4 {
		return Roaming{}, ErrShort
	}
	return Roaming{Enable: b[0] != 0, DHCP: b[1] != 0}, nil
}

// Append appends the payload.
func (m Roaming) Append(b []byte) []byte { return append(b, flag(m.Enable), flag(m.DHCP), 0, 0) }
