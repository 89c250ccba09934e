package device

import (
	"time"

	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/bus/hif"
)

// wpsRequest parses WPS. One that cannot be read is answered too.
func (f *firmware) wpsRequest(now time.Time, r request) {
	m, err := hif.ParseWPS(r.payload)
	if err != nil {
		f.malformed(now, r, err.Error())
		f.wpsFailed()
		return
	}
	f.startWPS(now, m)
}

// startWPS is WPS: an access point whose button was pushed, or that was told the PIN, is to hand its network over. Spec
// hif-messages 2.17, driver-api 2.14. A host waits for an answer, so what cannot be is answered "failed". One that is asked for
// again begins anew.
func (f *firmware) startWPS(now time.Time, m hif.WPS) {
	p := wifi.WPSParams{Name: f.name, Channels: f.scan.region}
	switch m.Trigger {
	case hif.WPSPushButton:
	case hif.WPSPIN:
		p.PIN = string(m.PIN[:])
	default:
		f.d.counters.Malformed++
		f.wpsFailed()
		return
	}
	if f.ap != nil || f.link.state != linkIdle {
		f.d.counters.WrongMode++
		f.wpsFailed()
		return
	}
	if f.enrolling {
		f.enrolling = false
		f.sta.Leave(now)
	}
	if err := f.sta.StartWPS(now, p); err != nil { // the PIN
		f.d.counters.Malformed++
		f.wpsFailed()
		return
	}
	f.enrolling = true
}

// wpsFailed is the answer without a network.
func (f *firmware) wpsFailed() { event(f.d, hif.OpWPS, hif.WPSReply{}) }

// stopWPS is DISABLE_WPS, which has no answer.
func (f *firmware) stopWPS(now time.Time) {
	if f.enrolling {
		f.enrolling = false
		f.sta.Leave(now)
	}
}

// giveUpWPS ends an exchange for something else that the host wants.
func (f *firmware) giveUpWPS(now time.Time) {
	if f.enrolling {
		f.stopWPS(now)
		f.wpsFailed()
	}
}

// wpsEvent is the end of the exchange. Joining is the host's to ask for.
func (f *firmware) wpsEvent(now time.Time, e wifi.Event) {
	f.enrolling = false
	if e.Kind != wifi.EventEnrolled {
		f.d.trace(now, EventFirmware, 0, nil, e.String())
		f.wpsFailed()
		return
	}
	event(f.d, hif.OpWPS, hif.WPSReply{
		Security: hif.Security(e.Network.Security), Channel: e.Network.Channel, SSID: e.Network.SSID, Passphrase: e.Key,
	})
}
