package hostnet

import (
	"context"
	"fmt"

	"github.com/understudy-net/understudy/driver"
)

// updating is the Update that runs. Guarded by the Net's lock.
type updating struct {
	done             bool
	err              error // the verdict
	stored, expected int64
	news             bool // of the two, not told yet
}

// Update has the device load a firmware image from an http or https URL into its
// inactive slot, and waits for the verdict: nil when the image is stored and
// valid, else a driver.OTAStatus. SwitchImage and driver.Driver.Restart make it
// run. progress, if not nil, is called by this call with the bytes that are
// stored and those that there will be, 0 if the server does not say; never for a
// device that does not tell.
//
// When ctx ends first the update is aborted, and the call returns when the
// device has confirmed that, after 2 s at the latest: with the error of ctx, or
// nil if the image was complete before. An update while another runs is
// driver.ErrBusy. The options of TLS are driver.Client.SetOTAVerify and
// SetOTASNI. It stands for WDRV_WINC_OTAUpdateFromURL and
// WDRV_WINC_OTAUpdateAbort.
func (n *Net) Update(ctx context.Context, url string, progress func(stored, expected int64)) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.update(ctx, url, progress); err != nil {
		return fmt.Errorf("update from %s: %w", url, err)
	}
	return nil
}

func (n *Net) update(ctx context.Context, url string, progress func(stored, expected int64)) error {
	c, err := n.usable(ctx)
	if err != nil {
		return err
	}
	u := &updating{}
	err = c.UpdateHook(url, func(s driver.OTAStatus) { // on the pump
		n.mu.Lock()
		u.done, u.err = true, s.Err()
		n.Wake(&n.otaq)
		n.mu.Unlock()
	})
	if err != nil {
		return closedErr(err)
	}
	n.updating = u
	defer func() {
		if n.updating == u { // else a later one has begun
			n.updating = nil
		}
	}()
	for {
		err := n.await(ctx, &n.otaq, func() bool { return u.done || u.news || c.Err() != nil })
		if u.news {
			n.tellProgress(u, progress)
		}
		switch {
		case u.err != nil && c.Err() != nil: // the device was lost, which ends an update with FAIL
			return fmt.Errorf("%w: %w", u.err, closedErr(c.Err()))
		case u.done:
			return u.err
		case err != nil:
			return n.abortUpdate(c, u, err)
		case c.Err() != nil:
			return closedErr(c.Err())
		}
	}
}

// tellProgress calls the caller's function without the lock. Lock held.
func (n *Net) tellProgress(u *updating, progress func(stored, expected int64)) {
	stored, expected := u.stored, u.expected
	if u.news = false; progress == nil {
		return
	}
	n.mu.Unlock()
	defer n.mu.Lock()
	progress(stored, expected)
}

// abortUpdate ends an update because of cause. Lock held.
func (n *Net) abortUpdate(c *driver.Client, u *updating, cause error) error {
	if err := c.AbortUpdate(); err != nil {
		return fmt.Errorf("%w; and the update was not aborted: %w", cause, err)
	}
	_ = n.awaitUntil(context.Background(), n.now().Add(confirmLimit), &n.otaq, func() bool { return u.done || c.Err() != nil })
	switch {
	case u.done && u.err == nil:
		return nil
	case u.done && u.err != error(driver.OTAAborted):
		return fmt.Errorf("%w: %w", cause, u.err)
	}
	return cause
}

// SwitchImage makes the image of the other slot the one that runs after the next
// restart of the chip, and waits for the verdict: nil or a driver.OTAStatus. See
// driver.Client.SwitchImage. It stands for
// WDRV_WINC_SwitchActiveFirmwareImage.
func (n *Net) SwitchImage(ctx context.Context) error {
	return n.swap(ctx, "switch", (*driver.Client).SwitchImageHook)
}

// Rollback goes back to the image before the last switch, with the next restart
// of the chip, and waits for the verdict: nil or a driver.OTAStatus. It stands
// for WDRV_WINC_RollbackActiveFirmwareImage.
func (n *Net) Rollback(ctx context.Context) error {
	return n.swap(ctx, "rollback", (*driver.Client).RollbackHook)
}

// swap makes one request at a time: the driver has one slot for verdicts.
func (n *Net) swap(ctx context.Context, name string, request func(*driver.Client, func(driver.OTAStatus)) error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, err := n.usable(ctx); err != nil {
		return err
	}
	if err := n.await(ctx, &n.otaq, func() bool { return !n.swapping }); err != nil {
		return err
	}
	c, err := n.client()
	if err != nil {
		return err
	}
	n.swapping = true
	defer func() {
		n.swapping = false
		n.Wake(&n.otaq)
	}()
	var done bool
	var verdict driver.OTAStatus
	err = request(c, func(s driver.OTAStatus) { // on the pump
		n.mu.Lock()
		done, verdict = true, s
		n.Wake(&n.otaq)
		n.mu.Unlock()
	})
	if err == nil {
		err = n.answered(ctx, c, &n.otaq, func() bool { return done })
	} else {
		err = closedErr(err)
	}
	if err == nil {
		err = verdict.Err()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// updateNotice keeps how far an update has come. Lock held.
func (n *Net) updateNotice(nt driver.Notice) {
	if u := n.updating; u != nil && !u.done {
		u.stored, u.expected, u.news = nt.Stored, nt.Expected, true
	}
}
