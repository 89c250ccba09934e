package driver

import (
	"fmt"

	"github.com/understudy-net/understudy/bus/hif"
)

// HostFile is the one file that the device keeps for its host in its flash: made
// by DownloadFile or found by FindFile. A small value; it stops being valid when
// the file is erased, replaced, or the driver restarted. Methods of the zero value
// return ErrInvalid.
type HostFile struct {
	c    *Client
	id   uint8
	life uint32
	size int64
}

// MaxHostFile is the room that the flash of the real part has for the file, in
// bytes.
const MaxHostFile = 508 << 10

// hostFileState is what is known of the file, and the one job about it. Guarded
// by the driver's lock.
type hostFileState struct {
	asked bool // the device was asked what there is
	known bool // the device has told
	has   bool // that there is one
	id    uint8
	size  int64
	life  uint32 // counts files: HostFiles of earlier ones are void
	late  int    // answers to reads of earlier clients, which are to come

	job  fileJob
	fn   func(fileVerdict) // runs in the dispatcher
	hook func(fileVerdict) // runs in the pump
	read fileRead
}

// fileJob is what the device does about the file now.
type fileJob uint8

const (
	noFileJob fileJob = iota
	fileDownload
	fileReading
	fileErase
)

// fileVerdict is the end of a job.
type fileVerdict struct {
	status OTAStatus
	file   HostFile
	n      int
}

// fileRead is a read that is under way, one block after the other.
type fileRead struct {
	p   []byte
	off int64
	n   int // read so far
}

// DownloadFile has the device load a file from an http or https URL of at most
// 255 bytes into the place that its flash has for one, 508 KiB; the file that is
// there now is lost. The options of SetOTAVerify and SetOTASNI are not for it: an
// https server must always show a good certificate. fn hears the verdict, and with
// OTAComplete has the file; OTABusy while an update runs. AbortUpdate ends it.
//
// Errors: ErrInvalid for an empty URL or a nil fn; ErrBusy while the device does
// something else with the file; ErrRequest for a URL that is too long, and while
// the station is not connected; ErrBus. It stands for WDRV_WINC_HostFileDownload.
func (c *Client) DownloadFile(url string, fn func(HostFile, OTAStatus)) error {
	if fn == nil && c.valid() {
		return fmt.Errorf("%w: a download needs a callback", ErrInvalid)
	}
	return c.downloadFile(url, func(v fileVerdict) { fn(v.file, v.status) }, nil)
}

// DownloadFileHook is DownloadFile for a layer above: fn runs on the pump, with no
// lock of the driver held, and must not block.
func (c *Client) DownloadFileHook(url string, fn func(HostFile, OTAStatus)) error {
	return c.downloadFile(url, nil, func(v fileVerdict) { fn(v.file, v.status) })
}

func (c *Client) downloadFile(url string, fn, hook func(fileVerdict)) error {
	d, err := c.enterSockets()
	if err != nil {
		return err
	}
	defer d.unlock()
	switch {
	case url == "":
		return fmt.Errorf("%w: a download needs a URL", ErrInvalid)
	case len(url) > hif.MaxURL || hasNUL(url):
		return fmt.Errorf("%w: a URL of %d bytes cannot be sent, at most %d without NUL can", ErrRequest, len(url), hif.MaxURL)
	case !d.conn.up:
		return fmt.Errorf("%w: a download needs a connected station", ErrRequest)
	}
	err = d.startFile(fileDownload, fn, hook, func() error { return send(d, hif.OpDownloadFile, hif.URL{URL: url}) })
	if err == nil {
		d.file.forget()
	}
	return err
}

// FindFile finds the file by its id, which is how the device names it, from 0;
// AnyFile stands for whichever there is. ErrRetry when it is not known what there
// is, as in the beginning: the device was asked, call again (NoticeFile); ErrBusy
// while it downloads or erases; ErrRequest if there is no such file; ErrBus. It
// stands for WDRV_WINC_HostFileFindByID.
func (c *Client) FindFile(id int) (HostFile, error) {
	d, err := c.enter()
	if err != nil {
		return HostFile{}, err
	}
	defer d.unlock()
	switch f := &d.file; {
	case id < AnyFile || id >= hif.NoFile:
		return HostFile{}, fmt.Errorf("%w: file id %d", ErrInvalid, id)
	case f.job == fileDownload || f.job == fileErase:
		return HostFile{}, ErrBusy
	case !f.known:
		if err := d.askFile(); err != nil {
			return HostFile{}, err
		}
		return HostFile{}, ErrRetry
	case !f.has || id != AnyFile && id != int(f.id):
		return HostFile{}, fmt.Errorf("%w: there is no such file on the device", ErrRequest)
	}
	return d.hostFile(), nil
}

// AnyFile is an id for FindFile.
const AnyFile = -1

// ID is the file's, for FindFile after a restart; -1 for the zero HostFile.
func (f HostFile) ID() int {
	if f.c == nil {
		return AnyFile
	}
	return int(f.id)
}

// Size is that of the file in bytes. It stands for WDRV_WINC_HostFileGetSize.
func (f HostFile) Size() int64 { return f.size }

// Read reads len(p) bytes of the file from offset off on, in pieces of 128 bytes.
// fn hears how many there were: fewer at the end of the file. p belongs to the
// driver until then. The next Read may be made in fn. Errors: ErrInvalid for an
// empty p, a nil fn or an offset outside the file; ErrRequest if the file is gone;
// ErrBusy while the device does something with it; ErrBus. It stands for
// WDRV_WINC_HostFileRead, and inside fn for WDRV_WINC_HostFileUpdateReadBuffer.
func (f HostFile) Read(p []byte, off int64, fn func(n int, s OTAStatus)) error {
	if fn == nil {
		return fmt.Errorf("%w: a read needs a callback", ErrInvalid)
	}
	return f.readAt(p, off, func(v fileVerdict) { fn(v.n, v.status) }, nil)
}

// ReadHook is Read for a layer above, see DownloadFileHook.
func (f HostFile) ReadHook(p []byte, off int64, fn func(n int, s OTAStatus)) error {
	return f.readAt(p, off, nil, func(v fileVerdict) { fn(v.n, v.status) })
}

func (f HostFile) readAt(p []byte, off int64, fn, hook func(fileVerdict)) error {
	d, err := f.c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	switch {
	case !d.file.has || d.file.life != f.life:
		return fmt.Errorf("%w: the file was erased or replaced", ErrRequest)
	case len(p) == 0 || off < 0 || off >= f.size:
		return fmt.Errorf("%w: %d bytes at %d of %d", ErrInvalid, len(p), off, f.size)
	}
	p = p[:min(int64(len(p)), f.size-off)]
	return d.startFile(fileReading, fn, hook, func() error {
		d.file.read = fileRead{p: p, off: off}
		return d.askBlock()
	})
}

// EraseFile erases the file, if there is one. fn, if not nil, hears the verdict.
// Errors: ErrBusy while the device does something with the file; ErrBus. It
// stands for WDRV_WINC_HostFileErase.
func (c *Client) EraseFile(fn func(OTAStatus)) error {
	return c.eraseFile(verdictOnly(fn), nil)
}

// EraseFileHook is EraseFile for a layer above, see DownloadFileHook.
func (c *Client) EraseFileHook(fn func(OTAStatus)) error {
	return c.eraseFile(nil, verdictOnly(fn))
}

func verdictOnly(fn func(OTAStatus)) func(fileVerdict) {
	if fn == nil {
		return nil
	}
	return func(v fileVerdict) { fn(v.status) }
}

func (c *Client) eraseFile(fn, hook func(fileVerdict)) error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	return d.startFile(fileErase, fn, hook, func() error { return d.sendNone(hif.OpEraseFile) })
}

// startFile makes job the one that runs, if there is none. Lock held.
func (d *Driver) startFile(job fileJob, fn, hook func(fileVerdict), request func() error) error {
	if d.file.job != noFileJob {
		return ErrBusy
	}
	if err := request(); err != nil {
		return err
	}
	d.file.job, d.file.fn, d.file.hook = job, fn, hook
	return nil
}

// askBlock requests the next bytes of a read. Lock held.
func (d *Driver) askBlock() error {
	r := &d.file.read
	n := min(len(r.p)-r.n, hif.MaxFileBlock)
	return send(d, hif.OpReadFile, hif.ReadFile{Offset: uint32(r.off + int64(r.n)), Size: uint32(n)})
}

// askFile asks what file there is, unless the answer is under way. Lock held.
func (d *Driver) askFile() error {
	if d.file.asked {
		return nil
	}
	err := d.sendNone(hif.OpGetFileStatus)
	d.file.asked = err == nil
	return err
}

// hostFile names the file that there is. Lock held.
func (d *Driver) hostFile() HostFile {
	return HostFile{c: d.client, id: d.file.id, life: d.file.life, size: d.file.size}
}

// forget makes all HostFiles void: it has to be asked what there is now.
func (f *hostFileState) forget() {
	f.asked, f.known, f.has = false, false, false
	f.life++
}

// nextClient is the state for another client. What an earlier one has asked for
// is still answered, in order, so answers to its reads can be told from ours.
func (f hostFileState) nextClient() hostFileState {
	if f.job == fileReading {
		f.late++
	}
	return hostFileState{life: f.life + 1, late: f.late}
}

// found takes what the device says there is; a file of no size is none.
func (f *hostFileState) found(m hif.FileStatus) {
	f.forget()
	if f.known = true; m.Status == hif.UpdateOK && m.Handler != hif.NoFile && m.Size > 0 {
		f.has, f.id, f.size = true, m.Handler, int64(m.Size)
	}
}

// handleFileStatus is the answer to askFile. One that a job has overtaken is of no
// use, and one that says that an update keeps the device busy tells nothing.
func (d *Driver) handleFileStatus(m hif.FileStatus) {
	f := &d.file
	switch {
	case !f.asked || f.known:
		d.stats.Stale++
		return
	case m.Status == hif.UpdateInProgress:
		f.asked = false
	default:
		f.found(m)
	}
	d.hook(Notice{Kind: NoticeFile})
}

// handleDownloaded ends a download. Lock held.
func (d *Driver) handleDownloaded(m hif.FileStatus) {
	if d.file.job != fileDownload {
		d.stats.Stale++
		return
	}
	v := fileVerdict{status: OTAStatus(m.Status)}
	if v.status == OTAComplete {
		if d.file.found(m); d.file.has {
			v.file = d.hostFile()
		} else {
			v.status = OTAFail // it says that it has stored nothing
		}
	}
	d.fileDone(v)
}

// handleFileData takes a block of a read and asks for the next. Lock held.
func (d *Driver) handleFileData(m hif.FileData) {
	f := &d.file
	switch {
	case f.late > 0:
		f.late--
		d.stats.Stale++
		return
	case f.job != fileReading:
		d.stats.Stale++
		return
	case m.Status != hif.UpdateOK:
		d.fileDone(fileVerdict{status: OTAStatus(m.Status), n: f.read.n})
		return
	}
	r := &f.read
	k := copy(r.p[r.n:], m.Data)
	r.n += k
	if k == 0 || r.n == len(r.p) {
		d.fileDone(fileVerdict{n: r.n})
		return
	}
	if d.askBlock() != nil {
		d.fileDone(fileVerdict{status: OTAFail, n: r.n})
	}
}

// handleErased ends an EraseFile. Lock held.
func (d *Driver) handleErased(m hif.FileErased) {
	if d.file.job != fileErase {
		d.stats.Stale++
		return
	}
	if m.Status == hif.UpdateOK {
		d.file.found(hif.FileStatus{Handler: hif.NoFile})
	}
	d.fileDone(fileVerdict{status: OTAStatus(m.Status)})
}

// fileDone ends the job, which does not run any more when the callback hears it.
// Lock held.
func (d *Driver) fileDone(v fileVerdict) {
	f := &d.file
	fn, hook := f.fn, f.hook
	f.job, f.fn, f.hook, f.read = noFileJob, nil, nil, fileRead{}
	if hook != nil {
		d.hooks = append(d.hooks, hookCall{fn: func() { hook(v) }})
	}
	if fn != nil {
		d.postClient(func() { fn(v) })
	}
}

// abortFile ends the job of a device that is lost. Lock held.
func (d *Driver) abortFile() {
	if d.file.job != noFileJob {
		d.fileDone(fileVerdict{status: OTAFail, n: d.file.read.n})
	}
}
