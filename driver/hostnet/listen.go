package hostnet

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/sock"
)

// bindTries is how many ephemeral ports are tried before giving up.
const bindTries = 8

// Listen announces on a local address such as ":80". Networks: tcp, tcp4. Port
// 0 lets the Net choose one. The listener is a *sock.Listener. Accepted
// connections take a TCP socket each, of the 7 that there are.
func (n *Net) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	return n.listenConfig(ctx, network, address, nil)
}

// listenConfig is Listen, with TLS if o is not nil.
func (n *Net) listenConfig(ctx context.Context, network, address string, o *TLSOptions) (net.Listener, error) {
	t, err := parse(ctx, network, address)
	if err == nil && t.network != "tcp" {
		err = net.UnknownNetworkError(network)
	}
	if err != nil {
		return nil, opError("listen", network, nil, err)
	}
	at, err := n.resolve(ctx, t)
	if err != nil {
		return nil, opError("listen", network, nil, err)
	}
	l, err := n.listen(ctx, at, o)
	if err != nil {
		return nil, opError("listen", network, netAddr("tcp", at), err)
	}
	return l, nil
}

func (n *Net) listen(ctx context.Context, at netip.AddrPort, o *TLSOptions) (*sock.Listener, error) {
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
	a := &acceptor{n: n, s: s}
	n.register(s, a)
	if err := o.apply(s); err != nil {
		_ = n.release(s)
		return nil, closedErr(err)
	}
	a.at, err = n.bind(at, func(at netip.AddrPort) error { return a.request(ctx, s.Bind(at)) })
	if err == nil {
		err = a.request(ctx, s.Listen(0))
	}
	if err != nil {
		_ = n.release(s)
		return nil, err
	}
	a.l = sock.NewListener(n, a, a.wrap)
	return a.l, nil
}

// bind tries the port of at, or ephemeral ones if it is 0.
func (n *Net) bind(at netip.AddrPort, try func(netip.AddrPort) error) (netip.AddrPort, error) {
	if at.Port() != 0 {
		return at, try(at)
	}
	var err error
	for range bindTries {
		at = netip.AddrPortFrom(at.Addr(), n.port())
		if err = try(at); !errors.Is(err, driver.ErrAddrInUse) {
			break
		}
	}
	return at, err
}

// acceptor is a listening socket in the form of sock.Acceptor. Guarded by the
// Net's lock.
type acceptor struct {
	n     *Net
	s     driver.Socket
	l     *sock.Listener // nil while it is being opened
	at    netip.AddrPort
	queue []*stream // came in, not accepted yet: 6 at most by nature
	err   error     // ends Accept

	q      sock.Waiters
	done   bool
	answer error
}

var _ sock.Acceptor = (*acceptor)(nil)

func (a *acceptor) request(ctx context.Context, err error) error {
	if err != nil {
		return closedErr(err)
	}
	a.done, a.answer = false, nil
	if err := a.n.await(ctx, &a.q, func() bool { return a.done }); err != nil {
		return err
	}
	return a.answer
}

func (a *acceptor) Addr() netip.AddrPort {
	if a.at.Addr().IsUnspecified() && a.n.c != nil {
		return netip.AddrPortFrom(ownAddr(a.n.c), a.at.Port())
	}
	return a.at
}

// Accept takes the connection that waits for longest.
func (a *acceptor) Accept(time.Time) (sock.Stream, error) {
	if len(a.queue) > 0 {
		st := a.queue[0]
		a.queue = append(a.queue[:0], a.queue[1:]...)
		return st, nil
	}
	if a.err != nil {
		return nil, a.err
	}
	return nil, sock.ErrWouldBlock
}

// wrap makes the conn of an accepted stream.
func (a *acceptor) wrap(s sock.Stream) *sock.Conn {
	st := s.(*stream)
	st.conn = sock.NewConn(a.n, st)
	return st.conn
}

// Close ends the listener and the connections that nobody accepted.
func (a *acceptor) Close(now time.Time) error {
	for _, st := range a.queue {
		_ = st.Close(now)
	}
	a.queue = nil
	err := a.n.release(a.s)
	if errors.Is(err, driver.ErrClosed) {
		return nil
	}
	return err
}

func (a *acceptor) event(now time.Time, ev driver.Event) {
	switch ev.Kind {
	case driver.KindBind, driver.KindListen:
		a.done, a.answer = true, ev.Err
		a.n.Wake(&a.q)
	case driver.KindAccept:
		if ev.Err != nil {
			return // a connection that no socket was left for; the listener goes on
		}
		st := &stream{n: a.n, s: ev.Socket, remote: ev.Peer, local: a.Addr(), done: true}
		a.n.register(ev.Socket, st)
		st.post()
		a.queue = append(a.queue, st)
		if a.l != nil {
			a.l.Ready()
		}
	case driver.KindLost:
		a.fail(now, ev.Err)
	}
}

func (a *acceptor) retry() {}

func (a *acceptor) fail(_ time.Time, err error) {
	a.err = err
	if !a.done {
		a.done, a.answer = true, err
		a.n.Wake(&a.q)
	}
	if a.l != nil {
		a.l.Ready()
	}
}
