package driver_test

import (
	"errors"
	"testing"

	"github.com/understudy-net/understudy/driver"
)

func TestErrorsSayTheirName(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want string
	}{
		{driver.ErrBufferFull, "socket: BUFFER_FULL (-14): the device has no buffer; try again after the next message"},
		{driver.SockErr(-5), "socket: sockerr(-5) (-5)"},
		{driver.SockErr(-128), "socket: sockerr(-128) (-128)"},
		{driver.SockErr(3), "socket: sockerr(3) (3)"},
		{driver.SockErr(0), "socket: NO_ERROR (0)"},
		{driver.ErrNotOpen, "driver: NOT_OPEN: the client is closed; call Driver.Open"},
		{driver.Status(99), "driver: status(99)"},
		{driver.ErrAuthFail, "connection: AUTH_FAIL: authentication failed; check the passphrase"},
		{driver.ConnError(99), "connection: connerr(99)"},
	} {
		if got := tc.err.Error(); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
	for _, e := range []error{driver.ErrConnected, driver.ErrBusy, driver.ErrMode, driver.ErrBus} {
		if !errors.Is(e, driver.ErrRequest) || errors.Is(e, driver.ErrInvalid) {
			t.Error(e, "is not a REQUEST_ERROR alone")
		}
	}
}
