package hostnet

import (
	"net"
	"time"

	"github.com/understudy-net/understudy/driver"
)

// halfSeconds is a duration in the device's unit, rounded up, def if there is
// none.
func halfSeconds(d time.Duration, def, most int) int {
	if d <= 0 {
		return def
	}
	const unit = 500 * time.Millisecond
	return int(min((d+unit-1)/unit, time.Duration(most)))
}

// keepAlive sets the four options. Lock held.
func (st *stream) keepAlive(k net.KeepAliveConfig) error {
	if !k.Enable {
		return st.s.SetOpt(driver.OptKeepAlive, 0)
	}
	count := k.Count
	if count <= 0 {
		count = 20
	}
	for _, o := range []struct {
		opt   driver.Opt
		value int
	}{
		{driver.OptKeepIdle, halfSeconds(k.Idle, 120, 1<<31-1)},
		{driver.OptKeepInterval, halfSeconds(k.Interval, 1, 255)},
		{driver.OptKeepCount, min(count, 255)},
		{driver.OptKeepAlive, 1},
	} {
		if err := st.s.SetOpt(o.opt, o.value); err != nil {
			return err
		}
	}
	return nil
}
