package pcap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// LinkType says how the packets of an interface begin; the registry is that of the IETF's draft-ietf-opsawg-pcaplinktype.
type LinkType uint16

// LinkEthernet is Ethernet II without frame check sequence.
const LinkEthernet LinkType = 1

// Interface describes where packets were seen.
type Interface struct {
	Name        string   // such as "air0"; empty means none is given
	Description string   // free text
	LinkType    LinkType // 0 means LinkEthernet
	SnapLen     int      // longest packet to keep, in bytes; longer ones are cut and say so; 0 means 65535
}

// Options are facts about the section. All may be empty.
type Options struct {
	Hardware    string // what captured
	OS          string // the system it ran on
	Application string // the program that wrote the file

	Interfaces []Interface // none means one, called "air"
}

// Direction says whether a packet came to the interface or left it.
type Direction uint8

// The directions of the flags option (enhanced packet block, epb_flags bits 0 and 1).
const (
	DirectionUnknown Direction = iota
	Inbound
	Outbound
)

// String prints "unknown", "inbound" or "outbound".
func (d Direction) String() string {
	switch d {
	case DirectionUnknown:
		return "unknown"
	case Inbound:
		return "inbound"
	case Outbound:
		return "outbound"
	}
	return fmt.Sprintf("direction(%d)", uint8(d))
}

// Packet is one packet and what is known about it.
type Packet struct {
	At        time.Time
	Interface int // index in the order of Options.Interfaces and AddInterface
	Data      []byte
	Length    int // as it was on the link, when Data is only its beginning; 0 means len(Data)
	Direction Direction
	Comment   string
}

// Statistics are the counters of an interface.
type Statistics struct {
	Received uint64 // packets seen on the interface
	Dropped  uint64 // of those, not captured
}

// Errors of a Writer.
var (
	// ErrStopped says that an earlier write failed and the capture ended there.
	ErrStopped = errors.New("pcap: the capture has stopped after a failed write")
	// ErrInterface says that a packet names an interface that was not described.
	ErrInterface = errors.New("pcap: no such interface")
)

// bufferSize is the size from which collected blocks are written.
const bufferSize = 64 << 10

// Writer writes one section. Make one with [NewWriter].
type Writer struct {
	w       io.Writer
	buf     []byte // whole blocks
	ifaces  []Interface
	stopped bool
}

// NewWriter writes the section header and the descriptions of the interfaces to w's buffer and flushes them, so that a
// destination that cannot be written is known at once.
func NewWriter(w io.Writer, o Options) (*Writer, error) {
	p := &Writer{w: w, buf: make([]byte, 0, bufferSize)}
	p.section(o)
	if len(o.Interfaces) == 0 {
		o.Interfaces = []Interface{{Name: "air"}}
	}
	for _, i := range o.Interfaces {
		if _, err := p.AddInterface(i); err != nil {
			return nil, err
		}
	}
	if err := p.Flush(); err != nil {
		return nil, fmt.Errorf("pcap: cannot begin the capture: %w", err)
	}
	return p, nil
}

// AddInterface describes one more interface and returns its index.
func (w *Writer) AddInterface(i Interface) (index int, err error) {
	if w.stopped {
		return 0, ErrStopped
	}
	if i.LinkType == 0 {
		i.LinkType = LinkEthernet
	}
	if i.SnapLen <= 0 || i.SnapLen > maxSnapLen {
		i.SnapLen = maxSnapLen
	}
	w.ifaces = append(w.ifaces, i)
	w.description(i)
	return len(w.ifaces) - 1, w.spill()
}

// WritePacket writes a whole packet seen at a time on an interface, with a comment if it is not empty.
func (w *Writer) WritePacket(at time.Time, iface int, frame []byte, comment string) error {
	return w.Write(Packet{At: at, Interface: iface, Data: frame, Comment: comment})
}

// Write writes p. Data is not kept.
func (w *Writer) Write(p Packet) error {
	if w.stopped {
		return ErrStopped
	}
	if p.Interface < 0 || p.Interface >= len(w.ifaces) {
		return fmt.Errorf("%w: %d of %d", ErrInterface, p.Interface, len(w.ifaces))
	}
	w.packet(p, w.ifaces[p.Interface].SnapLen)
	return w.spill()
}

// WriteStatistics writes the counters of an interface as they were at a time, usually the end of the capture.
func (w *Writer) WriteStatistics(at time.Time, iface int, s Statistics) error {
	if w.stopped {
		return ErrStopped
	}
	if iface < 0 || iface >= len(w.ifaces) {
		return fmt.Errorf("%w: %d of %d", ErrInterface, iface, len(w.ifaces))
	}
	w.statistics(at, iface, s)
	return w.spill()
}

// Flush writes what was collected. It does not close the destination.
func (w *Writer) Flush() error {
	if w.stopped {
		return ErrStopped
	}
	if len(w.buf) == 0 {
		return nil
	}
	_, err := w.w.Write(w.buf)
	w.buf = w.buf[:0]
	if err != nil {
		w.stopped, w.buf = true, nil
	}
	return err
}

// spill flushes when enough was collected.
func (w *Writer) spill() error {
	if len(w.buf) < bufferSize {
		return nil
	}
	return w.Flush()
}

// ticks is a time as blocks carry it: nanoseconds since 1970 (if_tsresol 9), high half first.
func ticks(at time.Time) (high, low uint32) {
	n := uint64(at.UnixNano())
	return uint32(n >> 32), uint32(n)
}

var order = binary.LittleEndian
