package stack

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/wire"
)

// WriteTo sends a datagram. There is no queue: what the link or a neighbour that does not answer
// loses is lost. A zero to means the peer of a connected socket.
func (u UDP) WriteTo(now time.Time, p []byte, to netip.AddrPort) (int, error) {
	k, err := u.sock()
	if err != nil {
		return 0, err
	}
	s := u.s
	remote := k.remote
	if to.Addr().IsValid() {
		a, ok := from4(to.Addr())
		if !ok || isZero(a) || isLoopback(a) || to.Port() == 0 {
			return 0, ErrBadAddress
		}
		remote = endpoint{a, to.Port()}
	} else if !k.connected {
		return 0, ErrNotConnected
	}
	if k.via != nil && k.to == remote && k.epoch == s.epoch && !k.via.dead && ipLen+wire.UDPLen+len(p) <= s.cfg.MTU {
		h := ipHeader{proto: wire.ProtoUDP, src: k.from.ip, dst: remote.ip, ttl: s.ttl(k.ttl), tos: k.tos, id: s.nextID(remote.ip)}
		b := s.frame()
		putUDP(b[payStart:], k.from, remote, p)
		h.put(b[ipStart:], wire.UDPLen+len(p))
		s.stats.UDP.Out++
		s.stats.IP.Out++
		err = s.sendVia(now, s.at(now), k.via, b, payStart+wire.UDPLen+len(p))
	} else {
		err = s.writeTo(now, k, remote, p)
	}
	if err != nil {
		return 0, err
	}
	s.touch()
	return len(p), nil
}

// writeTo is WriteTo to a destination that is not the latest one.
func (s *Stack) writeTo(now time.Time, k *udpSock, remote endpoint, p []byte) (err error) {
	local := k.local
	if isZero(local.ip) || isMulticast(local.ip) {
		if local.ip, err = s.sourceFor(); err != nil {
			return err
		}
	}
	ttl := k.ttl
	if ttl == 0 && isMulticast(remote.ip) {
		ttl = 1
	}
	k.via = nil
	if err := s.sendUDP(now, local, remote, p, ttl, k.tos, nil); err != nil {
		return err
	}
	if isUnicast(remote.ip) && !s.isBroadcast(remote.ip) {
		if hop, ok := s.nextHop(remote.ip); ok {
			k.to, k.from, k.via, k.epoch = remote, local, s.neighbor(hop), s.epoch
		}
	}
	return nil
}

// putUDP writes a datagram to d, with the checksum made as the data are copied.
func putUDP(d []byte, src, dst endpoint, p []byte) {
	n := wire.UDPLen + len(p)
	_ = d[7]
	ports, length := uint32(src.port)<<16|uint32(dst.port), uint32(n)<<16
	binary.BigEndian.PutUint32(d[0:], ports)
	acc := wire.PseudoSum(wire.ProtoUDP, src.ip, dst.ip, n)
	acc = wire.AddUint32(wire.AddUint32(acc, ports), length)
	sum := ^wire.Fold(wire.SumCopy(acc, d[wire.UDPLen:], p))
	if sum == 0 {
		sum = 0xffff // UDP-2
	}
	binary.BigEndian.PutUint32(d[4:], length|uint32(sum))
}

// sendUDP builds the datagram in the frame, or sends it in fragments.
func (s *Stack) sendUDP(now time.Time, src, dst endpoint, p []byte, ttl, tos uint8, link *wire.MAC) error {
	n := wire.UDPLen + len(p)
	if n > wire.IPv4MaxLen-ipLen {
		return ErrMessageSize
	}
	h := ipHeader{proto: wire.ProtoUDP, src: src.ip, dst: dst.ip, ttl: s.ttl(ttl), tos: tos}
	b := s.frame()
	whole := ipLen+n <= s.cfg.MTU
	var d []byte
	if whole {
		d = b[payStart : payStart+n]
	} else {
		d = make([]byte, n)
	}
	h.id = s.nextID(dst.ip)
	putUDP(d, src, dst, p)
	s.stats.UDP.Out++
	if whole {
		return s.sendIP(now, h, n, link)
	}
	return s.sendFragments(now, h, d, link)
}

// SendUDP sends a datagram without a socket. src is ours, or any address on a promiscuous
// interface.
func (s *Stack) SendUDP(now time.Time, src, dst netip.AddrPort, payload []byte) error {
	a, ok := from4(src.Addr())
	b, ok2 := from4(dst.Addr())
	if !ok || !ok2 || isZero(b) || src.Port() == 0 || dst.Port() == 0 {
		return ErrBadAddress
	}
	if !s.mayUse(a) {
		return ErrNoAddress
	}
	err := s.sendUDP(now, endpoint{a, src.Port()}, endpoint{b, dst.Port()}, payload, 0, 0, nil)
	s.touch()
	return err
}
