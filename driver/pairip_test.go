package driver_test

import (
	"errors"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/understudytest"
)

func TestDHC_OnTheDevice(t *testing.T) {
	onRig(t, understudytest.Config{LeaseTime: 10 * time.Minute}, func(r *rig) {
		var got []driver.Addr
		check(t, r.c.UseDHCP(func(a driver.Addr) { got = append(got, a) }))
		r.pass(5 * time.Second)
		r.wantAir("before connecting", 0, "UDP")
		r.connect()
		r.until(20*time.Second, r.c.LinkUp)
		r.pass(time.Second)
		if len(got) != 1 || got[0] != understudytest.FirstLease || r.c.Addr() != got[0] {
			t.Error("DHC-02, DHC-07: ", got, r.c.Addr())
		}
		r.wantAir("DHC-01", 1, "> UDP", "DISCOVER")
		if cfg := r.c.IPConfig(); cfg.Gateway != understudytest.RouterAddr || cfg.DNS != understudytest.RouterAddr || cfg.Lease != 10*time.Minute {
			t.Errorf("DHC-13: %+v", cfg)
		}
		h := r.AddHost("peer.test")
		r.forget()
		s, _ := r.pair(h, 7)
		r.forget()
		r.pass(5*time.Minute + time.Second) // T1
		r.wantAir("DHC-09", 1, "> UDP", "REQUEST")
		r.wantAir("DHC-09: unicast", 0, "> UDP", "REQUEST", "broadcast")
		if len(got) != 2 {
			t.Error("DHC-10: ", got)
		}
		check(t, s.Send([]byte("still here")))
		r.expect("WIF-06", time.Second, "0 SEND 10")

		r.SetCable(r.Router, air.Link{Down: true})
		r.forget()
		r.pass(9 * time.Minute)
		if !r.c.LinkUp() || r.saw("> UDP", "REQUEST", "broadcast") == 0 {
			t.Error("DHC-09, DHC-11: before expiry: ", r.c.LinkUp(), r.air)
		}
		r.pass(2 * time.Minute)
		if r.c.LinkUp() || r.c.Addr().IsValid() {
			t.Error("DHC-11: the address survives its lease")
		}
		r.SetCable(r.Router, air.Link{})
		if !r.until(5*time.Minute, r.c.LinkUp) {
			t.Error("no new lease")
		}
		check(t, r.c.Disconnect())
		r.pass(time.Second)
		n := len(got)
		r.connect()
		r.until(20*time.Second, r.c.LinkUp)
		if len(got) != n+1 {
			t.Error("DHC-18: ", got)
		}
	})
}

func TestDHC08_DHC14_NoServer(t *testing.T) {
	onRig(t, understudytest.Config{}, func(r *rig) {
		failed := false
		check(t, r.c.OnIP(func(e driver.IPEvent) { failed = failed || e.Kind == driver.IPDHCPFailed }))
		r.SetCable(r.Router, air.Link{Down: true})
		r.connect()
		r.pass(2 * time.Minute)
		if !failed || r.c.LinkUp() || len(r.ev) != 1 {
			t.Error("DHC-14: ", failed, r.c.LinkUp(), r.ev)
		}
		if n := r.saw("> UDP", "DISCOVER"); n < 4 || n > 8 {
			t.Errorf("DHC-08: %d times DISCOVER in two minutes", n)
		}
		r.SetCable(r.Router, air.Link{})
		if !r.until(2*time.Minute, r.c.LinkUp) {
			t.Error("the server comes late, and no lease")
		}
	})
}

func TestSTA_OnTheDevice(t *testing.T) {
	onRig(t, understudytest.Config{}, func(r *rig) {
		check(t, r.c.SetAddr(prefix("10.9.0.200/24")))
		check(t, r.c.SetDNS(understudytest.RouterAddr))
		check(t, r.c.SetGateway(understudytest.RouterAddr))
		r.pass(time.Second)
		r.wantAir("STA-05", 0, "IP")
		r.connect()
		if !r.until(20*time.Second, r.c.LinkUp) || r.c.Addr() != addr("10.9.0.200") {
			t.Fatal("no link")
		}
		h := r.AddHost("peer.test")
		reached := false
		r.Go(func() { _, err := h.Ping(ctx, r.c.Addr(), pingConfig()); reached = err == nil })
		r.pass(5 * time.Second)
		if !reached {
			t.Error("STA-01: the station does not answer")
		}
		r.wantAir("STA-01", 0, "DISCOVER")
		r.forget()
		check(t, r.c.Resolve("peer.test"))
		r.expect("STA-03", 5*time.Second, "peer.test "+h.Addr.String())
		r.wantAir("STA-03", 1, "> UDP", ">10.9.0.1:53")
		r.forget()
		var got []error
		echo := func(a string) error {
			got = nil
			check(t, r.c.Echo(addr(a), 0, func(e driver.EchoReply) { got = append(got, e.Err) }))
			r.until(10*time.Second, func() bool { return len(got) > 0 })
			return errors.Join(got...)
		}
		echo("192.0.2.1")
		r.wantAir("STA-04", 0, "> ARP", "192.0.2.1")
		check(t, r.c.Disconnect())
		r.pass(time.Second)
		check(t, r.c.SetGateway(driver.Addr{}))
		r.connect()
		if !r.until(20*time.Second, r.c.LinkUp) || r.c.Addr() != addr("10.9.0.200") { // STA-08
			t.Fatal("STA-08: no link")
		}
		r.pass(time.Second)
		wantErr(t, "STA-09", echo("192.0.2.1"), driver.ErrUnreachable)
		if err := echo(h.Addr.String()); err != nil {
			t.Error("STA-09: on-link: ", err)
		}
	})
}

func TestJoinFailuresOnTheDevice(t *testing.T) {
	onRig(t, understudytest.Config{}, func(r *rig) {
		try := func(bss driver.BSS, auth driver.Auth, want error) {
			t.Helper()
			done := false
			check(t, r.c.Connect(bss, auth, func(e driver.ConnEvent) {
				wantErr(t, bss.SSID, e.Err, want)
				done = true
			}))
			if !r.until(30*time.Second, func() bool { return done }) {
				t.Error("no verdict on", bss.SSID)
			}
		}
		try(driver.BSS{SSID: "elsewhere"}, driver.OpenAuth, driver.ErrScanFail)
		try(r.BSS(), driver.WPA("wrong passphrase"), driver.ErrAuthFail)
		try(r.BSS(), driver.WPA("short"), driver.ErrAuthFail)
		try(driver.BSS{SSID: understudytest.SSID, BSSID: driver.MAC{2, 2, 2}}, r.Auth(), driver.ErrScanFail)
	})
}
