package wifi

import (
	"errors"
	"fmt"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/air/wps"
	"github.com/understudy-net/understudy/wire"
)

// The access point's side of Wi-Fi Protected Setup: its button, and what it hands over to whom.

// WPSTime is how long a button counts, on either side: the walk from one to the other.
const WPSTime = 2 * time.Minute

// ErrWPSOverlap says that more than one station has asked for a network by push button in the last two minutes: which of them
// is meant cannot be known. Wait, and push again.
var ErrWPSOverlap = errors.New("wifi: more than one station wants to be set up; wait two minutes and push the button again")

// Limits of an exchange.
const (
	wpsTries     = 10 // transmissions of a request
	maxEnrollees = 8  // stations that are remembered to have asked
)

// handover is what an access point has to do with setup.
type handover struct {
	until time.Time // end of the window; zero: closed
	pin   string    // "": the button
	peer  *peer     // with whom the exchange goes on
	asked []enrollee
}

// enrollee is a station that has asked for the network by push button.
type enrollee struct {
	uuid [16]byte
	at   time.Time
}

// PushButton lets one station have the network that asks for it within [WPSTime], as the button of an access point does
// (Wi-Fi Protected Setup). StationEnrolled tells who got it. While the window is open beacons say so. Pushing again begins
// anew. ErrWPSOverlap: see there. Errors wrap ErrInvalid while stopped.
func (ap *AccessPoint) PushButton(now time.Time) error {
	if ap.hand.overlap(now, [16]byte{}) {
		return ErrWPSOverlap
	}
	return ap.open(now, "")
}

// AllowPIN is PushButton for the station that has the PIN: eight digits with their checksum. A wrong one closes the window, so
// that nobody can try them all.
func (ap *AccessPoint) AllowPIN(now time.Time, pin string) error {
	if !wps.ValidPIN(pin) {
		return fmt.Errorf("%w: %q is not a PIN of eight digits with its checksum", ErrInvalid, pin)
	}
	return ap.open(now, pin)
}

// CancelWPS closes the window.
func (ap *AccessPoint) CancelWPS(now time.Time) {
	if p := ap.hand.peer; p != nil {
		ap.dismiss(now, p, CodeLeavingDeauth)
	}
	ap.closeWindow()
}

// WPS says until when the window is open; the zero time: it is closed.
func (ap *AccessPoint) WPS() time.Time { return ap.hand.until }

func (ap *AccessPoint) open(now time.Time, pin string) error {
	if !ap.running {
		return fmt.Errorf("%w: the access point is not on the air", ErrInvalid)
	}
	ap.CancelWPS(now)
	ap.hand.until, ap.hand.pin = now.Add(WPSTime), pin
	ap.prepare()
	ap.wake()
	return nil
}

func (ap *AccessPoint) closeWindow() {
	if ap.hand.until.IsZero() {
		return
	}
	ap.hand.until, ap.hand.pin = time.Time{}, ""
	ap.prepare()
	ap.wake()
}

// offer is what beacons say.
func (ap *AccessPoint) offer() wps.Offer {
	o := wps.Offer{Open: !ap.hand.until.IsZero(), Password: wps.PasswordButton}
	if ap.hand.pin != "" {
		o.Password = wps.PasswordPIN
	}
	return o
}

// overlap reports whether another than uuid has pushed its button within the last two minutes; of the zero uuid, whether there are
// two.
func (h *handover) overlap(now time.Time, uuid [16]byte) bool {
	others := 0
	for _, e := range h.asked {
		if e.uuid != uuid && now.Sub(e.at) < WPSTime {
			others++
		}
	}
	return others > 1 || others > 0 && uuid != [16]byte{}
}

// heard notes that a station asks by push button.
func (h *handover) heard(now time.Time, uuid [16]byte) {
	oldest := 0
	for i, e := range h.asked {
		if e.uuid == uuid {
			h.asked[i].at = now
			return
		}
		if e.at.Before(h.asked[oldest].at) {
			oldest = i
		}
	}
	if len(h.asked) < maxEnrollees {
		h.asked = append(h.asked, enrollee{uuid, now})
		return
	}
	h.asked[oldest] = enrollee{uuid, now}
}

// enroll begins the exchange with a station that has associated for it.
func (ap *AccessPoint) enroll(now time.Time, p *peer) {
	if o := ap.hand.peer; o != nil && o != p {
		ap.dismiss(now, o, CodeUnspecified) // the newer one may be the same station behind another address
	}
	if p.phase == phaseJoined {
		ap.counts.Left++
		ap.emit(now, APEvent{Kind: StationLeft, MAC: p.mac, Code: CodeInvalidAuth})
	}
	give := wps.Credential{SSID: ap.cfg.SSID}
	if ap.cfg.Security == WPA2PSK {
		if give.Key = ap.cfg.Passphrase; give.Key == "" {
			give.Key = fmt.Sprintf("%x", ap.cfg.PMK[:])
		}
	}
	c := wps.RegistrarConfig{
		Me:       wps.Device{MAC: ap.cfg.MAC, UUID: wps.UUID(ap.cfg.MAC), Name: ap.cfg.SSID, Manufacturer: maker, Model: "access point"},
		Enrollee: p.mac, PIN: ap.hand.pin, Network: give, Rand: ap.cfg.Rand,
	}
	if ap.hand.pin == "" {
		c.Check = func(uuid [16]byte) error {
			if ap.hand.overlap(now, uuid) {
				return wps.ErrOverlap
			}
			return nil
		}
	}
	p.phase, p.enrolling, p.keys.tries = phaseEnrolling, wps.NewRegistrar(c), 0
	ap.hand.peer = p
	ap.sendEAP(now, p)
}

// maker is the manufacturer in messages.
const maker = "Understudy"

// sendEAP sends the registrar's packet.
func (ap *AccessPoint) sendEAP(now time.Time, p *peer) {
	h := wire.Ethernet{Dst: p.mac, Src: ap.cfg.MAC, Type: wire.EtherTypeEAPOL}
	ap.buf = appendEAPOL(h.Append(ap.buf[:0]), eapolTypePacket, p.enrolling.Last())
	ap.counts.EAPOL.Sent++
	ap.port.Send(now, air.Frame{Kind: air.KindData, To: p.mac, Data: ap.buf})
	ap.setTimer(p, now.Add(retryAfter(p.keys.tries)))
}

// repeatEAP repeats what was not answered, or gives the station up.
func (ap *AccessPoint) repeatEAP(now time.Time, p *peer) {
	if p.keys.tries++; p.keys.tries >= wpsTries {
		ap.dismiss(now, p, Code8021XAuthFailed)
		return
	}
	ap.sendEAP(now, p)
}

// receiveEAP handles an EAPOL frame of a station that is being set up.
func (ap *AccessPoint) receiveEAP(now time.Time, p *peer, payload []byte) {
	c := &ap.counts.EAPOL
	c.Received++
	kind, body, err := parseEAPOL(payload)
	switch {
	case err != nil:
		c.Malformed++
	case kind == eapolTypeStart: // it has our first packet by now, or will have
	case kind != eapolTypePacket:
		c.Unexpected++
	case !p.enrolling.Receive(body):
		c.Replayed++
	default:
		p.keys.tries = 0
		ap.sendEAP(now, p)
		if p.enrolling.Over() {
			ap.enrolled(now, p)
		}
	}
}

// enrolled ends the exchange: the station is sent away, to come again with what it has.
func (ap *AccessPoint) enrolled(now time.Time, p *peer) {
	done, err := p.enrolling.Done(), p.enrolling.Err()
	ap.dismiss(now, p, Code8021XAuthFailed)
	switch {
	case done:
		ap.counts.Enrolled++
		ap.hand.asked = nil // what was asked for is served
		ap.closeWindow()
		ap.emit(now, APEvent{Kind: StationEnrolled, MAC: p.mac})
	case errors.Is(err, wps.ErrPassword), errors.Is(err, wps.ErrOverlap):
		ap.closeWindow()
	}
}
