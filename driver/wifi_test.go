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

// lease is a DHCP_CONF.
func lease(ip string) hif.IPConfig {
	return hif.IPConfig{
		IP: addr(ip).As4(), Gateway: [4]byte{10, 0, 0, 1}, DNS: [4]byte{10, 0, 0, 3}, AltDNS: [4]byte{10, 0, 0, 4},
		Mask: [4]byte{255, 255, 255, 0}, Lease: 3600,
	}
}

var (
	connected    = hif.StateChanged{State: hif.Connected}
	disconnected = hif.StateChanged{State: hif.Disconnected}
)

// join connects with DHCP, without an address yet.
func (b *bench) join(fn func(driver.ConnEvent)) {
	b.t.Helper()
	check(b.t, b.c.Connect(driver.BSS{SSID: "net"}, driver.OpenAuth, fn))
	b.tell(hif.OpStateChanged, connected)
	b.take()
}

// online connects and gets an address.
func (b *bench) online() {
	b.t.Helper()
	b.join(nil)
	b.tell(hif.OpDHCPConf, lease("10.0.0.50"))
	if !b.c.LinkUp() {
		b.t.Fatal("link is not up")
	}
}

func TestConnectSendsTheNewForm(t *testing.T) {
	b := newBench(t)
	key := strings.Repeat("0a", 32)
	for _, tc := range []struct {
		bss  driver.BSS
		auth driver.Auth
		want hif.Connect
		data bool
	}{
		{
			driver.BSS{SSID: "open net"}, driver.OpenAuth,
			hif.Connect{SSID: "open net", Channel: hif.AllChannels, Credentials: hif.Credentials{Security: hif.SecurityOpen}}, false,
		},
		{
			driver.BSS{SSID: "x", Channel: 6, BSSID: driver.MAC{2, 1}}, driver.Auth{Type: driver.AuthWPA, Key: "passphrase", Save: true},
			hif.Connect{
				SSID: "x", Channel: 6, HasBSSID: true, BSSID: [6]byte{2, 1}, Store: hif.StoreCredentials | hif.StoreEncrypted,
				Credentials: hif.Credentials{Security: hif.SecurityPSK, Passphrase: "passphrase"},
			}, true,
		},
		{
			driver.BSS{SSID: "h", Channel: driver.AllChannels}, driver.WPA(key),
			hif.Connect{SSID: "h", Channel: hif.AllChannels, Credentials: hif.Credentials{Security: hif.SecurityPSK, Passphrase: key}}, true,
		},
	} {
		check(t, b.c.Connect(tc.bss, tc.auth, nil))
		rs := b.take()
		if len(rs) != 2 || rs[0].op != hif.OpEnableDHCP || rs[1].op != hif.OpConnect || rs[1].data != tc.data {
			t.Fatal(rs)
		}
		m, err := hif.ParseConnect(rs[1].payload)
		check(t, err)
		if d := cmp.Diff(tc.want, m); d != "" {
			t.Error(d)
		}
	}
}

func TestConnectRefuses(t *testing.T) {
	b := newBench(t)
	long := strings.Repeat("x", 33)
	for _, tc := range []struct {
		bss  driver.BSS
		auth driver.Auth
		want error
	}{
		{driver.BSS{SSID: long}, driver.OpenAuth, driver.ErrContext},
		{driver.BSS{SSID: "a", Channel: 15}, driver.OpenAuth, driver.ErrContext},
		{driver.BSS{SSID: "a"}, driver.Auth{}, driver.ErrInvalid},
		{driver.BSS{SSID: "a"}, driver.Auth{Type: driver.AuthWEP}, driver.ErrInvalid},
		{driver.BSS{SSID: "a"}, driver.WPA(strings.Repeat("1", 65)), driver.ErrInvalid},
		{driver.BSS{SSID: "a"}, driver.WPA(strings.Repeat("g", 64)), driver.ErrConnect},
		{driver.BSS{SSID: "a"}, driver.Auth{Type: driver.AuthEnterprise}, driver.ErrUnsupported},
	} {
		wantErr(t, fmt.Sprint(tc.bss, tc.auth), b.c.Connect(tc.bss, tc.auth, nil), tc.want)
	}
	b.refuse = func(r hif.Request) bool { return true }
	wantErr(t, "no buffer", b.c.Connect(driver.BSS{SSID: "a"}, driver.OpenAuth, nil), driver.ErrConnect)
	if ops := b.ops(); len(ops) != 0 {
		t.Error("the device got", ops)
	}
}

func TestConnectionEvents(t *testing.T) {
	b := newBench(t)
	var got []string
	fn := func(e driver.ConnEvent) { got = append(got, fmt.Sprint(e.State, " ", e.Err)) }
	check(t, b.c.Connect(driver.BSS{SSID: "net"}, driver.OpenAuth, fn))
	if len(got) != 0 {
		t.Error("callback inside the call")
	}
	for e := range hif.ConnError(6) {
		b.tell(hif.OpStateChanged, hif.StateChanged{State: hif.Disconnected, Error: e})
	}
	b.tell(hif.OpStateChanged, connected)
	b.tell(hif.OpStateChanged, hif.StateChanged{State: hif.Roamed})
	b.tell(hif.OpStateChanged, disconnected)
	want := []string{
		"disconnected <nil>",
		"disconnected " + driver.ErrScanFail.Error(),
		"disconnected " + driver.ErrJoinFail.Error(),
		"disconnected " + driver.ErrAuthFail.Error(),
		"disconnected " + driver.ErrAssocFail.Error(),
		"disconnected " + driver.ErrInProgress.Error(),
		"connected <nil>", "roamed <nil>", "disconnected <nil>",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestReconnectResults(t *testing.T) {
	b := newBench(t)
	var got []error
	fn := func(e driver.ConnEvent) { got = append(got, e.Err) }
	want := []error{driver.ErrInProgress, driver.ErrAuthFail, driver.ErrScanFail, driver.ErrNoCredentials, driver.ErrUnknown}
	for _, code := range []int8{-23, -22, -21, -20, -1} {
		check(t, b.c.Reconnect(fn))
		if ops := b.ops(); !slices.Equal(ops, []hif.Op{hif.OpEnableDHCP, hif.OpDefaultConnect}) {
			t.Fatal(ops)
		}
		b.tell(hif.OpDefaultConnected, hif.DefaultConnected{Error: code})
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	b.join(nil)
	wantErr(t, "while connected", b.c.Reconnect(fn), driver.ErrConnected)
}

func TestDisconnect(t *testing.T) {
	b := newBench(t)
	wantErr(t, "idle", b.c.Disconnect(), driver.ErrRequest)
	var got []driver.ConnEvent
	fn := func(e driver.ConnEvent) { got = append(got, e) }
	b.join(fn)
	check(t, b.c.Disconnect())
	want(b.chip, hif.OpDisconnect, nothing)
	wantErr(t, "twice", b.c.Disconnect(), driver.ErrRequest)
	b.tell(hif.OpStateChanged, disconnected)
	if len(got) != 2 || got[1] != (driver.ConnEvent{}) {
		t.Error(got)
	}
	// A running attempt is cancelled; a CONNECTED that our disconnect overtook
	// is not news any more.
	got = nil
	check(t, b.c.Connect(driver.BSS{SSID: "net"}, driver.OpenAuth, fn))
	b.post(hif.OpStateChanged, connected)
	check(t, b.c.Disconnect())
	b.post(hif.OpStateChanged, disconnected)
	b.tasks()
	if len(got) != 1 || got[0].State != driver.Disconnected || b.c.LinkUp() {
		t.Error(got)
	}
	b.join(fn)
	b.refuse = func(hif.Request) bool { return true }
	wantErr(t, "no buffer", b.c.Disconnect(), driver.ErrDisconnect)
}

func nothing(b []byte) (struct{}, error) {
	if len(b) > 0 {
		return struct{}{}, hif.ErrInvalid
	}
	return struct{}{}, nil
}

func TestConnectWhileConnectedAndAfterDisconnect(t *testing.T) {
	b := newBench(t)
	b.online()
	var got []driver.ConnEvent
	fn := func(e driver.ConnEvent) { got = append(got, e) }
	check(t, b.c.Connect(driver.BSS{SSID: "other"}, driver.OpenAuth, fn))
	if b.c.LinkUp() {
		t.Error("link up after a connect was started") // LNK table
	}
	b.tell(hif.OpStateChanged, disconnected)
	b.tell(hif.OpStateChanged, connected)
	b.tell(hif.OpDHCPConf, lease("10.0.0.51"))
	if !b.c.LinkUp() || len(got) != 2 {
		t.Error("new network:", b.c.LinkUp(), got)
	}
	check(t, b.c.Disconnect())
	check(t, b.c.Connect(driver.BSS{SSID: "other"}, driver.OpenAuth, fn))
	b.tell(hif.OpStateChanged, disconnected)
	b.tell(hif.OpStateChanged, connected)
	b.tell(hif.OpDHCPConf, lease("10.0.0.52"))
	if !b.c.LinkUp() || b.c.Addr() != addr("10.0.0.52") {
		t.Error("after disconnect and connect back to back:", b.c.LinkUp(), b.c.Addr())
	}
}

func TestClientCloseLeaves(t *testing.T) {
	b := newBench(t)
	b.online()
	b.onReq = func(r request) {
		if r.op == hif.OpDisconnect {
			b.post(hif.OpStateChanged, disconnected)
		}
	}
	_, err := b.c.Socket(driver.Stream, driver.Plain)
	check(t, err)
	check(t, b.c.Close())
	if ops := b.ops(); !slices.Equal(ops, []hif.Op{hif.OpClose, hif.OpDisconnect}) {
		t.Error(ops)
	}
	wantErr(t, "second Close", b.c.Close(), driver.ErrNotOpen)
}

func TestClientCloseWaitsAtMostTwoSeconds(t *testing.T) {
	b := newBench(t)
	b.online()
	start := b.clock.Now()
	check(t, b.c.Close())
	if took := b.clock.Now().Sub(start); took < 2*time.Second || took > 2100*time.Millisecond {
		t.Error("Close took", took)
	}
}

func TestAssociation(t *testing.T) {
	b := newBench(t)
	_, err := b.c.SSID(nil)
	wantErr(t, "idle", err, driver.ErrRequest)
	_, err = b.c.RSSI(nil)
	wantErr(t, "idle", err, driver.ErrRequest)
	b.online()
	b.take()
	var got []driver.AssocInfo
	_, err = b.c.SSID(func(i driver.AssocInfo) { got = append(got, i) })
	wantErr(t, "first", err, driver.ErrRetry)
	want(b.chip, hif.OpGetConnInfo, nothing)
	info := hif.ConnInfo{SSID: "net", Security: hif.SecurityPSK, IP: [4]byte{10, 0, 0, 50}, MAC: [6]byte{2, 2}, RSSI: -40, Channel: 6}
	b.tell(hif.OpConnInfo, info)
	wanted := driver.AssocInfo{
		SSID: "net", BSSID: driver.MAC{2, 2}, Auth: driver.AuthWPA, Addr: addr("10.0.0.50"), RSSI: -40, Channel: 6,
	}
	if len(got) != 1 || got[0] != wanted {
		t.Errorf("%+v", got)
	}
	if s, err := b.c.SSID(nil); s != "net" || err != nil {
		t.Error(s, err)
	}
	if m, err := b.c.Peer(nil); m != (driver.MAC{2, 2}) || err != nil {
		t.Error(m, err)
	}
	if a, err := b.c.AuthType(nil); a != driver.AuthWPA || err != nil {
		t.Error(a, err)
	}
	if len(b.take()) != 0 {
		t.Error("the device was asked although the answer is known")
	}
	wantErr(t, "AskAssoc", b.c.AskAssoc(nil), driver.ErrRetry)

	var rssi []int8
	_, err = b.c.RSSI(func(v int8) { rssi = append(rssi, v) })
	wantErr(t, "RSSI", err, driver.ErrRetry)
	b.tell(hif.OpRSSI, hif.RSSI{RSSI: -41})
	b.tell(hif.OpRSSI, hif.RSSI{RSSI: -42})
	if !slices.Equal(rssi, []int8{-41}) {
		t.Error("one-shot RSSI callback:", rssi)
	}
	if v, err := b.c.RSSI(nil); v != -42 || err != nil {
		t.Error(v, err)
	}
	_, err = b.c.RSSI(nil)
	wantErr(t, "RSSI polled again", err, driver.ErrRetry)
	b.tell(hif.OpStateChanged, disconnected)
	_, err = b.c.SSID(nil)
	wantErr(t, "after loss", err, driver.ErrRequest)
}

func TestNameAndTime(t *testing.T) {
	b := newBench(t)
	check(t, b.c.SetName("kitchen"))
	if m := want(b.chip, hif.OpSetDeviceName, hif.ParseDeviceName); m.Name != "kitchen" {
		t.Error(m)
	}
	wantErr(t, "48 characters", b.c.SetName(strings.Repeat("n", 48)), driver.ErrInvalid)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	check(t, b.c.SetTime(at))
	if m := want(b.chip, hif.OpSetSysTime, hif.ParseSetSysTime); int64(m.Seconds) != at.Unix()+2208988800 {
		t.Error(m)
	}
	var got []time.Time
	check(t, b.c.Time(func(t time.Time) { got = append(got, t) }))
	want(b.chip, hif.OpGetSysTime, nothing)
	b.tell(hif.OpSysTime, hif.SysTime{})
	b.tell(hif.OpSysTime, hif.SysTime{Year: 2026, Month: 13, Day: 1})
	b.tell(hif.OpSysTime, hif.SysTime{Year: 1899, Month: 12, Day: 31})
	b.tell(hif.OpSysTime, hif.MakeSysTime(at))
	if len(got) != 1 || !got[0].Equal(at) {
		t.Error(got)
	}
	for _, bad := range []time.Time{{}, time.Unix(-1, 0), time.Unix(1<<32, 0)} {
		wantErr(t, bad.String(), b.c.SetTime(bad), driver.ErrInvalid)
	}
	check(t, b.c.SetTime(time.Unix(1<<32-1, 999)))
	if m := want(b.chip, hif.OpSetSysTime, hif.ParseSetSysTime); m.Seconds != 2208988799 {
		t.Error(m)
	}
}

func TestSNTPRequests(t *testing.T) {
	b := newBench(t)
	for _, m := range []hif.SNTPConfig{{Server: "*.pool.example"}, {Server: strings.Repeat("n", 32), DHCP: true}, {DHCP: true}} {
		check(t, b.c.EnableSNTP(m.Server, m.DHCP))
		rs := b.chip.take()
		if len(rs) != 2 || rs[0].op != hif.OpEnableSNTP || rs[1].op != hif.OpConfigSNTP {
			t.Fatalf("device got %v", rs)
		}
		if got, err := hif.ParseSNTPConfig(rs[1].payload); got != m || err != nil {
			t.Errorf("%+v, %v, want %+v", got, err, m)
		}
	}
	for _, bad := range []string{strings.Repeat("n", 33), "*", "a\x00b"} { // NTP-08
		wantErr(t, bad, b.c.EnableSNTP(bad, true), driver.ErrRequest)
	}
	check(t, b.c.DisableSNTP())
	want(b.chip, hif.OpDisableSNTP, nothing) // and nothing before it
	check(t, b.c.Close())
	wantErr(t, "EnableSNTP", b.c.EnableSNTP("", true), driver.ErrNotOpen)
	wantErr(t, "DisableSNTP", b.c.DisableSNTP(), driver.ErrNotOpen)
	wantErr(t, "SetTime", b.c.SetTime(time.Unix(0, 0)), driver.ErrNotOpen)
	wantErr(t, "Time", b.c.Time(nil), driver.ErrNotOpen)
}
