package hif

// Provision is START_PROVISION_MODE from the host, 204 bytes, 138 to firmware before 19.5.0, 216 from
// 19.6.1 on (2.16).
type Provision struct {
	AP       APConfig // its Size is 70, 136 or 148 in the three layouts
	Domain   string   // at most 63 bytes: the name of the page
	Redirect bool
}

// Layouts of [Provision], in bytes.
const (
	ProvisionLen138 = 138
	ProvisionLen204 = 204
	ProvisionLen216 = 216
)

const (
	domainField   = 64
	provisionAP70 = 72 // the old configuration, padded
)

// ParseProvision reads the payload in the longest layout that fits into it.
func ParseProvision(b []byte) (Provision, error) {
	if len(b) < ProvisionLen138 {
		return Provision{}, ErrShort
	}
	at, size := provisionAP70, APConfigLen70
	if len(b) >= ProvisionLen204 {
		at, size = APConfigLen136, APConfigLen136
	}
	ap, err := ParseAPConfig(b[:size])
	m := Provision{AP: ap, Domain: cstring(b[at:][:domainField]), Redirect: b[at+domainField] != 0}
	if len(b) >= ProvisionLen216 {
		rest := b[at+domainField+1:]
		m.AP.Router, m.AP.DNS, m.AP.Mask, m.AP.Size = [4]byte(rest), [4]byte(rest[4:]), [4]byte(rest[8:]), APConfigLen148
	}
	return m, err
}

// Append appends the payload in the layout of m.AP.Size.
func (m Provision) Append(b []byte) []byte {
	ap := m.AP
	long := ap.Size != APConfigLen70 && ap.Size != APConfigLen136
	if long {
		ap.Size = APConfigLen136
	}
	b = ap.Append(b)
	if ap.Size == APConfigLen70 {
		b = appendZero(b, provisionAP70-APConfigLen70)
	}
	b = appendText(b, m.Domain, domainField)
	b = append(b, flag(m.Redirect))
	switch {
	case long:
		b = append(b, ap.Router[:]...)
		b = append(b, ap.DNS[:]...)
		b = append(b, ap.Mask[:]...)
		return append(b, 0, 0, 0)
	case ap.Size == APConfigLen70:
		return append(b, 0)
	}
	return append(b, 0, 0, 0)
}

// ProvisionInfo is PROVISION_INFO from the device, 100 bytes (2.16).
type ProvisionInfo struct {
	SSID       string
	Passphrase string
	Security   Security
	Status     uint8 // 0: the user filled in the page
}

// ParseProvisionInfo reads the payload.
func ParseProvisionInfo(b []byte) (ProvisionInfo, error) {
	if len(b) < 100 {
		return ProvisionInfo{}, ErrShort
	}
	return ProvisionInfo{SSID: cstring(b[:ssidField]), Passphrase: cstring(b[33:98]), Security: Security(b[98]), Status: b[99]}, nil
}

// Append appends the payload.
func (m ProvisionInfo) Append(b []byte) []byte {
	b = appendText(b, m.SSID, ssidField)
	b = appendText(b, m.Passphrase, pskField)
	return append(b, byte(m.Security), m.Status)
}

// WPSTrigger says how a WPS exchange begins.
type WPSTrigger uint8

// The triggers.
const (
	WPSPIN        WPSTrigger = 0
	WPSPushButton WPSTrigger = 4
)

// WPS is WPS from the host, 12 bytes (2.17).
type WPS struct {
	Trigger WPSTrigger
	PIN     [8]byte
}

// ParseWPS reads the payload.
func ParseWPS(b []byte) (WPS, error) {
	if len(b) < 12 {
		return WPS{}, ErrShort
	}
	return WPS{Trigger: WPSTrigger(b[0]), PIN: [8]byte(b[1:])}, nil
}

// Append appends the payload.
func (m WPS) Append(b []byte) []byte {
	return append(append(append(b, byte(m.Trigger)), m.PIN[:]...), 0, 0, 0)
}

// WPSReply answers WPS, 100 bytes (2.17).
type WPSReply struct {
	Security   Security // [SecurityInvalid]: it failed
	Channel    uint8
	SSID       string
	Passphrase string
}

// ParseWPSReply reads the payload.
func ParseWPSReply(b []byte) (WPSReply, error) {
	if len(b) < 100 {
		return WPSReply{}, ErrShort
	}
	return WPSReply{Security: Security(b[0]), Channel: b[1], SSID: cstring(b[2:35]), Passphrase: cstring(b[35:100])}, nil
}

// Append appends the payload.
func (m WPSReply) Append(b []byte) []byte {
	b = append(b, byte(m.Security), m.Channel)
	b = appendText(b, m.SSID, ssidField)
	return appendText(b, m.Passphrase, pskField)
}
