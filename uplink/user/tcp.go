package user

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/wire"
)

// Keep-alive towards devices: one that left without a word, as radios do, must not hold a flow for ever. A living one may be
// idle for as long as it likes (RFC 5382, REQ-5 wants at least 2 h 4 min), and is asked in between.
const (
	keepAliveIdle     = 5 * time.Minute
	keepAliveInterval = 30 * time.Second
	keepAliveCount    = 6
)

// A stream is the host's side of a TCP flow. *net.TCPConn is one; CloseWrite is optional.
type stream interface {
	Read(p []byte) (int, error)
	Write(p []byte) (int, error)
	Close() error
}

// A tcpFlow is one TCP connection of a device, carried over a connection of the host. Its life: the SYN is held
// while the host dials; then two goroutines copy, one each way; the flow ends when both have finished, or at once
// when either side resets.
//
// Its fields belong to the world's lock, but for host, which is set before the goroutines that use it start.
type tcpFlow struct {
	node[*tcpFlow]
	u      *Uplink
	tcp    stack.TCP
	src    netip.AddrPort // the device
	dst    netip.AddrPort // where it wants to go
	dialTo netip.AddrPort // where the host goes for it; invalid: to the gateway itself
	cancel context.CancelFunc

	host     stream
	ended    bool
	ways     int           // directions that are still open
	done     chan struct{} // closed when ended
	readable chan struct{} // a token: the device sent something
	drained  chan struct{} // a token: pending has been taken by the stack

	pending  *buffer // bytes of the host that the stack had no room for yet
	from, to int     // of pending
}

// hold decides about a SYN: it stays held while the host dials.
func (u *Uplink) hold(now time.Time, c stack.TCP) {
	src, dst := c.RemoteAddr(), c.LocalAddr()
	to, why, ok := u.admit(src, dst)
	if ok && u.tcp.n >= u.c.MaxTCP {
		why, ok = ReasonTooMany, false
	}
	if !ok {
		u.refuse(Event{At: now, Proto: wire.ProtoTCP, Src: src, Dst: dst, Reason: why})
		c.Refuse(now)
		return
	}
	f := &tcpFlow{
		u: u, tcp: c, src: src, dst: dst, dialTo: to,
		done: make(chan struct{}), readable: make(chan struct{}, 1), drained: make(chan struct{}, 1),
	}
	f.v = f
	var ctx context.Context
	ctx, f.cancel = context.WithTimeout(u.ctx, u.c.DialTimeout)
	c.SetTag(f)
	u.tcp.pushBack(&f.node)
	u.wg.Go(func() { f.run(ctx) })
}

// admit judges a flow of TCP or UDP and says where the host has to dial: nowhere if the gateway itself is meant.
func (u *Uplink) admit(src, dst netip.AddrPort) (to netip.AddrPort, why Reason, ok bool) {
	if !u.device(src.Addr()) {
		return to, ReasonSource, false
	}
	if dst.Addr() == u.policy.gateway {
		return to, ReasonPort, dst.Port() == dnsPort
	}
	a, why, ok := u.policy.check(dst.Addr())
	if ok && dst.Port() == 0 {
		why, ok = ReasonPort, false
	}
	return netip.AddrPortFrom(a, dst.Port()), why, ok
}

// run is the life of a flow, on a goroutine.
func (f *tcpFlow) run(ctx context.Context) {
	host, err := f.dial(ctx)
	if !f.open(host, err) {
		return
	}
	f.toDevice()
}

func (f *tcpFlow) dial(ctx context.Context) (stream, error) {
	if !f.dialTo.IsValid() {
		return f.u.serveDNS(f.src), nil
	}
	c, err := f.u.c.Dial(ctx, "tcp4", f.dialTo)
	if err != nil {
		return nil, err // not a nil net.Conn in a stream
	}
	return c, nil
}

// open lets the device know how the dial ended. It reports whether there is something to copy.
func (f *tcpFlow) open(host stream, err error) bool {
	u := f.u
	now := u.lock()
	defer u.unlock()
	f.cancel()
	switch {
	case f.ended: // the device, or we, gave up meanwhile
		if err == nil {
			u.retire(host)
		}
		return false
	case err != nil:
		f.reject(now, err)
		return false
	}
	f.host = host
	if err := f.tcp.Accept(now); err != nil {
		f.abort(now)
		return false
	}
	f.tcp.SetKeepAlive(now, keepAliveIdle, keepAliveInterval, keepAliveCount)
	f.tcp.SetNoDelay(true) // the host's bytes come in the pieces that their sender wanted
	f.ways = 2
	u.stats.TCP.Opened++
	u.wg.Go(f.toHost)
	return true
}

// reject answers the held SYN as the far host, or the way to it, did.
func (f *tcpFlow) reject(now time.Time, err error) {
	u, why := f.u, reasonOf(err)
	u.refuse(Event{At: now, Proto: wire.ProtoTCP, Src: f.src, Dst: f.dst, Reason: why, Err: err})
	f.end()
	if why == ReasonTimeout {
		f.tcp.Drop(now) // silence for silence
		return
	}
	f.tcp.Refuse(now)
}

// Windows has numbers of its own for what other systems call ECONNREFUSED and ECONNRESET; there, the latter is also what an
// ICMP port unreachable does to a UDP socket.
const (
	wsaConnReset   = syscall.Errno(10054)
	wsaConnRefused = syscall.Errno(10061)
	wsaHostUnreach = syscall.Errno(10065)
	wsaNetUnreach  = syscall.Errno(10051)
)

// refused says whether err is the far host's refusal.
func refused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, wsaConnRefused) || errors.Is(err, wsaConnReset)
}

// reasonOf translates an error of a dial.
func reasonOf(err error) Reason {
	var timeout net.Error
	switch {
	case refused(err):
		return ReasonRefused
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return ReasonTimeout
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, wsaHostUnreach), errors.Is(err, wsaNetUnreach):
		return ReasonUnreachable
	}
	return ReasonFailed
}

// ready takes the stack's word about the device's side.
func (f *tcpFlow) ready(now time.Time, e stack.Event) {
	switch {
	case f.ended:
	case e.Flags&stack.Closed != 0 && e.Err != nil:
		f.abort(now) // the device reset the connection, or is gone
	default:
		if e.Flags&stack.Writable != 0 && f.pending != nil {
			f.push(now)
			if f.pending == nil {
				signal(f.drained)
			}
		}
		if e.Flags&(stack.Readable|stack.Closed) != 0 {
			signal(f.readable)
		}
	}
}

// signal leaves a token for a goroutine that waits, or will.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// abort ends the flow with a reset on both sides. The lock is held.
func (f *tcpFlow) abort(now time.Time) {
	if f.ended {
		return
	}
	f.end()
	f.u.stats.TCP.Aborted++
	f.tcp.Abort(now)
	if f.host == nil {
		f.cancel() // run closes what the dial may bring
		return
	}
	if c, ok := f.host.(interface{ SetLinger(sec int) error }); ok {
		c.SetLinger(0) // close with a RST: the far host is to know that this was no orderly end
	}
	f.u.retire(f.host)
}

// end takes the flow out of the table.
func (f *tcpFlow) end() {
	f.ended = true
	close(f.done)
	f.u.tcp.remove(&f.node)
	if f.pending != nil {
		putBuffer(f.pending)
		f.pending = nil
	}
}
