package wifi

import (
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/air/pcap"
	"github.com/understudy-net/understudy/wire"
)

// Capture writes the Ethernet frames of one access point, EAPOL among them, to interface iface of w as they are
// sent: to the access point as inbound, from it as outbound. What it passes on from one station to others is written
// once, on its way to the access point. A zero bssid takes all frames of all. Management messages are no Ethernet
// frames and not written.
//
// When a write fails, failed (unless nil) is told, once, and the capture has ended; cancel ends it too. The caller
// flushes w.
func Capture(a *air.Air, bssid wire.MAC, w *pcap.Writer, iface int, failed func(error)) (cancel func()) {
	stopped := false
	stations := map[wire.MAC]bool{} // whose frames were written on their way to the access point
	stop := a.Tap(func(now time.Time, f air.Frame) {
		if stopped || f.Kind != air.KindData {
			return
		}
		p := pcap.Packet{At: now, Interface: iface, Data: f.Data}
		switch {
		case bssid.IsZero():
		case f.To == bssid:
			p.Direction = pcap.Inbound
			if len(stations) < captureStations {
				stations[f.From] = true
			}
		case f.From == bssid:
			if len(f.Data) >= 12 && stations[wire.MAC(f.Data[6:12])] {
				return // relayed
			}
			p.Direction = pcap.Outbound
		default:
			return
		}
		if err := w.Write(p); err != nil {
			stopped = true
			if failed != nil {
				failed(err)
			}
		}
	})
	return func() {
		stopped = true
		stop()
	}
}

// captureStations bounds what a capture remembers: as many stations as an access point can have.
const captureStations = 16383
