package provision

import (
	"io"
	"time"

	"github.com/understudy-net/understudy/sock/co"
)

// phase is where a connection stands.
type phase uint8

const (
	phaseRequest phase = iota // the request is coming in
	phaseScan                 // the page waits for a scan
	phaseAnswer               // the answer goes out
	phaseGoodbye              // all is sent; the browser closes its side
	phaseEnded
)

// maxRest is what a browser may still send behind its request before it is cut off.
const maxRest = 64 << 10

// Conn is a connection to a [Server].
type Conn struct {
	s      *Server
	stream Stream
	co     *co.Conn
	phase  phase
	limit  time.Time // of the phase
}

// start begins to read.
func (c *Conn) start(now time.Time) {
	c.enter(now, phaseRequest, requestTime)
	co.Go(c.stream, now, func(conn *co.Conn) error {
		c.co = conn
		return c.run()
	})
	c.settle(now)
}

func (c *Conn) enter(now time.Time, p phase, d time.Duration) {
	if c.phase != phaseEnded { // else the coroutine is being stopped
		c.phase, c.limit = p, now.Add(d)
	}
}

// run is the coroutine: one request, one answer. Then the browser closes first, so that no byte of its that comes late
// resets the connection before it has read the answer (RFC 9112, 9.6).
func (c *Conn) run() error {
	answer := c.serve()
	c.enter(c.co.Now(), phaseAnswer, answerTime)
	if _, err := c.co.Write(answer); err != nil {
		return err
	}
	if err := c.co.CloseWrite(); err != nil {
		return err
	}
	c.enter(c.co.Now(), phaseGoodbye, goodbyeTime)
	_, err := io.Copy(io.Discard, io.LimitReader(c.co, maxRest))
	return err
}

// Ready goes on when the stream can be read or written, or has ended.
func (c *Conn) Ready(now time.Time) {
	c.s.seen = now
	if c.phase != phaseEnded {
		c.co.Resume(now)
		c.settle(now)
	}
}

// settle ends the connection if the coroutine has.
func (c *Conn) settle(now time.Time) {
	if !c.co.Done() || c.phase == phaseEnded {
		return
	}
	if c.co.Err() != nil && c.phase != phaseGoodbye {
		c.s.counts.Broken++
	}
	c.phase = phaseEnded
	_ = c.stream.Close(now) // an error means that it is gone already
	c.s.forget(c)
}

// expire acts on the time limit.
func (c *Conn) expire(now time.Time) {
	switch {
	case c.phase == phaseEnded || now.Before(c.limit):
	case c.phase == phaseScan:
		c.Ready(now) // it looks at the time itself
	case c.phase == phaseGoodbye:
		c.abort(now)
	default:
		c.s.counts.TimedOut++
		c.abort(now)
	}
}

// abort resets the connection. It must not be called from inside of the coroutine.
func (c *Conn) abort(now time.Time) {
	if c.phase == phaseEnded {
		return
	}
	c.phase = phaseEnded
	c.co.Stop()
	_ = c.stream.Abort(now) // an error means that it is gone already
	c.s.forget(c)
}

// networks waits until the scan that runs is over, and returns the list.
func (c *Conn) networks() []Network {
	if c.s.scanning {
		c.enter(c.co.Now(), phaseScan, scanTime)
		for c.s.scanning && c.co.Now().Before(c.limit) {
			if c.co.Wait() != nil {
				break
			}
		}
	}
	return c.s.networks
}
