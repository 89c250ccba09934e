package remote

import (
	"context"
	"fmt"
	"net"
	"time"
)

// Inspect returns what the server at addr says about its device, see [Server]. It does not need the bus, so it works while a
// host has it. The error is [ErrRefused] when the server does not know INSPECT or shows nothing, and that of the network
// otherwise.
func Inspect(ctx context.Context, network, addr string) ([]byte, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, fmt.Errorf("remote: %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	text, err := inspect(conn)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("remote: no answer from the server: %w", ctx.Err())
	}
	return text, err
}

// inspect asks on a connection.
func inspect(conn net.Conn) ([]byte, error) {
	_, werr := conn.Write(appendHello(nil, kindInspect))
	f, err := newReader(conn).next(MaxTransfer)
	switch {
	case err != nil && werr != nil:
		return nil, fmt.Errorf("%w: %w", ErrGone, werr)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrGone, err)
	case f.kind == kindRefuse:
		return nil, refused(f)
	case f.kind != kindInspect|answer || f.flags != 0:
		return nil, fmt.Errorf("%w: it is no bus server: it said %v", ErrRefused, f.kind)
	}
	return f.payload, nil
}
