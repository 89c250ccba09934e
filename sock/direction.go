package sock

import (
	"net"
	"os"
	"time"
)

// direction is one of the two ways of a socket: who waits for it, and until
// when.
type direction struct {
	q        Waiters
	deadline time.Time // on the owner's clock; zero: none
}

// mayNot says why a call must not go on. Lock held.
func (d *direction) mayNot(o Owner, closed bool, now time.Time) error {
	switch {
	case closed || o.Closed():
		return net.ErrClosed
	case !d.deadline.IsZero() && !now.Before(d.deadline):
		return os.ErrDeadlineExceeded
	}
	return nil
}
