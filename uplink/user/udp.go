package user

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/understudy-net/understudy/wire"
)

// Bounds of what waits for the host's UDP sockets; a datagram more is dropped, as a radio would.
const (
	udpQueueFlow = 64      // datagrams of one flow
	udpQueueAll  = 4 << 20 // bytes of all flows
)

// A udpKey tells flows apart: a flow is one port of a device talking with one port of one host, so that the
// host's socket can be connected, and only that host can answer (RFC 4787, 5: address and port-dependent filtering).
type udpKey struct{ src, dst netip.AddrPort }

// A udpTable has the UDP flows, and in which order they will expire. All flows of a list have the same timeout.
type udpTable struct {
	flows  map[udpKey]*udpFlow
	idle   list[*udpFlow] // the one silent for longest is first
	dns    list[*udpFlow] // the same for flows to port 53
	queued int            // bytes in the queues of flows
}

// A udpFlow carries datagrams between a port of a device and a connected socket of the host. Its fields belong to the
// world's lock.
type udpFlow struct {
	node[*udpFlow]
	u      *Uplink
	key    udpKey
	dialTo netip.AddrPort
	last   time.Time // something passed
	conn   net.Conn  // nil: not dialled yet
	ended  bool

	drain   func() // sendQueued, as a value made once
	sending bool   // a goroutine runs drain
	out     queue
	outN    int
}

func (f *udpFlow) list() *list[*udpFlow] {
	if f.key.dst.Port() == dnsPort {
		return &f.u.udp.dns
	}
	return &f.u.udp.idle
}

// handleUDP takes the datagrams of devices before the stack's sockets do. It leaves to the stack what is
// meant for the gateway itself: DHCP, and the unreachables for ports where nothing is.
func (u *Uplink) handleUDP(now time.Time, src, dst netip.AddrPort, payload []byte) bool {
	if dst.Port() == dhcpPort && (dst.Addr() == u.policy.gateway || u.isBroadcast(dst.Addr())) {
		return false
	}
	if dst.Addr() == u.policy.gateway && u.device(src.Addr()) {
		if dst.Port() != dnsPort {
			return false
		}
		u.query(now, src, payload)
		return true
	}
	key := udpKey{src, dst}
	f := u.udp.flows[key]
	if f == nil {
		to, why, ok := u.admit(src, dst)
		if !ok {
			u.refuse(Event{At: now, Proto: wire.ProtoUDP, Src: src, Dst: dst, Reason: why})
			// No error about what was sent to many, or from nowhere (RFC 1122, 3.2.2).
			if why != ReasonSource && why != ReasonBroadcast && why != ReasonMulticast {
				u.unreachable(now, key, wire.ICMPAdminProhibited)
			}
			return true
		}
		f = u.openUDP(now, key, to)
	}
	f.renew(now)
	f.send(payload)
	return true
}

// isBroadcast says whether a reaches every host of the virtual network.
func (u *Uplink) isBroadcast(a netip.Addr) bool {
	return a == u.policy.broadcast || a == limitedBroadcast
}

var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// openUDP makes a flow; if there are too many, the one that was silent for longest gives way.
func (u *Uplink) openUDP(now time.Time, key udpKey, to netip.AddrPort) *udpFlow {
	t := &u.udp
	if len(t.flows) >= u.c.MaxUDP {
		u.stats.UDP.Evicted++
		t.oldest().end()
	}
	f := &udpFlow{u: u, key: key, dialTo: to, last: now}
	f.v, f.drain = f, f.sendQueued
	t.flows[key] = f
	f.list().pushBack(&f.node)
	return f
}

// oldest returns the flow that was silent for longest; there is one.
func (t *udpTable) oldest() *udpFlow {
	switch a, b := t.idle.head, t.dns.head; {
	case a == nil:
		return b.v
	case b == nil || a.v.last.Before(b.v.last):
		return a.v
	default:
		return b.v
	}
}

func (f *udpFlow) renew(now time.Time) {
	f.last = now
	f.list().renew(&f.node)
}

// send queues a datagram of the device for the host's socket.
func (f *udpFlow) send(payload []byte) {
	t := &f.u.udp
	if f.outN >= udpQueueFlow || t.queued+len(payload) > udpQueueAll || len(payload) > bufferSize {
		f.u.stats.UDP.Overflow++
		return
	}
	f.out.push(newDatagram(payload))
	f.outN++
	t.queued += len(payload)
	if !f.sending {
		f.sending = true
		f.u.wg.Add(1)
		go f.drain() // a value without arguments: starting it allocates nothing
	}
}

// sendQueued sends what is queued, and ends when nothing is. The first one dials.
func (f *udpFlow) sendQueued() {
	defer f.u.wg.Done()
	if f.conn == nil && !f.dial() { // set here only, and one runs at a time
		return
	}
	for q := f.take(); q.head != nil; q = f.take() {
		for d := q.pop(); d != nil; d = q.pop() {
			_, err := f.conn.Write(d.bytes())
			d.free()
			if err != nil {
				f.hostError(err)
			}
		}
	}
}

// take returns all that is queued.
func (f *udpFlow) take() (q queue) {
	u := f.u
	u.lock()
	defer u.unlock()
	q, f.out, f.outN = f.out, queue{}, 0
	for d := q.head; d != nil; d = d.next {
		u.udp.queued -= d.n
		u.stats.UDP.ToHost += uint64(d.n)
	}
	f.sending = q.head != nil
	return q
}

// dial connects the host's socket. That sends nothing, but it may fail: no route, no more files.
func (f *udpFlow) dial() bool {
	u := f.u
	ctx, cancel := context.WithTimeout(u.ctx, u.c.DialTimeout)
	c, err := u.c.Dial(ctx, "udp4", f.dialTo)
	cancel()
	now := u.lock()
	defer u.unlock()
	switch {
	case f.ended:
		if err == nil {
			u.retire(c)
		}
		return false
	case err != nil:
		u.refuse(Event{At: now, Proto: wire.ProtoUDP, Src: f.key.src, Dst: f.key.dst, Reason: reasonOf(err), Err: err})
		u.unreachable(now, f.key, wire.ICMPHostUnreachable)
		f.end()
		return false
	}
	f.conn = c
	u.stats.UDP.Opened++
	u.wg.Go(f.receive)
	return true
}

// receive hands the host's datagrams to the device, from the address that the device knows.
func (f *udpFlow) receive() {
	u := f.u
	r := newReceiver(f.conn, true)
	for {
		b, n, err := r.receive()
		if err != nil {
			if !f.hostError(err) {
				return
			}
			continue
		}
		now := u.lock()
		if !f.ended {
			f.renew(now)
			if err := u.s.SendUDP(now, f.key.dst, f.key.src, b[:n]); err != nil {
				u.stats.UDP.Unsent++
			} else {
				u.stats.UDP.ToDevice += uint64(n)
			}
		}
		u.unlock()
		putBuffer(b)
	}
}

// hostError takes an error of the host's socket and reports whether the flow goes on. A refusal is what an ICMP
// port unreachable does to a connected socket: the device is to hear of it (RFC 4787, REQ-9).
func (f *udpFlow) hostError(err error) bool {
	u := f.u
	now := u.lock()
	defer u.unlock()
	switch {
	case f.ended:
		return false
	case refused(err):
		u.refuse(Event{At: now, Proto: wire.ProtoUDP, Src: f.key.src, Dst: f.key.dst, Reason: ReasonRefused, Err: err})
		u.unreachable(now, f.key, wire.ICMPPortUnreachable)
		return true
	case reasonOf(err) == ReasonUnreachable:
		u.refuse(Event{At: now, Proto: wire.ProtoUDP, Src: f.key.src, Dst: f.key.dst, Reason: ReasonUnreachable, Err: err})
		u.unreachable(now, f.key, wire.ICMPHostUnreachable)
		return true
	case errors.Is(err, syscall.EMSGSIZE), errors.Is(err, syscall.ENOBUFS):
		u.stats.UDP.Unsent++
		return true
	}
	u.stats.UDP.Aborted++
	f.end()
	return false
}

// end takes the flow out of the table and closes its socket, which ends its goroutines. The lock is held.
func (f *udpFlow) end() {
	if f.ended {
		return
	}
	u := f.u
	f.ended = true
	delete(u.udp.flows, f.key)
	f.list().remove(&f.node)
	for d := f.out.pop(); d != nil; d = f.out.pop() {
		u.udp.queued -= d.n
		d.free()
	}
	f.outN = 0
	if f.conn != nil {
		u.retire(f.conn)
	}
}

// expire ends the flows that were silent for too long.
func (u *Uplink) expireUDP(now time.Time) {
	t := &u.udp
	for t.idle.head != nil && !now.Before(t.idle.head.v.last.Add(u.c.UDPTimeout)) {
		u.stats.UDP.Finished++
		t.idle.head.v.end()
	}
	for t.dns.head != nil && !now.Before(t.dns.head.v.last.Add(u.c.DNSTimeout)) {
		u.stats.UDP.Finished++
		t.dns.head.v.end()
	}
}

// deadlineUDP says when the next flow expires.
func (u *Uplink) deadlineUDP() (at time.Time) {
	if h := u.udp.idle.head; h != nil {
		at = h.v.last.Add(u.c.UDPTimeout)
	}
	if h := u.udp.dns.head; h != nil {
		at = earlier(at, h.v.last.Add(u.c.DNSTimeout))
	}
	return at
}

// earlier returns the earlier of two instants; zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// unreachable tells a device that datagrams of a flow get nowhere.
func (u *Uplink) unreachable(now time.Time, key udpKey, code uint8) {
	u.s.SendUDPUnreachable(now, code, key.src, key.dst)
}
