package hostnet

import (
	"context"
	"fmt"

	"github.com/understudy-net/understudy/driver"
)

// asking is the call of Provision or WPS that waits, of which there is one.
type asking struct {
	kind driver.NoticeKind
	done bool
	e    driver.NetworkEvent
	over func() bool // nil until the question was sent
	gone bool        // another call has ended the question
}

// askNotice keeps what Provision and WPS wait for. That a question is over is looked at when the driver's state has changed
// and at no other time: the answer, which comes before, ends it too. Lock held.
func (n *Net) askNotice(nt driver.Notice) {
	switch a := n.asking; {
	case a == nil:
	case nt.Kind == a.kind:
		a.done, a.e = true, nt.Network
	case nt.Kind == driver.NoticeState && a.over != nil:
		a.gone = a.gone || a.over()
	}
}

// Provision makes the controller a Soft-AP with a web page, waits until its user
// has filled that in, and returns the network, which Join takes:
//
//	bss, auth, err := n.Provision(ctx, driver.BSS{SSID: "setup", Channel: 1}, driver.OpenAuth, driver.Provisioning{Domain: "setup.example"})
//	if err == nil {
//		err = n.Join(ctx, bss, auth)
//	}
//
// The Soft-AP is over when Provision returns, also when ctx has ended first. The
// errors are those of driver.Client.StartProvisioning, and
// driver.ErrProvisioning; driver.ErrBusy while another Provision or WPS waits.
func (n *Net) Provision(ctx context.Context, bss driver.BSS, auth driver.Auth, p driver.Provisioning) (driver.BSS, driver.Auth, error) {
	start := func(c *driver.Client) error { return c.StartProvisioning(bss, auth, p, n.cfg.OnConn) }
	over := func(c *driver.Client) bool { return c.Mode() != driver.ModeProvisioning }
	return n.askNetwork(ctx, "provisioning", driver.NoticeProvision, start, over, (*driver.Client).StopAP)
}

// WPS has an access point hand over its network, and returns it, for Join. With an
// empty pin it is one whose button is pushed, before or within two minutes; else
// one that is told the PIN, see driver.WPSPIN. The errors are those of
// driver.Client.StartWPS and StartWPSPIN, and driver.ErrWPS; driver.ErrBusy while
// another Provision or WPS waits. When ctx ends first, the exchange ends with it.
func (n *Net) WPS(ctx context.Context, pin string) (driver.BSS, driver.Auth, error) {
	start := func(c *driver.Client) error {
		if pin == "" {
			return c.StartWPS(nil)
		}
		return c.StartWPSPIN(pin, nil)
	}
	never := func(*driver.Client) bool { return false }
	return n.askNetwork(ctx, "WPS", driver.NoticeWPS, start, never, (*driver.Client).StopWPS)
}

// askNetwork starts a question and waits for its answer, or for over to be true without
// one.
func (n *Net) askNetwork(ctx context.Context, what string, kind driver.NoticeKind, start func(*driver.Client) error,
	over func(*driver.Client) bool, stop func(*driver.Client) error) (driver.BSS, driver.Auth, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	e, err := n.askNetworkLocked(ctx, kind, start, over, stop)
	if err == nil {
		err = e.Err
	}
	if err != nil {
		return driver.BSS{}, driver.Auth{}, fmt.Errorf("%s: %w", what, err)
	}
	return e.BSS, e.Auth, nil
}

func (n *Net) askNetworkLocked(ctx context.Context, kind driver.NoticeKind, start func(*driver.Client) error,
	over func(*driver.Client) bool, stop func(*driver.Client) error) (driver.NetworkEvent, error) {
	c, err := n.usable(ctx)
	if err != nil {
		return driver.NetworkEvent{}, err
	}
	if n.asking != nil {
		return driver.NetworkEvent{}, driver.ErrBusy
	}
	a := &asking{kind: kind}
	n.asking = a
	defer func() { n.asking = nil }()
	// The Soft-AP tells the layer above, which is this one, of its beginning and end at once.
	n.mu.Unlock()
	err = start(c)
	n.mu.Lock()
	if err != nil {
		return a.e, closedErr(err)
	}
	a.over = func() bool { return over(c) }
	a.gone = a.over() // already
	err = n.await(ctx, &n.linkq, func() bool { return a.done || a.gone || c.Err() != nil })
	switch {
	case a.done:
		return a.e, nil
	case err != nil:
		n.mu.Unlock()
		_ = stop(c) // the first error says it
		n.mu.Lock()
	case c.Err() != nil:
		err = closedErr(c.Err())
	default:
		err = ErrStopped
	}
	return a.e, err
}
