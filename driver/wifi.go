package driver

import (
	"fmt"
	"strconv"

	"github.com/understudy-net/understudy/bus/hif"
)

// ConnState is what became of a connection.
type ConnState uint8

// The states, with the values of the document.
const (
	Disconnected ConnState = ConnState(hif.Disconnected)
	Connected    ConnState = ConnState(hif.Connected)
	Roamed       ConnState = ConnState(hif.Roamed) // to another access point of the network
)

func (s ConnState) String() string {
	switch s {
	case Disconnected:
		return "disconnected"
	case Connected:
		return "connected"
	case Roamed:
		return "roamed"
	}
	return "state(" + strconv.Itoa(int(s)) + ")"
}

// ConnEvent tells the callback of Connect what happened, and that of StartAP
// that a station came or went.
type ConnEvent struct {
	State ConnState
	Err   error // a ConnError with Disconnected; nil: the link was lost, or our own Disconnect finished
}

// connState is the state of the association. Guarded by the driver's lock.
type connState struct {
	linked  bool // the device said connected and has not said disconnected
	joining bool // a connect was sent and has no verdict
	leaving bool // our disconnect was sent and is not confirmed
	up      bool // what the application is told: false from the moment of Disconnect; Soft-AP: there is a station
	fn      func(ConnEvent)
}

// Connect joins a network: it tells the device to use DHCP or the static
// configuration, then to connect. nil means that the request was sent; fn, if
// not nil, is told when the association stands or why it failed, and of all
// later changes, until another Connect or Reconnect replaces it. IP may come up
// later: see UseDHCP and LinkUp. While connected, the device leaves its network
// first. Errors: ErrContext, ErrInvalid, ErrConnect (not sendable, or 64
// characters of key that are not hexadecimal), ErrUnsupported for 802.1X,
// ErrMode as a Soft-AP, ErrNoEthBuf in bypass mode before OnFrame. It stands for WDRV_WINC_BSSConnect.
func (c *Client) Connect(bss BSS, auth Auth, fn func(ConnEvent)) error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	if err := bss.Valid(); err != nil {
		return err
	}
	if err := auth.Valid(); err != nil {
		return err
	}
	if auth.Type == AuthWPA && len(auth.Key) == hif.PSKDigits && !isHex(auth.Key) {
		return fmt.Errorf("%w: a key of %d characters must be hexadecimal", ErrConnect, hif.PSKDigits)
	}
	if d.ap.on {
		return ErrMode
	}
	if err := d.receives(); err != nil {
		return err
	}
	m := hif.Connect{SSID: bss.SSID, Channel: bss.Channel.wire(), HasBSSID: bss.BSSID != MAC{}, BSSID: bss.BSSID}
	m.Security = hif.Security(auth.Type)
	m.Passphrase = auth.Key
	if auth.Save {
		m.Store = hif.StoreCredentials | hif.StoreEncrypted
	}
	return d.join(fn, func() error {
		if m.Security != hif.SecurityOpen {
			return d.sendData(hif.OpConnect, m)
		}
		return send(d, hif.OpConnect, m)
	})
}

// Reconnect joins the most recently stored network, see Auth.Save. ErrConnected
// while connected, ErrMode as a Soft-AP, ErrConnect if not sendable. If the device cannot even start,
// fn is told so with ErrInProgress, ErrAuthFail, ErrScanFail, ErrNoCredentials
// or ErrUnknown. It stands for WDRV_WINC_BSSReconnect.
func (c *Client) Reconnect(fn func(ConnEvent)) error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	switch {
	case d.ap.on:
		return ErrMode
	case d.conn.up:
		return ErrConnected
	}
	if err := d.receives(); err != nil {
		return err
	}
	return d.join(fn, func() error { return d.sendNone(hif.OpDefaultConnect) })
}

// join sends the IP configuration and the request that request sends. The
// callback is stored first and put back on failure (spec/driver-api.md 1.5).
// Lock held.
func (d *Driver) join(fn func(ConnEvent), request func() error) error {
	old := d.conn.fn
	d.conn.fn = fn
	var err error
	if !d.cfg.Bypass {
		err = d.sendIPConfig()
	}
	if err == nil {
		err = request()
	}
	if err != nil {
		d.conn.fn = old
		return fmt.Errorf("%w: %w", ErrConnect, err)
	}
	d.conn.up, d.conn.joining = false, true
	d.ip.drop()
	return nil
}

// Disconnect leaves the network, or cancels a running attempt. On nil the link
// is down at once, for LinkUp and Addr too; the callback of Connect hears it
// with a nil Err when the device has finished. ErrRequest if there is nothing
// to leave, ErrDisconnect if not sendable; as a Soft-AP an error that matches
// ErrMode and ErrUnsupported: stations leave by themselves, and StopAP sends
// them away. It stands for WDRV_WINC_BSSDisconnect and
// WDRV_WINC_AssocDisconnect.
func (c *Client) Disconnect() error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	switch {
	case d.ap.on:
		return errNotStation
	case !d.conn.up && !d.conn.joining:
		return fmt.Errorf("not connected: %w", ErrRequest)
	}
	return d.leave()
}

// leave sends the disconnect. Lock held.
func (d *Driver) leave() error {
	if err := d.sendNone(hif.OpDisconnect); err != nil {
		return fmt.Errorf("%w: %w", ErrDisconnect, err)
	}
	d.conn.leaving = d.conn.linked || d.conn.joining
	d.conn.up, d.conn.joining = false, false
	d.ip.drop()
	d.assoc.forget()
	d.sockets.epoch++ // those of today end with the link, later ones do not
	return nil
}

func isHex(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if !('0' <= s[i] && s[i] <= '9' || 'a' <= c && c <= 'f') {
			return false
		}
	}
	return true
}
