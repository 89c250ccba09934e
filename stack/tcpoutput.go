package stack

import (
	"encoding/binary"
	"time"

	"github.com/understudy-net/understudy/stack/tcp"
	"github.com/understudy-net/understudy/wire"
)

// afterTCP does what follows any call of a connection: it sends, keeps the timer, and tells the
// owner.
func (s *Stack) afterTCP(now time.Time, t tcp.Instant, k *tcpSock, c tcp.Change) {
	b := s.frame()
	for {
		n := k.conn.Output(t, b[payStart:])
		if n == 0 {
			break
		}
		s.sendTCP(now, t, k, b, n)
	}
	s.timers.lower(k, k.conn.Deadline())
	if c != 0 {
		s.tcpChanged(now, k, c)
	}
}

// sendTCP puts the IP and Ethernet headers before the segment of n bytes in b.
func (s *Stack) sendTCP(now time.Time, t tcp.Instant, k *tcpSock, b []byte, n int) {
	s.stats.TCP.Out++
	k.putIP(b[ipStart:payStart], s.ttl(k.ttl), n)
	nb := k.neigh
	if nb == nil || nb.dead {
		if nb = s.neighborOf(k); nb == nil {
			return
		}
		k.neigh = nb
	}
	if !s.mayUse(k.key.local.ip) {
		s.stats.IP.BadLocal++ // the address is gone (IP-7)
		return
	}
	s.stats.IP.Out++
	s.sendVia(now, t, nb, b, payStart+n)
}

// putIP writes the IP header for a segment of n bytes; ipSum has the sum of what is always the same
// in it. TCP never makes fragments (IP-24): DF is set, and the identification of such packets is
// free (RFC 6864, 4.1).
func (k *tcpSock) putIP(b []byte, ttl uint8, n int) {
	_ = b[ipLen-1]
	total := uint32(ipLen + n)
	binary.BigEndian.PutUint32(b[0:], 0x4500_0000|uint32(k.tos)<<16|total)
	binary.BigEndian.PutUint32(b[4:], ipDF)
	sum := k.ipSum + uint32(k.tos) + total + uint32(ttl)<<8
	sum = sum>>16 + sum&0xffff
	sum += sum >> 16
	binary.BigEndian.PutUint32(b[8:], uint32(ttl)<<24|uint32(wire.ProtoTCP)<<16|uint32(uint16(^sum)))
	copy(b[12:16], k.key.local.ip[:])
	copy(b[16:20], k.key.remote.ip[:])
}

// ipSum is the sum of the words of an IP header that are the same in all packets of a connection.
func ipSum(t tuple) uint32 {
	src, dst := u32(t.local.ip), u32(t.remote.ip)
	return 0x4500 + ipDF + uint32(wire.ProtoTCP) + src>>16 + src&0xffff + dst>>16 + dst&0xffff
}

func (s *Stack) neighborOf(k *tcpSock) *neighbor {
	hop, ok := s.nextHop(k.key.remote.ip)
	if !ok {
		s.stats.IP.NoRoute++
		return nil
	}
	return s.neighbor(hop)
}
