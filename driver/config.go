package driver

import (
	"sync"
	"time"
)

// Config is how a driver sees time, locks and its surroundings. The zero value
// is right for a program on a wall clock that calls Run.
type Config struct {
	// Now and Sleep are the clock; nil: time.Now and time.Sleep. A virtual
	// bench passes those of its world.
	Now   func() time.Time
	Sleep func(time.Duration)

	// Lock guards the driver and is held while the bus is awaited. Nil: a lock
	// made of a channel. A virtual bench passes world.Locker().
	Lock sync.Locker

	// Idle makes blocking layers pump themselves instead of relying on Run:
	// it waits for the interrupt line, a call of Wake, or until (zero: for
	// ever), and may return early. An edge or a Wake since it last returned
	// ends it at once. Nil: the program calls Run. For virtual worlds see
	// hostnet.InWorld.
	Idle func(until time.Time)

	// Wake ends Idle: a call that is blocked in another goroutine was
	// completed. It must not block; nil: nothing.
	Wake func()

	// OnIRQ is told of each falling edge of the interrupt line, perhaps with
	// the device's lock held: it may only signal, never call the bus or the
	// driver. Nil: nothing.
	OnIRQ func()

	// Poll is how often Run looks at the device although no interrupt came,
	// so that a lost edge or a device that went away does not stay unnoticed.
	// Zero: 1 s; negative: never.
	Poll time.Duration

	// Trace, when not nil, is told of every message sent and received, one
	// line each, with the driver's lock held: it must not call the driver.
	Trace func(line string)

	// ResetHold is how long reset and enable are held low at start-up, and
	// ResetSettle the pause after each of the two is released. Zero: 100 ms
	// and 10 ms, as the vendor's drivers do (spec/host-bus.md 1.4).
	ResetHold, ResetSettle time.Duration

	// OldFirmware accepts a firmware from 19.6.1 on, which is older than the
	// release that the driver speaks (19.7.7), so that it can be updated. What
	// such a firmware does not know, TLSLater for instance, does not work. False:
	// start-up fails with ErrVersion.
	OldFirmware bool

	// Bypass starts the firmware in Ethernet mode: the device is a network
	// card, Client.SendFrame and OnFrame exchange frames with the network that
	// was joined, or with the stations of a Soft-AP, and IP is up to the host.
	// Sockets, names, echo, DHCP, updates and web provisioning are
	// ErrUnsupported then; LinkUp says whether frames can be sent.
	Bypass bool

	// SeparateWindows clocks each phase of a bus transaction in a chip-select
	// window of its own, as the vendor's drivers do, instead of a whole
	// transaction in one. Slower; for buses that cannot do full duplex.
	SeparateWindows bool
}

const (
	defaultPoll        = time.Second
	defaultResetHold   = 100 * time.Millisecond
	defaultResetSettle = 10 * time.Millisecond
)

func (c Config) withDefaults() Config {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Sleep == nil {
		c.Sleep = time.Sleep
	}
	if c.Lock == nil {
		c.Lock = make(chanLock, 1)
	}
	if c.Poll == 0 {
		c.Poll = defaultPoll
	}
	if c.ResetHold <= 0 {
		c.ResetHold = defaultResetHold
	}
	if c.ResetSettle <= 0 {
		c.ResetSettle = defaultResetSettle
	}
	return c
}

// chanLock is a lock that may be held while sleeping, in a synctest bubble
// too, which takes a goroutine that waits for a sync.Mutex for a busy one.
type chanLock chan struct{}

func (l chanLock) Lock()   { l <- struct{}{} }
func (l chanLock) Unlock() { <-l }
