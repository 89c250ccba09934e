package tcp

import (
	"fmt"
	"time"
)

// Instant is a point in time in nanoseconds since an origin that the owner chooses, such that all
// instants are greater than 0. The zero value means never.
type Instant int64

// Add returns the instant d after i.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d) }

// Sub returns the time from j to i.
func (i Instant) Sub(j Instant) time.Duration { return time.Duration(i - j) }

// State is the state of a connection (RFC 9293, 3.3.2).
type State uint8

// The states, in the RFC's order. LISTEN belongs to the owner of connections and no [Conn] is
// ever in it.
const (
	StateClosed State = iota
	StateListen
	StateSynSent
	StateSynReceived
	StateEstablished
	StateFinWait1
	StateFinWait2
	StateCloseWait
	StateClosing
	StateLastAck
	StateTimeWait
)

var stateNames = [...]string{"CLOSED", "LISTEN", "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED",
	"FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING", "LAST-ACK", "TIME-WAIT"}

// String prints the state as the RFC writes it.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// synchronized reports whether both sides have agreed on sequence numbers (RFC 9293, 3.5.2, group
// 3).
func (s State) synchronized() bool { return s >= StateEstablished }

// receives reports whether data may still arrive in s.
func (s State) receives() bool {
	return s == StateEstablished || s == StateFinWait1 || s == StateFinWait2
}

// sends reports whether the user's data may be on its way in s.
func (s State) sends() bool {
	switch s {
	case StateEstablished, StateCloseWait, StateFinWait1, StateClosing, StateLastAck:
		return true
	}
	return false
}

// Cause says why a connection ended other than by an orderly close.
type Cause uint8

// The causes.
const (
	CauseNone        Cause = iota
	CauseReset             // the peer reset it
	CauseRefused           // the peer answered SYN with RST
	CauseTimeout           // nobody answered within R2 or the user timeout (RFC 9293, 3.8.3)
	CauseAborted           // we reset it ourselves
	CauseUnreachable       // the network said that the peer cannot be reached
)

var causeNames = [...]string{"none", "reset", "refused", "timeout", "aborted", "unreachable"}

// String names the cause.
func (c Cause) String() string {
	if int(c) < len(causeNames) {
		return causeNames[c]
	}
	return fmt.Sprintf("cause(%d)", uint8(c))
}

// Change says what Input, Advance or a call of the user brought about; its bits are news for the
// user of the connection.
type Change uint16

// The bits of a Change.
const (
	Connected Change = 1 << iota // the handshake is over
	Readable                     // data or the end of the stream can be read
	Writable                     // a Write that was cut short may go on
	Acked                        // bytes were acknowledged
	Closed                       // no longer alive: the state is CLOSED, Cause says why
	Suspect                      // R1 was passed: the way to the peer is in doubt (RFC 9293, 3.8.3)
	Dropped                      // the segment was not acceptable
)
