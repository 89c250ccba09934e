package provision

import (
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/understudy-net/understudy/bus/hif"
)

// The form. Networks of the list go by their SSID in hexadecimal digits, because an SSID is any bytes.
const (
	formPath     = "/join"
	fieldNetwork = "network"
	fieldSSID    = "ssid" // of a network that is not in the list
	fieldKey     = "passphrase"
	fieldName    = "name"
	otherNetwork = "other"
)

// entry is what was filled in, as it came.
type entry struct {
	network, ssid, key, name string
}

func newEntry(v url.Values) entry {
	return entry{v.Get(fieldNetwork), v.Get(fieldSSID), v.Get(fieldKey), strings.TrimSpace(v.Get(fieldName))}
}

// chosen is the SSID that is meant, and what is wrong with it.
func (e *entry) chosen() (ssid, fault string) {
	switch e.network {
	case otherNetwork:
		if ssid = e.ssid; strings.TrimSpace(ssid) == "" {
			return "", "Type the name of the network, or choose one of the list."
		}
	case "":
		if ssid = e.ssid; strings.TrimSpace(ssid) == "" {
			return "", "Choose a network."
		}
	default:
		b, err := hex.DecodeString(e.network)
		if err != nil || len(b) == 0 {
			return "", "Choose a network of the list."
		}
		ssid = string(b)
		if t := strings.TrimSpace(e.ssid); t != "" && t != ssid {
			return "", fmt.Sprintf("Which one: “%s” of the list, or “%s”, as you have typed? Choose “Another network” for that, or clear it.", printable(ssid), printable(t))
		}
	}
	switch {
	case len(ssid) > hif.MaxSSID:
		return "", fmt.Sprintf("The name of a network has at most %d bytes; this one has %d.", hif.MaxSSID, len(ssid))
	case strings.Contains(ssid, "\x00"):
		return "", "The name of the network has a character that cannot be used."
	}
	return ssid, ""
}

// judge makes a result of an entry, or says what is wrong, for the user.
func (s *Server) judge(e entry) (r Result, fault string) {
	r = Result{Passphrase: e.key, Name: e.name}
	if r.SSID, fault = e.chosen(); fault != "" {
		return r, fault
	}
	r.Security = hif.SecurityPSK
	if e.key == "" {
		r.Security = hif.SecurityOpen
	}
	if n, ok := s.network(r.SSID); ok {
		if fault = fits(n, r.Security); fault != "" {
			return r, fault
		}
	}
	if fault = keyFault(e.key); fault == "" && r.Name != "" {
		fault = nameFault(r.Name)
	}
	return r, fault
}

func (s *Server) network(ssid string) (Network, bool) {
	for _, n := range s.networks {
		if n.SSID == ssid {
			return n, true
		}
	}
	return Network{}, false
}

// fits says what is wrong if the network n is protected in another way than the entry has it.
func fits(n Network, s hif.Security) string {
	switch {
	case n.Security == s:
	case n.Security == hif.SecurityPSK:
		return fmt.Sprintf("“%s” needs a passphrase.", printable(n.SSID))
	case n.Security == hif.SecurityOpen:
		return fmt.Sprintf("“%s” is open: leave the passphrase empty.", printable(n.SSID))
	default:
		return fmt.Sprintf("“%s” is protected in a way (%v) that this device does not have.", printable(n.SSID), n.Security)
	}
	return ""
}

// keyFault says what is wrong with a passphrase (IEEE 802.11-2016, J.4.1).
func keyFault(key string) string {
	switch n := len(key); {
	case n == 0:
	case strings.ContainsFunc(key, unicode.IsControl):
		return "The passphrase has a character that cannot be used."
	case n < hif.MinPassphrase:
		return fmt.Sprintf("A passphrase has at least %d characters; this one has %d.", hif.MinPassphrase, utf8.RuneCountInString(key))
	case n > hif.PSKDigits:
		return fmt.Sprintf("A passphrase has at most %d characters.", hif.PSKDigits-1)
	case n == hif.PSKDigits:
		if _, err := hex.DecodeString(key); err != nil {
			return fmt.Sprintf("A passphrase has at most %d characters; %d have to be hexadecimal digits.", hif.PSKDigits-1, hif.PSKDigits)
		}
	}
	return ""
}

// nameFault says what is wrong with the name of the controller, which is a host name for DHCP (RFC 952, RFC 1123 2.1).
func nameFault(name string) string {
	bad := strings.ContainsFunc(name, func(r rune) bool { return !isLetterOrDigit(r) && r != '-' })
	switch {
	case len(name) > maxName:
		return fmt.Sprintf("The name of the device has at most %d characters.", maxName)
	case bad || strings.HasPrefix(name, "-") || strings.HasSuffix(name, "-"):
		return "The name of the device is made of letters, digits and hyphens, and does not begin or end with a hyphen."
	}
	return ""
}

// printable is an SSID as people can read it.
func printable(ssid string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(ssid, "\uFFFD"))
}
