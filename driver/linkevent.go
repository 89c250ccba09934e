package driver

import "github.com/understudy-net/understudy/bus/hif"

// handleState is CON_STATE_CHANGED. State first, then the callback, then the
// sockets (spec/driver-api.md 3.8). Lock held.
func (d *Driver) handleState(m hif.StateChanged) {
	if d.ap.on {
		d.handleStation(m)
		return
	}
	if d.farewell(m) {
		return
	}
	switch m.State {
	case hif.Connected:
		overtaken := d.conn.leaving && !d.conn.joining
		d.conn.linked, d.conn.joining = true, false
		if overtaken { // by our disconnect, whose confirmation follows
			return
		}
		d.conn.up, d.conn.leaving = true, false
		d.ap.farewells = 0
		d.ip.linked()
		d.ip.up = d.ip.up || d.cfg.Bypass
		d.tellConn(ConnEvent{State: Connected})
	case hif.Roamed:
		d.assoc.forget()
		d.tellConn(ConnEvent{State: Roamed})
	case hif.Disconnected:
		e := ConnEvent{State: Disconnected}
		if m.Error != hif.ConnOK {
			e.Err = ConnError(m.Error)
		}
		if m.Error == hif.ConnInProgress { // the attempt that runs goes on
			d.tellConn(e)
			return
		}
		d.linkLost(e)
	default:
		d.stats.Unknown++
	}
}

// linkLost ends the association and all that hung on it. Lock held.
func (d *Driver) linkLost(e ConnEvent) {
	was := d.conn
	// What ends the old network of a Connect while connected, or confirms a
	// Disconnect before it, leaves the new attempt running.
	d.conn.linked, d.conn.leaving, d.conn.up = false, false, false
	d.conn.joining = was.joining && (was.linked || was.leaving) && e.Err == nil
	d.ip.drop()
	d.assoc.forget()
	d.tellConn(e)
	if was.linked || was.leaving {
		d.abortSockets(was.leaving)
		d.abortRequests()
	}
}

func (d *Driver) tellConn(e ConnEvent) {
	more := 0
	if d.conn.joining {
		more = 1
	}
	d.hook(Notice{Kind: NoticeConn, Conn: e, N: more})
	if d.conn.fn == nil {
		return
	}
	d.postClient(func() {
		d.lock()
		fn := d.conn.fn
		d.unlock()
		if fn != nil {
			fn(e)
		}
	})
}

// handleDefaultConnected turns the result of Reconnect into a connection event.
func (d *Driver) handleDefaultConnected(m hif.DefaultConnected) {
	e := ConnEvent{State: Disconnected}
	switch m.Error {
	case hif.DefaultConnectOK:
		return // the usual events follow
	case hif.DefaultConnectInProgress:
		e.Err = ErrInProgress
		d.tellConn(e)
		return
	case hif.DefaultConnectFailed:
		e.Err = ErrAuthFail
	case hif.DefaultConnectNotFound:
		e.Err = ErrScanFail
	case hif.DefaultConnectListEmpty:
		e.Err = ErrNoCredentials
	default:
		e.Err = ErrUnknown
	}
	d.linkLost(e)
}
