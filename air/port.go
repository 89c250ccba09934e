package air

import (
	"time"

	"github.com/understudy-net/understudy/wire"
)

// Port is one radio: what it sends, everybody on its channel can hear.
type Port struct {
	air     *Air
	mac     wire.MAC
	in      func(now time.Time, f Frame)
	channel uint8
	closed  bool

	onChannel node // in the list of its channel, or of the monitors
	onMAC     node // in the list of its address

	inFlight int
	heard    uint64 // seq of the last frame offered
	counts   PortCounters
}

// PortCounters counts the frames of one port.
type PortCounters struct {
	Sent     uint64 // accepted by Send
	Dropped  uint64 // refused by Send; Counters has the reasons
	Received uint64 // handed to the receiver
}

// NewPort makes a port with the address mac, tuned to channel 1. in receives frames; it is called from Advance only, may
// read the frame until it returns, and may call the port; nil hears nothing. Several ports may share an address.
func (a *Air) NewPort(mac wire.MAC, in func(now time.Time, f Frame)) *Port {
	if in == nil {
		in = func(time.Time, Frame) {}
	}
	p := &Port{air: a, mac: mac, in: in, channel: ChannelOff}
	p.onMAC.port, p.onChannel.port = p, p
	p.linkMAC()
	p.SetChannel(1)
	return p
}

// MAC returns the address of the port.
func (p *Port) MAC() wire.MAC { return p.mac }

// SetMAC gives the port another address, for what is sent and received from now on.
func (p *Port) SetMAC(mac wire.MAC) {
	if p.closed || mac == p.mac {
		return
	}
	p.unlinkMAC()
	p.mac = mac
	p.linkMAC()
	p.air.links.changed()
}

// Channel returns the channel that the port is tuned to.
func (p *Port) Channel() uint8 { return p.channel }

// SetChannel tunes the port. It hears that channel only. [ChannelAll] makes it a monitor, which hears every frame of
// every channel, whomever it is for; [ChannelOff] switches the receiver off.
func (p *Port) SetChannel(ch uint8) {
	if p.closed || ch == p.channel {
		return
	}
	p.onChannel.unlink(p.air)
	if old := p.channel; old != ChannelAll && p.air.channels[old].empty() {
		delete(p.air.channels, old)
	}
	p.channel = ch
	switch ch {
	case ChannelOff:
	case ChannelAll:
		p.air.monitors.push(&p.onChannel)
	default:
		l := p.air.channels[ch]
		if l == nil {
			l = new(list)
			p.air.channels[ch] = l
		}
		l.push(&p.onChannel)
	}
}

// hears reports whether the port is tuned to ch.
func (p *Port) hears(ch uint8) bool { return p.channel == ch || p.channel == ChannelAll }

// Counters returns what was counted so far.
func (p *Port) Counters() PortCounters { return p.counts }

// JoinGroup makes the port a member of a group address, as the multicast filter of a radio does. Frames for a group
// with members reach its members only; frames for any other group reach every port on their channel.
func (p *Port) JoinGroup(group wire.MAC) {
	a := p.air
	l := a.groups[group]
	if p.closed || !group.IsMulticast() || l.has(p) {
		return
	}
	if l == nil {
		l = new(list)
		a.groups[group] = l
	}
	l.push(&node{port: p})
}

// LeaveGroup ends membership.
func (p *Port) LeaveGroup(group wire.MAC) {
	l := p.air.groups[group]
	if l == nil {
		return
	}
	l.find(p).unlink(p.air)
	if l.empty() {
		delete(p.air.groups, group)
	}
}

// Send queues a copy of f for delivery after the delay of the air. It never calls a receiver. A zero From means the
// address of the port (another one forges it), a zero Channel its channel. When the port's queue is full, the frame is
// dropped and counted, as a radio does.
func (p *Port) Send(now time.Time, f Frame) {
	a := p.air
	if f.Channel == 0 {
		f.Channel = p.channel
	}
	if f.From.IsZero() {
		f.From = p.mac
	}
	if why := p.refuses(f); why != nil {
		*why++
		p.counts.Dropped++
		return
	}
	f.RSSI = a.cfg.RSSI
	q := a.copyOf(f, p)
	a.seq++
	q.seq, q.at = a.seq, now.Add(a.cfg.Delay)
	a.sent.push(q)
	a.counts.Sent++
	a.counts.SentBytes += uint64(len(f.Data))
	p.counts.Sent++
	for _, t := range a.taps {
		t.fn(now, q.f)
	}
	if a.OnSend != nil {
		a.OnSend()
	}
}

// refuses returns the counter of the reason for not sending f, nil if there is none.
func (p *Port) refuses(f Frame) *uint64 {
	d := &p.air.counts.Drops
	switch {
	case p.closed:
		return &d.Closed
	case f.Channel == ChannelAll || f.Channel == ChannelOff:
		return &d.Tuned
	case len(f.Data) > MaxData:
		return &d.Oversize
	case p.inFlight >= p.air.cfg.Queue || p.air.pool.inUse >= p.air.cfg.MaxFrames:
		return &d.QueueFull
	}
	return nil
}

// Close takes the port off the air. Frames that it has sent still arrive. Closing twice is harmless.
func (p *Port) Close() {
	if p.closed {
		return
	}
	p.SetChannel(ChannelOff)
	p.unlinkMAC()
	for group := range p.air.groups { // order does not show
		p.LeaveGroup(group)
	}
	p.closed = true
	p.air.links.portClosed()
}

func (p *Port) linkMAC() {
	l := p.air.byMAC[p.mac]
	if l == nil {
		l = new(list)
		p.air.byMAC[p.mac] = l
	}
	l.push(&p.onMAC)
}

func (p *Port) unlinkMAC() {
	p.onMAC.unlink(p.air)
	if p.air.byMAC[p.mac].empty() {
		delete(p.air.byMAC, p.mac)
	}
}
