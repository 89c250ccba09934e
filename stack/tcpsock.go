package stack

import (
	"encoding/binary"
	"io"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/sock"
	"github.com/understudy-net/understudy/stack/tcp"
	"github.com/understudy-net/understudy/wire"
)

const (
	defaultMaxTCP = 1 << 16
	maxSpares     = 64 // connections kept for reuse
)

// tcpSock is a connection with what the stack knows about it.
type tcpSock struct {
	conn      tcp.Conn
	key       tuple
	id, gen   uint32
	heap      int32  // 1 + index in the timer heap; 0: not there
	ackedSeq  uint32 // SND.UNA as of the latest Acked
	ipSum     uint32 // see putIP
	neigh     *neighbor
	ln        *listener // while its owner has not accepted it
	next      *tcpSock  // accept queue, spares
	tag       any
	flags     Flags
	queued    bool
	orphan    bool // the owner has closed it, or there never was one
	waiting   bool // in the accept queue of ln
	held      bool // reported with Held, not decided yet
	wantAcked bool
	ttl, tos  uint8
}

// TCP is a handle of a connection; it is a sock.Stream. Copies are the same connection; after Close and Abort
// all of them say ErrClosed. No method waits.
type TCP struct {
	s       *Stack
	id, gen uint32
}

var _ sock.Stream = TCP{}

func (c TCP) sock() (*tcpSock, error) {
	if c.s == nil || int(c.id) >= len(c.s.tcpSlots) {
		return nil, ErrClosed
	}
	k := c.s.tcpSlots[c.id]
	if k == nil || k.gen != c.gen {
		return nil, ErrClosed
	}
	return k, nil
}

// Valid reports whether the handle stands for a connection that was not closed by its owner.
func (c TCP) Valid() bool {
	_, err := c.sock()
	return err == nil
}

func (k *tcpSock) handle(s *Stack) TCP { return TCP{s, k.id, k.gen} }

// nextGen returns a number that no other socket of the stack has had lately.
func (s *Stack) nextGen() uint32 {
	s.gen++
	return s.gen
}

// hash is a keyed hash of t that differs from the one in sequence numbers.
func (s *Stack) hash(t tuple) uint64 {
	return tcp.Hash(tcp.Secret{s.secret[1], ^s.secret[0]}, t.bytes())
}

// newTCP makes a connection for key, which is free.
func (s *Stack) newTCP(key tuple) *tcpSock {
	k := s.spare
	if k != nil {
		s.spare, k.next = k.next, nil
		s.spares--
	} else {
		k = &tcpSock{}
	}
	if n := len(s.tcpFree); n > 0 {
		k.id = s.tcpFree[n-1]
		s.tcpFree = s.tcpFree[:n-1]
	} else {
		k.id = uint32(len(s.tcpSlots))
		s.tcpSlots = append(s.tcpSlots, nil)
	}
	k.gen, k.key, k.wantAcked = s.nextGen(), key, true
	k.ipSum = ipSum(key)
	s.tcpSlots[k.id] = k
	if s.tcps == nil {
		s.tcps = make(map[tuple]*tcpSock)
	}
	s.tcps[key] = k
	return k
}

// params are those of a new connection for key.
func (s *Stack) params(t tcp.Instant, key tuple) tcp.Params {
	return tcp.Params{
		LocalPort: key.local.port, RemotePort: key.remote.port,
		Pseudo:   wire.PseudoSum(wire.ProtoTCP, key.local.ip, key.remote.ip, 0),
		ISS:      tcp.ISN(t, s.secret, key.bytes()),
		MSS:      uint16(s.cfg.MTU - ipLen - wire.TCPMinLen),
		TSOffset: uint32(s.hash(key) >> 16),
	}
}

// unlink takes a connection that is over out of the way of segments and timers.
func (s *Stack) unlink(k *tcpSock) {
	if s.tcps[k.key] == k {
		delete(s.tcps, k.key)
	}
	if s.lastTCP == k {
		s.lastTCP = nil
	}
	s.timers.remove(k)
	k.neigh = nil
}

// freeTCP gives the connection back.
func (s *Stack) freeTCP(k *tcpSock) {
	s.unlink(k)
	k.conn.Discard()
	s.tcpSlots[k.id] = nil
	s.tcpFree = append(s.tcpFree, k.id)
	if len(s.tcps) == 0 && s.cfg.TCP.Pool.Held() > idlePool {
		s.cfg.TCP.Pool.Trim() // an idle stack is small
	}
	if s.spares >= maxSpares {
		return
	}
	conn := k.conn // Open and Accept reset it
	*k = tcpSock{conn: conn, next: s.spare}
	s.spare = k
	s.spares++
}

// idlePool is what an idle stack keeps of free buffers, in bytes.
const idlePool = 64 << 10

// Dial opens a connection to remote. A local address that is zero or not valid is chosen, and so is port 0, at random. It
// returns at once: the event Connected says how it went, with Err if it failed. Data may be
// written before that.
func (s *Stack) Dial(now time.Time, local, remote netip.AddrPort) (TCP, error) {
	key, err := s.dialTuple(local, remote)
	if err != nil {
		return TCP{}, err
	}
	if len(s.tcps) >= orInt(s.cfg.MaxTCP, defaultMaxTCP) {
		return TCP{}, ErrNoBuffers
	}
	t := s.at(now)
	k := s.newTCP(key)
	k.conn.Open(t, &s.cfg.TCP, s.params(t, key))
	k.ackedSeq = k.conn.FirstByte()
	s.stats.TCP.Dialed++
	s.afterTCP(now, t, k, 0)
	s.touch()
	return k.handle(s), nil
}

// dialTuple checks the addresses of an active open (MUST-43 to MUST-46).
func (s *Stack) dialTuple(local, remote netip.AddrPort) (key tuple, err error) {
	r, ok := from4(remote.Addr())
	if !ok || !isUnicast(r) || s.isBroadcast(r) || remote.Port() == 0 {
		return key, ErrBadAddress
	}
	key.remote = endpoint{r, remote.Port()}
	if local.Addr().IsValid() && !local.Addr().IsUnspecified() {
		a, ok := from4(local.Addr())
		if !ok {
			return key, ErrBadAddress
		}
		if !s.mayUse(a) {
			return key, ErrNoAddress
		}
		key.local.ip = a
	} else if key.local.ip, err = s.sourceFor(); err != nil {
		return key, err
	}
	if r == s.addr {
		return key, ErrUnreachable // there is no loopback
	}
	if _, ok := s.nextHop(r); !ok {
		return key, ErrUnreachable
	}
	key.local.port = local.Port()
	if key.local.port != 0 {
		if s.tcps[key] != nil {
			return key, ErrAddrInUse
		}
		return key, nil
	}
	start := s.randN(numEphemeral)
	for i := uint64(0); i < numEphemeral; i++ {
		key.local.port = uint16(firstEphemeral + (start+i)%numEphemeral)
		if s.tcps[key] == nil && s.listeners[key.local] == nil && s.listeners[endpoint{port: key.local.port}] == nil {
			return key, nil
		}
	}
	return key, ErrAddrInUse
}

// afterTCP does what follows any call of a connection: it sends, keeps the timer, and tells the owner.
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

// putIP writes the IP header for a segment of n bytes; ipSum has the sum of what is always the same in it. TCP never makes
// fragments (IP-24): DF is set, and the identification of such packets is free (RFC 6864, 4.1).
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

// tcpChanged turns what happened to a connection into events.
func (s *Stack) tcpChanged(now time.Time, k *tcpSock, c tcp.Change) {
	if c&tcp.Dropped != 0 {
		s.stats.TCP.Dropped++
	}
	if c&tcp.Suspect != 0 {
		s.suspectNeighbor(k.neigh) // R1 (RFC 9293, 3.8.3)
	}
	if k.ln != nil && c&(tcp.Connected|tcp.Closed) != 0 && !s.passiveChanged(k, c) {
		return
	}
	if c&tcp.Closed != 0 {
		s.unlink(k)
		if k.orphan {
			s.freeTCP(k)
			return
		}
	}
	var f Flags
	if c&tcp.Connected != 0 || c&tcp.Closed != 0 && k.conn.Active() && k.flags&Connected == 0 && k.conn.NeverOpen() {
		f |= Connected
	}
	if c&tcp.Readable != 0 {
		f |= Readable
	}
	if c&tcp.Writable != 0 {
		f |= Writable
	}
	if c&tcp.Acked != 0 && k.wantAcked {
		f |= Acked
	}
	if c&tcp.Closed != 0 || c&tcp.Readable != 0 && k.conn.State() == tcp.StateTimeWait {
		f |= Closed
	}
	if f == 0 || k.orphan || k.waiting {
		return
	}
	if r, ok := k.tag.(*resolver); ok {
		r.m.Ready(now) // a DNS answer too long for UDP
		s.pumpDNS(now)
		return
	}
	s.tcpEvent(k, f)
}

func (s *Stack) tcpEvent(k *tcpSock, f Flags) {
	k.flags |= f
	if !k.queued {
		k.queued = true
		s.events.push(eventRef{k.id, k.gen, eventTCP})
	}
}

func (k *tcpSock) takeEvent(s *Stack) Event {
	e := Event{Tag: k.tag, Flags: k.flags, TCP: k.handle(s)}
	if k.flags&(Closed|Connected) != 0 {
		e.Err = causeError(k.conn.Cause())
	}
	k.flags, k.queued = 0, false
	return e
}

// Read takes up to len(p) bytes that arrived. It returns io.EOF behind the peer's FIN, the error that ended the
// connection once all before it was read, and sock.ErrWouldBlock when there is nothing yet.
func (c TCP) Read(now time.Time, p []byte) (int, error) {
	k, err := c.sock()
	if err != nil {
		return 0, err
	}
	n := k.conn.Read(p)
	switch {
	case n > 0:
		if k.conn.Wants() {
			c.s.afterTCP(now, c.s.at(now), k, 0) // a window update
			c.s.touch()
		}
		return n, nil
	case k.conn.AtEOF():
		return 0, io.EOF
	case k.conn.State() == tcp.StateClosed:
		if err := causeError(k.conn.Cause()); err != nil {
			return 0, err
		}
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	return 0, errWouldBlock
}

// Write takes as much of p as the send buffer has room for, and sends what the windows allow. If that is
// less than all of p it returns sock.ErrWouldBlock with the number, and the event Writable follows when there is room again.
func (c TCP) Write(now time.Time, p []byte) (int, error) {
	k, err := c.sock()
	if err != nil {
		return 0, err
	}
	if !k.conn.CanWrite() {
		if err := causeError(k.conn.Cause()); err != nil {
			return 0, err
		}
		return 0, ErrPipe
	}
	t := c.s.at(now)
	n := k.conn.Write(t, p)
	if n > 0 {
		c.s.afterTCP(now, t, k, 0)
		c.s.touch()
	}
	if n < len(p) {
		return n, errWouldBlock
	}
	return n, nil
}

// CloseWrite says that nothing more will be written: the peer reads io.EOF behind what was. Reading goes on.
func (c TCP) CloseWrite(now time.Time) error {
	k, err := c.sock()
	if err != nil {
		return err
	}
	if err := causeError(k.conn.Cause()); err != nil {
		return err
	}
	t := c.s.at(now)
	k.conn.CloseWrite(t)
	c.s.afterTCP(now, t, k, 0)
	c.s.touch()
	return nil
}

// Close gives the connection up. What was written is still sent, and FIN after it; data that were received and not read, or arrive from now on, reset
// the connection (RFC 9293, 3.6.1). The handle is stale at once, and no more events come.
func (c TCP) Close(now time.Time) error {
	k, err := c.sock()
	if err != nil {
		return err
	}
	t := c.s.at(now)
	c.s.orphan(k)
	c.s.afterTCP(now, t, k, k.conn.Close(t))
	c.s.touch()
	return nil
}

// Abort resets the connection and closes it: what was written and not acknowledged is lost.
func (c TCP) Abort(now time.Time) error {
	k, err := c.sock()
	if err != nil {
		return err
	}
	c.s.abort(now, k)
	c.s.touch()
	return nil
}

func (s *Stack) abort(now time.Time, k *tcpSock) {
	t := s.at(now)
	s.orphan(k)
	k.conn.Abort(t)
	s.afterTCP(now, t, k, tcp.Closed)
}

// orphan takes the owner away.
func (s *Stack) orphan(k *tcpSock) {
	if k.ln != nil && !k.waiting { // it was held, and its handshake is not over
		k.ln.pending--
		k.ln, k.held = nil, false
	}
	k.gen = s.nextGen()
	k.orphan, k.queued, k.flags, k.tag = true, false, 0, nil
}

// LocalAddr returns our end; the zero AddrPort if the handle is stale.
func (c TCP) LocalAddr() netip.AddrPort {
	k, err := c.sock()
	if err != nil {
		return netip.AddrPort{}
	}
	return k.key.local.addrPort()
}

// RemoteAddr returns the peer's end; the zero AddrPort if the handle is stale.
func (c TCP) RemoteAddr() netip.AddrPort {
	k, err := c.sock()
	if err != nil {
		return netip.AddrPort{}
	}
	return k.key.remote.addrPort()
}

// SetTag sets what comes back in the connection's events. If there is something to read, room to write, or an end to report, an event
// follows at once, so nothing is missed between Accept and SetTag.
func (c TCP) SetTag(tag any) {
	k, err := c.sock()
	if err != nil {
		return
	}
	k.tag = tag
	_, isConn := tag.(*sock.Conn)
	k.wantAcked = !isConn
	if tag == nil {
		return
	}
	var f Flags
	if in, _ := k.conn.Buffered(); in > 0 || k.conn.AtEOF() {
		f |= Readable
	}
	if k.conn.State() == tcp.StateClosed {
		f |= Readable | Closed
	}
	if f != 0 {
		c.s.tcpEvent(k, f)
		c.s.touch()
	}
}

// Acked returns how many bytes of what was written the peer has acknowledged since the last call.
func (c TCP) Acked() int {
	k, err := c.sock()
	if err != nil {
		return 0
	}
	now := k.conn.FirstByte()
	n := now - k.ackedSeq
	k.ackedSeq = now
	return int(n)
}

// Buffered returns the bytes that wait to be read, and those that wait to be acknowledged.
func (c TCP) Buffered() (in, out int) {
	k, err := c.sock()
	if err != nil {
		return 0, 0
	}
	return k.conn.Buffered()
}

// Room returns how many bytes Write would take now.
func (c TCP) Room() int {
	k, err := c.sock()
	if err != nil {
		return 0
	}
	return k.conn.Room()
}

// State returns the state of the connection; CLOSED if the handle is stale.
func (c TCP) State() tcp.State {
	k, err := c.sock()
	if err != nil {
		return tcp.StateClosed
	}
	return k.conn.State()
}

// Err returns what ended the connection; nil while it lives and after an orderly end.
func (c TCP) Err() error {
	k, err := c.sock()
	if err != nil {
		return err
	}
	return causeError(k.conn.Cause())
}

// Info returns a look at the connection; the zero Info if the handle is stale.
func (c TCP) Info() tcp.Info {
	k, err := c.sock()
	if err != nil {
		return tcp.Info{}
	}
	return k.conn.Info()
}

// SetNoDelay sends small segments at once, without waiting for ACKs (Nagle's algorithm off).
func (c TCP) SetNoDelay(on bool) error {
	k, err := c.sock()
	if err == nil {
		k.conn.SetNoDelay(on)
	}
	return err
}

// SetKeepAlive sends count probes, interval apart, once nothing came for a time idle; without an answer the connection ends with
// ErrTimeout. An idle of 0 turns it off, which is the default (RFC 9293, 3.8.4). Common values are 2 h, 75 s and 9.
func (c TCP) SetKeepAlive(now time.Time, idle, interval time.Duration, count int) error {
	k, err := c.sock()
	if err != nil {
		return err
	}
	k.conn.SetKeepAlive(c.s.at(now), idle, interval, count)
	c.s.timers.lower(k, k.conn.Deadline())
	c.s.touch()
	return nil
}

// SetUserTimeout ends the connection with ErrTimeout when data stay unacknowledged for d (RFC 9293, 3.8.3); 0 is the
// default of tcp.Config.
func (c TCP) SetUserTimeout(now time.Time, d time.Duration) error {
	k, err := c.sock()
	if err != nil {
		return err
	}
	c.s.at(now)
	k.conn.SetUserTimeout(d)
	c.s.timers.lower(k, k.conn.Deadline())
	c.s.touch()
	return nil
}

// SetBuffers bounds what waits to be read and to be acknowledged, in bytes; see tcp.Conn.SetBuffers.
func (c TCP) SetBuffers(recv, send int) error {
	k, err := c.sock()
	if err == nil {
		k.conn.SetBuffers(recv, send)
	}
	return err
}

// SetTTL and SetTOS set the TTL and the DSCP/ECN byte of packets sent from now on; a TTL of 0 is the stack's (MUST-48,
// MUST-49).
func (c TCP) SetTTL(ttl uint8) error {
	k, err := c.sock()
	if err == nil {
		k.ttl = ttl
	}
	return err
}

// SetTOS: see SetTTL.
func (c TCP) SetTOS(tos uint8) error {
	k, err := c.sock()
	if err == nil {
		k.tos = tos &^ 3 // ECN is not spoken
	}
	return err
}

// tcpError takes an ICMP error to the connection whose segment with number seq it quotes.
func (s *Stack) tcpError(now time.Time, t tcp.Instant, key tuple, seq uint32, v icmpVerdict) bool {
	k := s.tcps[key]
	if k == nil || !k.conn.InFlight(seq) {
		return false
	}
	if v.mtu != 0 {
		if k.conn.SetPathMTU(v.mtu) {
			s.afterTCP(now, t, k, 0)
		}
		return true
	}
	cause := tcp.CauseUnreachable
	if v.err == ErrPort {
		cause = tcp.CauseRefused
	}
	s.afterTCP(now, t, k, k.conn.Unreachable(seq, v.hard, cause)&^tcp.Dropped)
	return true
}

// endConnections ends all connections from the address a, which is not ours any more. Nothing is sent.
func (s *Stack) endConnections(now time.Time, a ip4) {
	for _, k := range s.tcpSlots {
		if k != nil && k.key.local.ip == a && k.conn.State() != tcp.StateClosed {
			s.tcpChanged(now, k, k.conn.Kill(tcp.CauseUnreachable))
		}
	}
}
