package hif

// Data offsets of raw frames, from the start of the payload (1.4).
const (
	EthernetDataOffset = 26
	WiFiDataOffset     = 4
)

// SendEthernet is SEND_ETHERNET_PACKET from the host: 4 bytes, and the frame at
// [EthernetDataOffset] (2.18). It belongs to the bypass mode.
type SendEthernet struct {
	Frame []byte // parsed: inside the payload, not copied
}

// ethernetHeader is what hosts write for the length of the header of a frame.
const ethernetHeader = 14

// ParseSendEthernet reads the payload; a frame that is cut off is [ErrShort].
func ParseSendEthernet(b []byte) (SendEthernet, error) {
	if len(b) < EthernetDataOffset || len(b) < EthernetDataOffset+int(le.Uint16(b)) {
		return SendEthernet{}, ErrShort
	}
	return SendEthernet{Frame: b[EthernetDataOffset:][:le.Uint16(b)]}, nil
}

// Append appends control part, gap and frame.
func (m SendEthernet) Append(b []byte) []byte {
	b = le.AppendUint16(b, uint16(len(m.Frame)))
	b = append(b, ethernetHeader, 0)
	b = appendZero(b, EthernetDataOffset-4)
	return append(b, m.Frame...)
}

// Ethernet is ETHERNET_RX_PACKET from the device: 4 bytes and the frame at the offset they say (2.18).
type Ethernet struct {
	Frame []byte // parsed: inside the payload, not copied
}

// ParseEthernet reads the payload; a frame that is cut off is [ErrShort].
func ParseEthernet(b []byte) (Ethernet, error) {
	if len(b) < 4 || len(b) < int(le.Uint16(b[2:]))+int(le.Uint16(b)) {
		return Ethernet{}, ErrShort
	}
	return Ethernet{Frame: b[le.Uint16(b[2:]):][:le.Uint16(b)]}, nil
}

// Append appends the 4 bytes and the frame behind them.
func (m Ethernet) Append(b []byte) []byte {
	b = le.AppendUint16(b, uint16(len(m.Frame)))
	return append(append(b, 4, 0), m.Frame...)
}

// MulticastMAC is SET_MAC_MCAST from the host, 8 bytes (2.18): at most 8 groups.
type MulticastMAC struct {
	MAC [6]byte
	Add bool // else remove
}

// ParseMulticastMAC reads the payload.
func ParseMulticastMAC(b []byte) (MulticastMAC, error) {
	if len(b) < 8 {
		return MulticastMAC{}, ErrShort
	}
	return MulticastMAC{MAC: [6]byte(b), Add: b[6] != 0}, nil
}

// Append appends the payload.
func (m MulticastMAC) Append(b []byte) []byte {
	return append(append(b, m.MAC[:]...), flag(m.Add), 0)
}

// Monitor is ENABLE_MONITORING from the host, 24 bytes (2.19).
type Monitor struct {
	Channel       uint8
	Type, Subtype uint8
	Src, Dst      [6]byte
	BSSID         [6]byte
	Headers       bool // the headers of frames are wanted
}

// ParseMonitor reads the payload.
func ParseMonitor(b []byte) (Monitor, error) {
	if len(b) < 24 {
		return Monitor{}, ErrShort
	}
	return Monitor{Channel: b[0], Type: b[1], Subtype: b[2], Src: [6]byte(b[3:]), Dst: [6]byte(b[9:]), BSSID: [6]byte(b[15:]),
		Headers: b[21] != 0}, nil
}

// Append appends the payload.
func (m Monitor) Append(b []byte) []byte {
	b = append(b, m.Channel, m.Type, m.Subtype)
	b = append(b, m.Src[:]...)
	b = append(b, m.Dst[:]...)
	b = append(b, m.BSSID[:]...)
	return append(b, flag(m.Headers), 0, 0)
}

// WiFiRX is WIFI_RX_PACKET from the device in monitor mode: 36 bytes and the frame (2.19).
type WiFiRX struct {
	Type, Subtype          uint8
	ServiceClass, Priority uint8
	HeaderLen, Cipher      uint8
	Src, Dst, BSSID        [6]byte
	DataLen, FrameLen      uint16
	Rate                   uint32 // kbit/s
	RSSI                   int8   // dBm
	Frame                  []byte // parsed: inside the payload, not copied
}

// WiFiRXLen is the length of [WiFiRX] in bytes, without the frame.
const WiFiRXLen = 36

// ParseWiFiRX reads the payload. The frame is what is there of it.
func ParseWiFiRX(b []byte) (WiFiRX, error) {
	if len(b) < WiFiRXLen {
		return WiFiRX{}, ErrShort
	}
	return WiFiRX{Type: b[0], Subtype: b[1], ServiceClass: b[2], Priority: b[3], HeaderLen: b[4], Cipher: b[5],
		Src: [6]byte(b[6:]), Dst: [6]byte(b[12:]), BSSID: [6]byte(b[18:]), DataLen: le.Uint16(b[24:]),
		FrameLen: le.Uint16(b[26:]), Rate: le.Uint32(b[28:]), RSSI: int8(b[32]), Frame: b[WiFiRXLen:]}, nil
}

// Append appends the payload.
func (m WiFiRX) Append(b []byte) []byte {
	b = append(b, m.Type, m.Subtype, m.ServiceClass, m.Priority, m.HeaderLen, m.Cipher)
	b = append(b, m.Src[:]...)
	b = append(b, m.Dst[:]...)
	b = append(b, m.BSSID[:]...)
	b = le.AppendUint16(b, m.DataLen)
	b = le.AppendUint16(b, m.FrameLen)
	b = le.AppendUint32(b, m.Rate)
	b = append(b, byte(m.RSSI), 0, 0, 0)
	return append(b, m.Frame...)
}

// SendWiFi is SEND_WIFI_PACKET from the host: 4 bytes and an 802.11 frame at [WiFiDataOffset] (2.19).
type SendWiFi struct {
	HeaderLen uint16
	Frame     []byte // parsed: inside the payload, not copied
}

// ParseSendWiFi reads the payload; a frame that is cut off is [ErrShort].
func ParseSendWiFi(b []byte) (SendWiFi, error) {
	if len(b) < WiFiDataOffset || len(b) < WiFiDataOffset+int(le.Uint16(b)) {
		return SendWiFi{}, ErrShort
	}
	return SendWiFi{HeaderLen: le.Uint16(b[2:]), Frame: b[WiFiDataOffset:][:le.Uint16(b)]}, nil
}

// Append appends control part and frame.
func (m SendWiFi) Append(b []byte) []byte {
	b = le.AppendUint16(b, uint16(len(m.Frame)))
	return append(le.AppendUint16(b, m.HeaderLen), m.Frame...)
}

// MaxPRNG is the most random bytes of a [PRNG].
const MaxPRNG = 1580

// PRNG is GET_PRNG from the host, 8 bytes or, from a host with 64-bit pointers, 16. The answer is the
// request again and the random bytes behind it: hosts write where its pointer points (2.20).
type PRNG struct {
	Head  []byte // the request as it came, to be echoed; parsed: inside the payload, not copied
	Count uint16 // of random bytes wanted
	Data  []byte // the random bytes of an answer
}

// Lengths of a request for random bytes.
const (
	PRNGLen     = 8
	PRNGLenWide = 16
)

// ParsePRNG reads a request; more than [MaxPRNG] bytes are [ErrInvalid].
func ParsePRNG(b []byte) (PRNG, error) {
	m := PRNG{}
	switch {
	case len(b) < PRNGLen:
		return m, ErrShort
	case len(b) >= PRNGLenWide:
		m.Head, m.Count = b[:PRNGLenWide], le.Uint16(b[8:])
	default:
		m.Head, m.Count = b[:PRNGLen], le.Uint16(b[4:])
	}
	if m.Count > MaxPRNG {
		return m, ErrInvalid
	}
	return m, nil
}

// ParsePRNGReply reads the answer to a request of 8 bytes. Random bytes that are cut off are [ErrShort].
func ParsePRNGReply(b []byte) (PRNG, error) {
	if len(b) < PRNGLen {
		return PRNG{}, ErrShort
	}
	m := PRNG{Head: b[:PRNGLen], Count: le.Uint16(b[4:])}
	if len(b) < PRNGLen+int(m.Count) {
		return m, ErrShort
	}
	m.Data = b[PRNGLen:][:m.Count]
	return m, nil
}

// Append appends the request or, with Data, the answer. Without Head a request of 8 bytes is built.
func (m PRNG) Append(b []byte) []byte {
	if len(m.Head) == 0 {
		b = append(b, 0, 0, 0, 0, byte(m.Count), byte(m.Count>>8), 0, 0)
	}
	return append(append(b, m.Head...), m.Data...)
}

// MaxCustomIE is the longest [CustomIE] in bytes, its first byte included.
const MaxCustomIE = 252

// CustomIE is CUST_INFO_ELEMENT from the host: a count of bytes, then elements {id, length, data} (2.20).
type CustomIE struct {
	Elements []byte // none: remove them; parsed: inside the payload, not copied
}

// ParseCustomIE reads the payload.
func ParseCustomIE(b []byte) (CustomIE, error) {
	switch {
	case len(b) < 1 || len(b) < 1+int(b[0]):
		return CustomIE{}, ErrShort
	case b[0] > MaxCustomIE-1:
		return CustomIE{}, ErrInvalid
	}
	return CustomIE{Elements: b[1:][:b[0]]}, nil
}

// Append appends the payload.
func (m CustomIE) Append(b []byte) []byte {
	n := min(len(m.Elements), MaxCustomIE-1)
	return append(append(b, byte(n)), m.Elements[:n]...)
}

// AutoRate is CONG_AUTO_RATE from the host (19.5.4), 20 bytes, or 12 from compilers with short
// enums (2.20). Codes of rates differ from release to release, so it stays as it is.
type AutoRate struct {
	Raw []byte // 12 or 20 bytes; parsed: inside the payload, not copied
}

// ParseAutoRate reads the payload.
func ParseAutoRate(b []byte) (AutoRate, error) {
	switch {
	case len(b) < 12:
		return AutoRate{}, ErrShort
	case len(b) < 20:
		return AutoRate{Raw: b[:12]}, nil
	}
	return AutoRate{Raw: b[:20]}, nil
}

// Append appends the payload.
func (m AutoRate) Append(b []byte) []byte { return append(b, m.Raw...) }
