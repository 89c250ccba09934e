package ota

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/device/flash"
)

var le = binary.LittleEndian

// File is the host file: a file that the host had the device download, to read it later (spec hif-messages 4.2, driver-api 2.13).
// There is at most one.
type File struct {
	ID   uint8 // another one for each file, never hif.NoFile
	Size uint32
}

// Reasons about the host file.
var (
	errNoFile   = errors.New("there is no host file")
	errPastFile = errors.New("beyond the end of the host file")
	errFullFile = errors.New("more than the flash has room for")
)

// The host file's region begins with a sector for its directory, a row of records; the last one that is good counts. So a new file
// costs a program, and what a cut of power leaves behind is the file before, or none: never a wrong one. The format is our own,
// little-endian:
//
//	 0 2  mark "HF"
//	 2 1  id
//	 3 1  0xff; 0 once the file is erased
//	 4 4  size of the file
//	 8 4  CRC-32 (IEEE) of the file
//	12 4  CRC-32 of the record before it, with 0xff at 3
const (
	recordLen  = 16
	recordMark = "HF"
	recordGone = 3 // where it says that the file is erased
	maxRecords = flash.SectorSize / recordLen
	fileFrom   = flash.SectorSize
)

type record struct {
	File
	sum uint32
}

func (r record) append(b []byte) []byte {
	n := len(b)
	b = append(append(b, recordMark...), r.ID, 0xff)
	b = le.AppendUint32(b, r.Size)
	b = le.AppendUint32(b, r.sum)
	return le.AppendUint32(b, crc32.ChecksumIEEE(b[n:]))
}

func parseRecord(b []byte) (r record, live, ok bool) {
	r = record{File{b[2], le.Uint32(b[4:])}, le.Uint32(b[8:])}
	live = b[recordGone] == 0xff
	var want [recordLen]byte
	r.append(want[:0])
	want[recordGone] = b[recordGone]
	return r, live, string(b[:recordLen]) == string(want[:]) && r.ID != hif.NoFile
}

// directory is a look at the first sector.
type directory struct {
	part flash.Part
	file File
	has  bool // there is a file
	at   int  // where its record lies
	last int  // the latest id, -1: none is known
	free int  // where the next record can go
}

func readDirectory(f *flash.Flash) (directory, error) {
	p, err := f.Region(flash.HostFile)
	d := directory{part: p, last: -1}
	if err != nil {
		return d, err
	}
	var b [flash.SectorSize]byte
	if _, err := p.ReadAt(b[:], 0); err != nil {
		return d, err
	}
	for ; d.free < len(b); d.free += recordLen {
		r, live, ok := parseRecord(b[d.free:])
		if ok {
			d.last, d.file, d.has, d.at = int(r.ID), r.File, live && int(r.Size) <= p.Size()-fileFrom, d.free
		} else if blank(b[d.free:][:recordLen]) {
			break
		}
	}
	if !blank(b[d.free:]) {
		d.free = len(b) // an erase was cut off
	}
	return d, nil
}

func blank(b []byte) bool {
	for _, v := range b {
		if v != 0xff {
			return false
		}
	}
	return true
}

// drop says of the file that it is erased.
func (d *directory) drop() error {
	if !d.has {
		return nil
	}
	d.has = false
	_, err := d.part.WriteAt([]byte{0}, int64(d.at+recordGone))
	return err
}

// add stores that there is a file.
func (d *directory) add(r record) error {
	if d.free+recordLen > flash.SectorSize {
		if err := d.part.Erase(0, 1); err != nil {
			return err
		}
		d.free = 0
	}
	if _, err := d.part.WriteAt(r.append(nil), int64(d.free)); err != nil {
		return err
	}
	var b [recordLen]byte
	if _, err := d.part.ReadAt(b[:], int64(d.free)); err != nil {
		return err
	}
	if got, live, ok := parseRecord(b[:]); !ok || !live || got != r {
		return errBadSector
	}
	return nil
}

// fileSink is the sink of the host file.
type fileSink struct {
	dir  directory
	out  writer
	done File // the file, once it is stored
}

// open forgets the file that there is.
func (s *fileSink) open(f *flash.Flash) error {
	d, err := readDirectory(f)
	if err == nil {
		err = d.drop()
	}
	if err != nil {
		return stored(err)
	}
	*s = fileSink{dir: d, out: writer{part: d.part, from: fileFrom}}
	return nil
}

func (s *fileSink) begin(n int64) error {
	if n > int64(s.out.room()) {
		return &Error{hif.UpdateNoFlash, fmt.Errorf("%w: %d bytes of %d", errFullFile, n, s.out.room())}
	}
	s.out.rewind()
	return nil
}

func (s *fileSink) Write(p []byte) error {
	if s.out.at+s.out.n+len(p) > s.out.room() {
		return &Error{hif.UpdateNoFlash, fmt.Errorf("%w: %d bytes", errFullFile, s.out.room())}
	}
	if err := s.out.write(p); err != nil {
		return stored(err)
	}
	return nil
}

func (s *fileSink) finish() error {
	if err := s.out.verify(); err != nil {
		return stored(err)
	}
	f := File{ID: uint8((s.dir.last + 1) % hif.NoFile), Size: uint32(s.out.at)}
	if err := s.dir.add(record{f, s.out.sum}); err != nil {
		return stored(err)
	}
	s.done = f
	return nil
}

// File returns the host file. The error is an [*Error]; while a file is being downloaded there is none.
func (u *Updater) File() (File, error) {
	if u.job == HostFile {
		return File{}, &Error{hif.UpdateInProgress, errBusy}
	}
	d, err := readDirectory(u.c.Flash)
	switch {
	case err != nil:
		return File{}, stored(err)
	case !d.has:
		return File{}, &Error{hif.UpdateFailed, errNoFile}
	}
	return d.file, nil
}

// ReadFile reads from the host file, from off on, and returns how many bytes of p that fills: fewer than len(p) at its end. The
// error is an [*Error]: a download runs, there is no file, or off is beyond its end.
func (u *Updater) ReadFile(off uint32, p []byte) (int, error) {
	f, err := u.idleFile()
	switch {
	case err != nil:
		return 0, err
	case off > f.Size:
		return 0, &Error{hif.UpdateInvalidArg, errPastFile}
	}
	part, err := u.c.Flash.Region(flash.HostFile)
	if err != nil {
		return 0, stored(err)
	}
	n := min(len(p), int(f.Size-off))
	if _, err := part.ReadAt(p[:n], int64(fileFrom)+int64(off)); err != nil && n > 0 {
		return 0, stored(err)
	}
	return n, nil
}

// EraseFile erases the host file. The error is an [*Error]: a download runs, or the flash fails. Without a file all is well.
func (u *Updater) EraseFile(time.Time) error {
	if u.Busy() {
		return &Error{hif.UpdateInProgress, errBusy}
	}
	d, err := readDirectory(u.c.Flash)
	if err == nil {
		err = d.drop()
	}
	if err != nil {
		return stored(err)
	}
	return nil
}

func (u *Updater) idleFile() (File, error) {
	if u.Busy() {
		return File{}, &Error{hif.UpdateInProgress, errBusy}
	}
	return u.File()
}
