package flash

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// ErrLocked says that another process, or another OpenFile in this one, has the file.
var ErrLocked = errors.New("flash: file is in use by another device")

// OpenFile opens the image of a chip in a file and locks it until [Flash.Close]. If there is no file, or an empty one, it
// makes a fresh image as t says; otherwise t does not count, and the size is that of the file.
//
// A file that is damaged is not changed: the error says what is wrong with it ([ErrSize], [ErrControl]). So is one that is
// locked ([ErrLocked]). Where the system has no locks that we know of, the error is [errors.ErrUnsupported].
func OpenFile(path string, t Format) (*Flash, error) {
	file, err := openLocked(path)
	if err != nil {
		return nil, err
	}
	f, err := openImage(file, t)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("flash image %s: %w", path, err), file.Close())
	}
	f.close = func() error { return errors.Join(file.Sync(), file.Close()) }
	return f, nil
}

func openImage(file *os.File, t Format) (*Flash, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	if info.Size() == 0 {
		if err := createImage(file, t); err != nil {
			return nil, err
		}
		return Open(file, int64(t.size()))
	}
	f, err := Open(file, info.Size())
	if errors.Is(err, ErrSize) || errors.Is(err, ErrControl) {
		err = fmt.Errorf("%w\nthe file was not changed; give another one, or remove it to start with a fresh chip", err)
	}
	return f, err
}

// createImage writes a fresh image, from its beginning to its end: one that is cut off has not the size of a chip.
func createImage(file *os.File, t Format) error {
	b, err := t.Base()
	if err != nil {
		return err
	}
	if _, err := io.Copy(file, io.NewSectionReader(b.New(), 0, int64(b.size))); err != nil {
		return errors.Join(err, file.Truncate(0))
	}
	return file.Sync()
}
