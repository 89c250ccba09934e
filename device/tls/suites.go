package tls

import (
	stdtls "crypto/tls"
	"strings"
)

// Suites is a set of cipher suites of TLS 1.0 to 1.2 in the numbering of the host interface (spec hif-messages 5.1). TLS
// 1.3 has suites of its own, which cannot be chosen.
type Suites uint32

// DefaultSuites are those that the controller starts with: AES-128 and no elliptic curves (spec driver-api 3.9).
const DefaultSuites Suites = 1<<6 - 1

// AllSuites are all that have a number.
const AllSuites Suites = 1<<16 - 1

// suites has the name of each bit, and its number if crypto/tls has it.
var suites = [16]struct {
	name string
	id   uint16
}{
	{"RSA-AES128-CBC-SHA", stdtls.TLS_RSA_WITH_AES_128_CBC_SHA},
	{"RSA-AES128-CBC-SHA256", stdtls.TLS_RSA_WITH_AES_128_CBC_SHA256},
	{"DHE-RSA-AES128-CBC-SHA", 0},
	{"DHE-RSA-AES128-CBC-SHA256", 0},
	{"RSA-AES128-GCM-SHA256", stdtls.TLS_RSA_WITH_AES_128_GCM_SHA256},
	{"DHE-RSA-AES128-GCM-SHA256", 0},
	{"RSA-AES256-CBC-SHA", stdtls.TLS_RSA_WITH_AES_256_CBC_SHA},
	{"RSA-AES256-CBC-SHA256", 0},
	{"DHE-RSA-AES256-CBC-SHA", 0},
	{"DHE-RSA-AES256-CBC-SHA256", 0},
	{"ECDHE-RSA-AES128-CBC-SHA", stdtls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA},
	{"ECDHE-RSA-AES256-CBC-SHA", stdtls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA},
	{"ECDHE-RSA-AES128-CBC-SHA256", stdtls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256},
	{"ECDHE-ECDSA-AES128-CBC-SHA256", stdtls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256},
	{"ECDHE-RSA-AES128-GCM-SHA256", stdtls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
	{"ECDHE-ECDSA-AES128-GCM-SHA256", stdtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
}

// Available cuts m to what crypto/tls has: no DHE, and not bit 7.
func (m Suites) Available() Suites {
	var have Suites
	for i, s := range suites {
		if s.id != 0 {
			have |= m & (1 << i)
		}
	}
	return have
}

// IDs returns the numbers (IANA) of the available ones.
func (m Suites) IDs() []uint16 {
	var ids []uint16
	for i, s := range suites {
		if m&(1<<i) != 0 && s.id != 0 {
			ids = append(ids, s.id)
		}
	}
	return ids
}

// String lists the names, "none" for the empty set.
func (m Suites) String() string {
	var names []string
	for i, s := range suites {
		if m&(1<<i) != 0 {
			names = append(names, s.name)
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
