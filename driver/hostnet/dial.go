package hostnet

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/sock"
)

// DialContext connects to an address such as "example.com:80". Networks: tcp,
// tcp4, udp, udp4. The conn is a *sock.Conn or a *sock.UDPConn. When ctx ends
// first its error is returned and the socket is free again. A connect that
// nobody answers fails after about 30 s, one that is refused matches
// syscall.ECONNREFUSED. It has the form of http.Transport.DialContext.
func (n *Net) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return n.DialFrom(ctx, netip.AddrPort{}, network, address)
}

// DialFrom is DialContext from a local address: its port is bound first and
// then reported by LocalAddr. A zero local lets the device choose.
func (n *Net) DialFrom(ctx context.Context, local netip.AddrPort, network, address string) (net.Conn, error) {
	t, err := parse(ctx, network, address)
	if err != nil {
		return nil, opError("dial", network, nil, err)
	}
	remote, err := n.resolve(ctx, t)
	if err != nil {
		return nil, opError("dial", network, nil, err)
	}
	if t.network == "udp" {
		c, err := n.dialUDP(ctx, local, remote)
		if err != nil {
			return nil, opError("dial", network, netAddr("udp", remote), err)
		}
		return c, nil
	}
	c, err := n.dialTCP(ctx, local, remote)
	if err != nil {
		return nil, opError("dial", network, netAddr("tcp", remote), err)
	}
	return c, nil
}

func (n *Net) dialTCP(ctx context.Context, local, remote netip.AddrPort) (*sock.Conn, error) {
	return n.dialStream(ctx, local, remote, nil)
}

// dialStream connects a stream socket: a plain one without o.
func (n *Net) dialStream(ctx context.Context, local, remote netip.AddrPort, o *TLSOptions) (*sock.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c, err := n.usable(ctx)
	if err != nil {
		return nil, err
	}
	s, err := c.SocketHook(driver.Stream, o.config(), n.socketEvent)
	if err != nil {
		return nil, closedErr(err)
	}
	st := &stream{n: n, s: s, local: local, remote: remote}
	n.register(s, st)
	if o != nil {
		st.protos = o.NextProtos
	}
	if err = closedErr(o.apply(s)); err == nil {
		err = st.open(ctx)
	}
	if err != nil {
		_ = n.release(s)
		return nil, linkErr(c, err)
	}
	if !st.local.Addr().IsValid() || st.local.Addr().IsUnspecified() {
		st.local = netip.AddrPortFrom(ownAddr(c), local.Port())
	}
	st.conn = sock.NewConn(n, st)
	st.post()
	return st.conn, nil
}

// ownAddr is our address, 0.0.0.0 without one.
func ownAddr(c *driver.Client) netip.Addr {
	if a := c.Addr(); a.IsValid() {
		return a
	}
	return netip.IPv4Unspecified()
}

// open binds, if a port is given, and connects.
func (st *stream) open(ctx context.Context) error {
	if st.local.Port() != 0 {
		if err := st.request(ctx, st.s.Bind(st.local)); err != nil {
			return err
		}
	}
	return st.request(ctx, st.s.Connect(st.remote))
}

// request waits for the answer to a request that was sent with err.
func (st *stream) request(ctx context.Context, err error) error {
	if err != nil {
		return closedErr(err)
	}
	st.done, st.err = false, nil
	if err := st.n.await(ctx, &st.q, func() bool { return st.done }); err != nil {
		return err
	}
	return st.err
}

// KeepAlive sets TCP keep-alive on a conn that a Net made: an idle time and an
// interval, rounded up to 500 ms, and the number of probes; zero or negative
// values are the device's defaults, 60 s, 500 ms and 20.
func (n *Net) KeepAlive(c net.Conn, k net.KeepAliveConfig) error {
	sc, ok := c.(*sock.Conn)
	if !ok {
		return errors.ErrUnsupported
	}
	st, ok := sc.Stream().(*stream)
	if !ok || st.n != n {
		return errors.ErrUnsupported
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return closedErr(st.keepAlive(k))
}
