package device

import (
	"fmt"
	"time"

	"github.com/understudy-net/understudy/bus"
	"github.com/understudy-net/understudy/bus/hif"
)

// EventKind says what an [Event] is about.
type EventKind uint8

// The kinds of events.
const (
	EventRequest  EventKind = iota // a HIF message from the host was taken
	EventMessage                   // a HIF message to the host was posted
	EventTaken                     // the host has fetched the posted message and said RX done
	EventRefused                   // a request for a buffer got address 0; Op and Text say which
	EventDropped                   // a request had no effect; Text says why
	EventPower                     // reset, power, CPU: Text says what
	EventFirmware                  // the firmware runs, and Text says its version and that of the host; or it is an access point
	EventFlash                     // the flash has no image to run, or fails: Text says what
	EventUpdate                    // a download failed, or a change of images: Text says why
	EventTLS                       // a handshake failed, or there is nothing to check it with: Text says why
)

// String prints the kind in a word.
func (k EventKind) String() string {
	switch k {
	case EventRequest:
		return "request"
	case EventMessage:
		return "message"
	case EventTaken:
		return "taken"
	case EventRefused:
		return "refused"
	case EventDropped:
		return "dropped"
	case EventPower:
		return "power"
	case EventFirmware:
		return "firmware"
	case EventFlash:
		return "flash"
	case EventUpdate:
		return "update"
	case EventTLS:
		return "TLS"
	}
	return fmt.Sprintf("event(%d)", uint8(k))
}

// Event is what Config.Trace is told. Payload may be read until the hook returns.
type Event struct {
	At      time.Time
	Kind    EventKind
	Op      hif.Op // of requests and messages
	Payload []byte // of requests and messages, without the header
	Text    string
}

// String prints one line: of messages direction, name, length of the payload and fields, of others a remark.
func (e Event) String() string {
	switch e.Kind {
	case EventRequest:
		return bus.MessageText(e.Op, false, len(e.Payload), e.Payload)
	case EventMessage:
		return bus.MessageText(e.Op, true, len(e.Payload), e.Payload)
	case EventTaken:
		return fmt.Sprintf("H. %v", e.Op)
	case EventRefused, EventDropped:
		return fmt.Sprintf("%v %v: %s", e.Kind, e.Op, e.Text)
	}
	return fmt.Sprintf("%v: %s", e.Kind, e.Text)
}

// trace tells the hook, if there is one. Payloads and texts are given as they are: nothing is built for nobody.
func (d *Device) trace(now time.Time, k EventKind, op hif.Op, payload []byte, text string) {
	if d.cfg.Trace != nil {
		d.cfg.Trace(Event{At: now, Kind: k, Op: op, Payload: payload, Text: text})
	}
}
