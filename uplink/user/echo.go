package user

import (
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/wire"
)

// echoQueue is how many echo requests may wait for the host's socket.
const echoQueue = 64

// A ping is an echo request of a device on its way. It is known outside by a sequence number of ours, because all
// devices share one socket, and on a ping socket the kernel chooses the identifier.
type ping struct {
	node[*ping]
	src, dst netip.Addr // the device, and what it pinged
	dialTo   netip.Addr // what the host pings for it
	id, seq  uint16     // as the device chose them
	number   uint16     // as we did
	ttl      uint8
	mac      wire.MAC // of the device
	sent     time.Time
	payload  []byte // until it is sent
}

// A pinger has the echo requests of devices. Its socket is opened at the first one.
type pinger struct {
	open    func(id uint16) (echoSocket, error)
	id      uint16
	number  uint16
	pending map[uint16]*ping // by number
	order   list[*ping]      // the oldest first
	queue   []*ping          // not sent yet
	sending bool             // a goroutine drains queue
	socket  echoSocket       // nil: not open
}

// handleEcho takes the echo requests of devices that are not for the gateway itself.
func (u *Uplink) handleEcho(now time.Time, src, dst netip.Addr, id, seq uint16, ttl uint8, payload []byte) bool {
	if dst == u.policy.gateway {
		return false
	}
	p := &ping{src: src, dst: dst, id: id, seq: seq, ttl: ttl, mac: u.sender}
	to, why, ok := u.policy.check(dst)
	switch {
	case !u.device(src):
		why, ok = ReasonSource, false
	case ok && ttl <= 1:
		why, ok = ReasonTTL, false
	case ok && (u.echo.order.n >= u.c.MaxEcho || len(u.echo.queue) >= echoQueue):
		why, ok = ReasonTooMany, false
	}
	if !ok {
		p.payload = payload
		u.refuseEcho(now, p, why, nil)
		return true
	}
	p.v, p.dialTo, p.sent = p, to, now
	p.payload = append([]byte(nil), payload...)
	u.echo.add(p)
	if !u.echo.sending {
		u.echo.sending = true
		u.wg.Go(u.sendEchoes)
	}
	return true
}

// add remembers p under a number that no other request has.
func (e *pinger) add(p *ping) {
	for e.pending[e.number] != nil { // MaxEcho is less than the numbers there are
		e.number++
	}
	p.number = e.number
	e.number++
	e.pending[p.number] = p
	e.order.pushBack(&p.node)
	e.queue = append(e.queue, p)
}

func (e *pinger) remove(p *ping) {
	delete(e.pending, p.number)
	e.order.remove(&p.node)
}

// refuseEcho counts and tells why p is not carried, and lets the device know.
func (u *Uplink) refuseEcho(now time.Time, p *ping, why Reason, err error) {
	u.refuse(Event{
		At: now, Proto: wire.ProtoICMP, Src: netip.AddrPortFrom(p.src, 0), Dst: netip.AddrPortFrom(p.dst, 0),
		Reason: why, Err: err,
	})
	switch {
	case why == ReasonTTL:
		u.icmpError(now, p, wire.ICMPTimeExceeded, wire.ICMPTTLExceeded)
	case why == ReasonTooMany, why == ReasonSource, why == ReasonTimeout:
	case why == ReasonNoPing, why.policy():
		u.icmpError(now, p, wire.ICMPUnreachable, wire.ICMPAdminProhibited)
	default:
		u.icmpError(now, p, wire.ICMPUnreachable, wire.ICMPHostUnreachable)
	}
}

// sendEchoes sends what is queued, and ends when nothing is. The first one opens the socket.
func (u *Uplink) sendEchoes() {
	for {
		u.lock()
		batch, socket := u.echo.queue, u.echo.socket
		u.echo.queue = nil
		u.echo.sending = len(batch) > 0 && !u.closed
		going := u.echo.sending
		u.unlock()
		if !going {
			return
		}
		if socket == nil {
			var err error
			if socket, err = u.openEcho(); err != nil {
				u.failEchoes(batch, ReasonNoPing, err)
				continue
			}
		}
		for _, p := range batch {
			u.sendEcho(socket, p)
		}
	}
}

func (u *Uplink) sendEcho(socket echoSocket, p *ping) {
	err := socket.writeEcho(p.dialTo, int(p.ttl)-1, p.number, p.payload)
	if err != nil {
		u.failEchoes([]*ping{p}, reasonOf(err), err)
		return
	}
	u.lock()
	p.payload = nil
	u.stats.Echoes++
	u.unlock()
}

// openEcho opens the socket and starts to read from it.
func (u *Uplink) openEcho() (echoSocket, error) {
	socket, err := u.echo.open(u.echo.id)
	if err != nil {
		return nil, err
	}
	u.lock()
	defer u.unlock()
	if u.closed {
		u.retire(socket)
		return nil, errClosed
	}
	u.echo.socket = socket
	u.wg.Go(func() { u.receiveEchoes(socket) })
	return socket, nil
}

// failEchoes answers requests that the host did not send.
func (u *Uplink) failEchoes(all []*ping, why Reason, err error) {
	now := u.lock()
	defer u.unlock()
	for _, p := range all {
		if u.echo.pending[p.number] == p && !u.closed {
			u.echo.remove(p)
			u.refuseEcho(now, p, why, err)
		}
	}
}

// receiveEchoes hands answers to the devices that asked.
func (u *Uplink) receiveEchoes(socket echoSocket) {
	b := getBuffer()
	defer putBuffer(b)
	for {
		from, number, payload, err := socket.readEcho(b[:])
		now := u.lock()
		switch {
		case err == errNotEcho:
			u.stats.EchoStray++
		case err != nil:
			if u.echo.socket == socket {
				u.echo.socket = nil // the next request opens another
				u.retire(socket)
			}
			u.unlock()
			return
		default:
			u.echoReply(now, from, number, payload)
		}
		u.unlock()
	}
}

func (u *Uplink) echoReply(now time.Time, from netip.Addr, number uint16, payload []byte) {
	p := u.echo.pending[number]
	if p == nil || p.dialTo != from {
		u.stats.EchoStray++
		return
	}
	u.echo.remove(p)
	u.stats.EchoReplies++
	u.s.SendEchoReply(now, p.dst, p.src, p.id, p.seq, payload)
}

// expireEchoes forgets requests that were not answered in time.
func (u *Uplink) expireEchoes(now time.Time) {
	for h := u.echo.order.head; h != nil && !now.Before(h.v.sent.Add(u.c.EchoTimeout)); h = u.echo.order.head {
		u.echo.remove(h.v)
		u.stats.EchoLost++
	}
}

func (u *Uplink) deadlineEcho() time.Time {
	if h := u.echo.order.head; h != nil {
		return h.v.sent.Add(u.c.EchoTimeout)
	}
	return time.Time{}
}

// icmpError sends the device an error about its echo request p: from the gateway, which is the router that finds out
// (RFC 1812, 4.3.2). At most one goes out for each request, and it is not much longer, so that it needs no limit in rate.
func (u *Uplink) icmpError(now time.Time, p *ping, t wire.ICMPType, code uint8) {
	body := p.payload
	if len(body) > icmpQuote {
		body = body[:icmpQuote]
	}
	echo := wire.ICMP{Type: wire.ICMPEcho, ID: p.id, Seq: p.seq}.Append(nil, body)
	quote := wire.IPv4{TTL: p.ttl, Proto: wire.ProtoICMP, Src: p.src, Dst: p.dst}.Append(nil, len(echo))
	message := wire.ICMP{Type: t, Code: code}.Append(nil, append(quote, echo...))
	b := wire.Ethernet{Dst: p.mac, Src: u.c.MAC, Type: wire.EtherTypeIPv4}.Append(nil)
	b = wire.IPv4{TTL: 64, Proto: wire.ProtoICMP, Src: u.policy.gateway, Dst: p.src}.Append(b, len(message))
	u.c.Output(now, append(b, message...))
}

// icmpQuote is how much data of a request an error quotes, so that the error has less than 576 bytes.
const icmpQuote = 512
