package stack

import (
	"net/netip"
	"slices"
	"time"

	"github.com/understudy-net/understudy/stack/tcp"
)

const (
	defaultMaxUDP   = 4096
	defaultUDPQueue = 64 << 10
	udpRecord       = 14 // what stands before each datagram in the queue of a socket
	minQueue        = 2 << 10
)

// UDPConfig says how a UDP socket behaves. The zero value works.
type UDPConfig struct {
	Tag   any   // comes back in the events of the socket
	Queue int   // bytes of datagrams, 14 more each, that wait for ReadFrom; what finds no room is dropped and counted; 0: 64 KiB, at most tcp.MaxRing
	TTL   uint8 // of datagrams sent; 0: the stack's, and 1 for multicast (RFC 1112, 6.1)
	TOS   uint8
}

// udpSock is a UDP socket. Its queue is a ring of records: length, sender, address of arrival, TTL,
// then the datagram.
type udpSock struct {
	id, gen   uint32
	local     endpoint
	remote    endpoint // of a connected socket
	tag       any
	ring      tcp.Ring
	limit     int
	flags     Flags
	queued    bool
	ttl, tos  uint8
	connected bool
	err       error
	dropped   uint64
	groups    []ip4

	// Where the latest datagram went: the checks of its addresses hold until epoch is over.
	to    endpoint
	from  endpoint
	via   *neighbor
	epoch uint32
}

// UDP is a handle of a UDP socket; it is a sock.Datagram. Copies are the same socket; after Close
// all of them say ErrClosed.
type UDP struct {
	s       *Stack
	id, gen uint32
}

// ListenUDP makes a UDP socket. An address that is zero or not valid means all of ours; port 0
// means one that is free, chosen at random.
func (s *Stack) ListenUDP(now time.Time, at netip.AddrPort, c UDPConfig) (UDP, error) {
	local, err := s.localEndpoint(at)
	if err != nil {
		return UDP{}, err
	}
	s.at(now)
	if len(s.udps)+len(s.connected) >= orInt(s.cfg.MaxUDP, defaultMaxUDP) {
		return UDP{}, ErrNoBuffers
	}
	if local.port == 0 {
		if local.port = s.freeUDPPort(local.ip); local.port == 0 {
			return UDP{}, ErrAddrInUse
		}
	} else if s.udps[local] != nil {
		return UDP{}, ErrAddrInUse
	}
	u := &udpSock{gen: s.nextGen(), local: local, tag: c.Tag, ttl: c.TTL, tos: c.TOS}
	u.limit = min(max(orInt(c.Queue, defaultUDPQueue), minQueue), tcp.MaxRing)
	i := slices.Index(s.udpSlots, nil)
	if i < 0 {
		i = len(s.udpSlots)
		s.udpSlots = append(s.udpSlots, nil)
	}
	u.id, s.udpSlots[i] = uint32(i), u
	s.bindUDP(u)
	return UDP{s, u.id, u.gen}, nil
}

// localEndpoint checks an address to listen at: ours, or the zero one for all.
func (s *Stack) localEndpoint(at netip.AddrPort) (endpoint, error) {
	e := endpoint{port: at.Port()}
	if !at.Addr().IsValid() || at.Addr().IsUnspecified() {
		return e, nil
	}
	a, ok := from4(at.Addr())
	if !ok {
		return e, ErrBadAddress
	}
	if !s.mayUse(a) && !isMulticast(a) {
		return e, ErrNoAddress
	}
	e.ip = a
	return e, nil
}

// The range of ephemeral ports (RFC 6056, 3.2; PORT-1).
const (
	firstEphemeral = 49152
	numEphemeral   = 65536 - firstEphemeral
)

// freeUDPPort picks a free port at random (UDP-7); 0 if there is none.
func (s *Stack) freeUDPPort(ip ip4) uint16 {
	start := s.randN(numEphemeral)
	for i := uint64(0); i < numEphemeral; i++ {
		p := uint16(firstEphemeral + (start+i)%numEphemeral)
		if s.udpPortFree(ip, p) {
			return p
		}
	}
	return 0
}

func (s *Stack) udpPortFree(ip ip4, p uint16) bool {
	if s.udps[endpoint{ip, p}] != nil || s.udps[endpoint{port: p}] != nil || !isZero(s.addr) && s.udps[endpoint{s.addr, p}] != nil {
		return false
	}
	for _, u := range s.udpSlots {
		if u != nil && u.connected && u.local.port == p {
			return false
		}
	}
	return true
}

func (u UDP) sock() (*udpSock, error) {
	if u.s == nil || int(u.id) >= len(u.s.udpSlots) {
		return nil, ErrClosed
	}
	k := u.s.udpSlots[u.id]
	if k == nil || k.gen != u.gen {
		return nil, ErrClosed
	}
	return k, nil
}

// Connect fixes the peer: only its datagrams are received from now on (UDP-3), Write goes to it,
// and ICMP errors about it are reported (UDP-6). A socket can be connected once.
func (u UDP) Connect(now time.Time, remote netip.AddrPort) error {
	k, err := u.sock()
	if err != nil {
		return err
	}
	s := u.s
	a, ok := from4(remote.Addr())
	if !ok || !isUnicast(a) || remote.Port() == 0 {
		return ErrBadAddress
	}
	local := k.local
	if isZero(local.ip) {
		if local.ip, err = s.sourceFor(); err != nil {
			return err
		}
	}
	key := tuple{local, endpoint{a, remote.Port()}}
	if k.connected || s.connected[key] != nil {
		return ErrAddrInUse
	}
	s.unbindUDP(k)
	k.local, k.remote, k.connected = local, key.remote, true
	if s.connected == nil {
		s.connected = make(map[tuple]*udpSock)
	}
	s.connected[key] = k
	return nil
}

// bindUDP and unbindUDP keep the table of sockets that are not connected.
func (s *Stack) bindUDP(u *udpSock) {
	if s.udps == nil {
		s.udps = make(map[endpoint]*udpSock)
	}
	s.udps[u.local] = u
	if !isZero(u.local.ip) {
		s.udpBound++
	}
}

func (s *Stack) unbindUDP(u *udpSock) {
	delete(s.udps, u.local)
	if !isZero(u.local.ip) {
		s.udpBound--
	}
}

// Close ends the socket. Datagrams that were not read are lost.
func (u UDP) Close(now time.Time) error {
	k, err := u.sock()
	if err != nil {
		return err
	}
	s := u.s
	for _, g := range k.groups {
		s.leaveGroup(now, g)
	}
	k.ring.Discard(k.ring.Len())
	k.ring.Release(&s.cfg.TCP.Pool)
	if k.connected {
		delete(s.connected, tuple{k.local, k.remote})
	} else {
		s.unbindUDP(k)
	}
	s.udpSlots[k.id] = nil
	if s.lastUDP == k {
		s.lastUDP = nil
	}
	s.touch()
	return nil
}

// LocalAddr returns where the socket listens; the address is 0.0.0.0 if that is all of ours.
func (u UDP) LocalAddr() netip.AddrPort {
	k, err := u.sock()
	if err != nil {
		return netip.AddrPort{}
	}
	return k.local.addrPort()
}

// RemoteAddr returns the peer of a connected socket; the zero AddrPort if there is none.
func (u UDP) RemoteAddr() netip.AddrPort {
	k, err := u.sock()
	if err != nil || !k.connected {
		return netip.AddrPort{}
	}
	return k.remote.addrPort()
}

// SetTag sets what comes back in the socket's events. If something can be read already, an event
// follows.
func (u UDP) SetTag(tag any) {
	k, err := u.sock()
	if err != nil {
		return
	}
	k.tag = tag
	if k.ring.Len() > 0 {
		u.s.udpEvent(k, Readable)
		u.s.touch()
	}
}

// Dropped returns how many datagrams found the queue full.
func (u UDP) Dropped() uint64 {
	k, err := u.sock()
	if err != nil {
		return 0
	}
	return k.dropped
}

func (u *udpSock) info() UDPInfo {
	i := UDPInfo{Local: u.local.addrPort(), Queued: u.ring.Len(), Dropped: u.dropped}
	if u.connected {
		i.Remote = u.remote.addrPort()
	}
	return i
}
