package driver_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/driver"
)

// networks writes down what NetworkEvents say.
func networks(ev *[]string) func(driver.NetworkEvent) {
	return func(e driver.NetworkEvent) {
		*ev = append(*ev, fmt.Sprintf("%s/%d %v %q %v", e.BSS.SSID, e.BSS.Channel, e.Auth.Type, e.Auth.Key, e.Err != nil))
	}
}

func TestStartProvisioningSendsTheLongForm(t *testing.T) {
	b := newBench(t)
	check(t, b.c.SetGateway(addr("192.168.10.9"))) // is for another network
	check(t, b.c.SetDNS(addr("9.9.9.9")))
	check(t, b.c.StartProvisioning(softAP, driver.WPA("passphrase"), driver.Provisioning{Domain: "setup.test"}, nil))
	rs := b.take()
	if len(rs) != 1 || rs[0].op != hif.OpStartProvision || !rs[0].data || len(rs[0].payload) != hif.ProvisionLen216 {
		t.Fatal(rs)
	}
	m, err := hif.ParseProvision(rs[0].payload)
	check(t, err)
	want := hif.Provision{Domain: "setup.test", Redirect: true, AP: hif.APConfig{
		SSID: "soft", Channel: 3, Security: hif.SecurityPSK, Key: "passphrase",
		IP: [4]byte{192, 168, 10, 1}, Mask: [4]byte{255, 255, 255, 0}, Size: 148,
	}}
	if d := cmp.Diff(want, m); d != "" {
		t.Error(d)
	}
	if b.c.Mode() != driver.ModeProvisioning || b.c.Mode().String() != "provisioning" || !b.c.LinkUp() || b.c.IPConfig() != (driver.IPConfig{Prefix: prefix("192.168.10.1/24")}) {
		t.Error(b.c.Mode(), b.c.LinkUp(), b.c.IPConfig())
	}
	wantErr(t, "StartAP meanwhile", b.c.StartAP(softAP, driver.OpenAuth, nil), driver.ErrMode)
	wantErr(t, "Connect meanwhile", b.c.Connect(driver.BSS{SSID: "net"}, driver.OpenAuth, nil), driver.ErrMode)
	check(t, b.c.StopAP())
	b.want0(hif.OpStopProvision)
	check(t, b.c.StartAP(softAP, driver.OpenAuth, nil))
	if b.c.Mode() != driver.ModeAP {
		t.Error(b.c.Mode())
	}
}

func TestStartProvisioningRefuses(t *testing.T) {
	b := newBench(t)
	for name, tc := range map[string]struct {
		bss    driver.BSS
		domain string
		want   error
	}{
		"no name of the page": {softAP, "", driver.ErrRequest},
		"64 bytes":            {softAP, strings.Repeat("d", 64), driver.ErrInvalid},
		"a NUL":               {softAP, "a\x00b", driver.ErrInvalid},
		"no channel":          {driver.BSS{SSID: "s"}, "setup.test", driver.ErrRequest},
	} {
		wantErr(t, name, b.c.StartProvisioning(tc.bss, driver.OpenAuth, driver.Provisioning{Domain: tc.domain}, nil), tc.want)
	}
	if ops := b.ops(); len(ops) != 0 || b.c.Mode() != driver.ModeStation {
		t.Error(ops, b.c.Mode())
	}
}

// The answer ends the Soft-AP; it is told once, and then Connect works. Late news of stations are not of the network.
func TestProvisioningIsAnswered(t *testing.T) {
	b := newBench(t)
	var ev []string
	p := driver.Provisioning{Domain: "setup.test", OneName: true, Done: func(e driver.NetworkEvent) {
		networks(&ev)(e)
		check(t, b.c.Connect(e.BSS, e.Auth, func(e driver.ConnEvent) { ev = append(ev, "net "+e.State.String()) }))
	}}
	check(t, b.c.StartProvisioning(softAP, driver.OpenAuth, p, func(e driver.ConnEvent) { ev = append(ev, "station "+e.State.String()) }))
	b.tell(hif.OpStateChanged, connected)
	info := hif.ProvisionInfo{SSID: "home", Passphrase: "correct horse", Security: hif.SecurityPSK}
	b.tell(hif.OpProvisionInfo, info)
	b.tell(hif.OpStateChanged, disconnected) // the station, of a device that says so late
	b.tell(hif.OpProvisionInfo, info)        // stray
	b.tell(hif.OpStateChanged, connected)
	if s := strings.Join(ev, ", "); s != `station connected, station disconnected, home/0 WPA-PSK "correct horse" false, net connected` {
		t.Error(s)
	}
}

func TestProvisioningFails(t *testing.T) {
	for name, m := range map[string]hif.ProvisionInfo{
		"status":   {SSID: "home", Security: hif.SecurityOpen, Status: 1},
		"security": {SSID: "home", Security: 99},
		"no name":  {Security: hif.SecurityOpen},
	} {
		b := newBench(t)
		var ev []string
		var last error
		check(t, b.c.StartProvisioning(softAP, driver.OpenAuth, driver.Provisioning{Domain: "x", Done: func(e driver.NetworkEvent) { networks(&ev)(e); last = e.Err }}, nil))
		b.tell(hif.OpProvisionInfo, m)
		wantErr(t, name, last, driver.ErrProvisioning)
		if len(ev) != 1 || b.c.Mode() != driver.ModeStation || b.c.LinkUp() {
			t.Error(name, ev, b.c.Mode())
		}
	}
	b := newBench(t)
	b.tell(hif.OpProvisionInfo, hif.ProvisionInfo{SSID: "home", Security: hif.SecurityOpen}) // nobody asked
	check(t, b.c.StartAP(softAP, driver.OpenAuth, nil))
	b.tell(hif.OpProvisionInfo, hif.ProvisionInfo{SSID: "home", Security: hif.SecurityOpen})
	if b.c.Mode() != driver.ModeAP {
		t.Error("a stray message ended the Soft-AP")
	}
}

func TestWPS(t *testing.T) {
	b := newBench(t)
	var ev []string
	check(t, b.c.StartWPS(networks(&ev)))
	rs := b.take()
	if len(rs) != 1 || rs[0].op != hif.OpWPS || rs[0].data {
		t.Fatal(rs)
	}
	if m, _ := hif.ParseWPS(rs[0].payload); m != (hif.WPS{Trigger: hif.WPSPushButton}) {
		t.Error(m)
	}
	wantErr(t, "twice", b.c.StartWPSPIN("12345670", nil), driver.ErrBusy)
	b.tell(hif.OpWPS, hif.WPSReply{Security: hif.SecurityPSK, Channel: 6, SSID: "home", Passphrase: "correct horse"})
	b.tell(hif.OpWPS, hif.WPSReply{Security: hif.SecurityOpen, SSID: "stray"})
	check(t, b.c.StartWPSPIN("12345670", networks(&ev)))
	if m, _ := hif.ParseWPS(b.take()[0].payload); m != (hif.WPS{Trigger: hif.WPSPIN, PIN: [8]byte([]byte("12345670"))}) {
		t.Error(m)
	}
	b.tell(hif.OpWPS, hif.WPSReply{})
	check(t, b.c.StartWPS(networks(&ev)))
	b.take()
	check(t, b.c.StopWPS())
	b.want0(hif.OpDisableWPS)
	b.tell(hif.OpWPS, hif.WPSReply{Security: hif.SecurityOpen, SSID: "late"})
	wantErr(t, "nothing runs", b.c.StopWPS(), driver.ErrRequest)
	if s := strings.Join(ev, ", "); s != `home/6 WPA-PSK "correct horse" false, /0 invalid "" true` {
		t.Error(s)
	}
	check(t, b.c.StartAP(softAP, driver.OpenAuth, nil))
	wantErr(t, "as a Soft-AP", b.c.StartWPS(nil), driver.ErrMode)
	check(t, b.c.StopAP())
	b.online()
	wantErr(t, "connected", b.c.StartWPS(nil), driver.ErrConnected)
}

// The last digit is a checksum; 12345670 is the PIN of the specification's examples.
func TestWPSPINs(t *testing.T) {
	for n, want := range map[uint32]string{1234567: "12345670", 0: "00000000", 1: "00000017", 9999999: "99999995", 10_000_001: "00000017"} {
		if got := driver.WPSPIN(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	b := newBench(t)
	for _, pin := range []string{"", "1234567", "123456700", "12345671", "1234567x", "1234 670"} {
		wantErr(t, pin, b.c.StartWPSPIN(pin, nil), driver.ErrInvalid)
	}
	if ops := b.ops(); len(ops) != 0 {
		t.Error(ops)
	}
}

// An exchange that a device does not end is told when the device goes.
func TestWPSEndsWithTheClient(t *testing.T) {
	b := newBench(t)
	check(t, b.c.StartWPS(nil))
	b.take()
	check(t, b.c.Close())
	if ops := b.ops(); len(ops) == 0 || ops[len(ops)-1] != hif.OpDisableWPS {
		t.Error(ops)
	}
}
