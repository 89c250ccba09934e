package stack

import (
	"encoding/binary"
	"time"

	"github.com/understudy-net/understudy/stack/dhcp"
	"github.com/understudy-net/understudy/stack/dns"
	"github.com/understudy-net/understudy/stack/sntp"
	"github.com/understudy-net/understudy/stack/tcp"
	"github.com/understudy-net/understudy/wire"
)

// tsOption is how nearly everybody puts timestamps into a header: two no-operations before them
// (RFC 7323, appendix A).
const tsOption = 0x0101080a

// fastTCP handles the IP packet b, from a frame sent to our MAC alone, if it is what nearly all
// packets of a busy host are: a whole segment of a connection, without options but timestamps.
// Whatever else it is, and whatever is wrong with it, is left to inputIP, which looks at all of it
// again and counts. That the connection exists stands for the checks of both addresses.
func (s *Stack) fastTCP(now time.Time, b []byte) bool {
	if len(b) < ipLen+wire.TCPMinLen || b[0] != 0x45 || wire.Proto(b[9]) != wire.ProtoTCP ||
		binary.BigEndian.Uint16(b[6:8])&^ipDF != 0 {
		return false
	}
	total := int(binary.BigEndian.Uint16(b[2:4]))
	if total < ipLen+wire.TCPMinLen || total > len(b) || wire.Fold(sumWords(0, b[:ipLen])) != 0xffff {
		return false
	}
	p := b[ipLen:total]
	key := tuple{endpoint{ip4(b[16:20]), binary.BigEndian.Uint16(p[2:4])}, endpoint{ip4(b[12:16]), binary.BigEndian.Uint16(p[0:2])}}
	if key.local.ip != s.addr && !s.cfg.Promiscuous {
		return false
	}
	k := s.lastTCP
	if k == nil || k.key != key {
		if k = s.tcps[key]; k == nil {
			return false
		}
	}
	var seg wire.TCP
	hlen := int(p[12]>>4) * 4
	switch {
	case hlen == wire.TCPMinLen:
	case hlen == wire.TCPMinLen+12 && len(p) >= hlen && binary.BigEndian.Uint32(p[20:24]) == tsOption:
		seg.Opt.TS = true
		seg.Opt.TSVal, seg.Opt.TSEcr = binary.BigEndian.Uint32(p[24:28]), binary.BigEndian.Uint32(p[28:32])
	default:
		return false
	}
	if k.conn.State() == tcp.StateTimeWait {
		return false
	}
	acc := wire.AddUint16(k.conn.Pseudo(), uint16(len(p))) // the pseudo-header sums to the same both ways
	if wire.Fold(wire.Sum(sumWords(acc, p[:hlen]), p[hlen:])) != 0xffff {
		return false
	}
	s.lastTCP = k
	s.stats.IP.In++
	s.stats.TCP.In++
	seg.SrcPort, seg.DstPort = key.remote.port, key.local.port
	seg.Seq, seg.Ack = binary.BigEndian.Uint32(p[4:8]), binary.BigEndian.Uint32(p[8:12])
	seg.Flags, seg.Wnd = wire.TCPFlags(p[13]), binary.BigEndian.Uint16(p[14:16])
	t := s.at(now)
	c := k.conn.Input(t, &seg, p[hlen:])
	s.putOffAck(k)
	s.afterTCP(now, t, k, c)
	return true
}

// fastUDP does the same for datagrams to sockets that are neither hooks nor machines of the stack.
func (s *Stack) fastUDP(now time.Time, b []byte) bool {
	if len(b) < ipLen+wire.UDPLen || b[0] != 0x45 || wire.Proto(b[9]) != wire.ProtoUDP || s.onUDP != nil ||
		binary.BigEndian.Uint16(b[6:8])&^ipDF != 0 {
		return false
	}
	total := int(binary.BigEndian.Uint16(b[2:4]))
	if total < ipLen+wire.UDPLen || total > len(b) || wire.Fold(sumWords(0, b[:ipLen])) != 0xffff {
		return false
	}
	p := b[ipLen:total]
	local := endpoint{ip4(b[16:20]), binary.BigEndian.Uint16(p[2:4])}
	remote := endpoint{ip4(b[12:16]), binary.BigEndian.Uint16(p[0:2])}
	n := int(binary.BigEndian.Uint16(p[4:6]))
	if local.ip != s.addr || remote.port == 0 || n < wire.UDPLen || n > len(p) ||
		!isUnicast(remote.ip) || remote.ip == s.addr || s.isBroadcast(remote.ip) || s.isClientPort(local.port, remote.port) {
		return false
	}
	u := s.lastUDP
	if u == nil || !u.isFor(local, remote, s) {
		if u = s.findUDP(local, remote); u == nil {
			return false
		}
		s.lastUDP = u
	}
	if p[6]|p[7] != 0 && wire.Fold(wire.Sum(wire.PseudoSum(wire.ProtoUDP, remote.ip, local.ip, n), p[:n])) != 0xffff {
		return false
	}
	s.stats.IP.In++
	s.stats.UDP.In++
	s.at(now)
	s.queueUDP(u, remote, local.ip, b[8], p[wire.UDPLen:n])
	return true
}

// isFor reports whether findUDP would find u, as far as that can be told without a look-up.
func (u *udpSock) isFor(local, remote endpoint, s *Stack) bool {
	switch {
	case u.connected:
		return u.remote == remote && u.local == local
	case len(s.connected) > 0:
		return false
	case u.local == local:
		return true
	}
	return s.udpBound == 0 && u.local.port == local.port
}

// isClientPort reports whether datagrams between these ports may be for a machine of the stack; see
// clientInput.
func (s *Stack) isClientPort(p, from uint16) bool {
	return p == 0 || s.ntp != nil && (p == sntp.Port || from == sntp.Port) || s.client != nil && p == dhcp.ClientPort || s.server != nil && p == dhcp.ServerPort ||
		s.names != nil && p == dns.Port || s.resolve != nil && s.resolve.m.Uses(p)
}

// sumWords is wire.Sum for the few words of a header: acc must be the sum of not many fields, so
// that nothing is carried out.
func sumWords(acc uint64, b []byte) uint64 {
	for len(b) >= 4 {
		acc += uint64(binary.LittleEndian.Uint32(b))
		b = b[4:]
	}
	return acc
}
