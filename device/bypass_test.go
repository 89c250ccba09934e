package device

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/wire"
)

// bypassed is a device that was started in Ethernet mode and has joined.
func bypassed(t testing.TB) *bench {
	t.Helper()
	b := newBench(t).withAP("")
	b.h.mode = reg.GP1Ethernet
	b.h.boot()
	b.h.join("")
	return b
}

// frame makes one of n bytes.
func frame(dst, src wire.MAC, n int) []byte {
	f := append(append(append([]byte(nil), dst[:]...), src[:]...), 0x88, 0xb5)
	for len(f) < n {
		f = append(f, byte(len(f)))
	}
	return f
}

// toHost has the access point send a frame and returns what the host gets of it, nil for nothing.
func (b *bench) toHost(f []byte) []byte {
	b.t.Helper()
	b.ap.Send(b.now, f)
	b.run(100 * time.Millisecond)
	b.h.pump()
	p, ok := b.h.take(hif.OpEthernet)
	if !ok {
		return nil
	}
	m, err := hif.ParseEthernet(p)
	if err != nil {
		b.t.Fatal(err)
	}
	return m.Frame
}

var (
	otherMAC = wire.MAC{2, 9, 9, 9, 9, 9}
	group    = wire.MAC{1, 0, 0x5e, 0, 0, 0xfb}
)

func TestBypassReceives(t *testing.T) {
	b := bypassed(t)
	own := b.dev.fw.mac
	for _, n := range []int{14, 60, 1514} {
		if f := frame(own, otherMAC, n); !bytes.Equal(b.toHost(f), f) {
			t.Errorf("a frame of %d bytes does not come through", n)
		}
	}
	if b.toHost(frame(wire.Broadcast, otherMAC, 60)) == nil {
		t.Error("a broadcast does not come through")
	}
	if b.toHost(frame(own, otherMAC, 1515)) != nil || b.dev.Counters().FramesLost != 1 {
		t.Error("a frame that is too long:", b.dev.Counters().FramesLost)
	}
	// Our own IP host is not there.
	b.h.quiet(30*time.Second, hif.OpDHCPConf)
	if *b.dev.fw.stack.Stats() != (stack.Stats{}) {
		t.Error("the IP host hears something")
	}
}

func TestBypassMulticastFilter(t *testing.T) {
	b := bypassed(t)
	hears := func(mac wire.MAC) bool { return b.toHost(frame(mac, otherMAC, 60)) != nil }
	set := func(mac wire.MAC, add bool) { send(b.h, hif.OpSetMulticastMAC, hif.MulticastMAC{MAC: mac, Add: add}) }
	if hears(group) || b.dev.Counters().FramesFiltered != 1 {
		t.Error("a group that was not asked for")
	}
	set(group, true)
	set(group, true) // once is enough
	if !hears(group) {
		t.Error("a group that was asked for")
	}
	set(group, false)
	set(group, false)
	if hears(group) {
		t.Error("a group that is not wanted any more")
	}
	nth := func(i int) wire.MAC { return wire.MAC{1, 0, 0x5e, 0, 1, byte(i)} }
	for i := range 9 {
		set(nth(i), true)
	}
	if !hears(nth(7)) || hears(nth(8)) || b.dev.Counters().FilterFull != 1 {
		t.Error("eight groups:", b.dev.Counters().FilterFull)
	}
	set(nth(0), false)
	set(nth(8), true)
	if !hears(nth(8)) || hears(nth(0)) {
		t.Error("a place that was given back")
	}
	set(otherMAC, true)
	if n := b.dev.Counters().Malformed; n != 1 {
		t.Error("no group:", n)
	}
}

// What the host does not fetch is bounded, comes in order, and the first are kept.
func TestBypassBoundsWhatWaits(t *testing.T) {
	b := bypassed(t)
	for i := range maxFrames + 20 {
		f := frame(b.dev.fw.mac, otherMAC, 60)
		f[20] = byte(i)
		b.ap.Send(b.now, f)
		b.run(time.Millisecond)
	}
	var got int
	for b.h.pump(); ; b.h.pump() {
		p, ok := b.h.take(hif.OpEthernet)
		if !ok {
			break
		}
		m, err := hif.ParseEthernet(p)
		if err != nil || int(m.Frame[20]) != got {
			t.Fatal(err, m.Frame[20], got)
		}
		got++
	}
	lost := b.dev.Counters().FramesLost
	if got < maxFrames || got > maxFrames+1 || got+int(lost) != maxFrames+20 {
		t.Errorf("%d came and %d were lost", got, lost)
	}
}

func TestBypassSends(t *testing.T) {
	b := bypassed(t)
	own := b.dev.fw.mac
	sent := func(f []byte) uint64 {
		before := b.ap.Counters().ToDS
		b.h.deliver(hif.OpSendEthernet, true, hif.SendEthernet{Frame: f}.Append(nil))
		b.run(100 * time.Millisecond)
		return b.ap.Counters().ToDS - before
	}
	for _, n := range []int{14, 60, 1514} {
		if sent(frame(peerMAC, own, n)) != 1 {
			t.Errorf("a frame of %d bytes was not sent", n)
		}
	}
	for what, f := range map[string][]byte{
		"short": frame(peerMAC, own, 14)[:13], "long": frame(peerMAC, own, 1515), "of another source": frame(peerMAC, otherMAC, 60), "empty": nil,
	} {
		before := b.dev.Counters().Malformed
		if sent(f) != 0 || b.dev.Counters().Malformed != before+1 {
			t.Errorf("%s: sent, or not counted", what)
		}
	}
}

// Nothing of the socket mode has a network: what a host asks for all the same ends.
func TestBypassHasNoSockets(t *testing.T) {
	b := bypassed(t)
	b.withPeer(peerIP)
	if st := b.h.connect(0, netip.AddrPortFrom(peerIP, 80), 1); st != hif.StatusInvalid {
		t.Error("CONNECT:", st)
	}
	send(b.h, hif.OpPing, hif.Ping{IP: peerIP.As4(), Count: 1})
	if m := await(b.h, 10*time.Second, hif.OpPing, hif.ParsePingReply); m.Error == 0 {
		t.Errorf("PING: %+v", m)
	}
	send(b.h, hif.OpStartUpdate, hif.URL{URL: "http://10.0.0.9/x"})
	b.h.verdict(hif.UpdateDownload, hif.UpdateConnError)
	for _, l := range b.dev.Snapshot().Stuck {
		t.Error("stuck:", l)
	}
}

// In socket mode there are no frames.
func TestNoFramesInSocketMode(t *testing.T) {
	b, _ := online(t)
	b.h.deliver(hif.OpSendEthernet, true, hif.SendEthernet{Frame: frame(peerMAC, b.dev.fw.mac, 60)}.Append(nil))
	if n := b.dev.Counters().WrongMode; n != 1 {
		t.Error("wrong mode", n)
	}
	b.ap.Send(b.now, frame(wire.Broadcast, otherMAC, 60))
	b.h.quiet(time.Second, hif.OpEthernet)
}

// The mode is chosen at each start of the firmware.
func TestBypassEndsWithAReset(t *testing.T) {
	b := bypassed(t)
	b.reboot() // by a host that does not ask for it
	b.h.join("")
	if b.dev.fw.bypass.on {
		t.Error("still on")
	}
}

func TestBypassAsAccessPoint(t *testing.T) {
	b := newBench(t)
	b.h.mode = reg.GP1Ethernet
	b.h.boot()
	b.h.enableAP(apConfig(""))
	c := b.withClient(1)
	c.join(apConfig("").SSID, "")
	b.h.state(hif.Connected)
	own := b.dev.fw.mac
	c.sta.Send(b.now, frame(own, c.mac, 60))
	m := await(b.h, time.Second, hif.OpEthernet, hif.ParseEthernet)
	if !bytes.Equal(m.Frame, frame(own, c.mac, 60)) {
		t.Errorf("% x", m.Frame)
	}
	// What a host behind it sends has another source.
	b.h.deliver(hif.OpSendEthernet, true, hif.SendEthernet{Frame: frame(c.mac, otherMAC, 60)}.Append(nil))
	b.until(time.Second, "the frame", func() bool { return c.sta.Counters().Received == 1 })
	b.h.quiet(time.Second, hif.OpDHCPConf)
	if s := fmt.Sprint(b.dev.Snapshot().Stuck); s != "[]" {
		t.Error(s)
	}
}

// A frame each way allocates nothing.
func TestBypassAllocations(t *testing.T) {
	b := bypassed(t)
	in := frame(b.dev.fw.mac, otherMAC, 1514)
	msg := make([]byte, hif.MaxLen)
	for range maxFrames {
		b.dev.fw.bypass.input(b.dev, b.dev.fw.mac, in)
		e := b.dev.out.pop()
		b.dev.fw.build(b.now, e, msg)
	}
	if n := testing.AllocsPerRun(100, func() {
		b.dev.fw.bypass.input(b.dev, b.dev.fw.mac, in)
		b.dev.fw.build(b.now, b.dev.out.pop(), msg)
	}); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}
