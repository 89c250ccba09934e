package device

import (
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/stack"
)

// The device keeps its clock by SNTP unless the host says otherwise: from the moment on in which there is an address, and once a
// day. Spec driver-api 2.9, hif-messages 2.15.

// Servers of the real part.
const (
	defaultTimeServer = "time.nist.gov" // before a host names another
	lastTimeServer    = "pool.ntp.org"  // when the first one does not answer
)

// timeSync is what the host has configured, until the next reset.
type timeSync struct {
	off    bool
	server string // in place of defaultTimeServer; "": that one
	noDHCP bool   // pass over the servers that the lease names; before the host has said anything they come first
}

// timeTag marks events about the time.
type timeTag struct{}

// enableSNTP is ENABLE_SNTP_CLIENT and DISABLE_SNTP_CLIENT. The time that is known stays known.
func (f *firmware) enableSNTP(now time.Time, on bool) {
	f.sntp.off = !on
	f.syncTime(now)
}

// configSNTP is CONFIG_SNTP. It takes effect at once (driver-api 6, question 12). An empty name leaves the server as it
// is: hosts that only want to say something about DHCP send one.
func (f *firmware) configSNTP(now time.Time, m hif.SNTPConfig) {
	if m.Server == "*" { // nothing that the digits could stand before
		f.d.counters.Malformed++
		return
	}
	if m.Server != "" {
		f.sntp.server = m.Server
	}
	f.sntp.noDHCP = !m.DHCP
	f.syncTime(now)
}

// syncTime has the IP host do what is configured.
func (f *firmware) syncTime(now time.Time) {
	c := &f.sntp
	if c.off {
		f.stack.StopSync(now)
		return
	}
	first := c.server
	if first == "" {
		first = defaultTimeServer
	}
	err := f.stack.Sync(now, stack.SyncConfig{
		Servers: []string{first, lastTimeServer}, DHCP: !c.noDHCP, Tag: timeTag{},
	})
	if err != nil {
		f.d.trace(now, EventDropped, hif.OpConfigSNTP, nil, err.Error())
	}
}

// timeEvent sets the clock by what a server said. Hosts hear of it unasked, but for those that would write the answer to a question that nobody
// has asked to a stray address (hif-messages 7.6).
func (f *firmware) timeEvent(now time.Time, e stack.Event) {
	if !e.Flags.Has(stack.Synced) {
		return // the next server's turn comes by itself
	}
	f.clock = clock{at: now, utc: now.Add(e.Time.Offset).UTC().Round(0), source: e.Time.Name}
	if f.host >= hif.V19_5_4 {
		reply(f.d, hif.OpSysTime, hif.MakeSysTime(f.clock.now(now)))
	}
}
