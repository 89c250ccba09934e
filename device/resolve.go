package device

import (
	"net/netip"
	"slices"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/stack"
)

// maxPending bounds the look-ups, and the echoes, that run at the same time. Hosts run at most 4.
const maxPending = 16

// lookup is a DNS_RESOLVE that runs. Spec hif-messages 3.9.
type lookup struct {
	name  string
	until time.Time
}

// resolve is DNS_RESOLVE: one answer to each request, with the address 0 for "not found". Addresses in text are names
// of themselves; without an address of our own, or a server, the answer is no at once (driver-api 3.6).
func (f *firmware) resolve(now time.Time, m hif.DNSResolve) {
	if a, err := netip.ParseAddr(m.Name); err == nil && a.Is4() {
		f.answerLookup(m.Name, a)
		return
	}
	if len(f.dns) >= maxPending || !f.stack.Addr().IsValid() || len(f.stack.DNS()) == 0 {
		f.answerLookup(m.Name, netip.Addr{})
		return
	}
	l := &lookup{name: m.Name, until: now.Add(f.dnsTimeout())}
	if err := f.stack.Resolve(now, m.Name, l); err != nil {
		f.answerLookup(m.Name, netip.Addr{})
		return
	}
	f.dns = append(f.dns, l)
}

// dnsTimeout is 30 s, and less for hosts that stop waiting after 20 s and would take a late answer for the next one's.
func (f *firmware) dnsTimeout() time.Duration {
	switch t := f.d.profile.DNSTimeout; {
	case t > 0:
		return t
	case f.host < hif.V19_5_4:
		return 18 * time.Second
	}
	return dnsTimeout
}

// dnsTimeout is how long hosts wait for a name: [guide] in driver-api 3.6.
const dnsTimeout = 30 * time.Second

func (f *firmware) answerLookup(name string, a netip.Addr) {
	m := hif.DNSReply{Name: name}
	if a.Is4() {
		m.IP = a.As4()
	}
	reply(f.d, hif.OpDNSResolve, m)
}

// resolved is the end of a look-up; one that was given up before is not there any more.
func (f *firmware) resolved(now time.Time, l *lookup, e stack.Event) {
	i := slices.Index(f.dns, l)
	if i < 0 {
		return
	}
	f.dns = slices.Delete(f.dns, i, i+1)
	var a netip.Addr
	if e.Resolve.Err == nil && len(e.Resolve.Addrs) > 0 {
		a = e.Resolve.Addrs[0]
	}
	f.answerLookup(l.name, a)
}

func (f *firmware) expireLookups(now time.Time) {
	for i := 0; i < len(f.dns); {
		if l := f.dns[i]; due(l.until, now) {
			f.dns = slices.Delete(f.dns, i, i+1)
			f.stack.CancelResolve(now, l)
			f.answerLookup(l.name, netip.Addr{})
		} else {
			i++
		}
	}
}

func (f *firmware) nextLookup() time.Time {
	var t time.Time
	for _, l := range f.dns {
		t = earlier(t, l.until)
	}
	return t
}

// failLookups ends all, because the link or the address is gone.
func (f *firmware) failLookups(now time.Time) {
	for _, l := range f.dns {
		f.stack.CancelResolve(now, l)
		f.answerLookup(l.name, netip.Addr{})
	}
	f.dns = nil
}
