package user

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

var errNotImplemented = errors.New("uplink/user: no look-up for this type")

// lookup asks r what the device asked.
func lookup(ctx context.Context, r Resolver, q question) ([]dnsmessage.Resource, dnsmessage.RCode) {
	name := q.q.Name.String()
	if strings.Count(name, ".") == 1 {
		name = strings.TrimSuffix(name, ".") // one label: the host's search list applies
	}
	found, err := lookupType(ctx, r, q.q.Type, name)
	var notFound *net.DNSError
	switch {
	case err == errNotImplemented:
		return nil, dnsmessage.RCodeNotImplemented
	case errors.As(err, &notFound) && notFound.IsNotFound:
		return nil, dnsmessage.RCodeNameError
	case err != nil:
		return nil, dnsmessage.RCodeServerFailure
	}
	return q.records(found...), dnsmessage.RCodeSuccess
}

// lookupType returns the records of one type.
func lookupType(ctx context.Context, r Resolver, t dnsmessage.Type, name string) ([]dnsmessage.ResourceBody, error) {
	switch t {
	case dnsmessage.TypeAAAA:
		return nil, nil // the virtual network has no IPv6: no such record, whatever the host knows
	case dnsmessage.TypeA, dnsmessage.TypeALL:
		addrs, err := r.LookupNetIP(ctx, "ip4", name)
		return bodies(addrs, err, addressBody)
	case dnsmessage.TypePTR:
		a, ok := reverseAddr(strings.TrimSuffix(name, "."))
		if !ok {
			return nil, &net.DNSError{Err: "no address", Name: name, IsNotFound: true}
		}
		names, err := r.LookupAddr(ctx, a.String())
		return bodies(names, err, ptr)
	case dnsmessage.TypeCNAME:
		to, err := r.LookupCNAME(ctx, name)
		if sameName(to, name) {
			return nil, err // that is how the resolver says that there is none
		}
		return bodies([]string{to}, err, cnameBody)
	case dnsmessage.TypeMX:
		mx, err := r.LookupMX(ctx, name)
		return bodies(mx, err, mxBody)
	case dnsmessage.TypeNS:
		ns, err := r.LookupNS(ctx, name)
		return bodies(ns, err, nsBody)
	case dnsmessage.TypeSRV:
		_, srv, err := r.LookupSRV(ctx, "", "", name)
		return bodies(srv, err, srvBody)
	case dnsmessage.TypeTXT:
		txt, err := r.LookupTXT(ctx, name)
		return bodies(txt, err, txtBody)
	}
	return nil, errNotImplemented
}

// bodies makes records of what a resolver returned. It leaves out what does not fit into one; if some do, an error
// was about the others.
func bodies[T any](found []T, err error, body func(T) dnsmessage.ResourceBody) (all []dnsmessage.ResourceBody, _ error) {
	for _, v := range found {
		if b := body(v); b != nil {
			all = append(all, b)
		}
	}
	if len(all) > 0 {
		err = nil
	}
	return all, err
}

func addressBody(a netip.Addr) dnsmessage.ResourceBody {
	if a = a.Unmap(); !a.Is4() {
		return nil
	}
	return &dnsmessage.AResource{A: a.As4()}
}

// ptr returns a PTR record to name; nil if that is none.
func ptr(name string) dnsmessage.ResourceBody {
	n, ok := newName(name)
	if !ok {
		return nil
	}
	return &dnsmessage.PTRResource{PTR: n}
}

func cnameBody(name string) dnsmessage.ResourceBody {
	n, ok := newName(name)
	if !ok {
		return nil
	}
	return &dnsmessage.CNAMEResource{CNAME: n}
}

func mxBody(m *net.MX) dnsmessage.ResourceBody {
	n, ok := newName(m.Host)
	if !ok {
		return nil
	}
	return &dnsmessage.MXResource{Pref: m.Pref, MX: n}
}

func nsBody(s *net.NS) dnsmessage.ResourceBody {
	n, ok := newName(s.Host)
	if !ok {
		return nil
	}
	return &dnsmessage.NSResource{NS: n}
}

func srvBody(s *net.SRV) dnsmessage.ResourceBody {
	n, ok := newName(s.Target)
	if !ok {
		return nil
	}
	return &dnsmessage.SRVResource{Priority: s.Priority, Weight: s.Weight, Port: s.Port, Target: n}
}

// txtBody cuts a text into the strings of a TXT record (RFC 1035, 3.3.14).
func txtBody(s string) dnsmessage.ResourceBody {
	var parts []string
	for len(s) > 255 {
		parts, s = append(parts, s[:255]), s[255:]
	}
	return &dnsmessage.TXTResource{TXT: append(parts, s)}
}

// newName makes an absolute name.
func newName(s string) (dnsmessage.Name, bool) {
	s = strings.TrimSuffix(s, ".")
	n, err := dnsmessage.NewName(s + ".")
	return n, err == nil && s != ""
}

func sameName(a, b string) bool {
	return strings.EqualFold(strings.TrimSuffix(a, "."), strings.TrimSuffix(b, "."))
}
