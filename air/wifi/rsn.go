package wifi

import "encoding/binary"

// Suite selectors (IEEE 802.11-2016, tables 9-131 and 9-133), as read in big-endian order.
const (
	suiteCCMP   = 0x000fac04
	akm8021X    = 0x000fac01
	akmPSK      = 0x000fac02
	akm8021X256 = 0x000fac05
)

// rsnPSK is the body of the RSN element of a WPA2-Personal network with CCMP (IEEE 802.11-2016, 9.4.2.25):
// version 1, group cipher, one pairwise cipher, one AKM suite, no capabilities.
var rsnPSK = []byte{
	1, 0,
	0x00, 0x0f, 0xac, 4,
	1, 0, 0x00, 0x0f, 0xac, 4,
	1, 0, 0x00, 0x0f, 0xac, 2,
	0, 0,
}

// rsn is what an RSN element offers.
type rsn struct {
	group              uint32
	ccmp, psk, dot1X   bool
	badVersion, broken bool
}

// parseRSN reads the body of an RSN element. Fields at the end may be missing; then their defaults hold.
func parseRSN(b []byte) (r rsn) {
	r = rsn{group: suiteCCMP}
	if len(b) < 2 {
		r.broken = true
		return r
	}
	if binary.LittleEndian.Uint16(b) != 1 {
		r.badVersion = true
		return r
	}
	b = b[2:]
	if len(b) == 0 {
		r.ccmp, r.dot1X = true, true
		return r
	}
	if len(b) < 4 {
		r.broken = true
		return r
	}
	r.group, b = binary.BigEndian.Uint32(b), b[4:]
	ciphers, b, ok1 := suites(b, suiteCCMP)
	akms, _, ok2 := suites(b, akm8021X)
	r.broken = !ok1 || !ok2
	for ; len(ciphers) >= 4; ciphers = ciphers[4:] {
		r.ccmp = r.ccmp || binary.BigEndian.Uint32(ciphers) == suiteCCMP
	}
	for ; len(akms) >= 4; akms = akms[4:] {
		switch binary.BigEndian.Uint32(akms) {
		case akmPSK:
			r.psk = true
		case akm8021X, akm8021X256:
			r.dot1X = true
		}
	}
	return r
}

// suites splits off a count and so many selectors. Nothing left means the default.
func suites(b []byte, byDefault uint32) (list, rest []byte, ok bool) {
	if len(b) == 0 {
		return binary.BigEndian.AppendUint32(nil, byDefault), nil, true
	}
	if len(b) < 2 {
		return nil, nil, false
	}
	n := 4 * int(binary.LittleEndian.Uint16(b))
	if n > len(b)-2 {
		return nil, nil, false
	}
	return b[2 : 2+n], b[2+n:], true
}

// securityOf reads the protection of a network from its beacon or probe response.
func securityOf(m Management) Security {
	if m.RSN != nil {
		switch r := parseRSN(m.RSN); {
		case r.broken || r.badVersion:
		case r.psk:
			return WPA2PSK
		case r.dot1X:
			return Enterprise
		}
		return WEP // protected in a way that we cannot use
	}
	if m.Capability&CapabilityPrivacy != 0 {
		return WEP
	}
	return Open
}
