package device

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/stack"
)

// provision is START_PROVISION_MODE.
func (h *host) provision(p hif.Provision) {
	h.b.t.Helper()
	if !h.deliver(hif.OpStartProvision, true, p.Append(nil)) {
		h.b.t.Fatal("START_PROVISION_MODE was refused a buffer")
	}
}

// submit has a station fill in the page's form, and returns the answer.
func (c *client) submit(form string) string {
	c.b.t.Helper()
	conn, err := c.s.Dial(c.b.now, netip.AddrPort{}, netip.MustParseAddrPort("192.168.5.1:80"))
	if err != nil {
		c.b.t.Fatal(err)
	}
	request := "POST /join HTTP/1.0\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: " + itoa(len(form)) + "\r\n\r\n" + form
	var got []byte
	buf, sent, over := make([]byte, 4096), false, false
	c.b.until(20*time.Second, "the answer of the page", func() bool {
		if !sent {
			n, _ := conn.Write(c.b.now, []byte(request))
			sent = n == len(request)
		}
		for !over {
			n, err := conn.Read(c.b.now, buf)
			got = append(got, buf[:n]...)
			if n == 0 {
				over = err != nil && !strings.Contains(err.Error(), "block")
				break
			}
		}
		return over
	})
	conn.Close(c.b.now)
	return string(got)
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}

// The three layouts of the request (hif-messages 2.16), and the order of what the host is told.
func TestProvisioningLayouts_HM02(t *testing.T) {
	for _, size := range []int{hif.APConfigLen70, hif.APConfigLen136, hif.APConfigLen148} {
		b := newBench(t).withAP(secret)
		b.h.boot()
		ap := apConfig("")
		ap.Size = size
		b.h.provision(hif.Provision{AP: ap, Domain: "http://setup.test/", Redirect: true})
		c := b.withClient(1)
		if e := c.join(apName, ""); e.Network.SSID != apName {
			t.Fatalf("%d: %v", size, e)
		}
		b.h.state(hif.Connected)
		c.lease()
		if s := b.dev.Snapshot().SoftAP; s == nil || s.Page == nil || s.Page.Domain != "setup.test" {
			t.Fatalf("%d: %+v", size, s)
		}
		if a := c.submit("network=other&ssid=" + ssid + "&passphrase=correct+horse&name=lamp"); !strings.Contains(a, "All set") {
			t.Fatalf("%d: %s", size, a)
		}
		b.h.state(hif.Disconnected) // the station's
		m := await(b.h, 20*time.Second, hif.OpProvisionInfo, hif.ParseProvisionInfo)
		if m != (hif.ProvisionInfo{SSID: ssid, Passphrase: secret, Security: hif.SecurityPSK}) {
			t.Errorf("%d: %+v", size, m)
		}
		if s := b.dev.Snapshot(); s.SoftAP != nil || s.Name != "lamp" || s.Addr.IsValid() {
			t.Errorf("%d: afterwards %+v", size, s)
		}
		b.h.join(secret)
		b.h.quiet(10*time.Second, hif.OpProvisionInfo)
	}
}

// What cannot be ends at once: the host waits for an outcome. In the wrong mode it is told nothing, since what it waits for may
// be something else.
func TestProvisioningRefuses(t *testing.T) {
	bad := func(change func(*hif.Provision)) hif.Provision {
		p := hif.Provision{AP: apConfig(""), Domain: "setup.test"}
		change(&p)
		return p
	}
	b := newBench(t).withAP("")
	b.h.boot()
	for name, p := range map[string]hif.Provision{
		"no name":    bad(func(p *hif.Provision) { p.Domain = "" }),
		"a bad name": bad(func(p *hif.Provision) { p.Domain = "a b" }),
		"over TLS":   bad(func(p *hif.Provision) { p.Domain = "https://setup.test" }),
		"no SSID":    bad(func(p *hif.Provision) { p.AP.SSID = "" }),
		"WEP":        bad(func(p *hif.Provision) { p.AP.Security = hif.SecurityWEP }),
		"no address": bad(func(p *hif.Provision) { p.AP.IP = [4]byte{} }),
	} {
		b.h.provision(p)
		if m := await(b.h, 0, hif.OpProvisionInfo, hif.ParseProvisionInfo); m.Status == 0 {
			t.Errorf("%s: %+v", name, m)
		}
		if s := b.dev.Snapshot(); s.SoftAP != nil || s.Addr.IsValid() {
			t.Errorf("%s: %+v", name, s.SoftAP)
		}
	}
	b.h.deliver(hif.OpStartProvision, true, make([]byte, 20))
	if m := await(b.h, 0, hif.OpProvisionInfo, hif.ParseProvisionInfo); m.Status == 0 {
		t.Errorf("too short: %+v", m)
	}
	wrong := b.dev.Counters().WrongMode
	send(b.h, hif.OpStopProvision, hif.None{})
	b.h.join("")
	b.h.provision(bad(func(*hif.Provision) {}))
	b.h.quiet(time.Second, hif.OpProvisionInfo)
	if n := b.dev.Counters().WrongMode - wrong; n != 2 {
		t.Errorf("%d requests in the wrong mode, want 2", n)
	}
}

// STOP_PROVISION_MODE and DISABLE_AP both end it, whatever goes on; all that it had is free then.
func TestProvisioningStops(t *testing.T) {
	for _, op := range []hif.Op{hif.OpStopProvision, hif.OpDisableAP} {
		b := newBench(t).withAP("")
		b.h.boot().provision(hif.Provision{AP: apConfig(""), Domain: "setup.test", Redirect: true})
		c := b.withClient(1)
		c.join(apName, "")
		b.h.state(hif.Connected)
		c.lease()
		for range 3 { // of whom nothing comes
			if _, err := c.s.Dial(b.now, netip.AddrPort{}, netip.MustParseAddrPort("192.168.5.1:80")); err != nil {
				t.Fatal(err)
			}
		}
		b.until(time.Second, "connections to the page", func() bool { return b.dev.Snapshot().SoftAP.Page.Conns == 3 })
		if s := b.h.bind(0, 80, 1); s != hif.StatusOK {
			t.Fatal("bind:", s)
		}
		if s := b.h.listen(0, 1); s != hif.StatusOK { // it does not disturb the page
			t.Error("the host listens at the port of the page:", s)
		}
		if a := c.submit("ssid="); !strings.Contains(a, "Choose a network") {
			t.Error(a)
		}
		send(b.h, op, hif.None{})
		b.h.state(hif.Disconnected)
		b.h.quiet(time.Minute, hif.OpProvisionInfo)
		b.h.close(0, 1)
		if s := b.dev.Snapshot(); s.SoftAP != nil {
			t.Fatalf("%v: %+v", op, s.SoftAP)
		}
		b.h.enableAP(apConfig(""))
		if s := b.h.bind(0, 80, 2); s != hif.StatusOK {
			t.Error(s)
		}
		if s := b.h.listen(0, 2); s != hif.StatusOK {
			t.Errorf("%v: port 80 is taken: %v", op, s)
		}
		send(b.h, hif.OpDisableAP, hif.None{})
	}
}

// A scan of the host that comes while the page's still runs waits for it, and is answered [HM-09].
func TestScanRightAfterProvisioning_HM09(t *testing.T) {
	b := newBench(t).withAP("")
	b.h.boot().provision(hif.Provision{AP: apConfig(""), Domain: "setup.test"})
	send(b.h, hif.OpScan, hif.Scan{Channel: hif.AllChannels}) // the radio is taken
	if m := await(b.h, 0, hif.OpScanDone, hif.ParseScanDone); m.State == 0 {
		t.Errorf("%+v", m)
	}
	send(b.h, hif.OpStopProvision, hif.None{})
	send(b.h, hif.OpScan, hif.Scan{Channel: 6})
	send(b.h, hif.OpScan, hif.Scan{Channel: 6})
	for range 2 {
		if m := await(b.h, 6*time.Second, hif.OpScanDone, hif.ParseScanDone); m.State != 0 || m.Count != 1 {
			t.Errorf("%+v", m)
		}
	}
	b.h.quiet(6*time.Second, hif.OpScanDone)

	// A new address takes the station away in the middle of a scan.
	send(b.h, hif.OpScan, hif.Scan{Channel: hif.AllChannels})
	send(b.h, hif.OpSetMAC, hif.SetMAC{MAC: [6]byte{2, 9, 9, 9, 9, 9}})
	if m := await(b.h, 0, hif.OpScanDone, hif.ParseScanDone); m.State == 0 {
		t.Errorf("%+v", m)
	}
	send(b.h, hif.OpScan, hif.Scan{Channel: hif.AllChannels})
	if m := await(b.h, 6*time.Second, hif.OpScanDone, hif.ParseScanDone); m.Count != 1 {
		t.Errorf("%+v", m)
	}
}

// Junk for the two servers is dropped, and a lossy air only makes it slower.
func TestProvisioningUnderAttack(t *testing.T) {
	b := newBench(t).withAP("")
	b.h.boot().provision(hif.Provision{AP: apConfig(""), Domain: "setup.test", Redirect: true})
	b.air.SetLink(devMAC, [6]byte{}, air.Link{Loss: 0.1})
	c := b.withClient(1)
	c.join(apName, "")
	c.lease()
	u, err := c.s.ListenUDP(b.now, netip.AddrPort{}, stack.UDPConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		junk := []byte(strings.Repeat("\xc0\x0c", i))
		u.WriteTo(b.now, junk, netip.MustParseAddrPort("192.168.5.1:53"))
		if k, err := c.s.Dial(b.now, netip.AddrPort{}, netip.MustParseAddrPort("192.168.5.1:80")); err == nil && i%2 == 0 {
			b.run(10 * time.Millisecond)
			k.Write(b.now, junk)
		}
	}
	b.run(time.Second)
	if n := b.dev.Snapshot().SoftAP.Page.Conns; n > 6 {
		t.Error(n, "connections")
	}
	if a := c.submit("ssid=open+net"); !strings.Contains(a, "All set") {
		t.Fatal(a)
	}
	if m := await(b.h, 20*time.Second, hif.OpProvisionInfo, hif.ParseProvisionInfo); m.SSID != "open net" || m.Security != hif.SecurityOpen || m.Status != 0 {
		t.Errorf("%+v", m)
	}
}
