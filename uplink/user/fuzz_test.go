package user

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/understudy-net/understudy/wire"
)

// repair makes the checksums of an IPv4 frame right, so that mutations get past them.
func repair(eth []byte) {
	const ip = wire.EthernetLen
	if len(eth) < ip+wire.IPv4MinLen || binary.BigEndian.Uint16(eth[12:]) != uint16(wire.EtherTypeIPv4) {
		return
	}
	b := eth[ip:]
	header := int(b[0]&15) * 4
	if header < wire.IPv4MinLen || header > len(b) {
		return
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	b[10], b[11] = 0, 0
	binary.BigEndian.PutUint16(b[10:], wire.Checksum(b[:header]))
	body, at := b[header:], -1
	switch proto := wire.Proto(b[9]); {
	case proto == wire.ProtoUDP && len(body) >= 8:
		binary.BigEndian.PutUint16(body[4:], uint16(len(body)))
		at = 6
	case proto == wire.ProtoTCP && len(body) >= 20:
		at = 16
	case proto == wire.ProtoICMP && len(body) >= 8:
		body[2], body[3] = 0, 0
		binary.BigEndian.PutUint16(body[2:], wire.Checksum(body))
	}
	if at >= 0 {
		body[at], body[at+1] = 0, 0
		sum := wire.PseudoSum(wire.Proto(b[9]), [4]byte(b[12:]), [4]byte(b[16:]), len(body))
		binary.BigEndian.PutUint16(body[at:], ^wire.Fold(wire.Sum(sum, body)))
	}
}

// FuzzInput throws frames at an uplink whose host answers every dial, look-up and ping. Input is a sequence of frames, each
// with a byte of flags and two bytes of length before it.
func FuzzInput(f *testing.F) {
	b := newVirtualBench(f, Config{
		MaxTCP: 8, MaxUDP: 8, MaxEcho: 8, MaxLookups: 4, AllowHost: true, Resolver: fakeResolver{}, DNSTimeout: time.Millisecond,
		Dial: func(_ context.Context, network string, to netip.AddrPort) (net.Conn, error) {
			if to.Port()%2 == 1 {
				return nil, &net.OpError{Op: "dial", Err: context.DeadlineExceeded}
			}
			return newFakeUDP(), nil
		},
		Log: func(e Event) { _ = e.String() },
	})
	b.with(func(time.Time) { b.u.echo.open = func(uint16) (echoSocket, error) { return newQuietEcho(), nil } })
	frames := func(all ...[]byte) (seq []byte) {
		for _, eth := range all {
			seq = append(binary.BigEndian.AppendUint16(append(seq, 1), uint16(len(eth))), eth...)
		}
		return seq
	}
	arp := wire.Ethernet{Dst: wire.Broadcast, Src: deviceMAC, Type: wire.EtherTypeARP}.Append(nil)
	arp = wire.ARP{Op: 1, SenderMAC: deviceMAC, SenderIP: b.addr, TargetIP: b.u.policy.host}.Append(arp)
	syn := wire.TCP{SrcPort: 1000, DstPort: 80, Seq: 7, Flags: wire.SYN, Wnd: 1000}.Append(nil, b.addr, b.u.policy.host, nil)
	f.Add(frames(arp, b.packet(wire.ProtoTCP, b.u.policy.host, 64, syn)))
	f.Add(frames(arp, b.datagramFrom(1000, "192.0.2.1:80", "hello"), b.datagramFrom(1000, "192.0.2.1:81", "hello")))
	f.Add(frames(arp, b.datagramFrom(1000, "10.77.0.1:53", string(newQuery(f, "www.example.com.", dnsmessage.TypeA, 512)))))
	f.Add(frames(arp, b.echoFrom("192.0.2.1", 1, 2), b.echoFrom("169.254.169.254", 1, 2)))
	f.Fuzz(func(t *testing.T, seq []byte) {
		for len(seq) > 3 {
			flags, n := seq[0], int(binary.BigEndian.Uint16(seq[1:]))
			n = min(n, len(seq)-3)
			eth := append([]byte(nil), seq[3:3+n]...)
			seq = seq[3+n:]
			if flags&1 != 0 {
				repair(eth)
			}
			b.input(eth)
			if flags&2 != 0 {
				b.w.Step()
			}
		}
		for range 3 {
			b.w.Step()
		}
		b.with(func(time.Time) {
			if b.u.tcp.n > 8 || len(b.u.udp.flows) > 8 || b.u.echo.order.n > 8 || b.u.dns.Counters().Pending > 4 || b.u.udp.queued < 0 {
				t.Errorf("beyond the limits: %d TCP, %d UDP, %d pings, %d look-ups, %d bytes queued",
					b.u.tcp.n, len(b.u.udp.flows), b.u.echo.order.n, b.u.dns.Counters().Pending, b.u.udp.queued)
			}
		})
	})
}

// A quietEcho takes echo requests and answers none.
type quietEcho struct{ *fakeEcho }

func newQuietEcho() quietEcho { return quietEcho{newFakeEcho()} }

func (quietEcho) writeEcho(netip.Addr, int, uint16, []byte) error { return nil }
