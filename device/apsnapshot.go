package device

import (
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/device/provision"
	"github.com/understudy-net/understudy/stack/dns"
	"github.com/understudy-net/understudy/wire"
)

// SoftAP is a look at the access point that a device is.
type SoftAP struct {
	Network     wifi.Network
	Router, DNS netip.Addr  // as they are announced; Snapshot.Addr is our own address
	Stations    []APStation // in order of joining
	Counters    wifi.APCounters
	Page        *Page // nil unless the user is being asked for a network
}

// Page is a look at the page of web provisioning.
type Page struct {
	Domain   string
	Conns    int // open connections
	Counters provision.Counters
	Names    dns.ServerCounters // look-ups
}

// APStation is a look at a station of the Soft-AP.
type APStation struct {
	MAC   wire.MAC
	Addr  netip.Addr // that it was leased; not valid before
	RSSI  int8
	Since time.Time // of its association
}

func (a *softAP) snapshot() *SoftAP {
	s := &SoftAP{Network: a.radio.Network(), Router: a.router, DNS: a.dns, Counters: a.radio.Counters()}
	at := map[wire.MAC]wifi.StationInfo{}
	for _, i := range a.radio.Stations() {
		at[i.MAC] = i
	}
	for _, st := range a.stations {
		i := at[st.mac]
		s.Stations = append(s.Stations, APStation{MAC: st.mac, Addr: st.addr, RSSI: i.RSSI, Since: i.Since})
	}
	if p := a.page; p != nil {
		s.Page = &Page{Domain: p.domain, Conns: p.web.Conns(), Counters: p.web.Counters(), Names: p.names.Counters()}
	}
	return s
}
