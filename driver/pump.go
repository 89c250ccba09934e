package driver

import (
	"errors"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
)

const (
	// maxDrain is the most messages taken in one go, so that a device that
	// never stops talking does not keep the caller for ever.
	maxDrain = 256
	// maxFails is how often taking a message may fail in a row, each time
	// after the retries of the bus, before the device counts as gone.
	maxFails = 3
	// failPause lies between two such attempts.
	failPause = time.Millisecond
)

// Tasks does what there is to do and returns: start-up on the first call, then
// all messages that the device has ready and the callbacks they cause. It does
// not wait for the device to speak. Called inside a callback, or while another
// goroutine is dispatching, it takes messages but runs no callback, so that
// callbacks stay one at a time and in order. The error is that of a failed
// start-up or of a device that went away (see Err), ErrClosed after Close. It
// stands for WDRV_WINC_Tasks; the documented WDRV_WINC_ISR is bus.Port's
// OnIRQ, claimed by New.
func (d *Driver) Tasks() error {
	_, err := d.tasks(false)
	d.dispatch()
	return err
}

// tasks pumps. With look it reads the device's register although the interrupt
// line is idle. More is true when messages may be left.
func (d *Driver) tasks(look bool) (more bool, err error) {
	d.lock()
	switch d.state {
	case StateUninitialised:
		halted := d.halted
		d.unlock()
		if halted {
			return false, nil // until Restart
		}
		return false, ErrClosed
	case StateBusy:
		err := d.startUp()
		d.unlock()
		d.changed()
		if err != nil {
			return false, err
		}
		d.lock()
	}
	more, err = d.drain(look)
	d.unlock()
	return more, err
}

// drain takes messages until there is none. The pump is one goroutine at a
// time: hooks run unlocked, and the receive buffer is theirs until they return.
// Lock held.
func (d *Driver) drain(look bool) (more bool, err error) {
	if d.state != StateReady || d.pumping || d.flash != nil {
		return false, d.err
	}
	d.pumping = true
	defer func() { d.pumping = false }()
	d.flush() // what calls have left, such as StopAP
	if d.state != StateReady {
		return false, d.err
	}
	for range maxDrain {
		h, payload, ok, err := d.next(look)
		switch {
		case err != nil && d.fails < maxFails && !errors.Is(err, errHalfTaken):
			d.cfg.Sleep(failPause)
			look = true
			continue
		case err != nil:
			d.fail(err)
			d.flush()
			return false, d.err
		case !ok:
			return false, nil
		}
		look = false
		d.handle(h, payload)
		d.flush()
		if d.state != StateReady { // a hook closed the driver
			return false, d.err
		}
	}
	return true, nil
}

// next takes one message, if the interrupt line or, with look, the device's
// register says that there is one. Lock held.
func (d *Driver) next(look bool) (h hif.Header, payload []byte, ok bool, err error) {
	if !look {
		ok, err = d.port.IRQ()
		if err != nil || !ok {
			return h, nil, false, d.attempted(err)
		}
		// A device that has posted a message is awake until it was taken (spec/host-bus.md 5.6).
		h, payload, ok, err = d.receive() // not ok: a false interrupt
		return h, payload, ok, d.attempted(err)
	}
	if err = d.wakeChip(); err != nil {
		return h, nil, false, d.attempted(err)
	}
	if h, payload, ok, err = d.receive(); err == nil {
		d.sleepChip()
	}
	return h, payload, ok, d.attempted(err)
}

// attempted counts failed attempts to take a message, in a row.
func (d *Driver) attempted(err error) error {
	if err != nil {
		d.stats.BusError++
		d.fails++
	} else {
		d.fails = 0
	}
	return err
}

// Run brings the controller up, if that was not done, and pumps until stop is
// done, with a goroutine of its own for callbacks; then it closes the driver
// and waits for a running callback to return. A context.Context is a stop. The
// error is that of start-up, of a device that went away, or stop.Err(). A
// blocking call inside a callback keeps only other callbacks waiting. It stands
// for the task that calls WDRV_WINC_Tasks for ever. Run on a
// closed driver starts it anew; a second Run at the same time is ErrBusy.
func (d *Driver) Run(stop interface {
	Done() <-chan struct{}
	Err() error
}) error {
	d.lock()
	if d.running {
		d.unlock()
		return ErrBusy
	}
	d.running = true
	if d.state == StateUninitialised {
		d.halted = false
		d.become(StateBusy, nil)
	}
	d.unlock()

	work, ended := make(chan struct{}, 1), make(chan struct{})
	go func() { // ends when work is closed, below
		defer close(ended)
		for range work {
			d.dispatch()
		}
	}()
	err := d.run(stop.Done(), work)
	if err == nil {
		err = stop.Err()
		d.Close()
	}
	close(work)
	<-ended
	d.lock()
	d.running = false
	d.unlock()
	return err
}

// run is the loop of Run; nil means that stop is done.
func (d *Driver) run(stop <-chan struct{}, work chan<- struct{}) error {
	var poll *time.Timer
	var tick <-chan time.Time
	if d.cfg.Poll > 0 {
		poll = time.NewTimer(d.cfg.Poll)
		defer poll.Stop()
		tick = poll.C
	}
	look := true // what the device said before OnIRQ was claimed made no edge for us
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		more, err := d.tasks(look)
		if d.queued() {
			select {
			case work <- struct{}{}:
			default: // the dispatcher will see it
			}
		}
		if err != nil { // gone, or someone called Close
			return err
		}
		look = false
		if more {
			continue
		}
		select {
		case <-stop:
			return nil
		case <-d.sig:
		case <-tick:
			look = true
		}
		if poll != nil && look {
			poll.Reset(d.cfg.Poll)
		}
	}
}
