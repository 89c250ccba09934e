package driver

import (
	"fmt"

	"github.com/understudy-net/understudy/bus/hif"
)

// Roaming says what the device does when it loses its access point.
type Roaming uint8

// The choices.
const (
	RoamOff   Roaming = iota // the default: the link is lost
	RoamOn                   // it looks for another access point of the network, and keeps its address
	RoamRenew                // the same, and asks for an address again
)

// SetRoaming says whether the device, when it loses its access point, looks for
// another one of the network. If it finds one the callback of Connect hears
// Roamed, LinkUp stays true and sockets live on as long as the address is the
// same; if not, Disconnected. The setting stays until Close or a restart. Unknown
// values act as RoamOff. ErrConnect if not sendable. It stands for
// WDRV_WINC_BSSRoamingConfigure.
func (c *Client) SetRoaming(r Roaming) error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	return d.setRoaming(r)
}

func (d *Driver) setRoaming(r Roaming) error {
	m := hif.Roaming{Enable: r == RoamOn || r == RoamRenew, DHCP: r == RoamRenew}
	if err := send(d, hif.OpRoaming, m); err != nil {
		return fmt.Errorf("%w: %w", ErrConnect, err)
	}
	d.roams = m.Enable
	return nil
}
