package hif

// Scan is SCAN and PASSIVE_SCAN from the host, 4 bytes (2.8). Every scan is answered with [ScanDone]:
// hosts start no other before it [HM-09].
type Scan struct {
	Channel     uint8  // 1 to 14, or [AllChannels]
	PassiveTime uint16 // milliseconds a channel, in PASSIVE_SCAN only; garbage in SCAN
}

// ScanLen is the length of [Scan] in bytes.
const ScanLen = 4

// ParseScan reads the payload.
func ParseScan(b []byte) (Scan, error) {
	if len(b) < ScanLen {
		return Scan{}, ErrShort
	}
	return Scan{Channel: b[0], PassiveTime: le.Uint16(b[2:])}, nil
}

// Append appends the payload.
func (m Scan) Append(b []byte) []byte {
	return append(b, m.Channel, 0, byte(m.PassiveTime), byte(m.PassiveTime>>8))
}

// MaxScanSSIDs is the number of names in a [ScanSSIDList].
const MaxScanSSIDs = 4

// ScanSSIDList is SCAN_SSID_LIST from the host: the 4 bytes of [Scan], and the names of hidden
// networks to ask for at offset [ScanSSIDDataOffset] (2.8).
type ScanSSIDList struct {
	Scan
	SSIDs []string // at most [MaxScanSSIDs], of at most [MaxSSID] bytes
}

// ScanSSIDDataOffset is where the data of [ScanSSIDList] start in its payload.
const ScanSSIDDataOffset = ScanLen

// ParseScanSSIDList reads the payload. Names that are cut off are [ErrShort], too many or too long
// ones [ErrInvalid].
func ParseScanSSIDList(b []byte) (ScanSSIDList, error) {
	s, err := ParseScan(b)
	m := ScanSSIDList{Scan: s}
	if err != nil || len(b) < ScanSSIDDataOffset+1 {
		return m, ErrShort
	}
	n, b := int(b[ScanSSIDDataOffset]), b[ScanSSIDDataOffset+1:]
	if n > MaxScanSSIDs {
		return m, ErrInvalid
	}
	for range n {
		if len(b) == 0 || len(b) < 1+int(b[0]) {
			return m, ErrShort
		}
		if b[0] > MaxSSID {
			return m, ErrInvalid
		}
		m.SSIDs = append(m.SSIDs, string(b[1:][:b[0]]))
		b = b[1+int(b[0]):]
	}
	return m, nil
}

// Append appends control part and data.
func (m ScanSSIDList) Append(b []byte) []byte {
	b = m.Scan.Append(b)
	names := m.SSIDs[:min(len(m.SSIDs), MaxScanSSIDs)]
	b = append(b, byte(len(names)))
	for _, s := range names {
		s = s[:min(len(s), MaxSSID)]
		b = append(append(b, byte(len(s))), s...)
	}
	return b
}

// ScanDone is SCAN_DONE from the device, 4 bytes (2.8).
type ScanDone struct {
	Count uint8 // of access points found
	State int8  // 0: the scan went well
}

// ScanDoneLen is the length of [ScanDone] in bytes.
const ScanDoneLen = 4

// ParseScanDone reads the payload.
func ParseScanDone(b []byte) (ScanDone, error) {
	if len(b) < ScanDoneLen {
		return ScanDone{}, ErrShort
	}
	return ScanDone{Count: b[0], State: int8(b[1])}, nil
}

// Append appends the payload.
func (m ScanDone) Append(b []byte) []byte { return append(b, m.Count, byte(m.State), 0, 0) }

// GetScanResult is the SCAN_RESULT request of the host, 4 bytes (2.8).
type GetScanResult struct {
	Index uint8 // from 0
}

// GetScanResultLen is the length of [GetScanResult] in bytes.
const GetScanResultLen = 4

// ParseGetScanResult reads the payload.
func ParseGetScanResult(b []byte) (GetScanResult, error) {
	if len(b) < GetScanResultLen {
		return GetScanResult{}, ErrShort
	}
	return GetScanResult{Index: b[0]}, nil
}

// Append appends the payload.
func (m GetScanResult) Append(b []byte) []byte { return append(b, m.Index, 0, 0, 0) }

// ScanResult is SCAN_RESULT from the device, 44 bytes (2.8). An index out of range is answered too,
// with an empty SSID: hosts wait for it.
type ScanResult struct {
	Index    uint8
	RSSI     int8 // dBm
	Security Security
	Channel  uint8 // 1 to 14
	BSSID    [6]byte
	SSID     string
}

// ScanResultLen is the length of [ScanResult] in bytes.
const ScanResultLen = 44

// ParseScanResult reads the payload.
func ParseScanResult(b []byte) (ScanResult, error) {
	if len(b) < ScanResultLen {
		return ScanResult{}, ErrShort
	}
	return ScanResult{Index: b[0], RSSI: int8(b[1]), Security: Security(b[2]), Channel: b[3],
		BSSID: [6]byte(b[4:]), SSID: cstring(b[10:][:ssidField])}, nil
}

// Append appends the payload.
func (m ScanResult) Append(b []byte) []byte {
	b = append(b, m.Index, byte(m.RSSI), byte(m.Security), m.Channel)
	b = append(b, m.BSSID[:]...)
	return append(appendText(b, m.SSID, ssidField), 0)
}

// ScanOption is SET_SCAN_OPTION from the host, 4 bytes (2.8).
type ScanOption struct {
	Slots         uint8 // per channel, at least 1, default 2
	SlotTime      uint8 // milliseconds, 10 to 250, default 30
	Probes        uint8 // per slot, 1 or 2, default 2
	RSSIThreshold int8  // dBm, -99 to -1
}

// ParseScanOption reads the payload.
func ParseScanOption(b []byte) (ScanOption, error) {
	if len(b) < 4 {
		return ScanOption{}, ErrShort
	}
	return ScanOption{Slots: b[0], SlotTime: b[1], Probes: b[2], RSSIThreshold: int8(b[3])}, nil
}

// Append appends the payload.
func (m ScanOption) Append(b []byte) []byte {
	return append(b, m.Slots, m.SlotTime, m.Probes, byte(m.RSSIThreshold))
}

// ScanRegion is SET_SCAN_REGION from the host, 4 bytes (2.8): bit n allows channel n+1.
type ScanRegion struct {
	Mask uint16
}

// Masks of [ScanRegion].
const (
	RegionNorthAmerica = 0x07ff
	RegionEurope       = 0x1fff
	RegionAsia         = 0x3fff
)

// ParseScanRegion reads the payload.
func ParseScanRegion(b []byte) (ScanRegion, error) {
	if len(b) < 4 {
		return ScanRegion{}, ErrShort
	}
	return ScanRegion{Mask: le.Uint16(b)}, nil
}

// Append appends the payload.
func (m ScanRegion) Append(b []byte) []byte { return append(b, byte(m.Mask), byte(m.Mask>>8), 0, 0) }
