package packet

import (
	"time"

	"github.com/understudy-net/understudy/uplink/frames"
	"github.com/understudy-net/understudy/world"
)

// Config says how an uplink is to be. World, Output and Interface are required.
type Config struct {
	// World is the owner of what Output calls, on the wall clock. Required.
	World *world.World
	// Output is given each frame that the interface receives, with the world's lock
	// held. The frame is valid until it returns; it may call Input. Required.
	Output func(now time.Time, eth []byte)

	// Interface is the name of the network interface. Required.
	Interface string
	// Namespace is the network namespace that the interface is in: a name of "ip
	// netns", or a path. "" is that of the process.
	Namespace string

	// Queue is the most frames that wait for the interface; more are dropped. 0
	// means frames.DefaultQueue.
	Queue int
	// Failed, unless nil, is told once if the interface goes away before Close, on a
	// goroutine of the uplink. It must not call Close.
	Failed func(err error)
}

// Stats counts what passed an uplink; "host" is the interface.
type Stats = frames.Stats

// An Uplink is a packet socket on an interface. Make one with [New].
type Uplink struct {
	pump *frames.Pump
	dev  *device
}

// New opens the socket. Errors are *[frames.Error]: they say what is missing and
// what to do.
func New(c Config) (*Uplink, error) {
	d, err := open(c)
	if err != nil {
		return nil, err
	}
	p, err := frames.Start(frames.Config{
		World: c.World, Output: c.Output, Queue: c.Queue, Failed: c.Failed,
		MaxFrame: d.mtu + frames.DefaultMaxFrame - 1500,
	}, d)
	if err != nil {
		return nil, err
	}
	return &Uplink{pump: p, dev: d}, nil
}

// Input queues a copy of an Ethernet frame for the interface: it is what the output
// of an access point or a stack calls. It never waits; a frame that finds no room is dropped
// and counted. The world's lock may be held or not.
func (u *Uplink) Input(now time.Time, eth []byte) { u.pump.Input(now, eth) }

// Stats returns a copy of the counters, with or without the world's lock.
func (u *Uplink) Stats() Stats {
	s := u.pump.Stats()
	s.Drops.Overrun = u.dev.overruns()
	return s
}

// Close closes the socket, and returns when no goroutine is left. The world must
// not be locked by the caller. A second Close does nothing.
func (u *Uplink) Close() error { return u.pump.Close() }
