package understudytest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/stack/dhcp"
	"github.com/understudy-net/understudy/stack/dns"
	"github.com/understudy-net/understudy/understudytest"
	"github.com/understudy-net/understudy/wire"
)

// Section 5.12: the Soft-AP and its DHCP server, and what 5.11 says of it. The
// clients are stations on the bench's air.

const (
	apSSID    = "soft"
	apChannel = 11
	apKey     = "wrong battery"
)

var (
	apBSS  = driver.BSS{SSID: apSSID, Channel: apChannel}
	apAddr = netip.MustParseAddr("192.168.5.1")
)

// management is a management message on the air.
type management struct {
	at   time.Time
	from wire.MAC
	to   wire.MAC
	wifi.Management
}

// mgmt keeps the management messages of the air from now on.
func (r *rig) mgmt() *[]management {
	var all []management
	r.locked(func(time.Time) {
		r.Air.Tap(func(now time.Time, f air.Frame) {
			if f.Kind != air.KindManagement {
				return
			}
			m, err := wifi.ParseManagement(append([]byte(nil), f.Data...))
			if err != nil {
				r.t.Errorf("a management message of %v cannot be read: %v", f.From, err)
			}
			all = append(all, management{now, f.From, f.To, m})
		})
	})
	return &all
}

// ofDevice picks messages that the device sent.
func ofDevice(all []management, s wifi.Subtype) (list []management) {
	for _, m := range all {
		if m.from == understudytest.DeviceMAC && m.Subtype == s {
			list = append(list, m)
		}
	}
	return list
}

// onAP runs body on a bench that is a Soft-AP at 192.168.5.1, with a station
// that has joined nothing.
func onAP(t *testing.T, auth driver.Auth, body func(r *rig, s *understudytest.Station)) {
	t.Helper()
	behaveWith(t, understudytest.Config{}, func(r *rig) {
		r.ok("ConfigDHCPServer", r.Client.ConfigDHCPServer(netip.PrefixFrom(apAddr, 24), r.onLease))
		r.startAP(auth)
		body(r, r.AddStation("phone"))
	})
}

func (r *rig) startAP(auth driver.Auth) {
	r.t.Helper()
	r.ok("StartAP", r.Client.StartAP(apBSS, auth, r.onConn))
}

// joins has a station join the Soft-AP, and wants the host to hear of it and of
// its lease.
func (r *rig) joins(s *understudytest.Station, auth driver.Auth) {
	r.t.Helper()
	r.ok("station associates", s.Associate(apSSID, auth.Key))
	r.wantConn(driver.Connected)
	_, err := s.Lease()
	r.ok("station's lease", err)
	if l := want[leaseHeard](r, none); l.given != s.Addr {
		r.fatalf("the host was told %v, the station has %v", l.given, s.Addr)
	}
}

// leaves has a station leave, and wants the host to hear of it.
func (r *rig) leaves(s *understudytest.Station) {
	r.t.Helper()
	s.Leave()
	r.wantConn(driver.Disconnected)
}

// leaseOf starts a Soft-AP and returns what a station is given there.
func (r *rig) leaseOf(s *understudytest.Station) dhcp.Lease {
	r.t.Helper()
	r.startAP(driver.OpenAuth)
	r.ok("station associates", s.Associate(apSSID, ""))
	r.wantConn(driver.Connected)
	l, err := s.Lease()
	r.ok("station's lease", err)
	return l
}

func TestAPD01_AddressOfTheConfiguredNetwork(t *testing.T) {
	behaveWith(t, understudytest.Config{}, func(r *rig) {
		r.ok("ConfigDHCPServer", r.Client.ConfigDHCPServer(netip.MustParsePrefix("192.168.5.1/24"), nil))
		since := r.mark()
		l := r.leaseOf(r.AddStation("phone"))
		if !netip.MustParsePrefix("192.168.5.0/24").Contains(l.Addr.Addr()) || l.Server != apAddr {
			r.fatalf("lease %+v", l)
		}
		for _, typ := range []dhcp.MessageType{dhcp.Offer, dhcp.Ack} {
			m, _ := parseDHCP(r.wantPacket(typ.String(), since, up, dhcpType(typ)))
			if m.ServerID != apAddr || m.YourIP != l.Addr.Addr() {
				r.fatalf("%v: server identifier %v, address %v", typ, m.ServerID, m.YourIP)
			}
		}
	})
}

func TestAPD02_DefaultAddress(t *testing.T) {
	behaveWith(t, understudytest.Config{}, func(r *rig) {
		l := r.leaseOf(r.AddStation("phone"))
		if l.Server != netip.MustParseAddr("192.168.10.1") || l.Addr.Masked() != netip.MustParsePrefix("192.168.10.0/24") {
			r.fatalf("lease %+v", l)
		}
	})
}

func TestAPD03_FirstStationIsNumber100(t *testing.T) {
	for _, server := range []string{"192.168.5.1/24", "10.20.30.40/16", "172.16.0.200/25", "172.16.0.70/26"} {
		behaveWith(t, understudytest.Config{}, func(r *rig) {
			p := netip.MustParsePrefix(server)
			if p.Addr().As4()[3] == 200 { // .100 must be in the same network
				r.refused(server, r.Client.ConfigDHCPServer(p, nil), driver.ErrInvalid)
				return
			}
			r.ok("ConfigDHCPServer", r.Client.ConfigDHCPServer(p, nil))
			first := p.Addr().As4()
			first[3] = 100
			if l := r.leaseOf(r.AddStation("phone")); l.Addr.Addr() != netip.AddrFrom4(first) {
				r.fatalf("%s: lease %v", server, l.Addr)
			}
		})
	}
}

func TestAPD04_CallbackHasTheStationsAddressOncePerLease(t *testing.T) {
	onAP(t, driver.OpenAuth, func(r *rig, s *understudytest.Station) {
		since := r.mark()
		r.joins(s, driver.OpenAuth)
		r.quiet(time.Minute, "one acknowledgement, one call")
		for range 3 { // each renewal is one more
			ack := r.wantPackets(time.Hour, "renewal", len(r.packets(since, up, dhcpType(dhcp.Ack)))+1, since, up, dhcpType(dhcp.Ack))
			if l := want[leaseHeard](r, none); l.given != s.Addr {
				r.fatalf("acknowledged at %v: told %v, the station has %v", ack[len(ack)-1].at, l.given, s.Addr)
			}
		}
		r.quiet(time.Minute, "no more than that")
	})
}

func TestAPD05_AddrIsOurs(t *testing.T) {
	onAP(t, driver.WPA(apKey), func(r *rig, s *understudytest.Station) {
		r.linkIs("nobody there", true, apAddr)
		r.ok("station associates", s.Associate(apSSID, apKey))
		if c, _ := r.wantConn(driver.Connected); c.addr != apAddr || !c.linkUp {
			r.fatalf("in the connected callback: %v, up %v", c.addr, c.linkUp)
		}
		_, err := s.Lease()
		r.ok("station's lease", err)
		if l := want[leaseHeard](r, none); l.addr != apAddr || l.given == apAddr || !l.linkUp {
			r.fatalf("in the address callback: ours %v, given %v", l.addr, l.given)
		}
		r.linkIs("after the lease", true, apAddr)
		if c := r.Client.IPConfig(); c.Prefix != netip.PrefixFrom(apAddr, 24) {
			r.fatalf("%+v", c)
		}
		r.leaves(s)
		r.linkIs("after the station left", true, apAddr)
	})
}

func TestAPD06_RouterAndDNSOptions(t *testing.T) {
	gateway, server := netip.MustParseAddr("192.168.5.9"), netip.MustParseAddr("9.9.9.9")
	for _, tc := range []struct{ gateway, dns, wantRouter, wantDNS netip.Addr }{
		{noAddr, noAddr, apAddr, apAddr},
		{gateway, noAddr, gateway, apAddr},
		{noAddr, server, apAddr, server},
		{gateway, server, gateway, server},
	} {
		behaveWith(t, understudytest.Config{}, func(r *rig) {
			r.ok("ConfigDHCPServer", r.Client.ConfigDHCPServer(netip.PrefixFrom(apAddr, 24), nil))
			r.ok("SetGateway", r.Client.SetGateway(tc.gateway))
			r.ok("SetDNS", r.Client.SetDNS(tc.dns))
			if l := r.leaseOf(r.AddStation("phone")); l.Router != tc.wantRouter || !slices.Equal(l.DNS, []netip.Addr{tc.wantDNS}) {
				r.fatalf("router %v, DNS %v, want %v and %v", l.Router, l.DNS, tc.wantRouter, tc.wantDNS)
			}
		})
	}
}

func TestAPD07_MaskOption(t *testing.T) {
	for bits, want := range map[int]int{0: 24, 16: 16, 24: 24, 25: 25, 8: 8} {
		behaveWith(t, understudytest.Config{}, func(r *rig) {
			r.ok("ConfigDHCPServer", r.Client.ConfigDHCPServer(netip.PrefixFrom(apAddr, bits), nil))
			if l := r.leaseOf(r.AddStation("phone")); l.Addr.Bits() != want {
				r.fatalf("mask of %d bits: lease %v", bits, l.Addr)
			}
		})
	}
}

func TestAPD08_ConfigurationWaitsForTheNextStart(t *testing.T) {
	onAP(t, driver.OpenAuth, func(r *rig, s *understudytest.Station) {
		later := netip.MustParseAddr("10.77.0.1")
		r.ok("ConfigDHCPServer", r.Client.ConfigDHCPServer(netip.PrefixFrom(later, 16), hear[netip.Addr](r)))
		r.linkIs("configured", true, apAddr)
		r.joins(s, driver.OpenAuth)
		if l, _ := s.Stack.Lease(); l.Server != apAddr {
			r.fatalf("lease %+v", l)
		}
		r.linkIs("leased", true, apAddr)
		r.ok("StopAP", r.Client.StopAP())
		r.wantConn(driver.Disconnected)
		r.Sleep(time.Second)

		l := r.leaseOf(s)
		r.linkIs("started again", true, later)
		if given := want[netip.Addr](r, none); l.Server != later || l.Addr != netip.MustParsePrefix("10.77.0.100/16") || given != l.Addr.Addr() {
			r.fatalf("lease %+v, the host was told %v", l, given)
		}
	})
}

func TestAPD09_SameStationSameAddress(t *testing.T) {
	onAP(t, driver.OpenAuth, func(r *rig, s *understudytest.Station) {
		r.joins(s, driver.OpenAuth)
		first := s.Addr
		for range 3 {
			r.leaves(s)
			r.Sleep(time.Minute)
			r.joins(s, driver.OpenAuth)
			if s.Addr != first {
				r.fatalf("at first %v, now %v", first, s.Addr)
			}
		}
		// One that remembers its address begins with a request for it.
		r.leaves(s)
		r.ok("station associates", s.Associate(apSSID, ""))
		r.wantConn(driver.Connected)
		since := r.mark()
		p, err := s.UseDHCP(context.Background(), stack.DHCPConfig{Reboot: first})
		r.ok("station's lease", err)
		if l := want[leaseHeard](r, none); p.Addr() != first || l.given != first {
			r.fatalf("asked for %v, got %v, the host was told %v", first, p, l.given)
		}
		r.noPacket("it need not discover", since, dhcpType(dhcp.Discover))
	})
}

func TestAPD10_ForeignAddressIsRefused(t *testing.T) {
	onAP(t, driver.OpenAuth, func(r *rig, s *understudytest.Station) {
		r.ok("station associates", s.Associate(apSSID, ""))
		r.wantConn(driver.Connected)
		since := r.mark()
		p, err := s.UseDHCP(context.Background(), stack.DHCPConfig{Reboot: netip.MustParseAddr("10.1.2.3")})
		r.ok("station's lease", err)
		nak := r.wantPacket("DHCPNAK", since, up, dhcpType(dhcp.Nak))
		request := r.wantPacket("DHCPREQUEST", since, down, dhcpType(dhcp.Request))
		if m, _ := parseDHCP(nak); m.ServerID != apAddr || nak.n < request.n {
			r.fatalf("%+v", m)
		}
		if l := want[leaseHeard](r, none); l.given != p.Addr() || l.given.As4()[3] != 100 {
			r.fatalf("afterwards: %v, told %v", p, l.given)
		}
	})
}

func TestAPD11_SecondStationIsRefused(t *testing.T) {
	for _, auth := range []driver.Auth{driver.OpenAuth, driver.WPA(apKey)} {
		onAP(t, auth, func(r *rig, s *understudytest.Station) {
			r.joins(s, auth)
			second := r.AddStation("laptop")
			var failed *understudytest.JoinError
			err := second.Associate(apSSID, auth.Key)
			if !errors.As(err, &failed) || failed.Event.Reason != wifi.ReasonAssociationFailed || failed.Event.Status != wifi.StatusFull {
				r.fatalf("the second station: %v", err)
			}
			r.quiet(time.Minute, "the host does not hear of it")
			r.reaches(s.Addr) // the first one is still there
			r.leaves(s)
			r.joins(second, auth)
		})
	}
}

func TestAPD12_CallbackWhenAStationComesAndGoes(t *testing.T) {
	for _, auth := range []driver.Auth{driver.OpenAuth, driver.WPA(apKey)} {
		onAP(t, auth, func(r *rig, s *understudytest.Station) {
			r.quiet(time.Minute, "nobody there")
			if auth.Key != "" {
				if err := s.Associate(apSSID, "another horse"); err == nil {
					r.fatalf("joined with a wrong key")
				}
				r.quiet(time.Minute, "a wrong key is nobody")
			}
			for range 2 {
				r.ok("station associates", s.Associate(apSSID, auth.Key))
				r.wantConn(driver.Connected)
				r.quiet(time.Minute, "it stays")
				r.leaves(s)
				r.quiet(time.Minute, "it has left")
			}
			// One that vanishes is missed after a while.
			r.joins(s, auth)
			r.locked(func(time.Time) {
				r.ok("SetLink", r.Air.SetLink(s.MAC, wire.MAC{}, air.Link{Down: true}))
			})
			c, _ := wantWithin[connHeard](r, none, 2*time.Minute)
			if c.State != driver.Disconnected || c.Err != nil {
				r.fatalf("got %v, %v", c.State, c.Err)
			}
		})
	}
}

func TestAPD13_AddressThatCannotWork(t *testing.T) {
	behaveWith(t, understudytest.Config{}, func(r *rig) {
		for _, p := range []string{"0.0.0.5/24", "192.168.5.100/24", "224.0.0.1/24"} {
			r.refused(p, r.Client.ConfigDHCPServer(netip.MustParsePrefix(p), nil), driver.ErrInvalid)
		}
	})
}

func TestAPD14_WrongConfigurationsMakeNoBeacon(t *testing.T) {
	behaveWith(t, understudytest.Config{}, func(r *rig) {
		all := r.mgmt()
		for name, tc := range map[string]struct {
			bss  driver.BSS
			auth driver.Auth
		}{
			"any channel": {driver.BSS{SSID: apSSID}, driver.OpenAuth},
			"empty name":  {driver.BSS{Channel: apChannel}, driver.OpenAuth},
			"key of 7":    {apBSS, driver.WPA("1234567")},
		} {
			r.refused(name, r.Client.StartAP(tc.bss, tc.auth, r.onConn), driver.ErrRequest)
		}
		r.quiet(time.Minute, "nothing was started")
		if b := ofDevice(*all, wifi.Beacon); len(b) != 0 {
			r.fatalf("%d beacons", len(b))
		}
		r.startAP(driver.WPA("12345678"))
		r.Sleep(time.Second)
		if b := ofDevice(*all, wifi.Beacon); len(b) < 5 {
			r.fatalf("%d beacons of a right one", len(b))
		}
	})
}

func TestAPD15_HiddenName(t *testing.T) {
	behaveWith(t, understudytest.Config{}, func(r *rig) {
		all, s := r.mgmt(), r.AddStation("phone")
		hidden := apBSS
		hidden.Hidden = true
		r.ok("StartAP", r.Client.StartAP(hidden, driver.OpenAuth, r.onConn))
		r.Sleep(time.Second)
		for _, b := range ofDevice(*all, wifi.Beacon) {
			if len(b.SSID) != 0 {
				r.fatalf("a beacon names %q", b.SSID)
			}
		}
		found, err := s.Scan()
		r.ok("scan", err)
		if answers := ofDevice(*all, wifi.ProbeResponse); len(answers) != 0 {
			r.fatalf("%d answers to probes for anybody", len(answers))
		}
		if i := slices.IndexFunc(found, ours); i < 0 || found[i].SSID != "" || !found[i].Hidden {
			r.fatalf("found %v", found)
		}
		found, err = s.Scan(apSSID)
		r.ok("scan by name", err)
		if i := slices.IndexFunc(found, ours); i < 0 || found[i].SSID != apSSID {
			r.fatalf("found %v", found)
		}
		if answers := ofDevice(*all, wifi.ProbeResponse); len(answers) == 0 || answers[0].to != s.MAC {
			r.fatalf("%d answers to probes by name", len(answers))
		}
		r.ok("station associates", s.Associate(apSSID, ""))
		r.wantConn(driver.Connected)
	})
}

func ours(n wifi.Network) bool { return n.BSSID == understudytest.DeviceMAC }

func TestAPD16_SocketsAsAnAccessPoint(t *testing.T) {
	onAP(t, driver.WPA(apKey), func(r *rig, s *understudytest.Station) {
		listener, u := r.listener(80), r.bound(driver.Datagram, 9) // before anybody is there
		r.joins(s, driver.WPA(apKey))
		c, peer := r.dialIn(listener, s.Host, 80)
		data := pattern(20_000)
		r.peerWrites(peer, string(data[:1000]))
		r.recv(c, 1400)
		r.wantData(c, string(data[:1000]))
		for p := data; len(p) > 0; p = p[min(len(p), driver.MaxSend):] {
			r.send(c, p[:min(len(p), driver.MaxSend)])
		}
		r.peerReads(peer, data)
		r.close(c)
		r.peerReadsEnd(peer, io.EOF)

		sender := r.peerSocket(s.Host, 99)
		r.recvFrom(u, 100)
		r.peerSends(sender, "to the access point", r.at(9))
		from := r.wantDatagram(u, "to the access point")
		if from != netip.AddrPortFrom(s.Addr, 99) {
			r.fatalf("from %v", from)
		}
		r.sendTo(u, []byte("to the station"), from)
		if from := r.peerGets(sender, "to the station"); from != r.at(9) {
			r.fatalf("from %v", from)
		}

		out, in := r.dial(s.Host, 7) // and the other way round
		r.send(out, []byte("hello"))
		r.peerReads(in, []byte("hello"))
		r.reaches(s.Addr)
		if _, err := s.Ping(context.Background(), apAddr, stack.PingConfig{}); err != nil {
			r.fatalf("ping of the station: %v", err)
		}
	})
}

func TestAPD17_StopWhenNotAnAccessPoint(t *testing.T) {
	behaveWith(t, understudytest.Config{}, func(r *rig) {
		r.refused("idle", r.Client.StopAP(), driver.ErrRequest)
		r.online()
		r.refused("as a station", r.Client.StopAP(), driver.ErrRequest)
		r.linkIs("as before", true, understudytest.FirstLease)
		r.leave()
		r.startAP(driver.OpenAuth)
		r.ok("StopAP", r.Client.StopAP())
		r.refused("a second time", r.Client.StopAP(), driver.ErrRequest)
	})
}

func TestAPD18_StopSendsStationsAwayAndConnectWorks(t *testing.T) {
	onAP(t, driver.WPA(apKey), func(r *rig, s *understudytest.Station) {
		all := r.mgmt()
		r.joins(s, driver.WPA(apKey))
		r.ok("StopAP", r.Client.StopAP())
		if c, _ := r.wantConn(driver.Disconnected); c.linkUp || c.addr.IsValid() {
			r.fatalf("in the callback LinkUp is %v, Addr %v", c.linkUp, c.addr)
		}
		stopped := r.Now()
		r.quiet(time.Minute, "one event is all")
		for _, b := range ofDevice(*all, wifi.Beacon) {
			if b.at.After(stopped) {
				r.fatalf("a beacon %v after StopAP", b.at.Sub(stopped))
			}
		}
		if d := ofDevice(*all, wifi.Deauthentication); len(d) == 0 || s.Joined() {
			r.fatalf("%d deauthentications, the station is joined: %v", len(d), s.Joined())
		}
		if r.online() != understudytest.FirstLease {
			r.fatalf("our own lease as a station: %v", r.Client.Addr())
		}
		r.reaches(understudytest.RouterAddr)
		r.leave()

		// Right after it, too, while the device still has to say what became of its station.
		r.ok("StartAP", r.Client.StartAP(apBSS, driver.OpenAuth, r.onConn))
		r.ok("station associates", s.Associate(apSSID, ""))
		r.wantConn(driver.Connected)
		r.ok("StopAP", r.Client.StopAP())
		r.ok("UseDHCP", r.Client.UseDHCP(r.onLease))
		r.ok("Connect", r.Client.Connect(r.BSS(), r.Auth(), r.onConn))
		r.wantConn(driver.Disconnected)
		r.wantConn(driver.Connected)
		want[leaseHeard](r, none)
		r.reaches(understudytest.RouterAddr)
	})
}

func TestLNK06_LinkIsUpAsAnAccessPoint(t *testing.T) {
	behaveWith(t, understudytest.Config{}, func(r *rig) {
		r.linkIs("idle", false, noAddr)
		r.ok("StartAP", r.Client.StartAP(apBSS, driver.OpenAuth, r.onConn))
		own := netip.MustParseAddr("192.168.10.1")
		r.linkIs("right after StartAP", true, own)
		r.quiet(time.Minute, "nobody comes")
		r.linkIs("later", true, own)
		r.ok("StopAP", r.Client.StopAP())
		r.linkIs("right after StopAP", false, noAddr)
		r.quiet(time.Minute, "there was no station to lose")
		r.linkIs("later", false, noAddr)

		r.startAP(driver.OpenAuth)
		closed := r.Client
		r.ok("Close", closed.Close())
		if closed.LinkUp() { // LNK-05
			r.fatalf("LinkUp is true on a closed handle")
		}
	})
}

func TestLNK07_LinkStaysDownWhenStartIsRefused(t *testing.T) {
	behaveWith(t, understudytest.Config{}, func(r *rig) {
		for _, bss := range []driver.BSS{{SSID: apSSID}, {Channel: apChannel}, {SSID: apSSID, Channel: 15}} {
			if err := r.Client.StartAP(bss, driver.OpenAuth, r.onConn); err == nil {
				r.fatalf("%+v was accepted", bss)
			}
			r.linkIs("refused", false, noAddr)
		}
		// Refused as a station, it changes nothing either.
		r.ok("Connect", r.Client.Connect(r.BSS(), r.Auth(), r.onConn))
		r.refused("while joining", r.Client.StartAP(apBSS, driver.OpenAuth, nil), driver.ErrRequest)
		r.linkIs("joining", false, noAddr)
		r.wantConn(driver.Connected)
		r.refused("while connected", r.Client.StartAP(apBSS, driver.OpenAuth, nil), driver.ErrRequest)
		r.Sleep(patience)
		r.linkIs("connected", true, understudytest.FirstLease)
		r.leave()
	})
}

// Departure of the station ends the connections with it, not listeners and
// datagram sockets; StopAP ends all (section 3.8).
func TestDepartureOfTheStationEndsItsConnections(t *testing.T) {
	onAP(t, driver.OpenAuth, func(r *rig, s *understudytest.Station) {
		listener, u := r.listener(80), r.bound(driver.Datagram, 9)
		r.recvFrom(u, 100)
		r.joins(s, driver.OpenAuth)
		c, _ := r.dialIn(listener, s.Host, 80)
		r.recv(c, 10)
		s.Leave()
		_, left := r.wantConn(driver.Disconnected)
		m, recv := wantWithin[driver.RecvMsg](r, c, patience)
		r.verdict("RECV", c, m.Err, driver.ErrConnAborted)
		if recv.n < left.n {
			r.fatalf("the socket heard of it first")
		}
		r.quiet(time.Minute, "the others go on")

		r.joins(s, driver.OpenAuth)
		c2, _ := r.dialIn(listener, s.Host, 80)
		r.peerSends(r.peerSocket(s.Host, 99), "still open", r.at(9))
		r.wantDatagram(u, "still open")
		r.recv(c2, 10)
		r.ok("StopAP", r.Client.StopAP())
		_, left = r.wantConn(driver.Disconnected)
		m, recv = wantWithin[driver.RecvMsg](r, c2, patience)
		r.verdict("RECV", c2, m.Err, driver.ErrConnAborted)
		if recv.n < left.n {
			r.fatalf("the socket heard of it first")
		}
		r.ok("Send", c2.Send([]byte("x")))
		wantRefusal(r, c2, want[driver.SendMsg](r, c2).Err)
	})
}

// Addresses can be set while no station is there, with effect on the next start
// or connect (section 1.3).
func TestAddressesOfAnAccessPointAreSetWhileNobodyIsThere(t *testing.T) {
	onAP(t, driver.OpenAuth, func(r *rig, s *understudytest.Station) {
		r.ok("SetDNS", r.Client.SetDNS(netip.MustParseAddr("9.9.9.9")))
		r.joins(s, driver.OpenAuth)
		if l, _ := s.Stack.Lease(); !slices.Equal(l.DNS, []netip.Addr{apAddr}) {
			r.fatalf("lease %+v", l)
		}
		r.refused("SetDNS", r.Client.SetDNS(apAddr), driver.ErrConnected)
		r.refused("UseDHCP", r.Client.UseDHCP(nil), driver.ErrConnected)
		r.ok("StopAP", r.Client.StopAP())
		r.wantConn(driver.Disconnected)
		r.Sleep(time.Second)
		if l := r.leaseOf(s); !slices.Equal(l.DNS, []netip.Addr{netip.MustParseAddr("9.9.9.9")}) {
			r.fatalf("lease %+v", l)
		}
		want[leaseHeard](r, none)
	})
}

// Who is there: association and signal of the station (section 2.2).
func TestAssociationOfAnAccessPoint(t *testing.T) {
	onAP(t, driver.WPA(apKey), func(r *rig, s *understudytest.Station) {
		_, err := r.Client.Peer(nil)
		r.refused("Peer of nobody", err, driver.ErrRequest)
		r.joins(s, driver.WPA(apKey))
		info, err := r.Net.AssocInfo(context.Background())
		r.ok("AssocInfo", err)
		if info.SSID != "" || info.BSSID != driver.MAC(s.MAC) || info.Addr != s.Addr || info.Auth != driver.AuthWPA || info.Channel != apChannel || info.RSSI >= 0 {
			r.fatalf("%+v", info)
		}
		if rssi, err := r.Net.RSSI(context.Background()); err != nil || rssi >= 0 {
			r.fatalf("RSSI %v, %v", rssi, err)
		}
		r.leaves(s)
		_, err = r.Client.Peer(nil)
		r.refused("Peer of one that left", err, driver.ErrRequest)
	})
}

// Custom elements, before and after the start, in beacons and probe responses
// (section 2.3).
func TestElementsOfAnAccessPoint(t *testing.T) {
	behaveWith(t, understudytest.Config{}, func(r *rig) {
		all, s := r.mgmt(), r.AddStation("phone")
		var before, after driver.IEs
		r.ok("Add", before.Add(221, []byte{0, 1, 2, 3}))
		r.ok("Add", after.Add(221, []byte{9}))
		r.ok("Add", after.Add(222, nil))
		carried := func(want []byte) {
			t.Helper()
			from := len(*all)
			_, err := s.Scan()
			r.ok("scan", err)
			r.Sleep(time.Second)
			for _, typ := range []wifi.Subtype{wifi.Beacon, wifi.ProbeResponse} {
				list := ofDevice((*all)[from:], typ)
				if len(list) == 0 {
					r.fatalf("no %v", typ)
				}
				for _, m := range list {
					if !slices.Equal(m.Extra, want) {
						r.fatalf("%v with % x, want % x", typ, m.Extra, want)
					}
				}
			}
		}
		r.ok("SetIEs", r.Client.SetIEs(before))
		r.startAP(driver.OpenAuth)
		carried(before.Bytes())
		r.ok("SetIEs", r.Client.SetIEs(after))
		carried(after.Bytes())
		r.ok("StopAP", r.Client.StopAP())
		r.startAP(driver.OpenAuth)
		carried(after.Bytes())
		r.ok("SetIEs", r.Client.SetIEs(driver.IEs{}))
		carried(nil)
	})
}

// The adapters work as on a station: net.Conn both ways, names, blocked calls
// that end with the access point.
func TestNetAsAnAccessPoint(t *testing.T) {
	onAP(t, driver.WPA(apKey), func(r *rig, s *understudytest.Station) {
		ctx := context.Background()
		r.joins(s, driver.WPA(apKey))
		if err := s.HandleTCP(7, func(c net.Conn) { io.Copy(c, c) }); err != nil {
			r.fatalf("%v", err)
		}
		c, err := r.Net.DialContext(ctx, "tcp", netip.AddrPortFrom(s.Addr, 7).String())
		r.ok("DialContext", err)
		r.peerWrites(c, "there and back")
		r.peerReads(c, []byte("there and back"))

		l, err := r.Net.Listen(ctx, "tcp", ":80")
		r.ok("Listen", err)
		if l.Addr().String() != "192.168.5.1:80" {
			r.fatalf("listens at %v", l.Addr())
		}
		in, err := s.Dial(ctx, "tcp", "192.168.5.1:80")
		r.ok("station dials", err)
		served, err := l.Accept()
		r.ok("Accept", err)
		r.peerWrites(served, "welcome")
		r.peerReads(in, []byte("welcome"))
		if _, err := r.Net.Ping(ctx, s.Addr); err != nil {
			r.fatalf("Ping: %v", err)
		}
		r.ok("WaitLink", r.Net.WaitLink(ctx))
		r.refused("Join", r.Net.Join(ctx, r.BSS(), r.Auth()), driver.ErrMode)

		var accepted, read error
		r.Go(func() { _, accepted = l.Accept(); r.tell(none, "accept") })
		r.Go(func() { _, read = c.Read(make([]byte, 1)); r.tell(none, "read") })
		r.Sleep(time.Second)
		r.ok("StopAP", r.Client.StopAP())
		r.wantConn(driver.Disconnected)
		want[string](r, none)
		want[string](r, none)
		if accepted == nil || !errors.Is(read, syscall.ECONNRESET) {
			r.fatalf("Accept ended with %v, Read with %v", accepted, read)
		}
	})
}

// Who waits for the link does not wait for a station.
func TestWaitLinkEndsWithStartAP(t *testing.T) {
	behaveWith(t, understudytest.Config{}, func(r *rig) {
		var failed error
		r.Go(func() {
			failed = r.Net.WaitLink(context.Background())
			r.tell(none, "waited")
		})
		r.quiet(time.Minute, "there is no link")
		r.startAP(driver.OpenAuth)
		want[string](r, none)
		r.ok("WaitLink", failed)
	})
}

// As a station, an access point asks the DNS server that it was given, which may
// be a station's.
func TestNamesAsAnAccessPoint(t *testing.T) {
	behaveWith(t, understudytest.Config{}, func(r *rig) {
		r.ok("ConfigDHCPServer", r.Client.ConfigDHCPServer(netip.PrefixFrom(apAddr, 24), nil))
		r.startAP(driver.OpenAuth)
		if a := r.resolve("phone.test"); a.IsValid() {
			r.fatalf("without a server: %v", a)
		}
		r.ok("StopAP", r.Client.StopAP())
		r.ok("SetDNS", r.Client.SetDNS(netip.MustParseAddr("192.168.5.100")))
		s := r.AddStation("phone")
		r.leaseOf(s)
		var names dns.Server
		r.ok("name", names.Set("phone.test", 0, s.Addr))
		r.locked(func(time.Time) { s.Stack.ServeDNS(&names) })
		if a := r.resolve("phone.test"); a != s.Addr {
			r.fatalf("phone.test is %v", a)
		}
	})
}
