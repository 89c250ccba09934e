package hostnet

import (
	"context"
	"iter"
	"time"

	"github.com/understudy-net/understudy/driver"
)

// scanState is what a Scan waits for.
type scanState struct {
	busy bool // a Scan of ours runs
	done bool // the device has finished
	n    int  // networks found
	err  error
	got  int // number of the result in r, from 1
	r    driver.ScanResult
}

func (n *Net) scanNotice(nt driver.Notice) {
	if nt.Kind == driver.NoticeScanDone {
		n.scan.done, n.scan.n, n.scan.err = true, nt.N, nt.Err
		return
	}
	n.scan.got, n.scan.r = nt.N, nt.Scan
}

// Scan looks for networks and yields them one by one, or an error at the end.
// It replaces the callback of a scan of the driver's client. One Scan at a time:
// driver.ErrScanBusy.
func (n *Net) Scan(ctx context.Context, q driver.ScanReq) iter.Seq2[driver.ScanResult, error] {
	return func(yield func(driver.ScanResult, error) bool) {
		total, err := n.startScan(ctx, q)
		if err == nil {
			defer n.endScan()
		}
		for i := 1; err == nil && i <= total; i++ {
			var r driver.ScanResult
			if r, err = n.nextResult(ctx, i); err == nil && !yield(r, nil) {
				return
			}
		}
		if err != nil {
			yield(driver.ScanResult{}, err)
		}
	}
}

// startScan waits for the number of networks. On success the scan is ours until
// endScan.
func (n *Net) startScan(ctx context.Context, q driver.ScanReq) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c, err := n.usable(ctx)
	if err != nil {
		return 0, err
	}
	if n.scan.busy {
		return 0, driver.ErrScanBusy
	}
	if err := c.Scan(q, nil); err != nil {
		return 0, closedErr(err)
	}
	n.scan = scanState{busy: true}
	err = n.await(ctx, &n.scanq, func() bool { return n.scan.done || c.Err() != nil })
	if err == nil {
		err = closedErr(c.Err())
	}
	if err == nil {
		err = n.scan.err
	}
	n.scan.busy = err == nil
	return n.scan.n, err
}

func (n *Net) endScan() {
	n.mu.Lock()
	n.scan.busy = false
	n.mu.Unlock()
}

// nextResult waits for the result number i; the first is fetched by the driver.
func (n *Net) nextResult(ctx context.Context, i int) (driver.ScanResult, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c, err := n.usable(ctx)
	if err != nil {
		return driver.ScanResult{}, err
	}
	if i > 1 {
		if err := c.ScanNext(nil); err != nil {
			return driver.ScanResult{}, closedErr(err)
		}
	}
	err = n.await(ctx, &n.scanq, func() bool { return n.scan.got >= i || c.Err() != nil })
	if err == nil {
		err = closedErr(c.Err())
	}
	return n.scan.r, err
}

// infoState is the last answers to the small questions below; the counters say
// whether one has come.
type infoState struct {
	assoc  driver.AssocInfo
	rssi   int
	time   time.Time
	assocs uint64
	rssis  uint64
	times  uint64
}

func (n *Net) infoNotice(nt driver.Notice) {
	switch i := &n.info; nt.Kind {
	case driver.NoticeAssoc:
		i.assoc = nt.Assoc
		i.assocs++
	case driver.NoticeRSSI:
		i.rssi = nt.N
		i.rssis++
	case driver.NoticeTime:
		i.time = nt.Time
		i.times++
	}
}

// AssocInfo asks the device about the association.
func (n *Net) AssocInfo(ctx context.Context) (driver.AssocInfo, error) {
	err := n.ask(ctx, &n.info.assocs, func(c *driver.Client) error { return c.AskAssoc(nil) })
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.info.assoc, err
}

// RSSI asks the device for the signal strength, in dBm.
func (n *Net) RSSI(ctx context.Context) (int, error) {
	err := n.ask(ctx, &n.info.rssis, func(c *driver.Client) error {
		_, err := c.RSSI(func(int8) {})
		return err
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.info.rssi, err
}

// Time asks the device for the time: UTC, in whole seconds. The device asks time
// servers as soon as it has an address, and does not know the time before one
// has answered or SetTime was called: ErrTimeUnknown, at once. It stands for
// WDRV_WINC_SystemTimeGetCurrent.
func (n *Net) Time(ctx context.Context) (time.Time, error) {
	err := n.ask(ctx, &n.info.times, func(c *driver.Client) error { return c.AskTime() })
	n.mu.Lock()
	defer n.mu.Unlock()
	if err == nil && n.info.time.IsZero() {
		err = ErrTimeUnknown
	}
	return n.info.time, err
}

// ask sends a question and waits until count moves.
func (n *Net) ask(ctx context.Context, count *uint64, send func(*driver.Client) error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	c, err := n.usable(ctx)
	if err != nil {
		return err
	}
	before := *count
	if err := send(c); err != nil && err != error(driver.ErrRetry) {
		return closedErr(err)
	}
	return n.answered(ctx, c, &n.infoq, func() bool { return *count != before })
}
