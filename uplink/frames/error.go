package frames

import (
	"errors"
	"fmt"
	"os"
)

// ErrDeviceGone says that the device was taken away while it was in use.
var ErrDeviceGone = errors.New("the device is gone")

// Error says what went wrong with a device of the host, and what to do about
// it.
type Error struct {
	Op     string // what was tried: "open", "set up", ...
	Device string // which device: "tap0", "eth0", ...
	Err    error  // why it failed; errors.ErrUnsupported on other systems than Linux
	Hint   string // what to do; may be empty
}

// Error says all on one or two lines.
func (e *Error) Error() string {
	s := fmt.Sprintf("%s %s: %v", e.Op, e.Device, e.Err)
	if e.Hint != "" {
		s += "\n" + e.Hint
	}
	return s
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Denied reports whether err says that the host asks for more rights.
func Denied(err error) bool { return errors.Is(err, os.ErrPermission) }
