package tinygo

import (
	"errors"
	"net"
	"time"

	"tinygo.org/x/drivers/netlink"

	"github.com/understudy-net/understudy/driver"
)

var _ netlink.Netlinker = (*Device)(nil)

// link is what is known of the network. Guarded by Device.mu.
type link struct {
	up     bool
	failed error // of the attempt to join that is under way
	notify func(netlink.Event)
}

// NetConnect starts the module, if need be, joins a network as a station and waits for an address. It tries
// params.Retries times (0: until it works), each for params.ConnectTimeout (0: 10 s). A wrong passphrase is
// netlink.ErrAuthFailure at once. Country is the module's own affair.
func (d *Device) NetConnect(params *netlink.ConnectParams) error {
	bss, auth, err := wanted(params)
	if err != nil {
		return err
	}
	d.life.Lock()
	defer d.life.Unlock()
	d.mu.Lock()
	up := d.link.up
	d.mu.Unlock()
	if up {
		return netlink.ErrConnected
	}
	d.stopWatchdog()
	p := *params
	if p.ConnectTimeout <= 0 {
		p.ConnectTimeout = netlink.DefaultConnectTimeout
	}
	for try := 1; ; try++ {
		err := d.join(p, bss, auth)
		if err == nil {
			break
		}
		if errors.Is(err, netlink.ErrAuthFailure) || p.Retries > 0 && try >= p.Retries {
			return err
		}
		d.cfg.Driver.Sleep(time.Second)
	}
	if p.WatchdogTimeout > 0 {
		d.ticker = make(chan struct{})
		go d.watchdog(d.ticker, p, bss, auth)
	}
	return nil
}

// wanted reads parameters.
func wanted(p *netlink.ConnectParams) (bss driver.BSS, auth driver.Auth, err error) {
	switch {
	case p.ConnectMode != netlink.ConnectModeSTA:
		return bss, auth, netlink.ErrConnectModeNoGood
	case p.Ssid == "":
		return bss, auth, netlink.ErrMissingSSID
	}
	bss.SSID = p.Ssid
	switch p.AuthType {
	case netlink.AuthTypeOpen:
		return bss, driver.OpenAuth, nil
	case netlink.AuthTypeWPA2, netlink.AuthTypeWPA, netlink.AuthTypeWPA2Mixed:
		if len(p.Passphrase) < 8 {
			return bss, auth, netlink.ErrShortPassphrase
		}
		return bss, driver.WPA(p.Passphrase), nil
	}
	return bss, auth, netlink.ErrAuthTypeNoGood
}

// start brings module and client up.
func (d *Device) start() (*driver.Client, error) {
	if d.d.Status() == driver.StateError || d.d.Status() == driver.StateUninitialised {
		d.forget()
		if err := d.d.Restart(); err != nil {
			return nil, err
		}
	}
	if err := d.d.Tasks(); err != nil {
		return nil, err
	}
	c, err := d.d.Open()
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.c = c
	d.mu.Unlock()
	return c, nil
}

// join makes one attempt.
func (d *Device) join(p netlink.ConnectParams, bss driver.BSS, auth driver.Auth) error {
	c, err := d.start()
	if err != nil {
		return errors.Join(netlink.ErrConnectFailed, err)
	}
	if p.Hostname != "" {
		if err := c.SetName(p.Hostname); err != nil {
			return errors.Join(netlink.ErrConnectFailed, err)
		}
	}
	d.mu.Lock()
	d.link.failed = nil
	d.mu.Unlock()
	err = c.OnIP(d.onIP)
	if err == nil {
		err = c.Connect(bss, auth, d.onLink)
	}
	if err != nil {
		return errors.Join(netlink.ErrConnectFailed, err)
	}
	var failed error
	err = d.await(d.in(p.ConnectTimeout), func() bool {
		failed = d.link.failed
		return d.link.up || failed != nil
	})
	switch {
	case errors.Is(failed, driver.ErrAuthFail):
		return netlink.ErrAuthFailure
	case failed != nil:
		return errors.Join(netlink.ErrConnectFailed, failed)
	case err != nil:
		_ = c.Disconnect() // the attempt is over, whatever it says
		return errors.Join(netlink.ErrConnectTimeout, err)
	}
	return nil
}

// onLink hears of the association.
func (d *Device) onLink(e driver.ConnEvent) {
	if e.State != driver.Disconnected {
		return
	}
	d.mu.Lock()
	if d.link.failed = e.Err; e.Err == nil {
		d.link.failed = netlink.ErrConnectFailed
	}
	d.mu.Unlock()
	d.setUp(false)
}

// onIP hears of addresses.
func (d *Device) onIP(e driver.IPEvent) {
	switch e.Kind {
	case driver.IPLeased:
		d.setUp(true)
	case driver.IPLost:
		d.setUp(false)
	}
}

// setUp notes whether the network can be used, and tells whoever wants to know.
func (d *Device) setUp(up bool) {
	d.mu.Lock()
	changed, fn := d.link.up != up, d.link.notify
	d.link.up = up
	d.mu.Unlock()
	switch {
	case !changed || fn == nil:
	case up:
		fn(netlink.EventNetUp)
	default:
		fn(netlink.EventNetDown)
	}
}

// NetDisconnect leaves the network. Sockets stay until they are closed, but do not work any more.
func (d *Device) NetDisconnect() {
	d.life.Lock()
	defer d.life.Unlock()
	d.stopWatchdog()
	if c, err := d.client(); err == nil {
		_ = c.Disconnect() // of no network is fine
	}
	d.setUp(false)
}

// NetNotify sets the function that hears of the network coming and going, nil for none. It is called on the goroutine that
// pumps: it may not wait for the network.
func (d *Device) NetNotify(cb func(netlink.Event)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.link.notify = cb
}

// GetHardwareAddr is the MAC of the module. It starts the module if need be.
func (d *Device) GetHardwareAddr() (net.HardwareAddr, error) {
	d.life.Lock()
	defer d.life.Unlock()
	c, err := d.start()
	if err != nil {
		return nil, err
	}
	mac, err := c.MAC()
	if err != nil {
		return nil, err
	}
	return append(net.HardwareAddr(nil), mac[:]...), nil
}

// stopWatchdog ends the watchdog. d.life held.
func (d *Device) stopWatchdog() {
	if d.ticker != nil {
		close(d.ticker)
		d.ticker = nil
	}
}

// watchdog pumps, and joins again when the network or the module is lost.
func (d *Device) watchdog(stop chan struct{}, p netlink.ConnectParams, bss driver.BSS, auth driver.Auth) {
	for {
		d.cfg.Driver.Sleep(p.WatchdogTimeout)
		d.life.Lock()
		select {
		case <-stop:
			d.life.Unlock()
			return
		default:
		}
		err := d.d.Tasks()
		d.mu.Lock()
		up := d.link.up
		d.mu.Unlock()
		if err != nil || !up {
			d.setUp(false)
			d.trace("watchdog: the network is lost (%v), joining it again", err)
			if err := d.join(p, bss, auth); err != nil {
				d.trace("watchdog: %v", err)
			}
		}
		d.life.Unlock()
	}
}

func (d *Device) trace(format string, a ...any) {
	if d.cfg.Trace != nil {
		d.cfg.Trace(format, a...)
	}
}
