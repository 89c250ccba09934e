package understudytest_test

// What the tests of link, address, DNS and echo share beside the rig: callbacks
// that look at the client from inside, DHCP messages, and servers on the router
// that a test can bend.

import (
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/stack/dhcp"
	"github.com/understudy-net/understudy/stack/dns"
	"github.com/understudy-net/understudy/understudytest"
	"github.com/understudy-net/understudy/wire"
)

// connHeard is what the callback of Connect was told, and what the link check
// and the address were inside of it.
type connHeard struct {
	driver.ConnEvent
	linkUp bool
	addr   netip.Addr
}

// leaseHeard is the same for the callback of UseDHCP.
type leaseHeard struct {
	given  netip.Addr
	linkUp bool
	addr   netip.Addr
}

func (r *rig) onConn(e driver.ConnEvent) {
	r.tell(none, connHeard{e, r.Client.LinkUp(), r.Client.Addr()})
}

func (r *rig) onLease(a netip.Addr) {
	r.tell(none, leaseHeard{a, r.Client.LinkUp(), r.Client.Addr()})
}

// associate joins the access point, and returns when the host was told so.
func (r *rig) associate() connHeard {
	r.t.Helper()
	r.ok("Connect", r.Client.Connect(r.BSS(), r.Auth(), r.onConn))
	c, _ := r.wantConn(driver.Connected)
	return c
}

// wantConn wants that state, without an error, to be told to onConn next.
func (r *rig) wantConn(s driver.ConnState) (connHeard, *event) {
	r.t.Helper()
	c, e := wantWithin[connHeard](r, none, patience)
	if c.State != s || c.Err != nil {
		r.fatalf("connection event: got %v, %v, want %v", c.State, c.Err, s)
	}
	return c, e
}

// online joins and waits for the lease.
func (r *rig) online() netip.Addr {
	r.t.Helper()
	r.ok("UseDHCP", r.Client.UseDHCP(r.onLease))
	r.associate()
	return want[leaseHeard](r, none).given
}

// staticAddr is what onlineAt configures.
var staticAddr = netip.MustParsePrefix("10.9.0.50/24")

// onlineAt joins with a static address, the router as gateway and DNS server,
// and waits until the announcements are over.
func (r *rig) onlineAt(p netip.Prefix) {
	r.t.Helper()
	r.ok("SetAddr", r.Client.SetAddr(p))
	r.ok("SetGateway", r.Client.SetGateway(understudytest.RouterAddr))
	r.ok("SetDNS", r.Client.SetDNS(understudytest.RouterAddr))
	r.associate()
	r.Sleep(patience)
}

// leave disconnects, and returns when the host was told so.
func (r *rig) leave() {
	r.t.Helper()
	r.ok("Disconnect", r.Client.Disconnect())
	r.wantConn(driver.Disconnected)
}

// linkIs compares the link check and the address that goes with it.
func (r *rig) linkIs(when string, up bool, addr netip.Addr) {
	r.t.Helper()
	if got := r.Client.LinkUp(); got != up {
		r.fatalf("%s: LinkUp is %v, want %v", when, got, up)
	}
	if got := r.Client.Addr(); got != addr {
		r.fatalf("%s: Addr is %v, want %v", when, got, addr)
	}
}

// noAddr is the address of a client that has none.
var noAddr netip.Addr

// echo sends an echo request, and returns the verdict.
func (r *rig) echo(to netip.Addr) driver.EchoReply {
	r.t.Helper()
	r.ok("Echo", r.Client.Echo(to, 0, hear[driver.EchoReply](r)))
	return want[driver.EchoReply](r, none)
}

// reaches fails unless an echo request to a is answered.
func (r *rig) reaches(a netip.Addr) {
	r.t.Helper()
	if e := r.echo(a); e.Err != nil {
		r.fatalf("echo to %v: %v", a, e.Err)
	}
}

// resolve asks for a name, and returns the address that the host is told.
func (r *rig) resolve(name string) netip.Addr {
	r.t.Helper()
	r.ok("Resolve", r.Client.Resolve(name))
	m := want[resolved](r, none)
	if m.name != name {
		r.fatalf("resolved %q, asked for %q", m.name, name)
	}
	return m.addr
}

// locked runs f under the world's lock, for calls of machines.
func (r *rig) locked(f func(now time.Time)) {
	now := r.World.Lock()
	defer r.World.Unlock()
	f(now)
}

// deaf makes h drop what comes for a UDP port, without a word.
func (r *rig) deaf(h *understudytest.Host, port uint16) {
	r.locked(func(time.Time) {
		h.Stack.HandleUDP(func(_ time.Time, _, dst netip.AddrPort, _ []byte) bool { return dst.Port() == port })
	})
}

// echoRequest is one that a host has not answered.
type echoRequest struct {
	from, to netip.Addr
	id, seq  uint16
	payload  []byte
}

// takeEchoes has h give its echo requests to fn, with the world's lock held,
// instead of answering them.
func (r *rig) takeEchoes(h *understudytest.Host, fn func(now time.Time, q echoRequest)) {
	r.locked(func(time.Time) {
		h.Stack.HandleEcho(func(now time.Time, src, dst netip.Addr, id, seq uint16, _ uint8, payload []byte) bool {
			fn(now, echoRequest{src, dst, id, seq, append([]byte(nil), payload...)})
			return true
		})
	})
}

// answerEcho has h answer a request that it has kept.
func (r *rig) answerEcho(h *understudytest.Host, q echoRequest) {
	r.t.Helper()
	r.locked(func(now time.Time) {
		r.ok("echo reply", h.Stack.SendEchoReply(now, q.to, q.from, q.id, q.seq, q.payload))
	})
}

func isEcho(p *packet) bool      { return p.kind == kindICMP && p.icmp.Type == wire.ICMPEcho }
func isEchoReply(p *packet) bool { return p.kind == kindICMP && p.icmp.Type == wire.ICMPEchoReply }

// parseDHCP returns the DHCP message that p carries.
func parseDHCP(p *packet) (dhcp.Message, bool) {
	if p.kind != kindUDP || p.udp.DstPort != dhcp.ServerPort && p.udp.DstPort != dhcp.ClientPort {
		return dhcp.Message{}, false
	}
	m, err := dhcp.Parse(p.body)
	return m, err == nil
}

// isDHCP matches anything to or from the ports of DHCP.
func isDHCP(p *packet) bool { return port(dhcp.ServerPort)(p) || port(dhcp.ClientPort)(p) }

// dhcpType matches DHCP messages of a type.
func dhcpType(t dhcp.MessageType) match {
	return func(p *packet) bool { m, ok := parseDHCP(p); return ok && m.Type == t }
}

// wantDHCP waits for a DHCP message from the device.
func (r *rig) wantDHCP(t dhcp.MessageType, since int) (*packet, dhcp.Message) {
	r.t.Helper()
	return r.wantDHCPWithin(patience, t, since)
}

func (r *rig) wantDHCPWithin(bound time.Duration, t dhcp.MessageType, since int) (*packet, dhcp.Message) {
	r.t.Helper()
	p := r.wantPackets(bound, "DHCP"+t.String(), 1, since, up, dhcpType(t))[0]
	m, _ := parseDHCP(p)
	return p, m
}

// serveDHCP puts another DHCP server in place of the router's. Fields of c that
// are zero are as the bench has them. edit, if not nil, sees each reply before
// it is sent: it may change it, and where it returns false the reply is lost.
// It is called with the world's lock held.
func (r *rig) serveDHCP(c dhcp.ServerConfig, edit func(request dhcp.Message, reply *dhcp.Message) bool) {
	r.t.Helper()
	c.Addr = netip.PrefixFrom(understudytest.RouterAddr, understudytest.Prefix.Bits())
	if !c.First.IsValid() {
		c.First, c.Last = understudytest.FirstLease, understudytest.LastLease
	}
	if !c.Router.IsValid() {
		c.Router = understudytest.RouterAddr
	}
	if c.DNS == nil {
		c.DNS = []netip.Addr{understudytest.RouterAddr}
	}
	srv, err := dhcp.NewServer(c)
	r.ok("DHCP server", err)
	stack := r.Router.Stack
	answer := func(now time.Time, payload []byte) {
		request, err := dhcp.Parse(payload)
		if err != nil {
			return
		}
		srv.Input(now, wire.MAC{}, payload)
		for {
			p, dst, _, ok := srv.Output(now, nil)
			if !ok {
				return
			}
			reply, err := dhcp.Parse(p)
			if err != nil || edit != nil && !edit(request, &reply) {
				continue
			}
			if !request.ClientIP.IsValid() { // it has no address yet, to which ARP could find the way
				dst = netip.AddrPortFrom(broadcast, dhcp.ClientPort)
			}
			_ = stack.SendUDP(now, netip.AddrPortFrom(understudytest.RouterAddr, dhcp.ServerPort), dst, reply.Append(nil, nil))
		}
	}
	r.locked(func(time.Time) {
		stack.HandleUDP(func(now time.Time, _, dst netip.AddrPort, payload []byte) bool {
			if dst.Port() != dhcp.ServerPort {
				return false
			}
			answer(now, payload)
			return true
		})
	})
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// noDHCP takes the DHCP server away; nothing is said to those who ask.
func (r *rig) noDHCP() { r.deaf(r.Router, dhcp.ServerPort) }

// isQuery matches DNS queries of the device.
func isQuery(p *packet) bool { return p.up && p.kind == kindUDP && p.udp.DstPort == dns.Port }

// queryFor matches those for a name.
func queryFor(name string) match {
	return func(p *packet) bool {
		if !isQuery(p) {
			return false
		}
		var m dnsmessage.Message
		return m.Unpack(p.body) == nil && len(m.Questions) == 1 && m.Questions[0].Name.String() == name+"."
	}
}

// takeQueries has the router give its DNS queries to fn, with the world's lock
// held, instead of answering them. send sends to the one that asked, from a port
// of the router.
func (r *rig) takeQueries(fn func(query []byte, send func(from uint16, p []byte))) {
	stack := r.Router.Stack
	r.locked(func(time.Time) {
		stack.HandleUDP(func(now time.Time, src, dst netip.AddrPort, query []byte) bool {
			if dst.Port() != dns.Port {
				return false
			}
			fn(query, func(from uint16, p []byte) {
				_ = stack.SendUDP(now, netip.AddrPortFrom(dst.Addr(), from), src, p)
			})
			return true
		})
	})
}
