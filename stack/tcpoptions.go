package stack

import (
	"time"
)

// SetNoDelay sends small segments at once, without waiting for ACKs (Nagle's algorithm off).
func (c TCP) SetNoDelay(on bool) error {
	k, err := c.sock()
	if err == nil {
		k.conn.SetNoDelay(on)
	}
	return err
}

// SetKeepAlive sends count probes, interval apart, once nothing came for a time idle; without an
// answer the connection ends with ErrTimeout. An idle of 0 turns it off, which is the default (RFC
// 9293, 3.8.4). Common values are 2 h, 75 s and 9.
func (c TCP) SetKeepAlive(now time.Time, idle, interval time.Duration, count int) error {
	k, err := c.sock()
	if err != nil {
		return err
	}
	k.conn.SetKeepAlive(c.s.at(now), idle, interval, count)
	c.s.timers.lower(k, k.conn.Deadline())
	c.s.touch()
	return nil
}

// SetUserTimeout ends the connection with ErrTimeout when data stay unacknowledged for d (RFC 9293,
// 3.8.3); 0 is the default of tcp.Config.
func (c TCP) SetUserTimeout(now time.Time, d time.Duration) error {
	k, err := c.sock()
	if err != nil {
		return err
	}
	c.s.at(now)
	k.conn.SetUserTimeout(d)
	c.s.timers.lower(k, k.conn.Deadline())
	c.s.touch()
	return nil
}

// SetBuffers bounds what waits to be read and to be acknowledged, in bytes; see
// tcp.Conn.SetBuffers.
func (c TCP) SetBuffers(recv, send int) error {
	k, err := c.sock()
	if err == nil {
		k.conn.SetBuffers(recv, send)
	}
	return err
}

// SetTTL and SetTOS set the TTL and the DSCP/ECN byte of packets sent from now on; a TTL of 0 is
// the stack's (MUST-48, MUST-49).
func (c TCP) SetTTL(ttl uint8) error {
	k, err := c.sock()
	if err == nil {
		k.ttl = ttl
	}
	return err
}

// SetTOS: see SetTTL.
func (c TCP) SetTOS(tos uint8) error {
	k, err := c.sock()
	if err == nil {
		k.tos = tos &^ 3 // ECN is not spoken
	}
	return err
}
