package stack

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/stack/tcp"
	"github.com/understudy-net/understudy/wire"
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

// udpSock is a UDP socket. Its queue is a ring of records: length, sender, address of arrival, TTL, then the
// datagram.
type udpSock struct {
	id, gen   uint32
	local     endpoint
	remote    endpoint // of a connected socket
	tag       any
	ring      tcp.Ring
	limit     int
	flags     Flags
	queued    bool
	blocked   bool
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

// UDP is a handle of a UDP socket; it is a sock.Datagram. Copies are the same socket; after Close all of
// them say ErrClosed.
type UDP struct {
	s       *Stack
	id, gen uint32
}

// ListenUDP makes a UDP socket. An address that is zero or not valid means all of ours; port 0 means one that is free,
// chosen at random.
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
	u.id = uint32(len(s.udpSlots))
	for i, x := range s.udpSlots {
		if x == nil {
			u.id = uint32(i)
			break
		}
	}
	if int(u.id) == len(s.udpSlots) {
		s.udpSlots = append(s.udpSlots, nil)
	}
	s.udpSlots[u.id] = u
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

// Connect fixes the peer: only its datagrams are received from now on (UDP-3), Write goes to it, and ICMP errors
// about it are reported (UDP-6). A socket can be connected once.
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

// inputUDP hands a datagram to a hook, to the machines of DHCP, DNS and SNTP, or to its socket.
func (s *Stack) inputUDP(now time.Time, p *packet) {
	s.stats.UDP.In++
	h, payload, err := wire.ParseUDP(p.payload, netip.AddrFrom4(p.src), netip.AddrFrom4(p.dst))
	if err != nil {
		if errors.Is(err, wire.ErrChecksum) {
			s.stats.UDP.BadChecksum++
		} else {
			s.stats.UDP.Malformed++
		}
		return
	}
	if h.SrcPort == 0 || h.DstPort == 0 {
		s.stats.UDP.Malformed++ // U-05
		return
	}
	local, remote := endpoint{p.dst, h.DstPort}, endpoint{p.src, h.SrcPort}
	if s.onUDP != nil && s.onUDP(now, remote.addrPort(), local.addrPort(), payload) {
		return
	}
	if s.clientInput(now, p, local, remote, payload) {
		return
	}
	if u := s.findUDP(local, remote); u != nil {
		s.queueUDP(u, remote, p.dst, p.ttl, payload)
		return
	}
	s.stats.UDP.NoPort++
	s.sendUnreachable(now, p, wire.ICMPPortUnreachable) // ICMP-7
}

// findUDP looks for the socket of a datagram, the closest first: as a rule one look-up.
func (s *Stack) findUDP(local, remote endpoint) *udpSock {
	if len(s.connected) > 0 {
		if u := s.connected[tuple{local, remote}]; u != nil {
			return u
		}
	}
	if s.udpBound > 0 {
		if u := s.udps[local]; u != nil {
			return u
		}
	}
	if len(s.udps) > s.udpBound {
		return s.udps[endpoint{port: local.port}]
	}
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

func (s *Stack) queueUDP(u *udpSock, from endpoint, dst ip4, ttl uint8, payload []byte) {
	if u.ring.Len()+udpRecord+len(payload) > u.limit {
		u.dropped++
		s.stats.UDP.QueueFull++ // the newest is dropped (UDP-8)
		return
	}
	var r [udpRecord]byte
	binary.BigEndian.PutUint16(r[0:], uint16(len(payload)))
	copy(r[2:6], from.ip[:])
	binary.BigEndian.PutUint16(r[6:], from.port)
	copy(r[8:12], dst[:])
	r[12] = ttl
	pool := &s.cfg.TCP.Pool
	u.ring.WriteAt(pool, udpRecord, payload)
	u.ring.Write(pool, r[:])
	u.ring.Extend(len(payload))
	s.udpEvent(u, Readable)
}

func (s *Stack) udpEvent(u *udpSock, f Flags) {
	u.flags |= f
	if !u.queued {
		u.queued = true
		s.events.push(eventRef{u.id, u.gen, eventUDP})
	}
}

func (u *udpSock) takeEvent(s *Stack) Event {
	e := Event{Tag: u.tag, Flags: u.flags, Err: u.err, UDP: UDP{s, u.id, u.gen}}
	u.flags, u.queued = 0, false
	return e
}

// Message is what ReadMessage says about a datagram.
type Message struct {
	From, To  netip.AddrPort // sender, and our address at which it arrived (UDP-5)
	Size      int            // bytes of the datagram, which may be more than were read (UDP-4)
	TTL       uint8
	Truncated bool
}

// ReadFrom takes the oldest datagram: n bytes of it are in p, the rest is lost. Without one it returns
// sock.ErrWouldBlock, or an error that ICMP reported about the peer of a connected socket, once.
func (u UDP) ReadFrom(now time.Time, p []byte) (n int, from netip.AddrPort, err error) {
	n, m, err := u.ReadMessage(now, p)
	return n, m.From, err
}

// ReadMessage is ReadFrom with all that is known about the datagram.
func (u UDP) ReadMessage(now time.Time, p []byte) (int, Message, error) {
	k, err := u.sock()
	if err != nil {
		return 0, Message{}, err
	}
	if k.ring.Len() == 0 {
		if err := k.err; err != nil {
			k.err = nil
			return 0, Message{}, err
		}
		return 0, Message{}, errWouldBlock
	}
	var r [udpRecord]byte
	k.ring.Peek(r[:])
	m := Message{Size: int(binary.BigEndian.Uint16(r[0:])), TTL: r[12]}
	m.From = addrPort(ip4(r[2:6]), binary.BigEndian.Uint16(r[6:]))
	m.To = addrPort(ip4(r[8:12]), k.local.port)
	n := min(len(p), m.Size)
	k.ring.PeekAt(p[:n], udpRecord)
	m.Truncated = n < m.Size
	k.ring.Discard(udpRecord + m.Size)
	k.ring.Release(&u.s.cfg.TCP.Pool)
	return n, m, nil
}

// WriteTo sends a datagram. There is no queue: what the link or a neighbour that does not answer loses is
// lost. A zero to means the peer of a connected socket.
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

// SetTag sets what comes back in the socket's events. If something can be read already, an event follows.
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

// JoinGroup makes the socket's host a member of a multicast group (RFC 2236), until LeaveGroup or Close.
func (u UDP) JoinGroup(now time.Time, group netip.Addr) error {
	k, err := u.sock()
	if err != nil {
		return err
	}
	a, ok := from4(group)
	if !ok || !isMulticast(a) {
		return ErrBadAddress
	}
	for _, g := range k.groups {
		if g == a {
			return ErrAddrInUse
		}
	}
	if err := u.s.joinGroup(now, a); err != nil {
		return err
	}
	k.groups = append(k.groups, a)
	u.s.touch()
	return nil
}

// LeaveGroup undoes JoinGroup.
func (u UDP) LeaveGroup(now time.Time, group netip.Addr) error {
	k, err := u.sock()
	if err != nil {
		return err
	}
	a, _ := from4(group)
	for i, g := range k.groups {
		if g == a {
			k.groups = append(k.groups[:i], k.groups[i+1:]...)
			u.s.leaveGroup(now, a)
			return nil
		}
	}
	return ErrBadAddress
}

// HandleUDP sets a hook that sees each datagram before the sockets do, with the addresses that it carries. If fn returns true it is done
// with. payload is valid until fn returns. fn may call the stack.
func (s *Stack) HandleUDP(fn func(now time.Time, src, dst netip.AddrPort, payload []byte) bool) {
	s.onUDP = fn
}

// SendUDP sends a datagram without a socket. src is ours, or any address on a promiscuous interface.
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

// udpError reports what ICMP says about a datagram to the connected socket that sent it, or to the resolver.
func (s *Stack) udpError(now time.Time, key tuple, err error) bool {
	if s.resolverError(now, key) {
		return true
	}
	u := s.connected[key]
	if u == nil {
		return false
	}
	u.err = err
	s.udpEvent(u, Readable)
	return true
}

func (u *udpSock) info() UDPInfo {
	i := UDPInfo{Local: u.local.addrPort(), Queued: u.ring.Len(), Dropped: u.dropped}
	if u.connected {
		i.Remote = u.remote.addrPort()
	}
	return i
}
