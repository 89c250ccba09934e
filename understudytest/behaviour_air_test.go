package understudytest_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/understudytest"
	"github.com/understudy-net/understudy/wire"
)

// kind is what a packet is: its innermost header.
type kind string

const (
	kindARP   kind = "ARP"
	kindICMP  kind = "ICMP"
	kindIGMP  kind = "IGMP"
	kindUDP   kind = "UDP"
	kindTCP   kind = "TCP"
	kindOther kind = "other" // EAPOL, or broken
)

// packet is a data frame on the air, parsed. The headers that it does not have
// are zero.
type packet struct {
	n    int // its place in the trace
	at   time.Time
	up   bool // sent by the device; else to it, or to all
	kind kind
	eth  wire.Ethernet
	arp  wire.ARP
	ip   wire.IPv4
	icmp wire.ICMP
	igmp wire.IGMP
	udp  wire.UDP
	tcp  wire.TCP
	body []byte // what is behind the innermost header
	err  error  // why it was not parsed to its end
}

func (p *packet) String() string {
	way := "<" // in the device's view, as packetdrill has it
	if p.up {
		way = ">"
	}
	switch p.kind {
	case kindARP:
		return fmt.Sprintf("%s %v", way, p.arp)
	case kindICMP:
		return fmt.Sprintf("%s %v > %v %v, %d bytes", way, p.ip.Src, p.ip.Dst, p.icmp, len(p.body))
	case kindIGMP:
		return fmt.Sprintf("%s %v > %v %v", way, p.ip.Src, p.ip.Dst, p.igmp)
	case kindUDP:
		return fmt.Sprintf("%s UDP %v:%d > %v:%d, %d bytes", way, p.ip.Src, p.udp.SrcPort, p.ip.Dst, p.udp.DstPort, len(p.body))
	case kindTCP:
		return fmt.Sprintf("%s TCP %v:%d > %v:%d %s", way, p.ip.Src, p.tcp.SrcPort, p.ip.Dst, p.tcp.DstPort, p.tcp.Text(len(p.body)))
	}
	return fmt.Sprintf("%s %v, %d bytes, %v", way, p.eth, len(p.body), p.err)
}

// tapAir puts the packets between the device and its access point into the
// trace, as they are sent, each once.
func (r *rig) tapAir() {
	r.World.Lock()
	defer r.World.Unlock()
	r.Air.Tap(func(now time.Time, f air.Frame) {
		if f.Kind != air.KindData {
			return
		}
		p := parsePacket(f.Data)
		p.at, p.up = now, f.From == understudytest.DeviceMAC
		if !p.up && p.eth.Src == understudytest.DeviceMAC || p.up && p.eth.Src != understudytest.DeviceMAC {
			return // an access point passes a broadcast on
		}
		r.mu.Lock()
		p.n = len(r.trace)
		r.trace = append(r.trace, entry{at: now, pkt: p})
		r.mu.Unlock()
		r.World.Wake(&r.q)
	})
}

// parsePacket parses a copy of a frame as far as it goes.
func parsePacket(frame []byte) *packet {
	p := &packet{kind: kindOther}
	var b []byte
	p.eth, b, p.err = wire.ParseEthernet(append([]byte(nil), frame...))
	switch p.body = b; p.eth.Type {
	case wire.EtherTypeARP:
		if p.arp, p.err = wire.ParseARP(b); p.err == nil {
			p.kind, p.body = kindARP, nil
		}
	case wire.EtherTypeIPv4:
		if p.ip, b, p.err = wire.ParseIPv4(b); p.err == nil {
			p.parseIP(b)
		}
	}
	return p
}

func (p *packet) parseIP(b []byte) {
	body, k := b, kindOther
	switch p.ip.Proto {
	case wire.ProtoICMP:
		k = kindICMP
		p.icmp, body, p.err = wire.ParseICMP(b)
	case wire.ProtoIGMP:
		k, body = kindIGMP, nil
		p.igmp, p.err = wire.ParseIGMP(b)
	case wire.ProtoUDP:
		k = kindUDP
		p.udp, body, p.err = wire.ParseUDP(b, p.ip.Src, p.ip.Dst)
	case wire.ProtoTCP:
		k = kindTCP
		p.tcp, body, p.err = wire.ParseTCP(b, p.ip.Src, p.ip.Dst)
	}
	if p.err == nil {
		p.kind, p.body = k, body
	}
}

// match says whether a packet is one that is looked for.
type match func(p *packet) bool

// all is true if each of ms is.
func all(ms ...match) match {
	return func(p *packet) bool {
		for _, m := range ms {
			if !m(p) {
				return false
			}
		}
		return true
	}
}

func up(p *packet) bool   { return p.up }
func down(p *packet) bool { return !p.up }

func isICMP(p *packet) bool { return p.kind == kindICMP }
func isIGMP(p *packet) bool { return p.kind == kindIGMP }
func isUDP(p *packet) bool  { return p.kind == kindUDP }

// hasData is true of packets with a payload.
func hasData(p *packet) bool { return len(p.body) > 0 }

// port matches TCP segments and UDP datagrams from or to a port.
func port(n uint16) match {
	return func(p *packet) bool {
		return p.kind == kindTCP && (p.tcp.SrcPort == n || p.tcp.DstPort == n) ||
			p.kind == kindUDP && (p.udp.SrcPort == n || p.udp.DstPort == n)
	}
}

// flags matches TCP segments with just these control bits, PSH aside.
func flags(f wire.TCPFlags) match {
	return func(p *packet) bool { return p.kind == kindTCP && p.tcp.Flags&^wire.PSH == f }
}

// withFlag matches TCP segments with these control bits and perhaps others.
func withFlag(f wire.TCPFlags) match {
	return func(p *packet) bool { return p.kind == kindTCP && p.tcp.Flags.Has(f) }
}

// packets returns those that match from place since of the trace on.
func (r *rig) packets(since int, ms ...match) []*packet {
	var found []*packet
	for _, e := range r.since(since) {
		if e.pkt != nil && all(ms...)(e.pkt) {
			found = append(found, e.pkt)
		}
	}
	return found
}

// wantPacket waits for the first one, and returns it.
func (r *rig) wantPacket(what string, since int, ms ...match) *packet {
	r.t.Helper()
	return r.wantPackets(patience, what, 1, since, ms...)[0]
}

// wantPackets waits, within bound, for the first n that match.
func (r *rig) wantPackets(bound time.Duration, what string, n, since int, ms ...match) []*packet {
	r.t.Helper()
	var found []*packet
	if !r.until(bound, func() bool { found = r.packets(since, ms...); return len(found) >= n }) {
		r.fatalf("on the air within %v: %d packets of %q, want %d", bound, len(found), what, n)
	}
	return found[:n]
}

// noPacket fails if there is a packet that matches from place since on.
func (r *rig) noPacket(why string, since int, ms ...match) {
	r.t.Helper()
	if found := r.packets(since, ms...); len(found) > 0 {
		r.fatalf("%s: on the air: %v", why, found[0])
	}
}

// puppet is a host on the network whose packets the test writes itself. Of its
// own accord it answers ARP and nothing else, so to others it is a host that
// is there and silent.
type puppet struct {
	r    *rig
	mac  wire.MAC
	addr netip.Addr
}

// puppet makes one, at 10.9.0.66.
func (r *rig) puppet() *puppet {
	p := &puppet{r: r, mac: wire.MAC{2, 0x50, 0x55, 0x50, 0x50, 1}, addr: netip.MustParseAddr("10.9.0.66")}
	seen := r.mark()
	r.Go(func() {
		now := r.World.Lock()
		for !r.World.Closed() {
			for _, e := range r.since(seen) {
				if seen++; e.pkt != nil {
					p.answerARP(now, e.pkt)
				}
			}
			now = r.World.Wait(&r.q, time.Time{})
		}
		r.World.Unlock()
	})
	return p
}

func (p *puppet) answerARP(now time.Time, q *packet) {
	if q.up && q.kind == kindARP && q.arp.Op == wire.ARPRequest && q.arp.TargetIP == p.addr {
		answer := wire.ARP{Op: wire.ARPReply, SenderMAC: p.mac, SenderIP: p.addr, TargetMAC: q.arp.SenderMAC, TargetIP: q.arp.SenderIP}
		b := wire.Ethernet{Dst: q.eth.Src, Src: p.mac, Type: wire.EtherTypeARP}.Append(nil)
		p.r.AP.Send(now, answer.Append(b))
	}
}

// sendIP sends an IP packet to the device.
func (p *puppet) sendIP(proto wire.Proto, payload []byte) {
	b := wire.Ethernet{Dst: understudytest.DeviceMAC, Src: p.mac, Type: wire.EtherTypeIPv4}.Append(nil)
	b = wire.IPv4{TTL: 64, Proto: proto, Src: p.addr, Dst: p.r.Client.Addr()}.Append(b, len(payload))
	b = append(b, payload...)
	now := p.r.World.Lock()
	p.r.AP.Send(now, b)
	p.r.World.Unlock()
}

// script is a TCP connection of a puppet.
type script struct {
	*puppet
	local, remote uint16 // ports: the puppet's and the device's
	seq           uint32 // of the next byte to the device
	ack           uint32 // the next one expected from it
	wnd           uint16
}

// answer completes the handshake of a connection that the device opens, at or
// after place since of the trace, to the puppet's port.
func (p *puppet) answer(since int, local uint16) *script {
	p.r.t.Helper()
	syn := p.r.wantPacket("SYN", since, up, port(local), flags(wire.SYN))
	c := &script{puppet: p, local: local, remote: syn.tcp.SrcPort, seq: 7000, ack: syn.tcp.Seq + 1, wnd: 16384}
	c.send(wire.SYN|wire.ACK, nil)
	c.seq++
	p.r.wantPacket("ACK of the SYN", syn.n, up, port(local), flags(wire.ACK))
	return c
}

// segment makes a segment at seq.
func (c *script) segment(flags wire.TCPFlags, seq uint32, data []byte) []byte {
	h := wire.TCP{SrcPort: c.local, DstPort: c.remote, Seq: seq, Ack: c.ack, Flags: flags, Wnd: c.wnd}
	if flags.Has(wire.SYN) {
		h.Opt.MSS = 1460
	}
	return h.Append(nil, c.addr, c.r.Client.Addr(), data)
}

// send sends a segment at the place where the stream is; it does not move it.
func (c *script) send(flags wire.TCPFlags, data []byte) {
	c.sendIP(wire.ProtoTCP, c.segment(flags, c.seq, data))
}
