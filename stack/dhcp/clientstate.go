package dhcp

import (
	"errors"
	"fmt"
)

// State is where a client stands in figure 5 of RFC 2131.
type State uint8

// The states of a client. Stopped is ours: not asked to do anything.
const (
	StateStopped State = iota
	StateInit
	StateSelecting
	StateRequesting
	StateRebooting
	StateBound
	StateRenewing
	StateRebinding
)

var stateNames = [...]string{"STOPPED", "INIT", "SELECTING", "REQUESTING", "REBOOTING", "BOUND", "RENEWING", "REBINDING"}

// String prints the name that RFC 2131 uses.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// EventKind says what happened to a client's lease.
type EventKind uint8

// What happens to leases.
const (
	// EventBound: there is a new lease. Check its address by ARP, then use it.
	EventBound EventKind = 1 + iota
	// EventRenewed: the lease of the same address runs longer; other values may have changed.
	EventRenewed
	// EventLost: the lease expired or was refused; stop using its address at once.
	EventLost
	// EventFailed: nobody answers. Sent once while there is no lease, and once while a lease
	// runs on that could not be renewed till T2. The client keeps trying.
	EventFailed
)

// String prints the kind.
func (k EventKind) String() string {
	switch k {
	case EventBound:
		return "bound"
	case EventRenewed:
		return "renewed"
	case EventLost:
		return "lost"
	case EventFailed:
		return "failed"
	}
	return fmt.Sprintf("event(%d)", uint8(k))
}

// Event is something that the owner of a client wants to know. Lease is the one it is about: new, renewed or lost;
// zero with EventFailed when there is none. Err says why for EventLost and EventFailed.
type Event struct {
	Kind  EventKind
	Lease Lease
	Err   error
}

// Why a lease was lost or not had.
var (
	ErrExpired  = errors.New("dhcp: lease expired")
	ErrRefused  = errors.New("dhcp: server refused the address (DHCPNAK)")
	ErrNoAnswer = errors.New("dhcp: no server answers")
)
