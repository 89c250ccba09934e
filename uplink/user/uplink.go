package user

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/stack/dhcp"
	"github.com/understudy-net/understudy/stack/dns"
	"github.com/understudy-net/understudy/stack/tcp"
	"github.com/understudy-net/understudy/wire"
	"github.com/understudy-net/understudy/world"
)

var errClosed = errors.New("uplink/user: closed")

// An Uplink is a way out of a virtual network into the host's. Make one with [New].
type Uplink struct {
	c      Config
	policy policy

	// All of what follows belongs to the world's lock.
	slot   *world.Slot
	s      *stack.Stack
	host   stack.Host
	closed bool
	stats  Stats
	sender wire.MAC // of the frame that Input has in hand

	reporter reporter
	tcp      list[*tcpFlow]
	udp      udpTable
	dns      *dns.Forwarder
	echo     pinger

	ctx    context.Context // of all that goroutines do
	cancel context.CancelFunc
	wg     sync.WaitGroup // of all goroutines; grows only with the lock held and closed false
	told   chan struct{}  // closed when the one that calls Config.Log has ended
}

// New makes an uplink in c.World, which must not be locked, and starts to serve. Give it the frames of the
// devices with [Uplink.Input]. The error says what is wrong with c.
func New(c Config) (*Uplink, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	u := &Uplink{c: c}
	u.policy = policy{
		prefix: c.Prefix, gateway: offset(c.Prefix, 1), host: offset(c.Prefix, 2),
		broadcast: offset(c.Prefix, 1<<(32-c.Prefix.Bits())-1),
		allowHost: c.AllowHost, allow: c.Allow, deny: c.Deny,
	}
	u.ctx, u.cancel = context.WithCancel(context.Background())
	u.udp.flows = make(map[udpKey]*udpFlow)
	u.echo.pending = make(map[uint16]*ping)
	u.echo.open, u.echo.id = openPing, uint16(c.Rand.Uint64())
	now := c.World.Lock()
	defer c.World.Unlock()
	if err := u.start(now); err != nil {
		u.cancel()
		return nil, err
	}
	u.slot = c.World.Add(machine{u})
	u.startLog()
	return u, nil
}

// Sizes of the gateway's stack.
const (
	maxNeighbor = 1024      // devices that may talk at once
	flowBuffer  = 256 << 10 // bytes under way of a TCP connection, each way, towards devices: 200 Mbit/s at 10 ms
)

// start makes the gateway's stack.
func (u *Uplink) start(now time.Time) (err error) {
	u.s, err = stack.New(stack.Config{
		MAC:         u.c.MAC,
		Rand:        u.c.Rand,
		Output:      u.c.Output,
		Promiscuous: true,
		// host.internal is on the link for devices, so somebody has to answer for it.
		ProxyARP:    func(a netip.Addr) bool { return a == u.policy.host },
		ACD:         stack.ACD{Off: true, Keep: true}, // the network is ours
		MaxNeighbor: maxNeighbor,
		TCP:         tcp.Config{SendBuffer: flowBuffer, RecvBuffer: flowBuffer},
	})
	if err != nil {
		return fmt.Errorf("uplink/user: %w", err)
	}
	u.host = stack.Host{Stack: u.s, Handle: u.handle}
	if u.dns, err = u.newForwarder(); err != nil {
		return fmt.Errorf("uplink/user: %w", err)
	}
	gateway := netip.PrefixFrom(u.policy.gateway, u.c.Prefix.Bits())
	if err := u.s.SetAddr(now, gateway, netip.Addr{}); err != nil {
		return fmt.Errorf("uplink/user: %w", err)
	}
	first, last := pool(u.c.Prefix)
	if _, err := u.s.ServeDHCP(now, dhcp.ServerConfig{
		Addr: gateway, First: first, Last: last,
		Router: u.policy.gateway, DNS: []netip.Addr{u.policy.gateway},
	}, nil); err != nil {
		return fmt.Errorf("uplink/user: %w", err)
	}
	if _, err := u.s.Listen(now, netip.AddrPort{}, stack.ListenConfig{AnyPort: true, Hold: true, Backlog: u.c.MaxTCP, Tag: u}); err != nil {
		return fmt.Errorf("uplink/user: %w", err)
	}
	u.s.HandleUDP(u.handleUDP)
	u.s.HandleEcho(u.handleEcho)
	return nil
}

// startLog starts the goroutine that calls Config.Log.
func (u *Uplink) startLog() {
	u.told = make(chan struct{})
	if u.c.Log == nil {
		close(u.told)
		return
	}
	events := make(chan Event, eventsMax)
	u.reporter.events = events
	go func() {
		defer close(u.told)
		for e := range events {
			u.c.Log(e)
		}
	}()
}

// Input takes an Ethernet frame of a device: it is what the access point's Output calls. The world's lock is held. The
// frame is not kept.
func (u *Uplink) Input(now time.Time, eth []byte) {
	if u.closed {
		u.stats.InputClosed++
		return
	}
	if len(eth) >= wire.EthernetLen {
		u.sender = wire.MAC(eth[6:12])
	}
	u.s.Input(now, eth)
	u.slot.Touch()
}

// Gateway returns the gateway's address with the length of the network's prefix; 10.77.0.1/24 by default.
func (u *Uplink) Gateway() netip.Prefix {
	return netip.PrefixFrom(u.policy.gateway, u.c.Prefix.Bits())
}

// Host returns the address of host.internal, 10.77.0.2 by default.
func (u *Uplink) Host() netip.Addr { return u.policy.host }

// Stats returns a copy of the counters. The world must not be locked.
func (u *Uplink) Stats() Stats {
	u.c.World.Lock()
	defer u.c.World.Unlock()
	s := u.stats
	s.TCP.Active, s.UDP.Active = u.tcp.n, len(u.udp.flows)
	s.DNS = u.dns.Counters()
	s.EventsDropped = u.reporter.dropped
	return s
}

// StackStats returns a copy of the counters of the gateway's own stack. The world must not be locked.
func (u *Uplink) StackStats() stack.Stats {
	u.c.World.Lock()
	defer u.c.World.Unlock()
	return *u.s.Stats()
}

// Close ends all flows, with a reset for both sides, and returns when no goroutine of the uplink is left and
// Config.Log has been told everything. The world must not be locked; it stays as it is. Close may be called more than once.
func (u *Uplink) Close() error {
	now := u.c.World.Lock()
	if !u.closed {
		for u.tcp.head != nil {
			u.tcp.head.v.abort(now)
		}
		for u.udp.idle.head != nil {
			u.udp.idle.head.v.end()
		}
		for u.udp.dns.head != nil {
			u.udp.dns.head.v.end()
		}
		if u.echo.socket != nil {
			u.retire(u.echo.socket)
			u.echo.socket = nil
		}
		u.slot.Remove()
		u.closed = true
		u.cancel()
	}
	u.unlock()
	u.wg.Wait()
	u.c.World.Lock()
	if u.reporter.events != nil {
		close(u.reporter.events)
		u.reporter.events = nil
	}
	u.c.World.Unlock()
	<-u.told
	return nil
}

// lock takes the world's lock, for goroutines that have something to report.
func (u *Uplink) lock() time.Time { return u.c.World.Lock() }

// unlock gives the lock back after the stack, or a table, was used.
func (u *Uplink) unlock() {
	u.slot.Touch()
	u.c.World.Unlock()
}

// retire closes what belongs to the host, without the lock: nobody knows how long that takes.
func (u *Uplink) retire(c interface{ Close() error }) {
	u.wg.Go(func() { c.Close() })
}

// device says whether a can be the address of a device.
func (u *Uplink) device(a netip.Addr) bool {
	return u.c.Prefix.Contains(a) && a != u.policy.gateway && a != u.policy.host && a != u.policy.broadcast && a != u.c.Prefix.Addr()
}

// handle takes the events of the stack.
func (u *Uplink) handle(now time.Time, e stack.Event) {
	if u.closed {
		return
	}
	switch t := e.Tag.(type) {
	case *Uplink:
		if e.Flags&stack.Held != 0 {
			u.hold(now, e.TCP)
		}
	case *tcpFlow:
		t.ready(now, e)
	}
}

// A machine is what the world sees of an uplink.
type machine struct{ u *Uplink }

// Advance does what is due.
func (m machine) Advance(now time.Time) {
	if m.u.closed {
		return
	}
	m.u.host.Advance(now)
	m.u.expireUDP(now)
	m.u.expireEchoes(now)
	m.u.dns.Advance(now)
	m.u.pumpDNS(now)
}

// Deadline says when Advance is needed next.
func (m machine) Deadline() time.Time {
	if m.u.closed {
		return time.Time{}
	}
	at := earlier(m.u.host.Deadline(), m.u.dns.Deadline())
	return earlier(at, earlier(m.u.deadlineUDP(), m.u.deadlineEcho()))
}
