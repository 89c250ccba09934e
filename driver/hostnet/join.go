package hostnet

import (
	"context"
	"fmt"
	"time"

	"github.com/understudy-net/understudy/driver"
)

// confirmLimit is how long a call that is cancelled waits for the device to
// confirm (spec/driver-api.md 4.5, contexts).
const confirmLimit = 2 * time.Second

// joining is the one Join that runs.
type joining struct{ err error }

// Join starts the driver up if need be, joins a network and waits until IP is
// up. The error is a driver.ConnError when the network cannot be joined,
// driver.ErrAuthFail for a wrong passphrase; ErrNoAddress when there is no DHCP
// server, with the network joined all the same; ErrLinkLost. When ctx ends
// first the attempt is cancelled. A Join while another runs is
// driver.ErrInProgress.
func (n *Net) Join(ctx context.Context, bss driver.BSS, auth driver.Auth) error {
	return n.join(ctx, bss.SSID, func(c *driver.Client) error { return c.Connect(bss, auth, n.cfg.OnConn) })
}

// Rejoin is Join for the network whose credentials were saved last, see
// driver.Auth.
func (n *Net) Rejoin(ctx context.Context) error {
	return n.join(ctx, "stored network", func(c *driver.Client) error { return c.Reconnect(n.cfg.OnConn) })
}

func (n *Net) join(ctx context.Context, name string, connect func(*driver.Client) error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.joinLocked(ctx, connect); err != nil {
		return fmt.Errorf("join %s: %w", name, err)
	}
	return nil
}

func (n *Net) joinLocked(ctx context.Context, connect func(*driver.Client) error) error {
	c, err := n.usable(ctx)
	if err != nil {
		return err
	}
	if n.joining != nil {
		return driver.ErrInProgress
	}
	j := &joining{}
	n.joining = j
	defer func() { n.joining = nil }()
	if err := connect(c); err != nil {
		return closedErr(err)
	}
	err = n.await(ctx, &n.linkq, func() bool { return j.err != nil || c.LinkUp() || c.Err() != nil })
	switch {
	case err != nil:
		n.leave(c) // cancel the attempt
		return err
	case c.Err() != nil:
		return closedErr(c.Err())
	case c.LinkUp():
		return nil
	}
	return j.err
}

// linkNotice keeps what a Join and a Leave wait for. Lock held.
func (n *Net) linkNotice(nt driver.Notice) {
	j := n.joining
	if nt.Kind == driver.NoticeIP {
		if nt.IP.Kind == driver.IPDHCPFailed && j != nil && j.err == nil {
			j.err = ErrNoAddress
		}
		return
	}
	if nt.Conn.State != driver.Disconnected {
		return
	}
	n.left++
	if j == nil || nt.N != 0 && nt.Conn.Err == nil { // the old network was left for the new one
		return
	}
	if j.err = nt.Conn.Err; j.err == nil {
		j.err = ErrLinkLost
	}
}

// Leave leaves the network, or cancels an attempt to join, and returns when the
// device has confirmed it, after 2 s at the latest. Not being in one is
// driver.ErrRequest.
func (n *Net) Leave(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	c, err := n.usable(ctx)
	if err != nil {
		return err
	}
	return n.leaveUntil(ctx, c)
}

func (n *Net) leave(c *driver.Client) { _ = n.leaveUntil(context.Background(), c) }

func (n *Net) leaveUntil(ctx context.Context, c *driver.Client) error {
	left := n.left
	if err := c.Disconnect(); err != nil {
		return closedErr(err)
	}
	until := n.now().Add(confirmLimit)
	if d, ok := ctx.Deadline(); ok && d.Before(until) {
		until = d
	}
	err := n.awaitUntil(ctx, until, &n.linkq, func() bool { return n.left != left || c.Err() != nil })
	if err == context.DeadlineExceeded && ctx.Err() == nil {
		return nil // the device is silent, but the driver has left
	}
	return err
}

// WaitLink waits until IP is up.
func (n *Net) WaitLink(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	c, err := n.usable(ctx)
	if err != nil {
		return err
	}
	err = n.await(ctx, &n.linkq, func() bool { return c.LinkUp() || c.Err() != nil })
	if err == nil {
		err = closedErr(c.Err())
	}
	return err
}
