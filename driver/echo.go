package driver

import (
	"fmt"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
)

// EchoReply is the verdict on an echo request.
type EchoReply struct {
	Addr Addr          // as the device reports it
	RTT  time.Duration // whole milliseconds; 0 unless Err is nil
	Err  error         // nil, ErrUnreachable or ErrEchoTimeout
}

// echoState is the one request that the device tracks. Guarded by the lock.
type echoState struct {
	tag     uint32 // of the newest request
	pending bool
	fn      func(EchoReply) // runs in the dispatcher
	hook    func(EchoReply) // runs in the pump
}

// Echo sends one ICMP echo request; ttl 0 means the stack's default. fn, if not
// nil, hears the verdict. Only the newest request has one: a second Echo is
// accepted while one is pending, sent, and replaces it. Without IP the verdict
// is ErrUnreachable. Errors: ErrInvalid for no address, ErrBus if not sendable.
// It stands for WDRV_WINC_ICMPEchoRequest and m2m_ping_req.
func (c *Client) Echo(dst Addr, ttl uint8, fn func(EchoReply)) error {
	return c.ping(dst, ttl, fn, nil)
}

// EchoHook is Echo for a layer above: fn runs on the pump, with no lock of the
// driver held, and must not block.
func (c *Client) EchoHook(dst Addr, ttl uint8, fn func(EchoReply)) error {
	return c.ping(dst, ttl, nil, fn)
}

func (c *Client) ping(dst Addr, ttl uint8, fn, hook func(EchoReply)) error {
	d, err := c.enterSockets()
	if err != nil {
		return err
	}
	defer d.unlock()
	dst = dst.Unmap()
	if !dst.Is4() || dst.IsUnspecified() {
		return fmt.Errorf("%w: echo to %v", ErrInvalid, dst)
	}
	old := d.echo
	d.echo = echoState{tag: old.tag + 1, pending: true, fn: fn, hook: hook}
	err = send(d, hif.OpPing, hif.Ping{IP: dst.As4(), Private: d.echo.tag, Count: 1, TTL: ttl})
	if err != nil {
		tag := d.echo.tag
		d.echo = old
		d.echo.tag = tag // never twice: the device may have heard half of it
		d.echo.pending = false
		return err
	}
	return nil
}

// handlePing drops replies whose tag is not the newest. Lock held.
func (d *Driver) handlePing(m hif.PingReply) {
	if !d.echo.pending || m.Private != d.echo.tag {
		d.stats.Stale++
		return
	}
	r := EchoReply{Addr: addr4(m.IP)}
	switch m.Error {
	case hif.PingOK:
		r.RTT = time.Duration(m.RTT) * time.Millisecond
	case hif.PingTimeout:
		r.Err = ErrEchoTimeout
	default:
		r.Err = ErrUnreachable
	}
	d.echoed(r)
}

// echoed delivers the verdict. Lock held.
func (d *Driver) echoed(r EchoReply) {
	e := d.echo
	d.echo = echoState{tag: e.tag}
	if e.hook != nil {
		d.hooks = append(d.hooks, hookCall{fn: func() { e.hook(r) }})
	}
	if e.fn != nil {
		d.postClient(func() { e.fn(r) })
	}
}
