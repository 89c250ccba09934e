package driver_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/driver"
)

func TestDHC02_LeaseReachesTheCallbackOnce(t *testing.T) {
	b := newBench(t)
	var got []string
	check(t, b.c.UseDHCP(func(a driver.Addr) { got = append(got, a.String()) }))
	b.join(nil)
	if b.c.Addr().IsValid() || len(got) != 0 { // DHC-07
		t.Error("address before the lease:", b.c.Addr(), got)
	}
	b.tell(hif.OpDHCPConf, lease("10.0.0.50"))
	if !slices.Equal(got, []string{"10.0.0.50"}) || b.c.Addr() != addr("10.0.0.50") {
		t.Error(got, b.c.Addr())
	}
	want := driver.IPConfig{
		Prefix: prefix("10.0.0.50/24"), Gateway: addr("10.0.0.1"), DNS: addr("10.0.0.3"), AltDNS: addr("10.0.0.4"), Lease: time.Hour,
	}
	if c := b.c.IPConfig(); c != want {
		t.Errorf("%+v", c)
	}
	b.tell(hif.OpDHCPConf, lease("10.0.0.50"))
	if len(got) != 2 { // DHC-10
		t.Error("a renewal is not reported:", got)
	}
}

func TestDHC03_LeaseWithoutCallback(t *testing.T) {
	b := newBench(t)
	b.online()
	if b.c.Addr() != addr("10.0.0.50") {
		t.Error(b.c.Addr())
	}
}

func TestDHC04_STA02_RefusedWhileConnected(t *testing.T) {
	b := newBench(t)
	b.online()
	for name, err := range map[string]error{
		"UseDHCP": b.c.UseDHCP(nil), "SetAddr": b.c.SetAddr(prefix("10.0.0.2/24")),
		"SetDNS": b.c.SetDNS(addr("10.0.0.9")), "SetGateway": b.c.SetGateway(addr("10.0.0.9")),
	} {
		wantErr(t, name, err, driver.ErrConnected)
		wantErr(t, name, err, driver.ErrRequest)
	}
	if !b.c.DHCP() || b.c.Addr() != addr("10.0.0.50") {
		t.Error("a refused call changed something")
	}
}

func TestDHC05_DHC06_WhenDHCPIsUsed(t *testing.T) {
	b := newBench(t)
	for _, step := range []struct {
		name string
		err  error
		do   func() error
		want bool
	}{
		{"after Open", nil, func() error { return nil }, true},
		{"SetAddr", nil, func() error { return b.c.SetAddr(prefix("10.0.0.2/24")) }, false},
		{"UseDHCP", nil, func() error { return b.c.UseDHCP(nil) }, true},
		{"SetAddr 0.0.0.0", nil, func() error { return b.c.SetAddr(prefix("0.0.0.0/0")) }, true},
		{"SetDNS alone", nil, func() error { return b.c.SetDNS(addr("10.0.0.3")) }, true},
		{"SetGateway alone", nil, func() error { return b.c.SetGateway(addr("10.0.0.1")) }, true},
	} {
		check(t, step.do())
		if got := b.c.DHCP(); got != step.want {
			t.Errorf("%s: DHCP() = %v", step.name, got)
		}
	}
}

func TestDHC17_NewestCallbackCounts(t *testing.T) {
	b := newBench(t)
	var got []int
	check(t, b.c.UseDHCP(func(driver.Addr) { got = append(got, 1) }))
	check(t, b.c.UseDHCP(func(driver.Addr) { got = append(got, 2) }))
	b.online()
	if !slices.Equal(got, []int{2}) {
		t.Error(got)
	}
}

func TestDHC14_FailureConflictAndLossAreEvents(t *testing.T) {
	b := newBench(t)
	var got []string
	check(t, b.c.OnIP(func(e driver.IPEvent) { got = append(got, fmt.Sprint(e.Kind, " ", e.Addr)) }))
	b.join(nil)
	b.tell(hif.OpDHCPFailure, nil)
	if b.c.LinkUp() {
		t.Error("link up without an address")
	}
	b.tell(hif.OpDHCPConf, lease("10.0.0.50"))
	b.tell(hif.OpIPConflict, hif.IPConflict{IP: [4]byte{10, 0, 0, 50}})
	b.tell(hif.OpDHCPConf, hif.IPConfig{})
	if b.c.LinkUp() || b.c.Addr().IsValid() { // DHC-11
		t.Error("the address survives its loss")
	}
	want := []string{"DHCP failed invalid IP", "leased 10.0.0.50", "conflict 10.0.0.50", "lost 10.0.0.50"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestSTA01_StaticConfigurationOnTheBus(t *testing.T) {
	b := newBench(t)
	check(t, b.c.SetAddr(prefix("192.168.1.9/23")))
	check(t, b.c.SetDNS(addr("192.168.1.3")))
	check(t, b.c.SetGateway(addr("192.168.1.1")))
	if ops := b.ops(); len(ops) != 0 {
		t.Error("sent before the connect:", ops) // STA-05
	}
	check(t, b.c.Connect(driver.BSS{SSID: "net"}, driver.OpenAuth, nil))
	rs := b.take()
	if len(rs) != 3 || rs[0].op != hif.OpDisableDHCP || rs[1].op != hif.OpStaticIP || rs[2].op != hif.OpConnect {
		t.Fatal(rs)
	}
	m, err := hif.ParseIPConfig(rs[1].payload)
	check(t, err)
	want := hif.IPConfig{
		IP: [4]byte{192, 168, 1, 9}, Gateway: [4]byte{192, 168, 1, 1}, DNS: [4]byte{192, 168, 1, 3},
		Mask: [4]byte{255, 255, 254, 0}, Size: 24,
	}
	if d := cmp.Diff(want, m); d != "" {
		t.Error(d)
	}
	if b.c.Addr().IsValid() { // STA-06
		t.Error("address before the connection")
	}
	b.tell(hif.OpStateChanged, connected)
	if b.c.Addr() != addr("192.168.1.9") {
		t.Error(b.c.Addr())
	}
}

func TestSTA07_UseDHCPRemovesTheStaticConfiguration(t *testing.T) {
	b := newBench(t)
	check(t, b.c.SetAddr(prefix("192.168.1.9/24")))
	check(t, b.c.UseDHCP(nil))
	check(t, b.c.Connect(driver.BSS{SSID: "net"}, driver.OpenAuth, nil))
	if ops := b.ops(); !slices.Equal(ops, []hif.Op{hif.OpEnableDHCP, hif.OpConnect}) {
		t.Error(ops)
	}
}

func TestSTA08_StaticConfigurationSurvivesReconnect(t *testing.T) {
	b := newBench(t)
	check(t, b.c.SetAddr(prefix("192.168.1.9/24")))
	for range 2 {
		check(t, b.c.Connect(driver.BSS{SSID: "net"}, driver.OpenAuth, nil))
		if ops := b.ops(); !slices.Contains(ops, hif.OpStaticIP) {
			t.Error(ops)
		}
		b.tell(hif.OpStateChanged, connected)
		check(t, b.c.Disconnect())
		b.tell(hif.OpStateChanged, disconnected)
		b.take()
	}
}

func TestSTA10_DNSAloneKeepsDHCP(t *testing.T) {
	b := newBench(t)
	b.online()
	check(t, b.c.Disconnect())
	b.tell(hif.OpStateChanged, disconnected)
	check(t, b.c.SetDNS(addr("10.0.0.9")))
	b.take()
	check(t, b.c.Connect(driver.BSS{SSID: "net"}, driver.OpenAuth, nil))
	if ops := b.ops(); !slices.Equal(ops, []hif.Op{hif.OpEnableDHCP, hif.OpConnect}) {
		t.Error(ops)
	}
}

func TestSTA12_ImpossibleAddresses(t *testing.T) {
	b := newBench(t)
	for _, p := range []string{"224.0.0.1/24", "127.0.0.1/8", "255.255.255.255/32", "10.0.0.255/24", "fe80::1/64", "::ffff:10.0.0.1/120"} {
		wantErr(t, p, b.c.SetAddr(prefix(p)), driver.ErrInvalid)
	}
	wantErr(t, "DNS", b.c.SetDNS(addr("::1")), driver.ErrInvalid)
	for _, p := range []string{"10.0.0.1/8", "10.0.0.255/16", "192.0.2.1/31", "192.0.2.1/32"} {
		check(t, b.c.SetAddr(prefix(p)))
	}
}

func TestLNK01_DHCP(t *testing.T) {
	b := newBench(t)
	inside := false
	check(t, b.c.UseDHCP(func(driver.Addr) { inside = b.c.LinkUp() }))
	b.join(func(driver.ConnEvent) {
		if b.c.LinkUp() {
			t.Error("up before the lease")
		}
	})
	b.tell(hif.OpDHCPConf, lease("10.0.0.50"))
	if !inside || !b.c.LinkUp() {
		t.Error("not up with the lease")
	}
}

func TestLNK02_LNK04_StaticInsideTheCallbacks(t *testing.T) {
	b := newBench(t)
	check(t, b.c.SetAddr(prefix("192.168.1.9/24")))
	var up []bool
	b.join(func(driver.ConnEvent) { up = append(up, b.c.LinkUp()) })
	b.tell(hif.OpStateChanged, disconnected)
	if !slices.Equal(up, []bool{true, false}) || b.c.LinkUp() || b.c.Addr().IsValid() {
		t.Error(up, b.c.LinkUp(), b.c.Addr())
	}
}

func TestLNK03_DownWhenDisconnectReturns(t *testing.T) {
	b := newBench(t)
	b.online()
	check(t, b.c.Disconnect())
	if b.c.LinkUp() || b.c.Addr().IsValid() {
		t.Error("still up")
	}
	b.tell(hif.OpDHCPConf, lease("10.0.0.50")) // too late
	if b.c.LinkUp() {
		t.Error("a late lease brings it up")
	}
}

func TestLNK08_RoamKeepsTheLink(t *testing.T) {
	b := newBench(t)
	b.online()
	b.tell(hif.OpStateChanged, hif.StateChanged{State: hif.Roamed})
	if !b.c.LinkUp() || b.c.Addr() != addr("10.0.0.50") {
		t.Error("down after a roam")
	}
}
