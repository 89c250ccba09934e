//go:build !linux

package packet

import (
	"errors"
	"os"
	"runtime"

	"github.com/understudy-net/understudy/uplink/frames"
)

// A device cannot be opened here.
type device struct{ mtu int }

func open(c Config) (*device, error) {
	return nil, &frames.Error{Op: "open packet socket on", Device: c.Interface, Err: errors.ErrUnsupported,
		Hint: "packet sockets are Linux's, this is " + runtime.GOOS + ": use uplink/user, which needs nothing"}
}

func (*device) Read(*frames.Batch) (int, error) { return 0, os.ErrClosed }
func (*device) Write([]byte) error              { return os.ErrClosed }
func (*device) Close() error                    { return nil }
func (*device) overruns() uint64                { return 0 }
