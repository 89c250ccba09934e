package driver

import (
	"fmt"

	"github.com/understudy-net/understudy/bus/hif"
)

const (
	// maxNameLen is the longest host name: the field of 64 less its NUL.
	maxNameLen = 63
	// maxResolves is how many requests may be outstanding (spec/driver-api.md 3.2).
	maxResolves = 4
)

// resolveState is the outstanding requests, oldest first.
type resolveState struct {
	n    int
	reqs [maxResolves]resolveReq
}

type resolveReq struct {
	name string
	hook func(Addr) // nil: for OnResolve
}

// OnResolve registers fn for finished requests of Resolve, replacing an earlier
// one; nil unregisters. A zero address means failure. It works on a closed
// client too and outlives clients. ErrInvalid only for an invalid handle. It
// stands for WDRV_WINC_SocketRegisterResolverCallback and
// registerSocketResolveCallback.
func (c *Client) OnResolve(fn func(name string, addr Addr)) error {
	if !c.valid() {
		return ErrInvalid
	}
	c.d.lock()
	defer c.d.unlock()
	c.d.onResolve = fn
	return nil
}

// Resolve asks for the IPv4 address of a host, told to OnResolve with exactly
// the name given. A dotted quad is answered without a query. Errors: ErrSockArg
// for a name that is empty or longer than 63 bytes, ErrBufferFull while 4
// requests are outstanding or if not sendable. It stands for gethostbyname.
func (c *Client) Resolve(name string) error { return c.lookup(name, nil) }

// ResolveHook is Resolve for a layer above: fn runs on the pump, with no lock
// of the driver held, and must not block; OnResolve does not hear of it.
func (c *Client) ResolveHook(name string, fn func(Addr)) error {
	if fn == nil {
		return ErrInvalid
	}
	return c.lookup(name, fn)
}

func (c *Client) lookup(name string, hook func(Addr)) error {
	d, err := c.enterSockets()
	if err != nil {
		return err
	}
	defer d.unlock()
	if name == "" || len(name) > maxNameLen || hasNUL(name) {
		return fmt.Errorf("%w: a host name has 1 to %d characters", ErrSockArg, maxNameLen)
	}
	r := &d.resolve
	if r.n == maxResolves {
		return ErrBufferFull
	}
	if err := send(d, hif.OpDNSResolve, hif.DNSResolve{Name: name}); err != nil {
		return fmt.Errorf("%w: %w", ErrBufferFull, err)
	}
	r.reqs[r.n] = resolveReq{name, hook}
	r.n++
	return nil
}

func hasNUL(s string) bool {
	for i := range len(s) {
		if s[i] == 0 {
			return true
		}
	}
	return false
}

// handleDNS pairs a reply with the oldest request of its name: two requests for
// one name get two replies. Lock held.
func (d *Driver) handleDNS(m hif.DNSReply) {
	r := &d.resolve
	for i := range r.n {
		if r.reqs[i].name == m.Name {
			d.resolved(i, addr4(m.IP))
			return
		}
	}
	d.stats.Stale++
}

// resolved delivers the answer to the request at index i. Lock held.
func (d *Driver) resolved(i int, a Addr) {
	r := &d.resolve
	req := r.reqs[i]
	copy(r.reqs[i:], r.reqs[i+1:r.n])
	r.n--
	r.reqs[r.n] = resolveReq{}
	if req.hook != nil {
		d.hooks = append(d.hooks, hookCall{fn: func() { req.hook(a) }})
		return
	}
	if d.onResolve == nil {
		return
	}
	d.post(func() {
		d.lock()
		fn := d.onResolve
		d.unlock()
		if fn != nil {
			fn(req.name, a)
		}
	})
}

// abortRequests ends what has no socket when the link is lost: names resolve to
// nothing, an echo is unreachable (spec/driver-api.md 3.8). Lock held.
func (d *Driver) abortRequests() {
	for d.resolve.n > 0 {
		d.resolved(0, Addr{})
	}
	if d.echo.pending {
		d.echoed(EchoReply{Err: ErrUnreachable})
	}
}
