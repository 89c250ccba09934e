package stack

import (
	"net/netip"
	"testing"
	"time"

	"github.com/understudy-net/understudy/stack/dhcp"
	"github.com/understudy-net/understudy/wire"
)

// offer answers the client's latest message, which is among what was sent, as a server that calls itself id. Its datagram comes from
// the address from to the address to.
func (x *script) offer(typ dhcp.MessageType, id, from, to netip.Addr) {
	x.t.Helper()
	var asked dhcp.Message
	for _, o := range x.out {
		ip, b, err := wire.ParseIPv4(o.frame[ethLen:])
		if err != nil || ip.Proto != wire.ProtoUDP {
			continue
		}
		_, p, err := wire.ParseUDP(b, ip.Src, ip.Dst)
		if m, e := dhcp.Parse(p); err == nil && e == nil {
			asked = m
		}
	}
	x.out = nil
	if asked.Op != dhcp.BootRequest {
		x.t.Fatal("the client sent nothing")
	}
	m := dhcp.Message{
		Op: dhcp.BootReply, XID: asked.XID, MAC: asked.MAC, Type: typ, YourIP: addrA, ServerID: id,
		LeaseTime: 3600, Mask: netip.MustParseAddr("255.255.255.0"),
	}
	u := wire.UDP{SrcPort: 67, DstPort: 68}.Append(nil, from, to, m.Append(nil, nil))
	x.s.Input(x.now, x.ipFrom(from, to, wire.ProtoUDP, u))
}

// D-26: a server answers from another of its addresses, to a client that has none yet. Its identifier is what counts.
func TestD26_AnswersFromAnotherAddress(t *testing.T) {
	id, other, far := addrB, netip.MustParseAddr("10.0.0.66"), netip.MustParseAddr("192.0.2.67")
	for _, from := range []netip.Addr{id, other, far} {
		for _, to := range []netip.Addr{addrA, netip.MustParseAddr("255.255.255.255")} {
			x := lone(t, scriptConf())
			if err := x.s.UseDHCP(x.now, DHCPConfig{}); err != nil {
				t.Fatal(err)
			}
			x.offer(dhcp.Offer, id, from, to)
			x.offer(dhcp.Ack, id, from, to)
			if l, ok := x.s.Lease(); !ok || x.s.Addr().Addr() != addrA || l.Server != id {
				t.Errorf("from %v to %v: address %v of server %v", from, to, x.s.Addr(), l.Server)
			}
		}
	}
	// A second server that takes the first one's address as its own, but not its identifier, is not the one asked.
	x := lone(t, scriptConf())
	if err := x.s.UseDHCP(x.now, DHCPConfig{}); err != nil {
		t.Fatal(err)
	}
	x.offer(dhcp.Offer, id, id, addrA)
	x.offer(dhcp.Ack, other, id, addrA)
	if x.s.Addr().IsValid() {
		t.Error("an acknowledgement by identifier of another server was taken")
	}
}

// D-28: with an address that was set by hand there is no client, and nothing that comes to its port does anything.
func TestD28_AnswersToNobody(t *testing.T) {
	x := hostile(t)
	m := dhcp.Message{
		Op: dhcp.BootReply, XID: 1, MAC: x.s.cfg.MAC, Type: dhcp.Ack, YourIP: netip.MustParseAddr("10.0.0.99"), ServerID: addrB,
		LeaseTime: 3600, Mask: netip.MustParseAddr("255.255.255.0"),
	}
	before := x.s.Addr()
	for _, typ := range []dhcp.MessageType{dhcp.Offer, dhcp.Ack, dhcp.Nak} {
		for _, to := range []netip.Addr{addrA, netip.MustParseAddr("255.255.255.255"), netip.MustParseAddr("10.0.0.255")} {
			m.Type = typ
			u := wire.UDP{SrcPort: 67, DstPort: 68}.Append(nil, addrB, to, m.Append(nil, nil))
			f := x.ipFrom(addrB, to, wire.ProtoUDP, u)
			if to != addrA {
				copy(f, wire.Broadcast[:])
			}
			n := x.s.stats.UDP.NoPort
			x.s.Input(x.now, f)
			if x.s.stats.UDP.NoPort != n+1 {
				t.Errorf("%v to %v: not counted", typ, to)
			}
		}
	}
	if x.s.Addr() != before || len(x.drainEvents()) > 0 {
		t.Errorf("address %v, was %v", x.s.Addr(), before)
	}
	for _, o := range x.out { // an unreachable for what was sent to us alone is in order
		ip, b, err := wire.ParseIPv4(o.frame[ethLen:])
		if err != nil || ip.Proto != wire.ProtoICMP || len(b) < 2 || b[0] != 3 || b[1] != 3 {
			t.Errorf("answered with %s", describe(o.frame))
		}
	}
	if len(x.out) > 3 {
		t.Errorf("%d answers", len(x.out))
	}
	x.out = nil
	x.pass(time.Minute)
	x.alive()
	x.namesAlive("www.test")
}
