package device

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/stack/dhcp"
	"github.com/understudy-net/understudy/wire"
)

// softAP is the access point that a device can be instead of a station: it has the radio, the working address as its
// BSSID, and the IP host with the address of the host's choice. Spec hif-messages 2.10, 6.3.
//
//	          ENABLE_AP                  a station joins, DHCP
//	station ────────────▶ access point ◀────────────────────▶ CON_STATE_CHANGED 1, DHCP_CONF, CON_STATE_CHANGED 0
//	   ▲                        │         it leaves
//	   └────────────────────────┘
//	     DISABLE_AP
type softAP struct {
	radio    *wifi.AccessPoint
	prefix   netip.Prefix // our address
	router   netip.Addr   // these two as they are announced
	dns      netip.Addr
	server   *dhcp.Server
	stations []apStation // in order of joining
	leases   []dhcp.ServerEvent
	page     *provisioning // nil unless the user is being asked for a network
}

// apStation is a station that has joined.
type apStation struct {
	mac  wire.MAC
	addr netip.Addr // that it was leased, not valid before
	full uint64     // requests that the DHCP server had no address for when it came
}

// enableAP is ENABLE_AP, in any of its three layouts. There is no answer; what cannot be is refused without a beacon, and
// counted.
func (f *firmware) enableAP(now time.Time, r request) {
	m, err := hif.ParseAPConfig(r.payload)
	if err != nil {
		f.malformed(now, r, err.Error())
		return
	}
	if f.ap != nil || f.link.state != linkIdle {
		f.wrongMode(now, r) // one radio: driver-api 1.3
		return
	}
	switch err := f.startAP(now, m); {
	case errors.Is(err, wifi.ErrUnsupported): // WEP, which 19.7.7 refuses
		f.unsupported(now, r)
	case err != nil:
		f.malformed(now, r, err.Error())
	}
}

// wrongMode is a request that a station may make and an access point may not, or the other way round.
func (f *firmware) wrongMode(now time.Time, r request) {
	f.d.counters.WrongMode++
	f.d.trace(now, EventDropped, r.Op, r.payload, "not possible in this mode")
}

// startAP goes on the air. With an error nothing has changed.
func (f *firmware) startAP(now time.Time, m hif.APConfig) error {
	ap, err := newSoftAP(m)
	if err != nil {
		return err
	}
	pool, err := ap.pool(&f.d.profile.SoftAP)
	if err != nil {
		return err
	}
	if ap.radio, err = f.newRadio(m); err != nil {
		return err
	}
	f.giveUpWPS(now)
	f.ap = ap
	ap.radio.Start(now)
	if f.bypass.on {
		ap.server, err = dhcp.NewServer(pool) // nobody reaches it
	} else if err = f.setAPAddress(now); err == nil {
		ap.server, err = f.stack.ServeDHCP(now, pool, f.leased)
	}
	if err != nil {
		f.closeAP(now)
		return err
	}
	f.d.trace(now, EventFirmware, 0, nil, fmt.Sprintf("access point %q at %v", m.SSID, ap.prefix))
	return nil
}

func (f *firmware) newRadio(m hif.APConfig) (*wifi.AccessPoint, error) {
	if m.Channel < 1 || m.Channel > 14 || m.Security == 0 {
		return nil, fmt.Errorf("channel %d, security %v", m.Channel, m.Security)
	}
	return wifi.NewAccessPoint(wifi.APConfig{
		Air: f.d.cfg.Air, MAC: f.mac, Rand: f.d.cfg.Rand,
		SSID: m.SSID, Channel: m.Channel, Security: wifi.Security(m.Security), Passphrase: m.Key, Hidden: m.Hidden,
		MaxStations: f.d.profile.SoftAP.Stations, Elements: f.elements,
		Output: f.input, Touch: f.d.touched,
	})
}

// newSoftAP settles the addresses. Layouts without router and DNS server mean our own address for both, a mask that
// begins with 0 means 255.255.255.0 (2.10).
func newSoftAP(m hif.APConfig) (*softAP, error) {
	if m.Mask[0] == 0 {
		m.Mask = mask(24)
	}
	if [3]byte(m.IP[:]) == [3]byte{} || !contiguous(m.Mask) {
		return nil, fmt.Errorf("address %v, mask %v", netip.AddrFrom4(m.IP), netip.AddrFrom4(m.Mask))
	}
	a := &softAP{prefix: netip.PrefixFrom(netip.AddrFrom4(m.IP), maskBits(m.Mask))}
	a.router, a.dns = a.prefix.Addr(), a.prefix.Addr()
	if m.Router != ([4]byte{}) {
		a.router = netip.AddrFrom4(m.Router)
	}
	if m.DNS != ([4]byte{}) {
		a.dns = netip.AddrFrom4(m.DNS)
	}
	return a, nil
}

// pool says what the DHCP server gives out: host numbers of our /24, from 100 on unless the profile says otherwise,
// whatever the mask (driver-api 2.1). If our own address is among them it is left out: an access point at .100 that
// admits one station has nothing to give, as on the real part.
func (a *softAP) pool(p *SoftAPProfile) (dhcp.ServerConfig, error) {
	c := dhcp.ServerConfig{
		Addr: a.prefix, Router: a.router, DNS: []netip.Addr{a.dns}, LeaseTime: p.Lease,
	}
	b := a.prefix.Addr().As4()
	b[3] = byte(p.First)
	c.First = netip.AddrFrom4(b)
	c.Last = c.First
	if !a.prefix.Contains(c.First) {
		return c, fmt.Errorf("the first address to lease, %v, is outside of %v", c.First, a.prefix)
	}
	for range p.Pool - 1 {
		if b[3]++; b[3] == 255 || !a.prefix.Contains(netip.AddrFrom4(b)) {
			break
		}
		c.Last = netip.AddrFrom4(b)
	}
	return c, nil
}

// setAPAddress gives the IP host its address. As in station mode, look-ups go to the DNS server and other networks are
// behind the router, if these are not ourselves.
func (f *firmware) setAPAddress(now time.Time) error {
	a := f.ap
	own := a.prefix.Addr()
	var gateway netip.Addr
	if a.router != own && a.prefix.Contains(a.router) {
		gateway = a.router
	}
	var dns []netip.Addr
	if a.dns != own {
		dns = append(dns, a.dns)
	}
	return f.stack.SetAddrTag(now, addressTag{}, a.prefix, gateway, dns...)
}

// disableAP is DISABLE_AP: the host hears that the stations are gone, and then from its sockets.
func (f *firmware) disableAP(now time.Time, r request) {
	if f.ap == nil {
		f.wrongMode(now, r)
		return
	}
	f.stopAP(now)
}

// stopAP ends the access point as linkDown ends the association of a station. Connections are reset while there still
// are stations to tell; then these are sent away.
func (f *firmware) stopAP(now time.Time) {
	for range f.toldStations() {
		event(f.d, hif.OpStateChanged, hif.StateChanged{State: hif.Disconnected})
	}
	f.apLife++ // what is queued for the host is void
	f.abortSockets(now)
	f.closeAP(now)
}

// closeAP goes off the air without a word to the host.
func (f *firmware) closeAP(now time.Time) {
	if f.ap == nil {
		return
	}
	f.ap.page.close(now)
	f.ap.radio.Close(now)
	f.ap = nil
	f.stack.StopServingDHCP()
	f.stack.ClearAddr(now)
}

// customIE is CUST_INFO_ELEMENT: further elements of beacons and probe responses, from now on and in later access
// points; none takes them out (2.20).
func (f *firmware) customIE(now time.Time, r request) {
	m, err := hif.ParseCustomIE(r.payload)
	if err == nil && !wholeElements(m.Elements) {
		err = errElements
	}
	if err != nil {
		f.malformed(now, r, err.Error())
		return
	}
	f.elements = append([]byte(nil), m.Elements...)
	if f.ap != nil {
		if err := f.ap.radio.SetElements(f.elements); err != nil {
			f.malformed(now, r, err.Error())
		}
	}
}

var errElements = errors.New("not whole information elements")

// wholeElements reports whether b is a list of {id, length, data}.
func wholeElements(b []byte) bool {
	for len(b) >= 2 && len(b) >= 2+int(b[1]) {
		b = b[2+int(b[1]):]
	}
	return len(b) == 0
}
