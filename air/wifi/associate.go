package wifi

import (
	"slices"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/air/wps"
	"github.com/understudy-net/understudy/wire"
)

// associateWithin is the time from authentication to association; then the access point forgets.
const associateWithin = 5 * time.Second

// minWaiting is how many authenticated stations may wait even if fewer may associate.
const minWaiting = 64

// receive hears the channel.
func (ap *AccessPoint) receive(now time.Time, f air.Frame) {
	switch {
	case !ap.running:
	case f.Kind == air.KindData:
		if f.To == ap.cfg.MAC {
			ap.receiveData(now, f)
		}
	case f.To == ap.cfg.MAC || f.To == probeGroup:
		ap.receiveManagement(now, f)
	}
}

func (ap *AccessPoint) receiveManagement(now time.Time, f air.Frame) {
	m, err := ParseManagement(f.Data)
	if err != nil || f.From.IsMulticast() || f.From.IsZero() || f.From == ap.cfg.MAC {
		ap.counts.Malformed++
		return
	}
	switch m.Subtype {
	case ProbeRequest:
		if r, ok := wps.ParseProbe(m.Extra); ok && r.Password == wps.PasswordButton {
			ap.hand.heard(now, r.UUID)
		}
		ap.probed(now, f.From, m.SSID)
	case Authentication:
		ap.authenticate(now, f, m)
	case AssociationRequest:
		ap.associate(now, f, m)
	case Deauthentication, Disassociation:
		if p := ap.peers[f.From]; p != nil {
			ap.forget(now, p, m.Reason)
		}
	case Null:
		if p := ap.peers[f.From]; p != nil && p.aid != 0 {
			p.heard, p.rssi = now, f.RSSI
			return
		}
		ap.counts.NotAStation++
		ap.reject(now, f.From, CodeClass3)
	}
}

// probed answers a probe request for our name, or for any unless we hide it (IEEE 802.11-2016, 11.1.4.3.4).
func (ap *AccessPoint) probed(now time.Time, from wire.MAC, ssid []byte) {
	if string(ssid) == ap.cfg.SSID || len(ssid) == 0 && !ap.cfg.Hidden {
		ap.stamp(now, from, ap.reply)
	}
}

// authenticate answers an open system authentication (IEEE 802.11-2016, 12.3.3.2). It says nothing about who it is: who
// has joined stays so until an association follows.
func (ap *AccessPoint) authenticate(now time.Time, f air.Frame, m Management) {
	answer := Management{Subtype: Authentication, Algorithm: m.Algorithm, Sequence: 2}
	switch {
	case m.Algorithm != openSystem:
		answer.Status = StatusUnsupportedAuth
	case m.Sequence != 1:
		answer.Status = StatusOutOfSequence
	default:
		ap.admit(now, f)
	}
	ap.manage(now, f.From, answer)
}

// admit makes an entry for a station that may associate.
func (ap *AccessPoint) admit(now time.Time, f air.Frame) {
	p := ap.peers[f.From]
	if p == nil {
		if ap.waiting.n >= max(minWaiting, ap.cfg.MaxStations) {
			ap.counts.Evicted++
			ap.remove(ap.waiting.head)
		}
		p = &peer{mac: f.From, slot: -1}
		ap.peers[p.mac] = p
		ap.waiting.push(p)
	}
	p.heard, p.rssi = now, f.RSSI
	if p.phase == phaseAuthenticated {
		ap.setTimer(p, now.Add(associateWithin))
	}
}

// associate answers an association request (IEEE 802.11-2016, 11.3.5.3).
func (ap *AccessPoint) associate(now time.Time, f air.Frame, m Management) {
	p := ap.peers[f.From]
	if p == nil {
		ap.counts.NotAStation++
		ap.reject(now, f.From, CodeNotAuthenticated)
		return
	}
	if status := ap.judge(p, m); status != StatusSuccess {
		ap.counts.Refused++
		ap.manage(now, f.From, Management{Subtype: AssociationResponse, Capability: ap.capability(), Status: status})
		return
	}
	p.heard, p.rssi = now, f.RSSI
	if p.aid == 0 {
		p.aid, p.since = ap.aids.get(), now
		ap.waiting.remove(p)
	}
	p.rsn = slices.Clone(m.RSN)
	enroll := wps.Requested(m.Extra) && !ap.hand.until.IsZero()
	ap.manage(now, f.From, Management{Subtype: AssociationResponse, Capability: ap.capability(), AID: p.aid})
	if enroll {
		ap.enroll(now, p)
		return
	}
	if ap.cfg.Security == Open {
		ap.join(now, p)
		return
	}
	if p.phase == phaseJoined { // it has begun afresh: its keys are gone
		p.phase = phaseHandshake
		ap.counts.Left++
		ap.emit(now, APEvent{Kind: StationLeft, MAC: p.mac, Code: CodeInvalidAuth})
	}
	ap.startHandshake(now, p)
}

// judge decides about an association request.
func (ap *AccessPoint) judge(p *peer, m Management) StatusCode {
	if string(m.SSID) != ap.cfg.SSID {
		return StatusRefused
	}
	if p.aid == 0 && ap.aids.inUse >= ap.cfg.MaxStations {
		return StatusFull
	}
	if wps.Requested(m.Extra) {
		if ap.hand.until.IsZero() || m.RSN != nil {
			return StatusDeniedOther // nobody has pushed our button
		}
		return StatusSuccess
	}
	if ap.cfg.Security == Open {
		if m.RSN != nil {
			return StatusInvalidElement
		}
		return StatusSuccess
	}
	if m.RSN == nil {
		return StatusInvalidElement
	}
	switch r := parseRSN(m.RSN); {
	case r.broken || r.badVersion:
		return StatusInvalidElement
	case r.group != suiteCCMP:
		return StatusInvalidGroup
	case !r.ccmp:
		return StatusInvalidPairwise
	case !r.psk:
		return StatusInvalidAKM
	}
	return StatusSuccess
}

// join opens the controlled port. A repetition changes nothing.
func (ap *AccessPoint) join(now time.Time, p *peer) {
	if p.phase == phaseJoined {
		return
	}
	p.phase = phaseJoined
	ap.counts.Joined++
	ap.setTimer(p, now.Add(ap.cfg.Inactivity))
	ap.emit(now, APEvent{Kind: StationJoined, MAC: p.mac})
}

// expire handles the timer of a peer.
func (ap *AccessPoint) expire(now time.Time, p *peer) {
	switch p.phase {
	case phaseAuthenticated:
		ap.remove(p)
	case phaseHandshake:
		ap.repeatKey(now, p)
	case phaseEnrolling:
		ap.repeatEAP(now, p)
	case phaseJoined:
		if at := p.heard.Add(ap.cfg.Inactivity); at.After(now) {
			ap.setTimer(p, at)
			return
		}
		ap.dismiss(now, p, CodeInactivity)
	}
}
