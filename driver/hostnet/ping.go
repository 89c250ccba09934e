package hostnet

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/driver"
)

// pingLimit bounds an echo whose verdict never comes; devices give up after
// about 4 s.
const pingLimit = 6 * time.Second

// Ping sends an echo request and waits for the reply: the round-trip time in
// whole milliseconds, or driver.ErrUnreachable, or driver.ErrEchoTimeout after
// about 4 s, in a *net.OpError. Calls at the same time wait for each other: the
// device tracks one request.
func (n *Net) Ping(ctx context.Context, dst netip.Addr) (time.Duration, error) {
	return n.PingTTL(ctx, dst, 0)
}

// PingTTL is Ping with a time to live; 0 is the stack's default.
func (n *Net) PingTTL(ctx context.Context, dst netip.Addr, ttl uint8) (time.Duration, error) {
	rtt, err := n.ping(ctx, dst, ttl)
	if err != nil {
		return 0, opError("ping", "ip4", &net.IPAddr{IP: dst.AsSlice()}, err)
	}
	return rtt, nil
}

func (n *Net) ping(ctx context.Context, dst netip.Addr, ttl uint8) (time.Duration, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, err := n.usable(ctx); err != nil {
		return 0, err
	}
	if err := n.await(ctx, &n.pingq, func() bool { return !n.pinging }); err != nil {
		return 0, err
	}
	c, err := n.client() // from here on nobody else runs
	if err != nil {
		return 0, err
	}
	n.pinging = true
	defer func() {
		n.pinging = false
		n.Wake(&n.pingq)
	}()
	var done bool
	var reply driver.EchoReply
	err = c.EchoHook(dst, ttl, func(r driver.EchoReply) { // on the pump
		n.mu.Lock()
		done, reply = true, r
		n.Wake(&n.pingq)
		n.mu.Unlock()
	})
	if err != nil {
		return 0, closedErr(err)
	}
	until := n.now().Add(pingLimit)
	own := true
	if d, ok := ctx.Deadline(); ok && d.Before(until) {
		until, own = d, false
	}
	err = n.awaitUntil(ctx, until, &n.pingq, func() bool { return done || c.Err() != nil })
	switch {
	case err == context.DeadlineExceeded && own && ctx.Err() == nil:
		return 0, driver.ErrEchoTimeout
	case err != nil:
		return 0, err
	case !done:
		return 0, closedErr(c.Err())
	}
	return reply.RTT, reply.Err
}
