package driver

import (
	"time"

	"github.com/understudy-net/understudy/bus/hif"
)

// ScanParams are the timings of scans; zero leaves a value unchanged. The
// ranges are checked by the next Scan.
type ScanParams struct {
	Slots   uint8         // per channel, at least 1; default 2
	Active  time.Duration // of a slot in an active scan, 10 to 250 ms; default 30 ms
	Passive time.Duration // on a channel in a passive scan; default 300 ms
	Probes  uint8         // per slot, 1 or 2; default 2
}

// ScanMatch says when a scan ends.
type ScanMatch uint8

// The modes.
const (
	ScanAll   ScanMatch = 0 // find all networks
	ScanFirst ScanMatch = 1 // stop at the first
)

// SetScan sets the timings of later scans. It stands for
// WDRV_WINC_BSSFindSetScanParameters.
func (c *Client) SetScan(p ScanParams) error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	s := &d.scan.params
	if p.Slots != 0 {
		s.Slots = p.Slots
	}
	if p.Active != 0 {
		s.Active = p.Active
	}
	if p.Passive != 0 {
		s.Passive = p.Passive
	}
	if p.Probes != 0 {
		s.Probes = p.Probes
	}
	return nil
}

// SetScanRSSI sets the signal, in dBm and negative, above which a reconnect
// takes the network it knew without a full scan; default -45. The range is
// checked by the next Scan. It stands for WDRV_WINC_BSSFindSetRSSIThreshold.
func (c *Client) SetScanRSSI(dBm int8) error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	d.scan.rssi = dBm
	return nil
}

// Channel masks for SetChannels.
const (
	ChannelsNorthAmerica uint16 = hif.RegionNorthAmerica
	ChannelsEurope       uint16 = hif.RegionEurope
	ChannelsAsia         uint16 = hif.RegionAsia
)

// SetChannels allows the channels of mask, bit n-1 for channel n. It stands for
// WDRV_WINC_BSSFindSetEnabledChannels.
func (c *Client) SetChannels(mask uint16) error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	return send(d, hif.OpSetScanRegion, hif.ScanRegion{Mask: mask})
}

// SetScanMatch says when scans end, until the device is reset. It stands for
// WDRV_WINC_BSSFindSetScanMatchMode.
func (c *Client) SetScanMatch(m ScanMatch) error {
	if !c.valid() || m > ScanFirst {
		return ErrInvalid
	}
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	return send(d, hif.OpSetStopScan, hif.Setting{Value: uint8(m)})
}
