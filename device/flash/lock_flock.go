//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package flash

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// openLocked opens a file, making it if there is none, and takes its lock: flock, which is gone with the process.
func openLocked(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrLocked
	}
	return nil, errors.Join(fmt.Errorf("flash image %s: %w", path, err), f.Close())
}
