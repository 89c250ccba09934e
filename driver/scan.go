package driver

import (
	"fmt"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
)

// ScanReq says what to look for. The zero value is an active scan of all
// channels.
type ScanReq struct {
	Channel Channel
	Passive bool     // listen for beacons only; not together with SSIDs
	SSIDs   []string // hidden networks to ask for by name; the first 4 are used
}

// ScanResult is one access point.
type ScanResult struct {
	SSID    string // empty: hidden
	BSSID   MAC
	Channel Channel
	RSSI    int8 // dBm
	Auth    AuthType
}

// scanState is guarded by the driver's lock.
type scanState struct {
	params  ScanParams
	rssi    int8 // threshold of fast reconnect, dBm
	running bool
	count   int   // networks that the last scan found
	next    int   // index of the next result to ask for
	err     error // the last scan failed
	asking  bool  // a result was asked for
	result  ScanResult
	has     bool // result is valid
	fn      func(i, n int, r *ScanResult) bool
}

var defaultScan = scanState{
	params: ScanParams{Slots: 2, Active: 30 * time.Millisecond, Passive: 300 * time.Millisecond, Probes: 2},
	rssi:   -45,
}

// Scan looks for networks. When it is done, fn is called with the first result,
// its number from 1 and the number of results, and again with the next as long
// as it returns true; with (0, 0, nil) if there is none or the scan failed,
// which ScanResult then tells. fn may be nil: then ScanCount, ScanResult and
// ScanNext serve. Errors: ErrInvalid for a channel, an SSID longer than 32
// bytes or names in a passive scan, ErrScanBusy, ErrRequest for parameters out
// of range or if not sendable, ErrMode as a Soft-AP. It stands for WDRV_WINC_BSSFindFirst.
func (c *Client) Scan(q ScanReq, fn func(i, n int, r *ScanResult) bool) error {
	// Values come before "not open" here (spec/driver-api.md 2.5).
	if !c.valid() {
		return ErrInvalid
	}
	if err := q.valid(); err != nil {
		return err
	}
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	switch {
	case d.scan.running:
		return ErrScanBusy
	case d.ap.on: // it has the radio
		return ErrMode
	}
	if err := d.sendScan(q); err != nil {
		return err
	}
	d.scan.running, d.scan.has, d.scan.asking = true, false, false
	d.scan.count, d.scan.next, d.scan.err, d.scan.fn = 0, 0, nil, fn
	return nil
}

func (q ScanReq) valid() error {
	if !q.Channel.valid() {
		return fmt.Errorf("%w: channel %d", ErrInvalid, q.Channel)
	}
	if q.Passive && len(q.SSIDs) > 0 {
		return fmt.Errorf("%w: a passive scan cannot ask for names", ErrInvalid)
	}
	for _, s := range q.SSIDs {
		if len(s) > hif.MaxSSID {
			return fmt.Errorf("%w: an SSID of %d bytes", ErrInvalid, len(s))
		}
	}
	return nil
}

// sendScan sends the parameters, whose ranges the device's interface demands,
// and the request. Lock held.
func (d *Driver) sendScan(q ScanReq) error {
	p := d.scan.params
	active, passive := p.Active.Milliseconds(), p.Passive.Milliseconds()
	if active < 10 || active > 250 || p.Probes < 1 || p.Probes > 2 || passive < 1 || passive > 0xffff || d.scan.rssi >= 0 {
		return fmt.Errorf("%w: scan parameters out of range: %+v", ErrRequest, p)
	}
	err := send(d, hif.OpSetScanOption, hif.ScanOption{
		Slots: p.Slots, SlotTime: uint8(active), Probes: p.Probes, RSSIThreshold: d.scan.rssi,
	})
	if err != nil {
		return err
	}
	s := hif.Scan{Channel: q.Channel.wire(), PassiveTime: uint16(passive)}
	switch {
	case q.Passive:
		return send(d, hif.OpPassiveScan, s)
	case len(q.SSIDs) > 0:
		return d.sendData(hif.OpScanSSIDList, hif.ScanSSIDList{Scan: s, SSIDs: q.SSIDs})
	}
	return send(d, hif.OpScan, s)
}

// ScanNext asks for the next result; fn replaces the function of Scan. Errors:
// ErrScanBusy, ErrScanEnd when there is none, ErrBus. It stands for
// WDRV_WINC_BSSFindNext.
func (c *Client) ScanNext(fn func(i, n int, r *ScanResult) bool) error { return c.scanAsk(false, fn) }

// ScanReset is ScanNext that begins again with the first result. It stands for
// WDRV_WINC_BSSFindReset.
func (c *Client) ScanReset(fn func(i, n int, r *ScanResult) bool) error { return c.scanAsk(true, fn) }

func (c *Client) scanAsk(reset bool, fn func(i, n int, r *ScanResult) bool) error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	s := &d.scan
	next := s.next
	if reset {
		next = 0
	}
	switch {
	case s.running || s.asking:
		return ErrScanBusy
	case next >= s.count:
		return ErrScanEnd
	}
	if err := d.askResult(next); err != nil {
		return err
	}
	s.fn = fn
	return nil
}

// askResult requests the result at index i. Lock held.
func (d *Driver) askResult(i int) error {
	if err := send(d, hif.OpGetScanResult, hif.GetScanResult{Index: uint8(i)}); err != nil {
		return err
	}
	d.scan.next, d.scan.asking = i, true
	return nil
}

// ScanResult is the result that was fetched last: ErrNoBSS until there is one,
// the scan's error if it failed. It stands for WDRV_WINC_BSSFindGetInfo.
func (c *Client) ScanResult() (ScanResult, error) {
	d, err := c.enter()
	if err != nil {
		return ScanResult{}, err
	}
	defer d.unlock()
	switch {
	case d.scan.err != nil:
		return ScanResult{}, d.scan.err
	case !d.scan.has:
		return ScanResult{}, ErrNoBSS
	}
	return d.scan.result, nil
}

// ScanCount is the number of networks that the last scan found, 0 while one
// runs. It stands for WDRV_WINC_BSSFindGetNumBSSResults.
func (c *Client) ScanCount() int {
	d, ok := c.peek()
	if !ok {
		return 0
	}
	defer d.unlock()
	return d.scan.count
}

// Scanning says whether a scan runs. It stands for WDRV_WINC_BSSFindInProgress.
func (c *Client) Scanning() bool {
	d, ok := c.peek()
	if !ok {
		return false
	}
	defer d.unlock()
	return d.scan.running
}
