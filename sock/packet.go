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
	rq, wq Waiters
	rd, wd time.Time
	closed bool
}

var _ net.PacketConn = (*PacketConn)(nil)

// NewPacketConn makes a packet conn of d, which o owns.
func NewPacketConn(o Owner, d Datagram) *PacketConn { return &PacketConn{o: o, d: d} }

// Datagram returns what the conn was made of. Use it with the owner's lock held.
func (c *PacketConn) Datagram() Datagram { return c.d }

// Ready wakes blocked calls. The owner's lock is held.
func (c *PacketConn) Ready(readable, writable bool) {
	if readable {
		c.o.Wake(&c.rq)
	}
	if writable {
		c.o.Wake(&c.wq)
	}
}

// ReadFrom implements net.PacketConn; the address is a *net.UDPAddr.
func (c *PacketConn) ReadFrom(p []byte) (int, net.Addr, error) {
	n, from, err := c.ReadFromAddrPort(p)
	if err != nil {
		return n, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

// ReadFromAddrPort is ReadFrom without an allocation.
func (c *PacketConn) ReadFromAddrPort(p []byte) (int, netip.AddrPort, error) {
	now := c.o.Lock()
	defer c.o.Unlock()
	for {
		if err := blocked(c.closed || c.o.Closed(), now, c.rd); err != nil {
			return 0, netip.AddrPort{}, c.wrap("read", netip.AddrPort{}, err)
		}
		n, from, err := c.d.ReadFrom(now, p)
		if err != ErrWouldBlock {
			return n, from, c.wrap("read", netip.AddrPort{}, err)
		}
		now = c.o.Wait(&c.rq, c.rd)
	}
}

// WriteTo implements net.PacketConn; addr must be a *net.UDPAddr with an IPv4 address.
func (c *PacketConn) WriteTo(p []byte, addr net.Addr) (int, error) {
	a, ok := addr.(*net.UDPAddr)
	if !ok || a == nil {
		return 0, &net.OpError{Op: "write", Net: "udp", Addr: addr, Err: net.InvalidAddrError("want a *net.UDPAddr")}
	}
	to := a.AddrPort()
	return c.WriteToAddrPort(p, netip.AddrPortFrom(to.Addr().Unmap(), to.Port()))
}

// WriteToAddrPort is WriteTo without an allocation.
func (c *PacketConn) WriteToAddrPort(p []byte, to netip.AddrPort) (int, error) {
	now := c.o.Lock()
	defer c.o.Unlock()
	for {
		if err := blocked(c.closed || c.o.Closed(), now, c.wd); err != nil {
			return 0, c.wrap("write", to, err)
		}
		n, err := c.d.WriteTo(now, p, to)
		if err != ErrWouldBlock {
			return n, c.wrap("write", to, err)
		}
		now = c.o.Wait(&c.wq, c.wd)
	}
}

// Close implements net.PacketConn.
func (c *PacketConn) Close() error {
	now := c.o.Lock()
	defer c.o.Unlock()
	if c.closed {
		return c.wrap("close", netip.AddrPort{}, net.ErrClosed)
	}
	c.closed = true
	err := c.d.Close(now)
	c.Ready(true, true)
	return c.wrap("close", netip.AddrPort{}, err)
}

// LocalAddr returns a *net.UDPAddr.
func (c *PacketConn) LocalAddr() net.Addr {
	c.o.Lock()
	defer c.o.Unlock()
	return net.UDPAddrFromAddrPort(c.d.LocalAddr())
}

// SetDeadline sets both deadlines, instants on the owner's clock; zero: none.
func (c *PacketConn) SetDeadline(t time.Time) error { return c.setDeadline(&t, &t) }

// SetReadDeadline sets the deadline of ReadFrom.
func (c *PacketConn) SetReadDeadline(t time.Time) error { return c.setDeadline(&t, nil) }

// SetWriteDeadline sets the deadline of WriteTo.
func (c *PacketConn) SetWriteDeadline(t time.Time) error { return c.setDeadline(nil, &t) }

func (c *PacketConn) setDeadline(r, w *time.Time) error {
	c.o.Lock()
	defer c.o.Unlock()
	if c.closed || c.o.Closed() {
		return c.wrap("set", netip.AddrPort{}, net.ErrClosed)
	}
	if r != nil {
		c.rd = *r
	}
	if w != nil {
		c.wd = *w
	}
	c.Ready(r != nil, w != nil)
	return nil
}

func (c *PacketConn) wrap(op string, to netip.AddrPort, err error) error {
	if err == nil {
		return nil
	}
	e := &net.OpError{Op: op, Net: "udp", Source: net.UDPAddrFromAddrPort(c.d.LocalAddr()), Err: err}
	if to.IsValid() {
		e.Addr = net.UDPAddrFromAddrPort(to)
	}
	return e
}

// UDPConn is a net.Conn over a [Datagram] and one peer: each Write is a
// datagram to the peer, each Read the next one that came from it.
type UDPConn struct {
	*PacketConn
	remote netip.AddrPort
}

var _ net.Conn = (*UDPConn)(nil)

// NewUDPConn makes a conn of d, which o owns, with the peer remote. Datagrams
// of others are dropped.
func NewUDPConn(o Owner, d Datagram, remote netip.AddrPort) *UDPConn {
	return &UDPConn{NewPacketConn(o, d), remote}
}

// Read implements net.Conn.
func (c *UDPConn) Read(p []byte) (int, error) {
	for {
		n, from, err := c.ReadFromAddrPort(p)
		if err != nil || from == c.remote {
			return n, err
		}
	}
}

// Write implements net.Conn.
func (c *UDPConn) Write(p []byte) (int, error) { return c.WriteToAddrPort(p, c.remote) }

// RemoteAddr returns a *net.UDPAddr.
func (c *UDPConn) RemoteAddr() net.Addr { return net.UDPAddrFromAddrPort(c.remote) }
