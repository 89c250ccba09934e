package driver

import (
	"fmt"

	"github.com/understudy-net/understudy/bus/hif"
)

// handleStation is CON_STATE_CHANGED to a Soft-AP: a station came or went. What
// comes before the end of the network that was left just before is still about
// that. Lock held.
func (d *Driver) handleStation(m hif.StateChanged) {
	switch {
	case m.State != hif.Connected && m.State != hif.Disconnected:
		d.stats.Unknown++
	case d.conn.leaving && m.State == hif.Connected: // overtaken by our disconnect
		d.conn.linked = true
	case d.conn.leaving:
		d.conn.linked, d.conn.leaving = false, false
		d.tellConn(ConnEvent{State: Disconnected})
		d.abortSockets(true)
	case m.State == hif.Connected:
		d.ap.stations++
		d.stationMoved(ConnEvent{State: Connected})
	case d.ap.stations == 0:
		d.stats.Stale++
	default:
		d.ap.stations--
		e := ConnEvent{State: Disconnected}
		if m.Error != hif.ConnOK {
			e.Err = ConnError(m.Error)
		}
		d.stationMoved(e)
	}
}

// stationMoved tells of a station. Its connections are the device's to end: it
// knows which they are (spec/driver-api.md 3.8). Lock held.
func (d *Driver) stationMoved(e ConnEvent) {
	d.conn.up = d.ap.stations > 0
	d.assoc.forget()
	d.tellConn(e)
}

// farewell says whether m is about a Soft-AP that StopAP has ended. Its end was
// told then, so all that is left is to tell it from news about a network that is
// being joined since. Lock held.
func (d *Driver) farewell(m hif.StateChanged) bool {
	a := &d.ap
	switch {
	case d.conn.linked || d.conn.leaving || m.Error != hif.ConnOK:
		return false
	case a.late && m.State == hif.Connected: // a station that nobody was told of
		a.farewells++
	case a.farewells > 0 && m.State == hif.Disconnected:
		a.farewells--
	default:
		return false
	}
	d.stats.Stale++
	return true
}

// handleHost is DHCP_CONF to a Soft-AP: the address of a station. Lock held.
func (d *Driver) handleHost(m hif.IPConfig) {
	a, fn := addr4(m.IP), d.ap.hear
	switch {
	case d.conn.leaving || !a.IsValid():
		d.stats.Stale++
	case fn != nil:
		d.postClient(func() { fn(a) })
	}
}

// errNotStation is the answer to Disconnect as a Soft-AP: a request error by one
// of the two functions that it stands for, not supported by the other.
var errNotStation = fmt.Errorf("%w: a Soft-AP cannot disconnect; StopAP ends it (%w)", ErrMode, ErrUnsupported)
