package user

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/understudy-net/understudy/stack/dns"
)

// lookup asks the host's resolver, which knows its hosts file, its servers and its cache. It runs on a goroutine.
func (u *Uplink) lookup(q dns.Query) {
	ctx, cancel := context.WithTimeout(u.ctx, u.c.DNSTimeout)
	defer cancel()
	records, err := lookup(ctx, u.c.Resolver, q)
	now := u.lock()
	defer u.unlock()
	if !u.closed {
		u.dns.Answer(now, q.ID, records, answerTTL, err)
		u.pumpDNS(now)
	}
}

// lookup asks r what a device asked.
func lookup(ctx context.Context, r Resolver, q dns.Query) ([]dnsmessage.ResourceBody, error) {
	name := q.Name
	if strings.Contains(name, ".") {
		name += "." // the host's search list applies to single labels only
	}
	records, err := lookupType(ctx, r, q, name)
	var failed *net.DNSError
	if errors.As(err, &failed) && failed.IsNotFound {
		err = dns.ErrNotFound
	}
	return records, err
}

// lookupType returns the records of one type.
func lookupType(ctx context.Context, r Resolver, q dns.Query, name string) ([]dnsmessage.ResourceBody, error) {
	switch q.Type {
	case dnsmessage.TypeA, dnsmessage.TypeALL:
		addrs, err := r.LookupNetIP(ctx, "ip4", name)
		return bodies(addrs, err, addressBody)
	case dnsmessage.TypePTR:
		if !q.Addr.IsValid() {
			return nil, dns.ErrNotFound // the resolver looks names of addresses up, no others
		}
		names, err := r.LookupAddr(ctx, q.Addr.String())
		return bodies(names, err, ptrBody)
	case dnsmessage.TypeCNAME:
		to, err := r.LookupCNAME(ctx, name)
		if strings.EqualFold(strings.TrimSuffix(to, "."), q.Name) {
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
	return nil, fmt.Errorf("uplink/user: no look-up for %v", q.Type)
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

func ptrBody(name string) dnsmessage.ResourceBody {
	return named(name, func(n dnsmessage.Name) dnsmessage.ResourceBody { return &dnsmessage.PTRResource{PTR: n} })
}

func cnameBody(name string) dnsmessage.ResourceBody {
	return named(name, func(n dnsmessage.Name) dnsmessage.ResourceBody { return &dnsmessage.CNAMEResource{CNAME: n} })
}

func nsBody(s *net.NS) dnsmessage.ResourceBody {
	return named(s.Host, func(n dnsmessage.Name) dnsmessage.ResourceBody { return &dnsmessage.NSResource{NS: n} })
}

func mxBody(m *net.MX) dnsmessage.ResourceBody {
	return named(m.Host, func(n dnsmessage.Name) dnsmessage.ResourceBody { return &dnsmessage.MXResource{Pref: m.Pref, MX: n} })
}

func srvBody(s *net.SRV) dnsmessage.ResourceBody {
	return named(s.Target, func(n dnsmessage.Name) dnsmessage.ResourceBody {
		return &dnsmessage.SRVResource{Priority: s.Priority, Weight: s.Weight, Port: s.Port, Target: n}
	})
}

// named returns the record that body makes of a name; nil if no message can hold that.
func named(s string, body func(dnsmessage.Name) dnsmessage.ResourceBody) dnsmessage.ResourceBody {
	s = strings.TrimSuffix(s, ".")
	n, err := dnsmessage.NewName(s + ".")
	if err != nil || s == "" {
		return nil
	}
	return body(n)
}

// txtBody cuts a text into the strings of a TXT record (RFC 1035, 3.3.14).
func txtBody(s string) dnsmessage.ResourceBody {
	var parts []string
	for len(s) > 255 {
		parts, s = append(parts, s[:255]), s[255:]
	}
	return &dnsmessage.TXTResource{TXT: append(parts, s)}
}
