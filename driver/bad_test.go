package driver_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/driver"
)

// The device said what it should not: dropped, counted, and the next message is
// understood again.
func TestBadMessages(t *testing.T) {
	b := newBench(t)
	got := b.names()
	msg := func(op hif.Op, n int, payload ...byte) []byte {
		m := append(hif.Header{Op: op, Len: n}.Append(nil), payload...)
		return m
	}
	for _, tc := range []struct {
		name string
		msg  []byte
		size int // announced; 0: as it is
		want func(s driver.Stats) uint64
	}{
		{"size 0", msg(hif.OpRSSI, 12, 1, 0, 0, 0), -1, func(s driver.Stats) uint64 { return s.Corrupt }},
		{"size 4", msg(hif.OpRSSI, 12, 1, 0, 0, 0), 4, func(s driver.Stats) uint64 { return s.Corrupt }},
		{"size far above length", msg(hif.OpRSSI, 12, make([]byte, 40)...), 0, func(s driver.Stats) uint64 { return s.Corrupt }},
		{"size beyond all", msg(hif.OpRSSI, 12, 1, 0, 0, 0), 4095, func(s driver.Stats) uint64 { return s.Corrupt }},
		{"length below the header", msg(hif.OpRSSI, 7, 1, 0, 0, 0), 0, func(s driver.Stats) uint64 { return s.Corrupt }},
		{"short payload", msg(hif.OpStateChanged, 9, 1), 0, func(s driver.Stats) uint64 { return s.Short }},
		{"short reply", msg(hif.OpRecv, 12, 1, 2, 3, 4), 0, func(s driver.Stats) uint64 { return s.Short }},
		{"length beyond size", msg(hif.OpDNSResolve, 76, 1, 2, 3, 4), 12, func(s driver.Stats) uint64 { return s.Short }},
		{"group 0", msg(0x0005, 8), 0, func(s driver.Stats) uint64 { return s.Unknown }},
		{"group 3", msg(0x0305, 8), 0, func(s driver.Stats) uint64 { return s.Unknown }},
		{"group 200", msg(200<<8, 8), 0, func(s driver.Stats) uint64 { return s.Unknown }},
		{"unknown opcode", msg(hif.MakeOp(hif.GroupIP, 99), 8), 0, func(s driver.Stats) uint64 { return s.Unknown }},
		{"socket 99", msg(hif.OpSend, 16, 99, 0, 1, 0, 1, 0, 0, 0), 0, func(s driver.Stats) uint64 { return s.Stale }},
		{"socket -1", msg(hif.OpSockConnect, 12, 255, 0, 88, 0), 0, func(s driver.Stats) uint64 { return s.Stale }},
	} {
		before := tc.want(b.d.Stats())
		b.sizes = nil
		if tc.size != 0 {
			b.sizes = func(int) int { return max(tc.size, 0) }
		}
		b.postRaw(tc.msg)
		b.tasks()
		if n := tc.want(b.d.Stats()) - before; n != 1 {
			t.Errorf("%s: counted %d times: %+v", tc.name, n, b.d.Stats())
		}
		b.sizes = nil
		if b.dones != b.posted {
			t.Fatalf("%s: RX done %d times for %d messages", tc.name, b.dones, b.posted)
		}
		check(t, b.c.Resolve("a"))
		b.tell(hif.OpDNSResolve, hif.DNSReply{Name: "a"})
		wantLines(t, tc.name, got, "a invalid IP")
	}
}

// Nothing that a device may say breaks the driver.
func TestNoiseFromTheDevice(t *testing.T) {
	seed := rand.Uint64()
	defer func() {
		if t.Failed() {
			t.Log("seed", seed)
		}
	}()
	r := rand.New(rand.NewPCG(seed, 0))
	b := newBench(t)
	for range 5 {
		b.online()
		b.listener()
		s, _ := b.connected()
		check(t, s.Recv(make([]byte, 8), 0))
		check(t, b.c.OnSocket(func(s driver.Socket, m driver.Msg) {
			if m, ok := m.(driver.AcceptMsg); ok && m.Err == nil {
				m.Socket.Close()
			}
		}))
		for i := range 2000 {
			if f, err := b.c.FindFile(driver.AnyFile); i%5 == 0 && err == nil {
				_ = f.Read(make([]byte, 200), 0, func(int, driver.OTAStatus) {})
			} else if i%50 == 1 {
				_ = b.c.DownloadFile(fileURL, func(driver.HostFile, driver.OTAStatus) {})
			}
			noise(b, r)
		}
		check(t, b.c.Close())
		var err error
		if b.c, err = b.d.Open(); err != nil {
			t.Fatal(err)
		}
		b.take()
	}
	if b.dones != b.posted {
		t.Errorf("RX done %d times for %d messages", b.dones, b.posted)
	}
}

func noise(b *bench, r *rand.Rand) {
	ops := []hif.Op{
		hif.OpStateChanged, hif.OpDHCPConf, hif.OpScanDone, hif.OpScanResult, hif.OpConnInfo, hif.OpRSSI, hif.OpBind, hif.OpListen,
		hif.OpAccept, hif.OpSockConnect, hif.OpSend, hif.OpRecv, hif.OpSendTo, hif.OpRecvFrom, hif.OpDNSResolve, hif.OpPing,
		hif.OpDefaultConnected, hif.OpSysTime, hif.OpIPConflict, hif.OpDHCPFailure, hif.Op(r.Uint32()),
		hif.OpFileStatus, hif.OpFileDownloaded, hif.OpFileData, hif.OpFileErased,
	}
	p := make([]byte, r.IntN(80))
	for i := range p {
		p[i] = byte(r.IntN(12) - 1)
	}
	msg := append(hif.Header{Op: ops[r.IntN(len(ops))], Len: hif.HeaderLen + len(p) - r.IntN(3)}.Append(nil), p...)
	b.postRaw(msg)
	b.tasks()
}

func FuzzMessageFromTheDevice(f *testing.F) {
	f.Add(hif.AppendMessage(nil, hif.OpStateChanged, connected))
	f.Add(hif.AppendMessage(nil, hif.OpAccept, hif.Accept{Peer: addrPort("10.0.0.7:40000"), Listener: 0, Sock: 6}))
	f.Add(hif.AppendMessage(nil, hif.OpRecv, hif.RecvReply{Sock: 1, Session: 2, Status: 4, Data: []byte("data")}))
	f.Add([]byte{2, 0x46, 255, 255, 0, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, msg []byte) {
		if len(msg) < hif.HeaderLen || len(msg) > hif.MaxLen {
			return
		}
		b := newBench(t)
		b.listener()
		s, _ := b.connected()
		check(t, s.Recv(make([]byte, 3), 0))
		b.events()
		b.postRaw(msg)
		b.tasks()
		if b.dones != b.posted || b.d.Status() != driver.StateReady {
			t.Errorf("RX done %d times for %d messages, %v", b.dones, b.posted, b.d.Status())
		}
	})
}

var errCable = errors.New("the cable is out")

func TestDeviceGoesAway(t *testing.T) {
	b := newBench(t)
	var got []string
	b.join(func(e driver.ConnEvent) { got = append(got, fmt.Sprint("conn ", e.State, " ", e.Err)) })
	b.tell(hif.OpDHCPConf, lease("10.0.0.50"))
	check(t, b.c.OnSocket(func(s driver.Socket, m driver.Msg) { got = append(got, line(s, m)) }))
	s, _ := b.connected()
	check(t, s.Recv(make([]byte, 5), 0))
	got = nil
	b.fault = func() error { return errCable }
	start := b.clock.Now()
	err := b.d.Tasks()
	wantErr(t, "Tasks", err, driver.ErrDeviceFailure)
	wantErr(t, "Tasks", err, errCable)
	if d := b.clock.Now().Sub(start); d > time.Second {
		t.Error("it took", d)
	}
	b.d.Tasks()
	wantLines(t, "events", &got, "conn disconnected "+driver.ErrUnknown.Error(), `0 RECV "" (-12)`)
	wantErr(t, "Send", s.Send(nil), driver.ErrNotReady)
	wantErr(t, "Connect", b.c.Connect(driver.BSS{SSID: "a"}, driver.OpenAuth, nil), driver.ErrNotReady)
	check(t, s.Close())
	check(t, b.c.Close())
	b.fault = nil
	check(t, b.d.Restart())
	if _, err := b.d.Open(); err != nil {
		t.Error(err)
	}
}

func TestDeviceFallsSilentInTheMiddleOfACall(t *testing.T) {
	b := newBench(t)
	s, _ := b.connected()
	b.dead = true
	start := b.clock.Now()
	wantErr(t, "Send", s.Send([]byte("x")), driver.ErrBus)
	wantErr(t, "Bind", s.Bind(addrPort("0.0.0.0:1")), driver.ErrSockInvalid)
	if d := b.clock.Now().Sub(start); d > time.Second {
		t.Error("it took", d)
	}
}

// A fault that lasts shorter than the retries costs nothing.
func TestBusFaultWhileReceivingLosesNothing(t *testing.T) {
	for after := range 30 {
		b := newBench(t)
		got := b.names()
		check(t, b.c.Resolve("a"))
		b.post(hif.OpDNSResolve, hif.DNSReply{Name: "a", IP: [4]byte{10, 0, 0, 1}})
		n := 0
		b.fault = func() error {
			if n++; n == after {
				return errCable
			}
			return nil
		}
		err := b.d.Tasks()
		if err != nil { // the release itself failed: then the device counts as gone
			wantErr(t, "Tasks", err, driver.ErrDeviceFailure)
			continue
		}
		wantLines(t, "event", got, "a 10.0.0.1")
	}
}
