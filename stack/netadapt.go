package stack

import (
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/sock"
)

// NewConn makes a net.Conn of a connection and tags the connection with it. The lock of o is held.
func NewConn(o sock.Owner, c TCP) *sock.Conn {
	k := sock.NewConn(o, c)
	_ = c.SetNoDelay(true) // as package net does; of a connection that is over it does not matter
	c.SetTag(k)
	return k
}

// acceptor is a Listener as package sock wants it.
type acceptor struct{ l Listener }

func (a acceptor) Accept(now time.Time) (sock.Stream, error) {
	c, err := a.l.Accept(now)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (a acceptor) Close(now time.Time) error { return a.l.Close(now) }

func (a acceptor) Addr() netip.AddrPort { return a.l.Addr() }

// NewListener makes a net.Listener of a listener and tags the listener with it. The lock of o is
// held.
func NewListener(o sock.Owner, l Listener) *sock.Listener {
	k := sock.NewListener(o, acceptor{l}, func(s sock.Stream) *sock.Conn { return NewConn(o, s.(TCP)) })
	l.SetTag(k)
	return k
}

// NewPacketConn makes a net.PacketConn of a UDP socket and tags the socket with it. The lock of o
// is held.
func NewPacketConn(o sock.Owner, u UDP) *sock.PacketConn {
	k := sock.NewPacketConn(o, u)
	u.SetTag(k)
	return k
}
