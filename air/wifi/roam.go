package wifi

import (
	"time"

	"github.com/understudy-net/understudy/wire"
)

// A station that roams looks for a better access point below roamBelow, and takes one that is stronger by roamGain: less
// would have it go to and fro between two.
const (
	roamBelow = -75 // dBm
	roamGain  = 8   // dB
)

// roamParams says how to look for another access point of the network that was joined: any channel that the join allowed,
// and any BSSID unless the join wanted one.
func (s *Station) roamParams() JoinParams {
	p := s.member.params
	p.SSID, p.Channel = s.network.SSID, 0
	return p
}

// SetRoaming says what a joined station does when its access point falls silent or sends it away: off, the default, it has
// left (EventLeft); on, it first looks for another access point with the same SSID and security, and ends with EventRoamed
// or, when there is none, EventLeft. While its signal is below -75 dBm it also looks for one that is stronger by 8 dB.
// Until it has joined again, Send drops.
func (s *Station) SetRoaming(on bool) { s.roaming = on }

// lost ends the membership that the access point has ended, or looks for another access point.
func (s *Station) lost(now time.Time, why Reason, code ReasonCode) {
	if !s.roaming {
		s.left(now, why, code)
		return
	}
	n := s.Network()
	s.seek(now, s.roamParams(), n.BSSID, Event{Kind: EventLeft, Reason: why, Code: code, Network: n})
}

// seek looks for an access point, if there is a choice another one than avoid; without one the outcome is e.
func (s *Station) seek(now time.Time, p JoinParams, avoid wire.MAC, e Event) {
	search, err := p.search()
	s.reset()
	if err != nil { // a network without a name cannot be found again
		s.emit(now, e)
		return
	}
	s.attempt = attempt{p: p, roam: e, sought: true, avoid: avoid}
	s.state = StateFinding
	search.SlotTime = findSlots[0]
	s.find.start(now, search)
}

// scout looks for a better access point while the present one still serves.
func (s *Station) scout(now time.Time) {
	if !s.roaming || s.member.rssi >= roamBelow || s.find.running() {
		return
	}
	p := s.roamParams()
	if search, err := p.search(); err == nil {
		search.SlotTime = findSlots[1]
		s.find.start(now, search)
	}
}

// scouted goes over to the best access point that was found, if it is better by enough.
func (s *Station) scouted(now time.Time) {
	here, p := s.Network(), s.roamParams()
	n, ok := s.choose(p, here.BSSID)
	if s.find.results = nil; !ok || n.BSSID == here.BSSID || int(n.RSSI) < int(here.RSSI)+roamGain {
		return
	}
	s.sayGoodbye(now, CodeLeavingDeauth)
	s.reset()
	s.attempt = attempt{p: p, roam: Event{Kind: EventLeft, Reason: ReasonBeaconLost, Network: here}}
	s.connect(now, n)
}

// choose returns the strongest result with the right security, other than avoid if there is a choice.
func (s *Station) choose(p JoinParams, avoid wire.MAC) (best Network, ok bool) {
	for _, n := range s.find.results { // the strongest first
		if n.Security != p.Security {
			continue
		}
		if n.BSSID != avoid {
			return n, true
		}
		best, ok = n, true
	}
	return best, ok
}

// roamFailed ends an attempt to roam. When the access point that seemed better refuses, any other will do, the one from
// before among them; when that fails too, the station has left.
func (s *Station) roamFailed(now time.Time, e Event) {
	a := s.attempt
	if e.Reason != ReasonLocal && !a.sought {
		s.seek(now, a.p, s.network.BSSID, a.roam)
		return
	}
	if e.Reason == ReasonLocal {
		a.roam.Reason, a.roam.Code = ReasonLocal, 0
	}
	s.reset()
	s.emit(now, a.roam)
}
