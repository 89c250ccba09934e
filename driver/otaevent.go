package driver

import "github.com/understudy-net/understudy/bus/hif"

// handleOTA dispatches the messages of updates and of the host file. Lock held.
func (d *Driver) handleOTA(op hif.Op, b []byte) error {
	switch op {
	case hif.OpUpdateStatus:
		return with(b, hif.ParseUpdateStatus, d.handleUpdateStatus)
	case hif.OpProgress:
		if d.versions.active.Understudy {
			return with(b, hif.ParseProgress, d.handleProgress)
		}
	case hif.OpFileStatus:
		return with(b, hif.ParseFileStatus, d.handleFileStatus)
	case hif.OpFileDownloaded:
		return with(b, hif.ParseFileStatus, d.handleDownloaded)
	case hif.OpFileData:
		return with(b, hif.ParseFileData, d.handleFileData)
	case hif.OpFileErased:
		return with(b, hif.ParseFileErased, d.handleErased)
	case hif.OpUnderstudy:
		return nil // the limits, too late: those in force stay
	}
	d.stats.Unknown++
	return nil
}

// handleUpdateStatus ends a request by its type. That of an abort is not told:
// the update that it ends has its own (spec/driver-api.md 2.8).
func (d *Driver) handleUpdateStatus(m hif.UpdateStatus) {
	switch m.Type {
	case hif.UpdateDownload:
		d.updated(OTAStatus(m.Status))
	case hif.UpdateSwitch, hif.UpdateRollback:
		d.swapped(OTAStatus(m.Status))
	case hif.UpdateAbort:
	default:
		d.stats.Unknown++
	}
}

// updated is the verdict on an update, which does not run any more when the
// callback hears it. Lock held.
func (d *Driver) updated(s OTAStatus) {
	o := &d.ota
	if !o.running {
		d.stats.Stale++
		return
	}
	fn, hook := o.fn, o.hook
	o.running, o.fn, o.hook = false, nil, nil
	d.tellOTA(s, fn, hook)
}

// swapped is the verdict on a SwitchImage or Rollback. Lock held.
func (d *Driver) swapped(s OTAStatus) {
	w := &d.ota.swap
	if w.owed == 0 {
		d.stats.Stale++
		return
	}
	if w.owed--; w.owed > 0 {
		return // of a request whose slot another one has taken
	}
	fn, hook := w.fn, w.hook
	*w = swapState{}
	d.tellOTA(s, fn, hook)
}

func (d *Driver) tellOTA(s OTAStatus, fn, hook func(OTAStatus)) {
	if hook != nil {
		d.hooks = append(d.hooks, hookCall{fn: func() { hook(s) }})
	}
	if fn != nil {
		d.postClient(func() { fn(s) })
	}
}

// abortUpdates ends what is under way when the device is lost. Lock held.
func (d *Driver) abortUpdates() {
	if d.ota.running {
		d.updated(OTAFail)
	}
	if d.ota.swap.owed > 0 {
		d.ota.swap.owed = 1
		d.swapped(OTAFail)
	}
}

// handleProgress keeps one callback queued at most, which tells the newest.
func (d *Driver) handleProgress(m hif.Progress) {
	o := &d.ota
	switch {
	case !o.running:
		d.stats.Stale++
		return
	case m.Expected != 0 && m.Stored > m.Expected:
		d.stats.Short++
		return
	}
	o.told = progress{int64(m.Stored), int64(m.Expected)}
	d.hook(Notice{Kind: NoticeUpdate, Stored: o.told.stored, Expected: o.told.expected})
	if o.progress == nil || o.queued {
		return
	}
	o.queued = true
	d.postClient(func() {
		d.lock()
		fn, p := d.ota.progress, d.ota.told
		d.ota.queued = false
		d.unlock()
		if fn != nil {
			fn(p.stored, p.expected)
		}
	})
}
