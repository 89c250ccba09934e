package tap

import (
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/uplink/frames"
	"github.com/understudy-net/understudy/wire"
	"github.com/understudy-net/understudy/world"
)

// Config says how an uplink is to be. World and Output are required.
type Config struct {
	// World is the owner of what Output calls, on the wall clock. Required.
	World *world.World
	// Output is given each frame that the kernel sends, with the world's lock
	// held. The frame is valid until it returns; it may call Input. Required.
	Output func(now time.Time, eth []byte)

	// Name is that of the device. One that exists is used, if nobody else has it
	// open; otherwise it is made, and goes away with Close. "" and names like "tap%d"
	// let the kernel find a number; see [Uplink.Name].
	Name string
	// Namespace is the network namespace that the device is in: a name of "ip
	// netns", or a path. "" is that of the process.
	Namespace string

	// The kernel's end of the cable. Each zero value leaves things as they are:
	// for a new device a random MAC, no address, 1500 bytes.
	MAC   wire.MAC
	Addrs []netip.Prefix
	MTU   int // bytes of an IP packet

	// Queue is the most frames that wait for the kernel; more are dropped. 0 means
	// frames.DefaultQueue.
	Queue int
	// Failed, unless nil, is told once if the device goes away before Close, on a
	// goroutine of the uplink. It must not call Close.
	Failed func(err error)
}

// Stats counts what passed an uplink; "host" is the kernel.
type Stats = frames.Stats

// An Uplink is a TAP device. Make one with [New].
type Uplink struct {
	pump *frames.Pump
	dev  device
}

// New opens or makes the device, sets it up and takes the link up. Errors are
// *[frames.Error]: they say what is missing and what to do.
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

// Input queues a copy of an Ethernet frame for the kernel: it is what the output
// of an access point or a stack calls. It never waits; a frame that finds no room is dropped
// and counted. The world's lock may be held or not.
func (u *Uplink) Input(now time.Time, eth []byte) { u.pump.Input(now, eth) }

// Name returns the name of the device, which the kernel may have chosen.
func (u *Uplink) Name() string { return u.dev.name }

// SetCarrier plugs the cable in, or pulls it: the kernel sees that the link is up or down, and programs
// that watch it, such as DHCP clients, begin anew. It is plugged in at first.
func (u *Uplink) SetCarrier(on bool) error { return u.dev.setCarrier(on) }

// Stats returns a copy of the counters, with or without the world's lock.
func (u *Uplink) Stats() Stats { return u.pump.Stats() }

// Close closes the device, and returns when no goroutine is left. The world must
// not be locked by the caller. A second Close does nothing.
func (u *Uplink) Close() error { return u.pump.Close() }
