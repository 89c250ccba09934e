package driver

import (
	"fmt"

	"github.com/understudy-net/understudy/bus/hif"
)

// ErrWPS: no access point has handed its network over: its button was not pushed
// within two minutes, two of them were pushed at once, or the PIN is not the one
// that the access point was told.
const ErrWPS plainError = "WPS failed; push the button of one access point, or check the PIN, and try again"

// StartWPS looks for an access point whose button was pushed (Wi-Fi Protected
// Setup, push button) and has it hand over its network. It takes up to two
// minutes. fn, if not nil, is told the network, with which it may call Connect, or
// ErrWPS; until another StartWPS or StartWPSPIN replaces it.
//
// Errors: ErrConnected while connected or connecting, ErrMode as a Soft-AP,
// ErrBusy while a WPS exchange runs, ErrRequest if not sendable. It stands for
// WDRV_WINC_WPSEnrolleeDiscoveryStartPBC.
func (c *Client) StartWPS(fn func(NetworkEvent)) error {
	return c.startWPS(hif.WPS{Trigger: hif.WPSPushButton}, fn)
}

// StartWPSPIN is StartWPS with the PIN of this device, which the access point has
// to be told: eight digits, of which the last is a checksum (see WPSPIN), else
// ErrInvalid. It stands for WDRV_WINC_WPSEnrolleeDiscoveryStartPIN.
func (c *Client) StartWPSPIN(pin string, fn func(NetworkEvent)) error {
	if !validPIN(pin) {
		return fmt.Errorf("%w: %q is not a WPS PIN of eight digits with its checksum", ErrInvalid, pin)
	}
	return c.startWPS(hif.WPS{Trigger: hif.WPSPIN, PIN: [8]byte([]byte(pin))}, fn)
}

// WPSPIN makes a PIN of a number, of which the last seven decimal digits count, by
// adding the checksum.
func WPSPIN(n uint32) string {
	n %= 10_000_000
	return fmt.Sprintf("%07d%d", n, pinChecksum(n))
}

// pinChecksum is the eighth digit: it makes the sum of all digits, the first, third,
// fifth and seventh of them three times, a multiple of ten.
func pinChecksum(n uint32) uint32 {
	sum := uint32(0)
	for weight := uint32(3); n > 0; n /= 10 {
		sum += weight * (n % 10)
		weight = 4 - weight
	}
	return (10 - sum%10) % 10
}

func validPIN(pin string) bool {
	if len(pin) != 8 {
		return false
	}
	n := uint32(0)
	for _, c := range []byte(pin) {
		if c < '0' || c > '9' {
			return false
		}
		n = 10*n + uint32(c-'0')
	}
	return pinChecksum(n/10) == n%10
}

// StopWPS ends the exchange. fn hears nothing any more. ErrRequest if none runs or
// if not sendable. It stands for WDRV_WINC_WPSEnrolleeDiscoveryStop.
func (c *Client) StopWPS() error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	err = d.stopWPS()
	d.unlock()
	if err == nil { // for those who wait for it
		d.notify(Notice{Kind: NoticeWPS, Network: NetworkEvent{Err: ErrWPS}})
		d.wake()
	}
	return err
}

// stopWPS is StopWPS. Lock held.
func (d *Driver) stopWPS() error {
	if !d.wps.running {
		return fmt.Errorf("no WPS exchange runs: %w", ErrRequest)
	}
	if err := d.sendNone(hif.OpDisableWPS); err != nil {
		return err
	}
	d.wps.running = false
	return nil
}

// wpsState is the exchange. Guarded by the driver's lock.
type wpsState struct {
	running bool
	fn      func(NetworkEvent)
}

func (c *Client) startWPS(m hif.WPS, fn func(NetworkEvent)) error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	switch {
	case d.ap.on:
		return ErrMode
	case d.conn.up || d.conn.joining || d.conn.leaving:
		return ErrConnected
	case d.wps.running:
		return ErrBusy
	}
	if err := send(d, hif.OpWPS, m); err != nil {
		return err
	}
	d.wps = wpsState{running: true, fn: fn}
	return nil
}

// handleWPS is the end of the exchange. Lock held.
func (d *Driver) handleWPS(m hif.WPSReply) {
	if !d.wps.running {
		d.stats.Stale++ // of one that was stopped
		return
	}
	d.wps.running = false
	e := networkEvent(m.SSID, Channel(m.Channel), m.Security, m.Passphrase)
	if m.Security == hif.SecurityInvalid {
		e = NetworkEvent{Err: ErrWPS}
	} else if e.Err != nil {
		e = NetworkEvent{Err: fmt.Errorf("%w: %w", ErrWPS, e.Err)}
	}
	d.hook(Notice{Kind: NoticeWPS, Network: e})
	if fn := d.wps.fn; fn != nil {
		d.postClient(func() { fn(e) })
	}
}
