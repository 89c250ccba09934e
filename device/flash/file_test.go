package flash

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestFileIsKeptAcrossRuns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "winc.img")
	f, err := OpenFile(path, fresh)
	if err != nil {
		t.Fatal(err)
	}
	f.SetNetworks(networks(3))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f, err = OpenFile(path, Format{Size: Size8M}) // counts for new files only
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if l, err := f.Networks(); err != nil || len(l) != 3 || f.Size() != Size4M {
		t.Errorf("%v, %v, %d bytes", l, err, f.Size())
	}
	if b, err := f.Boot(); err != nil || b.Running.Block != fresh.Block || b.Running.Version != fresh.Version {
		t.Errorf("%+v, %v", b, err)
	}
}

func TestFileIsLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "winc.img")
	f, err := OpenFile(path, fresh)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFile(path, fresh); !errors.Is(err, ErrLocked) {
		t.Errorf("second: %v", err)
	}
	f.Close()
	f, err = OpenFile(path, fresh)
	if err != nil {
		t.Errorf("after close: %v", err)
	} else {
		f.Close()
	}
}

func TestDamagedFilesAreLeftAlone(t *testing.T) {
	dir := t.TempDir()
	good := readAll(t, chip(t, fresh), 0, Size4M)
	noControl := bytes.Clone(good)
	copy(noControl[0x1000:], make([]byte, 0x2000))
	for name, tc := range map[string]struct {
		b    []byte
		want error
	}{
		"cut off":         {good[:100_000], ErrSize},
		"too long":        {append(bytes.Clone(good), 0), ErrSize},
		"text":            {[]byte("my thesis"), ErrSize},
		"both copies bad": {noControl, ErrControl},
		"all zero":        {make([]byte, Size8M), ErrControl},
		"all ones":        {bytes.Repeat([]byte{0xff}, Size8M), ErrControl},
	} {
		path := filepath.Join(dir, "f")
		if err := os.WriteFile(path, tc.b, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenFile(path, fresh); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", name, err)
		}
		if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, tc.b) {
			t.Errorf("%s: the file was changed (%v)", name, err)
		}
	}
	// One good copy is enough, and opening repairs nothing; booting does.
	oneGood := bytes.Clone(good)
	copy(oneGood[0x1000:], make([]byte, 0x1000))
	path := filepath.Join(dir, "g")
	os.WriteFile(path, oneGood, 0o666)
	f, err := OpenFile(path, fresh)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Boot(); err != nil {
		t.Error(err)
	}
	f.Close()
	if now, _ := os.ReadFile(path); !bytes.Equal(now, good) {
		t.Error("the main copy was not repaired at boot")
	}
}

func TestFileErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenFile(dir, fresh); err == nil {
		t.Error("opened a directory")
	}
	if _, err := OpenFile(filepath.Join(dir, "no", "such"), fresh); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no such directory: %v", err)
	}
	if _, err := OpenFile(filepath.Join(dir, "x"), Format{Size: 5}); !errors.Is(err, ErrSize) {
		t.Errorf("impossible size: %v", err)
	}
}
