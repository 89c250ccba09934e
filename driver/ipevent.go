package driver

import (
	"time"

	"github.com/understudy-net/understudy/bus/hif"
)

// handleDHCP is DHCP_CONF: a lease, or with address 0 the loss of it. Lock held.
func (d *Driver) handleDHCP(m hif.IPConfig) {
	if d.ap.on {
		d.handleHost(m)
		return
	}
	if !d.conn.up || d.ap.late || d.ip.applied.Prefix.IsValid() {
		d.stats.Stale++
		return
	}
	old := d.ip.current.Prefix.Addr()
	a := addr4(m.IP)
	if !a.IsValid() {
		d.ip.drop()
		d.tellIP(IPEvent{Kind: IPLost, Addr: old}) // the link first, then those who used it (3.8)
		d.abortSockets(false)
		d.abortRequests()
		return
	}
	d.ip.up = true
	d.ip.current = IPConfig{
		Prefix: prefixOf(m.IP, m.Mask), Gateway: addr4(m.Gateway), DNS: addr4(m.DNS), AltDNS: addr4(m.AltDNS),
		Lease: time.Duration(m.Lease) * time.Second,
	}
	if d.ip.onDHCP != nil {
		d.postClient(func() {
			d.lock()
			fn := d.ip.onDHCP
			d.unlock()
			if fn != nil {
				fn(a)
			}
		})
	}
	d.tellIP(IPEvent{Kind: IPLeased, Addr: a})
	if old.IsValid() && old != a { // connections of the old address are void (3.8)
		d.abortSockets(false)
	}
}

func (d *Driver) handleDHCPFailure() {
	if !d.conn.up || d.ip.applied.Prefix.IsValid() {
		d.stats.Stale++
		return
	}
	d.tellIP(IPEvent{Kind: IPDHCPFailed})
}

func (d *Driver) handleConflict(m hif.IPConflict) {
	d.tellIP(IPEvent{Kind: IPConflict, Addr: addr4(m.IP)})
}

func (d *Driver) tellIP(e IPEvent) {
	d.hook(Notice{Kind: NoticeIP, IP: e})
	if d.ip.onIP == nil {
		return
	}
	d.postClient(func() {
		d.lock()
		fn := d.ip.onIP
		d.unlock()
		if fn != nil {
			fn(e)
		}
	})
}
