package driver

import (
	"fmt"

	"github.com/understudy-net/understudy/bus/hif"
)

// DriverVersion is the release of the vendor's driver that this one behaves
// like. It stands for WDRV_WINC_InfoDriverVersionGet.
func (c *Client) DriverVersion() Version { return driverVersion }

// Firmware is the version of the running firmware, read at start-up. It stands
// for WDRV_WINC_InfoDeviceFirmwareVersionGet of the active image.
func (c *Client) Firmware() (Version, error) {
	d, err := c.enter()
	if err != nil {
		return 0, err
	}
	defer d.unlock()
	return d.versions.active.Firmware, nil
}

// StandbyFirmware is the version of the image in the inactive slot, read from the
// chip now: after an update that of the new one. ErrRequest if there is no valid
// one, ErrBus if it cannot be read. It stands for
// WDRV_WINC_InfoDeviceFirmwareVersionGet of the inactive image.
func (c *Client) StandbyFirmware() (Version, error) {
	d, err := c.enter()
	if err != nil {
		return 0, err
	}
	defer d.unlock()
	r, err := d.readStandby()
	if err != nil {
		return 0, fmt.Errorf("standby firmware: %w: %w", ErrBus, d.busFault(err))
	}
	if r.Firmware == 0 {
		return 0, fmt.Errorf("%w: there is no standby image", ErrRequest)
	}
	return r.Firmware, nil
}

// readStandby reads the version block of the inactive image, empty if there is
// none. Lock held.
func (d *Driver) readStandby() (r hif.Revision, err error) {
	if err := d.wakeChip(); err != nil {
		return r, err
	}
	p, err := d.readPointers()
	if err == nil && p.OTARev != 0 {
		r, err = d.readRevision(p.OTARev)
	}
	if err == nil {
		d.sleepChip()
	}
	return r, err
}

// ChipID is the id of the chip, 0 on a closed client. It stands for
// WDRV_WINC_InfoDeviceIDGet.
func (c *Client) ChipID() uint32 {
	d, ok := c.peek()
	if !ok {
		return 0
	}
	defer d.unlock()
	return d.chipID
}

// MAC is the hardware address in use. It stands for WDRV_WINC_EthernetAddressGet
// and WDRV_WINC_InfoDeviceMACAddressGet.
func (c *Client) MAC() (MAC, error) {
	d, err := c.enter()
	if err != nil {
		return MAC{}, err
	}
	defer d.unlock()
	return d.mac, nil
}

// FactoryMAC is the hardware address burnt into the chip, ErrRequest if there
// is none. It stands for WDRV_WINC_InfoDeviceMACAddressGet of the permanent
// address.
func (c *Client) FactoryMAC() (MAC, error) {
	d, err := c.enter()
	if err != nil {
		return MAC{}, err
	}
	defer d.unlock()
	if !d.versions.hasMAC {
		return MAC{}, fmt.Errorf("%w: no address is burnt in", ErrRequest)
	}
	return d.versions.factory, nil
}

// maxDeviceName leaves room for the NUL in its field.
const maxDeviceName = hif.DeviceNameLen - 1

// SetName sets the name of the device, at most 47 characters, which DHCP
// servers are told; default WINC- and the end of the MAC. It stands for
// WDRV_WINC_InfoDeviceNameSet.
func (c *Client) SetName(name string) error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	if name == "" || len(name) > maxDeviceName || hasNUL(name) {
		return fmt.Errorf("%w: a device name has 1 to %d characters", ErrInvalid, maxDeviceName)
	}
	return send(d, hif.OpSetDeviceName, hif.DeviceName{Name: name})
}
