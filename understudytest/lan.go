package understudytest

import (
	"math/rand/v2"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/wire"
	"github.com/understudy-net/understudy/world"
)

// lanChannel is the one channel of the cable.
const lanChannel = 1

// lan is the cable behind the access point. It is an air of its own, so that a
// cable can be slow and lossy too.
type lan struct {
	cable  *air.Air
	bridge *air.Port // hears all that is not for another wired host
	ap     *wifi.AccessPoint
	wired  map[wire.MAC]bool
}

// newLAN makes the cable. The lock of w is held.
func newLAN(w *world.World, seed rand.Source) *lan {
	l := &lan{cable: air.New(air.Config{Rand: seed}), wired: map[wire.MAC]bool{}}
	l.cable.OnSend = w.Add(l.cable).Touch
	l.bridge = l.cable.NewPort(wire.MAC{}, l.toAir)
	l.bridge.SetChannel(air.ChannelAll)
	return l
}

// toAir takes a frame of the cable to the access point.
func (l *lan) toAir(now time.Time, f air.Frame) {
	if l.ap != nil && !l.wired[f.To] {
		l.ap.Send(now, f.Data)
	}
}

// toCable takes a frame of the access point to the cable.
func (l *lan) toCable(now time.Time, eth []byte) { l.send(now, l.bridge, eth) }

func (l *lan) send(now time.Time, p *air.Port, eth []byte) {
	h, _, err := wire.ParseEthernet(eth)
	if err != nil {
		return // a frame without addresses cannot go anywhere
	}
	p.Send(now, air.Frame{Kind: air.KindData, From: h.Src, To: h.Dst, Channel: lanChannel, Data: eth})
}

// plug makes a port for a wired host.
func (l *lan) plug(mac wire.MAC, in func(now time.Time, eth []byte)) *air.Port {
	l.wired[mac] = true
	return l.cable.NewPort(mac, func(now time.Time, f air.Frame) { in(now, f.Data) })
}
