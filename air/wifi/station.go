package wifi

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/wire"
)

// StationConfig configures a [Station].
type StationConfig struct {
	Air  *air.Air    // required
	MAC  wire.MAC    // required: the station's address, not a group
	Rand rand.Source // required: nonces come from it

	// Output is given each Ethernet frame for the host above, which may read it until it returns. It is called
	// from within the air's Advance. Nil discards them.
	Output func(now time.Time, eth []byte)

	// Handle, when set, is given each event, from Advance; it may call the station. Otherwise read them with NextEvent.
	Handle func(now time.Time, e Event)

	// Touch, when set, is called when the deadline may have moved: by calls, and by frames that arrive.
	// A world's owner sets it to the Touch of the slot.
	Touch func()

	// PMKs remembers derived keys; share one between machines of one owner. Nil: each station derives its own.
	PMKs *PMKCache

	// BeaconTimeout is how long a joined station hears nothing from its access point before it has left; 0 means
	// 2.5 s. It is never less than ten beacon intervals.
	BeaconTimeout time.Duration
}

// State is where a station stands.
type State uint8

// The states of a station, in the order of joining.
const (
	StateIdle           State = iota // may be scanning
	StateFinding                     // looks for the access point
	StateAuthenticating              // open system authentication
	StateAssociating
	StateHandshake // WPA2: the 4-way handshake
	StateJoined
)

// String prints the state in a word.
func (s State) String() string {
	switch s {
	case StateIdle:
		return "idle"
	case StateFinding:
		return "finding"
	case StateAuthenticating:
		return "authenticating"
	case StateAssociating:
		return "associating"
	case StateHandshake:
		return "handshake"
	case StateJoined:
		return "joined"
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// Station is one Wi-Fi station.
//
//	        Join          found            answered           accepted
//	idle ─────────▶ finding ──▶ authenticating ──▶ associating ──┬──▶ handshake ──▶ joined
//	  ▲                │              │                 │         │ open   │           ▲ │
//	  │                │              │                 │         └────────┼───────────┘ │
//	  └────────────────┴──────────────┴─────────────────┴──────────────────┴─────────────┘
//	     no network, no answer, refused, wrong key; Leave; deauthenticated, beacons lost
//
// Scans run beside it, with a receiver of their own: they disturb neither a join nor the traffic.
type Station struct {
	cfg    StationConfig
	port   *air.Port // tuned from authentication on
	state  State
	events events[Event]
	counts StationCounters

	scan    scanner   // of Scan
	results []Network // of the last Scan
	find    scanner   // of Join

	roaming bool
	attempt attempt    // from finding to handshake
	network Network    // from authenticating on
	keys    supplicant // from handshake on
	member  membership // joined

	buf []byte // of the message that is being sent
}

// NewStation makes a station that is idle and hears nothing.
func NewStation(c StationConfig) (*Station, error) {
	switch {
	case c.Air == nil:
		return nil, errors.New("wifi: a station needs StationConfig.Air")
	case c.Rand == nil:
		return nil, errors.New("wifi: a station needs StationConfig.Rand")
	case c.MAC.IsZero() || c.MAC.IsMulticast():
		return nil, fmt.Errorf("wifi: %v is not the address of a station", c.MAC)
	}
	if c.PMKs == nil {
		c.PMKs = &PMKCache{Max: 4}
	}
	if c.BeaconTimeout <= 0 {
		c.BeaconTimeout = defaultBeaconTimeout
	}
	s := &Station{cfg: c}
	s.events.handle = c.Handle
	s.scan.s, s.find.s = s, s
	s.port = c.Air.NewPort(c.MAC, s.receive)
	s.port.SetChannel(air.ChannelOff)
	return s, nil
}

// wake says that the deadline may have moved.
func (s *Station) wake() {
	if s.cfg.Touch != nil {
		s.cfg.Touch()
	}
}

// MAC returns the address of the station.
func (s *Station) MAC() wire.MAC { return s.cfg.MAC }

// SetMAC gives the station another address. It leaves its network first, if it is in one.
func (s *Station) SetMAC(now time.Time, mac wire.MAC) error {
	if mac.IsZero() || mac.IsMulticast() {
		return fmt.Errorf("%w: %v is not the address of a station", ErrInvalid, mac)
	}
	if mac == s.cfg.MAC {
		return nil
	}
	s.Leave(now)
	s.cfg.MAC = mac
	for _, p := range []*air.Port{s.port, s.scan.port, s.find.port} {
		if p != nil {
			p.SetMAC(mac)
		}
	}
	return nil
}

// Scan looks for networks, and ends with EventScanDone; a scan always ends. ErrBusy while one is running; a join that is
// looking for its network does not count. Errors wrap ErrInvalid for parameters out of range.
func (s *Station) Scan(now time.Time, p ScanParams) error {
	if s.scan.running() {
		return ErrBusy
	}
	if err := p.normalize(); err != nil {
		return err
	}
	s.results = nil
	s.scan.start(now, p)
	return nil
}

// Scanning reports whether a scan is running.
func (s *Station) Scanning() bool { return s.scan.running() }

// Results returns the networks of the last scan, the strongest first, at most MaxResults. The slice stays as it is and
// must not be changed; it is nil while a scan is running.
func (s *Station) Results() []Network { return s.results }

// State returns where the station stands.
func (s *Station) State() State { return s.state }

// Joined reports whether Send would send.
func (s *Station) Joined() bool { return s.state == StateJoined }

// Network returns the network that the station is in or is joining; the zero value when there is none.
func (s *Station) Network() Network {
	if s.state < StateAuthenticating {
		return Network{}
	}
	n := s.network
	n.RSSI = s.RSSI()
	return n
}

// BSSID returns the address of the access point; zero unless joined.
func (s *Station) BSSID() wire.MAC {
	if s.state != StateJoined {
		return wire.MAC{}
	}
	return s.network.BSSID
}

// RSSI returns the strength in dBm at which the access point was last heard; 0 when there is none.
func (s *Station) RSSI() int8 {
	switch {
	case s.state == StateJoined:
		return s.member.rssi
	case s.state >= StateAuthenticating:
		return s.network.RSSI
	}
	return 0
}

// Counters returns what was counted so far.
func (s *Station) Counters() StationCounters {
	c := s.counts
	c.EventsLost = s.events.lost
	return c
}

// NextEvent returns the next event, and false when there is none. The queue holds 256; then the oldest is lost.
func (s *Station) NextEvent() (Event, bool) { return s.events.next() }

func (s *Station) emit(now time.Time, e Event) {
	s.events.put(now, e)
	s.wake()
}

// Deadline says when Advance is next needed; zero means never. It is past when there are new events.
func (s *Station) Deadline() time.Time {
	d := earliest(s.events.since, s.scan.next)
	d = earliest(d, s.find.next)
	d = earliest(d, s.attempt.next)
	d = earliest(d, s.member.check)
	return earliest(d, s.member.keepAlive)
}

// Advance does what is due: steps of scans, repetitions, time-outs, events for Handle.
func (s *Station) Advance(now time.Time) {
	if s.scan.advance(now) {
		s.results = s.scan.results
		s.emit(now, Event{Kind: EventScanDone})
	}
	if s.find.advance(now) {
		s.searched(now)
	}
	if due(s.attempt.next, now) {
		s.overdue(now)
	}
	if due(s.member.check, now) {
		s.checkBeacons(now)
	}
	if due(s.member.keepAlive, now) {
		s.keepAlive(now)
	}
	s.events.drain(now)
}

// Close leaves without an event and takes the station off the air for good.
func (s *Station) Close(now time.Time) {
	s.Leave(now)
	s.scan.stop()
	for _, p := range []*air.Port{s.port, s.scan.port, s.find.port} {
		if p != nil {
			p.Close()
		}
	}
	s.events.list, s.events.since = nil, time.Time{}
	s.wake()
}
