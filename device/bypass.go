package device

import (
	"errors"
	"slices"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
	"github.com/understudy-net/understudy/wire"
)

// bypass is the Ethernet mode, which a host chooses when it starts the firmware: the device is a network card, and the IP host is
// the host's. Frames go between the bus and the air; our own IP host gets none and has no address, so there are no sockets, no
// DHCP and no updates. Association and Soft-AP are as ever. Spec hif-messages 2.18.
//
//	host ──SEND_ETHERNET_PACKET──▶ station or access point ──▶ air
//	host ◀──ETHERNET_RX_PACKET─── frames ◀── filter ◀───────── air
type bypass struct {
	on     bool
	groups []wire.MAC // that the host wants to hear

	frames  [maxFrames][]byte // ring, of buffers that are used again: those that the outbox has entries for
	head, n int
}

const (
	maxFrames = 32
	maxGroups = 8                       // what the chip has room for (2.18)
	maxFrame  = wire.EthernetLen + 1500 // without check sequence
)

var errBypass = errors.New("not in Ethernet mode")

// wantsBypass reports whether the host has asked for Ethernet mode.
func (d *Device) wantsBypass() bool { return d.regs.stored[reg.GP1]&reg.GP1Ethernet != 0 }

// input takes a frame from the air to the host, if it is for it.
func (b *bypass) input(d *Device, mac wire.MAC, frame []byte) {
	e, _, err := wire.ParseEthernet(frame)
	if err != nil || e.Dst != mac && !e.Dst.IsBroadcast() && !slices.Contains(b.groups, e.Dst) {
		d.counters.FramesFiltered++
		return
	}
	if len(frame) > maxFrame || b.n == maxFrames {
		d.counters.FramesLost++
		return
	}
	entry := d.out.push(maxQueue)
	if entry == nil {
		d.counters.FramesLost++
		return
	}
	entry.kind, entry.op = entryFrame, hif.OpEthernet
	at := &b.frames[(b.head+b.n)%maxFrames]
	*at = append((*at)[:0], frame...)
	b.n++
	d.touched()
}

// build makes the message of the next frame in b.
func (b *bypass) build(msg []byte) int {
	frame := b.frames[b.head]
	b.head = (b.head + 1) % maxFrames
	b.n--
	return len(hif.Ethernet{Frame: frame}.Append(msg[:0]))
}

// waiting reports whether a frame that came between two calls of the owner can be handed to the host.
func (b *bypass) waiting(o *outbox) bool { return b.n > 0 && !o.open && o.heard }

// sendEthernet is SEND_ETHERNET_PACKET. A station sends as itself only: the header on the air has no room for another source.
func (f *firmware) sendEthernet(now time.Time, r request) {
	if !f.bypass.on {
		f.wrongMode(now, r)
		return
	}
	m, err := hif.ParseSendEthernet(r.payload)
	var e wire.Ethernet
	if err == nil {
		e, _, err = wire.ParseEthernet(m.Frame)
	}
	switch {
	case err != nil:
		f.malformed(now, r, err.Error())
	case len(m.Frame) > maxFrame:
		f.malformed(now, r, "a frame that is too long")
	case f.ap == nil && e.Src != f.mac:
		f.malformed(now, r, "a frame of another source")
	default:
		f.transmit(now, m.Frame)
	}
}

// multicastMAC is SET_MAC_MCAST: a group that the host wants to hear, or not any more.
func (f *firmware) multicastMAC(now time.Time, m hif.MulticastMAC) {
	b, mac := &f.bypass, wire.MAC(m.MAC)
	at := slices.Index(b.groups, mac)
	switch {
	case !mac.IsMulticast():
		f.d.counters.Malformed++
	case !m.Add && at >= 0:
		b.groups = slices.Delete(b.groups, at, at+1)
	case m.Add && at < 0 && len(b.groups) == maxGroups:
		f.d.counters.FilterFull++
	case m.Add && at < 0:
		b.groups = append(b.groups, mac)
	}
}
