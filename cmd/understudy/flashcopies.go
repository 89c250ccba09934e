package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/understudy-net/understudy/device/flash"
	"github.com/understudy-net/understudy/device/ota"
)

// flashCopy is one copy of the control section.
type flashCopy struct {
	Copy     string `json:"copy"` // main or backup
	InForce  bool   `json:"in_force"`
	Sequence uint32 `json:"sequence,omitempty"`
	Working  string `json:"working,omitempty"`  // the image that runs
	Rollback string `json:"rollback,omitempty"` // the other one
	Mark     string `json:"mark,omitempty"`     // of the other one
	Why      string `json:"why,omitempty"`      // the copy is no good
}

// flashHostFile is the file that a host had the device download.
type flashHostFile struct {
	Bytes uint32 `json:"bytes"`
	ID    uint8  `json:"id"`
}

// copies looks at both copies of the control section.
func (r *flashReport) copies(f *flash.Flash) error {
	force, err := f.Control()
	good := err == nil
	for _, k := range []struct {
		name string
		at   flash.Region
	}{{"main", flash.ControlMain}, {"backup", flash.ControlBackup}} {
		p, err := f.Region(k.at)
		if err != nil {
			return err
		}
		var b [flash.ControlLen]byte
		if _, err := p.ReadAt(b[:], 0); err != nil {
			return err
		}
		c, err := flash.ParseControl(b[:])
		if err != nil {
			r.Copies = append(r.Copies, flashCopy{Copy: k.name, Why: err.Error()})
			continue
		}
		r.Copies = append(r.Copies, flashCopy{
			Copy: k.name, Sequence: c.Sequence, Mark: c.Rollback.Mark.String(),
			Working: slotName(f, c.Working.Offset), Rollback: slotName(f, c.Rollback.Offset),
			InForce: good && c.Sequence == force.Sequence,
		})
	}
	if r.Copies[0].InForce { // of two with one number the main copy counts
		r.Copies[1].InForce = false
	}
	return nil
}

// slotName is what the map calls the slot at an offset.
func slotName(f *flash.Flash, at uint32) string {
	for _, g := range []flash.Region{flash.Firmware1, flash.Firmware2} {
		if p, err := f.Region(g); err == nil && p.Offset() == int(at) {
			return g.String()
		}
	}
	return fmt.Sprintf("%#x, which is no slot,", at)
}

// hostFile looks for the host file.
func (r *flashReport) hostFile(f *flash.Flash) error {
	file, err := ota.New(ota.Config{Flash: f}).File() // without a network it can do that
	if err == nil {
		r.HostFile = &flashHostFile{Bytes: file.Size, ID: file.ID}
		return nil
	}
	if errors.As(err, new(*ota.Error)) { // there is none, or no region for one
		return nil
	}
	return err
}

func (r *flashReport) printCopies(w io.Writer) {
	for _, c := range r.Copies {
		text := "no good: " + c.Why
		if c.Why == "" {
			text = fmt.Sprintf("sequence %d, %s works, %s is %s", c.Sequence, c.Working, c.Rollback, c.Mark)
		}
		if c.InForce {
			text += "; in force"
		}
		fmt.Fprintf(w, "  %s copy\t%s\n", c.Copy, text)
	}
}

func (r *flashReport) printHostFile(w io.Writer) {
	if r.HostFile == nil {
		fmt.Fprintf(w, "host file\tnone\n")
		return
	}
	fmt.Fprintf(w, "host file\t%s, id %d\n", plural(int(r.HostFile.Bytes), "byte", "bytes"), r.HostFile.ID)
}
