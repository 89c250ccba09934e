package driver

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/understudy-net/understudy/bus/hif"
)

// Mode is what the controller is.
type Mode uint8

// The modes. A controller that does nothing is a station.
const (
	ModeUnknown Mode = iota // the client is closed
	ModeStation
	ModeAP           // between StartAP and StopAP
	ModeProvisioning // between StartProvisioning and the user's answer, or StopAP
)

func (m Mode) String() string {
	switch m {
	case ModeUnknown:
		return "unknown"
	case ModeStation:
		return "station"
	case ModeAP:
		return "Soft-AP"
	case ModeProvisioning:
		return "provisioning"
	}
	return "mode(" + strconv.Itoa(int(m)) + ")"
}

// Mode tells station from Soft-AP. It stands for WDRV_WINC_OperatingModeGet.
func (c *Client) Mode() Mode {
	d, ok := c.peek()
	if !ok {
		return ModeUnknown
	}
	defer d.unlock()
	switch {
	case d.ap.on && d.ap.page.on:
		return ModeProvisioning
	case d.ap.on:
		return ModeAP
	}
	return ModeStation
}

// apState is the Soft-AP. Guarded by the driver's lock. Its own address is in
// ipState, its callback in connState, where up means that there is a station.
type apState struct {
	// What ConfigDHCPServer set, for the next StartAP.
	server netip.Prefix // zero: defaultServer
	onHost func(Addr)

	ies    IEs
	setIEs bool // the device may have some

	on       bool
	page     provisionState
	stations int        // that have joined
	hear     func(Addr) // is told of leases of the running one

	// What the device may still say of one that was stopped.
	farewells int  // stations that it will say have left
	late      bool // a message lay ready at that moment
}

// defaultServer is the address of a Soft-AP unless ConfigDHCPServer says
// otherwise (spec/driver-api.md 1.4).
var defaultServer = netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 168, 10, 1}), 24)

// firstLease is the host number of what the DHCP server gives first
// (spec/driver-api.md 2.1).
const firstLease = 100

// ConfigDHCPServer sets the address of the Soft-AP, which is also that of its
// DHCP server, with its mask, for the next StartAP; a running Soft-AP stays as it
// is. The first station that asks gets host number 100 of the server's last
// octet. The zero Prefix means 192.168.10.1/24, as after Open; a mask of 0 bits
// means /24. Router and DNS server that stations are told are those of
// SetGateway and SetDNS, or else the Soft-AP itself.
//
// fn, if not nil, is told the address that a station was given, at each lease
// and each renewal. ErrInvalid for addresses that cannot work: no host's
// address, 0.x.x.x, one that ends in .100, a mask that leaves .100 out or has
// fewer than 8 or more than 30 bits. It stands for
// WDRV_WINC_IPDHCPServerConfigure.
func (c *Client) ConfigDHCPServer(server netip.Prefix, fn func(Addr)) error {
	d, err := c.enterSockets()
	if err != nil {
		return err
	}
	defer d.unlock()
	if server.IsValid() && server.Bits() == 0 {
		server = netip.PrefixFrom(server.Addr(), 24)
	}
	if server != (netip.Prefix{}) {
		if err := serverPrefix(server); err != nil {
			return err
		}
	}
	d.ap.server, d.ap.onHost = server, fn
	return nil
}

// serverPrefix says why p cannot be the address of a DHCP server.
func serverPrefix(p netip.Prefix) error {
	if err := hostPrefix(p); err != nil {
		return err
	}
	b := p.Addr().As4()
	first := netip.AddrFrom4([4]byte{b[0], b[1], b[2], firstLease})
	switch {
	case b[0] == 0 || b[0] >= 240 || p.Addr() == p.Masked().Addr():
		return fmt.Errorf("%w: %v cannot be the address of a host", ErrInvalid, p)
	case p.Bits() < 8 || p.Bits() > 30:
		return fmt.Errorf("%w: the network %v of a Soft-AP needs a mask of 8 to 30 bits", ErrInvalid, p)
	case p.Addr() == first:
		return fmt.Errorf("%w: %v is the address that the first station gets", ErrInvalid, first)
	case !p.Contains(first) || first == lastAddr(p) || first == p.Masked().Addr():
		return fmt.Errorf("%w: the first station gets %v, which %v has no room for", ErrInvalid, first, p.Masked())
	}
	return nil
}

// StartAP makes the controller an access point named bss.SSID on bss.Channel, 1
// to 14, with auth OpenAuth or WPA; bss.Hidden keeps the name out of its
// beacons. nil means that it is on the air: LinkUp is true and Addr is its own
// address, whoever is there. The DHCP server runs too, see ConfigDHCPServer.
//
// fn, if not nil, is told Connected when a station has joined and Disconnected
// when it has left, until another StartAP, Connect or Reconnect replaces it. A
// real controller admits one station at a time.
//
// Errors: ErrContext; ErrInvalid for another kind of auth; ErrRequest for what
// no access point can have (a name that is empty, any channel, a key shorter
// than 8 or longer than 64) or if not sendable; ErrMode while connected,
// connecting, or a Soft-AP already; ErrNoEthBuf in bypass mode before OnFrame,
// where there is neither an address nor a DHCP server. For web provisioning see StartProvisioning.
// It stands for WDRV_WINC_APStart.
func (c *Client) StartAP(bss BSS, auth Auth, fn func(ConnEvent)) error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	err = d.startAP(bss, auth, nil, fn)
	d.unlock()
	if err == nil { // for those who wait for the link
		d.changed()
	}
	return err
}

// startAP is StartAP, and StartProvisioning if there is a page. Lock held.
func (d *Driver) startAP(bss BSS, auth Auth, page *Provisioning, fn func(ConnEvent)) error {
	m, err := apConfig(bss, auth)
	if err != nil {
		return err
	}
	if d.ap.on || d.conn.up || d.conn.joining { // the device would refuse in silence (1.3)
		return ErrMode
	}
	if err := d.receives(); err != nil {
		return err
	}
	server, s := d.ap.server, d.ip.static
	if !server.IsValid() {
		server = defaultServer
	}
	m.IP, m.Mask, m.Router, m.DNS = octets(server.Addr()), maskOf(server), octets(s.Gateway), octets(s.DNS)
	old := d.conn.fn
	d.conn.fn = fn
	if err := d.sendAP(m, page); err != nil {
		d.conn.fn = old
		return fmt.Errorf("start Soft-AP: %w", err)
	}
	d.ap.page = provisionState{}
	if page != nil {
		d.ap.page = provisionState{on: true, done: page.Done}
		s.Gateway, s.DNS = netip.Addr{}, netip.Addr{}
	}
	d.ap.on, d.ap.stations, d.ap.hear = true, 0, d.ap.onHost
	d.ap.farewells, d.ap.late = 0, false
	d.assoc.forget()
	d.ip.up = true
	if !d.cfg.Bypass {
		d.ip.current = IPConfig{Prefix: server, Gateway: s.Gateway, DNS: s.DNS}
	}
	return nil
}

// apConfig is the request for a Soft-AP, without its addresses.
func apConfig(bss BSS, auth Auth) (m hif.APConfig, err error) {
	if err := bss.Valid(); err != nil {
		return m, err
	}
	switch auth.Type {
	case AuthOpen:
	case AuthWPA:
		if n := len(auth.Key); n < hif.MinPassphrase || n > hif.PSKDigits || n == hif.PSKDigits && !isHex(auth.Key) || hasNUL(auth.Key) {
			return m, fmt.Errorf("%w: a Soft-AP needs a key of %d to %d characters, or %d hexadecimal digits", ErrRequest, hif.MinPassphrase, hif.PSKDigits-1, hif.PSKDigits)
		}
		m.Key = auth.Key
	default:
		return m, fmt.Errorf("%w: a Soft-AP is open or uses WPA, not %v", ErrInvalid, auth.Type)
	}
	switch {
	case bss.SSID == "" || hasNUL(bss.SSID):
		return m, fmt.Errorf("%w: a Soft-AP needs a name without NUL", ErrRequest)
	case bss.Channel < 1 || bss.Channel > 14:
		return m, fmt.Errorf("%w: a Soft-AP needs a channel from 1 to 14", ErrRequest)
	}
	m.SSID, m.Channel, m.Hidden, m.Security = bss.SSID, uint8(bss.Channel), bss.Hidden, hif.Security(auth.Type)
	return m, nil
}

// sendAP sends the request and then the elements, which devices take only while
// they are an access point. Lock held.
func (d *Driver) sendAP(m hif.APConfig, page *Provisioning) error {
	start, stop := func() error { return d.sendData(hif.OpEnableAP, m) }, hif.OpDisableAP
	if page != nil {
		start, stop = func() error { return d.sendProvision(m, page) }, hif.OpStopProvision
	}
	if err := start(); err != nil {
		return err
	}
	if !d.ap.setIEs {
		return nil
	}
	if err := d.sendIEs(d.ap.ies); err != nil {
		_ = d.sendNone(stop) // the first error says it
		return err
	}
	return nil
}

func (d *Driver) sendIEs(e IEs) error {
	return d.sendData(hif.OpCustomIE, hif.CustomIE{Elements: e.b[:e.n]})
}

// StopAP ends the Soft-AP, with its page if it has one: stations are sent away, LinkUp is false and Addr none
// at once. The callback of StartAP hears Disconnected for a station that was
// there; then pending requests of sockets end as after Disconnect. ErrMode
// unless a Soft-AP runs; ErrRequest if not sendable. It stands for
// WDRV_WINC_APStop.
func (c *Client) StopAP() error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	if err = ErrMode; d.ap.on {
		err = d.stopAP()
	}
	d.unlock()
	if err == nil { // there are callbacks and hooks to run
		d.changed()
	}
	return err
}

// stopAP is StopAP. The device says Disconnected for each station too; we do not
// wait for that, because not all do (spec/hif-messages.md 2.10). Lock held.
func (d *Driver) stopAP() error {
	late, op := d.mailFull(), hif.OpDisableAP
	if d.ap.page.on {
		op = hif.OpStopProvision
	}
	if err := d.sendNone(op); err != nil {
		return fmt.Errorf("stop Soft-AP: %w", err)
	}
	d.apGone(nil)
	d.ap.late = late
	return nil
}

// apGone is the end of the Soft-AP and of all that hung on it. Lock held.
func (d *Driver) apGone(why error) {
	n := d.ap.stations
	d.ap.on, d.ap.stations, d.ap.farewells, d.ap.page = false, 0, n, provisionState{}
	d.conn.up = false
	d.ip.drop()
	d.assoc.forget()
	for range n {
		d.tellConn(ConnEvent{State: Disconnected, Err: why})
	}
	d.abortSockets(false)
	d.abortRequests()
	d.sockets.epoch++ // later sockets have nothing to do with it
}

// SetIEs has the beacons and probe responses of the Soft-AP carry these elements
// in place of earlier ones; an empty store removes them. It may be called before
// StartAP: then they are sent with it, and again at each one. ErrRequest for more
// than 250 bytes or if not sendable. It stands for WDRV_WINC_APSetCustIE.
func (c *Client) SetIEs(e IEs) error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	if e.n > maxSentIEs {
		return fmt.Errorf("%w: %d bytes of elements, at most %d can be sent", ErrRequest, e.n, maxSentIEs)
	}
	if d.ap.on {
		if err := d.sendIEs(e); err != nil {
			return err
		}
	}
	d.ap.ies, d.ap.setIEs = e, true
	return nil
}
