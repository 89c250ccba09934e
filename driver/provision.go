package driver

import (
	"fmt"

	"github.com/understudy-net/understudy/bus/hif"
)

// Provisioning is the page on which a controller without keys asks its user for a
// network: see StartProvisioning. The zero value lacks only Domain. It stands for
// WDRV_WINC_HTTPProvCtxSetDefaults, HTTPProvCtxSetDomainName,
// HTTPProvCtxSetURLWildcard (the reverse of OneName) and
// HTTPProvCtxSetConnectCallback.
type Provisioning struct {
	// Domain is the name under which the page is found, at most 63 bytes: what
	// users type, "setup.example" for http://setup.example/.
	Domain string
	// OneName: no other name leads to the page. Else every name does, so that
	// telephones open it by themselves.
	OneName bool
	// Done, if not nil, is told once what the user has submitted; nothing when
	// StopAP comes first.
	Done func(NetworkEvent)
}

// NetworkEvent is a network and how to get into it, as a user has filled it in
// (StartProvisioning) or an access point has handed it over (StartWPS): what
// Connect wants.
type NetworkEvent struct {
	BSS  BSS  // from WPS with its channel
	Auth Auth // OpenAuth or WPA; set Save to have the device keep it
	Err  error
}

// ErrProvisioning: the device could not start the page, or says that it failed.
const ErrProvisioning plainError = "provisioning failed; check name and address of the Soft-AP and the name of the page"

// StartProvisioning makes the controller a Soft-AP as StartAP does, with a web
// page on which the user chooses a network, types its passphrase and gives the
// device a name. When that is done the Soft-AP ends by itself, which is told fn as
// by StopAP, then p.Done has the network, and may call Connect. StopAP ends it
// before.
//
// The page is at http://p.Domain/ and at the address of the Soft-AP, which is that
// of ConfigDHCPServer. Stations are told the Soft-AP as router and DNS server,
// whatever SetGateway and SetDNS say: there is no other network to reach.
//
// Errors: those of StartAP; ErrRequest for an empty Domain, ErrInvalid for one of
// more than 63 bytes or with NUL. A device that cannot start the page says so
// later, to p.Done: ErrProvisioning. The page takes none of the sockets, but what
// comes for TCP port 80 and UDP port 53 is its own. It stands for WDRV_WINC_APStart with its
// provisioning argument.
func (c *Client) StartProvisioning(bss BSS, auth Auth, p Provisioning, fn func(ConnEvent)) error {
	d, err := c.enterSockets()
	if err != nil {
		return err
	}
	err = d.startProvisioning(bss, auth, p, fn)
	d.unlock()
	if err == nil { // for those who wait for the link
		d.changed()
	}
	return err
}

// startProvisioning is StartProvisioning. Lock held.
func (d *Driver) startProvisioning(bss BSS, auth Auth, p Provisioning, fn func(ConnEvent)) error {
	switch {
	case p.Domain == "":
		return fmt.Errorf("%w: the page needs a name", ErrRequest)
	case len(p.Domain) > maxPageName || hasNUL(p.Domain):
		return fmt.Errorf("%w: the name of the page has %d bytes, want at most %d and no NUL", ErrInvalid, len(p.Domain), maxPageName)
	}
	return d.startAP(bss, auth, &p, fn)
}

// maxPageName is what fits into the request (spec/hif-messages.md 2.16).
const maxPageName = 63

// provisionState is the page of a Soft-AP. Guarded by the driver's lock.
type provisionState struct {
	on   bool // the Soft-AP that runs has one
	done func(NetworkEvent)
}

// sendProvision sends the request for a Soft-AP with a page. Lock held.
func (d *Driver) sendProvision(m hif.APConfig, p *Provisioning) error {
	m.Router, m.DNS = [4]byte{}, [4]byte{} // the device itself
	return d.sendData(hif.OpStartProvision, hif.Provision{AP: m, Domain: p.Domain, Redirect: !p.OneName})
}

// handleProvision is PROVISION_INFO: with it the Soft-AP is over. Lock held.
func (d *Driver) handleProvision(m hif.ProvisionInfo) {
	done := d.ap.page.done
	if !d.ap.on || !d.ap.page.on {
		d.stats.Stale++
		return
	}
	e := networkEvent(m.SSID, AnyChannel, m.Security, m.Passphrase)
	if m.Status != 0 {
		e = NetworkEvent{Err: ErrProvisioning}
	} else if e.Err != nil {
		e = NetworkEvent{Err: fmt.Errorf("%w: %w", ErrProvisioning, e.Err)}
	}
	// First why, then that the Soft-AP is over: who waits for the one must not take the other for an answer.
	d.hook(Notice{Kind: NoticeProvision, Network: e})
	d.apGone(nil)
	d.hook(Notice{Kind: NoticeState})
	if done != nil {
		d.postClient(func() { done(e) })
	}
}

// networkEvent is what a device says of a network. What no Connect would take is
// an error.
func networkEvent(ssid string, ch Channel, s hif.Security, key string) NetworkEvent {
	e := NetworkEvent{BSS: BSS{SSID: ssid, Channel: ch}, Auth: Auth{Type: AuthType(s)}}
	if s != hif.SecurityOpen {
		e.Auth.Key = key
	}
	if e.Err = e.BSS.Valid(); e.Err == nil {
		e.Err = e.Auth.Valid()
	}
	if e.Err == nil && ssid == "" {
		e.Err = fmt.Errorf("%w: a network without a name", ErrContext)
	}
	return e
}
