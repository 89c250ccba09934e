package device

import (
	"time"

	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/bus/hif"
)

// scanState is the scan that runs, the last results and the settings. Spec hif-messages 2.8.
type scanState struct {
	waiting     int             // requests that SCAN_DONE is due for
	page        bool            // the scan that runs is for the page of provisioning
	next        wifi.ScanParams // of the request that waits for the end of it
	results     []wifi.Network
	option      hif.ScanOption
	region      uint16 // bit n-1 allows channel n; 0 allows all
	stopAtFirst bool
}

// scanRequest is SCAN, PASSIVE_SCAN and SCAN_SSID_LIST. Each is answered with SCAN_DONE, because hosts start no other
// before [HM-09]; one that comes while another runs is answered with it.
func (f *firmware) scanRequest(now time.Time, r request) {
	p := wifi.ScanParams{
		Channels:    f.scan.region,
		Passive:     r.Op == hif.OpPassiveScan,
		StopAtFirst: f.scan.stopAtFirst,
	}
	m, err := hif.ParseScan(r.payload)
	if err == nil && r.Op == hif.OpScanSSIDList {
		var list hif.ScanSSIDList
		list, err = hif.ParseScanSSIDList(r.payload)
		p.SSIDs = list.SSIDs
	}
	if err != nil {
		f.malformed(now, r, err.Error())
		f.scanFailed()
		return
	}
	p.Channel = m.Channel
	if p.Passive {
		p.SlotTime = min(time.Duration(m.PassiveTime)*time.Millisecond, maxPassiveTime)
	} else {
		o := f.scan.option
		p.Slots, p.Probes, p.SlotTime = int(o.Slots), int(o.Probes), time.Duration(o.SlotTime)*time.Millisecond
	}
	f.startScan(now, p)
}

// maxPassiveTime is the longest stay on a channel.
const maxPassiveTime = 2 * time.Second

func (f *firmware) startScan(now time.Time, p wifi.ScanParams) {
	if f.scan.waiting > 0 {
		f.scan.waiting++
		return
	}
	if f.scan.page && f.ap == nil { // the access point ended before its scan
		f.scan.waiting, f.scan.next = 1, p
		return
	}
	if f.ap != nil { // it has the radio (driver-api 1.3)
		f.d.counters.WrongMode++
		f.scanFailed()
		return
	}
	if err := f.sta.Scan(now, p); err != nil {
		f.scanFailed()
		return
	}
	f.scan.waiting, f.scan.results = 1, nil
}

// scanFailed is SCAN_DONE for a scan that did not run.
func (f *firmware) scanFailed() { event(f.d, hif.OpScanDone, hif.ScanDone{State: errFail}) }

// scanDone takes the results.
func (f *firmware) scanDone(now time.Time) {
	list := f.sta.Results()
	f.pageNetworks(now, list)
	if f.scan.page {
		f.scan.page = false
		f.queuedScan(now)
		return
	}
	if n := f.d.profile.Networks; len(list) > n {
		list = list[:n] // the strongest
	}
	f.scan.results = list
	for ; f.scan.waiting > 0; f.scan.waiting-- {
		event(f.d, hif.OpScanDone, hif.ScanDone{Count: uint8(len(list))})
	}
}

// queuedScan begins the scan that had to wait for that of the page.
func (f *firmware) queuedScan(now time.Time) {
	n := f.scan.waiting
	if n == 0 {
		return
	}
	f.scan.waiting = 0
	f.startScan(now, f.scan.next)
	if f.scan.waiting == 0 { // that was answered; the others are too
		for range n - 1 {
			f.scanFailed()
		}
		return
	}
	f.scan.waiting = n
}

// scansLost answers the scans that went with the station.
func (f *firmware) scansLost() {
	f.scan.page = false
	for ; f.scan.waiting > 0; f.scan.waiting-- {
		f.scanFailed()
	}
}

// scanResult is the SCAN_RESULT request. One out of range is answered too: hosts wait for it.
func (f *firmware) scanResult(now time.Time, m hif.GetScanResult) {
	answer := hif.ScanResult{Index: m.Index}
	if int(m.Index) < len(f.scan.results) {
		n := f.scan.results[m.Index]
		answer.RSSI, answer.Security, answer.Channel = n.RSSI, hif.Security(n.Security), n.Channel
		answer.BSSID, answer.SSID = n.BSSID, n.SSID
	}
	reply(f.d, hif.OpScanResult, answer)
}

// scanOption is SET_SCAN_OPTION; values out of range are not taken.
func (f *firmware) scanOption(now time.Time, m hif.ScanOption) {
	if m.Slots < 1 || m.Slots > 32 || m.SlotTime < 10 || m.SlotTime > 250 || m.Probes < 1 || m.Probes > 2 {
		f.d.counters.Malformed++
		return
	}
	f.scan.option = m
}

// scanRegion is SET_SCAN_REGION: the channels that scans and joins look at.
func (f *firmware) scanRegion(now time.Time, m hif.ScanRegion) {
	if m.Mask&(1<<14-1) == 0 {
		f.d.counters.Malformed++
		return
	}
	f.scan.region = m.Mask & (1<<14 - 1)
}
