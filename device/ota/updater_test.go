package ota

import (
	"bytes"
	"crypto/ed25519"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/device/flash"
	"github.com/understudy-net/understudy/device/image"
)

func TestAnUpdateIsOneGetAndOneEvent(t *testing.T) {
	file := build(t, 0x1381, 100_000)
	n := newFake(t, func(int, string) []step { return ok(file) })
	e := n.update(imageURL)
	if e.Type != hif.UpdateDownload || e.Status != hif.UpdateOK || e.Err != nil {
		t.Fatalf("%+v", e)
	}
	if len(n.requests) != 1 || n.dials != 1 {
		t.Fatalf("%d requests, %d connections", len(n.requests), n.dials)
	}
	want := "GET /new.img HTTP/1.1\r\nHost: server.test\r\nUser-Agent: understudy-ota/1\r\nConnection: close\r\nAccept-Encoding: identity\r\n\r\n"
	if n.requests[0] != want {
		t.Errorf("request %q", n.requests[0])
	}
	c, err := n.f.Control()
	if err != nil || c.Rollback.Version != 0x1330_1381 || !strings.Contains(c.Rollback.Mark.String(), "valid") {
		t.Errorf("%+v %v", c, err)
	}
	if s := n.u.State(); s.Stored != 100_000 || s.Expected != 100_000 || s.Why != "" || s.Ended != 1 {
		t.Errorf("%+v", s)
	}
}

// phases of a download and how a test gets into them: the URL, and what must have happened.
var phases = map[Phase]string{
	Resolving:  "http://silent.test/new.img",
	Connecting: "http://10.0.0.9/new.img",
	Asking:     "http://10.0.0.2/new.img",
	Receiving:  "http://10.0.0.3/new.img",
	Pausing:    "http://10.0.0.4/new.img",
}

// inPhase starts an update and stops in the middle of a phase.
func inPhase(t *testing.T, p Phase) *fake {
	t.Helper()
	file := build(t, 0x1381, 20_000)
	n := newFake(t, always(ok(file)...))
	n.silent["10.0.0.9:80"] = true
	head := send("HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n")
	n.servers["10.0.0.2:80"] = always(hang())
	n.servers["10.0.0.3:80"] = always(head, sendBytes(file[:10_000]), hang())
	n.servers["10.0.0.4:80"] = always(head, sendBytes(file[:10_000]), reset())
	n.u.Update(n.now, Request{URL: phases[p]})
	for i := 0; n.u.State().Phase != p || p == Receiving && n.u.State().Stored == 0; i++ {
		if i == 1000 || !n.step() {
			t.Fatalf("not in phase %v: %+v", p, n.u.State())
		}
	}
	n.collect()
	if len(n.events) != 0 {
		t.Fatalf("%+v", n.events)
	}
	return n
}

func TestAbortInEachPhase(t *testing.T) {
	for p := range phases {
		n := inPhase(t, p)
		n.u.Abort(n.now)
		n.collect()
		if len(n.events) != 2 || n.events[0].Type != hif.UpdateDownload || n.events[0].Status != hif.UpdateAborted ||
			n.events[1].Type != hif.UpdateAbort || n.events[1].Status != hif.UpdateOK {
			t.Errorf("%v: %+v", p, n.events)
		}
		n.events = nil
		n.rests(p)
	}
}

func TestLinkLostInEachPhase(t *testing.T) {
	for p := range phases {
		n := inPhase(t, p)
		n.up = false
		n.u.Offline(n.now)
		n.collect()
		if len(n.events) != 1 || n.events[0].Status != hif.UpdateConnError {
			t.Errorf("%v: %+v", p, n.events)
		}
		n.events, n.up = nil, true
		n.rests(p)
	}
}

// The chip is reset in the middle: no word, and nothing left.
func TestStopInEachPhase(t *testing.T) {
	for p := range phases {
		n := inPhase(t, p)
		n.u.Stop(n.now)
		n.rests(p)
	}
}

// rests wants an updater that does nothing and has nothing, and works.
func (n *fake) rests(p Phase) {
	n.t.Helper()
	if n.u.Busy() || !n.u.Deadline().IsZero() || n.conn != nil || n.asked != "" || n.u.State().Phase != Idle {
		n.t.Errorf("%v: %+v, deadline %v", p, n.u.State(), n.u.Deadline())
	}
	n.u.Ready(n.now) // stray news do nothing
	n.u.Connected(n.now, nil)
	n.u.Resolved(n.now, []netip.Addr{serverAddr}, nil)
	n.u.Advance(n.now.Add(time.Hour))
	n.u.Offline(n.now)
	n.collect()
	if len(n.events) != 0 || n.conn != nil {
		n.t.Errorf("%v: %+v", p, n.events)
	}
	n.sound(false)
	if e := n.update(imageURL); e.Status != hif.UpdateOK {
		n.t.Errorf("%v: a new update: %v", p, e.Err)
	}
}

func TestNobodyAnswersInEachPhase(t *testing.T) {
	for p, took := range map[Phase]time.Duration{Resolving: 30 * time.Second, Connecting: 30 * time.Second, Asking: 30 * time.Second} {
		n := inPhase(t, p)
		e := n.end()
		if d := n.now.Sub(epoch); e.Status != hif.UpdateConnError || d < took || d > took+time.Second {
			t.Errorf("%v: %v after %v", p, e.Err, d)
		}
		n.rests(p)
	}
}

// While a job runs everything else is refused, and does not disturb it.
func TestBusy(t *testing.T) {
	n := inPhase(t, Receiving)
	for _, tc := range []struct {
		do   func()
		want Event
	}{
		{func() { n.u.Update(n.now, Request{URL: imageURL}) }, Event{Type: hif.UpdateDownload, Status: hif.UpdateBusy}},
		{func() { n.u.Download(n.now, Request{URL: imageURL}) }, Event{Type: hif.UpdateFile, Status: hif.UpdateInProgress}},
		{func() { n.u.Switch(n.now) }, Event{Type: hif.UpdateSwitch, Status: hif.UpdateInProgress}},
		{func() { n.u.Rollback(n.now) }, Event{Type: hif.UpdateRollback, Status: hif.UpdateInProgress}},
	} {
		tc.do()
		n.collect()
		if len(n.events) != 1 || n.events[0].Type != tc.want.Type || n.events[0].Status != tc.want.Status || n.events[0].Err == nil {
			t.Errorf("%+v, want %+v", n.events, tc.want)
		}
		n.events = nil
	}
	if Result(n.u.EraseFile(n.now)) != hif.UpdateInProgress {
		t.Error("erased the host file meanwhile")
	}
	if _, err := n.u.ReadFile(0, nil); Result(err) != hif.UpdateInProgress {
		t.Error("read the host file meanwhile")
	}
	if s := n.u.State(); s.Phase != Receiving || s.Stored != 10_000 {
		t.Errorf("%+v", s)
	}
}

func TestAbortOfNothing(t *testing.T) {
	n := newFake(t, nil)
	n.u.Abort(n.now)
	n.collect()
	if len(n.events) != 1 || n.events[0].Type != hif.UpdateAbort || n.events[0].Status != hif.UpdateFailed {
		t.Errorf("%+v", n.events)
	}
}

// The second address of a name is tried when the first does not answer.
func TestAddressesInTurn(t *testing.T) {
	file := build(t, 0x1381, 5000)
	n := newFake(t, nil)
	n.names["many.test"] = []netip.Addr{netip.MustParseAddr("10.0.0.7"), netip.MustParseAddr("10.0.0.8"), serverAddr}
	n.silent["10.0.0.7:80"] = true
	n.servers["10.0.0.1:80"] = always(ok(file)...)
	if e := n.update("http://many.test/x"); e.Status != hif.UpdateOK || n.dials != 3 {
		t.Errorf("%v after %d connections", e.Err, n.dials)
	}
}

// What may be installed: chip, age, signature.
func TestPolicies(t *testing.T) {
	make := func(s image.Spec) []byte {
		b, err := image.Build(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	pub, key, _ := ed25519.GenerateKey(nil)
	_, wrong, _ := ed25519.GenerateKey(nil)
	foreign := image.Wrap(bytes.Repeat([]byte("foreign "), 1000))
	for _, tc := range []struct {
		name   string
		file   []byte
		oldest image.Version
		key    ed25519.PublicKey
		want   hif.UpdateResult
	}{
		{"another chip", make(image.Spec{Version: 0x1381, Chip: 0x1002b0}), 0, nil, verify},
		{"any chip", make(image.Spec{Version: 0x1381}), 0, nil, good},
		{"older, allowed", make(image.Spec{Version: 0x1361}), 0, nil, good},
		{"older", make(image.Spec{Version: 0x1361}), 0x1377, nil, verify},
		{"the same", make(image.Spec{Version: 0x1377}), 0x1377, nil, good},
		{"foreign", foreign, 0, nil, good},
		{"foreign, to be signed", foreign, 0, pub, verify},
		{"not signed", make(image.Spec{Version: 0x1381}), 0, pub, verify},
		{"signed", make(image.Spec{Version: 0x1381, Key: key}), 0, pub, good},
		{"signed by another", make(image.Spec{Version: 0x1381, Key: wrong}), 0, pub, verify},
		{"signed, nobody asks", make(image.Spec{Version: 0x1381, Key: wrong}), 0, nil, good},
	} {
		n := newFake(t, always(ok(tc.file)...))
		n.u.c.Oldest, n.u.c.Key = tc.oldest, tc.key
		if e := n.update(imageURL); e.Status != tc.want {
			t.Errorf("%s: %v (%v), want %v", tc.name, e.Status, e.Err, tc.want)
		}
		n.sound(tc.want == good)
	}
}

// The real part knows 404 alone; the page of any other error is stored, and fails the check of its digest.
func TestErrorPagesAsTheRealPartHasThem(t *testing.T) {
	page := strings.Repeat("an error page", 100)
	for code, want := range map[string]hif.UpdateResult{"404 Not Found": serv, "500 Internal Server Error": verify, "403 Forbidden": verify} {
		n := newFake(t, always(answer(send("HTTP/1.1 "+code+"\r\n\r\n"+page))...))
		n.u.fetch.c.StoreErrorPages = true
		if e := n.update(imageURL); e.Status != want {
			t.Errorf("%s: %v", code, e.Err)
		}
		n.sound(false)
	}
	file := build(t, 0x1381, 5000)
	n := newFake(t, always(answer(send("HTTP/1.1 500 But good\r\n\r\n"+string(file)))...))
	n.u.fetch.c.StoreErrorPages = true
	if e := n.update(imageURL); e.Status != good {
		t.Error(e.Err)
	}
}

// The inactive slot is the one that does not run, also where the boot firmware had to take the other one.
func TestTheRunningImageIsNeverOverwritten(t *testing.T) {
	file := build(t, 0x1381, 20_000)
	n := newFake(t, always(ok(file)...))
	if e := n.update(imageURL); e.Status != good {
		t.Fatal(e.Err)
	}
	n.u.Switch(n.now)
	n.collect()
	n.events = nil
	second, err := n.f.Region(flash.Firmware2)
	if err != nil {
		t.Fatal(err)
	}
	second.WriteAt([]byte{0}, 500) // the new image is bad after all
	b, err := n.f.Boot()
	if err != nil || b.Running.Offset != 0xa000 || b.Backup == nil {
		t.Fatalf("%+v %v", b, err)
	}
	n.servers["10.0.0.1:80"] = always(answer(send("HTTP/1.1 404 Not Found\r\n\r\n"))...)
	n.update(imageURL)
	if b, err = n.f.Boot(); err != nil || b.Running.Offset != 0xa000 {
		t.Errorf("after a failed update: %+v %v", b, err)
	}
	n.recovers(file)
	if b, err = n.f.Boot(); err != nil || b.Running.Offset != 0xa000 || b.Other.Offset != 0x45000 {
		t.Errorf("after a good one: %+v %v", b, err)
	}
}

// A flash of 2 Mbit has no room for two images.
func TestSmallFlash(t *testing.T) {
	n := newFake(t, nil)
	f, err := flash.New(flash.Size2M)
	if err != nil {
		t.Fatal(err)
	}
	n.u = New(Config{Flash: f, Net: n})
	if e := n.update(imageURL); e.Status != large {
		t.Errorf("%v", e.Err)
	}
	n.u.Switch(n.now)
	n.collect()
	if len(n.events) != 1 || n.events[0].Status == good {
		t.Errorf("%+v", n.events)
	}
}

// An updater that rests costs next to nothing, one that works less than 64 KiB, whatever the size of the image.
func TestMemoryOfAnUpdater(t *testing.T) {
	const n = 50
	var before, after runtime.MemStats
	all := make([]*fake, n)
	for i := range all {
		all[i] = inPhase(t, Resolving) // all that is the test's own
		all[i].u.Stop(all[i].now)
	}
	runtime.GC()
	runtime.ReadMemStats(&before)
	for _, f := range all {
		f.u.Update(f.now, Request{URL: phases[Receiving]})
		for f.u.State().Stored == 0 {
			f.step()
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	heap := int64(after.HeapAlloc-before.HeapAlloc) / n
	stack := int64(after.StackInuse-before.StackInuse) / n
	const slotted = 10_000 // in the slot, which is in memory here
	t.Logf("%d bytes of heap, %d of stack; with the flash in memory, of which %d bytes were written", heap, stack, slotted)
	if heap+stack > 64<<10 {
		t.Errorf("%d bytes of heap, %d of stack; want less than 64 KiB", heap, stack)
	}
	runtime.KeepAlive(all)
}

// A host can write the control section itself. One that names no other slot, or the same one twice, must not lead an update over the
// image that runs.
func TestUpdateUnderAControlSectionOfSomebodyElse(t *testing.T) {
	file := build(t, 0x1381, 20_000)
	for _, other := range []uint32{0, 0xffffffff, 0xa000, 0x45001} {
		n := newFake(t, always(ok(file)...))
		c, err := n.f.Control()
		if err != nil {
			t.Fatal(err)
		}
		c.Rollback.Offset = other
		if _, err := n.f.SetControl(c); err != nil {
			t.Fatal(err)
		}
		n.servers["10.0.0.1:80"] = first(answer(send("HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + string(file[:9000])))...)
		if e := n.update(imageURL); e.Status != conn {
			t.Errorf("%#x: %v, %v", other, e.Status, e.Err)
		}
		n.sound(false)
		n.recovers(file)
		if b, err := n.f.Boot(); err != nil || b.Running.Offset != 0xa000 || b.Other.Offset != 0x45000 {
			t.Errorf("%#x: %+v %v", other, b, err)
		}
	}
}

// An update between a switch and the reset goes over the old image, which only runs from memory any more: the new one is the one that
// boots.
func TestUpdateWhileASwitchWaits(t *testing.T) {
	n := newFake(t, always(ok(build(t, 0x1381, 20_000))...))
	if e := n.update(imageURL); e.Status != good {
		t.Fatal(e.Err)
	}
	if e := n.act(func() { n.u.Switch(n.now) }); e.Status != good {
		t.Fatal(e.Err)
	}
	runs := func(what string, want, other uint32) {
		t.Helper()
		if b, err := n.f.Boot(); err != nil || b.Backup != nil || b.Running.Version&0xffff != want || b.Other.Version&0xffff != other {
			t.Errorf("%s: %+v %v", what, b, err)
		}
	}
	n.servers["10.0.0.1:80"] = always(answer(send("HTTP/1.1 404 Not Found\r\n\r\n"))...)
	n.update(imageURL)
	runs("after one that failed", 0x1381, 0)
	if e := n.act(func() { n.u.Switch(n.now) }); e.Status != hif.UpdateNoRollback {
		t.Errorf("nothing to switch back to: %v", e.Status)
	}
	n.servers["10.0.0.1:80"] = always(ok(build(t, 0x1382, 20_000))...)
	n.update(imageURL)
	runs("after a good one", 0x1381, 0x1382)
}
