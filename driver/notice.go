package driver

import "time"

// NoticeKind is the kind of a Notice.
type NoticeKind uint8

// The kinds, with the fields of Notice that they use.
const (
	NoticeState      NoticeKind = iota + 1 // the driver or the client opened, closed or failed; the Soft-AP started or ended
	NoticeConn                             // Conn: what the callback of Connect is told; N 1: another attempt still runs
	NoticeIP                               // IP: what the callback of OnIP is told
	NoticeScanDone                         // N results, or Err
	NoticeScanResult                       // Scan, N its number from 1
	NoticeAssoc                            // Assoc
	NoticeRSSI                             // N: dBm
	NoticeTime                             // Time; zero: the device does not know it
	NoticeUpdate                           // Stored and Expected: what OnUpdateProgress is told
	NoticeProvision                        // Network: what Provisioning.Done is told
	NoticeWPS                              // Network: what the callback of StartWPS is told; ErrWPS also after StopWPS
	NoticeFile                             // what FindFile has asked the device for is known
)

// Notice tells a layer above what happened besides socket events.
type Notice struct {
	Kind  NoticeKind
	N     int
	Err   error
	Conn  ConnEvent
	IP    IPEvent
	Scan  ScanResult
	Assoc AssocInfo
	Time  time.Time

	Network NetworkEvent

	Stored, Expected int64
}

// Hook registers the layer above, of which there is one: fn is told of every
// change at the moment in which the state of the driver has it, before the
// callbacks. It runs on the pump, or in the call that closes, with no lock of
// the driver held, and must not block. It outlives clients; nil unregisters.
func (d *Driver) Hook(fn func(Notice)) {
	d.lock()
	d.onNotice = fn
	d.unlock()
}

// hook queues a notice for flush. Lock held.
func (d *Driver) hook(n Notice) {
	if d.onNotice != nil {
		d.hooks = append(d.hooks, hookCall{notice: &n})
	}
}

// notify tells the layer above at once. Lock not held.
func (d *Driver) notify(n Notice) {
	d.lock()
	fn := d.onNotice
	d.unlock()
	if fn != nil {
		fn(n)
	}
}
