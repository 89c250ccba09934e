package device

import (
	"bytes"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
	"github.com/understudy-net/understudy/device/flash"
	"github.com/understudy-net/understudy/device/image"
	"github.com/understudy-net/understudy/stack"
)

// fileServer is the peer as an HTTP server for one file, at http://192.168.1.1/.
type fileServer struct {
	b      *bench
	body   []byte
	rate   int    // bytes each 10 ms; 0: as fast as it goes
	status string // of the answer
	asked  []string
	conns  map[*fileConn]bool
	at     time.Time // of the next bytes
}

type fileConn struct {
	c   stack.TCP
	in  []byte
	out []byte
}

// withFile adds the server to a bench that is online.
func (p *peer) withFile(body []byte) *fileServer {
	p.b.t.Helper()
	f := &fileServer{b: p.b, body: body, conns: map[*fileConn]bool{}, status: "200 OK"}
	tag := &listenTag{}
	var err error
	if tag.l, err = p.s.Listen(p.b.now, netip.AddrPortFrom(peerIP, 80), stack.ListenConfig{Tag: tag}); err != nil {
		p.b.t.Fatal(err)
	}
	for i, m := range p.b.machines {
		if h, ok := m.(*stack.Host); ok && h.Stack == p.s {
			p.b.machines[i] = &stack.Host{Stack: p.s, Handle: f.handle}
		}
	}
	p.b.machines = append(p.b.machines, f)
	return f
}

func (f *fileServer) handle(now time.Time, e stack.Event) {
	switch t := e.Tag.(type) {
	case *listenTag:
		for c, err := t.l.Accept(now); err == nil; c, err = t.l.Accept(now) {
			k := &fileConn{c: c}
			f.conns[k], f.at = true, now
			c.SetTag(k)
		}
	case *fileConn:
		f.serve(now, t)
	}
}

func (f *fileServer) serve(now time.Time, k *fileConn) {
	var b [1000]byte
	for n, _ := k.c.Read(now, b[:]); n > 0; n, _ = k.c.Read(now, b[:]) {
		k.in = append(k.in, b[:n]...)
	}
	if k.c.Err() != nil {
		k.c.Abort(now)
		delete(f.conns, k)
		return
	}
	if k.out == nil && bytes.HasSuffix(k.in, []byte("\r\n\r\n")) {
		f.asked = append(f.asked, string(k.in))
		k.out = append(fmt.Appendf(nil, "HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n", f.status, len(f.body)), f.body...)
	}
	if k.out != nil && f.rate == 0 {
		f.push(now, k, len(k.out))
	}
}

// push sends up to n bytes.
func (f *fileServer) push(now time.Time, k *fileConn, n int) {
	n, _ = k.c.Write(now, k.out[:min(n, len(k.out))])
	if k.out = k.out[n:]; len(k.out) == 0 {
		k.c.Close(now)
		delete(f.conns, k)
	}
}

// Advance and Deadline make the server a machine, which paces.
func (f *fileServer) Advance(now time.Time) {
	f.at = now.Add(10 * time.Millisecond)
	for k := range f.conns { // one at a time in these tests
		if len(k.out) > 0 {
			f.push(now, k, f.rate)
		}
	}
}

func (f *fileServer) Deadline() time.Time {
	if f.rate == 0 || len(f.conns) == 0 {
		return time.Time{}
	}
	return f.at
}

const fileURL = "http://192.168.1.1/new.img"

// otaImage is an update to 19.8.1.
func otaImage(t testing.TB, size int) []byte {
	t.Helper()
	b, err := image.Build(image.Spec{Version: 0x1381, Chip: WINC1500().ChipID, Size: size})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// verdict waits for a status of an update.
func (h *host) verdict(want hif.UpdateType, status hif.UpdateResult) {
	h.b.t.Helper()
	if m := await(h, time.Minute, hif.OpUpdateStatus, hif.ParseUpdateStatus); m.Type != want || m.Status != status {
		h.b.t.Fatalf("%+v, want %v, %v\n%s", m, want, status, h.b.dev.Snapshot().Update.Why)
	}
}

// standbyVersion reads what the pointers say of the other image (hif-messages 0.1, 4.3), 0: there is none.
func (h *host) standbyVersion() hif.Version {
	h.b.t.Helper()
	p, err := hif.ParsePointers(h.block(reg.DataMemory|h.read(reg.GP2), hif.PointersLen))
	if err != nil {
		h.b.t.Fatal(err)
	}
	if p.OTARev == 0 {
		return 0
	}
	r, err := hif.ParseRevision(h.block(reg.DataMemory|uint32(p.OTARev), hif.RevisionLen))
	if err != nil {
		h.b.t.Fatal(err)
	}
	return r.Firmware
}

// Both forms of START: with the URL alone, as hosts before 19.7.7 send it, and with the options of TLS.
func TestBothFormsOfStart(t *testing.T) {
	b, p := online(t)
	s := p.withFile(otaImage(t, 20_000))
	send(b.h, hif.OpStartUpdate, hif.URL{URL: fileURL})
	b.h.verdict(hif.UpdateDownload, hif.UpdateOK)
	b.h.deliver(hif.OpStartUpdateV2, true, hif.StartUpdateV2{URL: fileURL, SNI: "x", Flags: hif.TLSCheckSNI}.Append(nil))
	b.h.verdict(hif.UpdateDownload, hif.UpdateOK)
	b.h.quiet(time.Minute, hif.OpUpdateStatus)
	if len(s.asked) != 2 || !strings.HasPrefix(s.asked[0], "GET /new.img HTTP/1.1\r\nHost: 192.168.1.1\r\n") {
		t.Errorf("%q", s.asked)
	}
	if v := b.h.standbyVersion(); v != 0x1381 {
		t.Errorf("%v stands by", v)
	}
}

// What cannot be read is a bad URL: a host that waits for an end gets one.
func TestMalformedStarts(t *testing.T) {
	b, _ := online(t)
	for _, p := range []struct {
		op      hif.Op
		payload []byte
	}{
		{hif.OpStartUpdate, nil}, {hif.OpStartUpdate, []byte{0}}, {hif.OpStartUpdate, bytes.Repeat([]byte("x"), 300)},
		{hif.OpStartUpdateV2, nil}, {hif.OpStartUpdateV2, make([]byte, 327)}, {hif.OpStartUpdateV2, make([]byte, 328)},
		{hif.OpStartUpdateV2, bytes.Repeat([]byte("x"), 328)},
	} {
		b.h.deliver(p.op, p.op == hif.OpStartUpdateV2, p.payload)
		b.h.verdict(hif.UpdateDownload, hif.UpdateInvalidArg)
	}
	for _, op := range []hif.Op{hif.OpDownloadFile} {
		b.h.deliver(op, false, nil)
		if m := await(b.h, 0, hif.OpFileDownloaded, hif.ParseFileStatus); m.Status != hif.UpdateInvalidArg || m.Handler != hif.NoFile {
			t.Errorf("%+v", m)
		}
	}
}

// The abort of a download has two messages, in this order; without a download it fails (hif-messages 4.3).
func TestMessagesOfAnAbort(t *testing.T) {
	b, p := online(t)
	s := p.withFile(otaImage(t, 20_000))
	s.rate = 100
	b.h.deliver(hif.OpAbortUpdate, false, nil)
	b.h.verdict(hif.UpdateAbort, hif.UpdateFailed)
	send(b.h, hif.OpStartUpdate, hif.URL{URL: fileURL})
	b.run(time.Second)
	if u := b.dev.Snapshot().Update; u.Phase != "receiving" || u.Stored < 5000 {
		t.Fatalf("%+v", u)
	}
	b.h.deliver(hif.OpStartUpdate, false, hif.URL{URL: fileURL}.Append(nil))
	b.h.verdict(hif.UpdateDownload, hif.UpdateBusy) // that second one, not the first
	b.h.deliver(hif.OpSwitchFirmware, false, nil)
	b.h.verdict(hif.UpdateSwitch, hif.UpdateInProgress)
	b.h.deliver(hif.OpRollback, false, nil)
	b.h.verdict(hif.UpdateRollback, hif.UpdateInProgress)
	b.h.deliver(hif.OpAbortUpdate, false, nil)
	b.h.verdict(hif.UpdateDownload, hif.UpdateAborted)
	b.h.verdict(hif.UpdateAbort, hif.UpdateOK)
	b.h.quiet(time.Minute, hif.OpUpdateStatus)
	if len(s.conns) != 0 {
		t.Error("the connection is still there")
	}
}

// What older hosts may ask for: notifications, which no firmware has finished, and images of the host's application, for which
// the map has no place.
func TestRequestsOfOldHosts(t *testing.T) {
	b, p := online(t)
	s := p.withFile(otaImage(t, 20_000))
	send(b.h, hif.OpNotifySetURL, hif.URL{URL: fileURL})
	b.h.deliver(hif.OpNotifyCheck, false, nil)
	if m := await(b.h, 0, hif.OpUpdateInfo, hif.ParseUpdateInfo); m.Required || m.Upgrade != 0 || m.Current != 0x1330_1377 {
		t.Errorf("%+v", m)
	}
	send(b.h, hif.OpStartUpdate, hif.URL{URL: fileURL})
	b.h.verdict(hif.UpdateDownload, hif.UpdateOK)
	send(b.h, hif.OpStartCortus, hif.URL{URL: fileURL})
	b.h.verdict(hif.UpdateDownload, hif.UpdateNoFlash)
	b.h.deliver(hif.OpSwitchCortus, false, nil)
	b.h.verdict(hif.UpdateSwitch, hif.UpdateNoRollback)
	b.h.deliver(hif.OpRollbackCortus, false, nil)
	b.h.verdict(hif.UpdateRollback, hif.UpdateNoRollback)
	if len(s.asked) != 1 || b.h.standbyVersion() != 0x1381 {
		t.Error("they have touched the firmware")
	}
}

// An access point has nobody to ask; neither has a station without an address.
func TestUpdateWithoutANetwork(t *testing.T) {
	b := newBench(t)
	b.h.boot()
	send(b.h, hif.OpStartUpdate, hif.URL{URL: fileURL})
	b.h.verdict(hif.UpdateDownload, hif.UpdateConnError)
	b.h.enableAP(hif.APConfig{SSID: "ap", Channel: 1, Security: hif.SecurityOpen, IP: [4]byte{192, 168, 1, 1}, Mask: [4]byte{255, 255, 255, 0}})
	send(b.h, hif.OpStartUpdate, hif.URL{URL: "http://192.168.1.100/x"})
	b.h.verdict(hif.UpdateDownload, hif.UpdateConnError)
}

// The reset of the chip ends a download without a word and leaves nothing behind: no connection, no goroutine, no image.
func TestResetInADownload(t *testing.T) {
	b, p := online(t)
	s := p.withFile(otaImage(t, 100_000))
	s.rate = 1000
	before := runtime.NumGoroutine()
	for range 20 {
		send(b.h, hif.OpStartUpdate, hif.URL{URL: fileURL})
		b.run(200 * time.Millisecond)
		if u := b.dev.Snapshot().Update; u.Phase != "receiving" {
			t.Fatalf("%+v", u)
		}
		b.reboot()
		b.h.static()
		b.h.join("")
	}
	if n := runtime.NumGoroutine(); n > before+5 {
		t.Errorf("%d goroutines, %d before", n, before)
	}
	if u := b.dev.Snapshot().Update; u.Job != "none" || u.Jobs != 0 || b.h.standbyVersion() != 0 {
		t.Errorf("%+v", u)
	}
	s.rate = 0
	send(b.h, hif.OpStartUpdate, hif.URL{URL: fileURL})
	b.h.verdict(hif.UpdateDownload, hif.UpdateOK)
}

// A host that does not fetch its messages has one message of the progress waiting, and it tells the newest.
func TestProgressDoesNotFlood(t *testing.T) {
	b, p := online(t)
	s := p.withFile(otaImage(t, 100_000))
	s.rate = 1000
	send(b.h, hif.OpUnderstudy, hif.None{})
	await(b.h, 0, hif.OpUnderstudy, hif.ParseLimits)
	send(b.h, hif.OpStartUpdate, hif.URL{URL: fileURL})
	b.h.hold = true
	b.run(900 * time.Millisecond)
	if q := b.dev.Snapshot().Mailbox; !q.Open || q.Op != hif.OpProgress || q.Queued > 1 {
		t.Fatalf("%+v", q)
	}
	b.h.hold = false
	first := await(b.h, 0, hif.OpProgress, hif.ParseProgress)
	if second := await(b.h, 0, hif.OpProgress, hif.ParseProgress); first.Stored > 10_000 || second.Stored < 60_000 || second.Expected != 100_000 {
		t.Errorf("%+v, then %+v", first, second)
	}
	b.h.verdict(hif.UpdateDownload, hif.UpdateOK)
	var last hif.Progress
	for m, ok := b.h.take(hif.OpProgress); ok; m, ok = b.h.take(hif.OpProgress) {
		last, _ = hif.ParseProgress(m)
	}
	if last.Stored != 100_000 {
		t.Errorf("the last: %+v", last)
	}
}

// Hosts that do not know the extension never see it.
func TestNoProgressUnasked(t *testing.T) {
	b, p := online(t)
	p.withFile(otaImage(t, 100_000)).rate = 1000
	send(b.h, hif.OpStartUpdate, hif.URL{URL: fileURL})
	b.h.verdict(hif.UpdateDownload, hif.UpdateOK)
	b.h.quiet(time.Second, hif.OpProgress)
}

func (h *host) fileStatus(op, answer hif.Op) hif.FileStatus {
	h.b.t.Helper()
	if op != 0 {
		h.deliver(op, false, nil)
	}
	return await(h, time.Minute, answer, hif.ParseFileStatus)
}

// The host file as hosts of 19.6.1 and later use it: status at start-up, download, reads of 128 bytes, erase.
func TestHostFile(t *testing.T) {
	b, p := online(t)
	body := make([]byte, 1000)
	for i := range body {
		body[i] = byte(i)
	}
	s := p.withFile(body)
	if m := b.h.fileStatus(hif.OpGetFileStatus, hif.OpFileStatus); m.Status != hif.UpdateFailed || m.Handler != hif.NoFile || m.Size != 0 {
		t.Errorf("none: %+v", m)
	}
	send(b.h, hif.OpReadFile, hif.ReadFile{Size: 128})
	if m := await(b.h, 0, hif.OpFileData, hif.ParseFileData); m.Status != hif.UpdateFailed || len(m.Data) != 0 {
		t.Errorf("read of none: %+v", m)
	}
	send(b.h, hif.OpDownloadFile, hif.URL{URL: fileURL})
	if m := b.h.fileStatus(0, hif.OpFileDownloaded); m != (hif.FileStatus{Size: 1000, Handler: 0}) {
		t.Fatalf("downloaded: %+v", m)
	}
	b.h.quiet(time.Second, hif.OpUpdateStatus)
	b.reboot() // it stays
	b.h.static()
	b.h.join("")
	if m := b.h.fileStatus(hif.OpGetFileStatus, hif.OpFileStatus); m != (hif.FileStatus{Size: 1000, Handler: 0}) {
		t.Fatalf("after a reset: %+v", m)
	}
	if f := b.dev.Snapshot().Update.File; f == nil || f.Size != 1000 {
		t.Errorf("the view: %+v", f)
	}
	var got []byte
	for len(got) < 1000 {
		send(b.h, hif.OpReadFile, hif.ReadFile{Offset: uint32(len(got)), Size: uint32(1000 - len(got))})
		m := await(b.h, 0, hif.OpFileData, hif.ParseFileData)
		if m.Status != hif.UpdateOK || len(m.Data) == 0 {
			t.Fatalf("at %d: %+v", len(got), m)
		}
		got = append(got, m.Data...)
	}
	if !bytes.Equal(got, body) {
		t.Error("the file differs")
	}
	for _, r := range []hif.ReadFile{{Offset: 1001, Size: 1}, {Offset: 1 << 31, Size: 1 << 31}, {Offset: 1<<32 - 1, Size: 1<<32 - 1}} {
		send(b.h, hif.OpReadFile, r)
		if m := await(b.h, 0, hif.OpFileData, hif.ParseFileData); m.Status != hif.UpdateInvalidArg || len(m.Data) != 0 {
			t.Errorf("%+v: %+v", r, m)
		}
	}

	// While it is downloaded again there is none, and firmware has to wait; and the other way round.
	s.rate = 10
	send(b.h, hif.OpDownloadFile, hif.URL{URL: fileURL})
	b.run(100 * time.Millisecond)
	send(b.h, hif.OpStartUpdate, hif.URL{URL: fileURL})
	b.h.verdict(hif.UpdateDownload, hif.UpdateBusy)
	if m := b.h.fileStatus(hif.OpGetFileStatus, hif.OpFileStatus); m.Status != hif.UpdateInProgress || m.Handler != hif.NoFile {
		t.Errorf("meanwhile: %+v", m)
	}
	b.h.deliver(hif.OpAbortUpdate, false, nil)
	if m := b.h.fileStatus(0, hif.OpFileDownloaded); m.Status != hif.UpdateAborted || m.Handler != hif.NoFile {
		t.Errorf("aborted: %+v", m)
	}
	b.h.verdict(hif.UpdateAbort, hif.UpdateOK)
	s.body = otaImage(t, 20_000)
	send(b.h, hif.OpStartUpdate, hif.URL{URL: fileURL})
	b.run(100 * time.Millisecond)
	send(b.h, hif.OpDownloadFile, hif.URL{URL: fileURL})
	if m := b.h.fileStatus(0, hif.OpFileDownloaded); m.Status != hif.UpdateInProgress {
		t.Errorf("during an update: %+v", m)
	}
	b.h.deliver(hif.OpEraseFile, false, nil)
	if m := await(b.h, 0, hif.OpFileErased, hif.ParseFileErased); m.Status != hif.UpdateInProgress {
		t.Errorf("erase during an update: %+v", m)
	}
	b.h.deliver(hif.OpAbortUpdate, false, nil)
	b.h.verdict(hif.UpdateDownload, hif.UpdateAborted)
	b.h.verdict(hif.UpdateAbort, hif.UpdateOK)

	s.rate = 0
	send(b.h, hif.OpDownloadFile, hif.URL{URL: fileURL})
	if m := b.h.fileStatus(0, hif.OpFileDownloaded); m.Handler != 1 {
		t.Errorf("the second: %+v", m)
	}
	b.h.deliver(hif.OpEraseFile, false, nil)
	if m := await(b.h, 0, hif.OpFileErased, hif.ParseFileErased); m.Status != hif.UpdateOK {
		t.Errorf("erase: %+v", m)
	}
	if m := b.h.fileStatus(hif.OpGetFileStatus, hif.OpFileStatus); m.Handler != hif.NoFile {
		t.Errorf("erased: %+v", m)
	}
}

// A flash of 4 Mbit has no place for a host file, one of 2 Mbit none for updates.
func TestUpdatesOnSmallFlashes(t *testing.T) {
	b, p := online(t, func(c *Config) { c.Profile = WINC1500(); c.Profile.FlashSize = flash.Size4M })
	p.withFile(otaImage(t, 20_000))
	send(b.h, hif.OpStartUpdate, hif.URL{URL: fileURL})
	b.h.verdict(hif.UpdateDownload, hif.UpdateOK)
	send(b.h, hif.OpDownloadFile, hif.URL{URL: fileURL})
	if m := b.h.fileStatus(0, hif.OpFileDownloaded); m.Status != hif.UpdateNoFlash {
		t.Errorf("%+v", m)
	}
	b, p = online(t, func(c *Config) { c.Profile = WINC1500(); c.Profile.FlashSize = flash.Size2M })
	p.withFile(otaImage(t, 20_000))
	send(b.h, hif.OpStartUpdate, hif.URL{URL: fileURL})
	b.h.verdict(hif.UpdateDownload, hif.UpdateNoFlash)
	b.h.deliver(hif.OpSwitchFirmware, false, nil)
	b.h.verdict(hif.UpdateSwitch, hif.UpdateNoRollback)
}

// The view says what an update waits for.
func TestStuckUpdates(t *testing.T) {
	b, p := online(t)
	s := p.withFile(otaImage(t, 20_000))
	says := func(want string) {
		t.Helper()
		lines := b.dev.Snapshot().Stuck
		for _, l := range lines {
			if strings.Contains(l, want) {
				return
			}
		}
		t.Errorf("%q says nothing of %q", lines, want)
	}
	send(b.h, hif.OpStartUpdate, hif.URL{URL: "http://192.168.1.77/x"})
	says("waits for a connection to the server of http://192.168.1.77/x")
	b.h.verdict(hif.UpdateDownload, hif.UpdateConnError)
	s.rate = 1
	send(b.h, hif.OpStartUpdate, hif.URL{URL: fileURL})
	b.run(5 * time.Second)
	says("waits for more from 192.168.1.1:80")
	if u := b.dev.Snapshot().Update; u.Server.String() != "192.168.1.1:80" || u.URL != fileURL || u.Expected != 20_000 || u.Jobs != 1 || u.Last != "connection error" {
		t.Errorf("%+v", u)
	}
}
