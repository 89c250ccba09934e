package user

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/wire"
	"github.com/understudy-net/understudy/world"
)

// Config says how an uplink is to be. World and Output are required; the zero value of every other field is
// a sensible default.
type Config struct {
	// World owns the uplink and the access point that it serves. Required.
	World *world.World
	// Output sends an Ethernet frame to the devices: the access point's Send, and the Touch of its slot. It
	// is called with the world's lock held, perhaps from within Input, and must not call the uplink. The frame is
	// valid until it returns. Required.
	Output func(now time.Time, eth []byte)

	// Rand is the source of the stack's randomness. Default: ChaCha8, seeded by the operating system.
	Rand rand.Source
	// MAC is the gateway's address on the link. Default: 02:75:73:65:72:01, a locally administered one.
	MAC wire.MAC
	// Prefix is the virtual network, /8 to /28: its first address is the gateway, the second host.internal.
	// Default: 10.77.0.0/24, with addresses from .10 to .250 for devices.
	Prefix netip.Prefix

	// AllowHost opens the host's loopback, 127.0.0.1, to devices, which see it as host.internal.
	AllowHost bool
	// Deny closes destinations, before Allow is asked.
	Deny []netip.Prefix
	// Allow opens link-local and metadata addresses, which are closed otherwise. It does not open loopback,
	// multicast, broadcast and addresses of Prefix.
	Allow []netip.Prefix

	// MaxTCP is the number of TCP connections at once, those included that are being dialled; one more is
	// refused. Default 1024.
	MaxTCP int
	// MaxUDP is the number of UDP flows at once; the one that was silent for longest gives way to a new one. Default 512.
	MaxUDP int
	// MaxEcho is the number of echo requests that may wait for an answer; more are dropped. Default 256.
	MaxEcho int
	// MaxLookups is the number of questions that the host's resolver is asked at once; more are dropped, and the device asks
	// again. Default 64.
	MaxLookups int

	// DialTimeout bounds the host's TCP dial; a device hears nothing after it. Default 20 s.
	DialTimeout time.Duration
	// UDPTimeout ends a UDP flow that was silent both ways. Default 60 s.
	UDPTimeout time.Duration
	// DNSTimeout is UDPTimeout for flows to port 53, and the limit of one look-up by the host's resolver. Default 10 s.
	DNSTimeout time.Duration
	// EchoTimeout is how long an echo request is remembered. Default 10 s.
	EchoTimeout time.Duration

	// Dial dials the host's network for devices: network is "tcp4" or "udp4". It runs on a goroutine of its own
	// and has to return when ctx ends. A connection may have CloseWrite; one without is closed only when both
	// directions have ended. Default: a [net.Dialer].
	Dial func(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error)
	// Resolver answers the questions of devices. Default: [net.DefaultResolver].
	Resolver Resolver

	// Log is told of every flow that was refused (of repeated ones once in ten seconds). It is called on one
	// goroutine of its own, without the world's lock; when it is slow, events are dropped and counted.
	Log func(Event)
}

// A Resolver looks names up for devices. [*net.Resolver] is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
	LookupCNAME(ctx context.Context, host string) (string, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupNS(ctx context.Context, name string) ([]*net.NS, error)
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// DefaultPrefix is the virtual network of an uplink whose Config names none.
var DefaultPrefix = netip.MustParsePrefix("10.77.0.0/24")

// complete checks c and fills in the defaults.
func (c *Config) complete() error {
	if c.World == nil || c.Output == nil {
		return errors.New("uplink/user: Config needs World and Output")
	}
	if c.MAC == (wire.MAC{}) {
		c.MAC = wire.MAC{0x02, 'u', 's', 'e', 'r', 1}
	}
	if c.MAC[0]&1 != 0 {
		return fmt.Errorf("uplink/user: %v is a group address, not a MAC for the gateway", c.MAC)
	}
	if !c.Prefix.IsValid() {
		c.Prefix = DefaultPrefix
	}
	if !c.Prefix.Addr().Is4() || c.Prefix.Bits() < 8 || c.Prefix.Bits() > 28 {
		return fmt.Errorf("uplink/user: prefix %v: want an IPv4 network of /8 to /28", c.Prefix)
	}
	c.Prefix = c.Prefix.Masked()
	if a := c.Prefix.Addr(); thisNetwork.Contains(a) || a.IsLoopback() || a.IsMulticast() || reserved.Contains(a) {
		return fmt.Errorf("uplink/user: prefix %v: hosts cannot have such addresses", c.Prefix)
	}
	if c.Rand == nil {
		var seed [32]byte
		crand.Read(seed[:]) // never fails
		c.Rand = rand.NewChaCha8(seed)
	}
	if c.Dial == nil {
		c.Dial = dialHost
	}
	if c.Resolver == nil {
		c.Resolver = net.DefaultResolver
	}
	for _, d := range []struct {
		v   *int
		def int
	}{{&c.MaxTCP, 1024}, {&c.MaxUDP, 512}, {&c.MaxEcho, 256}, {&c.MaxLookups, 64}} {
		if *d.v <= 0 {
			*d.v = d.def
		}
	}
	c.MaxEcho = min(c.MaxEcho, 1<<15) // they are told apart by 16 bits
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{{&c.DialTimeout, 20 * time.Second}, {&c.UDPTimeout, time.Minute}, {&c.DNSTimeout, 10 * time.Second}, {&c.EchoTimeout, 10 * time.Second}} {
		if *d.v <= 0 {
			*d.v = d.def
		}
	}
	return nil
}

func dialHost(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, to.String())
}

// offset returns the address that is n after the first one of p.
func offset(p netip.Prefix, n uint32) netip.Addr {
	a := p.Addr().As4()
	v := uint32(a[0])<<24 | uint32(a[1])<<16 | uint32(a[2])<<8 | uint32(a[3])
	v += n
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

// pool returns the first and the last address for devices: the tenth to the 250th of the network, or in a network of fewer
// than 256 addresses the third to the last but one.
func pool(p netip.Prefix) (first, last netip.Addr) {
	size := uint32(1) << (32 - p.Bits())
	if size < 256 {
		return offset(p, 3), offset(p, size-2)
	}
	return offset(p, 10), offset(p, 250)
}
