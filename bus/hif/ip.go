package hif

// IPConfig is DHCP_CONF from the device, when a lease came or changed (at a Soft-AP: the address of
// the station), and STATIC_IP_CONF from the host (2.6, 2.7). It has three layouts.
type IPConfig struct {
	IP, Gateway, DNS [4]byte
	AltDNS           [4]byte // in the 24-byte layout only
	Mask             [4]byte
	Lease            uint32 // seconds; not in the 16-byte layout; garbage from hosts
	// Size is the layout: 16, 20 or 24 bytes; 0 means 24. See [IPConfigSize].
	Size int
}

// ParseIPConfig reads the payload in the longest layout that fits into it.
func ParseIPConfig(b []byte) (IPConfig, error) {
	if len(b) < 16 {
		return IPConfig{}, ErrShort
	}
	m := IPConfig{IP: [4]byte(b), Gateway: [4]byte(b[4:]), DNS: [4]byte(b[8:]), Size: 16}
	rest := b[12:]
	if len(b) >= 24 {
		m.AltDNS, m.Size = [4]byte(rest), 24
		rest = rest[4:]
	}
	m.Mask = [4]byte(rest)
	if len(rest) >= 8 {
		m.Lease, m.Size = le.Uint32(rest[4:]), max(m.Size, 20)
	}
	return m, nil
}

// Append appends the payload in the layout of m.Size.
func (m IPConfig) Append(b []byte) []byte {
	b = append(b, m.IP[:]...)
	b = append(b, m.Gateway[:]...)
	b = append(b, m.DNS[:]...)
	if m.Size != 16 && m.Size != 20 {
		b = append(b, m.AltDNS[:]...)
	}
	b = append(b, m.Mask[:]...)
	if m.Size != 16 {
		b = le.AppendUint32(b, m.Lease)
	}
	return b
}

// IPConflict is IP_CONFLICT from the device, 4 bytes (2.6): someone else has the address.
type IPConflict struct {
	IP [4]byte
}

// ParseIPConflict reads the payload.
func ParseIPConflict(b []byte) (IPConflict, error) {
	if len(b) < 4 {
		return IPConflict{}, ErrShort
	}
	return IPConflict{IP: [4]byte(b)}, nil
}

// Append appends the payload.
func (m IPConflict) Append(b []byte) []byte { return append(b, m.IP[:]...) }
