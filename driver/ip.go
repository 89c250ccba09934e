package driver

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
)

// IPConfig is an address configuration. Addresses that are not known are zero.
type IPConfig struct {
	Prefix  netip.Prefix // address and mask
	Gateway Addr
	DNS     Addr
	AltDNS  Addr          // from DHCP only
	Lease   time.Duration // from DHCP; 0 for a static address
}

// IPKind is the kind of an IPEvent.
type IPKind uint8

// The kinds.
const (
	IPLeased     IPKind = iota + 1 // a lease was obtained or renewed
	IPDHCPFailed                   // no address obtained; or not renewed, then the old one is still in use
	IPConflict                     // another host uses our address
	IPLost                         // the lease ran out; the device asks for a new one
)

func (k IPKind) String() string {
	switch k {
	case IPLeased:
		return "leased"
	case IPDHCPFailed:
		return "DHCP failed"
	case IPConflict:
		return "conflict"
	case IPLost:
		return "lost"
	}
	return "ip(" + strconv.Itoa(int(k)) + ")"
}

// IPEvent is told to OnIP. Addr is the address in question, zero with
// IPDHCPFailed.
type IPEvent struct {
	Kind IPKind
	Addr Addr
}

// ipState is guarded by the driver's lock. The lease and the static
// configuration are separate (spec/driver-api.md 2.1, IPUseDHCPGet).
type ipState struct {
	dhcp    bool     // DHCP is selected
	static  IPConfig // what the application set, for the next connect
	applied IPConfig // what the last connect sent; a zero Prefix: DHCP
	current IPConfig // in effect while up
	up      bool
	onDHCP  func(Addr)
	onIP    func(IPEvent)
}

// drop forgets what is in effect; settings stay.
func (s *ipState) drop() { s.up, s.current = false, IPConfig{} }

// linked is the moment of association: a static address is up at once.
func (s *ipState) linked() {
	if s.applied.Prefix.IsValid() {
		s.up, s.current = true, s.applied
	}
}

// UseDHCP selects DHCP, as it is after Open, and registers who hears of
// addresses: fn, if not nil, is told each time a lease was obtained or renewed.
// It clears a static configuration, mask, DNS and gateway included. It takes
// effect at the next connect; ErrConnected while connected, which as a Soft-AP
// means while a station is there. It stands for
// WDRV_WINC_IPUseDHCPSet.
func (c *Client) UseDHCP(fn func(Addr)) error {
	d, err := c.enterUnconnected()
	if err != nil {
		return err
	}
	defer d.unlock()
	d.ip.dhcp, d.ip.static, d.ip.onDHCP = true, IPConfig{}, fn
	return nil
}

// DHCP is true when the next connect will use DHCP: by default, after UseDHCP,
// and while no static address is set. False on a closed client. It stands for
// WDRV_WINC_IPUseDHCPGet.
func (c *Client) DHCP() bool {
	d, ok := c.peek()
	if !ok {
		return false
	}
	defer d.unlock()
	return d.ip.dhcp
}

// SetAddr sets a static address with its mask, for the next connect, and turns
// DHCP off; 0.0.0.0, or the zero Prefix, turns it on again. ErrConnected while
// connected; ErrInvalid for addresses that no host can have: not IPv4,
// multicast, loopback, broadcast. It stands for WDRV_WINC_IPAddressSet.
func (c *Client) SetAddr(p netip.Prefix) error {
	d, err := c.enterUnconnected()
	if err != nil {
		return err
	}
	defer d.unlock()
	if p == (netip.Prefix{}) || p.Addr() == netip.IPv4Unspecified() {
		d.ip.dhcp, d.ip.static.Prefix = true, netip.Prefix{}
		return nil
	}
	if err := hostPrefix(p); err != nil {
		return err
	}
	d.ip.dhcp, d.ip.static.Prefix = false, p
	return nil
}

// hostPrefix says why p cannot be the address of a host.
func hostPrefix(p netip.Prefix) error {
	a := p.Addr()
	switch {
	case !p.IsValid() || !a.Is4():
		return fmt.Errorf("%w: %v is not an IPv4 address with a mask", ErrInvalid, p)
	case a.IsMulticast() || a.IsLoopback() || isBroadcast(a) || p.Bits() > 0 && p.Bits() < 31 && a == lastAddr(p):
		return fmt.Errorf("%w: %v cannot be the address of a host", ErrInvalid, a)
	}
	return nil
}

func isBroadcast(a Addr) bool { return a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) }

// lastAddr is the broadcast address of a network.
func lastAddr(p netip.Prefix) Addr {
	b, m := p.Addr().As4(), maskOf(p)
	for i := range b {
		b[i] |= ^m[i]
	}
	return netip.AddrFrom4(b)
}

func maskOf(p netip.Prefix) (m [4]byte) {
	for i := range max(p.Bits(), 0) {
		m[i/8] |= 0x80 >> (i % 8)
	}
	return m
}

// prefixOf joins an address and a mask; a mask with holes counts up to its
// first.
func prefixOf(a, mask [4]byte) netip.Prefix {
	n := 0
	for n < 32 && mask[n/8]&(0x80>>(n%8)) != 0 {
		n++
	}
	return netip.PrefixFrom(netip.AddrFrom4(a), n)
}

// Addr is the address in use: the lease, the static address, or that of the
// Soft-AP; the zero Addr before IP is up, even if a static address is set. It
// stands for WDRV_WINC_IPAddressGet.
func (c *Client) Addr() Addr { return c.IPConfig().Prefix.Addr() }

// SetDNS sets the DNS server that goes with a static address, for the next
// connect; without one DHCP's server is used. A Soft-AP tells it to its stations.
// Zero: none. ErrInvalid if no host can have the address, ErrConnected while
// connected. It stands for WDRV_WINC_IPDNSServerAddressSet.
func (c *Client) SetDNS(a Addr) error {
	return c.setStatic(a, func(s *IPConfig) { s.DNS = a })
}

// SetGateway sets the default gateway that goes with a static address, for the
// next connect. A Soft-AP tells it to its stations as their router. Zero: none.
// ErrInvalid if no host can have the address, ErrConnected while connected. It
// stands for WDRV_WINC_IPDefaultGatewaySet.
func (c *Client) SetGateway(a Addr) error {
	return c.setStatic(a, func(s *IPConfig) { s.Gateway = a })
}

func (c *Client) setStatic(a Addr, set func(*IPConfig)) error {
	d, err := c.enterUnconnected()
	if err != nil {
		return err
	}
	defer d.unlock()
	switch {
	case a.IsValid() && !a.Is4():
		return fmt.Errorf("%w: %v is not an IPv4 address", ErrInvalid, a)
	case a.IsMulticast() || a.IsLoopback() || isBroadcast(a):
		return fmt.Errorf("%w: %v cannot be the address of a host", ErrInvalid, a)
	}
	set(&d.ip.static)
	return nil
}

// enterUnconnected is enter for what must be done before connecting.
func (c *Client) enterUnconnected() (*Driver, error) {
	d, err := c.enterSockets()
	if err == nil && d.conn.up {
		d.unlock()
		return nil, ErrConnected
	}
	return d, err
}

// LinkUp is the link check: associated, and with an address. It is false from
// the moment in which Disconnect returned nil, a connect was started, or a
// disconnected callback runs; with a static address it is true inside the
// connected callback, as a Soft-AP from StartAP to StopAP. It stands for WDRV_WINC_IPLinkActive.
func (c *Client) LinkUp() bool {
	d, ok := c.peek()
	if !ok {
		return false
	}
	defer d.unlock()
	return d.ip.up
}

// IPConfig is the configuration in effect, zero while IP is not up.
func (c *Client) IPConfig() IPConfig {
	d, ok := c.peek()
	if !ok {
		return IPConfig{}
	}
	defer d.unlock()
	return d.ip.current
}

// OnIP registers fn for what the documented DHCP callback does not tell:
// failure, conflict and loss, besides each lease (spec/driver-api.md 2.12). Nil
// unregisters.
func (c *Client) OnIP(fn func(IPEvent)) error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	d.ip.onIP = fn
	return nil
}

// sendIPConfig tells the device how to get an address, before each connect:
// DHCP, or no DHCP and the static configuration. Lock held.
func (d *Driver) sendIPConfig() error {
	if d.ip.dhcp {
		if err := d.sendNone(hif.OpEnableDHCP); err != nil {
			return err
		}
		d.ip.applied = IPConfig{}
		return nil
	}
	if err := d.sendNone(hif.OpDisableDHCP); err != nil {
		return err
	}
	s := d.ip.static
	err := send(d, hif.OpStaticIP, hif.IPConfig{
		IP: octets(s.Prefix.Addr()), Gateway: octets(s.Gateway), DNS: octets(s.DNS), Mask: maskOf(s.Prefix),
	})
	if err == nil {
		d.ip.applied = s
	}
	return err
}
