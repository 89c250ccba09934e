package driver

import (
	"fmt"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
)

// Limits are the numbers of a device: those of the real part, unless it is a
// device of ours whose profile has more (hif.OpUnderstudy).
type Limits struct {
	TCP, UDP int // sockets; ids of UDP sockets follow those of TCP
	Send     int // bytes a send, and a receive event of a TCP socket
	Datagram int // bytes of a datagram received
}

// realLimits are those of the real part (spec/driver-api.md 3.2).
var realLimits = Limits{TCP: MaxTCPSockets, UDP: MaxUDPSockets, Send: MaxSend, Datagram: MaxDatagram}

const (
	maxSockets    = 126       // ids are 7 bits
	maxSend       = 4000      // what the size field of a notice leaves room for
	maxNotice     = 1<<12 - 1 // that field
	limitsPolls   = 100
	limitsPause   = time.Millisecond
	dataRoom      = maxTLSOffset
	alignmentRoom = 4 // announced sizes may be rounded up
)

// Limits returns the numbers in force; the real part's on an invalid handle. It
// stands for no documented function: the document has constants.
func (c *Client) Limits() Limits {
	if !c.valid() {
		return realLimits
	}
	c.d.lock()
	defer c.d.unlock()
	return c.d.limits
}

// setLimits makes the table and the buffers that l needs. Lock held.
func (d *Driver) setLimits(l Limits) {
	d.limits = l
	d.sockets.resize(l)
	size := max(hif.MaxLen, dataRoom+l.Send)
	d.tx = make([]byte, size)
	d.rx = make([]byte, min(size+alignmentRoom, maxNotice))
}

// askLimits asks a device of ours for its numbers, which are in force when it
// has answered. One that is silent keeps those of the real part. Lock held.
func (d *Driver) askLimits() error {
	d.setLimits(realLimits)
	if !d.versions.active.Understudy {
		return nil
	}
	if err := d.sendNone(hif.OpUnderstudy); err != nil {
		return err
	}
	for range limitsPolls {
		h, payload, ok, err := d.receive()
		switch {
		case err != nil:
			return err
		case !ok:
			d.cfg.Sleep(limitsPause)
		case h.Op == hif.OpUnderstudy:
			return d.takeLimits(payload)
		}
	}
	return nil
}

func (d *Driver) takeLimits(b []byte) error {
	m, err := hif.ParseLimits(b)
	if err != nil {
		return err
	}
	l := Limits{TCP: int(m.TCP), UDP: int(m.UDP), Send: int(m.Send)}
	l.Datagram = max(MaxDatagram, l.Send)
	if l.TCP < 1 || l.UDP < 1 || l.TCP+l.UDP > maxSockets || l.Send < 1 || l.Send > maxSend {
		return fmt.Errorf("impossible limits %+v", m)
	}
	d.setLimits(l)
	return nil
}
