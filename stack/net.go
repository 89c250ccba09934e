package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/understudy-net/understudy/sock"
)

// Net offers blocking calls and the types of package net over a stack, for goroutines of a
// wall-clock world and for actors of a virtual one. Its stack must be driven by a [Host] whose
// handler passes on to [HandleSock] what it does not know. The methods take the owner's lock.
//
// A context is watched by its Done channel. In a virtual world its deadline would be on the wrong
// clock: use one without.
type Net struct {
	Owner sock.Owner
	Stack *Stack
}

// call is a goroutine that waits for an event; it is the event's tag.
type call struct {
	o    sock.Owner
	q    sock.Waiters
	e    Event
	done bool
	err  error // of the context
}

func (c *call) event(e Event) {
	c.e, c.done = e, true
	c.o.Wake(&c.q)
}

// wait parks until the event is there, and returns the time. The lock is held.
func (c *call) wait(ctx context.Context, now time.Time) (time.Time, Event, error) {
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, func() {
			c.o.Lock()
			c.err = ctx.Err()
			c.o.Wake(&c.q)
			c.o.Unlock()
		})
		defer stop()
	}
	for !c.done {
		if c.err != nil {
			return now, Event{}, c.err
		}
		if c.o.Closed() {
			return now, Event{}, net.ErrClosed
		}
		now = c.o.Wait(&c.q, time.Time{})
	}
	return now, c.e, c.e.Err
}

func opError(op, network string, local, remote net.Addr, err error) error {
	if err == nil {
		return nil
	}
	return &net.OpError{Op: op, Net: network, Source: local, Addr: remote, Err: err}
}

// Dial connects to addr, "host:port" with a name or an address; network is "tcp", "tcp4", "udp" or
// "udp4". It has the form of net.Dialer.DialContext, so http.Transport takes it.
func (n Net) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	to, err := n.resolveAddr(ctx, addr)
	if err != nil {
		return nil, opError("dial", network, nil, nil, err)
	}
	switch network {
	case "tcp", "tcp4":
		c, err := n.dialTCP(ctx, to)
		if err != nil {
			return nil, opError("dial", network, nil, net.TCPAddrFromAddrPort(to), err)
		}
		return c, nil
	case "udp", "udp4":
		c, err := n.dialUDP(to)
		if err != nil {
			return nil, opError("dial", network, nil, net.UDPAddrFromAddrPort(to), err)
		}
		return c, nil
	}
	return nil, opError("dial", network, nil, nil, net.UnknownNetworkError(network))
}

func (n Net) dialTCP(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	now := n.Owner.Lock()
	defer n.Owner.Unlock()
	c, err := n.Stack.Dial(now, netip.AddrPort{}, to)
	if err != nil {
		return nil, err
	}
	w := &call{o: n.Owner}
	c.SetTag(w)
	if now, _, err = w.wait(ctx, now); err != nil {
		c.Abort(now)
		return nil, err
	}
	return NewConn(n.Owner, c), nil
}

func (n Net) dialUDP(to netip.AddrPort) (net.Conn, error) {
	now := n.Owner.Lock()
	defer n.Owner.Unlock()
	u, err := n.Stack.ListenUDP(now, netip.AddrPort{}, UDPConfig{})
	if err != nil {
		return nil, err
	}
	if err := u.Connect(now, to); err != nil {
		u.Close(now)
		return nil, err
	}
	c := sock.NewUDPConn(n.Owner, u, to)
	u.SetTag(c)
	return c, nil
}

// resolveAddr turns "host:port" into an address.
func (n Net) resolveAddr(ctx context.Context, addr string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return netip.AddrPort{}, err
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("port %q: want a number below 65536", port)
	}
	l, err := n.LookupNetIP(ctx, host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(l[0], uint16(p)), nil
}

// LookupNetIP returns the IPv4 addresses of host, at least one.
func (n Net) LookupNetIP(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	now := n.Owner.Lock()
	defer n.Owner.Unlock()
	w := &call{o: n.Owner}
	if err := n.Stack.Resolve(now, host, w); err != nil {
		return nil, err
	}
	now, e, err := w.wait(ctx, now)
	if err != nil {
		n.Stack.CancelResolve(now, w)
		return nil, err
	}
	return e.Resolve.Addrs, nil
}

// Ping sends one echo request and waits for the answer or its timeout.
func (n Net) Ping(ctx context.Context, dst netip.Addr, c PingConfig) (PingResult, error) {
	now := n.Owner.Lock()
	defer n.Owner.Unlock()
	w := &call{o: n.Owner}
	c.Tag = w
	if _, err := n.Stack.Ping(now, dst, c); err != nil {
		return PingResult{}, err
	}
	_, e, err := w.wait(ctx, now)
	if err != nil {
		return PingResult{}, err
	}
	return *e.Ping, e.Ping.Err
}

// UseDHCP gets an address by DHCP and waits until it can be used. Later events of the address go to
// c.Tag.
func (n Net) UseDHCP(ctx context.Context, c DHCPConfig) (netip.Prefix, error) {
	now := n.Owner.Lock()
	defer n.Owner.Unlock()
	w := &call{o: n.Owner}
	tag := c.Tag
	c.Tag = w
	if err := n.Stack.UseDHCP(now, c); err != nil {
		return netip.Prefix{}, err
	}
	for {
		now, e, err := w.wait(ctx, now)
		switch {
		case e.Flags.Has(Configured):
			n.Stack.retag(tag)
			return e.Address.Prefix, nil
		case err != nil && !errors.Is(err, ErrTimeout) && !w.done:
			n.Stack.StopDHCP(now, false)
			return netip.Prefix{}, err
		case e.Flags.Has(DHCPFailed):
			n.Stack.StopDHCP(now, false)
			return netip.Prefix{}, err
		}
		w.done = false // a conflict: the client tries another address
	}
}

// SetAddr sets a static address and waits until it can be used.
func (n Net) SetAddr(ctx context.Context, prefix netip.Prefix, gateway netip.Addr, dns ...netip.Addr) error {
	now := n.Owner.Lock()
	defer n.Owner.Unlock()
	w := &call{o: n.Owner}
	if err := n.Stack.SetAddrTag(now, w, prefix, gateway, dns...); err != nil {
		return err
	}
	_, e, err := w.wait(ctx, now)
	if err != nil {
		return err
	}
	n.Stack.retag(nil)
	if !e.Flags.Has(Configured) && !e.Address.Kept {
		return fmt.Errorf("%v is in use by %x: %w", prefix.Addr(), e.Address.MAC, ErrAddrInUse)
	}
	return nil
}

// retag gives the events of the address to somebody else.
func (s *Stack) retag(tag any) {
	s.guard.tag = tag
	if s.client != nil {
		s.client.c.Tag = tag
	}
	if s.acd != nil {
		s.acd.conf.tag = tag
	}
}
