package wifi

import (
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/wire"
)

// receiveData handles an Ethernet frame from the air.
func (ap *AccessPoint) receiveData(now time.Time, f air.Frame) {
	p := ap.peers[f.From]
	if p == nil || p.aid == 0 {
		// Tells a station that we have forgotten, or never knew, where it stands (IEEE 802.11-2016, 11.3.5.1).
		ap.counts.NotAStation++
		ap.reject(now, f.From, CodeClass3)
		return
	}
	p.heard, p.rssi = now, f.RSSI
	h, payload, err := wire.ParseEthernet(f.Data)
	switch {
	case err != nil:
		ap.counts.BadFrame++
	case h.Src != p.mac:
		ap.counts.Spoofed++
	case h.Type == wire.EtherTypeEAPOL && h.Dst == ap.cfg.MAC && p.phase == phaseEnrolling:
		ap.receiveEAP(now, p, payload)
	case h.Type == wire.EtherTypeEAPOL && h.Dst == ap.cfg.MAC:
		ap.receiveKey(now, p, payload)
	case h.Type == wire.EtherTypeEAPOL:
		ap.counts.EAPOLBridge++ // else one station could speak to another as its access point
	case p.phase != phaseJoined:
		ap.counts.Blocked++
	default:
		ap.counts.FromAir++
		ap.bridge(now, h.Dst, f.Data)
	}
}

// bridge passes on a frame of a joined station.
func (ap *AccessPoint) bridge(now time.Time, dst wire.MAC, eth []byte) {
	if dst.IsMulticast() {
		if !ap.cfg.Isolate {
			ap.counts.Bridged++
			ap.transmit(now, dst, eth)
		}
		ap.output(now, eth)
		return
	}
	q := ap.peers[dst]
	switch {
	case q == nil:
		ap.output(now, eth)
	case ap.cfg.Isolate || q.phase != phaseJoined:
		ap.counts.Unknown++
	default:
		ap.counts.Bridged++
		ap.transmit(now, dst, eth)
	}
}

func (ap *AccessPoint) output(now time.Time, eth []byte) {
	ap.counts.ToDS++
	if ap.cfg.Output != nil {
		ap.cfg.Output(now, eth)
	}
}

func (ap *AccessPoint) transmit(now time.Time, to wire.MAC, eth []byte) {
	ap.counts.ToAir++
	ap.port.Send(now, air.Frame{Kind: air.KindData, To: to, Data: eth})
}

// Send sends an Ethernet frame from the distribution side: to one joined station, or, for a group, to all. Frames for
// others are dropped and counted. The frame is copied.
func (ap *AccessPoint) Send(now time.Time, eth []byte) {
	switch {
	case !ap.running:
		ap.counts.Stopped++
		return
	case len(eth) < wire.EthernetLen:
		ap.counts.BadFrame++
		return
	case etherType(eth) == wire.EtherTypeEAPOL:
		ap.counts.EAPOLBridge++
		return
	}
	dst := wire.MAC(eth[:6])
	if dst.IsMulticast() {
		ap.transmit(now, dst, eth)
		return
	}
	if p := ap.peers[dst]; p == nil || p.phase != phaseJoined {
		ap.counts.Unknown++
		return
	}
	ap.transmit(now, dst, eth)
}
