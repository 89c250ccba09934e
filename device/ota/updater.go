package ota

import (
	"crypto/ed25519"
	"net/netip"
	"strconv"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/device/flash"
	"github.com/understudy-net/understudy/device/image"
)

// Config is what an [Updater] works with. Flash and Net are needed.
type Config struct {
	Flash *flash.Flash
	Net   Net

	Resolve time.Duration // to look a name up; 0: 30 s
	Connect time.Duration // for each address of the server, and for the TLS handshake; 0: 30 s
	Stall   time.Duration // without a byte of the file, and for the head of an answer; 0: 30 s
	Overall time.Duration // for all of it; 0: 15 minutes

	Chip   uint32            // images of ours that are for another one are refused; 0: none are
	Key    ed25519.PublicKey // images that are not signed with it are refused; nil: none are
	Oldest image.Version     // images of ours that are older are refused

	// StoreErrorPages does what the real part does: of the errors of a server it knows 404 alone, and takes the page of any other
	// for the file.
	StoreErrorPages bool
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		v *time.Duration
		d time.Duration
	}{{&c.Resolve, 30 * time.Second}, {&c.Connect, 30 * time.Second}, {&c.Stall, 30 * time.Second}, {&c.Overall, 15 * time.Minute}} {
		if *d.v == 0 {
			*d.v = d.d
		}
	}
	return c
}

// Job is what an updater is busy with.
type Job uint8

// The jobs.
const (
	NoJob    Job = iota
	Firmware     // a firmware image, into the inactive slot
	HostFile     // the host file
)

// String prints the job.
func (j Job) String() string {
	switch j {
	case NoJob:
		return "none"
	case Firmware:
		return "firmware"
	case HostFile:
		return "host file"
	}
	return "job(" + strconv.Itoa(int(j)) + ")"
}

// Event is the end of a request of the host.
type Event struct {
	Type   hif.UpdateType
	Status hif.UpdateResult
	Err    error // why; nil is success
	File   File  // of hif.UpdateFile that succeeded
}

// State is a look at an updater.
type State struct {
	Job              Job
	Phase            Phase
	URL              string // of the job, or of the latest one
	Server           netip.AddrPort
	Stored, Expected int64 // bytes of the file; Expected is 0 while it is not known
	Redirects        int
	Resumes          int // connections that were lost, and what they had brought kept
	Ended            int // jobs since the firmware started

	Last hif.UpdateResult // how the latest job ended, if one did
	Why  string           // in words; "": it succeeded
}

// Updater is the machine. Make one with [New].
type Updater struct {
	c     Config
	fetch fetcher
	job   Job
	slot  slot
	file  fileSink

	events []Event
	state  State // what stays of the latest job
}

// New makes an updater that does nothing yet.
func New(c Config) *Updater {
	c = c.withDefaults()
	return &Updater{c: c, fetch: fetcher{c: c, net: c.Net}}
}

// NextEvent returns the next end of a request. The owner asks after each call until there is none.
func (u *Updater) NextEvent() (Event, bool) {
	if len(u.events) == 0 {
		return Event{}, false
	}
	e := u.events[0]
	u.events = append(u.events[:0], u.events[1:]...)
	return e, true
}

func (u *Updater) tell(t hif.UpdateType, err error) {
	u.events = append(u.events, Event{Type: t, Status: Result(err), Err: err})
}

// Busy reports whether a job runs.
func (u *Updater) Busy() bool { return u.job != NoJob }

// Update begins to download a firmware image into the inactive slot. Whatever that held is invalid from now on, also if nothing
// comes of it (driver-api 2.8). One event follows, of hif.UpdateDownload.
func (u *Updater) Update(now time.Time, r Request) {
	if u.Busy() {
		u.tell(hif.UpdateDownload, &Error{hif.UpdateBusy, errBusy})
		return
	}
	u.begin(Firmware, r)
	if err := u.slot.open(&u.c); err != nil {
		u.finish(now, err)
		return
	}
	u.fetch.start(now, r, &u.slot)
	u.look(now)
}

// Download begins to download the host file, in place of the one that is there. One event follows, of hif.UpdateFile.
func (u *Updater) Download(now time.Time, r Request) {
	if u.Busy() {
		u.tell(hif.UpdateFile, &Error{hif.UpdateInProgress, errBusy})
		return
	}
	u.begin(HostFile, r)
	if err := u.file.open(u.c.Flash); err != nil {
		u.finish(now, err)
		return
	}
	u.fetch.start(now, r, &u.file)
	u.look(now)
}

func (u *Updater) begin(j Job, r Request) {
	u.job = j
	u.state = State{URL: r.URL, Ended: u.state.Ended, Last: u.state.Last, Why: u.state.Why}
}

// Abort ends the job that runs: its event says aborted, and then comes that of the abort. Without a job the abort fails
// (hif-messages 4.3).
func (u *Updater) Abort(now time.Time) {
	if !u.Busy() {
		u.tell(hif.UpdateAbort, &Error{hif.UpdateFailed, errIdle})
		return
	}
	u.fetch.end(now, &Error{hif.UpdateAborted, errAborted})
	u.look(now)
	u.tell(hif.UpdateAbort, nil)
}

// Switch makes the image in the inactive slot the one that runs after the next reset, if it is a good one; and the one that
// runs the one to go back to. Its event is of hif.UpdateSwitch.
func (u *Updater) Switch(time.Time) { u.tell(hif.UpdateSwitch, u.swap()) }

// Rollback does the same; its event is of hif.UpdateRollback.
func (u *Updater) Rollback(time.Time) { u.tell(hif.UpdateRollback, u.swap()) }

func (u *Updater) swap() error {
	if u.Busy() {
		return &Error{hif.UpdateInProgress, errBusy}
	}
	return swap(u.c.Flash)
}

// Resolved is told the result of Net.Resolve.
func (u *Updater) Resolved(now time.Time, addrs []netip.Addr, err error) {
	u.fetch.resolved(now, addrs, err)
	u.look(now)
}

// Connected is told how Net.Dial went.
func (u *Updater) Connected(now time.Time, err error) {
	u.fetch.connected(now, err)
	u.look(now)
}

// Ready is told that the stream of Net.Dial became readable or writable, or has ended.
func (u *Updater) Ready(now time.Time) {
	u.fetch.ready(now)
	u.look(now)
}

// Offline is told that the link or the address is gone.
func (u *Updater) Offline(now time.Time) {
	u.fetch.offline(now)
	u.look(now)
}

// Stop ends what runs without a word: the chip is reset. What was stored stays invalid.
func (u *Updater) Stop(now time.Time) {
	u.fetch.hangUp(now, false)
	u.fetch = fetcher{c: u.c, net: u.c.Net}
	u.job, u.events = NoJob, nil
}

// Advance does what is due.
func (u *Updater) Advance(now time.Time) {
	u.fetch.advance(now)
	u.look(now)
}

// Deadline says when Advance is needed next; zero: not before somebody calls.
func (u *Updater) Deadline() time.Time { return u.fetch.deadline() }

// look sees whether the download is over.
func (u *Updater) look(now time.Time) {
	if u.job == NoJob {
		return
	}
	if err, over := u.fetch.finished(); over {
		u.finish(now, err)
	}
}

// finish is the end of a job, which the host hears of once.
func (u *Updater) finish(_ time.Time, err error) {
	s := u.State()
	s.Job, s.Phase, s.Server = NoJob, Idle, netip.AddrPort{}
	s.Last, s.Ended, s.Why = Result(err), s.Ended+1, ""
	if err != nil {
		s.Why = err.Error()
	}
	t, file := hif.UpdateDownload, File{}
	if u.job == HostFile {
		t, file = hif.UpdateFile, u.file.done
	}
	u.job, u.state, u.slot, u.file = NoJob, s, slot{}, fileSink{}
	u.events = append(u.events, Event{Type: t, Status: s.Last, Err: err, File: file})
}

// State looks at the updater.
func (u *Updater) State() State {
	s := u.state
	if u.job == NoJob {
		return s
	}
	f := &u.fetch
	s.Job, s.Phase = u.job, f.phase
	s.Stored, s.Expected = u.Progress()
	s.Redirects, s.Resumes = f.redirects, f.resumes
	if f.stream != nil {
		s.Server = f.stream.RemoteAddr()
	}
	return s
}

// Job is the job that runs, NoJob if there is none. Unlike State it costs nothing.
func (u *Updater) Job() Job { return u.job }

// Progress is how many bytes of the file are stored, and how many there are; 0 while that is not known.
func (u *Updater) Progress() (stored, expected int64) {
	if u.job == NoJob {
		return u.state.Stored, u.state.Expected
	}
	if stored, expected = u.fetch.offset, u.fetch.total; expected < 0 {
		expected = 0
		if u.job == Firmware {
			expected = u.slot.expected()
		}
	}
	return stored, expected
}
