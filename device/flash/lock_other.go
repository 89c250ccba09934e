//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package flash

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

// openLocked refuses: without a lock two devices could write the same image.
func openLocked(path string) (*os.File, error) {
	return nil, fmt.Errorf("flash image %s: locking files on %s: %w; keep the flash in memory", path, runtime.GOOS, errors.ErrUnsupported)
}
