package device

import (
	"encoding/binary"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
)

var le = binary.LittleEndian

// Where things lie in the chip's memory. Hosts learn all of it from registers. Spec host-bus 3.8, 4.5.
const (
	gpOffset  = 0x0c08 // all five: offsets in the data memory
	revOffset = 0x0c40
	otaOffset = 0x0c80
	macOffset = 0x0cc0
	otpOffset = 0x0cc8

	inBase    = reg.SharedMemory + reg.StagingLen // buffers of requests, one every bufferStride
	outBase   = 0x130000                          // buffers of messages, likewise
	bufferGap = 0x1400

	pageSize = 4096
)

// memory is what block transfers reach besides the HIF buffers: the data memory of the firmware and the staging buffer
// of the flash controller. Pages appear when something is written to them.
type memory struct {
	data    [(reg.DataMemoryEnd - reg.DataMemory) / pageSize]*page
	staging [reg.StagingLen / pageSize]*page
}

type page [pageSize]byte

func (m *memory) reset() { *m = memory{} }

// has reports whether a lies in memory, HIF buffers included.
func (m *memory) has(a uint32) bool {
	return a >= reg.DataMemory && a < reg.DataMemoryEnd || a >= reg.SharedMemory && a < outBase+outBuffers*bufferGap
}

// page returns the place of the page at a, nil if there is no such memory.
func (m *memory) page(a uint32) **page {
	switch {
	case a >= reg.DataMemory && a < reg.DataMemoryEnd:
		return &m.data[(a-reg.DataMemory)/pageSize]
	case a >= reg.SharedMemory && a < reg.SharedMemory+reg.StagingLen:
		return &m.staging[(a-reg.SharedMemory)/pageSize]
	}
	return nil
}

// read fills p from a on; what does not exist reads 0. It returns how many bytes it filled: to the end of the page.
func (m *memory) read(a uint32, p []byte) int {
	n := min(len(p), int(pageSize-a%pageSize))
	if at := m.page(a); at != nil && *at != nil {
		copy(p[:n], (*at)[a%pageSize:])
	} else {
		clear(p[:n])
	}
	return n
}

// write stores p from a on, to the end of the page, and reports whether there is memory.
func (m *memory) write(a uint32, p []byte) (n int, ok bool) {
	n = min(len(p), int(pageSize-a%pageSize))
	at := m.page(a)
	if at == nil {
		return n, false
	}
	if *at == nil {
		*at = new(page)
	}
	copy((*at)[a%pageSize:], p[:n])
	return n, true
}

// ReadMem reads a block. Any address and length is fine; what does not exist reads 0 (BD-08).
func (c chip) ReadMem(now time.Time, a uint32, p []byte) {
	for len(p) > 0 {
		n := c.d.readSome(a, p)
		a, p = a+uint32(n), p[n:]
	}
}

func (d *Device) readSome(a uint32, p []byte) int {
	if b, end := d.out.at(a); end > 0 {
		n := min(len(p), end)
		k := copy(p[:n], b)
		clear(p[k:n])
		return n
	}
	if b, end := d.in.at(a); end > 0 {
		n := min(len(p), end)
		k := copy(p[:n], b)
		clear(p[k:n])
		return n
	}
	return d.mem.read(a, p)
}

// WriteMem writes a block. Bytes beyond a buffer are counted and lost: hosts write one too many now and then (2.11).
func (c chip) WriteMem(now time.Time, a uint32, p []byte) {
	for len(p) > 0 {
		n := c.d.writeSome(a, p)
		a, p = a+uint32(n), p[n:]
	}
}

func (d *Device) writeSome(a uint32, p []byte) int {
	if b, end := d.in.at(a); end > 0 {
		n := min(len(p), end)
		k := copy(b, p[:n])
		d.counters.Overrun += uint64(n - k)
		return n
	}
	if _, end := d.out.at(a); end > 0 { // what the device has posted is not the host's to change
		n := min(len(p), end)
		d.counters.Overrun += uint64(n)
		return n
	}
	n, ok := d.mem.write(a, p)
	if !ok {
		d.counters.Overrun += uint64(n)
	}
	return n
}

// writeVersionBlocks fills the structures that GP register 2 leads to. Spec host-bus 4.5, doors "the extension of our
// own on the bus".
func (d *Device) writeVersionBlocks() {
	p := hif.Pointers{MAC: macOffset, OTPMAC: otpOffset, Rev: revOffset, OTARev: otaOffset}
	if d.profile.NoOTP {
		p.OTPMAC = 0
	}
	if !d.standby() {
		p.OTARev = 0 // hosts must not read what is not there (hif-messages 4.3)
	}
	var b [64]byte
	d.mem.write(reg.DataMemory|gpOffset, p.Append(b[:0]))
	d.mem.write(reg.DataMemory|revOffset, d.revision(d.boot.Running).Append(b[:0]))
	if d.standby() {
		d.mem.write(reg.DataMemory|otaOffset, d.revision(d.boot.Other).Append(b[:0]))
	}
	d.mem.write(reg.DataMemory|otpOffset, d.cfg.MAC[:])
	d.writeMAC()
}

// writeMAC publishes the working address.
func (d *Device) writeMAC() {
	mac := d.fw.mac
	d.mem.write(reg.DataMemory|macOffset, mac[:])
}

// What the version block says about the build; the form is that of a C compiler, the date that of the protocol
// description, so that two builds give the same bytes.
const (
	buildDate = "Nov 22 2026"
	buildTime = "12:00:00"
)
