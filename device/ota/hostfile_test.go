package ota

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/device/flash"
)

// download runs one to its end.
func (n *fake) download(url string) Event {
	n.t.Helper()
	n.u.Download(n.now, Request{URL: url})
	n.collect()
	return n.end()
}

// reads wants the host file to be this.
func (n *fake) reads(want []byte) {
	n.t.Helper()
	f, err := n.u.File()
	if err != nil || int(f.Size) != len(want) {
		n.t.Fatalf("%+v, %v, want %d bytes", f, err, len(want))
	}
	var got []byte
	for {
		var b [100]byte
		k, err := n.u.ReadFile(uint32(len(got)), b[:])
		if err != nil {
			n.t.Fatal(err)
		}
		if got = append(got, b[:k]...); k < len(b) {
			break
		}
	}
	if !bytes.Equal(got, want) {
		n.t.Fatalf("%d bytes, which differ from what was sent", len(got))
	}
}

func (n *fake) noFile() {
	n.t.Helper()
	if f, err := n.u.File(); Result(err) != hif.UpdateFailed {
		n.t.Fatalf("there is a file: %+v, %v", f, err)
	}
	if _, err := n.u.ReadFile(0, make([]byte, 1)); Result(err) != hif.UpdateFailed {
		n.t.Fatalf("which can be read: %v", err)
	}
}

func text(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i>>8) ^ byte(i)
	}
	return b
}

func TestHostFile(t *testing.T) {
	body := text(10_000)
	n := newFake(t, func(int, string) []step { return ok(body) })
	n.noFile()
	for i, size := range []int{10_000, 1, 128, 4096, 4097, flash.SlotSize, 508 << 10, 0, 77} {
		body = text(size)
		e := n.download(imageURL)
		if e.Type != hif.UpdateFile || e.Status != hif.UpdateOK || e.File != (File{ID: uint8(i), Size: uint32(size)}) {
			t.Fatalf("%d bytes: %+v", size, e)
		}
		n.reads(body)
	}
	n.u = New(Config{Flash: n.f, Net: n}) // a reset
	n.reads(body)
	if k, err := n.u.ReadFile(77, make([]byte, 10)); k != 0 || err != nil {
		t.Errorf("at the end: %d, %v", k, err)
	}
	if _, err := n.u.ReadFile(78, make([]byte, 10)); Result(err) != hif.UpdateInvalidArg {
		t.Errorf("beyond it: %v", err)
	}
	for range 2 { // nothing to erase is fine
		if err := n.u.EraseFile(n.now); err != nil {
			t.Fatal(err)
		}
		n.noFile()
	}
	body = text(5)
	if e := n.download(imageURL); e.File.ID != 9 {
		t.Errorf("an id came again: %+v", e)
	}
	if c, err := n.f.Control(); err != nil || c.Sequence != 1 {
		t.Errorf("the firmware was touched: %+v %v", c, err)
	}
}

// More files than the directory has records, and ids that wrap around the one that says no file.
func TestManyHostFiles(t *testing.T) {
	body := text(3)
	n := newFake(t, func(int, string) []step { return ok(body) })
	for i := range 600 {
		body[0] = byte(i)
		e := n.download(imageURL)
		if e.Status != hif.UpdateOK || int(e.File.ID) != i%hif.NoFile {
			t.Fatalf("file %d: %+v", i, e)
		}
		n.reads(body)
	}
}

func TestHostFileThatFails(t *testing.T) {
	body := text(10_000)
	n := newFake(t, func(int, string) []step { return ok(body) })
	n.download(imageURL)
	for _, tc := range []struct {
		name string
		s    server
		want hif.UpdateResult
	}{
		{"404", always(answer(send("HTTP/1.1 404 Not Found\r\n\r\n"))...), serv},
		{"too large", always(answer(send("HTTP/1.1 200 OK\r\nContent-Length: 520193\r\n\r\n"))...), large},
		{"too large, in chunks", always(append(append([]step{send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7f001\r\n")}, frames(text(508<<10+1))...), hang())...), large},
		{"cut", first(send("HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n"), sendBytes(body[:9999]), fin()), conn},
	} {
		n.servers["10.0.0.1:80"] = tc.s
		if e := n.download(imageURL); e.Type != hif.UpdateFile || e.Status != tc.want || e.File != (File{}) {
			t.Errorf("%s: %+v", tc.name, e)
		}
		n.noFile()
	}
	if e := n.download("x:y"); e.Status != badURL {
		t.Errorf("%+v", e)
	}
	n.servers["10.0.0.1:80"] = always(ok(body)...)
	if e := n.download(imageURL); e.Status != good || e.File.ID != 1 {
		t.Errorf("%+v", e)
	}
}

func TestHostFileGoesOnAfterALoss(t *testing.T) {
	body := text(100_000)
	n := newFake(t, ranged(body, etag, func(n int) int { return []int{33_333, 5000, 0}[n] }))
	if e := n.download(imageURL); e.Status != good {
		t.Fatal(e.Err)
	}
	n.reads(body)
}

func TestHostFileNeedsALargeFlash(t *testing.T) {
	n := newFake(t, nil)
	f, err := flash.Format{Size: flash.Size4M}.Base()
	if err != nil {
		t.Fatal(err)
	}
	n.u = New(Config{Flash: f.New(), Net: n})
	if e := n.download(imageURL); e.Status != large {
		t.Errorf("%+v", e)
	}
	if _, err := n.u.File(); Result(err) != large {
		t.Error(err)
	}
	if err := n.u.EraseFile(n.now); Result(err) != large {
		t.Error(err)
	}
}

// A cut of power at every write of a download leaves the new file, or none; never the old one in parts, and never one that
// cannot be replaced.
func TestPowerCutsOfHostFiles(t *testing.T) {
	old, body := text(9000), bytes.Repeat([]byte("new"), 3000)
	for writes, done := 0, false; !done; writes++ {
		for _, torn := range []int{0, 1, 200} {
			mem := make(flash.Memory, flash.Size8M)
			base, err := flash.Format{}.Base()
			if err != nil {
				t.Fatal(err)
			}
			base.New().ReadAt(mem, 0)
			cut := &flash.PowerCut{Storage: mem, Writes: -1}
			n := newFake(t, func(int, string) []step { return ok(old) })
			open := func() {
				cut = &flash.PowerCut{Storage: mem, Writes: -1}
				if n.f, err = flash.Open(cut, flash.Size8M); err != nil {
					t.Fatal(err)
				}
				n.u = New(Config{Flash: n.f, Net: n})
			}
			open()
			if e := n.download(imageURL); e.Status != good {
				t.Fatal(e.Err)
			}
			n.servers["10.0.0.1:80"] = always(ok(body)...)
			cut.Writes, cut.Done, cut.Torn = writes, 0, torn
			e := n.download(imageURL)
			open() // power is back
			f, err := n.u.File()
			switch {
			case e.Status == good:
				n.reads(body)
				done = true
			case err == nil && f.Size == 9000 && writes == 0: // the old file, before anything happened to it
				n.reads(old)
			case err == nil:
				n.reads(body)
			}
			if e := n.download(imageURL); e.Status != good {
				t.Fatalf("after a cut at write %d: %v", writes, e.Err)
			}
			n.reads(body)
		}
		if writes > 200 {
			t.Fatal("no end")
		}
	}
}

func TestBrokenDirectories(t *testing.T) {
	whole := record{File{3, 100}, 1}.append(nil)
	if r, live, ok := parseRecord(whole); !ok || !live || r != (record{File{3, 100}, 1}) {
		t.Fatalf("%+v %v %v", r, live, ok)
	}
	if want := "484603ff6400000001000000"; fmt.Sprintf("%x", whole[:12]) != want {
		t.Errorf("% x", whole)
	}
	for at := range whole {
		b := bytes.Clone(whole)
		b[at] ^= 0x10
		if _, live, ok := parseRecord(b); ok && (live || at != recordGone) {
			t.Errorf("byte %d changed, and it is good", at)
		}
	}
	for _, b := range [][]byte{
		bytes.Repeat([]byte{0}, flash.SectorSize),
		bytes.Repeat(whole, maxRecords),
		append(bytes.Repeat([]byte{0xff}, 4000), 1, 2, 3),
		record{File{hif.NoFile, 1}, 0}.append(nil),
		record{File{0, 1 << 30}, 0}.append(nil), // larger than the region
	} {
		n := newFake(t, func(int, string) []step { return ok([]byte("x")) })
		p, _ := n.f.Region(flash.HostFile)
		p.WriteAt(b, 0)
		n.u.File()
		n.u.ReadFile(1<<31, make([]byte, 128))
		if e := n.download(imageURL); e.Status != good {
			t.Errorf("% x…: %v", b[:8], e.Err)
		}
		n.reads([]byte("x"))
	}
}
