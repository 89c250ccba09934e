package device

import (
	"errors"
	"slices"
	"time"

	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/device/flash"
)

// storedNetwork is what DEFAULT_CONNECT needs. The list lies in the flash (region of connection parameters, format of
// package flash); the device keeps a copy, which is all there is on a flash without the region.
type storedNetwork struct {
	params wifi.JoinParams
}

// loadNetworks reads the list when firmware starts: a host may have written the flash before.
func (d *Device) loadNetworks() {
	list, err := d.flash.F.Networks()
	if errors.Is(err, flash.ErrNoRegion) {
		return
	}
	d.stored = nil
	for _, n := range list {
		d.stored = append(d.stored, storedNetwork{wifi.JoinParams{
			SSID: n.SSID, BSSID: n.BSSID, Channel: n.Channel, Security: wifi.Security(n.Security), Passphrase: n.Passphrase,
		}})
	}
}

// saveNetworks writes the list. A storage that fails is said by Snapshot; the list then lasts until the next start.
func (d *Device) saveNetworks(now time.Time) {
	list := make([]flash.Network, len(d.stored))
	for i, s := range d.stored {
		p := s.params
		list[i] = flash.Network{
			SSID: p.SSID, BSSID: p.BSSID, Channel: p.Channel, Security: uint8(p.Security), Passphrase: p.Passphrase,
		}
	}
	if err := d.flash.F.SetNetworks(list); err != nil && !errors.Is(err, flash.ErrNoRegion) {
		d.trace(now, EventFlash, 0, nil, err.Error())
	}
}

// remember keeps credentials that have worked, the newest first.
func (f *firmware) remember(now time.Time, p wifi.JoinParams) {
	d := f.d
	p.Channels = 0
	if len(d.stored) > 0 && d.stored[0].params == p {
		return // nothing new: spare the flash
	}
	d.stored = slices.DeleteFunc(d.stored, func(s storedNetwork) bool { return s.params.SSID == p.SSID })
	d.stored = slices.Insert(d.stored, 0, storedNetwork{p})
	if n := d.profile.StoredNets; len(d.stored) > n {
		d.stored = d.stored[:n]
	}
	d.saveNetworks(now)
}

// deleteStored is DELETE_APID: forget one network, or all (2.14).
func (f *firmware) deleteStored(now time.Time, m hif.DeleteAPID) {
	d, n := f.d, len(f.d.stored)
	d.stored = slices.DeleteFunc(d.stored, func(s storedNetwork) bool { return m.All || s.params.SSID == m.SSID })
	var answer hif.DeleteAPIDReply
	switch {
	case len(d.stored) != n:
		d.saveNetworks(now)
	case !m.All:
		answer.Error = errFail
	}
	reply(d, hif.OpDeleteAPID, answer)
}

// errFail is the general error of the host's driver (hif-messages 1.8).
const errFail = -12
