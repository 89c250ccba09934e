package tinygo

import (
	"errors"
	"io"
	"net/netip"
	"time"

	"tinygo.org/x/drivers/netdev"

	"github.com/understudy-net/understudy/driver"
)

// socket is the state of a socket. Guarded by Device.mu.
type socket struct {
	s      driver.Socket
	stream bool
	bound  bool           // a datagram socket has a port
	peer   netip.AddrPort // of a datagram socket

	done bool  // the request was answered
	err  error // with this

	queue []accepted // of a listener

	posted bool   // a receive request is out
	full   bool   // rx has what was received, perhaps nothing
	rx     []byte // what Recv has not taken
	rxErr  error  // the end of receiving
	txErr  error  // the end of sending
	closed bool
}

type accepted struct {
	fd   int
	peer netip.AddrPort
}

// Socket makes a socket: AF_INET, and SOCK_STREAM with IPPROTO_TCP or SOCK_DGRAM with IPPROTO_UDP.
func (d *Device) Socket(domain int, stype int, protocol int) (int, error) {
	typ := driver.Stream
	switch {
	case domain != netdev.AF_INET:
		return -1, netdev.ErrFamilyNotSupported
	case stype == netdev.SOCK_STREAM && protocol == netdev.IPPROTO_TCP:
	case stype == netdev.SOCK_DGRAM && protocol == netdev.IPPROTO_UDP:
		typ = driver.Datagram
	default:
		return -1, netdev.ErrProtocolNotSupported
	}
	c, err := d.client()
	if err != nil {
		return -1, err
	}
	s, err := c.SocketHook(typ, driver.Plain, d.event)
	switch {
	case errors.Is(err, driver.ErrMaxTCP), errors.Is(err, driver.ErrMaxUDP):
		return -1, errors.Join(netdev.ErrNoMoreSockets, err)
	case err != nil:
		return -1, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.socks[s.ID()] = &socket{s: s, stream: typ == driver.Stream}
	return s.ID(), nil
}

// socket finds a socket.
func (d *Device) socket(fd int) (*socket, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if k := d.socks[fd]; k != nil {
		return k, nil
	}
	return nil, netdev.ErrInvalidSocketFd
}

// event hears what the module says about sockets, on the goroutine that pumps.
func (d *Device) event(s driver.Socket, e driver.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := d.socks[s.ID()]
	if k == nil || k.s != s {
		return
	}
	switch e.Kind {
	case driver.KindBind, driver.KindListen, driver.KindConnect:
		k.done, k.err = true, e.Err
	case driver.KindAccept:
		if e.Err == nil {
			d.socks[e.Socket.ID()] = &socket{s: e.Socket, stream: true, peer: e.Peer}
			k.queue = append(k.queue, accepted{e.Socket.ID(), e.Peer})
		}
	case driver.KindSend, driver.KindSendTo:
		if e.Err != nil && k.stream {
			k.txErr = e.Err
		}
	case driver.KindRecv, driver.KindRecvFrom:
		k.posted = false
		if k.rxErr = e.Err; e.Err == nil {
			k.rx, k.full = append(k.rx[:0], e.Data...), true
		}
	case driver.KindLost:
		lost := driver.ErrConnAborted
		k.done, k.err, k.rxErr, k.txErr = true, lost, lost, lost
	}
}

// forget drops all sockets: the module has.
func (d *Device) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range d.socks {
		k.closed = true
	}
	clear(d.socks)
	d.c, d.link.up = nil, false
}

// request makes a request that the module answers.
func (d *Device) request(k *socket, send func() error) error {
	d.mu.Lock()
	k.done = false
	d.mu.Unlock()
	if err := send(); err != nil {
		return err
	}
	var verdict error
	err := d.await(d.in(requestLimit), func() bool {
		if verdict = k.err; k.closed {
			verdict = netdev.ErrInvalidSocketFd
		}
		return k.done || k.closed
	})
	return errors.Join(err, verdict)
}

// Bind gives a socket its local address. Port 0 takes a free one.
func (d *Device) Bind(sockfd int, ip netip.AddrPort) error {
	k, err := d.socket(sockfd)
	if err != nil {
		return err
	}
	for range bindTries {
		at := ip
		if ip.Port() == 0 {
			at = netip.AddrPortFrom(ip.Addr(), d.ephemeral())
		}
		err = d.request(k, func() error { return k.s.Bind(at) })
		if ip.Port() != 0 || !errors.Is(err, driver.ErrAddrInUse) {
			break
		}
	}
	d.mu.Lock()
	k.bound = err == nil
	d.mu.Unlock()
	return err
}

// ephemeral is the next port to try.
func (d *Device) ephemeral() uint16 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.port++
	return ephemeral + d.port%ephemeralSize
}

// Connect connects a stream socket, and tells a datagram socket where its datagrams go. Without an address, host is
// resolved.
func (d *Device) Connect(sockfd int, host string, ip netip.AddrPort) error {
	k, err := d.socket(sockfd)
	if err != nil {
		return err
	}
	if host != "" && (!ip.Addr().IsValid() || ip.Addr().IsUnspecified()) {
		a, err := d.GetHostByName(host)
		if err != nil {
			return err
		}
		ip = netip.AddrPortFrom(a, ip.Port())
	}
	if k.stream {
		return d.request(k, func() error { return k.s.Connect(ip) })
	}
	d.mu.Lock()
	k.peer = ip
	bound := k.bound
	d.mu.Unlock()
	if bound {
		return nil
	}
	return d.Bind(sockfd, netip.AddrPortFrom(netip.IPv4Unspecified(), 0)) // else nothing could come back
}

// Listen makes a bound stream socket a listener.
func (d *Device) Listen(sockfd int, backlog int) error {
	k, err := d.socket(sockfd)
	if err != nil {
		return err
	}
	return d.request(k, func() error { return k.s.Listen(max(0, min(backlog, 255))) })
}

// Accept waits for a connection. It ends with netdev.ErrInvalidSocketFd when the listener is closed.
func (d *Device) Accept(sockfd int) (int, netip.AddrPort, error) {
	k, err := d.socket(sockfd)
	if err != nil {
		return -1, netip.AddrPort{}, err
	}
	var a accepted
	err = d.await(time.Time{}, func() bool {
		if len(k.queue) > 0 && !k.closed {
			a, k.queue = k.queue[0], k.queue[1:]
			return true
		}
		return k.closed || k.err != nil
	})
	switch {
	case a.peer.IsValid():
		return a.fd, a.peer, nil
	case err != nil:
		return -1, netip.AddrPort{}, err
	}
	return -1, netip.AddrPort{}, d.gone(k)
}

// gone says why a socket does not work any more.
func (d *Device) gone(k *socket) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if k.closed || k.err == nil {
		return netdev.ErrInvalidSocketFd
	}
	return k.err
}

// Send sends bytes, in pieces as long as the module takes, or one datagram. It returns how many the module has taken;
// netdev.ErrTimeout when the deadline comes first (zero: none).
func (d *Device) Send(sockfd int, buf []byte, flags int, deadline time.Time) (int, error) {
	k, err := d.socket(sockfd)
	if err != nil {
		return 0, err
	}
	c, err := d.client()
	if err != nil {
		return 0, err
	}
	if flags != 0 {
		return 0, netdev.ErrNotSupported
	}
	if !k.stream {
		return d.sendDatagram(k, buf, deadline)
	}
	sent := 0
	for most := c.Limits().Send; sent < len(buf); {
		piece := buf[sent:min(sent+most, len(buf))]
		err := d.patiently(deadline, func() error {
			if err := d.sending(k); err != nil {
				return err
			}
			return k.s.Send(piece)
		})
		if err != nil {
			return sent, err
		}
		sent += len(piece)
	}
	return sent, d.await(time.Time{}, func() bool { return true }) // let the module's answers in
}

// sending is the error that ended sending, or nil.
func (d *Device) sending(k *socket) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if k.closed {
		return netdev.ErrInvalidSocketFd
	}
	return k.txErr
}

func (d *Device) sendDatagram(k *socket, buf []byte, deadline time.Time) (int, error) {
	d.mu.Lock()
	to := k.peer
	d.mu.Unlock()
	if !to.IsValid() {
		return 0, driver.ErrAddrRequired
	}
	err := d.patiently(deadline, func() error {
		if err := d.sending(k); err != nil {
			return err
		}
		return k.s.SendTo(buf, to)
	})
	if err != nil {
		return 0, err
	}
	return len(buf), nil
}

// Recv waits for bytes, or a datagram, of which what does not fit into buf is lost. At the end of a stream it returns
// io.EOF; netdev.ErrTimeout when the deadline comes first (zero: none), and what comes later is there for the next call.
func (d *Device) Recv(sockfd int, buf []byte, flags int, deadline time.Time) (int, error) {
	k, err := d.socket(sockfd)
	switch {
	case err != nil:
		return 0, err
	case flags != 0:
		return 0, netdev.ErrNotSupported
	case len(buf) == 0:
		return 0, nil
	}
	if err := d.post(k, deadline); err != nil {
		return 0, err
	}
	n := 0
	var end error
	err = d.await(deadline, func() bool {
		switch {
		case k.full:
			n = copy(buf, k.rx)
			k.rx = k.rx[n:]
			k.full = k.stream && len(k.rx) > 0
			return true
		case k.closed:
			end = netdev.ErrInvalidSocketFd
		default:
			end = k.rxErr
		}
		return end != nil
	})
	if errors.Is(end, io.EOF) {
		return 0, io.EOF
	}
	return n, errors.Join(err, end)
}

// post asks the module for data, unless there are some, or it was asked.
func (d *Device) post(k *socket, deadline time.Time) error {
	c, err := d.client()
	if err != nil {
		return err
	}
	d.mu.Lock()
	idle := !k.posted && !k.full && k.rxErr == nil && !k.closed
	if idle {
		k.posted = true
	}
	d.mu.Unlock()
	if !idle {
		return nil
	}
	most := c.Limits().Datagram
	if k.stream {
		most = c.Limits().Send
	}
	err = d.patiently(deadline, func() error { return k.s.RecvHook(most, 0) })
	if err != nil {
		d.mu.Lock()
		k.posted = false
		d.mu.Unlock()
	}
	return err
}

// Close ends a socket. What the module has taken it still sends. Calls that wait for the socket end.
func (d *Device) Close(sockfd int) error {
	d.mu.Lock()
	k := d.socks[sockfd]
	if k == nil {
		d.mu.Unlock()
		return netdev.ErrInvalidSocketFd
	}
	k.closed = true
	delete(d.socks, sockfd)
	waiting := k.queue
	k.queue = nil
	d.mu.Unlock()
	for _, a := range waiting {
		_ = d.Close(a.fd) // nobody has accepted it
	}
	if err := k.s.Close(); err != nil {
		return errors.Join(netdev.ErrClosingSocket, err)
	}
	return nil
}

// SetSockOpt sets SO_KEEPALIVE of SOL_SOCKET (a bool or number), or TCP_KEEPINTVL of SOL_TCP (a number of half seconds,
// before the first probe and between probes). Others are netdev.ErrNotSupported.
func (d *Device) SetSockOpt(sockfd int, level int, opt int, value interface{}) error {
	k, err := d.socket(sockfd)
	if err != nil {
		return err
	}
	n, ok := number(value)
	switch {
	case !ok || !k.stream:
		return netdev.ErrNotSupported
	case level == netdev.SOL_SOCKET && opt == netdev.SO_KEEPALIVE:
		return k.s.SetOpt(driver.OptKeepAlive, min(n, 1))
	case level == netdev.SOL_TCP && opt == netdev.TCP_KEEPINTVL:
		return errors.Join(k.s.SetOpt(driver.OptKeepIdle, n), k.s.SetOpt(driver.OptKeepInterval, n))
	}
	return netdev.ErrNotSupported
}

// number reads the value of an option.
func number(value any) (int, bool) {
	switch v := value.(type) {
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case int:
		return v, v >= 0
	case float64:
		return int(v + 0.5), v >= 0 && v < 1<<31
	}
	return 0, false
}
