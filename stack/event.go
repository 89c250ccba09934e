package stack

import (
	"net/netip"
	"strings"
	"time"

	"github.com/understudy-net/understudy/sock"
	"github.com/understudy-net/understudy/stack/dhcp"
)

// Flags say what an Event is about. A socket has at most one event queued; news that come
// before it is fetched are added to it.
type Flags uint16

// The bits of Flags. Those that a kind of socket does not have are never set.
const (
	Readable   Flags = 1 << iota // data, the end of the stream or an error can be read; call Read until it would block
	Writable                     // a Write that was cut short may go on
	Connected                    // a dial, or a held connection that was accepted, is through; Err says if it failed
	Acceptable                   // a listener has a connection
	Held                         // a listener with Hold: a SYN waits for Accept, Refuse or Drop of Event.TCP
	Closed                       // a TCP connection is over both ways; Err is nil if it was in order
	Acked                        // the peer has acknowledged data; see TCP.Acked. Not for sockets tagged with a *sock.Conn

	Configured  // an address is ready to be used; Event.Prefix has it
	AddressLost // the address must not be used any more; Err says why
	Conflict    // somebody else uses the address; Event.MAC has it
	DHCPFailed  // no DHCP server answers; the client goes on trying
	Pong        // a ping is over; Event.Ping has the result
	Resolved    // a Resolve is over; Event.Resolve has the result
	Synced      // Sync has learnt the time; Event.Time says more
	SyncFailed  // a server of Sync gave no time; Err says why, Event.Time which; the client goes on with the next one
)

var flagNames = [...]string{"Readable", "Writable", "Connected", "Acceptable", "Held", "Closed", "Acked",
	"Configured", "AddressLost", "Conflict", "DHCPFailed", "Pong", "Resolved", "Synced", "SyncFailed"}

// String prints the names of the bits that are set.
func (f Flags) String() string {
	var s []string
	for i, n := range flagNames {
		if f&(1<<i) != 0 {
			s = append(s, n)
		}
	}
	if len(s) == 0 {
		return "0"
	}
	return strings.Join(s, "|")
}

// Has reports whether any bit of g is set.
func (f Flags) Has(g Flags) bool { return f&g != 0 }

// Event is news about a socket, or about the stack.
type Event struct {
	Tag   any   // what the owner gave to SetTag, to the configuration of a listener or to the call that is answered
	Flags Flags // what happened
	Err   error

	TCP      TCP      // for events of a connection
	UDP      UDP      // for those of a UDP socket
	Listener Listener // for those of a listener

	Address *AddressEvent  // Configured, AddressLost, Conflict; else nil
	Ping    *PingResult    // Pong; else nil
	Resolve *ResolveResult // Resolved; else nil
	Time    *TimeEvent     // Synced, SyncFailed; else nil
}

// AddressEvent says more about an event of our address.
type AddressEvent struct {
	Prefix netip.Prefix // the address that it is about
	MAC    [6]byte      // Conflict: who else has it
	Lease  *dhcp.Lease  // Configured by DHCP: all that the server said
	Kept   bool         // Conflict: we go on using the address
}

type eventKind uint8

const (
	eventTCP eventKind = iota
	eventUDP
	eventListener
	eventMisc
)

// eventRef stands in the queue for a socket; the news themselves are in the socket. Its
// generation tells whether the socket is still the one that was meant.
type eventRef struct {
	id, gen uint32
	kind    eventKind
}

// eventQueue is a queue with at most one entry per socket, so that its size is bounded by theirs.
type eventQueue struct {
	refs []eventRef
	head int
	misc []Event
}

func (q *eventQueue) pending() bool { return q.head < len(q.refs) }

func (q *eventQueue) push(r eventRef) {
	if q.head > 64 && q.head*2 > len(q.refs) {
		n := copy(q.refs, q.refs[q.head:])
		q.refs, q.head = q.refs[:n], 0
	}
	q.refs = append(q.refs, r)
}

func (q *eventQueue) pop() eventRef {
	r := q.refs[q.head]
	q.head++
	if q.head == len(q.refs) {
		q.refs, q.head = q.refs[:0], 0
	}
	return r
}

// maxMisc bounds the events that belong to no socket and were not fetched. Each answers a call or
// tells of the address, so it is not reached by anything that arrives.
const maxMisc = 4096

func (s *Stack) miscEvent(e Event) {
	if len(s.events.misc) >= maxMisc {
		return
	}
	s.events.misc = append(s.events.misc, e)
	s.events.push(eventRef{kind: eventMisc})
}

// NextEvent returns the oldest event that was not fetched yet.
func (s *Stack) NextEvent() (Event, bool) {
	for s.events.pending() {
		r := s.events.pop()
		switch r.kind {
		case eventTCP:
			if k, err := (TCP{s, r.id, r.gen}).sock(); err == nil && k.queued {
				return k.takeEvent(s), true
			}
		case eventUDP:
			if u, err := (UDP{s, r.id, r.gen}).sock(); err == nil && u.queued {
				return u.takeEvent(s), true
			}
		case eventListener:
			if l, err := (Listener{s, r.id, r.gen}).sock(); err == nil && l.queued {
				l.queued = false
				return Event{Tag: l.tag, Flags: Acceptable, Listener: Listener{s, l.id, l.gen}}, true
			}
		case eventMisc:
			e := s.events.misc[0]
			s.events.misc[0] = Event{}
			s.events.misc = s.events.misc[1:]
			return e, true
		}
	}
	return Event{}, false
}

// Pending reports whether NextEvent has something. Events of sockets that were closed meanwhile
// count until they are passed over.
func (s *Stack) Pending() bool { return s.events.pending() }

// Host is the machine that a world owns: a stack whose events go to a handler.
type Host struct {
	Stack *Stack
	// Handle gets each event, within Advance. It may call the stack; it must not block. Nil:
	// [HandleSock].
	Handle func(now time.Time, e Event)
}

// Advance does what is due and hands out events until there are none.
func (h *Host) Advance(now time.Time) {
	h.Stack.Advance(now)
	handle := h.Handle
	if handle == nil {
		handle = HandleSock
	}
	for {
		e, ok := h.Stack.NextEvent()
		if !ok {
			return
		}
		handle(now, e)
	}
}

// Deadline is that of the stack, or past while events wait.
func (h *Host) Deadline() time.Time {
	if h.Stack.events.pending() {
		h.Stack.told = 1
		return h.Stack.time(1)
	}
	return h.Stack.Deadline()
}

// HandleSock passes an event on to the adapter of package sock with which its socket is tagged, if
// it is.
func HandleSock(now time.Time, e Event) {
	switch t := e.Tag.(type) {
	case *call:
		t.event(e)
	case *sock.Conn:
		over := Closed | Connected
		t.Ready(e.Flags.Has(Readable|over), e.Flags.Has(Writable|over))
	case *sock.Listener:
		t.Ready()
	case *sock.PacketConn:
		t.Ready(e.Flags.Has(Readable), e.Flags.Has(Writable))
	case *sock.UDPConn:
		t.Ready(e.Flags.Has(Readable), e.Flags.Has(Writable))
	}
}
