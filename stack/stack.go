package stack

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/stack/dhcp"
	"github.com/understudy-net/understudy/stack/dns"
	"github.com/understudy-net/understudy/stack/tcp"
	"github.com/understudy-net/understudy/wire"
)

// Config says what a stack is. MAC, Rand and Output are required.
type Config struct {
	MAC  wire.MAC    // our address on the link: unicast
	Rand rand.Source // for ports, sequence numbers, identifiers; seeded by the operating system where strangers are on the link

	// Output sends an Ethernet frame without frame check sequence, at least 60 bytes long. The
	// frame is valid until Output returns, which must not call the stack.
	Output func(now time.Time, frame []byte)
	// Touch, if not nil, is called when a call has moved Deadline or queued the first event: an
	// owner that keeps many stacks in order of time looks at this one again.
	Touch func()

	MTU int   // bytes of an IP packet, 576 to 65535; 0: 1500
	TTL uint8 // of packets sent; 0: 64 (RFC 1122, 3.2.1.7)

	// Promiscuous accepts IP packets for any unicast address, if their frame was sent to our MAC:
	// for a gateway that answers for the whole world.
	Promiscuous bool
	// ProxyARP, if not nil, tells for which addresses beside our own ARP requests are answered (RFC
	// 1027).
	ProxyARP func(ip netip.Addr) bool

	Hostname string // for DHCP
	ACD      ACD    // what is done before an address is used; the zero value does what RFC 5227 says, which takes 4 to 9 s

	TCP         tcp.Config // buffers, timers and options of all connections
	MaxTCP      int        // connections, those in TIME-WAIT included; 0: 65536
	MaxUDP      int        // UDP sockets; 0: 4096
	MaxNeighbor int        // entries of the ARP cache; 0: 256
	ARPTimeout  time.Duration
	// ResolveTimeout is how long a name is tried in all; 0: 15 s.
	ResolveTimeout time.Duration
	// MaxReassembly bounds the bytes of fragments that wait for others; 0: 256 KiB.
	MaxReassembly int
	// NoUnreachable keeps quiet about closed UDP ports and unknown protocols.
	NoUnreachable bool
}

// Stack is one IPv4 host. It is a machine: see the package comment. Make one with New.
type Stack struct {
	cfg   Config
	stats Stats

	base time.Time   // the time of instant 0
	last tcp.Instant // the latest instant seen

	lastNow time.Time   // what at was called with last
	told    tcp.Instant // the deadline that the owner knows

	addr    ip4 // 0: none
	mask    uint32
	gateway ip4
	servers []netip.Addr // DNS
	routes  []route
	acd     *acd
	guard   guard

	neighbors neighbors
	houseAt   tcp.Instant // when housekeep is needed; see house

	tcps      map[tuple]*tcpSock
	lastTCP   *tcpSock // the connection of the latest segment
	tcpSlots  []*tcpSock
	tcpFree   []uint32
	spare     *tcpSock // recycled, linked by next
	spares    int
	batch     *batch // see InputBatch
	timers    timerHeap
	secret    tcp.Secret
	listeners map[endpoint]*listener
	lnSlots   []*listener
	anyPort   *listener
	cookieAt  tcp.Instant // when a SYN cookie was last sent; 0: never
	paths     *pathMTUs

	udps      map[endpoint]*udpSock
	connected map[tuple]*udpSock
	udpSlots  []*udpSock
	lastUDP   *udpSock // the socket of the latest datagram
	udpBound  int      // sockets in udps that listen at one address
	epoch     uint32   // counts changes of addresses and routes
	onUDP     func(now time.Time, src, dst netip.AddrPort, payload []byte) bool
	onEcho    func(now time.Time, src, dst netip.Addr, id, seq uint16, ttl uint8, payload []byte) bool

	frags   *reassembler
	pings   []*ping
	groups  []group
	bucket  bucket
	ids     *[64]uint16 // see nextID
	client  *dhcpClient
	server  *dhcpServer
	lease   *dhcp.Lease
	resolve *resolver
	names   *dns.Server
	ntp     *timekeeping

	clientAt tcp.Instant // when the machines of DHCP, DNS and SNTP need Advance
	gen      uint32

	events eventQueue
	buf    []byte   // a frame being built; made at first use
	small  [64]byte // the same for ARP
}

// New makes a stack without an address.
func New(c Config) (*Stack, error) {
	switch {
	case c.Rand == nil:
		return nil, errors.New("stack: Config.Rand is nil: give it a random source, such as rand.NewChaCha8 with a seed from crypto/rand")
	case c.Output == nil:
		return nil, errors.New("stack: Config.Output is nil: there is nowhere to send frames to")
	case c.MAC.IsZero() || c.MAC.IsMulticast():
		return nil, fmt.Errorf("stack: Config.MAC is %v: want a unicast address", c.MAC)
	case c.MTU != 0 && (c.MTU < 576 || c.MTU > 65535):
		return nil, fmt.Errorf("stack: Config.MTU is %d: want 576 to 65535", c.MTU)
	}
	if c.MTU == 0 {
		c.MTU = 1500
	}
	if c.TTL == 0 {
		c.TTL = 64
	}
	s := &Stack{cfg: c}
	s.secret = tcp.Secret{s.rand(), s.rand()}
	return s, nil
}

func (s *Stack) rand() uint64 { return s.cfg.Rand.Uint64() }

// randN returns a random number below n.
func (s *Stack) randN(n uint64) uint64 {
	return s.rand() % n // the bias is below 2^-32 for all n here
}

// jitter returns a random duration up to d.
func (s *Stack) jitter(d time.Duration) time.Duration { return time.Duration(s.randN(uint64(d) + 1)) }

// at turns the owner's time into an instant. Instants never go back: a time a little older than the
// latest counts as that one, and a clock that was set back goes on from where it was, which shifts
// all deadlines with it.
func (s *Stack) at(now time.Time) tcp.Instant {
	if now == s.lastNow { // many frames come at one time
		return s.last
	}
	s.lastNow = now
	if s.base.IsZero() {
		s.base = now.Add(-time.Hour)
	}
	t := tcp.Instant(now.Sub(s.base))
	if t < s.last {
		if s.last.Sub(t) > time.Minute {
			s.base = now.Add(-time.Duration(s.last))
		}
		return s.last
	}
	s.last = t
	return t
}

// time is the reverse of at.
func (s *Stack) time(t tcp.Instant) time.Time {
	if t == 0 {
		return time.Time{}
	}
	return s.base.Add(time.Duration(t))
}

// Advance does what is due at now.
func (s *Stack) Advance(now time.Time) {
	t := s.at(now)
	for s.timers.next() != 0 && s.timers.next() <= t {
		k := s.timers[0].k
		if at := k.conn.Deadline(); at == 0 || at > t {
			s.timers.raise(at) // the timer was moved since
			continue
		}
		s.timers.remove(k) // afterTCP puts it back
		s.afterTCP(now, t, k, k.conn.Advance(t))
	}
	if s.houseAt != 0 && s.houseAt <= t {
		s.housekeep(now, t)
	}
	s.advanceClients(now)
	s.touch()
}

// Deadline returns when Advance is needed next; zero means never. It costs the same however
// many sockets there are. It may be a little early, never late.
func (s *Stack) Deadline() time.Time {
	s.told = s.deadline()
	return s.time(s.told)
}

func (s *Stack) deadline() tcp.Instant {
	return earlier(earlier(s.timers.next(), s.houseAt), s.clientsAt())
}

func earlier(a, b tcp.Instant) tcp.Instant {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// touch tells the owner if Deadline has moved or an event waits.
func (s *Stack) touch() {
	if s.cfg.Touch == nil {
		return
	}
	d := s.deadline()
	if s.events.pending() {
		d = 1
	}
	if d != s.told {
		s.told = d
		s.cfg.Touch()
	}
}

// house asks for housekeep at t at the latest. Whatever has timers beside connections is bounded
// and small, so one instant is kept for all of it.
func (s *Stack) house(t tcp.Instant) { s.houseAt = earlier(s.houseAt, t) }

func (s *Stack) housekeep(now time.Time, t tcp.Instant) {
	s.houseAt = 0
	s.advanceNeighbors(now, t)
	s.advanceACD(now, t)
	s.advanceFragments(now, t)
	s.advancePings(now, t)
	s.advanceGroups(now, t)
}

// Input takes an Ethernet frame, without frame check sequence, from the link. It does not keep it.
func (s *Stack) Input(now time.Time, frame []byte) {
	s.input(now, frame)
	s.touch()
}
