package driver

import (
	"errors"
	"fmt"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
)

// How long a device may take to grant a buffer: polls in all, and the poll from
// which on each is preceded by a pause (spec/host-bus.md 5.2 step 4).
const (
	grantPolls = 1000
	grantFast  = 500
	grantPause = time.Millisecond
)

var (
	// errRefused: the device has no buffer for the message. For a data message
	// this is flow control.
	errRefused = errors.New("no buffer on the device")
	// errHalfTaken: the bus failed while a message was being released, so it is
	// not known whether the device noticed; the channel cannot be trusted.
	errHalfTaken = errors.New("message half taken")
)

// send hands a control message to the device. The error matches ErrBus when
// it did not take it. Lock held.
func send[P hif.Payload](d *Driver, op hif.Op, p P) error {
	msg := hif.AppendMessage(d.tx[:0], op, p)
	return sendError(op, d.transmit(op, false, msg))
}

// sendNone hands over a message without payload. Lock held.
func (d *Driver) sendNone(op hif.Op) error { return send(d, op, hif.None{}) }

func sendError(op hif.Op, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%v: %w: %w", op, ErrBus, err)
}

// transmit is the host's side of a request (spec/host-bus.md 5.2). Header,
// control part and data are written in one block: blocks may be cut anywhere,
// and two transactions cost more than the gap between the parts. The message
// must not be longer than hif.MaxLen [BH-14], unless the device has lifted its
// limits; whoever built it has seen to that.
// Lock held, so nobody else gets between the steps [BH-12].
func (d *Driver) transmit(op hif.Op, data bool, msg []byte) error {
	if err := d.wakeChip(); err != nil {
		return d.busFault(err)
	}
	err := d.exchange(op, data, msg)
	if err == nil || err == errRefused {
		d.sleepChip()
	}
	return err
}

// exchange is transmit with the chip awake.
func (d *Driver) exchange(op hif.Op, data bool, msg []byte) error {
	if err := d.request(hif.Request{Op: op, Data: data, Len: len(msg)}); err != nil {
		return d.busFault(err)
	}
	granted, err := d.awaitGrant()
	if err != nil {
		return d.busFault(err)
	}
	var addr uint32
	if granted {
		if addr, err = d.spi.ReadReg(reg.RcvCtrl4); err != nil {
			return d.busFault(err)
		}
	}
	if addr == 0 {
		d.stats.Refused++
		if d.cfg.Trace != nil {
			d.trace("→ %v %d bytes: refused", op, len(msg))
		}
		return errRefused
	}
	if err := d.spi.WriteBlock(addr, msg); err != nil {
		return d.busFault(err)
	}
	if err := d.spi.WriteReg(reg.RcvCtrl3, addr<<reg.DoorbellShift|reg.Doorbell); err != nil {
		return d.busFault(err)
	}
	d.stats.Sent++
	if d.cfg.Trace != nil {
		d.trace("→ %v %d bytes", op, len(msg))
	}
	return nil
}

func (d *Driver) request(r hif.Request) error {
	if err := d.spi.WriteReg(reg.State, r.Word()); err != nil {
		return err
	}
	return d.spi.WriteReg(reg.RcvCtrl2, reg.RequestBuffer)
}

// awaitGrant polls until the device has answered the request.
func (d *Driver) awaitGrant() (bool, error) {
	for i := range grantPolls {
		if i >= grantFast {
			d.cfg.Sleep(grantPause)
		}
		v, err := d.spi.ReadReg(reg.RcvCtrl2)
		if err != nil {
			return false, err
		}
		if v&reg.RequestBuffer == 0 {
			return true, nil
		}
	}
	return false, nil
}

// busFault counts a failure of the bus and makes sure that the pump looks: if
// the device is gone, it is the pump that says so to everybody.
func (d *Driver) busFault(err error) error {
	d.stats.BusError++
	d.signal()
	return err
}

// receive takes one message, if there is one, into d.rx (spec/host-bus.md 5.3).
// The whole message is read in one block before the announcement is taken back:
// so a fault of the bus up to there loses nothing, the next attempt begins
// again. "RX done" is said exactly once [BH-15], at once: what follows works on
// the copy, and the device can post the next message meanwhile. Lock held.
func (d *Driver) receive() (h hif.Header, payload []byte, ok bool, err error) {
	v, err := d.spi.ReadReg(reg.RcvCtrl0)
	if err != nil {
		return h, nil, false, err
	}
	n := hif.ParseNotice(v)
	if !n.Pending {
		return h, nil, false, nil
	}
	readable := n.Size >= hif.HeaderLen && n.Size <= len(d.rx)
	if readable {
		addr, err := d.spi.ReadReg(reg.RcvCtrl1)
		if err != nil {
			return h, nil, false, err
		}
		if err := d.spi.ReadBlock(addr, d.rx[:n.Size]); err != nil {
			return h, nil, false, err
		}
	}
	// Two writes: the device tells them apart by bit 1, and its interrupt line
	// goes back at the first.
	v &^= reg.RcvPending | reg.RcvDone
	if err := d.spi.WriteReg(reg.RcvCtrl0, v); err != nil {
		return h, nil, false, fmt.Errorf("%w: %w", errHalfTaken, err)
	}
	if err := d.spi.WriteReg(reg.RcvCtrl0, v|reg.RcvDone); err != nil {
		return h, nil, false, fmt.Errorf("%w: %w", errHalfTaken, err)
	}
	if readable {
		h, err = hif.ParseHeader(d.rx[:n.Size])
	}
	// A size up to 4 above the length is alignment; one below it is odd, but
	// hosts bear it (spec/hif-messages.md 1.5), and the parsers check lengths.
	if !readable || err != nil || n.Size-h.Len > 4 {
		d.stats.Corrupt++
		if d.cfg.Trace != nil {
			d.trace("← message of %d bytes is corrupt: dropped", n.Size)
		}
		return hif.Header{}, nil, true, nil
	}
	d.stats.Received++
	if d.cfg.Trace != nil {
		d.trace("← %v %d bytes", h.Op, h.Len)
	}
	return h, d.rx[hif.HeaderLen:min(h.Len, n.Size)], true, nil
}
