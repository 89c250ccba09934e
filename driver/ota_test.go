package driver_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
	"github.com/understudy-net/understudy/driver"
)

const imageURL = "https://updates.example/new.img"

// update starts one, whose verdicts are collected.
func (b *bench) update(got *[]driver.OTAStatus) {
	b.t.Helper()
	check(b.t, b.c.Update(imageURL, func(s driver.OTAStatus) { *got = append(*got, s) }))
}

func (b *bench) status(typ hif.UpdateType, s driver.OTAStatus) {
	b.t.Helper()
	b.tell(hif.OpUpdateStatus, hif.UpdateStatus{Type: typ, Status: hif.UpdateResult(s)})
}

func TestOTA21_OneVerdict(t *testing.T) {
	b := newBench(t)
	for s := range driver.OTAStatus(13) {
		var got []driver.OTAStatus
		b.update(&got)
		if !b.c.Updating() {
			t.Error("does not run")
		}
		if m := want(b.chip, hif.OpStartUpdateV2, hif.ParseStartUpdateV2); m.URL != imageURL || m.SNI != "" || m.Flags != 0 {
			t.Errorf("%+v", m)
		}
		for _, other := range []hif.UpdateType{hif.UpdateSwitch, hif.UpdateRollback, hif.UpdateAbort, hif.UpdateFile, 77} {
			b.status(other, 0)
		}
		if got != nil {
			t.Error("told", got)
		}
		b.status(hif.UpdateDownload, s)
		b.status(hif.UpdateDownload, 0)
		if !slices.Equal(got, []driver.OTAStatus{s}) || b.c.Updating() {
			t.Error(s, got, b.c.Updating())
		}
	}
	check(t, b.c.Update(imageURL, nil)) // CC: nobody is interested
	b.status(hif.UpdateDownload, 0)
}

func TestOTA06_AbortOfNothing(t *testing.T) {
	b := newBench(t)
	check(t, b.c.AbortUpdate())
	if len(b.take()) != 0 {
		t.Error("sent")
	}
}

func TestOTA05_Abort(t *testing.T) {
	b := newBench(t)
	for _, s := range []driver.OTAStatus{driver.OTAAborted, driver.OTAComplete} { // or it was faster
		var got []driver.OTAStatus
		b.update(&got)
		b.take()
		check(t, b.c.AbortUpdate())
		b.want0(hif.OpAbortUpdate)
		wantErr(t, "while it stops", b.c.Update(imageURL, nil), driver.ErrBusy)
		b.status(hif.UpdateDownload, s)
		b.status(hif.UpdateAbort, 0)
		if !slices.Equal(got, []driver.OTAStatus{s}) {
			t.Error(got)
		}
	}
}

func TestOTA07_OTA08_OTA09_Refused(t *testing.T) {
	b := newBench(t)
	long := "http://h/" + strings.Repeat("x", 254-9)
	for _, tc := range []struct {
		url  string
		want error
	}{
		{"", driver.ErrInvalid}, {long + "x", driver.ErrRequest}, {"http://h/\x00", driver.ErrRequest},
	} {
		wantErr(t, fmt.Sprintf("%q", tc.url), b.c.Update(tc.url, nil), tc.want)
	}
	if len(b.take()) != 0 {
		t.Error("sent")
	}
	check(t, b.c.Update(long, nil))
	if m := want(b.chip, hif.OpStartUpdateV2, hif.ParseStartUpdateV2); m.URL != long {
		t.Error(m.URL)
	}
	for _, url := range []string{"", long + "x", imageURL} {
		err := b.c.Update(url, func(driver.OTAStatus) { t.Error("told") })
		wantErr(t, "while one runs", err, driver.ErrBusy)
		wantErr(t, "while one runs", err, driver.ErrRequest)
	}
	b.status(hif.UpdateDownload, 0)

	b.refuse = func(hif.Request) bool { return true }
	wantErr(t, "no buffer", b.c.Update(imageURL, func(driver.OTAStatus) { t.Error("told") }), driver.ErrBus)
	wantErr(t, "no buffer", b.c.SwitchImage(func(driver.OTAStatus) { t.Error("told") }), driver.ErrBus)
	b.refuse = nil
	b.status(hif.UpdateDownload, 0)
	b.status(hif.UpdateSwitch, 0)

	check(t, b.c.Close())
	var none *driver.Client
	for _, tc := range []struct {
		c    *driver.Client
		want error
	}{{b.c, driver.ErrNotOpen}, {none, driver.ErrInvalid}} {
		for what, err := range map[string]error{
			"Update": tc.c.Update("", nil), "AbortUpdate": tc.c.AbortUpdate(), "SwitchImage": tc.c.SwitchImage(nil),
			"Rollback": tc.c.Rollback(nil), "SetOTAVerify": tc.c.SetOTAVerify(true), "SetOTASNI": tc.c.SetOTASNI(strings.Repeat("x", 99)),
			"OnUpdateProgress": tc.c.OnUpdateProgress(nil),
		} {
			wantErr(t, what, err, tc.want)
		}
		if tc.c.Updating() || tc.c.OTAVerify() || tc.c.OTASNI() {
			t.Error("values of a closed client")
		}
	}
}

func TestOTA19_AgainFromTheCallback(t *testing.T) {
	b := newBench(t)
	var got []driver.OTAStatus
	check(t, b.c.Update(imageURL, func(s driver.OTAStatus) {
		got = append(got, s)
		b.update(&got)
	}))
	b.status(hif.UpdateDownload, driver.OTAConnError)
	if ops := b.ops(); len(ops) != 2 {
		t.Error(ops)
	}
	b.status(hif.UpdateDownload, driver.OTAComplete)
	if !slices.Equal(got, []driver.OTAStatus{driver.OTAConnError, driver.OTAComplete}) {
		t.Error(got)
	}
}

func TestSwitchAndRollbackShareASlot(t *testing.T) {
	b := newBench(t)
	var got []string
	note := func(who string) func(driver.OTAStatus) {
		return func(s driver.OTAStatus) { got = append(got, who+" "+s.String()) }
	}
	check(t, b.c.SwitchImage(note("switch")))
	b.want0(hif.OpSwitchFirmware)
	b.status(hif.UpdateSwitch, driver.OTABusy) // OTA-20
	b.status(hif.UpdateSwitch, 0)
	check(t, b.c.Rollback(note("rollback")))
	b.want0(hif.OpRollback)
	b.status(hif.UpdateRollback, driver.OTANoRollback)
	check(t, b.c.SwitchImage(note("replaced")))
	check(t, b.c.Rollback(note("newest")))
	b.status(hif.UpdateSwitch, driver.OTANoRollback)
	b.status(hif.UpdateRollback, driver.OTAComplete)
	check(t, b.c.SwitchImage(nil))
	b.status(hif.UpdateSwitch, 0)
	wantLines(t, "verdicts", &got, "switch BUSY", "rollback INVALID_RB_IMAGE", "newest COMPLETE")
}

func TestOTA25_OptionsOfTLS(t *testing.T) {
	b := newBench(t)
	if !b.c.OTAVerify() || b.c.OTASNI() {
		t.Error("defaults")
	}
	name := strings.Repeat("n", 63)
	check(t, b.c.SetOTAVerify(false))
	check(t, b.c.SetOTASNI(name))
	wantErr(t, "64 characters", b.c.SetOTASNI(name+"n"), driver.ErrRequest)
	wantErr(t, "NUL", b.c.SetOTASNI("a\x00b"), driver.ErrRequest)
	if b.c.OTAVerify() || !b.c.OTASNI() {
		t.Error("not set")
	}
	check(t, b.c.Close()) // they outlive clients
	var err error
	b.c, err = b.d.Open()
	check(t, err)
	check(t, b.c.Update(imageURL, nil))
	m := want(b.chip, hif.OpStartUpdateV2, hif.ParseStartUpdateV2)
	if m.SNI != name || m.Flags != hif.TLSBypassX509|hif.TLSCheckSNI {
		t.Errorf("%+v", m)
	}
	wantErr(t, "while one runs", b.c.SetOTAVerify(true), driver.ErrBusy)
	wantErr(t, "while one runs", b.c.SetOTASNI(name+"n"), driver.ErrBusy)
	if b.c.OTAVerify() || b.c.OTASNI() {
		t.Error("values while one runs")
	}
	b.status(hif.UpdateDownload, 0)
	check(t, b.c.SetOTAVerify(true))
	check(t, b.c.SetOTASNI(""))
	check(t, b.c.Update(imageURL, nil))
	if m := want(b.chip, hif.OpStartUpdateV2, hif.ParseStartUpdateV2); m.SNI != "" || m.Flags != 0 {
		t.Errorf("%+v", m)
	}
}

// A firmware of before 19.7.7 has another request, and only a driver that was
// told so bears it.
func TestUpdateOfAnOldFirmware(t *testing.T) {
	for _, tc := range []struct {
		firmware hif.Version
		bear, ok bool
	}{{hif.V19_6_1, true, true}, {hif.V19_6_1, false, false}, {hif.V19_5_4, true, false}} {
		c := newChip(t)
		c.revision.Firmware = tc.firmware
		cfg := c.config()
		cfg.OldFirmware = tc.bear
		b := &bench{chip: c, d: driver.New(c, cfg)}
		if err := b.d.Tasks(); (err == nil) != tc.ok || err != nil && !errors.Is(err, driver.ErrVersion) {
			t.Error(tc, err)
		}
		if !tc.ok {
			continue
		}
		b.c, _ = b.d.Open()
		b.take()
		check(t, b.c.Update(imageURL, nil))
		if m := want(b.chip, hif.OpStartUpdate, hif.ParseURL); m.URL != imageURL {
			t.Error(m)
		}
		b.status(hif.UpdateDownload, 0)
		check(t, b.c.SetOTAVerify(false))
		wantErr(t, "options", b.c.Update(imageURL, nil), driver.ErrUnsupported)
		if len(b.take()) != 0 || b.c.Updating() {
			t.Error("sent")
		}
	}
}

func newOurs(t *testing.T) *bench {
	c := newChip(t)
	c.revision.Understudy = true
	c.onReq = func(r request) {
		if r.op == hif.OpUnderstudy {
			c.post(hif.OpUnderstudy, hif.Limits{TCP: 7, UDP: 4, Send: 1400})
		}
	}
	b := &bench{chip: c, d: driver.New(c, c.config())}
	b.tasks()
	var err error
	b.c, err = b.d.Open()
	check(t, err)
	b.take()
	return b
}

func TestUpdateProgress(t *testing.T) {
	b := newOurs(t)
	var got []string
	check(t, b.c.OnUpdateProgress(func(stored, expected int64) { got = append(got, fmt.Sprint(stored, "/", expected)) }))
	b.tell(hif.OpProgress, hif.Progress{Stored: 1, Expected: 9}) // nothing runs
	var verdicts []driver.OTAStatus
	b.update(&verdicts)
	b.tell(hif.OpProgress, hif.Progress{Stored: 5})
	b.tell(hif.OpProgress, hif.Progress{Stored: 6, Expected: 1 << 31})
	b.tell(hif.OpProgress, hif.Progress{Stored: 11, Expected: 10})
	for i := range uint32(3) { // the callback is slower than the device
		b.post(hif.OpProgress, hif.Progress{Stored: 20 + i, Expected: 100})
	}
	b.tasks()
	wantLines(t, "progress", &got, "5/0", "6/2147483648", "22/100")
	check(t, b.c.OnUpdateProgress(nil))
	got = nil
	b.tell(hif.OpProgress, hif.Progress{Stored: 30, Expected: 100})
	b.status(hif.UpdateDownload, 0)
	if s := b.d.Stats(); s.Stale != 1 || s.Short != 1 || s.Unknown != 0 || len(verdicts) != 1 || got != nil {
		t.Error(s, verdicts, got)
	}
}

// A part that does not bear the mark has no such message.
func TestNoProgressFromARealPart(t *testing.T) {
	b := newBench(t)
	check(t, b.c.OnUpdateProgress(func(int64, int64) { t.Error("told") }))
	check(t, b.c.Update(imageURL, nil))
	b.tell(hif.OpProgress, hif.Progress{Stored: 1, Expected: 9})
	if s := b.d.Stats(); s.Unknown != 1 {
		t.Errorf("%+v", s)
	}
}

func TestUpdateEndsWithTheClient(t *testing.T) {
	b := newBench(t)
	check(t, b.c.Update(imageURL, func(driver.OTAStatus) { t.Error("told") }))
	b.take()
	b.onReq = func(r request) {
		if r.op == hif.OpAbortUpdate {
			b.post(hif.OpUpdateStatus, hif.UpdateStatus{Type: hif.UpdateDownload, Status: hif.UpdateAborted})
			b.post(hif.OpUpdateStatus, hif.UpdateStatus{Type: hif.UpdateAbort})
		}
	}
	start := b.clock.now
	check(t, b.c.Close())
	b.want0(hif.OpAbortUpdate)
	if d := b.clock.now.Sub(start); d > 100*1e6 {
		t.Error("waited ", d)
	}
	b.tasks()
}

// The verdict on what an earlier client has asked for is not taken for that of the next one; a chip that was reset owes none.
func TestVerdictsForAnEarlierClient(t *testing.T) {
	for _, reset := range []bool{false, true} {
		b := newBench(t)
		check(t, b.c.SwitchImage(func(driver.OTAStatus) { t.Error("told") }))
		check(t, b.c.Close())
		if reset {
			check(t, b.d.Restart())
		}
		b.take()
		var err error
		b.c, err = b.d.Open()
		check(t, err)
		var got []driver.OTAStatus
		check(t, b.c.Rollback(func(s driver.OTAStatus) { got = append(got, s) }))
		if !reset {
			b.status(hif.UpdateSwitch, driver.OTANoRollback)
		}
		b.status(hif.UpdateRollback, driver.OTAComplete)
		if !slices.Equal(got, []driver.OTAStatus{driver.OTAComplete}) {
			t.Errorf("reset %v: %v", reset, got)
		}
	}
}

func TestUpdateOfADeviceThatIsLost(t *testing.T) {
	b := newBench(t)
	var got []driver.OTAStatus
	b.update(&got)
	check(t, b.c.SwitchImage(func(s driver.OTAStatus) { got = append(got, s+100) }))
	b.irq, b.dead = true, true
	for range 3 {
		b.d.Tasks()
	}
	if b.d.Status() != driver.StateError || !slices.Equal(got, []driver.OTAStatus{driver.OTAFail, driver.OTAFail + 100}) {
		t.Error(b.d.Status(), got)
	}
}

func TestStandbyFirmwareIsReadAnew(t *testing.T) {
	b := newBench(t)
	_, err := b.c.StandbyFirmware()
	wantErr(t, "none", err, driver.ErrRequest)
	b.standby = hif.Revision{ChipID: reg.ChipID1500, Firmware: hif.MakeVersion(19, 8, 1), MinDriver: hif.V19_3_0}
	b.start()
	b.regs[reg.State] = 0
	if v, err := b.c.StandbyFirmware(); err != nil || v.String() != "19.8.1" {
		t.Error(v, err)
	}
	if v, err := b.c.Firmware(); err != nil || v != hif.V19_7_7 {
		t.Error(v, err)
	}
}

func TestOTAStatusNames(t *testing.T) {
	for s, want := range map[driver.OTAStatus]string{
		0: "COMPLETE", 1: "FAIL", 2: "INVALID_URL", 3: "INVALID_RB_IMAGE", 4: "INSUFFICIENT_FLASH", 5: "ALREADY_ENABLED", 6: "BUSY",
		7: "VERIFY_FAILED", 8: "CONN_ERROR", 9: "SERVER_ERROR", 10: "ABORTED", 11: "status(11)", 255: "status(255)",
	} {
		if s.String() != want || !strings.Contains(s.Error(), want) || (s.Err() == nil) != (s == 0) {
			t.Error(s, s.Error())
		}
	}
}
