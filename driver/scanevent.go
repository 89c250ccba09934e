package driver

import (
	"fmt"

	"github.com/understudy-net/understudy/bus/hif"
)

// handleScanDone asks for the first result, or reports that there is none.
// Lock held.
func (d *Driver) handleScanDone(m hif.ScanDone) {
	s := &d.scan
	if !s.running {
		d.stats.Stale++
		return
	}
	s.running, s.count = false, int(m.Count)
	if m.State != 0 {
		s.count, s.err = 0, fmt.Errorf("%w: the scan failed with code %d", ErrRequest, m.State)
	}
	if s.count > 0 {
		if err := d.askResult(0); err != nil {
			s.count, s.err = 0, err
		}
	}
	d.hook(Notice{Kind: NoticeScanDone, N: s.count, Err: s.err})
	if s.count == 0 {
		d.scanned(0, nil)
	}
}

// handleScanResult caches the result and delivers it. Lock held.
func (d *Driver) handleScanResult(m hif.ScanResult) {
	s := &d.scan
	if !s.asking || int(m.Index) != s.next {
		d.stats.Stale++
		return
	}
	s.asking, s.has = false, true
	s.next++
	s.result = ScanResult{
		SSID: m.SSID, BSSID: m.BSSID, Channel: Channel(m.Channel), RSSI: m.RSSI, Auth: AuthType(m.Security),
	}
	d.hook(Notice{Kind: NoticeScanResult, N: s.next, Scan: s.result})
	r := s.result
	d.scanned(s.next, &r)
}

// scanned calls the function of the scan in its turn; if it wants more, the
// next result is asked for, else its slot is cleared. Lock held.
func (d *Driver) scanned(i int, r *ScanResult) {
	fn, n := d.scan.fn, d.scan.count
	if fn == nil {
		return
	}
	d.postClient(func() {
		more := fn(i, n, r)
		d.lock()
		defer d.unlock()
		s := &d.scan
		if s.running || s.asking { // fn has begun something else
			return
		}
		if !more || r == nil || s.next >= s.count || d.askResult(s.next) != nil {
			s.fn = nil
		}
	})
}
