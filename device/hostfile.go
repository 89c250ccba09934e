package device

import (
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/device/ota"
)

// fileRequest is the part of group OTA that is about the host file: one file of up to 508 KiB, which the device downloads and the
// host reads. Spec hif-messages 4.2, driver-api 2.13.
func (f *firmware) fileRequest(now time.Time, r request) {
	switch r.Op {
	case hif.OpGetFileStatus:
		file, err := f.ota.u.File()
		reply(f.d, hif.OpFileStatus, fileStatus(file, err))
	case hif.OpDownloadFile:
		m, err := hif.ParseURL(r.payload)
		if err != nil {
			f.malformed(now, r, err.Error())
		}
		f.ota.u.Download(now, ota.Request{URL: m.URL})
	case hif.OpReadFile:
		parsed(f, now, r, hif.ParseReadFile, f.readFile)
	case hif.OpEraseFile:
		reply(f.d, hif.OpFileErased, hif.FileErased{Status: ota.Result(f.ota.u.EraseFile(now))})
	default:
		f.unknown(now, r)
	}
}

// fileStatus is what the host is told of a file, or why there is none.
func fileStatus(file ota.File, err error) hif.FileStatus {
	if err != nil {
		return hif.FileStatus{Status: ota.Result(err), Handler: hif.NoFile}
	}
	return hif.FileStatus{Size: file.Size, Handler: file.ID}
}

// readFile is HOST_FILE_READ: one block, of as many bytes as are asked for, as fit into a message, and as there are. Hosts ask again
// for the rest.
func (f *firmware) readFile(_ time.Time, m hif.ReadFile) {
	var b [hif.MaxFileBlock]byte
	n, err := f.ota.u.ReadFile(m.Offset, b[:min(m.Size, hif.MaxFileBlock)])
	e := f.d.out.push(maxReplies)
	if e == nil {
		f.d.counters.RepliesLost++
		return
	}
	e.kind, e.op = entryMessage, hif.OpFileData
	e.rest = hif.FileData{Status: ota.Result(err), Data: b[:n]}.Append(nil)
}
