package main

import (
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"regexp"
	"testing"

	"github.com/understudy-net/understudy/device/flash"
)

func TestFlashInspectShowsBothCopiesOfTheControlSection(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(t *testing.T, f *flash.Flash)
		want   []string
	}{
		"alike: the main one counts": {func(*testing.T, *flash.Flash) {}, []string{
			`  main copy +sequence 1, firmware image 1 works, firmware image 2 is invalid; in force`,
			`  backup copy +sequence 1, firmware image 1 works, firmware image 2 is invalid`,
		}},
		// What a cut of power leaves between the two writes of a switch.
		"the newer one counts": {func(t *testing.T, f *flash.Flash) {
			c, err := f.Control()
			must(t, err)
			c.Rollback.Mark = flash.Valid
			c = c.Switched()
			c.Sequence++
			p, err := f.Region(flash.ControlBackup)
			must(t, err)
			must(t, p.Erase(0, 1))
			_, err = p.WriteAt(c.Append(nil), 0)
			must(t, err)
		}, []string{
			`  main copy +sequence 1, firmware image 1 works, firmware image 2 is invalid`,
			`  backup copy +sequence 2, firmware image 2 works, firmware image 1 is valid; in force`,
		}},
		"the good one counts": {func(t *testing.T, f *flash.Flash) { must(t, f.Erase(0x1000)) }, []string{
			`  main copy +no good: flash: no valid control section: erased`,
			`  backup copy +sequence 1, .*; in force`,
		}},
		"none": {func(t *testing.T, f *flash.Flash) {
			must(t, f.Erase(0x1000))
			_, err := f.WriteAt(make([]byte, 4), 0x2000)
			must(t, err)
		}, []string{`  main copy +no good: .*erased`, `  backup copy +no good: .*magic 0x0, want 0x1abcdef9`}},
		"no slot": {func(t *testing.T, f *flash.Flash) {
			c, err := f.Control()
			must(t, err)
			c.Rollback.Offset = 0x1234
			_, err = f.SetControl(c)
			must(t, err)
		}, []string{`  main copy +sequence 2, firmware image 1 works, 0x1234, which is no slot, is invalid; in force`}},
	} {
		t.Run(name, func(t *testing.T) {
			f := factory(t)
			tc.change(t, f)
			got := inspected(t, f, false)
			for _, w := range tc.want {
				if !regexp.MustCompile(`(?m)^` + w + `$`).MatchString(got) {
					t.Errorf("no line %q in\n%s", w, got)
				}
			}
		})
	}
}

func TestFlashInspectShowsTheHostFile(t *testing.T) {
	f := factory(t)
	if got := inspected(t, f, false); !regexp.MustCompile(`(?m)^host file +none$`).MatchString(got) {
		t.Error(got)
	}
	b := append([]byte("HF"), 7, 0xff) // a record of its directory, see device/ota
	b = binary.LittleEndian.AppendUint32(b, 1234)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	p, err := f.Region(flash.HostFile)
	must(t, err)
	_, err = p.WriteAt(b, 0)
	must(t, err)
	if got := inspected(t, f, false); !regexp.MustCompile(`(?m)^host file +1234 bytes, id 7$`).MatchString(got) {
		t.Error(got)
	}
	r, err := inspectFlash(f, false)
	must(t, err)
	j, err := json.Marshal(r)
	must(t, err)
	for _, w := range []string{`"host_file":{"bytes":1234,"id":7}`, `"control_copies":[{"copy":"main","in_force":true,"sequence":1,`, `"min_driver":"19.3.0","chip":"0x1003a0"`} {
		if !regexp.MustCompile(regexp.QuoteMeta(w)).Match(j) {
			t.Errorf("no %s in %s", w, j)
		}
	}
}
