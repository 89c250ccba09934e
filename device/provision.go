package device

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/device/provision"
	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/stack/dns"
)

// provisioning is what a Soft-AP has besides while its user is asked for a network: a DNS server that knows the page, and
// the page. Spec hif-messages 2.16, driver-api 2.3. None of the host's sockets are used for it.
//
//	          START_PROVISION_MODE         the form is submitted
//	station ───────────────────▶ access point ─────────────────▶ station, PROVISION_INFO
//	   ▲                            with page
//	   └───────────────────────────────┘
//	          STOP_PROVISION_MODE
type provisioning struct {
	domain string
	web    *provision.Server
	lis    stack.Listener
	names  dns.Server
	udp    stack.UDP
}

// Tags of the events of the two servers; those of connections have their *provision.Conn.
type (
	pageTag  struct{}
	namesTag struct{}
)

// namesTTL is short: when the device has gone, the names lead elsewhere.
const namesTTL = 5 * time.Second

// startProvision is START_PROVISION_MODE, in any of its three layouts. A host waits for the outcome, so what cannot be ends
// with PROVISION_INFO that says "failed". Only in the wrong mode nothing is said, since there the host may be waiting for the
// outcome of an earlier request.
func (f *firmware) startProvision(now time.Time, r request) {
	m, err := hif.ParseProvision(r.payload)
	if err == nil {
		if f.ap != nil || f.link.state != linkIdle {
			f.wrongMode(now, r)
			return
		}
		if err = errBypass; !f.bypass.on { // the page needs the IP host
			err = f.startPage(now, m)
		}
	}
	if err != nil {
		f.malformed(now, r, err.Error())
		event(f.d, hif.OpProvisionInfo, hif.ProvisionInfo{Status: provisionFailed})
	}
}

// provisionFailed is any status but 0.
const provisionFailed = 1

// startPage goes on the air and serves the page. With an error nothing has changed.
func (f *firmware) startPage(now time.Time, m hif.Provision) error {
	domain, err := pageName(m.Domain)
	if err != nil {
		return err
	}
	if err := f.startAP(now, m.AP); err != nil {
		return err
	}
	p := &provisioning{domain: domain}
	f.ap.page = p
	if err := f.openPage(now, p, m.Redirect); err != nil {
		f.closeAP(now)
		return err
	}
	f.d.trace(now, EventFirmware, 0, nil, fmt.Sprintf("provisioning at http://%s/", domain))
	return nil
}

// pageName takes a leading "http://" off. A name with "https://" would want the page over TLS, for a name of which nobody
// has a certificate that a browser believes.
func pageName(s string) (string, error) {
	s = strings.TrimSuffix(strings.TrimPrefix(s, "http://"), "/")
	if strings.HasPrefix(s, "https://") {
		return "", fmt.Errorf("%s: the page of provisioning is served in clear only", s)
	}
	return s, nil
}

// openPage opens both servers.
func (f *firmware) openPage(now time.Time, p *provisioning, redirect bool) (err error) {
	own := f.ap.prefix.Addr()
	p.web, err = provision.New(provision.Config{Domain: p.domain, Addr: own, Redirect: redirect, Name: f.name})
	if err == nil {
		err = p.names.Set(p.domain, namesTTL, own)
	}
	if err == nil && redirect {
		err = p.names.SetAny(namesTTL, own)
	}
	if err == nil {
		p.udp, err = f.stack.ListenUDP(now, netip.AddrPortFrom(own, dns.Port), stack.UDPConfig{Tag: namesTag{}})
	}
	if err == nil {
		p.lis, err = f.stack.Listen(now, netip.AddrPortFrom(own, provision.Port), stack.ListenConfig{Backlog: provision.MaxConns, Tag: pageTag{}})
	}
	return err
}

// close ends both servers; those that were not opened do not mind.
func (p *provisioning) close(now time.Time) {
	if p == nil {
		return
	}
	if p.web != nil {
		p.web.Close(now)
	}
	_ = p.lis.Close(now)
	_ = p.udp.Close(now)
}

// stopProvision is STOP_PROVISION_MODE.
func (f *firmware) stopProvision(now time.Time, r request) {
	if f.ap == nil || f.ap.page == nil {
		f.wrongMode(now, r)
		return
	}
	f.stopAP(now)
}

// pageEvent is a connection for the page.
func (f *firmware) pageEvent(now time.Time) {
	if f.ap == nil || f.ap.page == nil {
		return
	}
	p := f.ap.page
	for {
		c, err := p.lis.Accept(now)
		if err != nil {
			return
		}
		if k := p.web.Accept(now, c); k != nil && c.Valid() {
			c.SetTag(k) // an event follows for what has come already
		}
	}
}

// namesEvent answers look-ups.
func (f *firmware) namesEvent(now time.Time) {
	if f.ap == nil || f.ap.page == nil {
		return
	}
	p := f.ap.page
	var query [512]byte
	for {
		n, from, err := p.udp.ReadFrom(now, query[:])
		if err != nil {
			return
		}
		if reply, ok := p.names.Reply(nil, query[:n]); ok {
			_, _ = p.udp.WriteTo(now, reply, from) // lost datagrams are asked for again
		}
	}
}

// drainPage does what the page wants: a scan, or an end.
func (f *firmware) drainPage(now time.Time) bool {
	p := f.ap.page
	if p.web.ScanWanted() {
		f.scanForPage(now)
		return true
	}
	r, ok := p.web.Result()
	if !ok {
		return false
	}
	if r.Name != "" {
		f.setName(r.Name)
	}
	f.d.trace(now, EventFirmware, 0, nil, fmt.Sprintf("the user has chosen %q", r.SSID))
	// The access point goes first: a host connects from within its callback, and must not be told any more of stations then.
	f.stopAP(now)
	event(f.d, hif.OpProvisionInfo, hif.ProvisionInfo{SSID: r.SSID, Passphrase: r.Passphrase, Security: r.Security})
	return true
}

// pageScan listens for a little more than a beacon interval on each channel. It sends nothing: the access point goes on.
var pageScan = wifi.ScanParams{Passive: true, SlotTime: 120 * time.Millisecond}

// scanForPage looks for networks. One of the host's that still runs will do.
func (f *firmware) scanForPage(now time.Time) {
	if f.scan.page || f.scan.waiting > 0 {
		return
	}
	p := pageScan
	p.Channels = f.scan.region
	if err := f.sta.Scan(now, p); err != nil {
		f.ap.page.web.SetNetworks(now, nil)
		return
	}
	f.scan.page = true
}

// pageNetworks gives the page what a scan has found.
func (f *firmware) pageNetworks(now time.Time, found []wifi.Network) {
	if f.ap == nil || f.ap.page == nil {
		return
	}
	var list []provision.Network
	for _, n := range found {
		if n.BSSID != f.mac { // that is ourselves
			list = append(list, provision.Network{SSID: n.SSID, RSSI: n.RSSI, Security: hif.Security(n.Security)})
		}
	}
	f.ap.page.web.SetNetworks(now, list)
}
