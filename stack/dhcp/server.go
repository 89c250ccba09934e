package dhcp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/wire"
)

// ServerConfig says what a server gives out. Addr is required.
type ServerConfig struct {
	// Addr is the server's own address, which is the server identifier, with the length of the subnet's mask (8 to 30).
	Addr netip.Prefix
	// First and Last are the pool, both included. Default: all hosts of the subnet. The
	// server's own address, the network's and the broadcast address are never given out. At most 65536
	// addresses.
	First, Last netip.Addr
	Router      netip.Addr    // default: none is announced
	DNS, NTP    []netip.Addr  // at most 8 each
	Domain      string        // at most 128 bytes
	LeaseTime   time.Duration // default 1 h, in whole seconds; at least 10 s
	OfferTime   time.Duration // how long an offer is held; default 10 s
	DeclineTime time.Duration // how long a declined address rests; default 10 min
	// Relays lets relay agents inside the subnet forward messages (giaddr). Default: such messages are dropped.
	Relays bool
	// InUse, if not nil, tells whether an address that is about to be offered is taken by
	// someone who did not ask us (RFC 2131, 2.2), for instance by a look at the ARP cache. It must not call the server.
	InUse func(netip.Addr) bool
}

// Bounds of a server.
const (
	maxPool      = 1 << 16
	maxReplies   = 32
	maxPerMAC    = 3   // leases of one MAC under different client identifiers
	maxClientKey = 64  // bytes of a client identifier that are kept; longer ones are known by their MAC
	maxSrvDomain = 128 // keeps every reply below 576 bytes
)

// ServerEvent says that a client was acknowledged a lease, or a longer one.
type ServerEvent struct {
	Lease   ServerLease
	Renewed bool // the client had it before
}

// ServerLease is one entry of a server's table.
type ServerLease struct {
	Addr     netip.Addr
	MAC      wire.MAC
	Hostname string    // as the client says, printable ASCII, at most 255 bytes
	Expiry   time.Time // also of what is over
	State    LeaseState
}

// LeaseState says what an entry of a server's table is.
type LeaseState uint8

// The states of an entry.
const (
	LeaseFree     LeaseState = iota // released or withdrawn; remembered for its client
	LeaseOffered                    // till the client requests it, or Expiry
	LeaseBound                      // till Expiry
	LeaseDeclined                   // somebody else uses the address; rests till Expiry
)

// String prints the state.
func (s LeaseState) String() string {
	switch s {
	case LeaseFree:
		return "free"
	case LeaseOffered:
		return "offered"
	case LeaseBound:
		return "bound"
	case LeaseDeclined:
		return "declined"
	}
	return fmt.Sprintf("lease(%d)", uint8(s))
}

// ServerCounters say what a server did.
type ServerCounters struct {
	Received   uint64
	Malformed  uint64 // not parsed, or a reply
	Ignored    uint64 // not for us to answer: other server, unknown client, relay, wrong MAC
	Exhausted  uint64 // no address left
	Overflowed uint64 // reply dropped since the owner did not fetch earlier ones
	Offers     uint64
	Acks       uint64
	Naks       uint64
	Declines   uint64
	Releases   uint64
}

// record is an address of the pool and whom it belongs to.
type record struct {
	key      string
	mac      wire.MAC
	hostname string
	state    LeaseState
	expiry   time.Time
}

// live reports whether the record keeps its address from other clients.
func (r *record) live(now time.Time) bool { return r.state != LeaseFree && now.Before(r.expiry) }

// Server gives out addresses (RFC 2131, 4.3). It is a machine whose time matters only when it is asked, so it has no timers of its
// own. Make one with [NewServer].
type Server struct {
	c     ServerConfig
	first uint32

	// records are the addresses of the pool in order, as far as they were ever touched; those behind are fresh.
	records []record
	size    int
	byKey   map[string]int   // client to its record
	perMAC  map[wire.MAC]int // number of records of a MAC

	replies  []reply
	due      time.Time
	events   []ServerEvent
	counters ServerCounters
}

// reply is a message on its way out.
type reply struct {
	m      Message
	order  []byte
	dst    netip.AddrPort
	dstMAC wire.MAC
}

// NewServer makes a server. It fails with a wrapped [ErrInvalid] if the configuration cannot work.
func NewServer(c ServerConfig) (*Server, error) {
	if !c.Addr.IsValid() || !isHost(c.Addr.Addr()) || c.Addr.Bits() < 8 || c.Addr.Bits() > 30 {
		return nil, fmt.Errorf("%w: ServerConfig.Addr %v is no host address with a mask of 8 to 30 bits", ErrInvalid, c.Addr)
	}
	if !c.First.IsValid() && !c.Last.IsValid() {
		c.First, c.Last = network(c.Addr).Next(), broadcast(c.Addr).Prev()
	}
	if !c.Addr.Contains(c.First) || !c.Addr.Contains(c.Last) || c.Last.Less(c.First) {
		return nil, fmt.Errorf("%w: pool %v to %v is not a range inside %v", ErrInvalid, c.First, c.Last, c.Addr.Masked())
	}
	if len(c.DNS) > maxAddrs || len(c.NTP) > maxAddrs || len(c.Domain) > maxSrvDomain {
		return nil, fmt.Errorf("%w: at most %d DNS and NTP servers and %d bytes of domain can be announced", ErrInvalid, maxAddrs, maxSrvDomain)
	}
	c.LeaseTime = max(orDefault(c.LeaseTime, time.Hour), minLease).Truncate(time.Second)
	c.OfferTime = orDefault(c.OfferTime, 10*time.Second)
	c.DeclineTime = orDefault(c.DeclineTime, 10*time.Minute)
	first := toUint(c.First)
	size := int64(toUint(c.Last)) - int64(first) + 1
	return &Server{
		c:      c,
		first:  first,
		size:   int(min(size, maxPool)),
		byKey:  make(map[string]int),
		perMAC: make(map[wire.MAC]int),
	}, nil
}

func toUint(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

// addr returns the address of record i.
func (s *Server) addr(i int) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], s.first+uint32(i))
	return netip.AddrFrom4(b)
}

// index returns the place of an address in the pool.
func (s *Server) index(a netip.Addr) (int, bool) {
	if !a.Is4() {
		return 0, false
	}
	i := int64(toUint(a)) - int64(s.first)
	return int(i), i >= 0 && i < int64(s.size)
}

// Counters returns the counters since NewServer.
func (s *Server) Counters() ServerCounters { return s.counters }

// Leases returns all entries that were ever given out or offered, in the order of their addresses.
func (s *Server) Leases() []ServerLease {
	var list []ServerLease
	for i := range s.records {
		if r := &s.records[i]; r.key != "" || r.state != LeaseFree {
			list = append(list, s.lease(i))
		}
	}
	return list
}

func (s *Server) lease(i int) ServerLease {
	r := &s.records[i]
	return ServerLease{Addr: s.addr(i), MAC: r.mac, Hostname: r.hostname, Expiry: r.expiry, State: r.state}
}

// NextEvent returns the oldest event that was not returned yet. At most 16 are kept, the newest.
func (s *Server) NextEvent() (ServerEvent, bool) {
	if len(s.events) == 0 {
		return ServerEvent{}, false
	}
	e := s.events[0]
	s.events = s.events[1:]
	return e, true
}

// Output appends the next reply to buf and says where it goes, from our address and port 67. dstMAC is the link address to send it to:
// the client's, which cannot be asked by ARP before it has its address (RFC 2131, 4.1), or broadcast; zero
// means that ARP should find it. It is not ok when there is nothing to send.
func (s *Server) Output(now time.Time, buf []byte) (payload []byte, dst netip.AddrPort, dstMAC wire.MAC, ok bool) {
	if len(s.replies) == 0 {
		return buf, dst, dstMAC, false
	}
	r := s.replies[0]
	s.replies = s.replies[1:]
	return r.m.Append(buf, r.order), r.dst, r.dstMAC, true
}

// Advance does nothing: leases and offers that are over are found when their address is wanted.
func (s *Server) Advance(now time.Time) {}

// Deadline returns a past time while replies or events wait, and else zero.
func (s *Server) Deadline() time.Time {
	if len(s.replies) == 0 && len(s.events) == 0 {
		return time.Time{}
	}
	return s.due
}

func (s *Server) event(e ServerEvent) {
	if len(s.events) == maxEvents {
		s.events = append(s.events[:0], s.events[1:]...)
	}
	s.events = append(s.events, e)
}
