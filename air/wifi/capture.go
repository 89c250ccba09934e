package wifi

import (
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/air/pcap"
	"github.com/understudy-net/understudy/wire"
)

// Capture writes the Ethernet frames of one access point, EAPOL among them, to interface iface of w as they are
// sent: to the access point as inbound, from it as outbound; a frame that it passes on from one station to another is
// there twice, as on the air. A zero bssid takes the frames of all. Management messages are no Ethernet frames and not
// written.
//
// When a write fails, failed (unless nil) is told, once, and the capture has ended; cancel ends it too. The caller
// flushes w.
func Capture(a *air.Air, bssid wire.MAC, w *pcap.Writer, iface int, failed func(error)) (cancel func()) {
	stopped := false
	stop := a.Tap(func(now time.Time, f air.Frame) {
		if stopped || f.Kind != air.KindData {
			return
		}
		p := pcap.Packet{At: now, Interface: iface, Data: f.Data}
		switch {
		case bssid.IsZero():
		case f.To == bssid:
			p.Direction = pcap.Inbound
		case f.From == bssid:
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
