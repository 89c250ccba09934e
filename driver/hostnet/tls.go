package hostnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/sock"
)

// TLSOptions say how DialTLS has the device secure a connection. The zero value
// checks the server's certificate against the roots in the device's flash, and
// that it is for the host of the address.
//
// The other way is TLS on the host, over a plain connection:
// tls.Client(conn, config) of crypto/tls. That costs the host's memory and time
// and has all of modern TLS; the device has its profile's versions and cipher
// suites (driver.Client.SetCiphers), 63 characters of a name and few TLS sockets.
type TLSOptions struct {
	// ServerName is sent to the server and compared with its certificate. "":
	// the host of the address, unless that is an IP address.
	ServerName string
	AnyName    bool // the certificate need not be for ServerName
	Insecure   bool // accept any certificate: for tests

	NextProtos []string // for ALPN, the preferred one first: 29 characters with their separators
	Cache      bool     // the device may take up earlier sessions

	// Later connects in clear; Net.Secure begins TLS, after a STARTTLS for
	// instance.
	Later bool
}

// DialTLS is DialContext of tcp with TLS on the device. When TLS fails the error
// has a *driver.TLSAlert, which says who refused and why.
func (n *Net) DialTLS(ctx context.Context, network, address string, o TLSOptions) (net.Conn, error) {
	t, err := parse(ctx, network, address)
	if err == nil && t.network != "tcp" {
		err = net.UnknownNetworkError(network)
	}
	if err != nil {
		return nil, opError("dial", network, nil, err)
	}
	remote, err := n.resolve(ctx, t)
	if err != nil {
		return nil, opError("dial", network, nil, err)
	}
	if o.ServerName == "" {
		if _, err := netip.ParseAddr(t.host); err != nil {
			o.ServerName = t.host
		}
	}
	c, err := n.dialStream(ctx, netip.AddrPort{}, remote, &o)
	if err != nil {
		return nil, opError("dial", network, netAddr("tcp", remote), err)
	}
	return c, nil
}

// config is the configuration of the socket that o wants; nil wants a plain one.
func (o *TLSOptions) config() driver.SockConfig {
	switch {
	case o == nil:
		return driver.Plain
	case o.Later:
		return driver.TLSLater
	}
	return driver.TLS
}

// apply sets the options of a socket that is not connected yet.
func (o *TLSOptions) apply(s driver.Socket) error {
	if o == nil {
		return nil
	}
	for _, k := range []struct {
		opt driver.Opt
		on  bool
	}{
		{driver.OptTLSBypass, o.Insecure}, {driver.OptTLSCheckSNI, !o.AnyName}, {driver.OptTLSCache, o.Cache},
	} {
		if k.on {
			if err := s.SetOpt(k.opt, 1); err != nil {
				return err
			}
		}
	}
	if o.ServerName != "" {
		if err := s.SetSNI(o.ServerName); err != nil {
			return err
		}
	}
	if len(o.NextProtos) > 0 {
		return s.SetALPN(o.NextProtos...)
	}
	return nil
}

// errClear: Secure would lose what came in clear.
var errClear = errors.New("bytes that came in clear must be read before Secure")

// Secure begins TLS on a connection that DialTLS made with Later, and waits for
// the handshake. Nobody may write to it meanwhile, and what the peer has sent in
// clear must have been read. After an error the connection must be closed.
func (n *Net) Secure(ctx context.Context, c net.Conn) error {
	st, err := n.streamOf(c)
	if err != nil {
		return opError("secure", "tcp", c.RemoteAddr(), err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if st.in.n > 0 {
		err = errClear
	} else {
		err = st.request(ctx, st.s.Secure())
	}
	return opError("secure", "tcp", netAddr("tcp", st.remote), err)
}

// NegotiatedProtocol is which of TLSOptions.NextProtos was agreed on, "" if none
// was.
func (n *Net) NegotiatedProtocol(c net.Conn) (string, error) {
	st, err := n.streamOf(c)
	if err != nil {
		return "", err
	}
	i, err := st.s.ALPN()
	switch {
	case err != nil:
		return "", closedErr(err)
	case i < 1 || i > len(st.protos):
		return "", nil
	}
	return st.protos[i-1], nil
}

// streamOf finds what a conn of this Net is made of.
func (n *Net) streamOf(c net.Conn) (*stream, error) {
	if sc, ok := c.(*sock.Conn); ok {
		if st, ok := sc.Stream().(*stream); ok && st.n == n {
			return st, nil
		}
	}
	return nil, fmt.Errorf("%T is no TCP connection of this Net: %w", c, errors.ErrUnsupported)
}

// ListenTLS is Listen with TLS on the device, whose flash has the key and the
// certificates. Connections are secured when Accept returns them; those whose
// handshake fails never appear. NextProtos are those for ALPN.
func (n *Net) ListenTLS(ctx context.Context, network, address string, nextProtos ...string) (net.Listener, error) {
	return n.listenConfig(ctx, network, address, &TLSOptions{AnyName: true, NextProtos: slices.Clone(nextProtos)})
}
