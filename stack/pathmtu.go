package stack

import "github.com/understudy-net/understudy/stack/tcp"

// pathMTUs remembers for a while what routers said about the way to a destination, for the next
// connections to it (RFC 1191, 6.1).
type pathMTUs [8]struct {
	dst   ip4
	mtu   uint16
	until tcp.Instant
}

// notePath takes the MTU of the path to dst, after the report was found to be true.
func (s *Stack) notePath(t tcp.Instant, dst ip4, mtu int) {
	if s.paths == nil {
		s.paths = new(pathMTUs)
	}
	oldest := 0
	for i := range s.paths {
		if s.paths[i].dst == dst {
			oldest = i
			break
		}
		if s.paths[i].until < s.paths[oldest].until {
			oldest = i
		}
	}
	p := &s.paths[oldest]
	p.dst, p.mtu, p.until = dst, uint16(mtu), t.Add(pathMTULife)
}

const pathMTULife = 10 * 60 * 1e9 // RFC 1191, 6.3

// usePath gives a new connection what is known about its path.
func (s *Stack) usePath(t tcp.Instant, k *tcpSock) {
	if s.paths == nil {
		return
	}
	for i := range s.paths {
		if p := &s.paths[i]; p.dst == k.key.remote.ip && t < p.until {
			k.conn.SetPathMTU(t, int(p.mtu))
		}
	}
}
