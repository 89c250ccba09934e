package hif

// APConfig is ENABLE_AP from the host, in one of three layouts (2.10): 70 bytes to firmware before
// 19.5.0, without WPA; 136; 148 from 19.6.1 on, sent as a data block without a control part.
type APConfig struct {
	SSID     string
	Channel  uint8 // 1 to 14, counted from 0 in the layout of 70 bytes
	Security Security
	Hidden   bool
	IP       [4]byte // of the access point and of its DHCP server
	// Key is the passphrase for WPA (8 to 63 characters or 64 digits) or 10 or 26 hexadecimal digits
	// for WEP, with WEPIndex 1 to 4.
	Key      string
	WEPIndex uint8
	// Router, DNS and Mask are in the layout of 148 bytes only, for the leases it gives. A mask whose
	// first byte is 0 means 255.255.255.0: some hosts fill one byte only.
	Router, DNS, Mask [4]byte
	Size              int // 70, 136 or 148 bytes; 0 means 148
}

// Layouts of [APConfig], in bytes.
const (
	APConfigLen70  = 70
	APConfigLen136 = 136
	APConfigLen148 = 148
)

// ParseAPConfig reads the payload in the longest layout that fits into it.
func ParseAPConfig(b []byte) (APConfig, error) {
	if len(b) < APConfigLen70 {
		return APConfig{}, ErrShort
	}
	m := APConfig{SSID: cstring(b[:ssidField]), Channel: b[33], WEPIndex: b[34], Security: Security(b[63]),
		Hidden: b[64] != 0, IP: [4]byte(b[65:])}
	if m.Security == SecurityWEP {
		m.Key = text(b[36:][:min(int(b[35]), 26)])
	}
	if len(b) < APConfigLen136 {
		m.Size, m.Channel = APConfigLen70, channelFromZero(m.Channel)
		return m, nil
	}
	m.Size = APConfigLen136
	if m.Security == SecurityPSK {
		m.Key = text(b[69:][:min(int(b[35]), pskField-1)])
	}
	if len(b) >= APConfigLen148 {
		m.Size = APConfigLen148
		m.Router, m.DNS, m.Mask = [4]byte(b[136:]), [4]byte(b[140:]), [4]byte(b[144:])
	}
	return m, nil
}

// Append appends the payload in the layout of m.Size.
func (m APConfig) Append(b []byte) []byte {
	start := len(b)
	size := m.Size
	if size != APConfigLen70 && size != APConfigLen136 {
		size = APConfigLen148
	}
	wep, wpa := "", ""
	switch m.Security {
	case SecurityWEP:
		wep = m.Key[:min(len(m.Key), 26)]
	case SecurityPSK:
		wpa = m.Key[:min(len(m.Key), pskField-1)]
	}
	channel := m.Channel
	if size == APConfigLen70 {
		channel, wpa = channelToZero(channel), ""
	}
	b = appendText(b, m.SSID, ssidField)
	b = append(b, channel, m.WEPIndex, byte(len(wep)+len(wpa)))
	b = appendText(b, wep, 27)
	b = append(b, byte(m.Security), flag(m.Hidden))
	b = append(b, m.IP[:]...)
	if size == APConfigLen70 {
		return append(b, 0)
	}
	b = appendText(b, wpa, pskField)
	b = appendZero(b, APConfigLen136-(len(b)-start))
	if size == APConfigLen148 {
		b = append(b, m.Router[:]...)
		b = append(b, m.DNS[:]...)
		b = append(b, m.Mask[:]...)
	}
	return b
}
