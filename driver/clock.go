package driver

import (
	"fmt"
	"strings"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
)

// ntpEpoch is 1900 in Unix seconds, negated: the device counts from there,
// modulo 2^32.
const ntpEpoch = 2208988800

// maxTimeServer is the longest name of a time server: the field of 33 less its
// NUL.
const maxTimeServer = 32

// clockState is the slot of Time's callback. Guarded by the driver's lock.
type clockState struct{ fn func(time.Time) }

// EnableSNTP has the device keep its clock by SNTP, as it does after start-up
// without being asked, and says whom it asks: first, with useDHCP, the server
// that the network names (DHCP option 42); then server, a name or an IPv4
// address of at most 32 characters, which replaces the built-in time.nist.gov
// until the device restarts; last pool.ntp.org. A name that begins with a star
// is a pool: "*.pool.example" stands for 0.pool.example to 3.pool.example, the
// next one each time a server fails. With "" the name stays as it is.
//
// It may be called at any time. Our device asks another server at once; of
// others the document says that a change while connected may wait for the next
// day. The time itself comes through Time. ErrRequest, and nothing is changed,
// for a name that cannot be sent. It stands for
// WDRV_WINC_SystemTimeSNTPClientEnable, which enables SNTP even if the name is
// too long.
func (c *Client) EnableSNTP(server string, useDHCP bool) error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	switch {
	case len(server) > maxTimeServer:
		return fmt.Errorf("%w: a time server's name of %d characters, at most %d can be sent", ErrRequest, len(server), maxTimeServer)
	case server == "*" || strings.IndexByte(server, 0) >= 0:
		return fmt.Errorf("%w: %q is no name of a time server", ErrRequest, server)
	}
	if err := d.sendNone(hif.OpEnableSNTP); err != nil {
		return fmt.Errorf("enable SNTP: %w", err)
	}
	if err := send(d, hif.OpConfigSNTP, hif.SNTPConfig{Server: server, DHCP: useDHCP}); err != nil {
		return fmt.Errorf("SNTP is enabled, but not configured: %w", err)
	}
	return nil
}

// DisableSNTP has the device send no requests for the time any more, until
// EnableSNTP or a restart. The time that it knows goes on. It stands for
// WDRV_WINC_SystemTimeSNTPClientDisable.
func (c *Client) DisableSNTP() error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	return d.sendNone(hif.OpDisableSNTP)
}

// SetTime sets the clock of the device, in whole seconds; what is below one is
// lost. The next answer of a time server sets it again: see DisableSNTP. A time
// before 1970 or after February 7th, 2106, cannot be said: ErrInvalid. It stands
// for WDRV_WINC_SystemTimeSetCurrent.
func (c *Client) SetTime(t time.Time) error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	if s := t.Unix(); s < 0 || s > 1<<32-1 {
		return fmt.Errorf("%w: the device cannot be told %v, only 1970 to 2106", ErrInvalid, t)
	}
	return send(d, hif.OpSetSysTime, hif.SetSysTime{Seconds: uint32(t.Unix() + ntpEpoch)})
}

// Time asks for the clock of the device. fn hears it, in UTC and whole seconds,
// and again each time the device tells it by itself, which it does when a time
// server has answered: once a day, and after each connect. The next Time
// replaces fn; nil unregisters it. While the device does not know the time,
// right after start-up for instance, fn hears nothing: hostnet's Time has an
// error for that. It stands for WDRV_WINC_SystemTimeGetCurrent.
func (c *Client) Time(fn func(time.Time)) error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	old := d.clock.fn
	d.clock.fn = fn
	if err := d.sendNone(hif.OpGetSysTime); err != nil {
		d.clock.fn = old
		return fmt.Errorf("time: %w", err)
	}
	return nil
}

// AskTime is Time that leaves the callback as it is: the answer goes to the hook,
// see Driver.Hook, known or not, and to the callback that was registered before. It
// stands for WDRV_WINC_SystemTimeGetCurrent without a new callback.
func (c *Client) AskTime() error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	return d.sendNone(hif.OpGetSysTime)
}

// handleTime delivers a time that is one: the device says the year 0 when it does
// not know it. The bounds are those of the document's LocalTimeToUTC. Lock held.
func (d *Driver) handleTime(m hif.SysTime) {
	var t time.Time
	if m.Year >= 1900 && m.Month >= 1 && m.Month <= 12 && m.Day >= 1 && m.Day <= 31 && m.Hour < 24 && m.Minute < 60 && m.Second < 60 {
		t = m.Time()
	}
	d.hook(Notice{Kind: NoticeTime, Time: t})
	if t.IsZero() || d.clock.fn == nil {
		return
	}
	d.postClient(func() {
		d.lock()
		fn := d.clock.fn
		d.unlock()
		if fn != nil {
			fn(t)
		}
	})
}
