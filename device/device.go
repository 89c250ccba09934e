package device

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/spi"
	"github.com/understudy-net/understudy/device/flash"
	"github.com/understudy-net/understudy/wire"
)

// Config configures a [Device]. MAC and Rand are needed.
type Config struct {
	MAC     wire.MAC     // the address burnt into the chip; a unicast address
	Profile Profile      // the zero value is WINC1500()
	Rand    rand.Source  // for transaction ids, ports, nonces, GET_PRNG; not shared between goroutines
	Air     *air.Air     // the medium; nil: an empty one, on which nothing is found
	Flash   *flash.Flash // what is in it outlives the device; nil: a fresh one in memory, see Profile.FlashFormat
	Name    string       // host name in DHCP before SET_DEVICE_NAME; "" means "WINC-XX-YY" from the MAC

	// OnIRQ is called when the interrupt line falls. It may only signal, never call the device.
	OnIRQ func()
	// Touch is called when Deadline may have moved outside a call of the owner: when frames come in from the air. The
	// owner gives its slot's Touch. May be set later with SetTouch, or left nil by an owner that advances all the time.
	Touch func()
	// Trace is told every HIF message and every change of power and firmware. It must not call the device.
	Trace func(Event)
}

// Device is the controller. Make one with [New]; see the package comment for who calls what.
type Device struct {
	cfg     Config
	profile Profile
	rand    *rand.Rand
	touch   func()
	onIRQ   func() // of the port, besides Config.OnIRQ

	slave    *spi.Slave
	enabled  bool // CHIP_EN is high
	inReset  bool // RESET_N is low
	cpu      cpuState
	regs     registers
	mem      memory
	in       inbox
	out      outbox
	fw       *firmware // what runs on the CPU; nil unless cpu is cpuFirmware
	irq      bool      // the line is asserted
	gpio     gpio
	flash    flash.Chip
	boot     flash.Booted // what the firmware was started from
	bootErr  error        // why it did not start
	unproven bool         // the firmware that runs is to be confirmed by the first message of a host
	quiet    uint64       // commands of the host when the boot ROM started
	counters Counters
	seen     time.Time // of the latest call

	stored []storedNetwork // credentials for DEFAULT_CONNECT, best first, as they are in the flash
}

// New makes a device that is powered, out of reset and in its boot ROM, as a board without reset lines sees it.
func New(c Config) (*Device, error) {
	switch {
	case c.Rand == nil:
		return nil, errors.New("device: Config.Rand is nil; give it a seeded source")
	case c.MAC == (wire.MAC{}) || c.MAC.IsMulticast():
		return nil, errors.New("device: Config.MAC must be a unicast address")
	}
	c.Profile = c.Profile.withDefaults()
	if err := c.Profile.check(); err != nil {
		return nil, err
	}
	if c.Air == nil {
		c.Air = air.New(air.Config{})
	}
	if c.Flash == nil {
		var err error
		if c.Flash, err = freshFlash(c.Profile); err != nil {
			return nil, err
		}
	}
	d := &Device{cfg: c, profile: c.Profile, rand: rand.New(c.Rand), touch: c.Touch, enabled: true}
	d.flash.F = c.Flash
	d.slave = spi.NewSlave(chip{d})
	d.in.init(&d.profile)
	d.out.base = outBase
	d.hardReset(time.Time{})
	return d, nil
}

// SetTouch sets what Config.Touch sets, for owners that get their slot from the finished device.
func (d *Device) SetTouch(touch func()) { d.touch = touch }

// Tx is one transfer on the bus: w goes to the device, r is filled with what it answers, byte for byte at the same time.
// Either may be nil (zeros, nothing wanted); else the shorter length counts. Chip select means nothing: a transaction may be cut
// into any number of transfers. A device without power or in reset answers zeros. Spec host-bus 2.
func (d *Device) Tx(now time.Time, w, r []byte) {
	if !d.on() {
		clear(r)
		return
	}
	d.slave.Transfer(now, w, r)
	d.settle(now)
}

// IRQ reports whether the interrupt line is asserted (low on the wire).
func (d *Device) IRQ() bool { return d.irq }

// Advance fires the timers that are due and hands what happened to the host.
func (d *Device) Advance(now time.Time) {
	if d.fw != nil {
		d.fw.advance(now)
	}
	d.settle(now)
}

// Deadline says when Advance is needed next; zero: not before somebody calls.
func (d *Device) Deadline() time.Time {
	if d.fw == nil {
		return time.Time{}
	}
	if d.fw.stack.Pending() || d.fw.bypass.waiting(&d.out) {
		return d.seen // frames have come in since the last call: their news wait
	}
	return d.fw.deadline()
}

// settle lets everything take effect that the last call set in motion.
func (d *Device) settle(now time.Time) {
	d.seen = now
	if d.fw != nil {
		d.fw.drain(now)
		d.post(now)
	}
}

// HostVersion returns the release that the host driver wrote at boot, 0 if it has not. Layouts depend on it [HM-02].
func (d *Device) HostVersion() hif.Version {
	if d.fw == nil {
		return 0
	}
	return d.fw.host
}

// Counters returns what was counted so far.
func (d *Device) Counters() Counters { return d.counters }

// Profile returns the profile with its defaults filled in.
func (d *Device) Profile() Profile { return d.profile }

// touched tells the owner that Deadline may have moved.
func (d *Device) touched() {
	if d.touch != nil {
		d.touch()
	}
}
