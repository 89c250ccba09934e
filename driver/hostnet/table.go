package hostnet

import (
	"time"

	"github.com/understudy-net/understudy/driver"
)

// entry is the user of a socket id.
type entry struct {
	sock driver.Socket
	ep   endpoint
}

// endpoint is what a socket belongs to: stream, acceptor, datagram. Lock held.
type endpoint interface {
	event(now time.Time, ev driver.Event)
	// fail is the end: the socket is gone without its doing.
	fail(now time.Time, err error)
	// retry tells a writer that a buffer may be free now.
	retry()
}

func (n *Net) register(s driver.Socket, ep endpoint) { n.table[s.ID()] = entry{s, ep} }

// entry finds the user of a socket, nil if it has none any more. The table may
// be that of another device by now, with fewer sockets.
func (n *Net) entry(s driver.Socket) *entry {
	if i := s.ID(); i >= 0 && i < len(n.table) && n.table[i].sock == s {
		return &n.table[i]
	}
	return nil
}

// release gives a socket back. Lock held.
func (n *Net) release(s driver.Socket) error {
	if e := n.entry(s); e != nil {
		*e = entry{}
	}
	return s.Close()
}

// socketEvent is the hook of all sockets that a Net makes. It runs on the pump.
func (n *Net) socketEvent(s driver.Socket, ev driver.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	e := n.entry(s)
	if e == nil {
		if ev.Kind == driver.KindAccept && ev.Err == nil {
			_ = ev.Socket.Close()
		}
		return
	}
	e.ep.event(n.now(), ev)
	if !n.retryAt.IsZero() { // a message came: buffers may be free
		n.retryAt = time.Time{}
		for _, e := range n.table {
			if e.ep != nil {
				e.ep.retry()
			}
		}
	}
}

// refusedFor is how long a refused send waits if no message comes before.
const refusedFor = 2 * time.Millisecond

// refused notes that the device had no buffer. Lock held.
func (n *Net) refused(now time.Time) { n.retryAt = now.Add(refusedFor) }
