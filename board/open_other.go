//go:build !linux

package board

import (
	"errors"
	"fmt"
	"runtime"
)

// Open opens the bus that s describes in the form of [Parse]. It is there for Linux only, and fails with
// errors.ErrUnsupported elsewhere; use [New] with a USB bridge.
func Open(s string) (*Port, error) {
	if _, err := Parse(s); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("board: %w: spidev is a thing of Linux, this is %s", errors.ErrUnsupported, runtime.GOOS)
}
