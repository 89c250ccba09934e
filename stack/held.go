package stack

import (
	"time"

	"github.com/understudy-net/understudy/stack/tcp"
)

// heldSock returns the connection if it is held.
func (c TCP) heldSock() (*tcpSock, error) {
	k, err := c.sock()
	if err != nil {
		return nil, err
	}
	if !k.held {
		return nil, ErrNotConnected
	}
	return k, nil
}

// Accept answers a held SYN: the handshake goes on, and the event Connected says how it ended.
func (c TCP) Accept(now time.Time) error {
	k, err := c.heldSock()
	if err != nil {
		return err
	}
	t := c.s.at(now)
	k.held = false
	k.conn.Release(t)
	c.s.stats.TCP.Accepted++
	c.s.afterTCP(now, t, k, 0)
	c.s.touch()
	return nil
}

// Refuse answers a held SYN with RST, as a closed port would. The handle is stale.
func (c TCP) Refuse(now time.Time) error {
	k, err := c.heldSock()
	if err != nil {
		return err
	}
	c.s.orphan(k)
	c.s.afterTCP(now, c.s.at(now), k, k.conn.Refuse())
	c.s.touch()
	return nil
}

// Drop forgets a held SYN without an answer, as if nobody were there. The handle is stale.
func (c TCP) Drop(now time.Time) error {
	k, err := c.heldSock()
	if err != nil {
		return err
	}
	c.s.orphan(k)
	c.s.afterTCP(now, c.s.at(now), k, k.conn.Kill(tcp.CauseAborted))
	c.s.touch()
	return nil
}
