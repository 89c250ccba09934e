package device

import (
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/stack/dhcp"
	"github.com/understudy-net/understudy/wire"
)

// What a Soft-AP tells its host of its stations, and answers to what it asks about them.

// maxLeases bounds the leases that wait to be told, which is done at the end of each call of the device.
const maxLeases = 64

// toldStations is how many stations the host believes to be here: news of others is still queued.
func (f *firmware) toldStations() int {
	n := len(f.ap.stations)
	o := &f.d.out
	for i := range o.n {
		e := &o.queue[(o.head+i)%len(o.queue)]
		if e.kind != entryStation || e.gen != f.apLife || e.op != hif.OpStateChanged {
			continue
		}
		if m, err := hif.ParseStateChanged(e.buf[:e.len]); err == nil && m.State == hif.Connected {
			n--
		} else {
			n++
		}
	}
	return n
}

// stationNews queues news about a station, which are void when the access point stops before they are posted: a host
// that has stopped it may have gone on to join a network, and would take them for news of that.
func stationNews[P hif.Payload](f *firmware, op hif.Op, m P) {
	e := f.d.out.push(maxQueue)
	if e == nil {
		f.d.counters.RepliesLost++
		return
	}
	e.kind, e.op, e.gen = entryStation, op, f.apLife
	e.len = len(m.Append(e.buf[:0]))
}

// drainAP handles the next piece of news of the access point: who came and went first, since an address is only given to
// those who are here.
func (f *firmware) drainAP(now time.Time) bool {
	a := f.ap
	if a == nil {
		return false
	}
	if e, ok := a.radio.NextEvent(); ok {
		switch e.Kind {
		case wifi.StationJoined:
			a.stations = append(a.stations, apStation{mac: e.MAC, full: a.server.Counters().Exhausted})
			stationNews(f, hif.OpStateChanged, hif.StateChanged{State: hif.Connected})
		case wifi.StationLeft:
			f.stationLeft(now, e.MAC)
		}
		return true
	}
	if len(a.leases) == 0 {
		return a.page != nil && f.drainPage(now)
	}
	e := a.leases[0]
	a.leases = append(a.leases[:0], a.leases[1:]...)
	f.reportStation(e)
	return true
}

// apDeadline is past while there are leases to tell.
func (f *firmware) apDeadline() time.Time {
	switch {
	case f.ap == nil:
		return time.Time{}
	case len(f.ap.leases) > 0:
		return f.d.seen
	case f.ap.page != nil:
		return earlier(f.ap.radio.Deadline(), f.ap.page.web.Deadline())
	}
	return f.ap.radio.Deadline()
}

// stationLeft ends what the station had: its place, its lease, its connections. Listeners and datagram sockets go on
// (driver-api 3.8).
func (f *firmware) stationLeft(now time.Time, mac wire.MAC) {
	a := f.ap
	for i := range a.stations {
		if a.stations[i].mac == mac {
			a.stations = append(a.stations[:i], a.stations[i+1:]...)
			break
		}
	}
	a.server.Leave(now, mac)
	stationNews(f, hif.OpStateChanged, hif.StateChanged{State: hif.Disconnected})
	f.abortWith(now, f.hostsAt(mac))
}

// hostsAt returns a test for addresses that are behind a station that has left. When it was the last one all are.
func (f *firmware) hostsAt(mac wire.MAC) func(netip.Addr) bool {
	if len(f.ap.stations) == 0 {
		return func(netip.Addr) bool { return true }
	}
	hosts := map[netip.Addr]bool{}
	for _, l := range f.ap.server.Leases() {
		hosts[l.Addr] = l.MAC == mac
	}
	for _, n := range f.stack.Neighbors() {
		hosts[n.Addr] = n.MAC == mac
	}
	return func(a netip.Addr) bool { return hosts[a] }
}

// abortWith ends the connections with peers of which gone is true.
func (f *firmware) abortWith(now time.Time, gone func(netip.Addr) bool) {
	for i := range f.sockets[:f.limits.tcp] {
		s := &f.sockets[i]
		if (s.state == sockConnected || s.state == sockConnecting) && gone(s.remote.Addr()) {
			s.linkLost(now)
		}
	}
	for i := len(f.lingering) - 1; i >= 0; i-- {
		if l := f.lingering[i]; gone(l.tcp.RemoteAddr().Addr()) {
			l.end(now, true)
		}
	}
}

// leased hears of each lease from the IP host, from within it: so it only takes notes.
func (f *firmware) leased(now time.Time, e dhcp.ServerEvent) {
	if len(f.ap.leases) < maxLeases {
		f.ap.leases = append(f.ap.leases, e)
	}
}

// reportStation is DHCP_CONF with the address of a station (2.6). Hosts before 19.5.4 do not hear of renewals, as in
// station mode.
func (f *firmware) reportStation(e dhcp.ServerEvent) {
	a := f.ap
	for i := range a.stations {
		if a.stations[i].mac == e.Lease.MAC {
			a.stations[i].addr = e.Lease.Addr
		}
	}
	if e.Renewed && f.host < hif.V19_5_4 {
		return
	}
	stationNews(f, hif.OpDHCPConf, hif.IPConfig{
		Size: hif.IPConfigSize(f.host), IP: e.Lease.Addr.As4(), Mask: mask(a.prefix.Bits()),
		Gateway: a.router.As4(), DNS: a.dns.As4(), Lease: uint32(f.d.profile.SoftAP.Lease / time.Second),
	})
}

// lastStation is the station that the host asks about: there is one, or it is the one that joined last.
func (f *firmware) lastStation() (apStation, int8, bool) {
	if f.ap == nil || len(f.ap.stations) == 0 {
		return apStation{}, 0, false
	}
	s := f.ap.stations[len(f.ap.stations)-1]
	for _, i := range f.ap.radio.Stations() {
		if i.MAC == s.mac {
			return s, min(i.RSSI, -1), true
		}
	}
	return s, -1, true
}

// apConnInfo is GET_CONN_INFO of an access point: no SSID, and the station (2.9).
func (f *firmware) apConnInfo() hif.ConnInfo {
	s, rssi, ok := f.lastStation()
	if !ok {
		return hif.ConnInfo{}
	}
	n := f.ap.radio.Network()
	m := hif.ConnInfo{Security: hif.Security(n.Security), MAC: s.mac, RSSI: rssi, Channel: n.Channel}
	if s.addr.Is4() {
		m.IP = s.addr.As4()
	}
	return m
}

// apAddressEvent is about our address as an access point: only that another host uses it is news (2.6).
func (f *firmware) apAddressEvent(e stack.Event) {
	if e.Flags.Has(stack.Conflict) {
		event(f.d, hif.OpIPConflict, hif.IPConflict{IP: e.Address.Prefix.Addr().As4()})
	}
}
