package driver

import (
	"fmt"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
)

// ntpEpoch is 1900 in Unix seconds, negated: the device counts from there,
// modulo 2^32.
const ntpEpoch = 2208988800

// clockState is the slot of Time's callback. Guarded by the driver's lock.
type clockState struct{ fn func(time.Time) }

// SetTime sets the clock of the device, in whole seconds. It stands for
// WDRV_WINC_SystemTimeSetCurrent.
func (c *Client) SetTime(t time.Time) error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	return send(d, hif.OpSetSysTime, hif.SetSysTime{Seconds: uint32(t.Unix() + ntpEpoch)})
}

// Time asks for the clock of the device: fn hears it, in UTC and whole seconds,
// and again whenever the device tells its time by itself, until replaced. While
// the device does not know the time, fn hears nothing. It stands for
// WDRV_WINC_SystemTimeGetCurrent.
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

// handleTime delivers a time that is one. Lock held.
func (d *Driver) handleTime(m hif.SysTime) {
	var t time.Time
	if m.Month >= 1 && m.Month <= 12 && m.Day >= 1 && m.Day <= 31 && m.Hour < 24 && m.Minute < 60 && m.Second < 60 {
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
