package understudytest_test

// UDP: datagrams, broadcast, multicast (spec/driver-api.md 5.5).

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/understudytest"
	"github.com/understudy-net/understudy/wire"
)

// withPeer runs body with a peer that has a UDP socket at port 99.
func withPeer(t *testing.T, body func(r *rig, peer datagramPeer)) {
	t.Helper()
	behave(t, func(r *rig) {
		h := r.AddHost("peer.test")
		body(r, datagramPeer{r, h, r.peerSocket(h, 99), netip.AddrPortFrom(h.Addr, 99)})
	})
}

// to matches packets for an address.
func to(a netip.Addr) match { return func(p *packet) bool { return p.ip.Dst == a } }

func TestUDP01_SendTo(t *testing.T) {
	withPeer(t, func(r *rig, peer datagramPeer) {
		u, from := r.bound(driver.Datagram, 9), r.mark()
		r.sendTo(u, []byte("hello"), peer.at)
		if sender := peer.gets("hello"); sender != r.at(9) {
			r.fatalf("it came from %v, want %v", sender, r.at(9))
		}
		r.Sleep(patience)
		sent := r.packets(from, up, isUDP)
		if len(sent) != 1 {
			r.fatalf("%d datagrams on the air, want 1", len(sent))
		}
		p := sent[0]
		if p.udp != (wire.UDP{SrcPort: 9, DstPort: 99}) || p.ip.Dst != peer.at.Addr() || string(p.body) != "hello" {
			r.fatalf("on the air: %v, %q", p, p.body)
		}
	})
}

func TestUDP02_RecvFrom(t *testing.T) {
	withPeer(t, func(r *rig, peer datagramPeer) {
		u := r.bound(driver.Datagram, 9)
		r.recvFrom(u, 100)
		peer.sends("hello", 9)
		if sender := r.wantDatagram(u, "hello"); sender != peer.at {
			r.fatalf("it came from %v, want %v", sender, peer.at)
		}
	})
}

func TestUDP03_WhatDoesNotFitIsLost(t *testing.T) {
	withPeer(t, func(r *rig, peer datagramPeer) {
		u, long := r.bound(driver.Datagram, 9), string(pattern(100))
		peer.sends(long, 9)
		peer.sends("next", 9)
		r.recvFrom(u, 40)
		r.wantDatagram(u, long[:40])
		r.recvFrom(u, 100)
		r.wantDatagram(u, "next")
	})
}

func TestUDP04_DatagramsWaitInOrder(t *testing.T) {
	withPeer(t, func(r *rig, peer datagramPeer) {
		u := r.bound(driver.Datagram, 9)
		peer.sends("first", 9)
		peer.sends("second", 9)
		r.quiet(time.Second, "nobody has called recvfrom")
		r.recvFrom(u, 100)
		r.wantDatagram(u, "first")
		r.quiet(time.Second, "one call, one datagram")
		r.recvFrom(u, 100)
		r.wantDatagram(u, "second")
	})
}

func TestUDP05_SendToTheEarlierDestination(t *testing.T) {
	withPeer(t, func(r *rig, peer datagramPeer) {
		u := r.bound(driver.Datagram, 9)
		r.sendTo(u, []byte("one"), peer.at)
		peer.gets("one")
		r.sendTo(u, []byte("two"), netip.AddrPort{})
		peer.gets("two")
	})
}

func TestUDP06_SendToNowhere(t *testing.T) {
	behave(t, func(r *rig) {
		from := r.mark()
		for _, u := range []driver.Socket{r.datagram(), r.bound(driver.Datagram, 9)} {
			r.ok("SendTo", u.SendTo([]byte("x"), netip.AddrPort{}))
			r.verdict("SENDTO", u, want[driver.SendToMsg](r, u).Err, driver.ErrAddrRequired)
		}
		r.noPacket("there was no destination", from, up)
	})
}

func TestUDP07_SendGoesToTheEarlierDestination(t *testing.T) {
	withPeer(t, func(r *rig, peer datagramPeer) {
		u := r.bound(driver.Datagram, 9)
		r.sendTo(u, []byte("one"), peer.at)
		peer.gets("one")
		r.send(u, []byte("two"))
		if sender := peer.gets("two"); sender != r.at(9) {
			r.fatalf("it came from %v, want %v", sender, r.at(9))
		}
	})
}

func TestUDP08_SendTo1401(t *testing.T) {
	withPeer(t, func(r *rig, peer datagramPeer) {
		u, from := r.bound(driver.Datagram, 9), r.mark()
		r.refused("SendTo", u.SendTo(pattern(1401), peer.at), driver.ErrSockArg)
		r.quiet(patience, "the call was refused")
		r.noPacket("the call was refused", from, up)
		r.sendTo(u, pattern(1400), peer.at)
		peer.gets(string(pattern(1400)))
	})
}

func TestUDP09_RecvFromTimesOut(t *testing.T) {
	withPeer(t, func(r *rig, peer datagramPeer) {
		u, start := r.bound(driver.Datagram, 9), r.Now()
		r.ok("RecvFrom", u.RecvFrom(make([]byte, 10), 500*time.Millisecond))
		m, e := wantWithin[driver.RecvFromMsg](r, u, patience)
		r.verdict("RECVFROM", u, m.Err, driver.ErrTimedOut)
		if took := e.at.Sub(start); took < 400*time.Millisecond || took > 600*time.Millisecond {
			r.fatalf("RECVFROM after %v, want 500 ms", took)
		}
		r.recvFrom(u, 10)
		peer.sends("later", 9)
		r.wantDatagram(u, "later")
		r.sendTo(u, []byte("answer"), peer.at)
		peer.gets("answer")
	})
}

func TestUDP10_SendEventsSwitchedOff(t *testing.T) {
	withPeer(t, func(r *rig, peer datagramPeer) {
		u, from := r.bound(driver.Datagram, 9), r.mark()
		r.ok("SetOpt", u.SetOpt(driver.OptUDPSendEvents, 0))
		r.ok("SendTo", u.SendTo([]byte("silent"), peer.at))
		r.wantPacket("the datagram", from, up, isUDP, port(99))
		peer.gets("silent")
		r.quiet(patience, "send events are off")
		r.ok("SetOpt", u.SetOpt(driver.OptUDPSendEvents, 1))
		r.sendTo(u, []byte("loud"), peer.at)
	})
}

func TestUDP11_OptionBeforeBindIsLost(t *testing.T) {
	withPeer(t, func(r *rig, peer datagramPeer) {
		u := r.datagram()
		r.ok("SetOpt", u.SetOpt(driver.OptUDPSendEvents, 0))
		r.bind(u, 9, nil)
		r.sendTo(u, []byte("loud"), peer.at)
		peer.gets("loud")
	})
}

func TestUDP12_UnboundPort(t *testing.T) {
	withPeer(t, func(r *rig, peer datagramPeer) {
		for n, u := range []driver.Socket{r.bound(driver.Datagram, 9), r.bound(driver.Datagram, 10)} {
			r.recvFrom(u, 100+n)
		}
		from := r.mark()
		peer.sends("is anybody there?", 11)
		answer := r.wantPacket("ICMP", from, up, isICMP, to(peer.at.Addr()))
		if answer.icmp.Type != wire.ICMPUnreachable || answer.icmp.Code != wire.ICMPPortUnreachable {
			r.fatalf("the answer is %v", answer)
		}
		r.quiet(patience, "the port is nobody's")
	})
}

func TestUDP13_SubnetBroadcastIsDelivered(t *testing.T) {
	withPeer(t, func(r *rig, peer datagramPeer) {
		u := r.bound(driver.Datagram, 9)
		r.recvFrom(u, 100)
		peer.sendsTo("to all", netip.MustParseAddrPort("10.9.0.255:9"))
		if sender := r.wantDatagram(u, "to all"); sender != peer.at {
			r.fatalf("it came from %v, want %v", sender, peer.at)
		}
	})
}

func TestUDP14_LimitedBroadcast(t *testing.T) {
	withPeer(t, func(r *rig, peer datagramPeer) {
		u, from := r.bound(driver.Datagram, 9), r.mark()
		r.sendTo(u, []byte("to all"), netip.MustParseAddrPort("255.255.255.255:99"))
		p := r.wantPacket("the datagram", from, up, isUDP, port(99))
		if p.eth.Dst != wire.Broadcast || p.ip.Dst != netip.MustParseAddr("255.255.255.255") {
			r.fatalf("on the air: to %v, %v", p.eth.Dst, p)
		}
		peer.gets("to all")
	})
}

var group = netip.MustParseAddrPort("239.1.2.3:9")

func TestUDP15_JoinAGroup(t *testing.T) {
	withPeer(t, func(r *rig, peer datagramPeer) {
		u, from := r.bound(driver.Datagram, group.Port()), r.mark()
		r.recvFrom(u, 100)
		peer.sendsTo("before", group)
		r.quiet(patience, "not yet a member")
		r.noPacket("not yet a member", from, up, isIGMP)
		r.ok("Join", u.Join(group.Addr()))
		report := r.wantPacket("report", from, up, isIGMP)
		if report.igmp.Type != wire.IGMPReportV2 || report.igmp.Group != group.Addr() || report.ip.Dst != group.Addr() {
			r.fatalf("on the air: %v", report)
		}
		peer.sendsTo("member", group)
		if sender := r.wantDatagram(u, "member"); sender != peer.at {
			r.fatalf("it came from %v, want %v", sender, peer.at)
		}
	})
}

func TestUDP16_LeaveAGroup(t *testing.T) {
	withPeer(t, func(r *rig, peer datagramPeer) {
		u := r.bound(driver.Datagram, group.Port())
		r.ok("Join", u.Join(group.Addr()))
		r.recvFrom(u, 100)
		peer.sendsTo("member", group)
		r.wantDatagram(u, "member")
		r.ok("Leave", u.Leave(group.Addr()))
		r.recvFrom(u, 100)
		peer.sendsTo("after", group)
		r.quiet(patience, "no longer a member")
		peer.sends("just to you", group.Port())
		r.wantDatagram(u, "just to you")
	})
}

func TestUDP17_SendToOnAStream(t *testing.T) {
	withPeer(t, func(r *rig, peer datagramPeer) {
		connected, c := r.dial(peer.Host, 80)
		from := r.mark()
		for _, s := range []driver.Socket{r.stream(), r.bound(driver.Stream, 9), r.listener(10), connected} {
			for _, dst := range []netip.AddrPort{peer.at, {}} {
				r.ok("SendTo", s.SendTo([]byte("x"), dst))
				m := want[driver.SendToMsg](r, s)
				r.verdict("SENDTO", s, m.Err, driver.ErrSockInvalid)
			}
		}
		r.quiet(patience, "one event each")
		r.noPacket("sendto is not for streams", from, up)
		r.send(connected, []byte("unharmed"))
		r.peerReads(c, []byte("unharmed"))
	})
}

// datagramPeer is a host with a UDP socket.
type datagramPeer struct {
	r *rig
	*understudytest.Host
	c  net.PacketConn
	at netip.AddrPort // of the socket
}

func (p datagramPeer) sendsTo(data string, to netip.AddrPort) {
	p.r.t.Helper()
	_, err := p.c.WriteTo([]byte(data), net.UDPAddrFromAddrPort(to))
	p.r.ok("peer sends", err)
}

// sends sends to a port of the device.
func (p datagramPeer) sends(data string, port uint16) {
	p.r.t.Helper()
	p.sendsTo(data, p.r.at(port))
}

// gets wants this datagram, and returns its sender.
func (p datagramPeer) gets(data string) netip.AddrPort {
	p.r.t.Helper()
	return p.r.peerGets(p.c, data)
}
