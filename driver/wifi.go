package driver

import (
	"fmt"
	"strconv"

	"github.com/understudy-net/understudy/bus/hif"
)

// Channel selects where to look for a network: 1 to 14, or one of the two
// constants, which mean the same to a station.
type Channel uint8

// All channels.
const (
	AnyChannel  Channel = 0
	AllChannels Channel = 255
)

func (c Channel) valid() bool { return c <= 14 || c == AllChannels }

// wire is the channel in messages.
func (c Channel) wire() uint8 {
	if c == AnyChannel {
		return hif.AllChannels
	}
	return uint8(c)
}

// BSS names a network. It stands for WDRV_WINC_BSS_CONTEXT, made by
// WDRV_WINC_BSSCtxSetDefaults, BSSCtxSetSSID, BSSCtxSetBSSID,
// BSSCtxSetChannel and BSSCtxSetSSIDVisibility.
type BSS struct {
	SSID    string  // at most 32 bytes; empty only together with a BSSID
	Channel Channel // default: any
	BSSID   MAC     // zero: any access point of the network
	Hidden  bool    // the network does not tell its name
}

// Valid returns ErrContext for a BSS that no request can carry. An empty SSID
// is valid. It stands for WDRV_WINC_BSSCtxIsValid.
func (b BSS) Valid() error {
	switch {
	case len(b.SSID) > hif.MaxSSID:
		return fmt.Errorf("%w: the SSID has %d bytes, at most %d are possible", ErrContext, len(b.SSID), hif.MaxSSID)
	case !b.Channel.valid():
		return fmt.Errorf("%w: channel %d", ErrContext, b.Channel)
	}
	return nil
}

// AuthType is the kind of protection of a network.
type AuthType uint8

// The kinds, with the device's values.
const (
	AuthInvalid    AuthType = AuthType(hif.SecurityInvalid)
	AuthOpen       AuthType = AuthType(hif.SecurityOpen)
	AuthWPA        AuthType = AuthType(hif.SecurityPSK)
	AuthWEP        AuthType = AuthType(hif.SecurityWEP) // only seen in scans
	AuthEnterprise AuthType = AuthType(hif.SecurityEnterprise)
)

func (a AuthType) String() string {
	switch a {
	case AuthInvalid:
		return "invalid"
	case AuthOpen:
		return "open"
	case AuthWPA:
		return "WPA-PSK"
	case AuthWEP:
		return "WEP"
	case AuthEnterprise:
		return "802.1X"
	}
	return "auth(" + strconv.Itoa(int(a)) + ")"
}

// Auth is how to get into a network: OpenAuth or WPA(key). It stands for
// WDRV_WINC_AUTH_CONTEXT, made by WDRV_WINC_AuthCtxSetDefaults (the zero
// value), AuthCtxSetOpen and AuthCtxSetWPA; Save is the reverse of
// AuthCtxSetOneTimeUse.
type Auth struct {
	Type AuthType
	Key  string // WPA: 8 to 63 characters, or 64 hexadecimal digits
	Save bool   // the device keeps the credentials, for Reconnect
}

// OpenAuth is for networks without protection.
var OpenAuth = Auth{Type: AuthOpen}

// WPA is for networks with a pre-shared key: a passphrase of 8 to 63
// characters, or the key itself as 64 hexadecimal digits.
func WPA(key string) Auth { return Auth{Type: AuthWPA, Key: key} }

// Valid returns ErrInvalid for an unknown kind and for keys that the device
// cannot be told. Passphrases shorter than 8 pass: the device refuses them as
// ErrAuthFail. It stands for WDRV_WINC_AuthCtxIsValid.
func (a Auth) Valid() error {
	switch a.Type {
	case AuthOpen:
		return nil
	case AuthWPA:
		if len(a.Key) > hif.PSKDigits {
			return fmt.Errorf("%w: the key has %d characters, at most %d are possible", ErrInvalid, len(a.Key), hif.PSKDigits)
		}
		return nil
	case AuthEnterprise:
		return fmt.Errorf("%w: 802.1X", ErrUnsupported)
	}
	return fmt.Errorf("%w: authentication type %v", ErrInvalid, a.Type)
}

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

// ConnEvent tells the callback of Connect what happened.
type ConnEvent struct {
	State ConnState
	Err   error // a ConnError with Disconnected; nil: the link was lost, or our own Disconnect finished
}

// connState is the state of the association. Guarded by the driver's lock.
type connState struct {
	linked  bool // the device said connected and has not said disconnected
	joining bool // a connect was sent and has no verdict
	leaving bool // our disconnect was sent and is not confirmed
	up      bool // what the application is told: false from the moment of Disconnect
	fn      func(ConnEvent)
}

// Connect joins a network: it tells the device to use DHCP or the static
// configuration, then to connect. nil means that the request was sent; fn, if
// not nil, is told when the association stands or why it failed, and of all
// later changes, until another Connect or Reconnect replaces it. IP may come up
// later: see UseDHCP and LinkUp. While connected, the device leaves its network
// first. Errors: ErrContext, ErrInvalid, ErrConnect (not sendable, or 64
// characters of key that are not hexadecimal), ErrUnsupported for 802.1X. It
// stands for WDRV_WINC_BSSConnect.
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
// while connected, ErrConnect if not sendable. If the device cannot even start,
// fn is told so with ErrInProgress, ErrAuthFail, ErrScanFail, ErrNoCredentials
// or ErrUnknown. It stands for WDRV_WINC_BSSReconnect.
func (c *Client) Reconnect(fn func(ConnEvent)) error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	if d.conn.up {
		return ErrConnected
	}
	return d.join(fn, func() error { return d.sendNone(hif.OpDefaultConnect) })
}

// join sends the IP configuration and the request that request sends. The
// callback is stored first and put back on failure (spec/driver-api.md 1.5).
// Lock held.
func (d *Driver) join(fn func(ConnEvent), request func() error) error {
	old := d.conn.fn
	d.conn.fn = fn
	err := d.sendIPConfig()
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
// to leave, ErrDisconnect if not sendable. It stands for
// WDRV_WINC_BSSDisconnect and WDRV_WINC_AssocDisconnect.
func (c *Client) Disconnect() error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	if !d.conn.up && !d.conn.joining {
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

// handleState is CON_STATE_CHANGED. State first, then the callback, then the
// sockets (spec/driver-api.md 3.8). Lock held.
func (d *Driver) handleState(m hif.StateChanged) {
	switch m.State {
	case hif.Connected:
		overtaken := d.conn.leaving && !d.conn.joining
		d.conn.linked, d.conn.joining = true, false
		if overtaken { // by our disconnect, whose confirmation follows
			return
		}
		d.conn.up, d.conn.leaving = true, false
		d.ip.linked()
		d.tellConn(ConnEvent{State: Connected})
	case hif.Roamed:
		d.assoc.forget()
		d.tellConn(ConnEvent{State: Roamed})
	case hif.Disconnected:
		e := ConnEvent{State: Disconnected}
		if m.Error != hif.ConnOK {
			e.Err = ConnError(m.Error)
		}
		if m.Error == hif.ConnInProgress { // the attempt that runs goes on
			d.tellConn(e)
			return
		}
		d.linkLost(e)
	default:
		d.stats.Unknown++
	}
}

// linkLost ends the association and all that hung on it. Lock held.
func (d *Driver) linkLost(e ConnEvent) {
	was := d.conn
	// What ends the old network of a Connect while connected, or confirms a
	// Disconnect before it, leaves the new attempt running.
	d.conn.linked, d.conn.leaving, d.conn.up = false, false, false
	d.conn.joining = was.joining && (was.linked || was.leaving) && e.Err == nil
	d.ip.drop()
	d.assoc.forget()
	d.tellConn(e)
	if was.linked || was.leaving {
		d.abortSockets(was.leaving)
		d.abortRequests()
	}
}

func (d *Driver) tellConn(e ConnEvent) {
	more := 0
	if d.conn.joining {
		more = 1
	}
	d.hook(Notice{Kind: NoticeConn, Conn: e, N: more})
	if d.conn.fn == nil {
		return
	}
	d.postClient(func() {
		d.lock()
		fn := d.conn.fn
		d.unlock()
		if fn != nil {
			fn(e)
		}
	})
}

// handleDefaultConnected turns the result of Reconnect into a connection event.
func (d *Driver) handleDefaultConnected(m hif.DefaultConnected) {
	e := ConnEvent{State: Disconnected}
	switch m.Error {
	case hif.DefaultConnectOK:
		return // the usual events follow
	case hif.DefaultConnectInProgress:
		e.Err = ErrInProgress
		d.tellConn(e)
		return
	case hif.DefaultConnectFailed:
		e.Err = ErrAuthFail
	case hif.DefaultConnectNotFound:
		e.Err = ErrScanFail
	case hif.DefaultConnectListEmpty:
		e.Err = ErrNoCredentials
	default:
		e.Err = ErrUnknown
	}
	d.linkLost(e)
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
