package driver_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/driver"
)

var softAP = driver.BSS{SSID: "soft", Channel: 3}

// startAP starts a Soft-AP whose events are written down.
func (b *bench) startAP(ev *[]string) {
	b.t.Helper()
	check(b.t, b.c.StartAP(softAP, driver.OpenAuth, func(e driver.ConnEvent) { *ev = append(*ev, fmt.Sprint(e.State, " ", e.Err)) }))
}

func TestStartAPSendsTheLongForm(t *testing.T) {
	b := newBench(t)
	check(t, b.c.StartAP(driver.BSS{SSID: "soft", Channel: 11, Hidden: true}, driver.WPA("passphrase"), nil))
	rs := b.take()
	if len(rs) != 1 || rs[0].op != hif.OpEnableAP || !rs[0].data || len(rs[0].payload) != hif.APConfigLen148 {
		t.Fatal(rs)
	}
	m, err := hif.ParseAPConfig(rs[0].payload)
	check(t, err)
	want := hif.APConfig{
		SSID: "soft", Channel: 11, Security: hif.SecurityPSK, Key: "passphrase", Hidden: true,
		IP: [4]byte{192, 168, 10, 1}, Mask: [4]byte{255, 255, 255, 0}, Size: 148,
	}
	if d := cmp.Diff(want, m); d != "" {
		t.Error("APD-02:", d)
	}
	check(t, b.c.StopAP())

	check(t, b.c.ConfigDHCPServer(prefix("172.20.5.1/16"), nil))
	check(t, b.c.SetGateway(addr("172.20.5.9")))
	check(t, b.c.SetDNS(addr("9.9.9.9")))
	check(t, b.c.StartAP(softAP, driver.OpenAuth, nil))
	b.want0(hif.OpDisableAP)
	m, err = hif.ParseAPConfig(b.take()[0].payload)
	check(t, err)
	want = hif.APConfig{
		SSID: "soft", Channel: 3, Security: hif.SecurityOpen, IP: [4]byte{172, 20, 5, 1}, Mask: [4]byte{255, 255, 0, 0},
		Router: [4]byte{172, 20, 5, 9}, DNS: [4]byte{9, 9, 9, 9}, Size: 148,
	}
	if d := cmp.Diff(want, m); d != "" {
		t.Error("APD-06, APD-07:", d)
	}
	if c := b.c.IPConfig(); c != (driver.IPConfig{Prefix: prefix("172.20.5.1/16"), Gateway: addr("172.20.5.9"), DNS: addr("9.9.9.9")}) {
		t.Errorf("%+v", c)
	}
}

// want0 takes a request off the front, which has no payload.
func (b *bench) want0(op hif.Op) {
	b.t.Helper()
	r := b.requests[b.seen]
	b.seen++
	if r.op != op || len(r.payload) != 0 {
		b.t.Fatalf("device got %v, want %v", r, op)
	}
}

func TestAPD14_StartAPRefuses(t *testing.T) {
	b := newBench(t)
	hex64 := strings.Repeat("0a", 32)
	for name, tc := range map[string]struct {
		bss  driver.BSS
		auth driver.Auth
		want error
	}{
		"any channel":       {driver.BSS{SSID: "s"}, driver.OpenAuth, driver.ErrRequest},
		"all channels":      {driver.BSS{SSID: "s", Channel: driver.AllChannels}, driver.OpenAuth, driver.ErrRequest},
		"channel 15":        {driver.BSS{SSID: "s", Channel: 15}, driver.OpenAuth, driver.ErrContext},
		"empty name":        {driver.BSS{Channel: 1}, driver.OpenAuth, driver.ErrRequest},
		"name of 33":        {driver.BSS{SSID: strings.Repeat("s", 33), Channel: 1}, driver.OpenAuth, driver.ErrContext},
		"name with NUL":     {driver.BSS{SSID: "a\x00b", Channel: 1}, driver.OpenAuth, driver.ErrRequest},
		"key of 7":          {softAP, driver.WPA("1234567"), driver.ErrRequest},
		"key of 65":         {softAP, driver.WPA(strings.Repeat("k", 65)), driver.ErrRequest},
		"key of 64 letters": {softAP, driver.WPA(strings.Repeat("k", 64)), driver.ErrRequest},
		"no kind":           {softAP, driver.Auth{}, driver.ErrInvalid},
		"WEP":               {softAP, driver.Auth{Type: driver.AuthWEP}, driver.ErrInvalid},
		"802.1X":            {softAP, driver.Auth{Type: driver.AuthEnterprise}, driver.ErrInvalid},
	} {
		wantErr(t, name, b.c.StartAP(tc.bss, tc.auth, nil), tc.want)
		if b.c.LinkUp() || b.c.Addr().IsValid() || b.c.Mode() != driver.ModeStation { // LNK-07
			t.Errorf("%s: up %v, address %v, %v", name, b.c.LinkUp(), b.c.Addr(), b.c.Mode())
		}
	}
	if ops := b.ops(); len(ops) != 0 {
		t.Error("sent: ", ops)
	}
	wantErr(t, "APD-17", b.c.StopAP(), driver.ErrRequest)
	for _, key := range []string{"12345678", strings.Repeat("k", 63), hex64} {
		check(t, b.c.StartAP(softAP, driver.WPA(key), nil))
		check(t, b.c.StopAP())
	}
}

func TestAPD13_AddressesOfServersThatCannotWork(t *testing.T) {
	b := newBench(t)
	check(t, b.c.ConfigDHCPServer(prefix("10.1.2.3/24"), nil))
	for _, p := range []string{
		"0.0.0.5/24", "0.1.2.3/24", "192.168.5.100/24", "224.0.0.1/24", "127.0.0.1/24", "255.255.255.255/24", "240.0.0.1/24",
		"192.168.5.0/24", "192.168.5.255/24", "10.0.0.1/7", "10.0.0.1/31", "10.0.0.1/32", "192.168.5.1/26", "192.168.5.101/30", "fe80::1/64",
	} {
		wantErr(t, p, b.c.ConfigDHCPServer(prefix(p), nil), driver.ErrInvalid)
	}
	wantErr(t, "mask of no address", b.c.ConfigDHCPServer(netip.PrefixFrom(addr("10.0.0.1"), 33), nil), driver.ErrInvalid)
	check(t, b.c.StartAP(softAP, driver.OpenAuth, nil))
	if b.c.Addr() != addr("10.1.2.3") {
		t.Error("a refused configuration changed something:", b.c.Addr())
	}
	check(t, b.c.StopAP())
	for p, want := range map[string]string{
		"10.1.2.3/8": "10.1.2.3/8", "10.1.2.3/25": "10.1.2.3/25", "192.168.5.70/26": "192.168.5.70/26", "192.168.5.1/0": "192.168.5.1/24",
	} {
		check(t, b.c.ConfigDHCPServer(prefix(p), nil))
		check(t, b.c.StartAP(softAP, driver.OpenAuth, nil))
		if got := b.c.IPConfig().Prefix; got != prefix(want) {
			t.Errorf("%s: %v", p, got)
		}
		check(t, b.c.StopAP())
	}
	check(t, b.c.ConfigDHCPServer(netip.Prefix{}, nil))
	check(t, b.c.StartAP(softAP, driver.OpenAuth, nil))
	if got := b.c.IPConfig().Prefix; got != prefix("192.168.10.1/24") {
		t.Error("the zero Prefix:", got)
	}
}

// The table of spec/driver-api.md 1.3.
func TestWhatIsLegalAsASoftAP(t *testing.T) {
	b := newBench(t)
	var ev []string
	check(t, b.c.Connect(driver.BSS{SSID: "net"}, driver.OpenAuth, nil))
	wantErr(t, "StartAP while joining", b.c.StartAP(softAP, driver.OpenAuth, nil), driver.ErrMode)
	b.tell(hif.OpStateChanged, connected)
	b.tell(hif.OpDHCPConf, lease("10.0.0.50"))
	wantErr(t, "StartAP while connected", b.c.StartAP(softAP, driver.OpenAuth, nil), driver.ErrMode)
	wantErr(t, "StopAP while connected", b.c.StopAP(), driver.ErrMode)
	check(t, b.c.Disconnect())
	b.tell(hif.OpStateChanged, disconnected)

	b.startAP(&ev)
	b.take()
	for name, err := range map[string]error{
		"Connect":    b.c.Connect(driver.BSS{SSID: "net"}, driver.OpenAuth, nil),
		"Reconnect":  b.c.Reconnect(nil),
		"Disconnect": b.c.Disconnect(),
		"Scan":       b.c.Scan(driver.ScanReq{}, nil),
		"StartAP":    b.c.StartAP(softAP, driver.OpenAuth, nil),
	} {
		wantErr(t, name, err, driver.ErrMode)
		wantErr(t, name, err, driver.ErrRequest)
	}
	wantErr(t, "AssocDisconnect", b.c.Disconnect(), driver.ErrUnsupported)
	_, err := b.c.Peer(nil)
	wantErr(t, "Peer without a station", err, driver.ErrRequest)
	_, err = b.c.RSSI(nil)
	wantErr(t, "RSSI without a station", err, driver.ErrRequest)
	if ops := b.ops(); len(ops) != 0 {
		t.Error("sent: ", ops)
	}
	if b.c.Mode() != driver.ModeAP || !b.c.LinkUp() || b.c.Addr() != addr("192.168.10.1") { // LNK-06
		t.Error(b.c.Mode(), b.c.LinkUp(), b.c.Addr())
	}
	set := func(want error) {
		t.Helper()
		for name, err := range map[string]error{
			"UseDHCP": b.c.UseDHCP(nil), "SetAddr": b.c.SetAddr(prefix("10.0.0.2/24")),
			"SetDNS": b.c.SetDNS(addr("10.0.0.9")), "SetGateway": b.c.SetGateway(addr("10.0.0.9")),
		} {
			wantErr(t, name, err, want)
		}
		check(t, b.c.ConfigDHCPServer(prefix("192.168.7.1/24"), nil)) // at any time
	}
	set(nil)
	b.tell(hif.OpStateChanged, connected)
	set(driver.ErrConnected)
	wantErr(t, "AskAssoc with a station", b.c.AskAssoc(nil), driver.ErrRetry)
	b.tell(hif.OpStateChanged, disconnected)
	set(nil)
	if !slices.Equal(ev, []string{"connected <nil>", "disconnected <nil>"}) { // APD-12
		t.Error(ev)
	}
	b.c.Close()
	if b.c.Mode() != driver.ModeUnknown {
		t.Error("closed:", b.c.Mode())
	}
}

func TestAPD04_APD05_LeasesOfStations(t *testing.T) {
	b := newBench(t)
	var got, later []string
	var ip []driver.IPEvent
	check(t, b.c.OnIP(func(e driver.IPEvent) { ip = append(ip, e) }))
	check(t, b.c.ConfigDHCPServer(netip.Prefix{}, func(a driver.Addr) { got = append(got, a.String()) }))
	var ev []string
	b.startAP(&ev)
	b.tell(hif.OpStateChanged, connected)
	b.tell(hif.OpDHCPConf, lease("192.168.10.100"))
	check(t, b.c.ConfigDHCPServer(prefix("10.1.1.1/24"), func(a driver.Addr) { later = append(later, a.String()) }))
	b.tell(hif.OpDHCPConf, lease("192.168.10.100")) // a renewal
	if !slices.Equal(got, []string{"192.168.10.100", "192.168.10.100"}) || len(later) != 0 {
		t.Error(got, later)
	}
	if b.c.Addr() != addr("192.168.10.1") || !b.c.LinkUp() {
		t.Error("our address:", b.c.Addr())
	}
	b.tell(hif.OpIPConflict, hif.IPConflict{IP: [4]byte{192, 168, 10, 1}})
	if len(ip) != 1 || ip[0] != (driver.IPEvent{Kind: driver.IPConflict, Addr: addr("192.168.10.1")}) {
		t.Error(ip)
	}
	check(t, b.c.StopAP())
	check(t, b.c.StartAP(softAP, driver.OpenAuth, nil))
	b.tell(hif.OpStateChanged, disconnected) // the end of the first one
	b.tell(hif.OpStateChanged, connected)
	b.tell(hif.OpDHCPConf, lease("10.1.1.100"))
	if b.c.Addr() != addr("10.1.1.1") || len(got) != 2 || !slices.Equal(later, []string{"10.1.1.100"}) {
		t.Error("the next one:", b.c.Addr(), got, later)
	}
}

// The end is told at once; what the device says of it afterwards is not taken for news of a network.
func TestStopAP(t *testing.T) {
	for _, tc := range []struct {
		name            string
		stations        int
		lies            hif.Payload // in the mailbox when StopAP is called
		op              hif.Op
		after           int // times the device says that a station left
		events, already []string
	}{
		{name: "nobody there"},
		{name: "one station", stations: 1, after: 1, events: []string{"disconnected <nil>"}},
		{name: "two stations", stations: 2, after: 2, events: []string{"disconnected <nil>", "disconnected <nil>"}},
		{name: "a device that says nothing", stations: 1, events: []string{"disconnected <nil>"}},
		{name: "a station has just come", lies: connected, op: hif.OpStateChanged, after: 1},
		{name: "a station has just left", stations: 1, lies: disconnected, op: hif.OpStateChanged, events: []string{"disconnected <nil>"}},
		{name: "a lease was just given", stations: 1, lies: lease("192.168.10.100"), op: hif.OpDHCPConf, after: 1, events: []string{"disconnected <nil>"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t)
			var ev []string
			b.startAP(&ev)
			for range tc.stations {
				b.tell(hif.OpStateChanged, connected)
			}
			ev = nil
			if tc.lies != nil {
				b.post(tc.op, tc.lies)
			}
			check(t, b.c.StopAP())
			if b.c.LinkUp() || b.c.Addr().IsValid() || b.c.Mode() != driver.ModeStation || len(ev) != 0 {
				t.Error("right after StopAP:", b.c.LinkUp(), b.c.Addr(), b.c.Mode(), ev)
			}
			var joined []string
			check(t, b.c.UseDHCP(func(a driver.Addr) { joined = append(joined, a.String()) }))
			check(t, b.c.Connect(driver.BSS{SSID: "net"}, driver.OpenAuth, func(e driver.ConnEvent) { joined = append(joined, e.State.String()) }))
			b.tasks()
			for range tc.after {
				b.tell(hif.OpStateChanged, disconnected)
			}
			// The events were told to whoever is registered when their turn comes.
			if n := len(joined); n != len(tc.events) || len(ev) != 0 {
				t.Errorf("told %v, %v, want %v", ev, joined, tc.events)
			}
			joined = nil
			b.tell(hif.OpStateChanged, connected)
			b.tell(hif.OpDHCPConf, lease("10.0.0.50"))
			b.tell(hif.OpStateChanged, disconnected)
			if !slices.Equal(joined, []string{"connected", "10.0.0.50", "disconnected"}) {
				t.Error("the network that was joined:", joined)
			}
		})
	}
}

// What sockets, names and echoes wait for ends with the Soft-AP, whether or not a station was there (3.8).
func TestStopAPEndsRequests(t *testing.T) {
	for _, stations := range []int{0, 1} {
		b := newBench(t)
		var ev []string
		b.startAP(&ev)
		for range stations {
			b.tell(hif.OpStateChanged, connected)
		}
		check(t, b.c.OnSocket(func(s driver.Socket, m driver.Msg) { ev = append(ev, line(s, m)) }))
		check(t, b.c.OnResolve(func(n string, a driver.Addr) { ev = append(ev, fmt.Sprint(n, " ", a)) }))
		s, err := b.c.Socket(driver.Stream, driver.Plain)
		check(t, err)
		check(t, s.Connect(addrPort("192.168.10.100:80")))
		var hooked []driver.Event
		h, err := b.c.SocketHook(driver.Datagram, driver.Plain, func(_ driver.Socket, e driver.Event) { hooked = append(hooked, e) })
		check(t, err)
		check(t, h.RecvFrom(make([]byte, 10), 0))
		check(t, b.c.Resolve("name"))
		ev = nil
		check(t, b.c.StopAP())
		b.tasks()
		want := []string{"0 CONNECT (-12)", "name invalid IP"}
		if stations > 0 {
			want = append([]string{"disconnected <nil>"}, want...)
		}
		if !slices.Equal(ev, want) || len(hooked) != 2 || hooked[1].Kind != driver.KindLost {
			t.Errorf("%q, %v, want %q", ev, hooked, want)
		}
	}
}

// StartAP right after Disconnect: the confirmation is about the network.
func TestStartAPAfterDisconnect(t *testing.T) {
	b := newBench(t)
	b.online()
	check(t, b.c.Disconnect())
	var ev []string
	b.startAP(&ev)
	b.tell(hif.OpStateChanged, disconnected)
	if !b.c.LinkUp() || b.c.Addr() != addr("192.168.10.1") || b.c.SetDNS(addr("1.1.1.1")) != nil {
		t.Error("the Soft-AP went with the network")
	}
	b.tell(hif.OpStateChanged, connected)
	wantErr(t, "a station is there", b.c.SetDNS(addr("1.1.1.1")), driver.ErrConnected)
	if !slices.Equal(ev, []string{"disconnected <nil>", "connected <nil>"}) {
		t.Error(ev)
	}
}

func TestCloseEndsTheSoftAP(t *testing.T) {
	b := newBench(t)
	var ev []string
	b.startAP(&ev)
	b.tell(hif.OpStateChanged, connected)
	b.take()
	b.onReq = func(r request) {
		if r.op == hif.OpDisableAP {
			b.post(hif.OpStateChanged, disconnected)
		}
	}
	start := b.clock.Now()
	check(t, b.c.Close())
	if ops := b.ops(); !slices.Equal(ops, []hif.Op{hif.OpDisableAP}) || b.clock.Now().Sub(start) > 100*time.Millisecond {
		t.Error(ops, b.clock.Now().Sub(start))
	}
	c, err := b.d.Open()
	check(t, err)
	if c.LinkUp() || c.Mode() != driver.ModeStation {
		t.Error(c.LinkUp(), c.Mode())
	}
}

func TestIEs(t *testing.T) {
	var e driver.IEs
	check(t, e.Add(221, []byte{1, 2}))
	check(t, e.Add(222, nil))
	check(t, e.Add(221, []byte{3}))
	copied := e
	e.Remove(221)
	e.Remove(7) // is not there
	if got := e.Bytes(); !bytes.Equal(got, []byte{222, 0, 221, 1, 3}) {
		t.Errorf("% x", got)
	}
	if got := copied.Bytes(); !bytes.Equal(got, []byte{221, 2, 1, 2, 222, 0, 221, 1, 3}) {
		t.Errorf("the copy: % x", got)
	}
	wantErr(t, "too long", e.Add(1, make([]byte, 249)), driver.ErrNoSpace)
	check(t, e.Add(1, make([]byte, 248)))
	wantErr(t, "full", e.Add(1, nil), driver.ErrNoSpace)
	e.Remove(1)
	if got := e.Bytes(); len(got) != 5 {
		t.Errorf("% x", got)
	}
}

func TestSetIEs(t *testing.T) {
	b := newBench(t)
	var e, big driver.IEs
	check(t, e.Add(221, []byte{1, 2}))
	check(t, big.Add(221, make([]byte, 249)))
	wantErr(t, "251 bytes", b.c.SetIEs(big), driver.ErrRequest)
	check(t, b.c.SetIEs(e))
	if ops := b.ops(); len(ops) != 0 {
		t.Error("sent before StartAP:", ops)
	}
	var ev []string
	b.startAP(&ev)
	rs := b.take()
	if len(rs) != 2 || rs[1].op != hif.OpCustomIE || !rs[1].data {
		t.Fatal(rs)
	}
	m, err := hif.ParseCustomIE(rs[1].payload)
	check(t, err)
	if !bytes.Equal(m.Elements, e.Bytes()) {
		t.Errorf("% x", m.Elements)
	}
	check(t, b.c.SetIEs(driver.IEs{}))
	if m := want(b.chip, hif.OpCustomIE, hif.ParseCustomIE); len(m.Elements) != 0 {
		t.Errorf("% x", m.Elements)
	}
	check(t, b.c.Close())
	wantErr(t, "closed", b.c.SetIEs(e), driver.ErrNotOpen)
}
