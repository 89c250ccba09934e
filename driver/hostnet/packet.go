package hostnet

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/sock"
)

// ListenPacket announces on a local address such as ":5353", for datagrams.
// Networks: udp, udp4. Port 0 lets the Net choose one. The conn is a
// *sock.PacketConn. Datagrams of more than 1400 bytes are not sent: the error
// matches syscall.EMSGSIZE. A datagram that comes while 8 wait is dropped, here
// or on the device.
func (n *Net) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	t, err := parse(ctx, network, address)
	if err == nil && t.network != "udp" {
		err = net.UnknownNetworkError(network)
	}
	if err != nil {
		return nil, opError("listen", network, nil, err)
	}
	at, err := n.resolve(ctx, t)
	if err != nil {
		return nil, opError("listen", network, nil, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	g, err := n.datagram(ctx, at)
	if err != nil {
		return nil, opError("listen", network, netAddr("udp", at), err)
	}
	pc := sock.NewPacketConn(n, g)
	g.ready = pc.Ready
	return pc, nil
}

// dialUDP binds an ephemeral port, or local's, and remembers the peer.
func (n *Net) dialUDP(ctx context.Context, local, remote netip.AddrPort) (*sock.UDPConn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !local.IsValid() {
		local = netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	}
	g, err := n.datagram(ctx, local)
	if err != nil {
		return nil, err
	}
	g.peer = remote
	c := sock.NewUDPConn(n, g, remote)
	g.ready = c.Ready
	return c, nil
}

// datagram makes a bound socket. Lock held.
func (n *Net) datagram(ctx context.Context, at netip.AddrPort) (*datagram, error) {
	c, err := n.usable(ctx)
	if err != nil {
		return nil, err
	}
	s, err := c.SocketHook(driver.Datagram, driver.Plain, n.socketEvent)
	if err != nil {
		return nil, closedErr(err)
	}
	g := &datagram{n: n, s: s}
	n.register(s, g)
	g.at, err = n.bind(at, func(at netip.AddrPort) error { return g.request(ctx, s.Bind(at)) })
	if err != nil {
		_ = n.release(s)
		return nil, linkErr(c, err)
	}
	g.post()
	return g, nil
}

// maxQueued is how many datagrams wait for ReadFrom; more stay on the device,
// which keeps a few.
const maxQueued = 8

// datagram is a UDP socket in the form of sock.Datagram. Guarded by the Net's
// lock.
type datagram struct {
	n     *Net
	s     driver.Socket
	at    netip.AddrPort
	peer  netip.AddrPort // if valid, others are not listened to
	ready func(readable, writable bool)

	queue  [maxQueued]packet // a ring; its buffers are kept
	head   int
	queued int
	posted bool
	err    error // ends everything

	flight  int
	full    bool
	refused bool

	q      sock.Waiters
	done   bool
	answer error
}

type packet struct {
	from netip.AddrPort
	data []byte
}

var _ sock.Datagram = (*datagram)(nil)

func (g *datagram) request(ctx context.Context, err error) error {
	if err != nil {
		return closedErr(err)
	}
	g.done, g.answer = false, nil
	if err := g.n.await(ctx, &g.q, func() bool { return g.done }); err != nil {
		return err
	}
	return g.answer
}

func (g *datagram) LocalAddr() netip.AddrPort {
	if g.at.Addr().IsUnspecified() && g.peer.IsValid() && g.n.c != nil {
		return netip.AddrPortFrom(ownAddr(g.n.c), g.at.Port())
	}
	return g.at
}

// ReadFrom takes the next datagram.
func (g *datagram) ReadFrom(_ time.Time, p []byte) (int, netip.AddrPort, error) {
	if g.queued == 0 {
		g.post()
		if g.err != nil {
			return 0, netip.AddrPort{}, g.err
		}
		return 0, netip.AddrPort{}, sock.ErrWouldBlock
	}
	d := &g.queue[g.head]
	g.head = (g.head + 1) % maxQueued
	g.queued--
	k := copy(p, d.data)
	g.post()
	return k, d.from, nil
}

// post asks the device for a datagram if there is room for it.
func (g *datagram) post() {
	if g.posted || g.err != nil || g.queued == maxQueued {
		return
	}
	err := g.s.RecvHook(g.n.limits.Datagram, 0)
	switch {
	case err == nil:
		g.posted = true
	case errors.Is(err, driver.ErrBufferFull):
		g.n.refused(g.n.now())
	default:
		g.err = closedErr(err)
	}
}

// WriteTo sends one datagram.
func (g *datagram) WriteTo(now time.Time, p []byte, to netip.AddrPort) (int, error) {
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	switch {
	case g.err != nil:
		return 0, g.err
	case len(p) > g.n.limits.Send:
		return 0, syscall.EMSGSIZE
	case !to.Addr().Is4():
		return 0, &net.AddrError{Err: "only IPv4 is supported", Addr: to.String()}
	}
	g.full, g.refused = false, false
	if g.flight >= g.n.window() {
		g.full = true
		return 0, sock.ErrWouldBlock
	}
	switch err := g.s.SendTo(p, to); {
	case err == driver.ErrBufferFull:
		g.refused = true
		g.n.refused(now)
		return 0, sock.ErrWouldBlock
	case err != nil:
		return 0, closedErr(err)
	}
	g.flight++
	return len(p), nil
}

func (g *datagram) Close(time.Time) error {
	g.queue, g.queued = [maxQueued]packet{}, 0
	err := g.n.release(g.s)
	if errors.Is(err, driver.ErrClosed) {
		return nil
	}
	return err
}

func (g *datagram) event(now time.Time, ev driver.Event) {
	switch ev.Kind {
	case driver.KindBind:
		g.done, g.answer = true, ev.Err
		g.n.Wake(&g.q)
	case driver.KindRecvFrom:
		g.received(ev)
	case driver.KindSendTo:
		g.flight--
		if g.full && g.flight <= g.n.window()/2 {
			g.full = false
			g.tell(false, true)
		}
	case driver.KindLost:
		g.fail(now, ev.Err)
	}
}

func (g *datagram) received(ev driver.Event) {
	g.posted = false
	switch {
	case ev.Err == nil && (!g.peer.IsValid() || ev.Peer == g.peer):
		d := &g.queue[(g.head+g.queued)%maxQueued]
		d.from, d.data = ev.Peer, append(d.data[:0], ev.Data...)
		g.queued++
	case ev.Err != nil && !errors.Is(ev.Err, driver.ErrTimedOut):
		g.err = ev.Err
	}
	g.post()
	g.tell(true, g.err != nil)
}

func (g *datagram) tell(readable, writable bool) {
	if g.ready != nil {
		g.ready(readable, writable)
	}
}

func (g *datagram) retry() {
	g.post()
	if g.refused {
		g.refused = false
		g.tell(false, true)
	}
}

func (g *datagram) fail(_ time.Time, err error) {
	g.err = err
	if !g.done {
		g.done, g.answer = true, err
		g.n.Wake(&g.q)
	}
	g.tell(true, true)
}

// JoinGroup makes a packet conn that a Net made receive what is sent to a
// multicast group; LeaveGroup ends that.
func (n *Net) JoinGroup(c net.PacketConn, group netip.Addr) error {
	return n.group(c, group, driver.Socket.Join)
}

// LeaveGroup ends JoinGroup.
func (n *Net) LeaveGroup(c net.PacketConn, group netip.Addr) error {
	return n.group(c, group, driver.Socket.Leave)
}

func (n *Net) group(c net.PacketConn, group netip.Addr, do func(driver.Socket, netip.Addr) error) error {
	pc, ok := c.(*sock.PacketConn)
	if !ok {
		return errors.ErrUnsupported
	}
	g, ok := pc.Datagram().(*datagram)
	if !ok || g.n != n {
		return errors.ErrUnsupported
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return opError("set", "udp", netAddr("udp", netip.AddrPortFrom(group, g.at.Port())), closedErr(do(g.s, group)))
}
