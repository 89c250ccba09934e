package pcap

import (
	"time"
	"unicode/utf8"
)

// Block types (pcapng, 4).
const (
	blockSection     = 0x0a0d0d0a
	blockDescription = 0x00000001
	blockStatistics  = 0x00000005
	blockPacket      = 0x00000006
)

// Options (pcapng, 3.5 and at each block).
const (
	optEnd     = 0
	optComment = 1

	shbHardware    = 2
	shbOS          = 3
	shbApplication = 4

	ifName        = 2
	ifDescription = 3
	ifTsResol     = 9

	epbFlags = 2

	isbReceived = 4
	isbDropped  = 5
)

const (
	byteOrderMagic = 0x1a2b3c4d
	nanoseconds    = 9 // if_tsresol: 10 to the power of -9 s
	maxSnapLen     = 65535
	maxOption      = 1024 // our bound for one text; the format's is 65535
)

// Every block is
//
//	+------+--------+------+--------+
//	| type | length | body | length |
//	+------+--------+------+--------+
//
// with the total length at both ends and the body padded to 32 bits (pcapng, 3.1).

// begin starts a block and returns where.
func (w *Writer) begin(typ uint32) (start int) {
	start = len(w.buf)
	w.buf = order.AppendUint32(w.buf, typ)
	w.buf = order.AppendUint32(w.buf, 0) // length, filled in by end
	return start
}

func (w *Writer) end(start int) {
	total := uint32(len(w.buf) - start + 4)
	order.PutUint32(w.buf[start+4:], total)
	w.buf = order.AppendUint32(w.buf, total)
}

// padded appends b and zeros up to a multiple of 4.
func padded[T []byte | string](w *Writer, b T) {
	w.buf = append(w.buf, b...)
	for n := len(b); n%4 != 0; n++ {
		w.buf = append(w.buf, 0)
	}
}

func (w *Writer) u16(v uint16) { w.buf = order.AppendUint16(w.buf, v) }
func (w *Writer) u32(v uint32) { w.buf = order.AppendUint32(w.buf, v) }

// text appends an option with text, or nothing when it is empty.
func (w *Writer) text(code uint16, s string) {
	if s == "" {
		return
	}
	s = cut(s, maxOption)
	w.u16(code)
	w.u16(uint16(len(s)))
	padded(w, s)
}

// cut returns the beginning of s, at most n bytes and no half character: texts are UTF-8 (pcapng, 3.5).
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// count appends an option with a counter of 64 bits.
func (w *Writer) count(code uint16, v uint64) {
	w.u16(code)
	w.u16(8)
	w.buf = order.AppendUint64(w.buf, v)
}

func (w *Writer) endOptions() { w.u32(optEnd) }

// section appends the section header block (pcapng, 4.1).
func (w *Writer) section(o Options) {
	start := w.begin(blockSection)
	w.u32(byteOrderMagic)
	w.u16(1) // version 1.0
	w.u16(0)
	w.u32(0xffffffff) // length of the section: not known
	w.u32(0xffffffff)
	w.text(shbHardware, o.Hardware)
	w.text(shbOS, o.OS)
	w.text(shbApplication, o.Application)
	w.endOptions()
	w.end(start)
}

// description appends an interface description block (pcapng, 4.2).
func (w *Writer) description(i Interface) {
	start := w.begin(blockDescription)
	w.u16(uint16(i.LinkType))
	w.u16(0)
	w.u32(uint32(i.SnapLen))
	w.text(ifName, i.Name)
	w.text(ifDescription, i.Description)
	w.u16(ifTsResol)
	w.u16(1)
	w.u32(nanoseconds) // one byte and its padding
	w.endOptions()
	w.end(start)
}

// packet appends an enhanced packet block (pcapng, 4.3).
func (w *Writer) packet(p Packet, snap int) {
	length := min(max(p.Length, len(p.Data)), 1<<31-1)
	data := p.Data[:min(len(p.Data), snap)]
	start := w.begin(blockPacket)
	high, low := ticks(p.At)
	w.u32(uint32(p.Interface))
	w.u32(high)
	w.u32(low)
	w.u32(uint32(len(data)))
	w.u32(uint32(length))
	padded(w, data)
	if p.Comment != "" || p.Direction != DirectionUnknown {
		w.text(optComment, p.Comment)
		if p.Direction != DirectionUnknown {
			w.u16(epbFlags)
			w.u16(4)
			w.u32(uint32(p.Direction & 3))
		}
		w.endOptions()
	}
	w.end(start)
}

// statistics appends an interface statistics block (pcapng, 4.6).
func (w *Writer) statistics(at time.Time, iface int, s Statistics) {
	start := w.begin(blockStatistics)
	high, low := ticks(at)
	w.u32(uint32(iface))
	w.u32(high)
	w.u32(low)
	w.count(isbReceived, s.Received)
	w.count(isbDropped, s.Dropped)
	w.endOptions()
	w.end(start)
}
