package wifi

import (
	"errors"
	"fmt"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/air/wps"
	"github.com/understudy-net/understudy/wire"
)

// The station's side of Wi-Fi Protected Setup.

// WPSParams says how a station comes to a network by Wi-Fi Protected Setup.
type WPSParams struct {
	PIN      string // eight digits with their checksum, that an access point is told; "": a button is pushed
	Name     string // of the station, as the access point is told
	Channels uint16 // bit n-1 allows channel n; 0 allows all
}

// enrolling is the attempt to come to a network.
type enrolling struct {
	p     WPSParams
	until time.Time // no search begins after that
	me    wps.Device
	e     *wps.Enrollee // while associated
}

// wpsSlot is how long each channel is listened to: more than a beacon interval.
const wpsSlot = 120 * time.Millisecond

// StartWPS looks for an access point whose button was pushed, or that was told the PIN, for [WPSTime], and has it hand its
// network over. It ends with EventEnrolled, and the station is idle: Join with what the event says. Or with
// EventEnrollFailed: ReasonNoAP when there was none, ReasonWPSOverlap when there was more than one, ReasonWPSPIN when the PIN was
// not that of the access point. Leave ends it before (ReasonLocal).
//
// Errors, after which nothing has changed and no event follows: ErrBusy unless idle, and those that wrap ErrInvalid.
func (s *Station) StartWPS(now time.Time, p WPSParams) error {
	switch {
	case s.state != StateIdle:
		return ErrBusy
	case p.PIN != "" && !wps.ValidPIN(p.PIN):
		return fmt.Errorf("%w: %q is not a PIN of eight digits with its checksum", ErrInvalid, p.PIN)
	}
	w := &enrolling{p: p, until: now.Add(WPSTime)}
	w.me = wps.Device{MAC: s.cfg.MAC, UUID: wps.UUID(s.cfg.MAC), Name: p.Name, Manufacturer: maker, Model: "station"}
	s.attempt = attempt{wps: w}
	s.seekWPS(now)
	return nil
}

// request is what probes and the association say.
func (w *enrolling) request() wps.Request {
	r := wps.Request{UUID: w.me.UUID, Password: wps.PasswordButton}
	if w.p.PIN != "" {
		r.Password = wps.PasswordPIN
	}
	return r
}

// seekWPS searches all channels: to the end, because a second access point would have to be known.
func (s *Station) seekWPS(now time.Time) {
	w := s.attempt.wps
	s.attempt = attempt{wps: w}
	w.e = nil
	s.state, s.network = StateFinding, Network{}
	s.port.SetChannel(air.ChannelOff)
	search := ScanParams{Channels: w.p.Channels, Slots: 1, Probes: 1, SlotTime: wpsSlot, extra: w.request().AppendProbe(nil)}
	if err := search.normalize(); err != nil {
		s.failWPS(now, Event{Reason: ReasonNoAP}) // impossible: all is in range
		return
	}
	s.find.start(now, search)
}

// soughtWPS goes on when the channels were searched.
func (s *Station) soughtWPS(now time.Time) {
	w := s.attempt.wps
	want := wps.Offer{Open: true, Password: w.request().Password}
	var found []Network
	for _, n := range s.find.results {
		if n.offer == want {
			found = append(found, n)
		}
	}
	switch {
	case len(found) > 1 && w.p.PIN == "":
		s.failWPS(now, Event{Reason: ReasonWPSOverlap, Network: found[0]})
	case len(found) > 0:
		s.connect(now, found[0])
	default:
		s.againWPS(now, Event{Reason: ReasonNoAP})
	}
}

// againWPS searches once more, if there is time; else the attempt ends with e.
func (s *Station) againWPS(now time.Time, e Event) {
	if !now.Before(s.attempt.wps.until) {
		s.failWPS(now, e)
		return
	}
	s.seekWPS(now)
}

// failWPS ends the attempt.
func (s *Station) failWPS(now time.Time, e Event) {
	e.Kind = EventEnrollFailed
	if e.Network.BSSID.IsZero() {
		e.Network = s.network
	}
	s.reset()
	s.emit(now, e)
}

// beginWPS is the end of the association: the access point begins, and is asked to.
func (s *Station) beginWPS(now time.Time) {
	w := s.attempt.wps
	w.e = wps.NewEnrollee(w.me, w.p.PIN, s.cfg.Rand)
	s.state = StateHandshake
	s.attempt.next = now.Add(handshakeLimit)
	s.sendEAP(now, eapolTypeStart, nil)
	s.wake()
}

func (s *Station) sendEAP(now time.Time, kind uint8, body []byte) {
	s.counts.EAPOL.Sent++
	h := wire.Ethernet{Dst: s.network.BSSID, Src: s.cfg.MAC, Type: wire.EtherTypeEAPOL}
	s.buf = appendEAPOL(h.Append(s.buf[:0]), kind, body)
	s.port.Send(now, air.Frame{Kind: air.KindData, To: s.network.BSSID, Data: s.buf})
}

// receiveEAP handles an EAPOL frame of the access point.
func (s *Station) receiveEAP(now time.Time, h wire.Ethernet, payload []byte) {
	c := &s.counts.EAPOL
	c.Received++
	kind, body, err := parseEAPOL(payload)
	switch {
	case err != nil:
		c.Malformed++
		return
	case kind != eapolTypePacket || s.state != StateHandshake || h.Src != s.network.BSSID || h.Dst != s.cfg.MAC:
		c.Unexpected++
		return
	}
	w := s.attempt.wps
	if answer := w.e.Receive(body); answer != nil {
		s.sendEAP(now, eapolTypePacket, answer)
	} else if !w.e.Over() {
		c.Unexpected++
	}
	if w.e.Over() {
		s.endWPS(now, Event{Reason: ReasonAssociationFailed})
	}
}

// endWPS looks at what has come of an exchange that is over; e is for when nothing has.
func (s *Station) endWPS(now time.Time, e Event) {
	w := s.attempt.wps
	c, ok := w.e.Credential()
	s.sayGoodbye(now, CodeLeavingDeauth)
	switch err := w.e.Err(); {
	case ok:
		n := s.network
		n.SSID, n.Security = c.SSID, Open
		if c.Key != "" {
			n.Security = WPA2PSK
		}
		s.reset()
		s.counts.Enrolled++
		s.emit(now, Event{Kind: EventEnrolled, Network: n, Key: c.Key})
	case errors.Is(err, wps.ErrPassword):
		e.Reason = ReasonWPSPIN
		s.failWPS(now, e)
	case errors.Is(err, wps.ErrOverlap):
		e.Reason = ReasonWPSOverlap
		s.failWPS(now, e)
	default:
		s.againWPS(now, e)
	}
}
