package driver

import (
	"fmt"

	"github.com/understudy-net/understudy/bus/hif"
)

// otaState is the update and the change of images that are under way. Guarded
// by the driver's lock.
type otaState struct {
	running bool // from the acceptance of Update to its verdict
	fn      func(OTAStatus)
	hook    func(OTAStatus)

	swap swapState

	progress func(stored, expected int64)
	told     progress // the newest, for the callback that is queued
	queued   bool
}

// swapState is the shared slot of SwitchImage and Rollback: the newest request
// has it.
type swapState struct {
	owed int // verdicts to come; those but the last belong to replaced requests
	fn   func(OTAStatus)
	hook func(OTAStatus)
}

type progress struct{ stored, expected int64 }

// otaOptions are the settings that outlive clients (spec/driver-api.md 2.8).
type otaOptions struct {
	anyone bool // the server is not authenticated
	sni    string
}

// maxUpdateURL is one byte less than the field has room for (2.8).
const maxUpdateURL = hif.MaxURL - 1

// Update has the device load a firmware image from an http or https URL of at
// most 254 bytes into its inactive slot, verify it and mark it valid. The image
// that is there now is lost at once, whatever follows; the one that the next
// restart of the chip runs is not touched: SwitchImage and a restart run the new
// one. (Between the two the inactive image is the old one.) nil means that
// the request was sent. fn, if not nil, hears the verdict exactly once; another
// Update may be started in it. When the device is lost meanwhile the verdict is
// OTAFail.
//
// Errors, in this order: ErrBusy while an update runs, ErrInvalid for an empty
// URL, ErrRequest for one that is too long, ErrUnsupported for a firmware that
// knows no options of TLS (before 19.7.7) if one was set, ErrBus. It stands for
// WDRV_WINC_OTAUpdateFromURL.
func (c *Client) Update(url string, fn func(OTAStatus)) error { return c.update(url, fn, nil) }

// UpdateHook is Update for a layer above: fn runs on the pump, with no lock of
// the driver held, and must not block. Progress comes to it as NoticeUpdate.
func (c *Client) UpdateHook(url string, fn func(OTAStatus)) error { return c.update(url, nil, fn) }

func (c *Client) update(url string, fn, hook func(OTAStatus)) error {
	d, err := c.enterSockets()
	if err != nil {
		return err
	}
	defer d.unlock()
	switch {
	case d.ota.running:
		return ErrBusy
	case url == "":
		return fmt.Errorf("%w: an update needs a URL", ErrInvalid)
	case len(url) > maxUpdateURL || hasNUL(url):
		return fmt.Errorf("%w: a URL of %d bytes cannot be sent, at most %d without NUL can", ErrRequest, len(url), maxUpdateURL)
	}
	if err := d.sendStart(url); err != nil {
		return err
	}
	d.ota.running, d.ota.fn, d.ota.hook = true, fn, hook
	return nil
}

// sendStart sends START_FW_UPDATE in the form that the firmware knows. Lock held.
func (d *Driver) sendStart(url string) error {
	o := d.otaOpts
	if d.versions.active.Firmware >= hif.V19_7_7 {
		m := hif.StartUpdateV2{URL: url, SNI: o.sni}
		if o.anyone {
			m.Flags |= hif.TLSBypassX509
		}
		if o.sni != "" {
			m.Flags |= hif.TLSCheckSNI
		}
		return d.sendData(hif.OpStartUpdateV2, m)
	}
	if o != (otaOptions{}) {
		return fmt.Errorf("%w: firmware %v knows no options of TLS for updates", ErrUnsupported, d.versions.active.Firmware)
	}
	return send(d, hif.OpStartUpdate, hif.URL{URL: url})
}

// AbortUpdate asks the device to stop a running update, or DownloadFile: its
// verdict will be OTAAborted, or another if it was faster. Until then it runs.
// Without one there is nothing to do, and nothing is sent. ErrBus if not sendable. It
// stands for WDRV_WINC_OTAUpdateAbort.
func (c *Client) AbortUpdate() error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	return d.abortUpdate()
}

func (d *Driver) abortUpdate() error {
	if !d.loading() {
		return nil
	}
	return d.sendNone(hif.OpAbortUpdate)
}

// loading says whether the device loads an image or a file. Lock held.
func (d *Driver) loading() bool { return d.ota.running || d.file.job == fileDownload }

// Updating says whether an update runs: from the acceptance of Update until its
// verdict. It stands for no documented function.
func (c *Client) Updating() bool {
	d, ok := c.peek()
	if !ok {
		return false
	}
	defer d.unlock()
	return d.ota.running
}

// SwitchImage makes the inactive image the one that runs after the next restart
// of the chip (Driver.Restart), and the active one that to roll back to. Before
// the restart, another SwitchImage takes it back. fn, if not nil, hears the
// verdict: OTAComplete, OTANoRollback if there is no valid image, OTABusy while
// an update runs. A SwitchImage or Rollback before that replaces fn. ErrBus if
// not sendable. It stands for WDRV_WINC_SwitchActiveFirmwareImage.
func (c *Client) SwitchImage(fn func(OTAStatus)) error { return c.swap(hif.OpSwitchFirmware, fn, nil) }

// SwitchImageHook is SwitchImage for a layer above, see UpdateHook.
func (c *Client) SwitchImageHook(fn func(OTAStatus)) error {
	return c.swap(hif.OpSwitchFirmware, nil, fn)
}

// Rollback goes back to the image that ran before the last switch, with the next
// restart of the chip: OTANoRollback if an update has begun to replace it and
// failed. All else is as for SwitchImage. It stands for
// WDRV_WINC_RollbackActiveFirmwareImage.
func (c *Client) Rollback(fn func(OTAStatus)) error { return c.swap(hif.OpRollback, fn, nil) }

// RollbackHook is Rollback for a layer above, see UpdateHook.
func (c *Client) RollbackHook(fn func(OTAStatus)) error { return c.swap(hif.OpRollback, nil, fn) }

func (c *Client) swap(op hif.Op, fn, hook func(OTAStatus)) error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	if err := d.sendNone(op); err != nil {
		return err
	}
	d.ota.swap = swapState{owed: d.ota.swap.owed + 1, fn: fn, hook: hook}
	return nil
}

// SetOTAVerify says whether the server of an https update must show a
// certificate that chains to a root in the device's flash: true at the start.
// Like the name of SetOTASNI it is for updates to come and outlives clients.
// ErrBusy while an update runs. It stands for
// WDRV_WINC_OTASSLServerAuthModeSet.
func (c *Client) SetOTAVerify(on bool) error {
	return c.setOTA(func(o *otaOptions) { o.anyone = !on })
}

// OTAVerify is what SetOTAVerify set; false also on a closed client and while
// an update runs. It stands for WDRV_WINC_OTASSLServerAuthModeIsEnabled.
func (c *Client) OTAVerify() bool {
	o, ok := c.peekOTA()
	return ok && !o.anyone
}

// SetOTASNI sets the name of at most 63 characters that is sent to the server of
// an https update and that its certificate must be for; "" for none. ErrBusy
// while an update runs, ErrRequest, and nothing is changed, for a name that
// cannot be sent. It stands for WDRV_WINC_OTASSLSNISet.
func (c *Client) SetOTASNI(name string) error {
	if !c.valid() {
		return ErrInvalid
	}
	long := len(name) > maxSNI || hasNUL(name)
	err := c.setOTA(func(o *otaOptions) {
		if !long {
			o.sni = name
		}
	})
	if err == nil && long {
		return fmt.Errorf("%w: a server name of %d characters, at most %d", ErrRequest, len(name), maxSNI)
	}
	return err
}

// OTASNI says whether SetOTASNI has set a name; false also on a closed client
// and while an update runs. It stands for WDRV_WINC_OTASSLSNIIsEnabled.
func (c *Client) OTASNI() bool {
	o, ok := c.peekOTA()
	return ok && o.sni != ""
}

func (c *Client) setOTA(set func(*otaOptions)) error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	if d.ota.running {
		return ErrBusy
	}
	set(&d.otaOpts)
	return nil
}

func (c *Client) peekOTA() (otaOptions, bool) {
	d, ok := c.peek()
	if !ok {
		return otaOptions{}, false
	}
	defer d.unlock()
	return d.otaOpts, !d.ota.running
}

// OnUpdateProgress registers fn for the progress of updates: bytes stored, and
// how many there will be, 0 if the server has not said. It replaces an earlier
// one; nil unregisters. When fn is slower than the device it hears only the
// newest. Only a device of this project tells its progress: on a real part fn is
// never called. It stands for no documented function.
func (c *Client) OnUpdateProgress(fn func(stored, expected int64)) error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	d.ota.progress = fn
	return nil
}
