package ota

import (
	"fmt"
	"testing"

	"github.com/understudy-net/understudy/device/flash"
)

// In the middle of a download a frame costs no allocation: neither in the parser, nor in the checks, nor in the flash.
func TestAFrameCostsNoAllocation(t *testing.T) {
	file := build(t, 0x1381, 200_000)
	for name, head := range map[string]string{
		"length": fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(file)),
		"chunks": fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n", len(file)),
	} {
		n := newFake(t, always(send(head), hang()))
		mem := make(flash.Memory, flash.Size8M) // the memory of a Flash takes sectors as they are written
		n.f.ReadAt(mem, 0)
		f, err := flash.Open(mem, flash.Size8M)
		if err != nil {
			t.Fatal(err)
		}
		n.u.c.Flash = f
		n.u.Update(n.now, Request{URL: imageURL})
		for n.u.State().Phase != Receiving {
			n.step()
		}
		s, at := n.conn, 0
		frame := func() {
			s.in, at = file[at:at+1460], at+1460
			n.u.Ready(n.now)
		}
		for range 10 {
			frame()
		}
		if a := testing.AllocsPerRun(100, frame); a != 0 {
			t.Errorf("%s: %v allocations a frame", name, a)
		}
		if stored := n.u.State().Stored; stored <= int64(at-bodyBuffer) { // chunks come by whole buffers
			t.Errorf("%s: %d of %d bytes were taken", name, stored, at)
		}
	}
}
