package device

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/stack/dhcp"
	"github.com/understudy-net/understudy/wire"
)

// client is a station with an IP host behind it, for the Soft-AP.
type client struct {
	b   *bench
	mac wire.MAC
	sta *wifi.Station
	s   *stack.Stack

	last   wifi.Event    // of the station
	events []stack.Event // of the IP host
}

// withClient adds a station that has joined nothing.
func (b *bench) withClient(n byte) *client {
	b.t.Helper()
	c := &client{b: b, mac: wire.MAC{0x02, 0xcc, 0, 0, 0, n}}
	var err error
	c.sta, err = wifi.NewStation(wifi.StationConfig{
		Air: b.air, MAC: c.mac, Rand: rand.NewPCG(11, uint64(n)),
		Output: func(now time.Time, eth []byte) { c.s.Input(now, eth) },
		Handle: func(now time.Time, e wifi.Event) { c.last = e },
	})
	if err != nil {
		b.t.Fatal(err)
	}
	c.s, err = stack.New(stack.Config{MAC: c.mac, Rand: rand.NewPCG(12, uint64(n)), ACD: stack.ACD{Off: true}, Output: c.sta.Send})
	if err != nil {
		b.t.Fatal(err)
	}
	b.machines = append(b.machines, c.sta, &stack.Host{Stack: c.s, Handle: func(now time.Time, e stack.Event) { c.events = append(c.events, e) }})
	return c
}

// join joins the Soft-AP and reports how that ended.
func (c *client) join(name, passphrase string) wifi.Event {
	c.b.t.Helper()
	c.last = wifi.Event{}
	if err := c.sta.Join(c.b.now, wifi.JoinParams{SSID: name, Passphrase: passphrase}); err != nil {
		c.b.t.Fatal(err)
	}
	c.b.until(20*time.Second, "the end of a join", func() bool {
		return c.last.Kind == wifi.EventJoined || c.last.Kind == wifi.EventJoinFailed
	})
	return c.last
}

// lease asks for an address.
func (c *client) lease() dhcp.Lease {
	c.b.t.Helper()
	if err := c.s.UseDHCP(c.b.now, stack.DHCPConfig{}); err != nil {
		c.b.t.Fatal(err)
	}
	c.b.until(20*time.Second, "a lease", func() bool { return c.s.Addr().IsValid() })
	l, _ := c.s.Lease()
	return l
}

// onAir is the management messages of the device, as they are sent.
func (b *bench) onAir(of wifi.Subtype) *[]wifi.Management {
	var all []wifi.Management
	b.air.Tap(func(now time.Time, f air.Frame) {
		if f.Kind != air.KindManagement || f.From != devMAC {
			return
		}
		m, err := wifi.ParseManagement(append([]byte(nil), f.Data...))
		if err != nil {
			b.t.Errorf("a management message of the device cannot be read: %v", err)
		}
		if m.Subtype == of {
			all = append(all, m)
		}
	})
	return &all
}

const apName = "soft"

// apConfig is ENABLE_AP in the layout of 19.7.7.
func apConfig(key string) hif.APConfig {
	c := hif.APConfig{SSID: apName, Channel: 3, Security: hif.SecurityOpen, IP: [4]byte{192, 168, 5, 1}, Mask: [4]byte{255, 255, 255, 0}}
	if key != "" {
		c.Security, c.Key = hif.SecurityPSK, key
	}
	return c
}

// enableAP starts the Soft-AP: a data message from 19.6.1 on.
func (h *host) enableAP(c hif.APConfig) {
	h.b.t.Helper()
	if !h.deliver(hif.OpEnableAP, c.Size == 0 || c.Size == hif.APConfigLen148, c.Append(nil)) {
		h.b.t.Fatal("ENABLE_AP was refused a buffer")
	}
}

// state wants the next CON_STATE_CHANGED to be s.
func (h *host) state(s hif.ConnState) {
	h.b.t.Helper()
	if m := await(h, 5*time.Second, hif.OpStateChanged, hif.ParseStateChanged); m.State != s || m.Error != hif.ConnOK {
		h.b.t.Fatalf("got %v %v, want %v\n%s", m.State, m.Error, s, h.log())
	}
}

// A whole life (hif-messages 6.3), open and with WPA2.
func TestSoftAP(t *testing.T) {
	for _, key := range []string{"", secret, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"} {
		b := newBench(t)
		beacons := b.onAir(wifi.Beacon)
		b.h.boot().enableAP(apConfig(key))
		b.h.quiet(time.Second, hif.OpStateChanged)
		if len(*beacons) < 9 || string((*beacons)[0].SSID) != apName || (*beacons)[0].Channel != 3 {
			t.Fatalf("beacons in the first second: %v", *beacons)
		}
		c := b.withClient(1)
		if key != "" {
			if e := c.join(apName, "wrong horse"); e.Reason != wifi.ReasonAuthenticationFailed {
				t.Errorf("with a wrong key: %v", e)
			}
			b.h.quiet(time.Second, hif.OpStateChanged)
		}
		if e := c.join(apName, key); e.Kind != wifi.EventJoined {
			t.Fatal(e)
		}
		b.h.state(hif.Connected)
		l := c.lease()
		self := netip.MustParseAddr("192.168.5.1")
		if l.Addr != netip.MustParsePrefix("192.168.5.100/24") || l.Server != self || l.Router != self || len(l.DNS) != 1 || l.DNS[0] != self {
			t.Errorf("lease %+v", l)
		}
		m := await(b.h, time.Second, hif.OpDHCPConf, hif.ParseIPConfig)
		want := hif.IPConfig{Size: 24, IP: [4]byte{192, 168, 5, 100}, Gateway: self.As4(), DNS: self.As4(), Mask: [4]byte{255, 255, 255, 0}, Lease: 3600}
		if diff := cmp.Diff(want, m); diff != "" {
			t.Error(diff)
		}
		c.sta.Leave(b.now)
		b.h.state(hif.Disconnected)
		send(b.h, hif.OpDisableAP, hif.None{})
		n := len(*beacons)
		b.h.quiet(time.Second, hif.OpStateChanged)
		if len(*beacons) != n {
			t.Error("beacons after DISABLE_AP")
		}
		if s := b.dev.Snapshot(); s.Counters.Malformed+s.Counters.WrongMode+s.Counters.Unsupported != 0 || s.Addr.IsValid() {
			t.Errorf("at the end: %+v, address %v", s.Counters, s.Addr)
		}
	}
}

// The layouts of older hosts (2.10).
func TestSoftAPLayouts_HM02(t *testing.T) {
	for _, tc := range []struct {
		size    int
		host    uint32
		config  int // bytes of DHCP_CONF
		channel uint8
	}{
		{hif.APConfigLen70, 0x13011361, 16, 3},
		{hif.APConfigLen136, 0x13301352, 20, 3},
		{hif.APConfigLen148, 0x13301377, 24, 3},
	} {
		b := newBench(t)
		beacons := b.onAir(wifi.Beacon)
		b.h.version = tc.host
		b.h.boot()
		c := apConfig("")
		c.Size = tc.size
		b.h.enableAP(c)
		st := b.withClient(1)
		if e := st.join(apName, ""); e.Kind != wifi.EventJoined {
			t.Fatalf("%d bytes: %v", tc.size, e)
		}
		if got := (*beacons)[0].Channel; got != tc.channel {
			t.Errorf("%d bytes: beacons on channel %d, want %d", tc.size, got, tc.channel)
		}
		l := st.lease()
		if l.Addr.String() != "192.168.5.100/24" || l.Router.String() != "192.168.5.1" {
			t.Errorf("%d bytes: lease %+v", tc.size, l)
		}
		b.h.state(hif.Connected)
		if m := await(b.h, time.Second, hif.OpDHCPConf, hif.ParseIPConfig); m.IP != [4]byte{192, 168, 5, 100} {
			t.Errorf("%d bytes: DHCP_CONF %+v", tc.size, m)
		}
	}
}

// Router, DNS server and mask of the long layout.
func TestSoftAPOptions(t *testing.T) {
	b := newBench(t)
	c := apConfig("")
	c.Router, c.DNS, c.Mask = [4]byte{192, 168, 5, 9}, [4]byte{9, 9, 9, 9}, [4]byte{255, 255, 0, 0}
	b.h.boot().enableAP(c)
	st := b.withClient(1)
	st.join(apName, "")
	l := st.lease()
	if l.Addr.String() != "192.168.5.100/16" || l.Router.String() != "192.168.5.9" || l.DNS[0].String() != "9.9.9.9" {
		t.Errorf("lease %+v", l)
	}
	if s := b.dev.Snapshot(); s.Gateway.String() != "192.168.5.9" || len(s.DNS) != 1 || s.DNS[0].String() != "9.9.9.9" {
		t.Errorf("our own gateway %v, DNS %v", s.Gateway, s.DNS)
	}
	// A mask that was not filled in (2.10).
	b = newBench(t)
	c = apConfig("")
	c.Mask = [4]byte{0, 0xaa, 0xbb, 0xcc}
	b.h.boot().enableAP(c)
	st = b.withClient(1)
	st.join(apName, "")
	if l := st.lease(); l.Addr.String() != "192.168.5.100/24" {
		t.Errorf("lease %+v", l)
	}
}

// What cannot be makes no access point, and no answer.
func TestSoftAPRefuses(t *testing.T) {
	for name, change := range map[string]func(*hif.APConfig){
		"no SSID":                 func(c *hif.APConfig) { c.SSID = "" },
		"channel 0":               func(c *hif.APConfig) { c.Channel = 0 },
		"channel 15":              func(c *hif.APConfig) { c.Channel = 15 },
		"address 0.0.0.5":         func(c *hif.APConfig) { c.IP = [4]byte{0, 0, 0, 5} },
		"address 224.0.0.1":       func(c *hif.APConfig) { c.IP = [4]byte{224, 0, 0, 1} },
		"address 127.0.0.1":       func(c *hif.APConfig) { c.IP = [4]byte{127, 0, 0, 1} },
		"mask with holes":         func(c *hif.APConfig) { c.Mask = [4]byte{255, 0, 255, 0} },
		"mask of 31 bits":         func(c *hif.APConfig) { c.Mask = [4]byte{255, 255, 255, 254} },
		"pool outside of network": func(c *hif.APConfig) { c.Mask = [4]byte{255, 255, 255, 240} },
		"security 0":              func(c *hif.APConfig) { c.Security = 0 },
		"WEP":                     func(c *hif.APConfig) { c.Security, c.Key, c.WEPIndex = hif.SecurityWEP, "0123456789", 1 },
		"802.1X":                  func(c *hif.APConfig) { c.Security = hif.SecurityEnterprise },
		"key of 7":                func(c *hif.APConfig) { c.Security, c.Key = hif.SecurityPSK, "1234567" },
		"key of 64, not digits":   func(c *hif.APConfig) { c.Security, c.Key = hif.SecurityPSK, string(make([]byte, 64)) },
		"WPA in 70 bytes":         func(c *hif.APConfig) { c.Security, c.Key, c.Size = hif.SecurityPSK, secret, hif.APConfigLen70 },
	} {
		b := newBench(t)
		beacons := b.onAir(wifi.Beacon)
		c := apConfig("")
		change(&c)
		b.h.boot().enableAP(c)
		b.h.quiet(time.Second, hif.OpStateChanged)
		s := b.dev.Snapshot()
		if len(*beacons) != 0 || s.Counters.Malformed+s.Counters.Unsupported != 1 || s.Addr.IsValid() || s.SoftAP != nil {
			t.Errorf("%s: %d beacons, counters %+v, address %v", name, len(*beacons), s.Counters, s.Addr)
		}
		b.h.enableAP(apConfig(secret)) // a right one works
		b.run(time.Second)
		if len(*beacons) == 0 {
			t.Errorf("%s: no access point after it", name)
		}
	}
}

// An access point at .100 has nothing to give, as on the real part.
func TestSoftAPAtItsOwnFirstAddress(t *testing.T) {
	b := newBench(t)
	c := apConfig("")
	c.IP[3] = 100
	b.h.boot().enableAP(c)
	st := b.withClient(1)
	if e := st.join(apName, ""); e.Kind != wifi.EventJoined {
		t.Fatal(e)
	}
	st.s.UseDHCP(b.now, stack.DHCPConfig{})
	b.run(30 * time.Second)
	if st.s.Addr().IsValid() {
		t.Errorf("lease %v", st.s.Addr())
	}
}

// Station and access point exclude each other (driver-api 1.3).
func TestSoftAPAndStationExclude(t *testing.T) {
	b := newBench(t).withAP("")
	beacons := b.onAir(wifi.Beacon)
	b.h.boot()
	send(b.h, hif.OpConnectOld, oldConnect(ssid, ""))
	b.h.enableAP(apConfig("")) // joining
	b.h.state(hif.Connected)
	b.h.enableAP(apConfig("")) // joined
	b.run(time.Second)
	if len(*beacons) != 0 {
		t.Fatal("a station beacons")
	}
	send(b.h, hif.OpDisableAP, hif.None{})
	b.h.quiet(time.Second, hif.OpStateChanged)
	send(b.h, hif.OpDisconnect, hif.None{})
	b.h.state(hif.Disconnected)

	b.h.enableAP(apConfig(""))
	other := apConfig("")
	other.SSID = "other"
	b.h.enableAP(other) // again
	b.run(time.Second)
	if n := len(*beacons); n == 0 || string((*beacons)[n-1].SSID) != apName {
		t.Errorf("%d beacons, the last is %v", n, (*beacons)[n-1])
	}
	send(b.h, hif.OpConnectOld, oldConnect(ssid, ""))
	if m := await(b.h, 0, hif.OpStateChanged, hif.ParseStateChanged); m.State != hif.Disconnected || m.Error != hif.ConnJoinFail {
		t.Errorf("connect: %v %v", m.State, m.Error)
	}
	send(b.h, hif.OpDefaultConnect, hif.None{})
	if m := await(b.h, 0, hif.OpDefaultConnected, hif.ParseDefaultConnected); m.Error != hif.DefaultConnectFailed {
		t.Errorf("default connect: %v", m.Error)
	}
	send(b.h, hif.OpScan, hif.Scan{Channel: hif.AllChannels})
	if m := await(b.h, 0, hif.OpScanDone, hif.ParseScanDone); m.State == 0 || m.Count != 0 {
		t.Errorf("scan: %+v", m)
	}
	send(b.h, hif.OpDisconnect, hif.None{})
	b.h.quiet(time.Second, hif.OpStateChanged)
	if n := b.dev.Counters().WrongMode; n != 8 {
		t.Errorf("%d requests in the wrong mode were counted, want 8", n)
	}
	send(b.h, hif.OpDisableAP, hif.None{})
	send(b.h, hif.OpConnectOld, oldConnect(ssid, ""))
	b.h.state(hif.Connected)
}

// One station at a time, and all of them on the profile that has no limits.
func TestSoftAPStations(t *testing.T) {
	b := newBench(t)
	b.h.boot().enableAP(apConfig(""))
	first, second := b.withClient(1), b.withClient(2)
	first.join(apName, "")
	first.lease()
	if e := second.join(apName, ""); e.Kind != wifi.EventJoinFailed || e.Reason != wifi.ReasonAssociationFailed {
		t.Errorf("the second station: %v", e)
	}
	b.h.state(hif.Connected)
	first.sta.Leave(b.now)
	first.s.ClearAddr(b.now)
	b.h.state(hif.Disconnected)
	second.join(apName, "")
	b.h.state(hif.Connected)
	if l := second.lease(); l.Addr.Addr().As4()[3] != 100 { // whoever is there has .100
		t.Errorf("lease of the second: %+v", l)
	}

	b = newBench(t, func(c *Config) { c.Profile = Unlimited() })
	b.h.boot().enableAP(apConfig(secret))
	var all []*client
	for i := range byte(5) {
		c := b.withClient(i + 1)
		if e := c.join(apName, secret); e.Kind != wifi.EventJoined {
			t.Fatal(e)
		}
		b.h.state(hif.Connected)
		if l := c.lease(); l.Addr.Addr().As4()[3] != 100+i {
			t.Errorf("lease of station %d: %+v", i, l)
		}
		await(b.h, time.Second, hif.OpDHCPConf, hif.ParseIPConfig)
		all = append(all, c)
	}
	all[1].ping(all[4].s.Addr().Addr()) // stations see each other
	all[1].sta.Leave(b.now)
	b.h.state(hif.Disconnected)
	if s := b.dev.Snapshot().SoftAP; s == nil || len(s.Stations) != 4 || s.Stations[1].MAC != all[2].mac || s.Stations[1].Addr != all[2].s.Addr().Addr() {
		t.Errorf("%+v", s)
	}
	send(b.h, hif.OpDisableAP, hif.None{})
	for range 4 {
		b.h.state(hif.Disconnected)
	}
	b.h.quiet(time.Second, hif.OpStateChanged)
}

// ping wants an answer.
func (c *client) ping(to netip.Addr) {
	c.b.t.Helper()
	if _, err := c.s.Ping(c.b.now, to, stack.PingConfig{Tag: c}); err != nil {
		c.b.t.Fatal(err)
	}
	n := len(c.events)
	c.b.until(10*time.Second, "a pong", func() bool { return len(c.events) > n && c.events[len(c.events)-1].Flags.Has(stack.Pong) })
	if e := c.events[len(c.events)-1]; e.Ping.Err != nil {
		c.b.t.Errorf("ping to %v: %v", to, e.Ping.Err)
	}
}

// Ping, connection info and RSSI of an access point (2.9).
func TestSoftAPConnInfo(t *testing.T) {
	b := newBench(t)
	b.h.boot().enableAP(apConfig(secret))
	info := func() hif.ConnInfo {
		send(b.h, hif.OpGetConnInfo, hif.None{})
		return await(b.h, 0, hif.OpConnInfo, hif.ParseConnInfo)
	}
	rssi := func() int8 {
		send(b.h, hif.OpGetRSSI, hif.None{})
		return await(b.h, 0, hif.OpRSSI, hif.ParseRSSI).RSSI
	}
	if m := info(); m != (hif.ConnInfo{}) || rssi() != 0 {
		t.Errorf("nobody there: %+v, %d dBm", m, rssi())
	}
	c := b.withClient(1)
	c.join(apName, secret)
	b.h.state(hif.Connected)
	want := hif.ConnInfo{Security: hif.SecurityPSK, MAC: c.mac, RSSI: rssi(), Channel: 3}
	if m := info(); m != want || m.RSSI >= 0 {
		t.Errorf("associated: %+v, want %+v", m, want)
	}
	c.lease()
	want.IP = [4]byte{192, 168, 5, 100}
	if m := info(); m != want {
		t.Errorf("with an address: %+v, want %+v", m, want)
	}
	c.ping(netip.MustParseAddr("192.168.5.1"))
	send(b.h, hif.OpPing, hif.Ping{IP: want.IP, Count: 1})
	if m := await(b.h, 5*time.Second, hif.OpPing, hif.ParsePingReply); m.Error != hif.PingOK {
		t.Errorf("ping to the station: %+v", m)
	}
}

// Departure of the station ends connections with it, not listeners and datagram sockets; the end of the access point
// ends all (driver-api 3.8).
func TestSoftAPSockets(t *testing.T) {
	b := newBench(t)
	b.h.boot().enableAP(apConfig(""))
	c := b.withClient(1)
	c.join(apName, "")
	c.lease()
	b.h.state(hif.Connected)
	bind := func(id int8, port uint16) {
		t.Helper()
		send(b.h, hif.OpBind, hif.Bind{Sock: id, Session: 1, Addr: netip.AddrPortFrom(netip.IPv4Unspecified(), port)})
		if m := await(b.h, 0, hif.OpBind, hif.ParseBindReply); m.Status != hif.StatusOK {
			t.Fatalf("bind: %v", m.Status)
		}
	}
	bind(0, 80)
	bind(7, 9)
	send(b.h, hif.OpListen, hif.Listen{Sock: 0, Session: 1})
	await(b.h, 0, hif.OpListen, hif.ParseBindReply)
	dial := func() int8 {
		t.Helper()
		if _, err := c.s.Dial(b.now, netip.AddrPort{}, netip.MustParseAddrPort("192.168.5.1:80")); err != nil {
			t.Fatal(err)
		}
		return await(b.h, 5*time.Second, hif.OpAccept, hif.ParseAccept).Sock
	}
	id := dial()
	send(b.h, hif.OpRecv, hif.Recv{Sock: id, Session: 2, Timeout: hif.NoTimeout})
	send(b.h, hif.OpRecvFrom, hif.Recv{Sock: 7, Session: 1, Timeout: hif.NoTimeout})

	c.sta.Leave(b.now)
	b.h.state(hif.Disconnected)
	if m := await(b.h, time.Second, hif.OpRecv, hif.ParseRecvReply); m.Sock != id || m.Status != hif.StatusAborted {
		t.Errorf("RECV of the connection: %+v", m)
	}
	b.h.quiet(time.Second, hif.OpRecvFrom)
	send(b.h, hif.OpClose, hif.Close{Sock: id, Session: 2})

	c.s.ClearAddr(b.now)
	c.join(apName, "")
	c.lease()
	b.h.state(hif.Connected)
	id = dial() // the listener is as it was
	u, err := c.s.ListenUDP(b.now, netip.AddrPort{}, stack.UDPConfig{})
	if err != nil {
		t.Fatal(err)
	}
	u.WriteTo(b.now, []byte("hello"), netip.MustParseAddrPort("192.168.5.1:9"))
	if m := await(b.h, 5*time.Second, hif.OpRecvFrom, hif.ParseRecvReply); string(m.Data) != "hello" {
		t.Errorf("datagram: %+v", m)
	}
	send(b.h, hif.OpRecvFrom, hif.Recv{Sock: 7, Session: 1, Timeout: hif.NoTimeout})
	send(b.h, hif.OpRecv, hif.Recv{Sock: id, Session: 3, Timeout: hif.NoTimeout})
	send(b.h, hif.OpDisableAP, hif.None{})
	b.h.pump()
	var order []hif.Op
	for _, m := range b.h.inbox {
		order = append(order, m.op)
	}
	b.h.state(hif.Disconnected)
	for _, op := range []hif.Op{hif.OpRecv, hif.OpRecvFrom} {
		if m := await(b.h, 0, op, hif.ParseRecvReply); m.Status != hif.StatusAborted {
			t.Errorf("%v after the end: %+v", op, m)
		}
	}
	if diff := cmp.Diff([]hif.Op{hif.OpDHCPConf, hif.OpDHCPConf, hif.OpStateChanged, hif.OpRecv, hif.OpRecvFrom}, order); diff != "" {
		t.Error(diff)
	}
	b.until(5*time.Second, "the station to be sent away", func() bool { return c.last.Kind == wifi.EventLeft })
	if c.last.Reason != wifi.ReasonDeauthenticated {
		t.Errorf("the station: %v", c.last)
	}
}

// A host that does not fetch its messages hears nothing of an access point that it has stopped: it may be joining.
func TestNewsOfAStoppedSoftAPAreVoid(t *testing.T) {
	b := newBench(t).withAP("")
	b.h.boot().enableAP(apConfig(""))
	b.h.hold = true
	send(b.h, hif.OpGetRSSI, hif.None{}) // its answer lies in the mailbox
	c := b.withClient(1)
	c.join(apName, "")
	c.lease()
	send(b.h, hif.OpDisableAP, hif.None{})
	b.h.hold = false
	await(b.h, 0, hif.OpRSSI, hif.ParseRSSI)
	b.h.quiet(time.Second, hif.OpStateChanged)
	b.h.quiet(time.Second, hif.OpDHCPConf)

	// What it has been told it is told the end of.
	b.h.enableAP(apConfig(""))
	c.s.ClearAddr(b.now)
	c.join(apName, "")
	b.h.state(hif.Connected)
	b.h.hold = true
	send(b.h, hif.OpGetRSSI, hif.None{})
	c.sta.Leave(b.now)
	b.run(time.Second)
	send(b.h, hif.OpDisableAP, hif.None{})
	b.h.hold = false
	await(b.h, 0, hif.OpRSSI, hif.ParseRSSI)
	b.h.state(hif.Disconnected)
	b.h.quiet(time.Second, hif.OpStateChanged)
}

// Custom elements (2.20), before and after the start; and hidden names.
func TestSoftAPElementsAndHiding(t *testing.T) {
	b := newBench(t)
	beacons := b.onAir(wifi.Beacon)
	set := func(e []byte) {
		b.h.deliver(hif.OpCustomIE, true, hif.CustomIE{Elements: e}.Append(nil))
	}
	one, two := []byte{221, 3, 1, 2, 3}, []byte{221, 1, 9, 222, 0}
	b.h.boot()
	set(one)
	c := apConfig("")
	c.Hidden = true
	b.h.enableAP(c)
	want := func(e []byte) {
		t.Helper()
		b.run(time.Second)
		m := (*beacons)[len(*beacons)-1]
		if string(m.Extra) != string(e) || len(m.SSID) != 0 {
			t.Errorf("beacon with % x and SSID %q, want % x", m.Extra, m.SSID, e)
		}
	}
	want(one)
	set(two)
	want(two)
	set([]byte{221, 9, 1}) // cut off: not taken
	want(two)
	set(nil)
	want(nil)
	if n := b.dev.Counters().Malformed; n != 1 {
		t.Errorf("%d malformed, want 1", n)
	}
	st := b.withClient(1)
	if e := st.join(apName, ""); e.Kind != wifi.EventJoined {
		t.Errorf("by name: %v", e)
	}
	all := []wifi.Network{}
	st2 := b.withClient(2)
	st2.sta.Scan(b.now, wifi.ScanParams{})
	b.until(20*time.Second, "the scan", func() bool { return st2.last.Kind == wifi.EventScanDone })
	all = append(all, st2.sta.Results()...)
	for _, n := range all {
		if n.SSID != "" {
			t.Errorf("a scan shows %v", n)
		}
	}
}

// A reset takes the access point off the air and its stations with it.
func TestResetEndsSoftAP(t *testing.T) {
	b := newBench(t)
	beacons := b.onAir(wifi.Beacon)
	b.h.boot().enableAP(apConfig(""))
	c := b.withClient(1)
	c.join(apName, "")
	b.dev.Reset(b.now, true)
	n := len(*beacons)
	b.run(time.Second)
	if len(*beacons) != n || c.sta.Joined() {
		t.Errorf("%d beacons in reset, the station is %v", len(*beacons)-n, c.sta.State())
	}
	b.dev.Reset(b.now, false)
	b.h.boot().enableAP(apConfig(""))
	c.join(apName, "")
	b.h.state(hif.Connected)

	// Another address: another BSSID.
	other := [6]byte{0x02, 0x5e, 0, 0, 0, 9}
	send(b.h, hif.OpSetMAC, hif.SetMAC{MAC: other})
	b.h.state(hif.Disconnected)
	b.h.enableAP(apConfig(""))
	c.join(apName, "")
	b.h.state(hif.Connected)
	if got := c.sta.BSSID(); got != wire.MAC(other) {
		t.Errorf("BSSID %v, want %v", got, other)
	}
}

func TestSoftAPProfile(t *testing.T) {
	for name, p := range map[string]SoftAPProfile{
		"stations": {Stations: -1}, "first": {First: 255}, "pool": {Pool: 255}, "lease": {Lease: time.Second},
	} {
		pr := WINC1500()
		pr.SoftAP = p
		if _, err := New(Config{MAC: devMAC, Rand: rand.NewPCG(1, 1), Profile: pr}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	pr := WINC1500()
	pr.SoftAP = SoftAPProfile{First: 20, Lease: time.Minute}
	b := newBench(t, func(c *Config) { c.Profile = pr })
	b.h.boot().enableAP(apConfig(""))
	c := b.withClient(1)
	c.join(apName, "")
	if l := c.lease(); l.Addr.String() != "192.168.5.20/24" || l.Expiry.Sub(l.Obtained) != time.Minute {
		t.Errorf("%+v", l)
	}
	b.h.state(hif.Connected)
	for range 3 { // each renewal is told to this host (driver-api 2.1)
		if m := await(b.h, time.Minute, hif.OpDHCPConf, hif.ParseIPConfig); m.IP != [4]byte{192, 168, 5, 20} || m.Lease != 60 {
			t.Errorf("%+v", m)
		}
	}
}

// FuzzSoftAP feeds a Soft-AP with a station messages of its host and frames of the station: kind, length, content.
func FuzzSoftAP(f *testing.F) {
	piece := func(kind byte, b []byte) []byte { return append([]byte{kind, byte(len(b))}, b...) }
	ask := dhcp.Message{Op: dhcp.BootRequest, XID: 1, MAC: wire.MAC{0x02, 0xcc, 0, 0, 0, 1}, Type: dhcp.Discover}
	discover := ask.Append(nil, nil)
	deauth := wifi.Management{Subtype: wifi.Deauthentication, Reason: 3}.Append(nil)
	f.Add(piece(0, apConfig("").Append(nil)))
	f.Add(append(piece(1, nil), piece(0, apConfig(secret).Append(nil))...))
	f.Add(piece(2, []byte{3, 221, 1, 9}))
	f.Add(append(piece(4, discover), append(piece(5, deauth), piece(3, []byte{8, 0, 0x45, 0})...)...))
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 4096 {
			return
		}
		b := newBench(t)
		b.h.boot().enableAP(apConfig(""))
		c := b.withClient(1)
		c.join(apName, "")
		radio := b.air.NewPort(c.mac, nil)
		radio.SetChannel(3)
		for len(in) >= 2 {
			kind, n := in[0], min(int(in[1]), len(in)-2)
			p := in[2:][:n]
			in = in[2+n:]
			frame := func(typ wire.EtherType, payload []byte) {
				eth := wire.Ethernet{Dst: wire.Broadcast, Src: c.mac, Type: typ}.Append(nil)
				radio.Send(b.now, air.Frame{Kind: air.KindData, To: devMAC, Data: append(eth, payload...)})
			}
			switch kind % 6 {
			case 0:
				b.h.deliver(hif.OpEnableAP, kind&8 != 0, p)
			case 1:
				b.h.deliver(hif.OpDisableAP, false, p)
			case 2:
				b.h.deliver(hif.OpCustomIE, true, p)
			case 3:
				if len(p) >= 2 {
					frame(wire.EtherType(uint16(p[0])<<8|uint16(p[1])), p[2:])
				}
			case 4:
				src, dst := netip.AddrPortFrom(netip.IPv4Unspecified(), dhcp.ClientPort), netip.AddrPortFrom(broadcast, dhcp.ServerPort)
				d := wire.UDP{SrcPort: src.Port(), DstPort: dst.Port()}.Append(nil, src.Addr(), dst.Addr(), p)
				frame(wire.EtherTypeIPv4, append(wire.IPv4{TTL: 64, Proto: wire.ProtoUDP, Src: src.Addr(), Dst: dst.Addr()}.Append(nil, len(d)), d...))
			case 5:
				radio.Send(b.now, air.Frame{Kind: air.KindManagement, To: devMAC, Data: p})
			}
			if kind&16 == 0 {
				b.h.pump()
			}
			b.run(time.Duration(kind>>5) * 50 * time.Millisecond)
		}
		b.run(time.Second)
		checkBounds(t, b)
		if s := b.dev.Snapshot().SoftAP; s != nil && len(s.Stations) > 1 {
			t.Errorf("%d stations", len(s.Stations))
		}
	})
}
