package user

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/net/icmp"

	"github.com/understudy-net/understudy/wire"
)

// An echoSocket sends echo requests into the host's network. One goroutine writes, another reads.
type echoSocket interface {
	writeEcho(to netip.Addr, ttl int, seq uint16, payload []byte) error
	readEcho(b []byte) (from netip.Addr, seq uint16, payload []byte, err error) // errNotEcho: something else came
	Close() error
}

var errNotEcho = errors.New("uplink/user: no answer to an echo request")

// openPing opens a ping socket, which needs no privilege where the system allows it to this group of users (Linux:
// net.ipv4.ping_group_range), or else a raw one, which needs CAP_NET_RAW.
func openPing(id uint16) (echoSocket, error) {
	c, err := icmp.ListenPacket("udp4", "0.0.0.0")
	if err == nil {
		return &pingSocket{c: c, id: id}, nil
	}
	c, rawErr := icmp.ListenPacket("ip4:icmp", "0.0.0.0")
	if rawErr == nil {
		return &pingSocket{c: c, id: id, raw: true}, nil
	}
	return nil, fmt.Errorf("ping socket: %w; raw socket: %w", err, rawErr)
}

// A pingSocket is a socket for ICMP of the host's system.
type pingSocket struct {
	c   *icmp.PacketConn
	id  uint16 // on a raw socket, which hears the answers to everybody's requests
	raw bool
	ttl int    // last set
	out []byte // reused
}

func (s *pingSocket) writeEcho(to netip.Addr, ttl int, seq uint16, payload []byte) error {
	if ttl != s.ttl {
		if err := s.c.IPv4PacketConn().SetTTL(ttl); err == nil {
			s.ttl = ttl // a system that cannot sends with its own
		}
	}
	h := wire.ICMP{Type: wire.ICMPEcho, ID: s.id, Seq: seq}
	s.out = h.Append(s.out[:0], payload)
	var dst net.Addr = &net.UDPAddr{IP: to.AsSlice()}
	if s.raw {
		dst = &net.IPAddr{IP: to.AsSlice()}
	}
	_, err := s.c.WriteTo(s.out, dst)
	return err
}

func (s *pingSocket) readEcho(b []byte) (netip.Addr, uint16, []byte, error) {
	n, addr, err := s.c.ReadFrom(b)
	if err != nil {
		return netip.Addr{}, 0, nil, err
	}
	var ip net.IP
	switch a := addr.(type) {
	case *net.UDPAddr:
		ip = a.IP
	case *net.IPAddr:
		ip = a.IP
	}
	from, _ := netip.AddrFromSlice(ip)
	h, payload, err := wire.ParseICMP(b[:n])
	if err != nil || h.Type != wire.ICMPEchoReply || s.raw && h.ID != s.id {
		return netip.Addr{}, 0, nil, errNotEcho
	}
	return from.Unmap(), h.Seq, payload, nil
}

func (s *pingSocket) Close() error { return s.c.Close() }
