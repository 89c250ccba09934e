package wifi

import (
	"fmt"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/wire"
)

// How long a station tries. Each step is repeated often enough to get through a link that loses a fifth of its frames.
const (
	findPasses     = 3                // searches of all channels, each slower than the one before
	joinTries      = 10               // authentication and association requests
	joinRestarts   = 3                // times that association may fall back to authentication
	handshakeLimit = 10 * time.Second // from association to keys in place

	listenInterval = 10 // beacons; said in the association request
)

// findSlots are the times of a slot in each search: the first is quick, the last waits for more than a beacon interval.
var findSlots = [findPasses]time.Duration{20 * time.Millisecond, 40 * time.Millisecond, 120 * time.Millisecond}

// retryAfter is the time from a request to its repetition: 100 ms at first, 400 ms in the end.
func retryAfter(tries int) time.Duration {
	return min(100*time.Millisecond<<(tries/2), 400*time.Millisecond)
}

// JoinParams says which network to join.
type JoinParams struct {
	SSID    string   // up to 32 bytes; empty: by BSSID alone
	BSSID   wire.MAC // zero: the strongest with this SSID
	Channel uint8    // 1 to 14; 0 or 255: any that Channels allows

	Channels uint16 // bit n-1 allows channel n; 0 allows all

	// Security is Open or WPA2PSK; 0 means WPA2PSK if there is a passphrase or a PMK, else Open. The network
	// must have it.
	Security Security

	Passphrase string // 8 to 63 bytes, or 64 hexadecimal digits
	PMK        PMK    // instead of a passphrase; zero: none
}

// attempt is a join that is going on.
type attempt struct {
	p        JoinParams
	pass     int       // of finding
	tries    int       // of the request of this step
	restarts int       // of authentication
	next     time.Time // repetition or time-out; zero while finding

	wps *enrolling // not nil: it is to come to a network by Wi-Fi Protected Setup

	roam   Event // not zero: it is to find another access point of our network, and what has happened if it does not
	sought bool  // with a search of its own
	avoid  wire.MAC
}

// Join joins a network and ends with EventJoined or EventJoinFailed: within seconds, whatever the other side does. A
// station that has joined another network leaves it first (EventLeft, ReasonLocal). A passphrase of a length that no
// network has ends as a wrong one does, with ReasonAuthenticationFailed. Errors, after which nothing has changed and no
// event follows: ErrBusy while a join is going on, ErrUnsupported for WEP and 802.1X, and those that wrap ErrInvalid.
func (s *Station) Join(now time.Time, p JoinParams) error {
	if s.state != StateIdle && s.state != StateJoined {
		return ErrBusy
	}
	if p.Security == 0 {
		p.Security = Open
		if p.Passphrase != "" || p.PMK != (PMK{}) {
			p.Security = WPA2PSK
		}
	}
	search, err := p.search()
	if err != nil {
		return err
	}
	if s.state == StateJoined {
		s.sayGoodbye(now, CodeLeavingDeauth)
		s.left(now, ReasonLocal, 0)
	}
	s.attempt = attempt{p: p}
	s.state = StateFinding
	if p.Security == WPA2PSK && p.PMK == (PMK{}) && !passphraseFits(p.Passphrase) {
		s.fail(now, Event{Reason: ReasonAuthenticationFailed})
		return nil
	}
	search.SlotTime = findSlots[0]
	s.find.start(now, search)
	return nil
}

// search checks p and turns it into the parameters of a scan.
func (p *JoinParams) search() (ScanParams, error) {
	search := ScanParams{Channel: p.Channel, Channels: p.Channels, only: true, mac: p.BSSID}
	switch p.Security {
	case Open, WPA2PSK:
	case WEP, Enterprise:
		return search, fmt.Errorf("%w (asked for %v)", ErrUnsupported, p.Security)
	default:
		return search, fmt.Errorf("%w: %v", ErrInvalid, p.Security)
	}
	if p.SSID == "" && p.BSSID.IsZero() {
		return search, fmt.Errorf("%w: a join needs an SSID or a BSSID", ErrInvalid)
	}
	if p.SSID != "" {
		search.SSIDs = []string{p.SSID}
	}
	search.StopAtFirst = !p.BSSID.IsZero()
	err := search.normalize()
	return search, err
}

func passphraseFits(s string) bool { return len(s) >= 8 && len(s) <= 64 }

// searched goes on when the search of the channels has ended.
func (s *Station) searched(now time.Time) {
	if s.state == StateJoined {
		s.scouted(now)
		return
	}
	if s.state != StateFinding {
		return
	}
	if s.attempt.wps != nil {
		s.soughtWPS(now)
		return
	}
	if n, ok := s.choose(s.attempt.p, s.attempt.avoid); ok {
		s.connect(now, n)
		return
	}
	if len(s.find.results) > 0 {
		s.fail(now, Event{Reason: ReasonSecurityMismatch, Network: s.find.results[0]})
		return
	}
	if s.attempt.pass++; s.attempt.pass >= findPasses {
		s.fail(now, Event{Reason: ReasonNoAP})
		return
	}
	again := s.find.p
	again.SlotTime = findSlots[s.attempt.pass]
	s.find.start(now, again)
}

// connect turns to an access point.
func (s *Station) connect(now time.Time, n Network) {
	s.network = n
	if n.SSID == "" {
		s.network.SSID = s.attempt.p.SSID
	}
	s.find.results = nil
	s.port.SetChannel(n.Channel)
	s.authenticate(now)
}

func (s *Station) authenticate(now time.Time) {
	s.state, s.attempt.tries = StateAuthenticating, 0
	s.request(now)
}

// request sends the request of the current step and sets the time of its repetition.
func (s *Station) request(now time.Time) {
	m := Management{Subtype: Authentication, Algorithm: openSystem, Sequence: 1}
	if s.state == StateAssociating {
		m = Management{
			Subtype:        AssociationRequest,
			Capability:     CapabilityESS,
			ListenInterval: listenInterval,
			SSID:           []byte(s.network.SSID),
		}
		if w := s.attempt.wps; w != nil {
			m.Extra = w.request().AppendAssociation(nil)
		} else if s.network.Security == WPA2PSK {
			m.Capability |= CapabilityPrivacy
			m.RSN = rsnPSK
		}
	}
	s.manage(now, m)
	s.attempt.next = now.Add(retryAfter(s.attempt.tries))
	s.wake()
}

// manage sends a management message to the access point.
func (s *Station) manage(now time.Time, m Management) {
	s.buf = m.Append(s.buf[:0])
	s.port.Send(now, air.Frame{Kind: air.KindManagement, To: s.network.BSSID, Data: s.buf})
}

// overdue repeats a request that was not answered, or gives up.
func (s *Station) overdue(now time.Time) {
	switch s.state {
	case StateAuthenticating, StateAssociating:
		if s.attempt.tries++; s.attempt.tries >= joinTries {
			s.fail(now, Event{Reason: ReasonNoAnswer})
			return
		}
		s.request(now)
	case StateHandshake:
		if s.attempt.wps != nil {
			s.endWPS(now, Event{Reason: ReasonNoAnswer})
			return
		}
		s.sayGoodbye(now, CodeHandshakeTimeout)
		s.fail(now, Event{Reason: ReasonAuthenticationFailed, Code: CodeHandshakeTimeout})
	default:
		s.attempt.next = time.Time{}
	}
}

// authenticated goes on after the answer to the authentication.
func (s *Station) authenticated(now time.Time, m Management) {
	if s.state != StateAuthenticating || m.Sequence != 2 {
		return
	}
	if m.Status != StatusSuccess {
		s.fail(now, Event{Reason: ReasonAuthenticationFailed, Status: m.Status})
		return
	}
	s.state, s.attempt.tries = StateAssociating, 0
	s.request(now)
}

// associated goes on after the answer to the association.
func (s *Station) associated(now time.Time, m Management) {
	if s.state != StateAssociating {
		return
	}
	if m.Status != StatusSuccess {
		s.fail(now, Event{Reason: ReasonAssociationFailed, Status: m.Status})
		return
	}
	if s.attempt.wps != nil {
		s.beginWPS(now)
		return
	}
	if s.network.Security == Open {
		s.joined(now)
		return
	}
	pmk := s.attempt.p.PMK
	if pmk == (PMK{}) {
		var err error
		if pmk, err = s.cfg.PMKs.Get(s.network.SSID, s.attempt.p.Passphrase); err != nil {
			s.sayGoodbye(now, CodeLeavingDeauth)
			s.fail(now, Event{Reason: ReasonAuthenticationFailed})
			return
		}
	}
	s.keys = supplicant{pmk: pmk, snonce: makeNonce(s.cfg.Rand)}
	s.state = StateHandshake
	s.attempt.next = now.Add(handshakeLimit)
	s.wake()
}

// dismissed handles a deauthentication or disassociation by the access point.
func (s *Station) dismissed(now time.Time, code ReasonCode) {
	switch s.state {
	case StateAssociating:
		// The access point has forgotten the authentication, or this is late.
		s.restart(now, Event{Reason: ReasonAssociationFailed, Code: code})
	case StateHandshake:
		if s.attempt.wps != nil {
			s.endWPS(now, Event{Reason: ReasonDeauthenticated, Code: code})
			return
		}
		switch code {
		case CodeClass2, CodeClass3, CodeNotAuthenticated:
			s.restart(now, Event{Reason: ReasonAuthenticationFailed, Code: code})
		case CodeLeavingDeauth, CodeLeavingDisassoc:
			s.fail(now, Event{Reason: ReasonDeauthenticated, Code: code})
		default:
			s.fail(now, Event{Reason: ReasonAuthenticationFailed, Code: code})
		}
	case StateJoined:
		s.lost(now, ReasonDeauthenticated, code)
	}
	// While authenticating it says nothing new: it answers something older.
}

// restart authenticates once more, or fails with e when it did so too often.
func (s *Station) restart(now time.Time, e Event) {
	if s.attempt.restarts++; s.attempt.restarts > joinRestarts {
		s.fail(now, e)
		return
	}
	s.authenticate(now)
}

// fail ends an attempt.
func (s *Station) fail(now time.Time, e Event) {
	switch {
	case s.attempt.roam.Kind != 0:
		s.roamFailed(now, e)
		return
	case s.attempt.wps != nil && e.Reason == ReasonLocal:
		s.failWPS(now, e)
		return
	case s.attempt.wps != nil:
		s.againWPS(now, e)
		return
	}
	e.Kind = EventJoinFailed
	if e.Network.BSSID.IsZero() {
		e.Network = s.network
		e.Network.SSID = s.attempt.p.SSID
	}
	s.reset()
	s.emit(now, e)
}

// reset goes to idle.
func (s *Station) reset() {
	s.find.stop()
	s.port.SetChannel(air.ChannelOff)
	s.state = StateIdle
	s.attempt, s.network, s.keys, s.member = attempt{}, Network{}, supplicant{}, membership{}
}

// Leave leaves the network (EventLeft, ReasonLocal; also while it roams), or ends an attempt to join one (EventJoinFailed, ReasonLocal)
// or to come to one (EventEnrollFailed, ReasonLocal).
// Otherwise it does nothing; it does not end a scan.
func (s *Station) Leave(now time.Time) {
	switch s.state {
	case StateIdle:
	case StateJoined:
		s.sayGoodbye(now, CodeLeavingDeauth)
		s.left(now, ReasonLocal, 0)
	default:
		if s.state > StateFinding {
			s.sayGoodbye(now, CodeLeavingDeauth)
		}
		s.fail(now, Event{Reason: ReasonLocal})
	}
}

// sayGoodbye tells the access point, once: it is not answered.
func (s *Station) sayGoodbye(now time.Time, code ReasonCode) {
	s.manage(now, Management{Subtype: Deauthentication, Reason: code})
}
