package device

import (
	"net/netip"

	"github.com/understudy-net/understudy/device/ota"
)

// UpdateState is a look at the updater.
type UpdateState struct {
	Job       string         // "none", "firmware" or "host file"
	Phase     string         // "idle", "resolving", "connecting", "securing", "asking", "receiving" or "pausing"
	URL       string         // of the job, or of the latest one
	Server    netip.AddrPort // that it is connected to
	Stored    int64          // bytes of the file that were taken
	Expected  int64          // that there are; 0: not known
	Redirects int
	Resumes   int // lost connections after which it went on

	Jobs   int       // that have ended since the firmware started
	Last   string    // how the latest one ended; "" if there was none
	Why    string    // more about that; "" if it succeeded
	Switch bool      // another image runs after the next reset
	File   *ota.File // the host file, nil if there is none
}

func (o *updates) snapshot() UpdateState {
	u := o.u.State()
	s := UpdateState{
		Job: u.Job.String(), Phase: u.Phase.String(), URL: u.URL, Server: u.Server, Stored: u.Stored, Expected: u.Expected,
		Redirects: u.Redirects, Resumes: u.Resumes, Jobs: u.Ended, Why: u.Why, Switch: o.switched(),
	}
	if u.Ended > 0 {
		s.Last = u.Last.String()
	}
	if f, err := o.u.File(); err == nil {
		s.File = &f
	}
	return s
}

// switched reports whether the control section names another image than the one that runs.
func (o *updates) switched() bool {
	c, err := o.f.d.flash.F.Control()
	return err == nil && c.Working.Offset != o.f.d.boot.Running.Offset
}

// stuck says what a job waits for.
func (o *updates) stuck(say func(string, ...any)) {
	u := o.u.State()
	switch u.Phase {
	case ota.Resolving:
		say("network: the %v has no answer about the name in %s", u.Job, u.URL)
	case ota.Connecting, ota.Securing:
		say("network: the %v waits for a connection to the server of %s", u.Job, u.URL)
	case ota.Asking:
		say("network: the %v has no answer from %v", u.Job, u.Server)
	case ota.Receiving:
		say("network: the %v waits for more from %v, after %d bytes", u.Job, u.Server, u.Stored)
	case ota.Pausing:
		say("device: the %v has lost its connection after %d bytes and will try again", u.Job, u.Stored)
	}
}
