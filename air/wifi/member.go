package wifi

import (
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/wire"
)

const (
	defaultBeaconTimeout = 2500 * time.Millisecond
	keepAliveAfter       = 10 * time.Second // without sending
	timeUnit             = 1024 * time.Microsecond
)

// membership is what a joined station knows of its access point.
type membership struct {
	heard     time.Time // last, anything
	sent      time.Time // last, anything
	check     time.Time // when to look at heard
	keepAlive time.Time // when to look at sent
	patience  time.Duration
	rssi      int8
	params    JoinParams // that led here, for roaming
}

func (s *Station) joined(now time.Time) {
	s.state = StateJoined
	a := s.attempt
	s.attempt = attempt{}
	patience := max(s.cfg.BeaconTimeout, 10*time.Duration(min(s.network.interval, 1000))*timeUnit)
	s.member = membership{
		heard: now, sent: now,
		check:     now.Add(patience),
		keepAlive: now.Add(keepAliveAfter),
		patience:  patience,
		rssi:      s.network.RSSI,
		params:    a.p,
	}
	e := Event{Kind: EventJoined, Network: s.network}
	if a.roam.Kind != 0 {
		e.Kind = EventRoamed
		s.counts.Roamed++
	}
	s.emit(now, e)
}

// left ends the membership.
func (s *Station) left(now time.Time, why Reason, code ReasonCode) {
	n := s.Network()
	s.reset()
	s.emit(now, Event{Kind: EventLeft, Reason: why, Code: code, Network: n})
}

// checkBeacons leaves when the access point was silent for too long. Beacons move no timer: they only leave their time.
func (s *Station) checkBeacons(now time.Time) {
	if at := s.member.heard.Add(s.member.patience); at.After(now) {
		s.member.check = at
		s.scout(now)
		return
	}
	s.counts.BeaconsLost++
	s.lost(now, ReasonBeaconLost, 0)
}

// keepAlive shows the access point that we are still here, when nothing else did: so it finds out about stations that
// vanish, and we about an access point that forgot us.
func (s *Station) keepAlive(now time.Time) {
	if at := s.member.sent.Add(keepAliveAfter); at.After(now) {
		s.member.keepAlive = at
		return
	}
	s.manage(now, Management{Subtype: Null})
	s.member.sent = now
	s.member.keepAlive = now.Add(keepAliveAfter)
}

// Send sends an Ethernet frame to the network. It is dropped and counted unless the station has joined. The source address
// is to be the station's: an access point drops others.
func (s *Station) Send(now time.Time, eth []byte) {
	switch {
	case s.state != StateJoined:
		s.counts.NotJoined++
		return
	case len(eth) < wire.EthernetLen || etherType(eth) == wire.EtherTypeEAPOL:
		s.counts.BadFrame++
		return
	}
	s.counts.Sent++
	s.member.sent = now
	s.port.Send(now, air.Frame{Kind: air.KindData, To: s.network.BSSID, Data: eth})
}

// etherType reads the type of a frame that is known to have a header.
func etherType(eth []byte) wire.EtherType {
	return wire.EtherType(uint16(eth[12])<<8 | uint16(eth[13]))
}

// receive hears the channel of the access point.
func (s *Station) receive(now time.Time, f air.Frame) {
	if s.state < StateAuthenticating {
		return
	}
	if f.From != s.network.BSSID {
		if f.Kind == air.KindData {
			s.counts.Foreign++
		}
		return
	}
	if s.state == StateJoined {
		s.member.heard, s.member.rssi = now, f.RSSI
	}
	if f.Kind == air.KindManagement {
		s.receiveManagement(now, f.Data)
		return
	}
	s.receiveData(now, f.Data)
}

func (s *Station) receiveManagement(now time.Time, b []byte) {
	if len(b) > 0 && Subtype(b[0]) == Beacon {
		return // that it was heard is all we want
	}
	m, err := ParseManagement(b)
	if err != nil {
		s.counts.Malformed++
		return
	}
	switch m.Subtype {
	case Authentication:
		s.authenticated(now, m)
	case AssociationResponse:
		s.associated(now, m)
	case Deauthentication, Disassociation:
		s.dismissed(now, m.Reason)
	}
}

func (s *Station) receiveData(now time.Time, eth []byte) {
	h, payload, err := wire.ParseEthernet(eth)
	switch {
	case err != nil:
		s.counts.BadFrame++
	case h.Src == s.cfg.MAC:
		s.counts.Echo++
	case h.Dst != s.cfg.MAC && !h.Dst.IsMulticast():
		s.counts.Foreign++
	case h.Type == wire.EtherTypeEAPOL && s.attempt.wps != nil:
		s.receiveEAP(now, h, payload)
	case h.Type == wire.EtherTypeEAPOL:
		s.receiveKey(now, h, payload)
	case s.state != StateJoined:
		// The controlled port is closed until the keys are in place (IEEE 802.11-2016, 4.9.3.2).
		s.counts.Blocked++
	default:
		s.counts.Received++
		if s.cfg.Output != nil {
			s.cfg.Output(now, eth)
		}
	}
}
