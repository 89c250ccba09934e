package user

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/wire"
)

// An Event tells of one flow of a device that was not carried.
type Event struct {
	At     time.Time // on the world's clock
	Proto  wire.Proto
	Src    netip.AddrPort // the device; port 0 with ICMP
	Dst    netip.AddrPort // where it wanted to go
	Reason Reason
	Err    error // what the host said, if it was asked
}

// String prints the event as one line, without its time.
func (e Event) String() string {
	s := fmt.Sprintf("%v %v > %v: %v", e.Proto, endpoint(e.Src), endpoint(e.Dst), e.Reason)
	if e.Err != nil {
		s += fmt.Sprintf(" (%v)", e.Err)
	}
	return s
}

// endpoint prints an address, with its port if it has one.
func endpoint(a netip.AddrPort) string {
	if a.Port() == 0 {
		return a.Addr().String()
	}
	return a.String()
}

// Limits of what is told: a device that knocks on a closed door all day says it once in a while.
const (
	toldSlots = 64               // flows remembered as told
	toldAgain = 10 * time.Second // and for how long
	eventsMax = 256              // events that wait for Config.Log
)

// A told remembers that a refusal has been reported.
type told struct {
	proto  wire.Proto
	src    netip.Addr
	dst    netip.AddrPort
	reason Reason
	at     time.Time
}

// A reporter hands events to Config.Log on a goroutine of its own, because Log may write to a terminal that is slow
// and the world's lock is held where things are refused.
type reporter struct {
	events  chan Event // nil: nobody listens
	told    [toldSlots]told
	next    int
	dropped uint64
}

// report queues e, unless the same was told a moment ago. The world's lock is held.
func (r *reporter) report(e Event) {
	if r.events == nil || r.repeated(e) {
		return
	}
	select {
	case r.events <- e:
	default:
		r.dropped++
	}
}

func (r *reporter) repeated(e Event) bool {
	t := told{e.Proto, e.Src.Addr(), e.Dst, e.Reason, e.At}
	for i := range r.told {
		old := &r.told[i]
		if old.proto == t.proto && old.src == t.src && old.dst == t.dst && old.reason == t.reason {
			again := e.At.Sub(old.at) >= toldAgain
			if again {
				old.at = e.At
			}
			return !again
		}
	}
	r.told[r.next] = t
	r.next = (r.next + 1) % toldSlots
	return false
}

// refuse counts and tells that a flow was not carried.
func (u *Uplink) refuse(e Event) {
	u.stats.Refused[e.Reason]++
	u.reporter.report(e)
}
