package dhcp

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/wire"
)

// ClientConfig says how a client behaves. MAC and Rand are required.
type ClientConfig struct {
	MAC  wire.MAC
	Rand rand.Source // for transaction identifiers and the jitter of timers

	// Hostname is sent as option 12 if it is not empty; at most 255 bytes.
	Hostname string
	// ClientID is sent as option 61: a type byte and 1 to 254 bytes. Default: type 1 and MAC
	// (RFC 2132, 9.14). It should never change.
	ClientID []byte
	// Broadcast asks for broadcast replies, for owners that cannot receive unicast before they have an address (RFC 2131, 4.1).
	Broadcast bool

	// StartDelay is the upper end of a random wait of at least a second before the first message, which
	// spreads hosts that were switched on together; RFC 2131, 4.4.1 suggests 10 s. Default: none, as with
	// most clients, so that joining a network is quick.
	StartDelay time.Duration
	// Retry is the time to the first repetition of a DISCOVER or REQUEST; it doubles each time up to MaxRetry, and
	// each has a random part of a second either way (a quarter of the time if that is less). Defaults: 4 s
	// and 64 s (RFC 2131, 4.1).
	Retry, MaxRetry time.Duration
	// Attempts is the number of unanswered DISCOVERs after which EventFailed is sent. Default 5.
	Attempts int
	// LateRetry is the time between DISCOVERs after that. Default: MaxRetry.
	LateRetry time.Duration
	// DeclineWait is the pause after a conflict. Default and least: 10 s (RFC 2131, 3.1 step 5).
	DeclineWait time.Duration
}

// requests is how often a REQUEST is sent for an offer before starting again; with RFC 2131's times that takes a minute (3.1, step 5).
const requests = 4

// minRenewRetry is the least time between REQUESTs while renewing and rebinding (RFC 2131, 4.4.5).
const minRenewRetry = 60 * time.Second

// ClientCounters say what a client did with what it received.
type ClientCounters struct {
	Sent         uint64
	Received     uint64 // all datagrams
	Malformed    uint64 // not parsed
	NotOurs      uint64 // other transaction, other client, a request
	Unexpected   uint64 // type does not fit the state, or other server
	Unacceptable uint64 // an offer or acknowledgment that cannot be used
}

// Client gets, keeps and gives back a lease (RFC 2131, 4.4). It is a machine: see the package comment. Make one with
// [NewClient].
//
//	          NAK, expiry
//	  +-------------------------------------------+--------------+
//	  v                                           |              |
//	INIT --DISCOVER--> SELECTING --OFFER--> REQUESTING           |
//	  ^                                      |    ACK            |
//	  |  NAK, no answer                      v        T1         |   T2
//	REBOOTING ----------- ACK -----------> BOUND --------> RENEWING ----> REBINDING
//	                                         ^---- ACK --------+------------+
type Client struct {
	c    ClientConfig
	rand *rand.Rand

	state State
	xid   uint32
	since time.Time // when acquisition or renewal began: field secs
	secs  uint16    // of the last DISCOVER; its REQUESTs have the same (4.4.1)
	tries int       // messages sent in this state
	timer time.Time // when this state repeats or ends; zero: never
	asked netip.Addr
	from  netip.Addr // server identifier of the offer taken
	sent  time.Time  // when the request that may win a lease was first sent
	naks  int        // in a row
	// moved is set while the first requests of Rebind are out.
	moved bool
	// failed is set once the owner was told that nobody answers.
	failed bool
	lease  Lease // in BOUND, RENEWING and REBINDING

	send     bool       // the state's message is to be sent
	farewell *Message   // DECLINE or RELEASE to be sent first
	goodbye  netip.Addr // where the farewell goes to
	due      time.Time  // since when output or events wait

	events   []Event
	counters ClientCounters
}

// NewClient makes a client that does nothing before [Client.Start]. It fails with a wrapped [ErrInvalid] if
// the configuration cannot be used.
func NewClient(c ClientConfig) (*Client, error) {
	switch {
	case c.Rand == nil:
		return nil, fmt.Errorf("%w: ClientConfig.Rand is nil, give a seeded rand.Source", ErrInvalid)
	case c.MAC.IsZero() || c.MAC.IsMulticast():
		return nil, fmt.Errorf("%w: ClientConfig.MAC %v is not the address of one station", ErrInvalid, c.MAC)
	case len(c.Hostname) > maxName:
		return nil, fmt.Errorf("%w: ClientConfig.Hostname has %d bytes, at most %d fit", ErrInvalid, len(c.Hostname), maxName)
	case len(c.ClientID) == 1 || len(c.ClientID) > maxOptionData:
		return nil, fmt.Errorf("%w: ClientConfig.ClientID has %d bytes, want 2 to %d", ErrInvalid, len(c.ClientID), maxOptionData)
	}
	if len(c.ClientID) == 0 {
		c.ClientID = append([]byte{1}, c.MAC[:]...)
	}
	c.Retry = orDefault(c.Retry, 4*time.Second)
	c.MaxRetry = max(orDefault(c.MaxRetry, 64*time.Second), c.Retry)
	c.LateRetry = orDefault(c.LateRetry, c.MaxRetry)
	c.DeclineWait = max(c.DeclineWait, 10*time.Second)
	if c.Attempts <= 0 {
		c.Attempts = 5
	}
	return &Client{c: c, rand: rand.New(c.Rand)}, nil
}

func orDefault(d, def time.Duration) time.Duration {
	if d <= 0 {
		return def
	}
	return d
}

// State returns where the client stands.
func (c *Client) State() State { return c.state }

// Lease returns the lease that is held. Its slices must not be changed.
func (c *Client) Lease() (Lease, bool) { return c.lease, c.hasLease() }

func (c *Client) hasLease() bool { return c.state >= StateBound }

// Counters returns the counters since NewClient.
func (c *Client) Counters() ClientCounters { return c.counters }

// Start begins to look for a lease. A client that was started already forgets what it had and begins anew, without an event.
func (c *Client) Start(now time.Time) {
	c.forget()
	var wait time.Duration
	if c.c.StartDelay > 0 {
		wait = time.Second + time.Duration(c.rand.Int64N(int64(max(c.c.StartDelay-time.Second, 1))))
	}
	c.init(now, wait)
}

// Reboot begins as [Client.Start] does, but asks for an address that was leased before (INIT-REBOOT; RFC
// 2131, 4.4.2). When that is refused or nobody answers, it goes on from INIT.
func (c *Client) Reboot(now time.Time, addr netip.Addr) {
	c.forget()
	if !isHost(addr) {
		c.init(now, 0)
		return
	}
	c.state, c.tries, c.asked, c.from = StateRebooting, 0, addr, netip.Addr{}
	c.xid, c.since, c.secs = c.rand.Uint32(), now, 0
	c.transmit(now)
}

// Rebind asks at once, and of any server, whether the lease that is held still holds: the client may have moved to another
// part of the network, or to another one. The address stays in use meanwhile. The first requests are repeated as those of a
// new client are, later ones as in REBINDING, which this is. Without a lease it does nothing and reports false.
func (c *Client) Rebind(now time.Time) bool {
	if !c.hasLease() {
		return false
	}
	c.since, c.state, c.tries, c.moved = now, StateRebinding, 0, true
	c.transmit(now)
	return true
}

// Stop forgets all, without a message or an event: the link is gone.
func (c *Client) Stop(now time.Time) {
	c.forget()
	c.farewell = nil
}

// Release gives the lease back to its server (RFC 2131, 4.4.6) and stops. The message is the next output.
func (c *Client) Release(now time.Time) {
	if c.hasLease() {
		m := c.message(Release)
		m.XID, m.ClientIP, m.ServerID = c.rand.Uint32(), c.lease.Addr.Addr(), c.lease.Server
		c.sayGoodbye(now, m, c.lease.Server)
	}
	c.forget()
}

// Declined says that somebody else uses the address just leased: the server is told, and after a pause of at least 10 s
// the client starts again (RFC 2131, 3.1 step 5). Without a lease it does nothing.
func (c *Client) Declined(now time.Time) {
	if !c.hasLease() {
		return
	}
	m := c.message(Decline)
	m.XID, m.RequestedIP, m.ServerID = c.rand.Uint32(), c.lease.Addr.Addr(), c.lease.Server
	c.sayGoodbye(now, m, netip.Addr{})
	c.forget()
	c.init(now, c.c.DeclineWait)
}

func (c *Client) sayGoodbye(now time.Time, m *Message, to netip.Addr) {
	c.farewell, c.goodbye = m, to
	c.pend(now)
}

// forget drops lease, timers and what was to be sent, but for a farewell.
func (c *Client) forget() {
	c.state, c.lease, c.timer, c.send = StateStopped, Lease{}, time.Time{}, false
	c.asked, c.from, c.naks, c.failed, c.moved = netip.Addr{}, netip.Addr{}, 0, false, false
	c.events = nil
}

// init enters INIT, to send the first DISCOVER after the given time.
func (c *Client) init(now time.Time, wait time.Duration) {
	c.state, c.tries, c.lease, c.send = StateInit, 0, Lease{}, false
	c.asked, c.from = netip.Addr{}, netip.Addr{}
	c.timer = now.Add(wait)
	if wait <= 0 {
		c.discover(now)
	}
}

// discover enters SELECTING.
func (c *Client) discover(now time.Time) {
	c.state, c.tries = StateSelecting, 0
	c.xid, c.since = c.rand.Uint32(), now
	c.transmit(now)
}

// pend notes that output or an event waits.
func (c *Client) pend(now time.Time) {
	if c.due.IsZero() {
		c.due = now
	}
}

// maxEvents is more than can come between two visits of an owner who drains them.
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
	c.settle()
	return e, true
}

// settle clears due when nothing waits any more.
func (c *Client) settle() {
	if !c.send && c.farewell == nil && len(c.events) == 0 {
		c.due = time.Time{}
	}
}

// Deadline returns when [Client.Advance] is needed next: a past time if output or events wait, zero if never.
func (c *Client) Deadline() time.Time {
	c.settle()
	if !c.due.IsZero() && (c.timer.IsZero() || c.due.Before(c.timer)) {
		return c.due
	}
	return c.timer
}
