package driver_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/driver"
)

const fileURL = "http://files.example/menu.bin"

// stored is what the device says of a file.
func stored(id uint8, size int) hif.FileStatus {
	return hif.FileStatus{Size: uint32(size), Handler: id}
}

// download makes a file of size bytes.
func (b *bench) download(id uint8, size int) (f driver.HostFile) {
	b.t.Helper()
	verdict := driver.OTAStatus(99)
	check(b.t, b.c.DownloadFile(fileURL, func(g driver.HostFile, s driver.OTAStatus) { f, verdict = g, s }))
	if m := want(b.chip, hif.OpDownloadFile, hif.ParseURL); m.URL != fileURL {
		b.t.Error(m.URL)
	}
	b.tell(hif.OpFileDownloaded, stored(id, size))
	if verdict != driver.OTAComplete || f.Size() != int64(size) || f.ID() != int(id) {
		b.t.Fatal(verdict, f.Size(), f.ID())
	}
	return f
}

// serveBlock answers one read of a device that has this file.
func (b *bench) serveBlock(file []byte) hif.ReadFile {
	b.t.Helper()
	m := want(b.chip, hif.OpReadFile, hif.ParseReadFile)
	if m.Size == 0 || m.Size > hif.MaxFileBlock || int(m.Offset) > len(file) {
		b.t.Fatalf("%+v of %d bytes", m, len(file))
	}
	part := file[m.Offset:]
	b.tell(hif.OpFileData, hif.FileData{Data: part[:min(len(part), int(m.Size))]})
	return m
}

func TestHostFileIsReadInBlocks(t *testing.T) {
	b := newBench(t)
	b.online()
	file := bytes.Repeat([]byte("0123456789"), 30)
	f := b.download(7, len(file))
	for _, tc := range []struct {
		off, n int
		blocks int
		got    int
	}{{0, 300, 3, 300}, {10, 128, 1, 128}, {10, 129, 2, 129}, {299, 1, 1, 1}, {290, 500, 1, 10}, {0, 1000, 3, 300}} {
		p := bytes.Repeat([]byte{'-'}, tc.n)
		got := -1
		check(t, f.Read(p, int64(tc.off), func(n int, s driver.OTAStatus) {
			check(t, s.Err())
			got = n
		}))
		for i := range tc.blocks {
			if got >= 0 {
				t.Errorf("%+v: told after %d blocks", tc, i)
			}
			b.serveBlock(file)
		}
		if got != tc.got || !bytes.Equal(p[:got], file[tc.off:][:got]) || bytes.ContainsFunc(p[got:], func(r rune) bool { return r != '-' }) {
			t.Errorf("%+v: %d bytes, %q", tc, got, p)
		}
		if ops := b.ops(); len(ops) != 0 {
			t.Errorf("%+v: asked for more: %v", tc, ops)
		}
	}
}

// The callback of a read may ask for the next piece: the document's
// HostFileUpdateReadBuffer.
func TestHostFileReadsOnFromTheCallback(t *testing.T) {
	b := newBench(t)
	b.online()
	file := []byte(strings.Repeat("abcdefg", 20))
	f := b.download(0, len(file))
	var all []byte
	p := make([]byte, 50)
	var on func(n int, s driver.OTAStatus)
	on = func(n int, s driver.OTAStatus) {
		if all = append(all, p[:n]...); int64(len(all)) < f.Size() {
			check(t, f.Read(p, int64(len(all)), on))
		}
	}
	check(t, f.Read(p, 0, on))
	for range 3 {
		b.serveBlock(file)
	}
	if !bytes.Equal(all, file) {
		t.Errorf("%q", all)
	}
}

func TestHostFileDownloadRefused(t *testing.T) {
	b := newBench(t)
	never := func(driver.HostFile, driver.OTAStatus) { t.Error("told") }
	wantErr(t, "without a link", b.c.DownloadFile(fileURL, never), driver.ErrRequest)
	b.online()
	for url, is := range map[string]error{
		"": driver.ErrInvalid, strings.Repeat("x", hif.MaxURL+1): driver.ErrRequest, "http://h/\x00": driver.ErrRequest,
	} {
		wantErr(t, fmt.Sprintf("%q", url), b.c.DownloadFile(url, never), is)
	}
	wantErr(t, "nobody who hears", b.c.DownloadFile(fileURL, nil), driver.ErrInvalid)
	b.take()
	b.refuse = func(hif.Request) bool { return true }
	wantErr(t, "no buffer", b.c.DownloadFile(fileURL, never), driver.ErrBus)
	wantErr(t, "no buffer", b.c.EraseFile(nil), driver.ErrBus)
	_, err := b.c.FindFile(driver.AnyFile)
	wantErr(t, "no buffer", err, driver.ErrBus)
	b.refuse = nil
	b.tell(hif.OpFileDownloaded, stored(1, 9)) // of no request
	if n := b.d.Stats().Stale; n != 1 {
		t.Error("stale", n)
	}
}

// The verdicts of downloads; after one that failed it is asked anew what there is.
func TestHostFileDownloadVerdicts(t *testing.T) {
	b := newBench(t)
	b.online()
	for s := range driver.OTAStatus(13) {
		old := b.download(3, 100)
		got := driver.OTAStatus(99)
		check(t, b.c.DownloadFile(fileURL, func(f driver.HostFile, s driver.OTAStatus) {
			if got = s; f != (driver.HostFile{}) {
				t.Error("a file with", s)
			}
		}))
		wantErr(t, "a second one", b.c.DownloadFile(fileURL, func(driver.HostFile, driver.OTAStatus) {}), driver.ErrBusy)
		wantErr(t, "erase", b.c.EraseFile(nil), driver.ErrBusy)
		_, err := b.c.FindFile(driver.AnyFile)
		wantErr(t, "find", err, driver.ErrBusy)
		wantErr(t, "read", old.Read(make([]byte, 1), 0, func(int, driver.OTAStatus) {}), driver.ErrRequest)
		b.take()
		b.tell(hif.OpFileDownloaded, hif.FileStatus{Status: hif.UpdateResult(s), Handler: hif.NoFile})
		is := s
		if s == driver.OTAComplete {
			is = driver.OTAFail // and no file
		}
		if got != is {
			t.Error(s, got)
		}
		_, err = b.c.FindFile(driver.AnyFile)
		if s == driver.OTAComplete {
			wantErr(t, "find", err, driver.ErrRequest)
			continue
		}
		wantErr(t, "find", err, driver.ErrRetry)
		b.want0(hif.OpGetFileStatus)
		b.tell(hif.OpFileStatus, stored(3, 100)) // it was busy, and has it yet
		f, err := b.c.FindFile(3)
		check(t, err)
		if f.Size() != 100 {
			t.Error(f.Size())
		}
	}
}

func TestHostFileFind(t *testing.T) {
	b := newBench(t)
	var told int
	b.d.Hook(func(n driver.Notice) {
		if n.Kind == driver.NoticeFile {
			told++
		}
	})
	for _, id := range []int{driver.AnyFile - 1, hif.NoFile, 1 << 20} {
		_, err := b.c.FindFile(id)
		wantErr(t, fmt.Sprint(id), err, driver.ErrInvalid)
	}
	for range 3 {
		_, err := b.c.FindFile(driver.AnyFile)
		wantErr(t, "not known", err, driver.ErrRetry)
	}
	b.want0(hif.OpGetFileStatus) // once
	b.tell(hif.OpFileStatus, hif.FileStatus{Status: hif.UpdateInProgress, Handler: hif.NoFile})
	_, err := b.c.FindFile(driver.AnyFile)
	wantErr(t, "it did not say", err, driver.ErrRetry)
	b.want0(hif.OpGetFileStatus)
	b.tell(hif.OpFileStatus, stored(5, 70))
	for _, id := range []int{driver.AnyFile, 5} {
		f, err := b.c.FindFile(id)
		check(t, err)
		if f.ID() != 5 || f.Size() != 70 {
			t.Error(f)
		}
	}
	_, err = b.c.FindFile(4)
	wantErr(t, "another", err, driver.ErrRequest)
	if told != 2 || len(b.take()) != 0 {
		t.Error(told)
	}
	b.tell(hif.OpFileStatus, stored(6, 60)) // of no question
	if _, err := b.c.FindFile(5); err != nil || b.d.Stats().Stale != 1 {
		t.Error(err, b.d.Stats())
	}
}

func TestHostFileErase(t *testing.T) {
	b := newBench(t)
	b.online()
	f := b.download(1, 10)
	var got []driver.OTAStatus
	erase := func() {
		t.Helper()
		check(t, b.c.EraseFile(func(s driver.OTAStatus) { got = append(got, s) }))
		b.want0(hif.OpEraseFile)
	}
	erase()
	b.tell(hif.OpFileErased, hif.FileErased{Status: hif.UpdateInProgress})
	_, err := b.c.FindFile(1)
	check(t, err) // it is still there
	erase()
	b.tell(hif.OpFileErased, hif.FileErased{})
	b.tell(hif.OpFileErased, hif.FileErased{})
	if !slices.Equal(got, []driver.OTAStatus{driver.OTABusy, driver.OTAComplete}) {
		t.Error(got)
	}
	_, err = b.c.FindFile(1)
	wantErr(t, "erased", err, driver.ErrRequest)
	wantErr(t, "erased", f.Read(make([]byte, 1), 0, func(int, driver.OTAStatus) {}), driver.ErrRequest)
	check(t, b.c.EraseFile(nil)) // CC: nobody is interested
	b.tell(hif.OpFileErased, hif.FileErased{})
}

func TestHostFileReadFails(t *testing.T) {
	b := newBench(t)
	b.online()
	f := b.download(1, 300)
	never := func(int, driver.OTAStatus) { t.Error("told") }
	for _, tc := range []struct {
		n   int
		off int64
	}{{0, 0}, {1, -1}, {1, 300}, {1, 1 << 40}} {
		wantErr(t, fmt.Sprint(tc), f.Read(make([]byte, tc.n), tc.off, never), driver.ErrInvalid)
	}
	wantErr(t, "no callback", f.Read(make([]byte, 1), 0, nil), driver.ErrInvalid)
	var none driver.HostFile
	wantErr(t, "no file", none.Read(make([]byte, 1), 0, never), driver.ErrInvalid)
	if none.ID() != driver.AnyFile || none.Size() != 0 {
		t.Error(none)
	}

	type end struct {
		n int
		s driver.OTAStatus
	}
	for what, tc := range map[string]struct {
		second func()
		is     end
	}{
		"an error": {func() { b.tell(hif.OpFileData, hif.FileData{Status: hif.UpdateInProgress}) }, end{128, driver.OTABusy}},
		"no data":  {func() { b.tell(hif.OpFileData, hif.FileData{}) }, end{128, driver.OTAComplete}},
	} {
		var got []end
		check(t, f.Read(make([]byte, 300), 0, func(n int, s driver.OTAStatus) { got = append(got, end{n, s}) }))
		b.tell(hif.OpFileData, hif.FileData{Data: make([]byte, 128)})
		tc.second()
		if !slices.Equal(got, []end{tc.is}) {
			t.Error(what, got)
		}
	}
}

// What an earlier client has asked for is not taken for what the next one wants.
func TestHostFileAnswersToAnEarlierClient(t *testing.T) {
	b := newBench(t)
	b.online()
	f := b.download(1, 4)
	check(t, f.Read(make([]byte, 4), 0, func(int, driver.OTAStatus) { t.Error("told") }))
	b.take()
	b.onReq = func(r request) {
		if r.op == hif.OpDisconnect {
			b.post(hif.OpStateChanged, hif.StateChanged{})
		}
	}
	check(t, b.c.Close())
	b.onReq = nil
	b.tasks()
	wantErr(t, "of the closed client", f.Read(make([]byte, 1), 0, func(int, driver.OTAStatus) {}), driver.ErrNotOpen)
	var err error
	b.c, err = b.d.Open()
	check(t, err)
	b.take()
	_, err = b.c.FindFile(driver.AnyFile)
	wantErr(t, "find", err, driver.ErrRetry)
	b.tell(hif.OpFileStatus, stored(1, 4))
	g, err := b.c.FindFile(1)
	check(t, err)
	p, got := make([]byte, 4), 0
	check(t, g.Read(p, 0, func(n int, _ driver.OTAStatus) { got = n }))
	b.tell(hif.OpFileData, hif.FileData{Data: []byte("old!")})
	if got != 0 {
		t.Error("took the old answer")
	}
	b.tell(hif.OpFileData, hif.FileData{Data: []byte("new!")})
	if got != 4 || string(p) != "new!" {
		t.Errorf("%d %q", got, p)
	}
}

// A device that is lost ends what it did.
func TestHostFileOfALostDevice(t *testing.T) {
	b := newBench(t)
	b.online()
	got := driver.OTAStatus(99)
	check(t, b.c.DownloadFile(fileURL, func(_ driver.HostFile, s driver.OTAStatus) { got = s }))
	b.fault = func() error { return errCable }
	_ = b.d.Tasks()
	if got != driver.OTAFail {
		t.Error(got)
	}
	b.fault = nil
	check(t, b.d.Restart())
	c, err := b.d.Open()
	check(t, err)
	_, err = c.FindFile(driver.AnyFile)
	wantErr(t, "after the restart", err, driver.ErrRetry)
}
