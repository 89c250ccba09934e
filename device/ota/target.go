package ota

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/understudy-net/understudy/bus/hif"
)

// Request says what to fetch.
type Request struct {
	URL string // http://host[:port]/path, or https
	// SNI is the name that a TLS server is told and, with the flag hif.TLSCheckSNI, whose certificate it must show; "": the
	// host of the URL. Only the flags of START_FW_UPDATE_V2 count: hif.TLSBypassX509 and hif.TLSCheckSNI.
	SNI   string
	Flags hif.TLSFlags
}

// target is a parsed URL.
type target struct {
	url    *url.URL
	secure bool
	host   string // a name, or an address in text
	port   uint16
}

var errURL = errors.New("not a URL of the form http://host[:port]/path or https://host[:port]/path")

// parseTarget reads a URL that came from the host. The text goes into a request, so nothing may be in it that ends a line [H-18].
func parseTarget(text string) (target, error) {
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c >= 0x7f {
			return target{}, fmt.Errorf("%w: the byte 0x%02x in it", errURL, c)
		}
	}
	u, err := url.Parse(text)
	if err != nil {
		return target{}, fmt.Errorf("%w: %v", errURL, err)
	}
	return newTarget(u)
}

func newTarget(u *url.URL) (target, error) {
	u.RawQuery = escaped(u.RawQuery)
	t := target{url: u, host: u.Hostname(), port: 80}
	switch {
	case u.Scheme == "https":
		t.secure, t.port = true, 443
	case u.Scheme != "http":
		return target{}, fmt.Errorf("%w: the scheme is %q", errURL, u.Scheme)
	}
	switch {
	case u.Opaque != "" || t.host == "":
		return target{}, fmt.Errorf("%w: no host", errURL)
	case strings.ContainsAny(t.host, ":%") || strings.ContainsFunc(t.host, func(r rune) bool { return r > '~' }):
		return target{}, fmt.Errorf("%w: %q is not an IPv4 address or a name", errURL, t.host)
	case u.User != nil:
		return target{}, fmt.Errorf("%w: names and passwords are not sent", errURL)
	}
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return target{}, fmt.Errorf("%w: port %s", errURL, p)
		}
		t.port = uint16(n)
	}
	return t, nil
}

// escaped escapes what a request line cannot have (RFC 9112, 3.2; RFC 3986, 3.4). Package url does so for the path only.
func escaped(query string) string {
	var b strings.Builder
	for _, c := range []byte(query) {
		if c > ' ' && c <= '~' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// addr is the host as an address, if it is one.
func (t *target) addr() (netip.Addr, bool) {
	a, err := netip.ParseAddr(t.host)
	return a, err == nil && a.Is4()
}

// Errors of redirects.
var (
	errNoLocation = errors.New("a redirect that does not say where to")
	errDowngrade  = errors.New("a redirect from https to http is not followed")
	errInward     = errors.New("a redirect to an address of the device itself or of its link is not followed")
)

// redirect is where an answer with the given Location leads. It never leads from https to http [HTTP-11], nor to any
// other scheme, nor to an address that only the device itself can mean [H-10].
func (t *target) redirect(location string) (target, error) {
	if location == "" {
		return target{}, errNoLocation
	}
	u, err := t.url.Parse(location)
	if err != nil {
		return target{}, fmt.Errorf("a redirect to nowhere: %w", err)
	}
	next, err := newTarget(u)
	switch {
	case err != nil:
		return target{}, fmt.Errorf("a redirect to nowhere: %w", err)
	case t.secure && !next.secure:
		return target{}, errDowngrade
	}
	if a, ok := next.addr(); ok && inward(a) {
		return target{}, errInward
	}
	return next, nil
}

// inward reports whether a is no address of a server: one of the device itself, of its link alone, or of many.
func inward(a netip.Addr) bool {
	return a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.As4()[0] == 0 || a == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}
