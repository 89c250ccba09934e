package driver_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
	"github.com/understudy-net/understudy/driver"
)

// newBypass is newBench in bypass mode.
func newBypass(t testing.TB) *bench {
	t.Helper()
	c := newChip(t)
	cfg := c.config()
	cfg.Bypass = true
	b := &bench{chip: c, d: driver.New(c, cfg)}
	b.tasks()
	var err error
	if b.c, err = b.d.Open(); err != nil {
		t.Fatal(err)
	}
	b.take()
	return b
}

// joined connects it, with frames going to fn in a buffer of n bytes.
func (b *bench) joined(n int, fn func(driver.Fragment)) {
	b.t.Helper()
	check(b.t, b.c.OnFrame(make([]byte, n), fn))
	check(b.t, b.c.Connect(driver.BSS{SSID: "x"}, driver.OpenAuth, nil))
	if ops := b.ops(); !slices.Equal(ops, []hif.Op{hif.OpConnect}) { // and nothing of IP
		b.t.Error(ops)
	}
	b.tell(hif.OpStateChanged, hif.StateChanged{State: hif.Connected})
}

func someFrame(n int) []byte {
	f := make([]byte, n)
	for i := range f {
		f[i] = byte(i)
	}
	return f
}

func TestBypassIsAskedForAtBoot(t *testing.T) {
	if v := newBypass(t).regs[reg.GP1]; v != reg.GP1Reserved8|reg.GP1UsePMU|reg.GP1Ethernet {
		t.Errorf("%#x", v)
	}
	if v := newBench(t).regs[reg.GP1]; v&reg.GP1Ethernet != 0 {
		t.Errorf("%#x in socket mode", v)
	}
}

func TestBypassNeedsABuffer(t *testing.T) {
	b := newBypass(t)
	refused := func(want error) {
		t.Helper()
		wantErr(t, "Connect", b.c.Connect(driver.BSS{SSID: "x"}, driver.OpenAuth, nil), want)
		wantErr(t, "Reconnect", b.c.Reconnect(nil), want)
		wantErr(t, "StartAP", b.c.StartAP(driver.BSS{SSID: "x", Channel: 1}, driver.OpenAuth, nil), want)
	}
	refused(driver.ErrNoEthBuf)
	wantErr(t, "no buffer", b.c.OnFrame(nil, func(driver.Fragment) {}), driver.ErrInvalid)
	wantErr(t, "no callback", b.c.OnFrame(make([]byte, 9), nil), driver.ErrInvalid)
	refused(driver.ErrNoEthBuf)
	if len(b.take()) != 0 {
		t.Error("sent")
	}
	check(t, b.c.FrameHook(func([]byte) {}))
	check(t, b.c.Connect(driver.BSS{SSID: "x"}, driver.OpenAuth, nil))
	check(t, b.c.Disconnect())
	check(t, b.c.FrameHook(nil))
	refused(driver.ErrNoEthBuf)
}

// A frame larger than the buffer comes in numbered fragments.
func TestBypassFragments(t *testing.T) {
	for _, tc := range []struct{ buf, frame, parts int }{
		{1514, 1514, 1}, {1514, 14, 1}, {100, 1514, 16}, {100, 200, 2}, {100, 201, 3}, {1, 14, 14}, {2000, 60, 1},
	} {
		b := newBypass(t)
		var got []byte
		parts, ended := 0, false
		b.joined(tc.buf, func(f driver.Fragment) {
			if f.N != parts || ended {
				t.Errorf("%+v: fragment %d as number %d, after the end: %v", tc, f.N, parts, ended)
			}
			got = append(got, f.Data...)
			parts++
			ended = !f.More
		})
		b.tell(hif.OpEthernet, hif.Ethernet{Frame: someFrame(tc.frame)})
		if parts != tc.parts || !ended || !bytes.Equal(got, someFrame(tc.frame)) {
			t.Errorf("%+v: %d parts, end %v", tc, parts, ended)
		}
	}
}

func TestBypassSendFrame(t *testing.T) {
	b := newBypass(t)
	wantErr(t, "no link", b.c.SendFrame(someFrame(60)), driver.ErrRequest)
	b.joined(1514, func(driver.Fragment) {})
	if !b.c.LinkUp() || b.c.Addr().IsValid() {
		t.Error("link", b.c.LinkUp(), b.c.Addr())
	}
	for _, n := range []int{14, 60, 1514} {
		check(t, b.c.SendFrame(someFrame(n)))
		rs := b.take()
		if len(rs) != 1 || rs[0].op != hif.OpSendEthernet || !rs[0].data || len(rs[0].payload) != hif.EthernetDataOffset+n {
			t.Fatal(rs)
		}
		if m, err := hif.ParseSendEthernet(rs[0].payload); err != nil || !bytes.Equal(m.Frame, someFrame(n)) {
			t.Error(n, err)
		}
	}
	for _, n := range []int{0, 13, 1515} {
		wantErr(t, fmt.Sprint(n), b.c.SendFrame(someFrame(n)), driver.ErrInvalid)
	}
	b.refuse = func(hif.Request) bool { return true }
	wantErr(t, "no buffer", b.c.SendFrame(someFrame(60)), driver.ErrBufferFull)
	b.refuse = nil
	check(t, b.c.Disconnect())
	wantErr(t, "left", b.c.SendFrame(someFrame(60)), driver.ErrRequest)
}

// What comes when nobody can want it is dropped; what a slow callback does not take
// is bounded.
func TestBypassDrops(t *testing.T) {
	b := newBypass(t)
	n := 0
	b.tell(hif.OpEthernet, hif.Ethernet{Frame: someFrame(60)}) // no link
	b.joined(1514, func(driver.Fragment) { n++ })
	b.tell(hif.OpEthernet, hif.Ethernet{Frame: someFrame(13)})
	if s := b.d.Stats(); s.Stale != 2 || n != 0 {
		t.Errorf("%d, %+v", n, s)
	}
	held := true
	check(t, b.c.OnFrame(make([]byte, 1514), func(f driver.Fragment) {
		if n++; held { // messages are taken, and callbacks wait
			held = false
			for range 100 {
				b.post(hif.OpEthernet, hif.Ethernet{Frame: someFrame(60)})
			}
			b.tasks()
		}
	}))
	b.tell(hif.OpEthernet, hif.Ethernet{Frame: someFrame(60)})
	if s := b.d.Stats(); n != 64 || s.FramesLost != 37 {
		t.Errorf("%d came, %d lost", n, s.FramesLost)
	}
	b.tell(hif.OpEthernet, hif.Ethernet{Frame: someFrame(60)})
	if n != 65 {
		t.Error("after that", n)
	}
}

func TestBypassFrameHook(t *testing.T) {
	b := newBypass(t)
	var got [][]byte
	check(t, b.c.FrameHook(func(f []byte) {
		got = append(got, bytes.Clone(f))
		check(t, b.c.SendFrame(f)) // calls are allowed
	}))
	check(t, b.c.Connect(driver.BSS{SSID: "x"}, driver.OpenAuth, nil))
	b.tell(hif.OpStateChanged, hif.StateChanged{State: hif.Connected})
	b.take()
	b.tell(hif.OpEthernet, hif.Ethernet{Frame: someFrame(1514)})
	if len(got) != 1 || !bytes.Equal(got[0], someFrame(1514)) {
		t.Error(len(got))
	}
	if m := want(b.chip, hif.OpSendEthernet, hif.ParseSendEthernet); !bytes.Equal(m.Frame, someFrame(1514)) {
		t.Error("sent another")
	}
}

func TestMulticastFilter(t *testing.T) {
	group := driver.MAC{1, 0, 0x5e, 0, 0, 0xfb}
	for _, b := range []*bench{newBypass(t), newBench(t)} {
		check(t, b.c.AddMulticast(group))
		if m := want(b.chip, hif.OpSetMulticastMAC, hif.ParseMulticastMAC); m.MAC != group || !m.Add {
			t.Error(m)
		}
		check(t, b.c.Close())
		b.take()
		check(t, b.c.DelMulticast(group)) // does not look whether the client is open
		if m := want(b.chip, hif.OpSetMulticastMAC, hif.ParseMulticastMAC); m.MAC != group || m.Add {
			t.Error(m)
		}
		wantErr(t, "no group", b.c.AddMulticast(driver.MAC{2}), driver.ErrInvalid)
		wantErr(t, "no client", (*driver.Client)(nil).AddMulticast(group), driver.ErrInvalid)
		b.refuse = func(hif.Request) bool { return true }
		wantErr(t, "no buffer", b.c.AddMulticast(group), driver.ErrBus)
	}
}

// Each mode says of the calls of the other that they are not for it.
func TestCallsOfTheOtherMode(t *testing.T) {
	b := newBypass(t)
	_, err := b.c.Socket(driver.Stream, driver.Plain)
	for what, err := range map[string]error{
		"Socket": err, "Resolve": b.c.Resolve("x"), "Echo": b.c.Echo(addr("10.0.0.1"), 0, nil), "Update": b.c.Update(imageURL, nil),
		"DownloadFile": b.c.DownloadFile(fileURL, func(driver.HostFile, driver.OTAStatus) {}), "UseDHCP": b.c.UseDHCP(nil),
		"SetAddr": b.c.SetAddr(prefix("10.0.0.7/24")), "SetDNS": b.c.SetDNS(addr("10.0.0.1")), "SetGateway": b.c.SetGateway(addr("10.0.0.1")),
		"ConfigDHCPServer":  b.c.ConfigDHCPServer(netip.Prefix{}, nil),
		"StartProvisioning": b.c.StartProvisioning(driver.BSS{SSID: "x", Channel: 1}, driver.OpenAuth, driver.Provisioning{}, nil),
	} {
		wantErr(t, what, err, driver.ErrUnsupported)
		wantErr(t, what, err, driver.ErrMode)
	}
	if len(b.take()) != 0 {
		t.Error("sent")
	}
	s := newBench(t)
	for what, err := range map[string]error{
		"OnFrame": s.c.OnFrame(make([]byte, 9), func(driver.Fragment) {}), "FrameHook": s.c.FrameHook(nil), "SendFrame": s.c.SendFrame(someFrame(60)),
	} {
		wantErr(t, what, err, driver.ErrUnsupported)
	}
	s.tell(hif.OpEthernet, hif.Ethernet{Frame: someFrame(60)})
	if s.d.Stats().Stale != 1 {
		t.Errorf("%+v", s.d.Stats())
	}
}

// A Soft-AP in bypass mode has no address of the device's.
func TestBypassSoftAP(t *testing.T) {
	b := newBypass(t)
	n := 0
	check(t, b.c.OnFrame(make([]byte, 1514), func(driver.Fragment) { n++ }))
	check(t, b.c.StartAP(driver.BSS{SSID: "x", Channel: 1}, driver.OpenAuth, nil))
	if !b.c.LinkUp() || b.c.Addr().IsValid() {
		t.Error(b.c.LinkUp(), b.c.Addr())
	}
	b.tell(hif.OpEthernet, hif.Ethernet{Frame: someFrame(60)})
	check(t, b.c.SendFrame(someFrame(60)))
	check(t, b.c.StopAP())
	wantErr(t, "stopped", b.c.SendFrame(someFrame(60)), driver.ErrRequest)
	if n != 1 {
		t.Error(n)
	}
}

// Frames each way allocate nothing in the driver.
func TestBypassAllocations(t *testing.T) {
	b := newBypass(t)
	b.joined(1514, func(driver.Fragment) {})
	f := someFrame(1514)
	for range 70 {
		b.tell(hif.OpEthernet, hif.Ethernet{Frame: f})
	}
	allocs := func(op hif.Op) float64 {
		msg := hif.AppendMessage(nil, op, hif.Ethernet{Frame: f})
		return testing.AllocsPerRun(50, func() {
			b.postRaw(msg)
			b.tasks()
		})
	}
	unknown, got := allocs(hif.MakeOp(hif.GroupWiFi, 99)), allocs(hif.OpEthernet)
	if got > unknown { // which are of the chip of the test
		t.Errorf("%v allocations a frame, and %v for a message that is dropped", got, unknown)
	}
	sends := testing.AllocsPerRun(50, func() { check(t, b.c.SendFrame(f)) })
	if pings := testing.AllocsPerRun(50, func() { check(t, b.c.AddMulticast(driver.MAC{1})) }); sends > pings {
		t.Errorf("%v allocations to send a frame, and %v for a short request", sends, pings)
	}
}
