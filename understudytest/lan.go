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
	cable *air.Air
	wired map[wire.MAC]bool
}

// newLAN makes the cable. The lock of w is held.
func newLAN(w *world.World, seed rand.Source) *lan {
	l := &lan{cable: air.New(air.Config{Rand: seed}), wired: map[wire.MAC]bool{}}
	l.cable.OnSend = w.Add(l.cable).Touch
	return l
}

// bridge is an access point's end of the cable.
type bridge struct {
	lan  *lan
	port *air.Port // hears all that is not for a wired host
	ap   *wifi.AccessPoint
}

func (l *lan) newBridge() *bridge {
	b := &bridge{lan: l}
	b.port = l.cable.NewPort(wire.MAC{}, b.toAir)
	b.port.SetChannel(air.ChannelAll)
	return b
}

// toAir takes a frame of the cable to the access point.
func (b *bridge) toAir(now time.Time, f air.Frame) {
	if b.ap != nil && !b.lan.wired[f.To] {
		b.ap.Send(now, f.Data)
	}
}

// toCable takes a frame of the access point to the cable.
func (b *bridge) toCable(now time.Time, eth []byte) { b.lan.send(now, b.port, eth) }

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
