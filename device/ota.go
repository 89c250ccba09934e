package device

import (
	"crypto/ed25519"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/device/flash"
	"github.com/understudy-net/understudy/device/image"
	"github.com/understudy-net/understudy/device/ota"
	"github.com/understudy-net/understudy/device/tls"
	"github.com/understudy-net/understudy/stack"
)

// UpdateProfile says how a device updates itself. The zero value does what the document says.
type UpdateProfile struct {
	// ErrorPages is a quirk of the real part: of the errors of a server it knows 404 alone, and stores the page of any other as
	// if it were the image (which then fails its verification).
	ErrorPages bool
	// NoDowngrade refuses images of ours that are older than the firmware that runs.
	NoDowngrade bool
	// Key refuses images that are not signed with it; nil takes all.
	Key ed25519.PublicKey

	// TrialStarts is how many starts an image that was switched to has to show that it works, which it does with the first
	// message of a host that it takes. If it has taken none in so many, the next start goes back to the image before it and marks
	// the new one invalid. 0 means that every image is believed, as the real part does; at most 255.
	TrialStarts int
	// ForeignVersion is what foreign images are said to be, whose own version nobody can read; 0 means what the control section
	// says, else Firmware of the profile.
	ForeignVersion hif.Version

	Stall   time.Duration // how long a server may say nothing; 0 means 30 s
	Overall time.Duration // how long a download may take; 0 means 15 minutes
}

// updates is the updater of the firmware, and its network: connections of the device's own, which take no socket of the host.
type updates struct {
	f *firmware
	u *ota.Updater

	notifyURL string // of NOTIF_SET_URL

	extended bool      // the host knows the extension, and is told how far an update is
	told     [2]int64  // what it was told last
	next     time.Time // when it may be told again
	queued   bool      // a message about it waits
}

// progressPause is the least time between two messages about the progress of an update.
const progressPause = 100 * time.Millisecond

func newUpdates(f *firmware) *updates {
	p := &f.d.profile
	c := ota.Config{
		Flash: f.d.flash.F, Resolve: f.dnsTimeout(), Connect: p.ConnectTimeout, Stall: p.Update.Stall, Overall: p.Update.Overall,
		Chip: p.ChipID, Key: p.Update.Key, StoreErrorPages: p.Update.ErrorPages,
	}
	if p.Update.NoDowngrade {
		c.Oldest = image.Version(f.d.revision(f.d.boot.Running).Firmware)
	}
	o := &updates{f: f}
	c.Net = o
	o.u = ota.New(c)
	return o
}

// Online implements [ota.Net]: a station that is joined and has an address. An access point has nobody to ask.
func (o *updates) Online() bool {
	return o.f.ap == nil && o.f.link.state == linkJoined && o.f.stack.Addr().IsValid()
}

// Resolve implements [ota.Net].
func (o *updates) Resolve(now time.Time, name string) error { return o.f.stack.Resolve(now, name, o) }

// CancelResolve implements [ota.Net].
func (o *updates) CancelResolve(now time.Time) { o.f.stack.CancelResolve(now, o) }

// Dial implements [ota.Net].
func (o *updates) Dial(now time.Time, to netip.AddrPort) (ota.Stream, error) {
	c, err := o.f.stack.Dial(now, netip.AddrPort{}, to)
	if err != nil {
		return nil, err
	}
	c.SetTag(o)
	return otaStream{c}, nil
}

// TLS implements [ota.Net].
func (o *updates) TLS(now time.Time) tls.Config {
	c := o.f.tlsConfig()
	c.Roots, c.Revoked, c.Expiry = o.f.roots(now), o.f.revoked, o.f.expiry
	return c
}

// otaStream is a connection of which nothing is heard after its end.
type otaStream struct{ stack.TCP }

// Close implements [ota.Stream].
func (s otaStream) Close(now time.Time) error {
	s.SetTag(nil)
	return s.TCP.Close(now)
}

// Abort implements [ota.Stream].
func (s otaStream) Abort(now time.Time) error {
	s.SetTag(nil)
	return s.TCP.Abort(now)
}

// event is what the IP host reports about the connection or the look-up.
func (o *updates) event(now time.Time, e stack.Event) {
	if e.Resolve != nil {
		o.u.Resolved(now, e.Resolve.Addrs, e.Resolve.Err)
		return
	}
	if e.Flags.Has(stack.Connected) {
		o.u.Connected(now, e.Err)
	}
	if e.Flags.Has(stack.Readable | stack.Writable | stack.Closed) {
		o.u.Ready(now)
	}
}

// drain tells the host what the updater has to say, and reports whether that was anything.
func (o *updates) drain(now time.Time) bool {
	e, ok := o.u.NextEvent()
	if !ok {
		o.progress(now)
		return false
	}
	if e.Err != nil {
		o.f.d.trace(now, EventUpdate, 0, nil, e.Err.Error())
	}
	if e.Type == hif.UpdateFile {
		event(o.f.d, hif.OpFileDownloaded, fileStatus(e.File, e.Err))
		return true
	}
	o.last(now, e)
	o.f.d.findStandby()
	event(o.f.d, hif.OpUpdateStatus, hif.UpdateStatus{Type: e.Type, Status: e.Status})
	return true
}

// progress tells a host of ours how far the update is, not too often, and never twice at a time.
func (o *updates) progress(now time.Time) {
	if o.fresh() && !o.queued && !now.Before(o.next) {
		o.report(now)
	}
}

// fresh reports whether there is anything to tell.
func (o *updates) fresh() bool {
	if !o.extended || o.u.Job() != ota.Firmware {
		return false
	}
	stored, expected := o.u.Progress()
	return o.told != [2]int64{stored, expected} && stored > 0
}

// last tells of the end of a download what was not told yet: the bar comes to its end.
func (o *updates) last(now time.Time, e ota.Event) {
	stored, expected := o.u.Progress()
	if o.extended && e.Type == hif.UpdateDownload && e.Status == hif.UpdateOK && !o.queued && o.told != [2]int64{stored, expected} {
		o.report(now)
	}
}

func (o *updates) report(now time.Time) {
	q := o.f.d.out.push(maxReplies)
	if q == nil {
		return
	}
	q.kind, q.op = entryProgress, hif.OpProgress
	o.queued, o.next = true, now.Add(progressPause)
}

// build makes the message of the moment.
func (o *updates) build(b []byte) int {
	stored, expected := o.u.Progress()
	o.queued, o.told = false, [2]int64{stored, expected}
	return len(hif.Progress{Stored: uint32(stored), Expected: uint32(expected)}.Append(b[:0]))
}

// deadline is when the updater, or the progress of what it does, is to be looked at.
func (o *updates) deadline() time.Time {
	t := o.u.Deadline()
	if o.fresh() && !o.queued {
		t = earlier(t, o.next)
	}
	return t
}

// otaRequest is group OTA. Spec hif-messages 4.
func (f *firmware) otaRequest(now time.Time, r request) {
	switch r.Op {
	case hif.OpUnderstudy:
		f.ota.extended = true
		f.extend()
	case hif.OpStartUpdate:
		m, err := hif.ParseURL(r.payload)
		f.startUpdate(now, r, ota.Request{URL: m.URL}, err)
	case hif.OpStartUpdateV2:
		m, err := hif.ParseStartUpdateV2(r.payload)
		f.startUpdate(now, r, ota.Request{URL: m.URL, SNI: m.SNI, Flags: m.Flags}, err)
	case hif.OpSwitchFirmware:
		f.ota.u.Switch(now)
	case hif.OpRollback:
		f.ota.u.Rollback(now)
	case hif.OpAbortUpdate:
		f.ota.u.Abort(now)
	case hif.OpNotifySetURL:
		parsed(f, now, r, hif.ParseURL, func(_ time.Time, m hif.URL) { f.ota.notifyURL = m.URL })
	case hif.OpNotifyCheck:
		f.checkUpdate()
	case hif.OpStartCortus:
		f.refuseUpdate(hif.UpdateDownload, hif.UpdateNoFlash) // the map has no place for images of the host's application
	case hif.OpSwitchCortus:
		f.refuseUpdate(hif.UpdateSwitch, hif.UpdateNoRollback)
	case hif.OpRollbackCortus:
		f.refuseUpdate(hif.UpdateRollback, hif.UpdateNoRollback)
	default:
		f.fileRequest(now, r)
	}
}

func (f *firmware) refuseUpdate(t hif.UpdateType, s hif.UpdateResult) {
	f.d.counters.Unsupported++
	event(f.d, hif.OpUpdateStatus, hif.UpdateStatus{Type: t, Status: s})
}

// startUpdate is START_FW_UPDATE in both forms. A request that cannot be read is one with a bad URL: the host waits for an end.
func (f *firmware) startUpdate(now time.Time, r request, q ota.Request, err error) {
	if err != nil {
		f.malformed(now, r, err.Error())
	}
	f.ota.told, f.ota.next = [2]int64{}, now
	f.ota.u.Update(now, q)
	f.d.findStandby()
}

// checkUpdate is NOTIF_CHECK_FOR_UPDATE, which no firmware has ever finished (4.2): it says what runs, and that nothing is known
// of anything better.
func (f *firmware) checkUpdate() {
	rev := f.d.revision(f.d.boot.Running)
	reply(f.d, hif.OpUpdateInfo, hif.UpdateInfo{Current: uint32(hif.MakeVersionWord(rev.Firmware, rev.MinDriver))})
}

// findStandby looks what the slot that does not run holds now, and publishes it: its version, or that there is none (4.3).
func (d *Device) findStandby() {
	if other := d.otherImage(); other != d.boot.Other {
		d.boot.Other = other
		d.writeVersionBlocks()
	}
}

func (d *Device) otherImage() flash.Found {
	b, err := d.flash.F.Look()
	switch {
	case err != nil:
		return flash.Found{}
	case b.Running.Offset != d.boot.Running.Offset: // a switch waits for the next reset
		return b.Running
	}
	return b.Other
}
