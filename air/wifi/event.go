package wifi

import (
	"fmt"
	"time"

	"github.com/understudy-net/understudy/wire"
)

// EventKind says what happened to a station.
type EventKind uint8

// The events of a station.
const (
	EventScanDone     EventKind = iota + 1 // Station.Results has the networks
	EventJoined                            // associated, keys in place: Send works
	EventJoinFailed                        // Reason says why
	EventLeft                              // was joined and is no longer; Reason says why
	EventRoamed                            // joined with another access point of the network, Network; see SetRoaming
	EventEnrolled                          // Network and Key are what StartWPS was for
	EventEnrollFailed                      // Reason says why
)

// String prints "scan done", "joined", "join failed", "left", "roamed", "enrolled" or "enrolment failed".
func (k EventKind) String() string {
	switch k {
	case EventScanDone:
		return "scan done"
	case EventJoined:
		return "joined"
	case EventJoinFailed:
		return "join failed"
	case EventLeft:
		return "left"
	case EventRoamed:
		return "roamed"
	case EventEnrolled:
		return "enrolled"
	case EventEnrollFailed:
		return "enrolment failed"
	}
	return fmt.Sprintf("event(%d)", uint8(k))
}

// Reason says why a join failed or ended.
type Reason uint8

// The reasons. In brackets the error of the host interface that fits (spec/driver-api.md, 2.2).
const (
	ReasonNone                 Reason = iota
	ReasonLocal                       // Leave, or a Join of another network (0)
	ReasonDeauthenticated             // the access point said so; Code has its reason (0)
	ReasonBeaconLost                  // the access point is not heard any more (0)
	ReasonNoAP                        // no such network on the channels searched (1)
	ReasonSecurityMismatch            // the network is there with another security than asked for (2)
	ReasonNoAnswer                    // the access point was found and then did not answer (2)
	ReasonAuthenticationFailed        // wrong passphrase, or the handshake did not end in time (3)
	ReasonAssociationFailed           // refused; Status says why, for example that the access point is full (4)
	ReasonWPSOverlap                  // more than one button was pushed
	ReasonWPSPIN                      // the access point was told another PIN
)

// String prints the reason in words.
func (r Reason) String() string {
	switch r {
	case ReasonNone:
		return "none"
	case ReasonLocal:
		return "local"
	case ReasonDeauthenticated:
		return "deauthenticated"
	case ReasonBeaconLost:
		return "beacon lost"
	case ReasonNoAP:
		return "no access point found"
	case ReasonSecurityMismatch:
		return "security mismatch"
	case ReasonNoAnswer:
		return "no answer"
	case ReasonAuthenticationFailed:
		return "authentication failed"
	case ReasonAssociationFailed:
		return "association failed"
	case ReasonWPSOverlap:
		return "more than one button was pushed"
	case ReasonWPSPIN:
		return "the PIN is another"
	}
	return fmt.Sprintf("reason(%d)", uint8(r))
}

// Event is something that happened to a station.
type Event struct {
	Kind    EventKind
	Reason  Reason     // of EventJoinFailed and EventLeft
	Code    ReasonCode // that the access point gave, if it did
	Status  StatusCode // likewise
	Network Network    // concerned, as far as it is known
	Key     string     // of EventEnrolled: the passphrase, or 64 hexadecimal digits; "" of an open network
}

// String prints one line.
func (e Event) String() string {
	switch e.Kind {
	case EventScanDone:
		return e.Kind.String()
	case EventJoined, EventRoamed, EventEnrolled:
		return fmt.Sprintf("%v %v", e.Kind, e.Network)
	}
	s := fmt.Sprintf("%v %q: %v", e.Kind, e.Network.SSID, e.Reason)
	if e.Code != 0 {
		s += fmt.Sprintf(" (%v)", e.Code)
	}
	if e.Status != StatusSuccess {
		s += fmt.Sprintf(" (%v)", e.Status)
	}
	return s
}

// APEventKind says what happened at an access point.
type APEventKind uint8

// The events of an access point.
const (
	StationJoined   APEventKind = iota + 1 // associated, handshake done
	StationLeft                            // had joined and is gone
	StationEnrolled                        // was handed the network over, see PushButton
)

// String prints "station joined", "station left" or "station enrolled".
func (k APEventKind) String() string {
	switch k {
	case StationJoined:
		return "station joined"
	case StationLeft:
		return "station left"
	case StationEnrolled:
		return "station enrolled"
	}
	return fmt.Sprintf("event(%d)", uint8(k))
}

// APEvent is something that happened at an access point.
type APEvent struct {
	Kind APEventKind
	MAC  wire.MAC
	Code ReasonCode // of StationLeft: what was said, by either side
}

// String prints one line.
func (e APEvent) String() string {
	if e.Kind == StationLeft {
		return fmt.Sprintf("%v %v (%v)", e.Kind, e.MAC, e.Code)
	}
	return fmt.Sprintf("%v %v", e.Kind, e.MAC)
}

// maxEvents bounds a queue that nobody reads; then the oldest makes room.
const maxEvents = 256

// events is the queue of a machine. It makes the machine due once for what was put in since its last Advance, and not
// again: an owner that never reads events is not kept busy.
type events[E any] struct {
	handle func(now time.Time, e E) // nil: read with NextEvent
	list   []E
	since  time.Time // of the first event since the last drain; zero: none
	lost   uint64
}

func (q *events[E]) put(now time.Time, e E) {
	if len(q.list) >= maxEvents {
		q.list = append(q.list[:0], q.list[1:]...)
		q.lost++
	}
	q.list = append(q.list, e)
	if q.since.IsZero() {
		q.since = now
	}
}

func (q *events[E]) next() (e E, ok bool) {
	if len(q.list) == 0 {
		return e, false
	}
	e = q.list[0]
	q.list = append(q.list[:0], q.list[1:]...)
	if len(q.list) == 0 {
		q.list = nil // they are rare: hold no memory for them
	}
	return e, true
}

// drain gives the events that are there to the handler; those that come of it wait for the next Advance.
func (q *events[E]) drain(now time.Time) {
	q.since = time.Time{}
	if q.handle == nil {
		return
	}
	for n := len(q.list); n > 0; n-- {
		e, ok := q.next()
		if !ok {
			return
		}
		q.handle(now, e)
	}
}

// earliest returns the earlier of two deadlines, of which zero is none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// due reports whether the deadline t has come.
func due(t, now time.Time) bool { return !t.IsZero() && !t.After(now) }
