package driver_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/driver"
)

// air is a scripted answer to scans.
func (b *bench) air(names ...string) {
	b.onReq = func(r request) {
		switch r.op {
		case hif.OpScan, hif.OpPassiveScan, hif.OpScanSSIDList:
			b.post(hif.OpScanDone, hif.ScanDone{Count: uint8(len(names))})
		case hif.OpGetScanResult:
			i := r.payload[0]
			b.post(hif.OpScanResult, hif.ScanResult{
				Index: i, SSID: names[i], RSSI: -30 - int8(i), Security: hif.SecurityPSK, Channel: i + 1, BSSID: [6]byte{2, i},
			})
		}
	}
}

func TestScanFetchesWhileTheCallbackWants(t *testing.T) {
	b := newBench(t)
	b.air("a", "b", "c", "d")
	var got []string
	check(t, b.c.Scan(driver.ScanReq{}, func(i, n int, r *driver.ScanResult) bool {
		got = append(got, fmt.Sprintf("%d/%d %s %v", i, n, r.SSID, r.BSSID))
		return i < 2
	}))
	if !b.c.Scanning() {
		t.Error("not scanning")
	}
	b.tasks()
	b.tasks()
	if d := cmp.Diff([]string{"1/4 a 02:00:00:00:00:00", "2/4 b 02:01:00:00:00:00"}, got); d != "" {
		t.Error(d)
	}
	if b.c.Scanning() || b.c.ScanCount() != 4 {
		t.Error(b.c.Scanning(), b.c.ScanCount())
	}
	r, err := b.c.ScanResult()
	wanted := driver.ScanResult{SSID: "b", BSSID: driver.MAC{2, 1}, Channel: 2, RSSI: -31, Auth: driver.AuthWPA}
	if err != nil || r != wanted {
		t.Errorf("%+v %v", r, err)
	}
	got = nil
	next := func(i, n int, r *driver.ScanResult) bool { got = append(got, r.SSID); return false }
	check(t, b.c.ScanNext(next))
	b.tasks()
	check(t, b.c.ScanNext(next))
	b.tasks()
	wantErr(t, "past the end", b.c.ScanNext(next), driver.ErrScanEnd)
	check(t, b.c.ScanReset(next))
	b.tasks()
	if !slices.Equal(got, []string{"c", "d", "a"}) {
		t.Error(got)
	}
}

func TestScanRequests(t *testing.T) {
	b := newBench(t)
	_, err := b.c.ScanResult()
	wantErr(t, "no scan yet", err, driver.ErrNoBSS)
	check(t, b.c.SetScan(driver.ScanParams{Slots: 3, Active: 50 * time.Millisecond}))
	check(t, b.c.SetScanRSSI(-60))
	check(t, b.c.Scan(driver.ScanReq{Channel: 3}, nil))
	rs := b.take()
	if len(rs) != 2 || rs[0].op != hif.OpSetScanOption || rs[1].op != hif.OpScan {
		t.Fatal(rs)
	}
	if o, err := hif.ParseScanOption(rs[0].payload); err != nil || o != (hif.ScanOption{Slots: 3, SlotTime: 50, Probes: 2, RSSIThreshold: -60}) {
		t.Error(o, err)
	}
	if s, err := hif.ParseScan(rs[1].payload); err != nil || s.Channel != 3 {
		t.Error(s, err)
	}
	wantErr(t, "second scan", b.c.Scan(driver.ScanReq{}, nil), driver.ErrScanBusy)
	wantErr(t, "next while scanning", b.c.ScanNext(nil), driver.ErrScanBusy)
	b.tell(hif.OpScanDone, hif.ScanDone{})

	check(t, b.c.Scan(driver.ScanReq{Passive: true}, nil))
	if rs := b.take(); rs[1].op != hif.OpPassiveScan || rs[1].payload[0] != 255 || rs[1].payload[2] != 300&255 {
		t.Error(rs)
	}
	b.tell(hif.OpScanDone, hif.ScanDone{})
	check(t, b.c.Scan(driver.ScanReq{SSIDs: []string{"one", "two", "3", "4", "5"}}, nil))
	rs = b.take()
	m, err := hif.ParseScanSSIDList(rs[1].payload)
	if err != nil || !rs[1].data || !slices.Equal(m.SSIDs, []string{"one", "two", "3", "4"}) {
		t.Error(m, err)
	}
	b.tell(hif.OpScanDone, hif.ScanDone{})

	wantErr(t, "channel", b.c.Scan(driver.ScanReq{Channel: 20}, nil), driver.ErrInvalid)
	wantErr(t, "names, passive", b.c.Scan(driver.ScanReq{Passive: true, SSIDs: []string{"x"}}, nil), driver.ErrInvalid)
	wantErr(t, "long name", b.c.Scan(driver.ScanReq{SSIDs: []string{strings.Repeat("x", 33)}}, nil), driver.ErrInvalid)
	check(t, b.c.SetScan(driver.ScanParams{Active: time.Second}))
	wantErr(t, "slot of 1 s", b.c.Scan(driver.ScanReq{}, nil), driver.ErrRequest)
	check(t, b.c.SetScan(driver.ScanParams{Active: 30 * time.Millisecond}))
	b.refuse = func(hif.Request) bool { return true }
	wantErr(t, "no buffer", b.c.Scan(driver.ScanReq{}, nil), driver.ErrRequest)
	if b.c.Scanning() {
		t.Error("scanning for ever after a refused request")
	}
	b.refuse = nil
	check(t, b.c.SetChannels(driver.ChannelsEurope))
	if m := want(b.chip, hif.OpSetScanRegion, hif.ParseScanRegion); m.Mask != 0x1fff {
		t.Error(m)
	}
	check(t, b.c.SetScanMatch(driver.ScanFirst))
	if m := want(b.chip, hif.OpSetStopScan, hif.ParseSetting); m.Value != 1 {
		t.Error(m)
	}
	wantErr(t, "match mode 2", b.c.SetScanMatch(2), driver.ErrInvalid)
}

func TestScanWithoutResultCallsBackOnce(t *testing.T) {
	b := newBench(t)
	calls := 0
	fn := func(i, n int, r *driver.ScanResult) bool {
		calls++
		if i != 0 || n != 0 || r != nil {
			t.Error(i, n, r)
		}
		return true
	}
	check(t, b.c.Scan(driver.ScanReq{}, fn))
	b.tell(hif.OpScanDone, hif.ScanDone{})
	_, err := b.c.ScanResult()
	wantErr(t, "result", err, driver.ErrNoBSS)
	check(t, b.c.Scan(driver.ScanReq{}, fn))
	b.tell(hif.OpScanDone, hif.ScanDone{Count: 3, State: -1})
	_, err = b.c.ScanResult()
	wantErr(t, "failed scan", err, driver.ErrRequest)
	b.tell(hif.OpScanDone, hif.ScanDone{Count: 3}) // nobody asked
	if calls != 2 {
		t.Error(calls, "calls")
	}
	wantErr(t, "next", b.c.ScanNext(fn), driver.ErrScanEnd)
}
