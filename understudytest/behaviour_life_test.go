package understudytest_test

// LIF: life cycle and status codes (spec/driver-api.md 5.1).

import (
	"context"
	"errors"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/understudy-net/understudy/device"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/understudytest"
)

func TestLIF01_NotOpenBeforeStartUpIsFinished(t *testing.T) {
	behaveWith(t, understudytest.Config{NoBoot: true}, func(r *rig) {
		notYet := func(when string) {
			r.t.Helper()
			if s := r.Driver.Status(); s != driver.StateBusy {
				r.fatalf("%s: status %v, want %v", when, s, driver.StateBusy)
			}
			c, err := r.Driver.Open()
			r.refused("Open "+when, err, driver.ErrNotReady)
			if c != nil {
				r.fatalf("Open %s: a client with the error", when)
			}
		}
		notYet("before start-up")
		type started struct{ err error }
		r.Go(func() { r.tell(none, started{r.Driver.Tasks()}) })
		for range 5 {
			notYet("during start-up")
			r.Sleep(20 * time.Millisecond)
			r.nothingMore("start-up takes longer than that")
		}
		r.ok("Tasks", want[started](r, none).err)
		if s := r.Driver.Status(); s != driver.StateReady {
			r.fatalf("after start-up: status %v", s)
		}
	})
}

func TestLIF02_OpenAfterStartUp(t *testing.T) {
	behaveWith(t, understudytest.Config{NoBoot: true}, func(r *rig) {
		r.ok("Tasks", r.Driver.Tasks())
		if s := r.Driver.Status(); s != driver.StateReady {
			r.fatalf("status %v, want %v", s, driver.StateReady)
		}
		c, err := r.Driver.Open()
		r.ok("Open", err)
		r.ok("the client", c.Err())
	})
}

func TestLIF03_WrongChip(t *testing.T) {
	other := device.WINC1500()
	other.ChipID = 0x503000D0 // of another family
	c := understudytest.Config{NoBoot: true, Device: device.Config{Profile: other}}
	behaveWith(t, c, func(r *rig) {
		r.refused("Tasks", r.Driver.Tasks(), driver.ErrDeviceNotFound)
		if s := r.Driver.Status(); s != driver.StateError {
			r.fatalf("status %v, want %v", s, driver.StateError)
		}
		r.refused("extended status", r.Driver.Err(), driver.ErrDeviceNotFound)
		_, err := r.Driver.Open()
		r.refused("Open", err, driver.ErrNotReady)
	})
}

func TestLIF04_OpenTwiceIsTheSameClient(t *testing.T) {
	behaveWith(t, understudytest.Config{}, func(r *rig) {
		first, err := r.Driver.Open()
		r.ok("Open", err)
		second, err := r.Driver.Open()
		r.ok("second Open", err)
		if first != second || first != r.Client {
			r.fatalf("clients %p, %p and %p", first, second, r.Client)
		}
	})
}

// clientCalls are the methods of Client with valid arguments. Those that return
// an error come first in their results if they fail; the others return a value.
var clientCalls = map[string]func(c *driver.Client) []any{
	"Addr":         func(c *driver.Client) []any { return []any{c.Addr()} },
	"AskAssoc":     func(c *driver.Client) []any { return []any{c.AskAssoc(func(driver.AssocInfo) {})} },
	"AskTime":      func(c *driver.Client) []any { return []any{c.AskTime()} },
	"AuthType":     func(c *driver.Client) []any { v, err := c.AuthType(nil); return []any{err, v} },
	"ChipID":       func(c *driver.Client) []any { return []any{c.ChipID()} },
	"Close":        func(c *driver.Client) []any { return []any{c.Close()} },
	"Connect":      func(c *driver.Client) []any { return []any{c.Connect(driver.BSS{SSID: "x"}, driver.OpenAuth, nil)} },
	"DHCP":         func(c *driver.Client) []any { return []any{c.DHCP()} },
	"DisableSNTP":  func(c *driver.Client) []any { return []any{c.DisableSNTP()} },
	"Disconnect":   func(c *driver.Client) []any { return []any{c.Disconnect()} },
	"Echo":         func(c *driver.Client) []any { return []any{c.Echo(understudytest.RouterAddr, 0, nil)} },
	"EchoHook":     func(c *driver.Client) []any { return []any{c.EchoHook(understudytest.RouterAddr, 0, nil)} },
	"EnableSNTP":   func(c *driver.Client) []any { return []any{c.EnableSNTP("", true)} },
	"Err":          func(c *driver.Client) []any { return []any{c.Err()} },
	"FactoryMAC":   func(c *driver.Client) []any { v, err := c.FactoryMAC(); return []any{err, v} },
	"Firmware":     func(c *driver.Client) []any { v, err := c.Firmware(); return []any{err, v} },
	"IPConfig":     func(c *driver.Client) []any { return []any{c.IPConfig()} },
	"LinkUp":       func(c *driver.Client) []any { return []any{c.LinkUp()} },
	"MAC":          func(c *driver.Client) []any { v, err := c.MAC(); return []any{err, v} },
	"OnIP":         func(c *driver.Client) []any { return []any{c.OnIP(nil)} },
	"Peer":         func(c *driver.Client) []any { v, err := c.Peer(nil); return []any{err, v} },
	"RSSI":         func(c *driver.Client) []any { v, err := c.RSSI(nil); return []any{err, v} },
	"Reconnect":    func(c *driver.Client) []any { return []any{c.Reconnect(nil)} },
	"Resolve":      func(c *driver.Client) []any { return []any{c.Resolve("router.test")} },
	"ResolveHook":  func(c *driver.Client) []any { return []any{c.ResolveHook("router.test", func(driver.Addr) {})} },
	"SSID":         func(c *driver.Client) []any { v, err := c.SSID(nil); return []any{err, v} },
	"Scan":         func(c *driver.Client) []any { return []any{c.Scan(driver.ScanReq{}, nil)} },
	"ScanCount":    func(c *driver.Client) []any { return []any{c.ScanCount()} },
	"ScanNext":     func(c *driver.Client) []any { return []any{c.ScanNext(nil)} },
	"ScanReset":    func(c *driver.Client) []any { return []any{c.ScanReset(nil)} },
	"ScanResult":   func(c *driver.Client) []any { v, err := c.ScanResult(); return []any{err, v} },
	"Scanning":     func(c *driver.Client) []any { return []any{c.Scanning()} },
	"SetAddr":      func(c *driver.Client) []any { return []any{c.SetAddr(netip.MustParsePrefix("10.9.0.7/24"))} },
	"SetChannels":  func(c *driver.Client) []any { return []any{c.SetChannels(driver.ChannelsEurope)} },
	"SetDNS":       func(c *driver.Client) []any { return []any{c.SetDNS(understudytest.RouterAddr)} },
	"SetGateway":   func(c *driver.Client) []any { return []any{c.SetGateway(understudytest.RouterAddr)} },
	"SetName":      func(c *driver.Client) []any { return []any{c.SetName("name")} },
	"SetScan":      func(c *driver.Client) []any { return []any{c.SetScan(driver.ScanParams{})} },
	"SetScanMatch": func(c *driver.Client) []any { return []any{c.SetScanMatch(driver.ScanAll)} },
	"SetScanRSSI":  func(c *driver.Client) []any { return []any{c.SetScanRSSI(-60)} },
	"SetTime":      func(c *driver.Client) []any { return []any{c.SetTime(time.Unix(1e9, 0))} },
	"Socket": func(c *driver.Client) []any {
		s, err := c.Socket(driver.Stream, driver.Plain)
		return []any{err, s}
	},
	"SocketHook": func(c *driver.Client) []any {
		s, err := c.SocketHook(driver.Stream, driver.Plain, func(driver.Socket, driver.Event) {})
		return []any{err, s}
	},
	"ConfigDHCPServer": func(c *driver.Client) []any {
		return []any{c.ConfigDHCPServer(netip.MustParsePrefix("192.168.5.1/24"), nil)}
	},
	"Mode":   func(c *driver.Client) []any { return []any{c.Mode()} },
	"SetIEs": func(c *driver.Client) []any { return []any{c.SetIEs(driver.IEs{})} },
	"StartAP": func(c *driver.Client) []any {
		return []any{c.StartAP(driver.BSS{SSID: "x", Channel: 1}, driver.OpenAuth, nil)}
	},
	"StopAP": func(c *driver.Client) []any { return []any{c.StopAP()} },
	"Power": func(c *driver.Client) []any {
		return []any{c.Power() != driver.PowerInvalid} // which is the zero of this one (2.10)
	},
	"SetListen":       func(c *driver.Client) []any { return []any{c.SetListen(3)} },
	"SetRoaming":      func(c *driver.Client) []any { return []any{c.SetRoaming(driver.RoamOn)} },
	"SetPower":        func(c *driver.Client) []any { return []any{c.SetPower(driver.PowerAutoLow)} },
	"Sleep":           func(c *driver.Client) []any { return []any{c.Sleep(time.Second)} },
	"AnswerECC":       func(c *driver.Client) []any { return []any{c.AnswerECC(nil, nil)} },
	"ECCMaterial":     func(c *driver.Client) []any { v, err := c.ECCMaterial(nil); return []any{err, v} },
	"OnECC":           func(c *driver.Client) []any { return []any{c.OnECC(nil)} },
	"SetCertExpiry":   func(c *driver.Client) []any { return []any{c.SetCertExpiry(driver.ExpiryOn)} },
	"SetCiphers":      func(c *driver.Client) []any { return []any{c.SetCiphers(1, nil)} },
	"StandbyFirmware": func(c *driver.Client) []any { v, err := c.StandbyFirmware(); return []any{err, v} },
	"Time":            func(c *driver.Client) []any { return []any{c.Time(nil)} },
	"UseDHCP":         func(c *driver.Client) []any { return []any{c.UseDHCP(nil)} },

	"AbortUpdate":      func(c *driver.Client) []any { return []any{c.AbortUpdate()} },
	"OTASNI":           func(c *driver.Client) []any { return []any{c.OTASNI()} },
	"OTAVerify":        func(c *driver.Client) []any { return []any{c.OTAVerify()} },
	"OnUpdateProgress": func(c *driver.Client) []any { return []any{c.OnUpdateProgress(nil)} },
	"Rollback":         func(c *driver.Client) []any { return []any{c.Rollback(nil)} },
	"RollbackHook":     func(c *driver.Client) []any { return []any{c.RollbackHook(nil)} },
	"SetOTASNI":        func(c *driver.Client) []any { return []any{c.SetOTASNI("ota.test")} },
	"SetOTAVerify":     func(c *driver.Client) []any { return []any{c.SetOTAVerify(true)} },
	"SwitchImage":      func(c *driver.Client) []any { return []any{c.SwitchImage(nil)} },
	"SwitchImageHook":  func(c *driver.Client) []any { return []any{c.SwitchImageHook(nil)} },
	"Update":           func(c *driver.Client) []any { return []any{c.Update(otaURL, nil)} },
	"UpdateHook":       func(c *driver.Client) []any { return []any{c.UpdateHook(otaURL, nil)} },
	"Updating":         func(c *driver.Client) []any { return []any{c.Updating()} },

	"DownloadFile": func(c *driver.Client) []any {
		return []any{c.DownloadFile(otaURL, func(driver.HostFile, driver.OTAStatus) {})}
	},
	"DownloadFileHook": func(c *driver.Client) []any { return []any{c.DownloadFileHook(otaURL, nil)} },
	"EraseFile":        func(c *driver.Client) []any { return []any{c.EraseFile(nil)} },
	"EraseFileHook":    func(c *driver.Client) []any { return []any{c.EraseFileHook(nil)} },
	"FindFile":         func(c *driver.Client) []any { v, err := c.FindFile(driver.AnyFile); return []any{err, v} },

	"FrameHook": func(c *driver.Client) []any { return []any{c.FrameHook(nil)} },
	"OnFrame": func(c *driver.Client) []any {
		return []any{c.OnFrame(make([]byte, 1514), func(driver.Fragment) {})}
	},
	"SendFrame": func(c *driver.Client) []any { return []any{c.SendFrame(make([]byte, 60))} },

	"StartProvisioning": func(c *driver.Client) []any {
		return []any{c.StartProvisioning(driver.BSS{SSID: "x", Channel: 1}, driver.OpenAuth, driver.Provisioning{}, nil)}
	},
	"StartWPS":    func(c *driver.Client) []any { return []any{c.StartWPS(nil)} },
	"StartWPSPIN": func(c *driver.Client) []any { return []any{c.StartWPSPIN("12345670", nil)} },
	"StopWPS":     func(c *driver.Client) []any { return []any{c.StopWPS()} },
}

// uncheckedCalls do not look whether the client is open: the registrations of
// callbacks, the filter of groups, and what says the same of every client.
var uncheckedCalls = map[string]bool{"OnSocket": true, "OnResolve": true, "AddMulticast": true, "DelMulticast": true,
	"Driver": true, "DriverVersion": true, "Limits": true}

// callAll calls all methods of c and wants them to be refused: with the error,
// or false and zero.
func callAll(r *rig, c *driver.Client, refusal error) {
	typ := reflect.TypeFor[*driver.Client]()
	for i := range typ.NumMethod() {
		name := typ.Method(i).Name
		call, known := clientCalls[name]
		switch {
		case uncheckedCalls[name]:
			continue
		case !known:
			r.t.Errorf("Client.%s is not in the table of this test", name)
			continue
		}
		results := call(c)
		if typ.Method(i).Type.Out(typ.Method(i).Type.NumOut()-1) == reflect.TypeFor[error]() {
			if err, _ := results[0].(error); !errors.Is(err, refusal) {
				r.t.Errorf("%s: error %v, want %v", name, err, refusal)
			}
			results = results[1:]
		}
		for _, v := range results {
			if !reflect.ValueOf(v).IsZero() {
				r.t.Errorf("%s: %v, want zero", name, v)
			}
		}
	}
}

// mdns is the MAC of the group of multicast DNS.
var mdns = driver.MAC{1, 0, 0x5e, 0, 0, 0xfb}

func TestLIF06_AfterCloseAllCallsAreRefused(t *testing.T) {
	behave(t, func(r *rig) {
		r.ok("Close", r.Client.Close())
		callAll(r, r.Client, driver.ErrNotOpen)
		r.ok("OnSocket, which does not check", r.Client.OnSocket(nil))
		r.ok("OnResolve, which does not check", r.Client.OnResolve(nil))
		r.ok("AddMulticast, which does not check", r.Client.AddMulticast(mdns))
		r.ok("DelMulticast, which does not check", r.Client.DelMulticast(mdns))
		r.quiet(patience, "nothing was accepted")
	})
}

func TestLIF07_AnInvalidHandleIsInvalid(t *testing.T) {
	behaveWith(t, understudytest.Config{}, func(r *rig) {
		for _, c := range []*driver.Client{nil, new(driver.Client)} {
			callAll(r, c, driver.ErrInvalid)
			r.refused("OnSocket", c.OnSocket(nil), driver.ErrInvalid)
			r.refused("OnResolve", c.OnResolve(nil), driver.ErrInvalid)
			r.refused("AddMulticast", c.AddMulticast(mdns), driver.ErrInvalid)
			r.refused("DelMulticast", c.DelMulticast(mdns), driver.ErrInvalid)
		}
	})
}

// allSockets makes sockets of both types until there are no more.
func (r *rig) allSockets() []driver.Socket {
	r.t.Helper()
	var made []driver.Socket
	for range driver.MaxTCPSockets {
		made = append(made, r.stream())
	}
	for range driver.MaxUDPSockets {
		made = append(made, r.datagram())
	}
	return made
}

func TestLIF09_AllSocketsAgainAfterARestart(t *testing.T) {
	behaveWith(t, understudytest.Config{}, func(r *rig) {
		before := r.allSockets()
		r.ok("Close of the driver", r.Driver.Close())
		r.ok("Restart", r.Driver.Restart())
		c, err := r.Driver.Open()
		r.ok("Open", err)
		r.Client = c
		r.attach()
		for _, s := range r.allSockets() {
			if s.ID() < driver.MaxTCPSockets {
				r.bind(s, 1000+uint16(s.ID()), nil) // the device has them all too
			}
		}
		for _, s := range before {
			r.refused("a socket from before", s.Accept(), driver.ErrClosed)
		}
	})
}

func TestLIF10_NoCallbackBeforeTheCallReturns(t *testing.T) {
	behave(t, func(r *rig) {
		peer := r.AddHost("peer.test")
		sender := r.peerSocket(peer, 99)
		s, u := r.stream(), r.bound(driver.Datagram, 9)
		release := r.hold()
		returned := map[string]int{} // place in the trace
		did := func(what string, err error) {
			r.t.Helper()
			r.ok(what, err)
			r.notef("%s returned", what)
			returned[what] = r.mark()
			r.Sleep(time.Second) // its answer comes, and waits
			r.ok("Tasks, which takes messages and runs no callback", r.Driver.Tasks())
		}
		did("Bind", s.Bind(netip.AddrPortFrom(netip.IPv4Unspecified(), 80)))
		did("Listen", s.Listen(1))
		did("RecvFrom", u.RecvFrom(make([]byte, 100), 0))
		r.peerSends(sender, "datagram", r.at(9))
		did("SendTo", u.SendTo([]byte("x"), netip.AddrPortFrom(peer.Addr, 99)))
		did("Echo", r.Client.Echo(peer.Addr, 0, hear[driver.EchoReply](r)))
		did("Resolve", r.Client.Resolve("peer.test"))
		did("RSSI", ignoreRetry(r.Client.RSSI(hear[int8](r))))
		r.nothingMore("the dispatcher is held")

		after := r.mark()
		release()
		follows := func(what string, e *event) {
			r.t.Helper()
			if e.n < after || e.n < returned[what] {
				r.fatalf("the callback of %s ran before the call returned", what)
			}
		}
		_, e := wantWithin[driver.BindMsg](r, s, patience)
		follows("Bind", e)
		_, e = wantWithin[driver.ListenMsg](r, s, patience)
		follows("Listen", e)
		_, e = wantWithin[driver.RecvFromMsg](r, u, patience)
		follows("RecvFrom", e)
		_, e = wantWithin[driver.SendToMsg](r, u, patience)
		follows("SendTo", e)
		_, e = wantWithin[driver.EchoReply](r, none, patience)
		follows("Echo", e)
		_, e = wantWithin[resolved](r, none, patience)
		follows("Resolve", e)
		_, e = wantWithin[int8](r, none, patience)
		follows("RSSI", e)
	})
}

// ignoreRetry makes a nil of ErrRetry, which says that an answer will come.
func ignoreRetry[T any](_ T, err error) error {
	if err == error(driver.ErrRetry) {
		return nil
	}
	return err
}

func TestLIF11_BlockingCallInsideACallback(t *testing.T) {
	behave(t, func(r *rig) {
		peer := r.AddHost("peer.test")
		type outcome struct {
			addrs []netip.Addr
			rtt   time.Duration
			err   error
		}
		r.Client.OnSocket(func(s driver.Socket, m driver.Msg) {
			var o outcome
			o.addrs, o.err = r.Net.LookupNetIP(context.Background(), "ip4", "peer.test")
			if o.err == nil {
				o.rtt, o.err = r.Net.Ping(context.Background(), peer.Addr)
			}
			r.tell(none, o)
		})
		r.ok("Bind", r.stream().Bind(netip.MustParseAddrPort("0.0.0.0:80")))
		o := want[outcome](r, none)
		r.ok("the calls inside the callback", o.err)
		if len(o.addrs) != 1 || o.addrs[0] != peer.Addr {
			r.fatalf("resolved to %v, want %v", o.addrs, peer.Addr)
		}
	})
}
