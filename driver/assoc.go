package driver

import "github.com/understudy-net/understudy/bus/hif"

// AssocInfo describes the association; as a Soft-AP that of the station which
// joined last.
type AssocInfo struct {
	SSID    string // as a Soft-AP empty
	BSSID   MAC    // of the access point; as a Soft-AP the station's address
	Auth    AuthType
	Addr    Addr // of the station, zero if it has none yet
	RSSI    int8 // dBm
	Channel Channel
}

// assocState caches what the device answered. Guarded by the driver's lock.
type assocState struct {
	info    AssocInfo
	has     bool
	fn      func(AssocInfo)
	rssi    int8
	hasRSSI bool
	rssiFn  func(int8)
}

// forget drops what is only true of one association.
func (a *assocState) forget() { a.has, a.hasRSSI = false, false }

// SSID is the name of the network that is joined. ErrRetry if the device had to
// be asked: fn, if not nil, hears the answer, or call again. ErrRequest while
// not connected, which as a Soft-AP means without a station. It stands for WDRV_WINC_AssocSSIDGet.
func (c *Client) SSID(fn func(AssocInfo)) (string, error) {
	i, err := c.assocInfo(fn)
	return i.SSID, err
}

// Peer is the address of the access point, or of the station of a Soft-AP, as
// SSID. It stands for
// WDRV_WINC_AssocPeerAddressGet.
func (c *Client) Peer(fn func(AssocInfo)) (MAC, error) {
	i, err := c.assocInfo(fn)
	return i.BSSID, err
}

// AuthType is the protection of the network, as SSID. It stands for
// WDRV_WINC_AssocAuthTypeGet.
func (c *Client) AuthType(fn func(AssocInfo)) (AuthType, error) {
	i, err := c.assocInfo(fn)
	return i.Auth, err
}

// AskAssoc asks the device for the association although an answer is cached:
// ErrRetry when it was asked. It is the documented call with a nil buffer.
func (c *Client) AskAssoc(fn func(AssocInfo)) error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	return d.askAssoc(fn)
}

func (c *Client) assocInfo(fn func(AssocInfo)) (AssocInfo, error) {
	d, err := c.enter()
	if err != nil {
		return AssocInfo{}, err
	}
	defer d.unlock()
	if d.assoc.has {
		return d.assoc.info, nil
	}
	return AssocInfo{}, d.askAssoc(fn)
}

func (d *Driver) askAssoc(fn func(AssocInfo)) error {
	if !d.conn.up {
		return ErrMode
	}
	if err := d.sendNone(hif.OpGetConnInfo); err != nil {
		return err
	}
	d.assoc.fn = fn
	return ErrRetry
}

// RSSI is the signal strength in dBm. With fn the device is always asked:
// ErrRetry, and fn hears the answer once. Without, the last answer is returned
// and forgotten; if there is none the device is asked, with ErrRetry.
// ErrRequest while not connected. It stands for WDRV_WINC_AssocRSSIGet.
func (c *Client) RSSI(fn func(int8)) (int8, error) {
	d, err := c.enter()
	if err != nil {
		return 0, err
	}
	defer d.unlock()
	a := &d.assoc
	if !d.conn.up {
		return 0, ErrMode
	}
	if fn == nil && a.hasRSSI {
		a.hasRSSI = false
		return a.rssi, nil
	}
	if err := d.sendNone(hif.OpGetRSSI); err != nil {
		return 0, err
	}
	if fn != nil {
		a.rssiFn = fn
	}
	return 0, ErrRetry
}

// handleConnInfo fills the cache. Lock held.
func (d *Driver) handleConnInfo(m hif.ConnInfo) {
	if !d.conn.up {
		d.stats.Stale++
		return
	}
	i := AssocInfo{
		SSID: m.SSID, BSSID: m.MAC, Auth: AuthType(m.Security), Addr: addr4(m.IP), RSSI: m.RSSI, Channel: Channel(m.Channel),
	}
	d.assoc.info, d.assoc.has = i, true
	d.hook(Notice{Kind: NoticeAssoc, Assoc: i})
	if d.assoc.fn == nil {
		return
	}
	d.postClient(func() {
		d.lock()
		fn := d.assoc.fn
		d.unlock()
		if fn != nil {
			fn(i)
		}
	})
}

func (d *Driver) handleRSSI(m hif.RSSI) {
	a := &d.assoc
	if !d.conn.up {
		d.stats.Stale++
		return
	}
	a.rssi, a.hasRSSI = m.RSSI, m.RSSI != 0
	d.hook(Notice{Kind: NoticeRSSI, N: int(m.RSSI)})
	if fn := a.rssiFn; fn != nil {
		a.rssiFn = nil
		d.postClient(func() { fn(m.RSSI) })
	}
}
