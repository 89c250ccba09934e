package driver

import (
	"fmt"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
)

// Client is the handle of the one shared user of the driver, made by
// Driver.Open. Its zero value and nil are invalid handles: their methods
// return ErrInvalid, or false and zero. After Close, methods return ErrNotOpen.
type Client struct {
	d    *Driver
	open bool
}

// closeWait bounds how long Client.Close waits for the device to confirm.
const (
	closeWait = 2 * time.Second
	closeStep = time.Millisecond
)

// Open returns the client, with all settings at their defaults: DHCP on, no
// address, no callbacks but those of OnSocket and OnResolve, which outlive
// clients. While a client is open, Open returns the same one. Before start-up
// has finished it fails with ErrNotReady, which wraps the cause if start-up
// failed; with ErrInUse while the flash is open (OpenFlash). It stands for
// WDRV_WINC_Open.
func (d *Driver) Open() (*Client, error) {
	if d.Status() == StateBusy { // start-up has the lock
		return nil, ErrNotReady
	}
	d.lock()
	defer d.unlock()
	if err := d.ready(); err != nil {
		return nil, err
	}
	if d.flash != nil {
		return nil, ErrInUse
	}
	if d.client == nil {
		d.resetControl()
		d.client = &Client{d: d, open: true}
	}
	return d.client, nil
}

// ready is nil in StateReady. Lock held.
func (d *Driver) ready() error {
	switch {
	case d.state == StateReady:
		return nil
	case d.err != nil:
		return fmt.Errorf("%w: %w", ErrNotReady, d.err)
	}
	return ErrNotReady
}

// resetControl sets the defaults of spec/driver-api.md 1.4. Lock held.
func (d *Driver) resetControl() {
	d.conn = connState{}
	d.ip = ipState{dhcp: true}
	d.ap = apState{}
	d.scan = defaultScan
	d.assoc = assocState{}
	d.echo = echoState{tag: d.echo.tag}
	d.resolve = resolveState{}
	d.clock = clockState{}
	d.power = powerState{}
	d.ota = otaState{swap: swapState{owed: d.ota.swap.owed}} // verdicts come in order, so those of earlier clients can be told
	d.file = d.file.nextClient()
	d.bypass = bypassState{}
	d.wps = wpsState{}
}

// valid says whether c came from Open.
func (c *Client) valid() bool { return c != nil && c.d != nil }

// enter makes the common checks and takes the lock: the caller unlocks unless
// there is an error (spec/driver-api.md 2.0, CC).
func (c *Client) enter() (*Driver, error) {
	if !c.valid() {
		return nil, ErrInvalid
	}
	d := c.d
	d.lock()
	if !c.open {
		d.unlock()
		return nil, ErrNotOpen
	}
	if err := d.ready(); err != nil {
		d.unlock()
		return nil, err
	}
	return d, nil
}

// Err is nil while the client can be used: else ErrInvalid, ErrNotOpen, or
// ErrNotReady with the cause after a failure of the device.
func (c *Client) Err() error {
	d, err := c.enter()
	if err == nil {
		d.unlock()
	}
	return err
}

// peek is enter for calls that return a value: false where there is none.
func (c *Client) peek() (*Driver, bool) {
	d, err := c.enter()
	return d, err == nil
}

// Driver returns the driver that opened c, nil for an invalid handle.
func (c *Client) Driver() *Driver {
	if c == nil {
		return nil
	}
	return c.d
}

// Close gives everything back: it aborts an update and the download of a file, closes all sockets, leaves
// the network or ends the Soft-AP, and waits until the device has confirmed that,
// at most 2 s; then the handle is invalid and its callbacks are dropped, those of
// OnSocket and OnResolve excepted. Closing a closed client is ErrNotOpen. It stands for
// WDRV_WINC_Close, which does not tell the device; see spec/driver-api.md 1.2.
func (c *Client) Close() error {
	d, err := c.enter()
	if err != nil {
		if err == error(ErrNotOpen) || !c.valid() {
			return err
		}
		c.invalidate() // the device is gone: there is nobody to tell
		return nil
	}
	d.closeSockets()
	d.restorePower()
	if d.wps.running {
		_ = d.sendNone(hif.OpDisableWPS)
	}
	if d.roams {
		_ = d.setRoaming(RoamOff)
	}
	updating := d.loading() && d.abortUpdate() == nil
	leaving := d.conn.linked || d.conn.joining
	switch {
	case d.ap.on:
		leaving = d.stopAP() == nil
	case leaving:
		leaving = d.leave() == nil
	}
	d.unlock()
	if leaving || updating {
		c.awaitLeft()
	}
	c.invalidate()
	return nil
}

// awaitLeft pumps, or lets Run pump, until the link is down and nothing is loaded.
func (c *Client) awaitLeft() {
	d := c.d
	for end := d.now().Add(closeWait); ; {
		d.lock()
		done := !d.conn.linked && !d.conn.joining && !d.conn.leaving && d.ap.farewells == 0 && !d.loading() || d.state != StateReady
		running := d.running
		d.unlock()
		if done || !d.now().Before(end) {
			return
		}
		if !running {
			if _, err := d.tasks(false); err != nil {
				return
			}
		}
		d.cfg.Sleep(closeStep)
	}
}

// invalidate ends the handle; callbacks that were queued for it are dropped.
func (c *Client) invalidate() {
	d := c.d
	d.lock()
	if c.open {
		c.open = false
		d.client = nil
		d.resetControl()
	}
	d.unlock()
	d.changed()
}

// postClient queues a callback of the client's; it is dropped if the client is
// closed when its turn comes. Lock held.
func (d *Driver) postClient(fn func()) {
	c := d.client
	if c == nil {
		return
	}
	d.post(func() {
		d.lock()
		open := c.open
		d.unlock()
		if open {
			fn()
		}
	})
}
