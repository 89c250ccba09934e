package device

import (
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/device/provision"
	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/stack/dhcp"
)

// makeNetwork makes the station and the IP host behind it.
func (f *firmware) makeNetwork() error {
	d := f.d
	sta, err := wifi.NewStation(wifi.StationConfig{
		Air: d.cfg.Air, MAC: f.mac, Rand: d.cfg.Rand, Output: f.input, Touch: d.touched,
	})
	if err != nil {
		return err
	}
	ip, err := stack.New(stack.Config{
		MAC: f.mac, Rand: d.cfg.Rand, Output: f.output, Touch: d.touched, Hostname: f.name,
		// A static address is used at once, because hosts send as soon as they are told that the link is up; a conflict
		// is reported and the address kept (driver-api 2.1, 2.12). Leased addresses are checked first, see startIP.
		ACD: stack.ACD{Off: true, Keep: true},
		// Look-ups end by our own clock, see dnsTimeout: not before that.
		ResolveTimeout: max(d.profile.DNSTimeout, dnsTimeout),
	})
	if err != nil {
		sta.Close(time.Time{})
		return err
	}
	f.sta, f.stack = sta, ip
	return nil
}

// output takes a frame of the IP host to the air. In Ethernet mode the link is not its own.
func (f *firmware) output(now time.Time, frame []byte) {
	if !f.bypass.on {
		f.transmit(now, frame)
	}
}

func (f *firmware) transmit(now time.Time, frame []byte) {
	if f.ap != nil {
		f.ap.radio.Send(now, frame)
		return
	}
	f.sta.Send(now, frame)
}

// input takes a frame from the station, or from the access point.
func (f *firmware) input(now time.Time, frame []byte) {
	switch {
	case f.bypass.on:
		f.bypass.input(f.d, f.mac, frame)
	case f.stack != nil:
		f.stack.Input(now, frame)
	}
}

// closeNetwork takes all of it away.
func (f *firmware) closeNetwork(now time.Time) {
	f.closeAP(now)
	f.sta.Close(now)
	f.stack.ClearAddr(now)
}

// ipConfig is how the station comes to its address. Both survive a reconnect (hif-messages 6.2).
type ipConfig struct {
	dhcp   bool
	static hif.IPConfig
	addr   netip.Addr // last address that was in use on this link, to see changes
	giveUp time.Time  // tell a host before 19.6.1 that there is no lease
	failed bool       // the host was told that there is no lease
}

// staticIP is STATIC_IP_CONF. It takes effect at the next connect. Zeros are legal: hosts give what they know (2.7).
func (f *firmware) staticIP(now time.Time, m hif.IPConfig) {
	ip := netip.AddrFrom4(m.IP)
	if ip.IsMulticast() || ip.IsLoopback() || ip == broadcast || !contiguous(m.Mask) {
		f.d.counters.Malformed++
		return
	}
	f.ip.static, f.ip.dhcp = m, ip.IsUnspecified()
}

// startIP gets an address for the network that was joined.
func (f *firmware) startIP(now time.Time) {
	p := &f.d.profile
	f.ip.failed = false
	if f.ip.dhcp {
		f.stack.UseDHCP(now, stack.DHCPConfig{
			Hostname: f.name,
			Tag:      addressTag{},
			Client:   dhcpTimes,
			ACD:      &stack.ACD{Probes: p.ACDProbes, ProbeWait: -1, AnnounceWait: p.ACDWait},
		})
		if f.host < hif.V19_6_1 {
			f.ip.giveUp = now.Add(p.DHCPTimeout)
		}
		return
	}
	c := &f.ip.static
	bits := maskBits(c.Mask)
	if bits == 0 {
		bits = 24 // a host that gave no mask
	}
	var dns []netip.Addr
	for _, a := range [][4]byte{c.DNS, c.AltDNS} {
		if a != ([4]byte{}) {
			dns = append(dns, netip.AddrFrom4(a))
		}
	}
	var gateway netip.Addr
	if c.Gateway != ([4]byte{}) {
		gateway = netip.AddrFrom4(c.Gateway)
	}
	prefix := netip.PrefixFrom(netip.AddrFrom4(c.IP), bits)
	if err := f.stack.SetAddrTag(now, addressTag{}, prefix, gateway, dns...); err != nil {
		f.d.counters.Malformed++
	}
}

// dhcpTimes: DISCOVER is repeated after 1, 2, 4 and 8 s, then the host hears that nobody answers, and it goes on once a
// minute (driver-api 2.12).
var dhcpTimes = dhcp.ClientConfig{Retry: time.Second, MaxRetry: 8 * time.Second, Attempts: 4, LateRetry: time.Minute}

// addressTag marks events about our address.
type addressTag struct{}

// stackEvent handles what the IP host reports.
func (f *firmware) stackEvent(now time.Time, e stack.Event) {
	switch t := e.Tag.(type) {
	case *socket:
		f.socketEvent(now, t, e)
	case *lingering:
		t.event(now, e)
	case *tlsChild:
		t.event(now, e)
	case *lookup:
		f.resolved(now, t, e)
	case *echo:
		f.ponged(now, t, e)
	case *updates:
		t.event(now, e)
	case addressTag:
		f.addressEvent(now, e)
	case timeTag:
		f.timeEvent(now, e)
	case pageTag:
		f.pageEvent(now)
	case namesTag:
		f.namesEvent(now)
	case *provision.Conn:
		t.Ready(now)
	}
}

func (l *lingering) event(now time.Time, e stack.Event) {
	if e.Flags.Has(stack.Closed) && e.Err != nil {
		l.end(now, true)
		return
	}
	l.flush(now)
}

// addressEvent is about our address. Spec driver-api 2.12.
func (f *firmware) addressEvent(now time.Time, e stack.Event) {
	switch {
	case f.ap != nil:
		f.apAddressEvent(e)
	case f.link.state != linkJoined:
	case e.Flags.Has(stack.Configured):
		f.configured(now, e)
	case e.Flags.Has(stack.AddressLost):
		f.addressLost(now)
	case e.Flags.Has(stack.Conflict):
		event(f.d, hif.OpIPConflict, hif.IPConflict{IP: e.Address.Prefix.Addr().As4()})
	case e.Flags.Has(stack.DHCPFailed):
		f.dhcpFailed()
	}
}

// configured is a new address, or a lease that was renewed. Sockets of another address die with it: the host hears of
// the address first, and then of them (driver-api 3.8).
func (f *firmware) configured(now time.Time, e stack.Event) {
	addr := e.Address.Prefix.Addr()
	renewed := addr == f.ip.addr
	if !renewed && f.ip.addr.IsValid() {
		defer f.abortSockets(now)
	}
	f.ip.addr, f.ip.giveUp, f.ip.failed = addr, time.Time{}, false
	if e.Address.Lease == nil {
		return // no DHCP_CONF for a static address (2.6)
	}
	if renewed && f.host < hif.V19_5_4 {
		return // it disturbs a scan of those hosts (2.6); newer ones want to hear of every renewal (DHC-10)
	}
	f.reportLease(e)
}

// reportLease is DHCP_CONF, in the layout of the host's release [HM-02].
func (f *firmware) reportLease(e stack.Event) {
	l := e.Address.Lease
	m := hif.IPConfig{Size: hif.IPConfigSize(f.host), IP: e.Address.Prefix.Addr().As4(), Mask: mask(e.Address.Prefix.Bits())}
	if l.Router.Is4() {
		m.Gateway = l.Router.As4()
	}
	if len(l.DNS) > 0 {
		m.DNS = l.DNS[0].As4()
	}
	if len(l.DNS) > 1 {
		m.AltDNS = l.DNS[1].As4()
	}
	m.Lease = leaseForEver
	if !l.Expiry.IsZero() {
		m.Lease = uint32(l.Expiry.Sub(l.Obtained) / time.Second) // the lease as the server gave it
	}
	event(f.d, hif.OpDHCPConf, m)
}

// leaseForEver is the time of an infinite lease (RFC 2131, 3.3).
const leaseForEver = 0xffffffff

// addressLost is a lease that ran out or was taken back. The protocol has no message for it; hosts of 19.6.1 and later,
// which take every DHCP_CONF, get one with the address 0, before they hear of their sockets (driver-api 3.8).
func (f *firmware) addressLost(now time.Time) {
	f.ip.addr = netip.Addr{}
	if f.host >= hif.V19_6_1 {
		event(f.d, hif.OpDHCPConf, hif.IPConfig{Size: hif.IPConfigSize(f.host)})
	}
	f.abortSockets(now)
}

// dhcpFailed tells hosts that have a message for it, once until there is an address; the client goes on trying.
func (f *firmware) dhcpFailed() {
	if f.host < hif.V19_6_1 || f.ip.failed {
		return
	}
	f.ip.failed = true
	event(f.d, hif.OpDHCPFailure, hif.None{})
}

// expireDHCP is for hosts before 19.6.1, which know no such message: the join has failed (hif-messages 6.1).
func (f *firmware) expireDHCP(now time.Time) {
	if due(f.ip.giveUp, now) {
		f.ip.giveUp = time.Time{}
		f.linkDown(now, hif.ConnJoinFail)
		f.sta.Leave(now)
	}
}

// contiguous reports whether m is a mask: ones, then zeros.
func contiguous(m [4]byte) bool { return mask(maskBits(m)) == m }

func maskBits(m [4]byte) int {
	n := 0
	for n < 32 && m[n/8]&(0x80>>(n%8)) != 0 {
		n++
	}
	return n
}

func mask(bits int) [4]byte {
	var m [4]byte
	for i := range bits {
		m[i/8] |= 0x80 >> (i % 8)
	}
	return m
}
