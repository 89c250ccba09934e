package ota

import (
	"testing"
	"time"

	"github.com/understudy-net/understudy/device/flash"
)

// Whatever a server says, an update ends, once, within its time, and the running image is as it was.
func FuzzAnswer(f *testing.F) {
	file := build(f, 0x1381, 3000)
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n"+string(file)), uint16(100), byte(0))
	f.Add([]byte("HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n"), uint16(1), byte(1))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nbb8\r\n"+string(file)+"\r\n0\r\n\r\n"), uint16(7), byte(2))
	f.Add([]byte("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 10-2999/3000\r\n\r\n"), uint16(1000), byte(3))
	f.Add([]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), uint16(3), byte(1))
	f.Fuzz(func(t *testing.T, data []byte, piece uint16, end byte) {
		n := newFake(t, func(n int, _ string) []step {
			var s []step
			rest := data
			if n > 0 && end&4 != 0 { // later answers are others
				rest = rest[len(rest)/2:]
			}
			for len(rest) > 0 {
				k := min(len(rest), int(piece)+1)
				s, rest = append(s, sendBytes(rest[:k])), rest[k:]
			}
			return append(s, []step{fin(), reset(), hang(), wait(time.Second)}[end&3])
		})
		e := n.update(imageURL)
		if took := n.now.Sub(epoch); took > 16*time.Minute {
			t.Errorf("%v", took)
		}
		b, err := n.f.Boot()
		if err != nil || b.Running.Offset != 0xa000 || (e.Err == nil) != (b.Control.Rollback.Mark == flash.Valid) {
			t.Errorf("%v: %+v, %v", e.Err, b, err)
		}
	})
}

// Whatever a flash holds, looking for a host file does no harm.
func FuzzDirectory(f *testing.F) {
	f.Add(record{File{3, 100}, 1}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := newFake(t, nil)
		p, err := n.f.Region(flash.HostFile)
		if err != nil {
			t.Fatal(err)
		}
		p.WriteAt(b[:min(len(b), flash.SectorSize)], 0)
		if file, err := n.u.File(); err == nil {
			if _, err := n.u.ReadFile(file.Size, make([]byte, 1)); err != nil {
				t.Error(err)
			}
		}
		if err := n.u.EraseFile(n.now); err != nil {
			t.Error(err)
		}
		if _, err := n.u.File(); err == nil {
			t.Error("erased, and still there")
		}
	})
}
