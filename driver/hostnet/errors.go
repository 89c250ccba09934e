package hostnet

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/understudy-net/understudy/driver"
)

// ErrNoAddress: the network was joined, but DHCP gave no address. The device
// keeps trying; WaitLink waits for it.
var ErrNoAddress = errors.New("joined, but DHCP gave no address")

// ErrLinkLost: the network was lost, or left, before the call was done.
var ErrLinkLost = errors.New("the link was lost")

// ErrStopped: what was waited for was ended by another call.
var ErrStopped = errors.New("stopped by another call")

// ErrTimeUnknown: the device does not know the time yet.
var ErrTimeUnknown = errors.New("the device does not know the time yet")

// ErrNoAnswer: the device has not answered within Config.AnswerLimit, although it
// still takes messages. Its firmware hangs: driver.Driver.Restart.
var ErrNoAnswer error = noAnswer{}

type noAnswer struct{}

func (noAnswer) Error() string { return "the device does not answer; restart the driver" }
func (noAnswer) Timeout() bool { return true }

// closedErr makes errors of a driver or socket that is gone match net.ErrClosed.
func closedErr(err error) error {
	for _, gone := range []error{driver.ErrClosed, driver.ErrNotOpen, driver.ErrNotReady} {
		if errors.Is(err, gone) {
			return fmt.Errorf("%w: %w", net.ErrClosed, err)
		}
	}
	return err
}

// linkErr explains a failed request by the missing link, if it is missing:
// it then matches syscall.ENETUNREACH.
func linkErr(c *driver.Client, err error) error {
	var code driver.SockErr
	if errors.As(err, &code) && c.Err() == nil && !c.LinkUp() {
		return fmt.Errorf("%w: no address yet: %w", syscall.ENETUNREACH, err)
	}
	return err
}

// opError wraps the error of an operation that has no conn yet.
func opError(op, network string, addr net.Addr, err error) error {
	if err == nil {
		return nil
	}
	return &net.OpError{Op: op, Net: network, Addr: addr, Err: err}
}
