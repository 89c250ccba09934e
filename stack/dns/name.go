package dns

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// Port is where DNS servers listen.
const Port = 53

// Bounds of names (RFC 1035, 2.3.4), without the trailing dot.
const (
	maxName  = 253
	maxLabel = 63
)

// literal returns the address that a numeric name is. Such a name never goes to a server.
func literal(name string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(strings.TrimSuffix(name, "."))
	return a, err == nil && a.Is4()
}

// validName reports whether name can be asked for: labels of 1 to 63 letters, digits, hyphens
// and underscores, at most 253 bytes in all, the last label not a number (RFC 1123, 2.1). One
// dot may stand at the end.
func validName(name string) bool {
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > maxName {
		return false
	}
	for {
		label, rest, more := strings.Cut(name, ".")
		if !validLabel(label) || !more && isNumber(label) {
			return false
		}
		if !more {
			return true
		}
		name = rest
	}
}

// reverseAddr returns the address whose name is asked for with name, of in-addr.arpa (RFC 1035, 3.5), in the form of [text].
func reverseAddr(name string) (netip.Addr, bool) {
	reversed, ok := strings.CutSuffix(name, ".in-addr.arpa")
	a, err := netip.ParseAddr(reversed) // four numbers with dots, only the other way round
	if !ok || err != nil || !a.Is4() {
		return netip.Addr{}, false
	}
	b := a.As4()
	slices.Reverse(b[:])
	return netip.AddrFrom4(b), true
}

func validLabel(label string) bool {
	if label == "" || len(label) > maxLabel {
		return false
	}
	for _, c := range []byte(label) {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

func isNumber(label string) bool {
	return strings.Trim(label, "0123456789") == ""
}

// canonical returns a valid name in lower case without the dot at its end.
func canonical(name string) string {
	return strings.ToLower(strings.TrimSuffix(name, "."))
}

// text returns a name of a message in lower case without the dot at its end; the root is empty.
func text(n *dnsmessage.Name) string {
	return canonical(string(n.Data[:n.Length]))
}

// equalFold reports whether two names are the same. Case counts in ASCII only, all other bytes as they are (RFC 4343).
func equalFold(a, b *dnsmessage.Name) bool {
	if a.Length != b.Length {
		return false
	}
	for i := range a.Data[:a.Length] {
		if lower(a.Data[i]) != lower(b.Data[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// quote makes a name fit to be printed, whatever bytes it has.
func quote(name string) string {
	if len(name) > maxName+1 {
		name = name[:maxName+1]
	}
	return strconv.Quote(name)
}
