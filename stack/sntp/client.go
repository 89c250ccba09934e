package sntp

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/understudy-net/understudy/wire"
)

// Port is where time servers listen.
const Port = 123

// Times of the protocol.
const (
	// minPoll is the least time between any two requests (RFC 4330, 10).
	minPoll = 15 * time.Second
	// patience is how long a reply may take. What comes later would be a bad sample anyway.
	patience = 5 * time.Second
	// lookupPatience is how long the owner may take to resolve a name.
	lookupPatience = 30 * time.Second
	// firstRetry is the wait after all servers have failed once. It doubles from round to round, up to maxRetry.
	firstRetry = time.Minute
	maxRetry   = time.Hour
	// maxRoot bounds root delay and dispersion of a server worth believing (RFC 4330, 5), in 1/65536 s.
	maxRoot = 1 << 16
)

// maxServers bounds the list of servers after stars are expanded.
const maxServers = 32

// Why there is no time.
var (
	// ErrInvalid: the configuration cannot be used.
	ErrInvalid = errors.New("sntp: invalid configuration")
	// ErrNoAnswer: the server did not answer in time.
	ErrNoAnswer = errors.New("sntp: no answer")
	// ErrNoAddress: the server's name could not be resolved.
	ErrNoAddress = errors.New("sntp: server name not resolved")
	// ErrKissOfDeath: the server wants to be left alone (RFC 4330, 8).
	ErrKissOfDeath = errors.New("sntp: server refuses (kiss-o'-death)")
	// ErrImplausible: the server's time lies outside of NotBefore and NotAfter. It was not taken.
	ErrImplausible = errors.New("sntp: implausible time")
)

// EventKind says what a client has to tell.
type EventKind uint8

// What a client has to tell.
const (
	// EventLookup: resolve Name and call Resolved.
	EventLookup EventKind = 1 + iota
	// EventSynced: the time is known, or known anew: Offset.
	EventSynced
	// EventFailed: a server gave no time; Err says why. The client goes on with the next one.
	EventFailed
)

// String prints the kind.
func (k EventKind) String() string {
	switch k {
	case EventLookup:
		return "lookup"
	case EventSynced:
		return "synced"
	case EventFailed:
		return "failed"
	}
	return fmt.Sprintf("event(%d)", uint8(k))
}

// Event is something that the owner wants to know.
type Event struct {
	Kind   EventKind
	Name   string         // of the server, as in Servers but with the star replaced
	Server netip.AddrPort // zero with EventLookup
	Offset time.Duration  // to add to now; EventSynced alone
	Err    error          // EventFailed alone
}

// Client keeps time with the help of servers. It is a machine: see the package comment. Make one with [NewClient].
type Client struct {
	c        ClientConfig
	rand     *rand.Rand
	servers  []string
	at       int // index of the server in use
	denied   []netip.Addr
	failures int // in a row
	slow     int // times that a server asked for fewer requests, in a row

	phase    phase
	timer    time.Time
	lastSent time.Time
	server   netip.AddrPort
	port     uint16
	nonce    wire.NTPTime
	sent     time.Time // T1, by the owner's clock

	known  bool
	offset time.Duration

	send     bool
	due      time.Time
	events   []Event
	counters ClientCounters
}

// phase says what the timer stands for.
type phase uint8

const (
	stopped   phase = iota
	resting         // till the next synchronisation or attempt
	resolving       // the owner looks a name up
	asking          // a request is out
)

// NewClient makes a client that does nothing before [Client.Start]. It fails with a wrapped [ErrInvalid].
func NewClient(c ClientConfig) (*Client, error) {
	if c.Rand == nil {
		return nil, fmt.Errorf("%w: ClientConfig.Rand is nil, give a seeded rand.Source", ErrInvalid)
	}
	if c.Interval <= 0 {
		c.Interval = 24 * time.Hour
	}
	c.Interval = max(c.Interval, minPoll)
	if c.StartDelay == 0 {
		c.StartDelay = time.Second
	}
	if c.NotBefore.IsZero() {
		c.NotBefore = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if c.NotAfter.IsZero() {
		c.NotAfter = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	servers, err := expand(c.Servers)
	if err != nil {
		return nil, err
	}
	return &Client{c: c, rand: rand.New(c.Rand), servers: servers}, nil
}

// SetServers replaces the list of servers, and asks the first one as soon as it may if the client is started; the list that is there already
// changes nothing. It fails with a wrapped [ErrInvalid] and leaves all as it was.
func (c *Client) SetServers(now time.Time, servers []string) error {
	list, err := expand(servers)
	if err != nil {
		return err
	}
	if slices.Equal(list, c.servers) {
		return nil
	}
	c.servers, c.at, c.denied, c.slow = list, 0, nil, 0
	if c.phase != stopped {
		c.Sync(now)
	}
	return nil
}

// Start begins to keep time, if it did not yet.
func (c *Client) Start(now time.Time) {
	if c.phase != stopped {
		return
	}
	var wait time.Duration
	if c.c.StartDelay > 0 {
		least := c.c.StartDelay / 8
		wait = least + time.Duration(c.rand.Int64N(int64(c.c.StartDelay-least)))
	}
	c.at, c.failures, c.slow = 0, 0, 0
	c.rest(now, wait)
}

// Sync asks for the time as soon as 15 s have passed since the last request, and starts the client.
func (c *Client) Sync(now time.Time) {
	c.failures = 0
	c.rest(now, 0)
}

// Stop ends all requests. The time that is known stays known.
func (c *Client) Stop(now time.Time) {
	c.phase, c.timer, c.send, c.events = stopped, time.Time{}, false, nil
}

// Set says what the time is at now, from somewhere else: by hand, for instance.
func (c *Client) Set(now, t time.Time) { c.offset, c.known = t.Sub(now), true }

// Time returns the time at now, in UTC. It is not known before the first EventSynced or Set.
func (c *Client) Time(now time.Time) (time.Time, bool) {
	if !c.known {
		return time.Time{}, false
	}
	return now.Add(c.offset).UTC(), true
}

// Counters returns the counters since NewClient.
func (c *Client) Counters() ClientCounters { return c.counters }

// rest waits, at least for as long as two requests have to be apart.
func (c *Client) rest(now time.Time, wait time.Duration) {
	c.phase, c.send = resting, false
	c.timer = now.Add(wait)
	if earliest := c.lastSent.Add(minPoll); !c.lastSent.IsZero() && c.timer.Before(earliest) {
		c.timer = earliest
	}
}

// Advance does what is due.
func (c *Client) Advance(now time.Time) {
	if c.timer.IsZero() || now.Before(c.timer) {
		return
	}
	switch c.phase {
	case resting:
		c.begin(now)
	case resolving:
		c.fail(now, ErrNoAddress)
	case asking:
		c.counters.Timeouts++
		c.fail(now, ErrNoAnswer)
	}
}

// begin turns to the server whose turn it is.
func (c *Client) begin(now time.Time) {
	name := c.servers[c.at]
	c.server = netip.AddrPort{}
	if a, err := netip.ParseAddr(name); err == nil {
		c.ask(now, a)
		return
	}
	c.phase, c.timer = resolving, now.Add(lookupPatience)
	c.event(now, Event{Kind: EventLookup, Name: name})
}

// Resolved answers an EventLookup: the addresses of name, none if there are none.
func (c *Client) Resolved(now time.Time, name string, addrs []netip.Addr) {
	if c.phase != resolving || name != c.servers[c.at] {
		return
	}
	usable := slices.DeleteFunc(slices.Clone(addrs), func(a netip.Addr) bool { return !c.usable(a) })
	if len(usable) == 0 {
		c.fail(now, ErrNoAddress)
		return
	}
	c.ask(now, usable[c.rand.IntN(len(usable))]) // spread over what a pool offers
}

// usable reports whether a can be a server that we may ask.
func (c *Client) usable(a netip.Addr) bool {
	return a.Is4() && !a.IsUnspecified() && !a.IsMulticast() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255}) &&
		!slices.Contains(c.denied, a)
}

// ask sends a request. Its transmit timestamp is a random nonce, which proves that who answers has seen it
// and tells nothing about our clock (RFC 4330, 5; RFC 5905, 8).
func (c *Client) ask(now time.Time, a netip.Addr) {
	if !c.usable(a) {
		c.fail(now, ErrNoAddress)
		return
	}
	c.server = netip.AddrPortFrom(a, Port)
	c.port = c.choosePort()
	c.nonce = wire.NTPTime(max(c.rand.Uint64(), 1))
	c.phase, c.timer = asking, now.Add(patience)
	c.send = true
	c.pend(now)
}

// choosePort returns a random source port (RFC 9109, 3).
func (c *Client) choosePort() uint16 {
	var port uint16
	for range 64 {
		port = uint16(1024 + c.rand.IntN(1<<16-1024))
		if c.c.PortFree == nil || c.c.PortFree(port) {
			break
		}
	}
	return port
}

// Uses reports whether datagrams for this port are for [Client.Input].
func (c *Client) Uses(port uint16) bool { return c.phase == asking && port == c.port }

// Output appends the request to buf and says from which local port it goes to which server. It is not ok when there
// is nothing to send.
func (c *Client) Output(now time.Time, buf []byte) (payload []byte, localPort uint16, to netip.AddrPort, ok bool) {
	if !c.send {
		return buf, 0, to, false
	}
	c.send = false
	c.sent, c.lastSent = now, now
	c.counters.Sent++
	return wire.NTP{Version: 4, Mode: wire.NTPClient, Transmit: c.nonce}.Append(buf), c.port, c.server, true
}

// fail turns to the next server: 15 s after the last request, and after each round of all of them later and later (NTP-5).
func (c *Client) fail(now time.Time, err error) {
	c.event(now, Event{Kind: EventFailed, Name: c.servers[c.at], Server: c.server, Err: err})
	c.at = (c.at + 1) % len(c.servers)
	c.failures++
	rounds, within := c.failures/len(c.servers), c.failures%len(c.servers)
	wait := minPoll - patience
	if within == 0 {
		wait = retryWait(rounds)
	}
	if c.slow > 0 {
		wait = max(wait, retryWait(c.slow))
	}
	c.rest(now, wait)
}

// retryWait is the wait after n rounds of failures, or after n answers that ask for fewer requests.
func retryWait(n int) time.Duration { return min(firstRetry<<min(n-1, 10), maxRetry) }

// maxEvents bounds the events that wait for their owner; the oldest leave.
const maxEvents = 16

func (c *Client) event(now time.Time, e Event) {
	if len(c.events) == maxEvents {
		c.events = append(c.events[:0], c.events[1:]...)
	}
	c.events = append(c.events, e)
	c.pend(now)
}

// NextEvent returns the oldest event that was not returned yet.
func (c *Client) NextEvent() (Event, bool) {
	if len(c.events) == 0 {
		return Event{}, false
	}
	e := c.events[0]
	c.events = c.events[1:]
	return e, true
}

func (c *Client) pend(now time.Time) {
	if c.due.IsZero() {
		c.due = now
	}
}

// Deadline returns when [Client.Advance] is needed next: a past time if output or events wait, zero if never.
func (c *Client) Deadline() time.Time {
	if !c.send && len(c.events) == 0 {
		c.due = time.Time{}
		return c.timer
	}
	if c.timer.IsZero() || c.due.Before(c.timer) {
		return c.due
	}
	return c.timer
}
