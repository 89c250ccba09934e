package stack

import (
	"net/netip"
	"slices"
	"time"

	"github.com/understudy-net/understudy/stack/dns"
	"github.com/understudy-net/understudy/stack/sntp"
	"github.com/understudy-net/understudy/wire"
)

// The machine of SNTP is driven from here: the stack moves its datagrams, looks its names up, and holds it while there is
// no address.

// SyncConfig says whom to ask for the time. Servers are required.
type SyncConfig struct {
	// Servers are names or IPv4 addresses in the order in which they are tried; a star at the beginning of a name becomes 0, 1, 2 and
	// 3 in turn. At most 24, stars expanded.
	Servers []string
	// DHCP asks the servers of the lease (option 42; RFC 2132, 8.3), at most 8, before Servers.
	DHCP bool
	Tag  any // comes back in the events Synced and SyncFailed
	// Client has the finer knobs, which hold from the first Sync on; its Rand, Servers and PortFree are filled in.
	Client sntp.ClientConfig
}

// TimeEvent says more about Synced and SyncFailed.
type TimeEvent struct {
	Name   string         // of the server, as in Servers but with the star replaced
	Server netip.AddrPort // which of its addresses; zero if it has none
	Offset time.Duration  // Synced: what to add to the stack's now to get the time
}

// timekeeping is the client and the server of time. Most stacks have neither, so it is one pointer in an idle one.
type timekeeping struct {
	client *timeClient
	server *ntpServer
}

// keepTime returns s.ntp, made at the first use.
func (s *Stack) keepTime() *timekeeping {
	if s.ntp == nil {
		s.ntp = new(timekeeping)
	}
	return s.ntp
}

// timeClient returns the client, nil if there is none.
func (s *Stack) timeClient() *timeClient {
	if s.ntp == nil {
		return nil
	}
	return s.ntp.client
}

// timeClient is the SNTP client. It is its own tag in look-ups.
type timeClient struct {
	m       *sntp.Client
	c       SyncConfig
	on      bool   // between Sync and StopSync
	looking string // the name that is being looked up
}

// Sync keeps time with the help of servers until StopSync: from the moment on in which there is an address, and again each time
// there is one, it asks the first server, then once a day (see package sntp for what happens when none answers). The events are Synced and
// SyncFailed. A further call changes the configuration, and another list of servers is asked at once; two requests are never less than 15 s
// apart. The error is a wrapped sntp.ErrInvalid, and then all stays as it was.
func (s *Stack) Sync(now time.Time, c SyncConfig) error {
	s.at(now)
	c.Servers = slices.Clone(c.Servers)
	t := s.timeClient()
	if t == nil {
		k := c.Client
		k.Rand, k.Servers = s.cfg.Rand, s.timeServers(&c)
		k.PortFree = func(p uint16) bool { return s.udpPortFree(ip4{}, p) }
		m, err := sntp.NewClient(k)
		if err != nil {
			return err
		}
		t = &timeClient{m: m}
		s.keepTime().client = t
	} else if err := t.m.SetServers(now, s.timeServers(&c)); err != nil {
		return err
	}
	t.c, t.on = c, true
	s.timeMoved(now)
	s.touch()
	return nil
}

// StopSync ends what Sync began. The time that is known stays known.
func (s *Stack) StopSync(now time.Time) {
	t := s.timeClient()
	if t == nil {
		return
	}
	s.at(now)
	t.on = false
	s.timeMoved(now)
	s.touch()
}

// Time returns the time as the servers of Sync have it, in UTC; it is not known before the first event Synced.
func (s *Stack) Time(now time.Time) (utc time.Time, known bool) {
	if t := s.timeClient(); t != nil {
		return t.m.Time(now)
	}
	return time.Time{}, false
}

// SyncCounters returns what became of requests and answers since the first Sync.
func (s *Stack) SyncCounters() sntp.ClientCounters {
	if t := s.timeClient(); t != nil {
		return t.m.Counters()
	}
	return sntp.ClientCounters{}
}

// timeServers is the whole list: those of the lease before those of the configuration.
func (s *Stack) timeServers(c *SyncConfig) []string {
	var list []string
	if c.DHCP && s.lease != nil {
		for _, a := range s.lease.NTP {
			list = append(list, a.String())
		}
	}
	return append(list, c.Servers...)
}

// timeMoved follows an address that came, changed or went. While there is none the client rests: nobody could be asked, and the waits between
// attempts would only grow.
func (s *Stack) timeMoved(now time.Time) {
	t := s.timeClient()
	if t == nil {
		return
	}
	if t.on && !isZero(s.addr) {
		_ = t.m.SetServers(now, s.timeServers(&t.c)) // a list too long: the one from before is kept
		t.m.Start(now)
	} else {
		t.m.Stop(now)
		s.stopLooking(now, t)
	}
	s.clientsMoved()
}

// pumpTime sends what the client wants sent and follows its events.
func (s *Stack) pumpTime(now time.Time, t *timeClient) {
	for range 16 { // it has one or two things to say; a bound all the same
		busy := false
		var buf [wire.NTPLen]byte
		if p, port, to, ok := t.m.Output(now, buf[:0]); ok {
			busy = true
			if b, ok := from4(to.Addr()); ok && !isZero(s.addr) {
				_ = s.sendUDP(now, endpoint{s.addr, port}, endpoint{b, to.Port()}, p, 0, 0, nil) // as good as lost: another follows
			}
		}
		if e, ok := t.m.NextEvent(); ok {
			busy = true
			s.timeEvent(now, t, e)
		}
		if !busy {
			break
		}
	}
	s.clientsMoved()
}

func (s *Stack) timeEvent(now time.Time, t *timeClient, e sntp.Event) {
	ev := Event{Tag: t.c.Tag, Err: e.Err, Time: &TimeEvent{e.Name, e.Server, e.Offset}}
	switch e.Kind {
	case sntp.EventLookup:
		s.stopLooking(now, t) // one that came to no end
		t.looking = e.Name
		if s.Resolve(now, e.Name, t) != nil {
			t.looking = ""
			t.m.Resolved(now, e.Name, nil)
		}
		return
	case sntp.EventSynced:
		ev.Flags = Synced
	case sntp.EventFailed:
		ev.Flags = SyncFailed
	}
	s.miscEvent(ev)
}

// stopLooking forgets the look-up that runs, if one does.
func (s *Stack) stopLooking(now time.Time, t *timeClient) {
	if t.looking != "" {
		t.looking = ""
		s.CancelResolve(now, t)
	}
}

// timeResolved takes the end of a look-up that was not Resolve's. It reports whether r is one.
func (s *Stack) timeResolved(now time.Time, r dns.Result) bool {
	t, ok := r.Tag.(*timeClient)
	if !ok {
		return false
	}
	name := t.looking
	t.looking = ""
	t.m.Resolved(now, name, r.Addrs)
	s.pumpTime(now, t)
	return true
}

// ntpServer is the server of Sync's other side.
type ntpServer struct {
	m     *sntp.Server
	clock func(now time.Time) time.Time
}

// ServeNTP answers time requests to our address. The time is what clock makes of the stack's now; a nil clock leaves it as it is. A nil m stops
// the server. m stays the caller's: it may be changed between calls of the stack.
func (s *Stack) ServeNTP(m *sntp.Server, clock func(now time.Time) time.Time) {
	if m == nil {
		s.keepTime().server = nil
		return
	}
	if clock == nil {
		clock = func(now time.Time) time.Time { return now }
	}
	s.keepTime().server = &ntpServer{m, clock}
}

// timeInput takes a datagram to the client or the server, if it is for one. A client's port may be the resolver's as well: the
// remote port tells.
func (s *Stack) timeInput(now time.Time, p *packet, local, remote endpoint, payload []byte) bool {
	if s.ntp == nil || p.dst != s.addr {
		return false
	}
	if t := s.ntp.client; t != nil && remote.port == sntp.Port && t.m.Uses(local.port) {
		t.m.Input(now, remote.addrPort(), local.port, payload)
		s.pumpTime(now, t)
		return true
	}
	if n := s.ntp.server; n != nil && local.port == sntp.Port {
		var buf [wire.NTPLen]byte
		if reply, ok := n.m.Reply(n.clock(now), buf[:0], payload); ok {
			s.sendUDP(now, local, remote, reply, 0, 0, nil)
		}
		return true
	}
	return false
}

// timeDeadline is when advanceTime is needed.
func (s *Stack) timeDeadline() time.Time {
	if t := s.timeClient(); t != nil {
		return t.m.Deadline()
	}
	return time.Time{}
}

func (s *Stack) advanceTime(now time.Time) {
	if t := s.timeClient(); t != nil {
		t.m.Advance(now)
		s.pumpTime(now, t)
	}
}
