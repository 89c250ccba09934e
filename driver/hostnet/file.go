package hostnet

import (
	"context"
	"fmt"
	"io"

	"github.com/understudy-net/understudy/driver"
)

// File is the one file that the device keeps for its host, made by Download or
// OpenFile. It is an io.ReaderAt, to be read as a whole with io.NewSectionReader,
// and needs no closing. Reads ask the device for 128 bytes at a time.
type File struct {
	n *Net
	f driver.HostFile
}

var _ io.ReaderAt = (*File)(nil)

// readPiece is how much is asked of the driver at a time: the device has
// Config.AnswerLimit for it.
const readPiece = 4 << 10

// Size is that of the file in bytes. It stands for WDRV_WINC_HostFileGetSize.
func (f *File) Size() int64 { return f.f.Size() }

// ID is what OpenFile finds the file by.
func (f *File) ID() int { return f.f.ID() }

// Download has the device load a file from an http or https URL into its flash, in
// place of the one that is there, and waits for it. At most driver.MaxHostFile
// bytes; the error is a driver.OTAStatus, OTABusy while an update runs. When ctx
// ends first the download is aborted, as by Update. It stands for
// WDRV_WINC_HostFileDownload.
func (n *Net) Download(ctx context.Context, url string) (*File, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f, err := n.download(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("download from %s: %w", url, err)
	}
	return &File{n, f}, nil
}

func (n *Net) download(ctx context.Context, url string) (f driver.HostFile, err error) {
	c, err := n.takeFile(ctx)
	if err != nil {
		return f, err
	}
	defer n.giveFile()
	u := &updating{}
	err = c.DownloadFileHook(url, func(g driver.HostFile, s driver.OTAStatus) { // on the pump
		n.mu.Lock()
		f, u.done, u.err = g, true, s.Err()
		n.Wake(&n.otaq)
		n.mu.Unlock()
	})
	if err != nil {
		return f, closedErr(err)
	}
	err = n.await(ctx, &n.otaq, func() bool { return u.done || c.Err() != nil })
	switch {
	case u.done && u.err != nil && c.Err() != nil: // the device was lost, which ends a download with FAIL
		return f, fmt.Errorf("%w: %w", u.err, closedErr(c.Err()))
	case u.done:
		return f, u.err
	case err != nil:
		return f, n.abortUpdate(c, u, err)
	}
	return f, closedErr(c.Err())
}

// takeFile waits until no other call is about the file. Lock held.
func (n *Net) takeFile(ctx context.Context) (*driver.Client, error) {
	if _, err := n.usable(ctx); err != nil {
		return nil, err
	}
	if err := n.await(ctx, &n.otaq, func() bool { return !n.filing }); err != nil {
		return nil, err
	}
	c, err := n.client()
	n.filing = err == nil
	return c, err
}

func (n *Net) giveFile() {
	n.filing = false
	n.Wake(&n.otaq)
}

// OpenFile finds the file that the device keeps, by its id or whichever there is
// (driver.AnyFile). Without one, or while the device is busy with it, the error
// matches driver.ErrRequest. It stands for WDRV_WINC_HostFileFindByID.
func (n *Net) OpenFile(ctx context.Context, id int) (*File, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f, err := n.find(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("open file: %w", err)
	}
	return &File{n, f}, nil
}

func (n *Net) find(ctx context.Context, id int) (f driver.HostFile, err error) {
	c, err := n.takeFile(ctx)
	if err != nil {
		return f, err
	}
	defer n.giveFile()
	before := n.filesTold
	if f, err = c.FindFile(id); err != error(driver.ErrRetry) {
		return f, closedErr(err)
	}
	if err := n.answered(ctx, c, &n.otaq, func() bool { return n.filesTold != before }); err != nil {
		return f, err
	}
	if f, err = c.FindFile(id); err == error(driver.ErrRetry) {
		err = driver.ErrBusy // it does not say
	}
	return f, closedErr(err)
}

// ReadAt implements io.ReaderAt. A file that was erased or replaced meanwhile is
// an error that matches driver.ErrRequest; other calls about the file that run are
// waited for. It stands for WDRV_WINC_HostFileRead and
// WDRV_WINC_HostFileUpdateReadBuffer.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read file: %w: offset %d", driver.ErrInvalid, off)
	}
	n := f.n
	n.mu.Lock()
	defer n.mu.Unlock()
	c, err := n.takeFile(context.Background())
	if err != nil {
		return 0, fmt.Errorf("read file: %w", err)
	}
	defer n.giveFile()
	// Not into p: it is the caller's again when the device does not answer.
	b := make([]byte, min(len(p), readPiece))
	got := 0
	for got < len(p) && off < f.Size() {
		k, err := n.readSome(c, f.f, b[:min(len(b), len(p)-got)], off)
		copy(p[got:], b[:k])
		if err != nil {
			return got, fmt.Errorf("read file: %w", err)
		}
		got, off = got+k, off+int64(k)
	}
	if got < len(p) {
		return got, io.EOF
	}
	return got, nil
}

// readSome reads one piece: fewer bytes than there are, without an error, never.
func (n *Net) readSome(c *driver.Client, f driver.HostFile, b []byte, off int64) (got int, err error) {
	want := int(min(int64(len(b)), f.Size()-off))
	err = n.fileAnswer(context.Background(), c, func(end func(driver.OTAStatus)) error {
		return f.ReadHook(b, off, func(k int, s driver.OTAStatus) { got = k; end(s) })
	})
	if err == nil && got < want {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return 0, err
	}
	return got, nil
}

// fileAnswer makes a request and waits for its verdict, which end is told. Lock
// held.
func (n *Net) fileAnswer(ctx context.Context, c *driver.Client, request func(end func(driver.OTAStatus)) error) error {
	var done bool
	var verdict driver.OTAStatus
	err := request(func(s driver.OTAStatus) { // on the pump
		n.mu.Lock()
		done, verdict = true, s
		n.Wake(&n.otaq)
		n.mu.Unlock()
	})
	if err != nil {
		return closedErr(err)
	}
	if err := n.answered(ctx, c, &n.otaq, func() bool { return done }); err != nil {
		return err
	}
	return verdict.Err()
}

// EraseFile erases the file that the device keeps, if there is one. The error is a
// driver.OTAStatus: OTABusy while an update runs. It stands for
// WDRV_WINC_HostFileErase.
func (n *Net) EraseFile(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	c, err := n.takeFile(ctx)
	if err == nil {
		defer n.giveFile()
		err = n.fileAnswer(ctx, c, c.EraseFileHook)
	}
	if err != nil {
		return fmt.Errorf("erase file: %w", err)
	}
	return nil
}
