package device

import (
	"fmt"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/stack/dhcp"
	"net/netip"
)

// oldConnect is the request of hosts before 19.6.1.
func oldConnect(name, passphrase string) hif.ConnectOld {
	c := hif.ConnectOld{SSID: name, Channel: hif.AllChannels}
	c.Security = hif.SecurityOpen
	if passphrase != "" {
		c.Security, c.Passphrase = hif.SecurityPSK, passphrase
	}
	return c
}

func TestJoinOldForm(t *testing.T) {
	for _, pass := range []string{"", secret} {
		b := newBench(t).withAP(pass)
		b.h.boot()
		send(b.h, hif.OpConnectOld, oldConnect(ssid, pass))
		if m := await(b.h, 20*time.Second, hif.OpStateChanged, hif.ParseStateChanged); m.State != hif.Connected {
			t.Errorf("passphrase %q: %v %v", pass, m.State, m.Error)
		}
		if len(b.ap.Stations()) != 1 {
			t.Errorf("stations at the access point: %v", b.ap.Stations())
		}
	}
}

func TestJoinNewForm(t *testing.T) {
	for _, pass := range []string{"", secret} {
		b := newBench(t).withAP(pass)
		b.h.boot()
		b.h.join(pass)
	}
}

func TestJoinFailures(t *testing.T) {
	for _, tc := range []struct {
		name string
		c    hif.ConnectOld
		want hif.ConnError
	}{
		{"no such network", oldConnect("elsewhere", ""), hif.ConnScanFail},
		{"wrong passphrase", oldConnect(ssid, "wrong horse"), hif.ConnAuthFail},
		{"short passphrase", oldConnect(ssid, "short"), hif.ConnAuthFail},
		{"other security", oldConnect(ssid, ""), hif.ConnJoinFail},
		{"WEP is not built here", hif.ConnectOld{SSID: ssid, Channel: 255, Credentials: hif.Credentials{Security: hif.SecurityWEP, WEPKey: "0123456789"}}, hif.ConnAuthFail},
		{"no such security", hif.ConnectOld{SSID: ssid, Channel: 255, Credentials: hif.Credentials{Security: 77}}, hif.ConnJoinFail},
		{"no such channel", hif.ConnectOld{SSID: ssid, Channel: 99, Credentials: hif.Credentials{Security: hif.SecurityOpen}}, hif.ConnJoinFail},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t).withAP(secret)
			b.h.boot()
			send(b.h, hif.OpConnectOld, tc.c)
			m := await(b.h, 30*time.Second, hif.OpStateChanged, hif.ParseStateChanged)
			if m.State != hif.Disconnected || m.Error != tc.want {
				t.Errorf("got %v %v, want %v", m.State, m.Error, tc.want)
			}
			b.h.quiet(5*time.Second, hif.OpStateChanged)
			b.h.join(secret)
		})
	}
}

func TestConnectWhileConnecting(t *testing.T) {
	b := newBench(t).withAP("")
	b.h.boot()
	send(b.h, hif.OpConnectOld, oldConnect(ssid, ""))
	send(b.h, hif.OpConnectOld, oldConnect(ssid, ""))
	if m := await(b.h, 0, hif.OpStateChanged, hif.ParseStateChanged); m.Error != hif.ConnInProgress {
		t.Errorf("second attempt: %v %v, want in progress", m.State, m.Error)
	}
	if m := await(b.h, 20*time.Second, hif.OpStateChanged, hif.ParseStateChanged); m.State != hif.Connected {
		t.Errorf("first attempt: %v %v", m.State, m.Error)
	}
}

func TestConnectWhileConnectedLeavesFirst(t *testing.T) {
	b := newBench(t).withAP("")
	b.h.boot()
	b.h.join("")
	send(b.h, hif.OpConnectOld, oldConnect(ssid, ""))
	if m := await(b.h, 0, hif.OpStateChanged, hif.ParseStateChanged); m.State != hif.Disconnected || m.Error != hif.ConnOK {
		t.Errorf("got %v %v, want disconnected", m.State, m.Error)
	}
	if m := await(b.h, 20*time.Second, hif.OpStateChanged, hif.ParseStateChanged); m.State != hif.Connected {
		t.Errorf("got %v %v, want connected", m.State, m.Error)
	}
}

func TestDisconnectIsAnsweredInEveryState(t *testing.T) {
	b := newBench(t).withAP("")
	b.h.boot()
	check := func(state string) {
		t.Helper()
		send(b.h, hif.OpDisconnect, hif.None{})
		if m := await(b.h, 0, hif.OpStateChanged, hif.ParseStateChanged); m.State != hif.Disconnected || m.Error != hif.ConnOK {
			t.Errorf("%s: %v %v", state, m.State, m.Error)
		}
		b.h.quiet(10*time.Second, hif.OpStateChanged)
	}
	check("idle")
	send(b.h, hif.OpConnectOld, oldConnect(ssid, ""))
	check("joining")
	b.h.join("")
	check("joined")
	if n := len(b.ap.Stations()); n != 0 {
		t.Errorf("%d stations left at the access point", n)
	}
}

func TestScan_HM09(t *testing.T) {
	b := newBench(t).withAP(secret)
	b.h.boot()
	for _, req := range []struct {
		op hif.Op
		p  hif.Payload
		n  uint8
	}{
		{hif.OpScan, hif.Scan{Channel: hif.AllChannels}, 1},
		{hif.OpScan, hif.Scan{Channel: 6}, 1},
		{hif.OpScan, hif.Scan{Channel: 5}, 0},
		{hif.OpPassiveScan, hif.Scan{Channel: hif.AllChannels, PassiveTime: 120}, 1},
		{hif.OpScanSSIDList, hif.ScanSSIDList{Scan: hif.Scan{Channel: 6}, SSIDs: []string{"a", ssid}}, 1},
	} {
		b.h.deliver(req.op, req.op == hif.OpScanSSIDList, req.p.Append(nil))
		m := await(b.h, 6*time.Second, hif.OpScanDone, hif.ParseScanDone)
		if m.State != 0 || m.Count != req.n {
			t.Errorf("%v: %d networks, state %d; want %d", req.op, m.Count, m.State, req.n)
			continue
		}
		send(b.h, hif.OpGetScanResult, hif.GetScanResult{Index: 0})
		r := await(b.h, 0, hif.OpScanResult, hif.ParseScanResult)
		if req.n == 1 && (r.SSID != ssid || r.Channel != 6 || r.BSSID != apMAC || r.Security != hif.SecurityPSK || r.RSSI >= 0) {
			t.Errorf("%v: result %+v", req.op, r)
		}
		send(b.h, hif.OpGetScanResult, hif.GetScanResult{Index: 9})
		if r := await(b.h, 0, hif.OpScanResult, hif.ParseScanResult); r.SSID != "" || r.Index != 9 {
			t.Errorf("result out of range: %+v", r)
		}
	}
	// Requests that cannot be carried out are answered too.
	for _, bad := range []message{{hif.OpScan, []byte{77, 0, 0, 0}}, {hif.OpScan, []byte{1}}, {hif.OpScanSSIDList, []byte{6, 0, 0, 0, 4, 99}}} {
		b.h.deliver(bad.op, false, bad.payload)
		if m := await(b.h, 0, hif.OpScanDone, hif.ParseScanDone); m.Count != 0 || m.State == 0 {
			t.Errorf("bad scan: %+v", m)
		}
	}
	// Two at a time: two answers.
	send(b.h, hif.OpScan, hif.Scan{Channel: 6})
	send(b.h, hif.OpScan, hif.Scan{Channel: 6})
	await(b.h, 6*time.Second, hif.OpScanDone, hif.ParseScanDone)
	await(b.h, 0, hif.OpScanDone, hif.ParseScanDone)
}

func TestScanRegionAndOptions(t *testing.T) {
	b := newBench(t).withAP("")
	b.h.boot()
	send(b.h, hif.OpSetScanOption, hif.ScanOption{Slots: 1, SlotTime: 10, Probes: 1, RSSIThreshold: -45})
	send(b.h, hif.OpSetScanRegion, hif.ScanRegion{Mask: 0x001f}) // channels 1 to 5
	start := b.now
	send(b.h, hif.OpScan, hif.Scan{Channel: hif.AllChannels})
	if m := await(b.h, 6*time.Second, hif.OpScanDone, hif.ParseScanDone); m.Count != 0 {
		t.Errorf("%d networks on channels that are not allowed", m.Count)
	}
	if d := b.now.Sub(start); d != 50*time.Millisecond {
		t.Errorf("the scan took %v, want 5 channels of 10 ms", d)
	}
	send(b.h, hif.OpSetScanRegion, hif.ScanRegion{Mask: hif.RegionEurope})
	send(b.h, hif.OpScan, hif.Scan{Channel: hif.AllChannels})
	if m := await(b.h, 6*time.Second, hif.OpScanDone, hif.ParseScanDone); m.Count != 1 {
		t.Errorf("%d networks in Europe, want 1", m.Count)
	}
}

func TestConnInfoAndRSSI(t *testing.T) {
	b, _ := online(t)
	send(b.h, hif.OpGetConnInfo, hif.None{})
	m := await(b.h, 0, hif.OpConnInfo, hif.ParseConnInfo)
	if m.SSID != ssid || m.MAC != apMAC || m.IP != staticIP.As4() || m.Channel != 6 || m.RSSI >= 0 || m.Security != hif.SecurityOpen {
		t.Errorf("connection info %+v", m)
	}
	send(b.h, hif.OpGetRSSI, hif.None{})
	if r := await(b.h, 0, hif.OpRSSI, hif.ParseRSSI); r.RSSI >= 0 {
		t.Errorf("RSSI %d while joined; hosts take 0 for no answer", r.RSSI)
	}
	send(b.h, hif.OpDisconnect, hif.None{})
	send(b.h, hif.OpGetConnInfo, hif.None{})
	if m := await(b.h, 0, hif.OpConnInfo, hif.ParseConnInfo); m.SSID != "" || m.IP != ([4]byte{}) {
		t.Errorf("connection info after disconnect %+v", m)
	}
}

// serveDHCP makes p the DHCP server of its network.
func serveDHCP(t *testing.T, p *peer, lease time.Duration) {
	t.Helper()
	_, err := p.s.ServeDHCP(p.b.now, dhcp.ServerConfig{
		First: netip.MustParseAddr("192.168.1.77"), Last: netip.MustParseAddr("192.168.1.77"), LeaseTime: lease,
		Router: peerIP, DNS: []netip.Addr{peerIP, netip.MustParseAddr("192.168.1.2")},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
}

func TestDHC01_DHC02_HM02_LeaseInTheLayoutOfTheHost(t *testing.T) {
	for _, tc := range []struct {
		version uint32
		size    int
	}{{0, 16}, {0x13441344, 16}, {0x13521352, 20}, {0x13301354, 24}, {0x13301361, 24}, {0x13301377, 24}} {
		t.Run(fmt.Sprintf("%#x", tc.version), func(t *testing.T) {
			b := newBench(t).withAP("")
			p := b.withPeer(peerIP)
			serveDHCP(t, p, time.Hour)
			b.h.version = tc.version
			b.h.boot()
			send(b.h, hif.OpConnectOld, oldConnect(ssid, ""))
			if m := await(b.h, 20*time.Second, hif.OpStateChanged, hif.ParseStateChanged); m.State != hif.Connected {
				t.Fatalf("%v %v", m.State, m.Error)
			}
			m := await(b.h, 20*time.Second, hif.OpDHCPConf, hif.ParseIPConfig)
			want := hif.IPConfig{Size: tc.size, IP: [4]byte{192, 168, 1, 77}, Gateway: peerIP.As4(), DNS: peerIP.As4(), Mask: [4]byte{255, 255, 255, 0}}
			if tc.size == 24 {
				want.AltDNS = [4]byte{192, 168, 1, 2}
			}
			if tc.size > 16 {
				want.Lease = m.Lease
				if m.Lease < 3590 || m.Lease > 3600 {
					t.Errorf("lease of %d s, want an hour", m.Lease)
				}
			}
			if m != want {
				t.Errorf("got %+v\nwant %+v", m, want)
			}
		})
	}
}

func TestDHC10_RenewalIsToldToNewHostsOnly(t *testing.T) {
	for version, want := range map[uint32]bool{0x13521352: false, 0x13301377: true} {
		b := newBench(t).withAP("")
		serveDHCP(t, b.withPeer(peerIP), 2*time.Minute)
		b.h.version = version
		b.h.boot()
		send(b.h, hif.OpConnectOld, oldConnect(ssid, ""))
		await(b.h, 20*time.Second, hif.OpDHCPConf, hif.ParseIPConfig)
		if want {
			await(b.h, 65*time.Second, hif.OpDHCPConf, hif.ParseIPConfig)
		} else {
			b.h.quiet(3*time.Minute, hif.OpDHCPConf)
		}
	}
}

func TestDHC11_LeaseThatRunsOut(t *testing.T) {
	b := newBench(t).withAP("")
	p := b.withPeer(peerIP)
	serveDHCP(t, p, 2*time.Minute)
	b.h.boot()
	b.h.join("")
	await(b.h, 20*time.Second, hif.OpDHCPConf, hif.ParseIPConfig)
	send(b.h, hif.OpBind, bindTo(7, 5000, 1))
	await(b.h, 0, hif.OpBind, hif.ParseBindReply)
	send(b.h, hif.OpRecvFrom, recvOf(7, 1))
	p.s.StopServingDHCP()
	m := await(b.h, 3*time.Minute, hif.OpDHCPConf, hif.ParseIPConfig)
	if m.IP != ([4]byte{}) {
		t.Errorf("told %v, want the address 0: lost", m.IP)
	}
	if r := await(b.h, 0, hif.OpRecvFrom, hif.ParseRecvReply); r.Status != hif.StatusAborted {
		t.Errorf("pending receive: %v", r.Status)
	}
}

func TestDHC14_NoServer(t *testing.T) {
	b := newBench(t).withAP("")
	b.withPeer(peerIP)
	b.h.boot()
	b.h.join("")
	await(b.h, 60*time.Second, hif.OpDHCPFailure, none)
	b.h.quiet(10*time.Minute, hif.OpDHCPFailure)
	b.h.quiet(0, hif.OpStateChanged)

	b = newBench(t).withAP("") // a host that has no message for it
	b.h.version = 0x13521352
	b.h.boot()
	send(b.h, hif.OpConnectOld, oldConnect(ssid, ""))
	await(b.h, 20*time.Second, hif.OpStateChanged, hif.ParseStateChanged)
	start := b.now
	if m := await(b.h, 60*time.Second, hif.OpStateChanged, hif.ParseStateChanged); m.State != hif.Disconnected || m.Error != hif.ConnJoinFail {
		t.Errorf("%v %v, want join failed", m.State, m.Error)
	}
	if d := b.now.Sub(start); d < 29*time.Second || d > 31*time.Second {
		t.Errorf("after %v, want 30 s", d)
	}
	b.h.quiet(time.Minute, hif.OpDHCPFailure)
}

func TestDHC15_HostName(t *testing.T) {
	for name, want := range map[string]string{"": "WINC-AB-CD", "lamp": "lamp"} {
		b := newBench(t).withAP("")
		p := b.withPeer(peerIP)
		var got string
		if _, err := p.s.ServeDHCP(b.now, dhcp.ServerConfig{
			First: netip.MustParseAddr("192.168.1.77"), Last: netip.MustParseAddr("192.168.1.77"),
		}, func(now time.Time, e dhcp.ServerEvent) { got = e.Lease.Hostname }); err != nil {
			t.Fatal(err)
		}
		b.h.boot()
		if name != "" {
			send(b.h, hif.OpSetDeviceName, hif.DeviceName{Name: name})
		}
		b.h.join("")
		await(b.h, 20*time.Second, hif.OpDHCPConf, hif.ParseIPConfig)
		if got != want {
			t.Errorf("host name %q, want %q", got, want)
		}
	}
}

func TestSTA01_StaticAddressWithoutDHCP(t *testing.T) {
	b, p := online(t)
	serveDHCP(t, p, time.Hour)
	b.h.quiet(time.Minute, hif.OpDHCPConf)
	if a := b.dev.fw.stack.Addr(); a.Addr() != staticIP || a.Bits() != 24 {
		t.Errorf("address %v", a)
	}
	// It survives a reconnect (STA-08), until DHCP is switched on again (STA-07).
	send(b.h, hif.OpDisconnect, hif.None{})
	await(b.h, 0, hif.OpStateChanged, hif.ParseStateChanged)
	b.h.join("")
	if a := b.dev.fw.stack.Addr().Addr(); a != staticIP {
		t.Errorf("address after a reconnect %v", a)
	}
	send(b.h, hif.OpDisconnect, hif.None{})
	await(b.h, 0, hif.OpStateChanged, hif.ParseStateChanged)
	send(b.h, hif.OpEnableDHCP, hif.None{})
	b.h.join("")
	await(b.h, 20*time.Second, hif.OpDHCPConf, hif.ParseIPConfig)
}

func TestSTA11_Conflict(t *testing.T) {
	b := newBench(t).withAP("")
	b.withPeer(peerIP)
	b.withPeer(staticIP) // has our address
	b.h.boot()
	b.h.static()
	b.h.join("")
	m := await(b.h, 20*time.Second, hif.OpIPConflict, hif.ParseIPConflict)
	if m.IP != staticIP.As4() {
		t.Errorf("conflict about %v", m.IP)
	}
	if a := b.dev.fw.stack.Addr().Addr(); a != staticIP {
		t.Errorf("address after the conflict %v: must be kept", a)
	}
}

func TestDefaultConnect(t *testing.T) {
	b := newBench(t).withAP(secret)
	b.h.boot()
	def := func() { send(b.h, hif.OpDefaultConnect, hif.None{}) }
	def()
	if m := await(b.h, 0, hif.OpDefaultConnected, hif.ParseDefaultConnected); m.Error != hif.DefaultConnectListEmpty {
		t.Errorf("empty list: %d", m.Error)
	}
	c := hif.Connect{SSID: ssid, Channel: hif.AllChannels, Store: hif.StoreCredentials}
	c.Security, c.Passphrase = hif.SecurityPSK, secret
	b.h.deliver(hif.OpConnect, true, c.Append(nil))
	await(b.h, 20*time.Second, hif.OpStateChanged, hif.ParseStateChanged)
	b.dev.Reset(b.now, true)
	b.dev.Reset(b.now, false)
	b.h = newHost(b)
	b.h.boot()
	def()
	def() // while one is running
	if m := await(b.h, 0, hif.OpDefaultConnected, hif.ParseDefaultConnected); m.Error != hif.DefaultConnectInProgress {
		t.Errorf("second: %d", m.Error)
	}
	if m := await(b.h, 20*time.Second, hif.OpStateChanged, hif.ParseStateChanged); m.State != hif.Connected {
		t.Errorf("default connect: %v %v", m.State, m.Error)
	}
	b.ap.Stop(b.now)
	await(b.h, 20*time.Second, hif.OpStateChanged, hif.ParseStateChanged)
	def()
	if m := await(b.h, 20*time.Second, hif.OpDefaultConnected, hif.ParseDefaultConnected); m.Error != hif.DefaultConnectNotFound {
		t.Errorf("nothing there: %d", m.Error)
	}
	send(b.h, hif.OpDeleteAPID, hif.DeleteAPID{SSID: ssid})
	if m := await(b.h, 0, hif.OpDeleteAPID, hif.ParseDeleteAPIDReply); m.Error != 0 {
		t.Errorf("delete: %d", m.Error)
	}
	def()
	if m := await(b.h, 0, hif.OpDefaultConnected, hif.ParseDefaultConnected); m.Error != hif.DefaultConnectListEmpty {
		t.Errorf("after delete: %d", m.Error)
	}
}

func TestSetMAC(t *testing.T) {
	b := newBench(t).withAP("")
	b.h.boot()
	mac := [6]byte{0x02, 1, 2, 3, 4, 5}
	send(b.h, hif.OpSetMAC, hif.SetMAC{MAC: mac})
	send(b.h, hif.OpSetMAC, hif.SetMAC{MAC: [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}) // not an address of a station
	b.h.join("")
	if s := b.ap.Stations(); len(s) != 1 || s[0].MAC != mac {
		t.Errorf("stations %v, want %x", s, mac)
	}
	p, _ := hif.ParsePointers(b.h.block(0x30000|b.h.read(0xc0008), 8))
	if got := b.h.block(0x30000|uint32(p.MAC), 6); [6]byte(got) != mac {
		t.Errorf("register says % x", got)
	}
	if got := b.h.block(0x30000|uint32(p.OTPMAC), 6); [6]byte(got) != devMAC {
		t.Errorf("OTP says % x", got)
	}
}

func TestSysTime(t *testing.T) {
	b := newBench(t)
	b.h.boot()
	get := func() time.Time {
		send(b.h, hif.OpGetSysTime, hif.None{})
		return await(b.h, 0, hif.OpSysTime, hif.ParseSysTime).Time()
	}
	if !get().IsZero() {
		t.Error("time known after boot")
	}
	for _, at := range []time.Time{
		time.Date(2024, 2, 29, 23, 59, 58, 0, time.UTC),
		time.Date(2037, 1, 1, 0, 0, 0, 0, time.UTC), // the next era
	} {
		send(b.h, hif.OpSetSysTime, hif.SetSysTime{Seconds: uint32(at.Unix() + 2208988800)})
		b.run(3 * time.Second)
		if got := get(); !got.Equal(at.Add(3 * time.Second)) {
			t.Errorf("set %v, 3 s later %v", at, got)
		}
	}
}

func TestRandom(t *testing.T) {
	b := newBench(t)
	b.h.boot()
	ask := func(payload []byte) []byte {
		b.h.deliver(hif.OpGetPRNG, true, payload)
		return await(b.h, 0, hif.OpPRNG, func(p []byte) ([]byte, error) { return p, nil })
	}
	head := []byte{0xde, 0xad, 0xbe, 0xef, 16, 0, 7, 7}
	one := ask(head)
	two := ask(head)
	if string(one[:8]) != string(head) || len(one) != 24 || string(one) == string(two) {
		t.Errorf("% x\n% x", one, two)
	}
	wide := append(make([]byte, 8), 4, 0, 0, 0, 0, 0, 0, 0)
	if got := ask(wide); len(got) != 20 {
		t.Errorf("%d bytes for a host with wide pointers", len(got))
	}
	if got := ask([]byte{0, 0, 0, 0, 0x2c, 6, 0, 0}); len(got) != 8+1580 {
		t.Errorf("%d bytes, want 1580 random ones", len(got)-8)
	}
}

func TestAnswersThatSayNo(t *testing.T) {
	b := newBench(t)
	b.h.boot()
	for _, tc := range []struct {
		op   hif.Op
		p    []byte
		want hif.UpdateStatus
	}{
		{hif.OpStartUpdate, []byte("http://x/y\x00"), hif.UpdateStatus{Type: hif.UpdateDownload, Status: hif.UpdateConnError}}, // no network
		{hif.OpSwitchFirmware, nil, hif.UpdateStatus{Type: hif.UpdateSwitch, Status: hif.UpdateNoRollback}},
		{hif.OpRollback, nil, hif.UpdateStatus{Type: hif.UpdateRollback, Status: hif.UpdateNoRollback}},
		{hif.OpAbortUpdate, nil, hif.UpdateStatus{Type: hif.UpdateAbort, Status: hif.UpdateFailed}},
	} {
		b.h.deliver(tc.op, false, tc.p)
		if m := await(b.h, 0, hif.OpUpdateStatus, hif.ParseUpdateStatus); m != tc.want {
			t.Errorf("%v: %+v", tc.op, m)
		}
	}
	send(b.h, hif.OpGetFileStatus, hif.None{})
	await(b.h, 0, hif.OpFileStatus, hif.ParseFileStatus)
	b.h.deliver(hif.OpWPS, false, make([]byte, 12))
	if m := await(b.h, 0, hif.OpWPS, hif.ParseWPSReply); m.Security != 0 {
		t.Errorf("WPS: %+v", m)
	}
	send(b.h, hif.OpSetCipherSuites, hif.CipherSuites{Bits: 0xd3})
	if m := await(b.h, 0, hif.OpCipherSuites, hif.ParseCipherSuites); m.Bits != 0x53 { // crypto/tls has no RSA-AES256-CBC-SHA256
		t.Errorf("cipher suites %#x", m.Bits)
	}
}
