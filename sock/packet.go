package sock

import (
	"net"
	"net/netip"
	"time"
)

// PacketConn is a net.PacketConn over a [Datagram].
type PacketConn struct {
	o      Owner
	d      Datagram
	rd, wr direction
	remote netip.AddrPort // of a UDPConn

	closed bool
	local  netip.AddrPort // of a closed one
}

var _ net.PacketConn = (*PacketConn)(nil)

// NewPacketConn makes a packet conn of d, which o owns. Somebody has to call
// Ready when d becomes ready.
func NewPacketConn(o Owner, d Datagram) *PacketConn { return &PacketConn{o: o, d: d} }

// Datagram returns what the conn was made of. Use it with the owner's lock
// held.
func (c *PacketConn) Datagram() Datagram { return c.d }

// Ready wakes blocked calls: readable those that receive, writable those that
// send. An error is both. The owner's lock is held.
func (c *PacketConn) Ready(readable, writable bool) {
	if readable {
		c.o.Wake(&c.rd.q)
	}
	if writable {
		c.o.Wake(&c.wr.q)
	}
}

// ReadFrom implements net.PacketConn; the address is a *net.UDPAddr. What does
// not fit into p is lost.
func (c *PacketConn) ReadFrom(p []byte) (int, net.Addr, error) {
	n, from, err := c.ReadFromUDPAddrPort(p)
	if err != nil {
		return n, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

// ReadFromUDPAddrPort is ReadFrom without an allocation, as *net.UDPConn has
// it.
func (c *PacketConn) ReadFromUDPAddrPort(p []byte) (int, netip.AddrPort, error) {
	now := c.o.Lock()
	defer c.o.Unlock()
	for {
		if err := c.rd.mayNot(c.o, c.closed, now); err != nil {
			return 0, netip.AddrPort{}, c.wrap("read", c.remote, err)
		}
		n, from, err := c.d.ReadFrom(now, p)
		if err != ErrWouldBlock {
			return n, from, c.wrap("read", c.remote, err)
		}
		now = c.o.Wait(&c.rd.q, c.rd.deadline)
	}
}

// WriteTo implements net.PacketConn; addr must be a *net.UDPAddr with an IPv4
// address.
func (c *PacketConn) WriteTo(p []byte, addr net.Addr) (int, error) {
	a, ok := addr.(*net.UDPAddr)
	if !ok || a == nil {
		return 0, &net.OpError{Op: "write", Net: "udp", Addr: addr, Err: net.InvalidAddrError("the address must be a *net.UDPAddr")}
	}
	return c.WriteToUDPAddrPort(p, a.AddrPort())
}

// WriteToUDPAddrPort is WriteTo without an allocation, as *net.UDPConn has it.
func (c *PacketConn) WriteToUDPAddrPort(p []byte, to netip.AddrPort) (int, error) {
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	now := c.o.Lock()
	defer c.o.Unlock()
	for {
		if err := c.wr.mayNot(c.o, c.closed, now); err != nil {
			return 0, c.wrap("write", to, err)
		}
		n, err := c.d.WriteTo(now, p, to)
		if err != ErrWouldBlock {
			return n, c.wrap("write", to, err)
		}
		now = c.o.Wait(&c.wr.q, c.wr.deadline)
	}
}

// Close implements net.PacketConn. Blocked calls return net.ErrClosed; a second
// Close does too.
func (c *PacketConn) Close() error {
	now := c.o.Lock()
	defer c.o.Unlock()
	if c.closed {
		return c.wrap("close", c.remote, net.ErrClosed)
	}
	c.local = c.d.LocalAddr()
	c.closed = true
	err := c.d.Close(now)
	c.Ready(true, true)
	return c.wrap("close", c.remote, err)
}

// LocalAddr returns a *net.UDPAddr.
func (c *PacketConn) LocalAddr() net.Addr {
	c.o.Lock()
	defer c.o.Unlock()
	return net.UDPAddrFromAddrPort(c.localAddr())
}

func (c *PacketConn) localAddr() netip.AddrPort {
	if c.closed {
		return c.local
	}
	return c.d.LocalAddr()
}

// SetDeadline sets both deadlines, instants on the owner's clock; zero: none.
func (c *PacketConn) SetDeadline(t time.Time) error { return c.setDeadline(t, true, true) }

// SetReadDeadline sets the deadline of ReadFrom.
func (c *PacketConn) SetReadDeadline(t time.Time) error { return c.setDeadline(t, true, false) }

// SetWriteDeadline sets the deadline of WriteTo.
func (c *PacketConn) SetWriteDeadline(t time.Time) error { return c.setDeadline(t, false, true) }

func (c *PacketConn) setDeadline(t time.Time, read, write bool) error {
	c.o.Lock()
	defer c.o.Unlock()
	if c.closed || c.o.Closed() {
		return c.wrap("set", c.remote, net.ErrClosed)
	}
	if read {
		c.rd.deadline = t
	}
	if write {
		c.wr.deadline = t
	}
	c.Ready(read, write) // they wait with the old one
	return nil
}

// wrap makes the *net.OpError; other is the far address, if there is one.
func (c *PacketConn) wrap(op string, other netip.AddrPort, err error) error {
	if err == nil {
		return nil
	}
	e := &net.OpError{Op: op, Net: "udp", Err: err}
	local := net.UDPAddrFromAddrPort(c.localAddr())
	if other.IsValid() {
		e.Source, e.Addr = local, net.UDPAddrFromAddrPort(other)
	} else {
		e.Addr = local // package net names the socket itself so
	}
	return e
}

// UDPConn is a net.Conn over a [Datagram] and one peer: each Write is a
// datagram to the peer, each Read the next one that came from it.
type UDPConn struct {
	*PacketConn
}

var _ net.Conn = (*UDPConn)(nil)

// NewUDPConn makes a conn of d, which o owns, with the peer remote. Datagrams
// of others are dropped. Somebody has to call Ready when d becomes ready.
func NewUDPConn(o Owner, d Datagram, remote netip.AddrPort) *UDPConn {
	c := &UDPConn{NewPacketConn(o, d)}
	c.remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
	return c
}

// Read implements net.Conn. What does not fit into p is lost.
func (c *UDPConn) Read(p []byte) (int, error) {
	for {
		n, from, err := c.ReadFromUDPAddrPort(p)
		if err != nil || from == c.remote {
			return n, err
		}
	}
}

// Write implements net.Conn.
func (c *UDPConn) Write(p []byte) (int, error) { return c.WriteToUDPAddrPort(p, c.remote) }

// RemoteAddr returns a *net.UDPAddr.
func (c *UDPConn) RemoteAddr() net.Addr { return net.UDPAddrFromAddrPort(c.remote) }
