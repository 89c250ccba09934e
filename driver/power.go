package driver

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
)

// PowerMode is a power-save mode, with the values of the host interface.
type PowerMode int8

// The modes. In all but PowerSaveOff the driver wakes the chip before each access
// and lets it sleep afterwards, which costs some milliseconds a message.
const (
	PowerInvalid    PowerMode = -1                          // what Power says of an invalid handle
	PowerSaveOff    PowerMode = PowerMode(hif.NoPowerSave)  // the default
	PowerAutoHigh   PowerMode = PowerMode(hif.PSAutomatic)  // saves least
	PowerAutoMedium PowerMode = PowerMode(hif.PSHAutomatic) //
	PowerAutoLow    PowerMode = PowerMode(hif.PSDeep)       // saves most
	PowerManual     PowerMode = PowerMode(hif.PSManual)     // sleeps when Sleep says so
)

var powerNames = [...]string{"off", "auto high", "auto medium", "auto low", "manual"}

func (m PowerMode) String() string {
	if m >= 0 && int(m) < len(powerNames) {
		return powerNames[m]
	}
	return "power(" + strconv.Itoa(int(m)) + ")"
}

// powerState is what the client has set. Guarded by the driver's lock.
type powerState struct {
	mode   PowerMode
	listen uint16 // beacons
}

// SetPower sets the power-save mode of the device. It stays until another
// SetPower, Close or a restart. ErrInvalid for an unknown mode, ErrMode as a
// Soft-AP, which cannot sleep, ErrBus if not sendable. It stands for
// WDRV_WINC_PowerSaveSetMode.
func (c *Client) SetPower(m PowerMode) error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	switch {
	case m < PowerSaveOff || m > PowerManual:
		return fmt.Errorf("%w: %v", ErrInvalid, m)
	case d.ap.on && m != PowerSaveOff:
		return ErrMode
	}
	return d.setPower(m)
}

// setPower sends the mode. The request itself still goes by the old one
// (spec/host-bus.md 5.6). Lock held.
func (d *Driver) setPower(m PowerMode) error {
	if err := send(d, hif.OpSleep, hif.Sleep{Mode: hif.PowerSave(m), Broadcast: d.power.listen != 0}); err != nil {
		return err
	}
	d.power.mode, d.dozes = m, m != PowerSaveOff
	return nil
}

// Power is the mode that was set last; the device is not asked. PowerInvalid on
// an invalid or closed handle. It stands for WDRV_WINC_PowerSaveGetMode.
func (c *Client) Power() PowerMode {
	d, ok := c.peek()
	if !ok {
		return PowerInvalid
	}
	defer d.unlock()
	return d.power.mode
}

// SetListen sets after how many beacons a sleeping device listens to its access
// point; 0, the default, leaves that to the access point. With an interval the
// device also wakes for broadcasts, in the modes set before too: the documented
// function tells that only to later ones. Nothing is sent for the interval that
// is set already. ErrBus if not sendable. It stands for
// WDRV_WINC_PowerSaveSetBeaconInterval.
func (c *Client) SetListen(beacons uint16) error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	return d.setListen(beacons)
}

func (d *Driver) setListen(beacons uint16) error {
	old := d.power.listen
	if beacons == old {
		return nil
	}
	if err := send(d, hif.OpListenInterval, hif.Setting16{Value: beacons}); err != nil {
		return err
	}
	d.power.listen = beacons
	if err := d.setPower(d.power.mode); err != nil {
		d.power.listen = old
		return err
	}
	return nil
}

// Sleep has the device sleep for t, rounded up to whole milliseconds; only with
// PowerManual, else ErrMode, where the documented function does nothing and says
// that all is well. ErrInvalid for a time that is not positive or more than 2^32-1
// ms, ErrBus if not sendable. It stands for WDRV_WINC_PowerSaveManualSleep.
func (c *Client) Sleep(t time.Duration) error {
	d, err := c.enter()
	if err != nil {
		return err
	}
	defer d.unlock()
	ms := (t + time.Millisecond - 1) / time.Millisecond
	switch {
	case t <= 0 || t > math.MaxUint32*time.Millisecond:
		return fmt.Errorf("%w: cannot sleep for %v", ErrInvalid, t)
	case d.power.mode != PowerManual:
		return fmt.Errorf("%w: power save is %v, not manual", ErrMode, d.power.mode)
	}
	return send(d, hif.OpDoze, hif.Doze{Milliseconds: uint32(ms)})
}

// restorePower takes back what a client has set. Lock held.
func (d *Driver) restorePower() {
	_ = d.setListen(0) // a device that does not take it is told by the next that it is gone
	if d.power.mode != PowerSaveOff {
		_ = d.setPower(PowerSaveOff)
	}
}

// Bounds and pauses of waking and sleeping (spec/host-bus.md 5.6).
const (
	wakeSettle = 3 * time.Millisecond
	wakePolls  = 5
	wakePause  = 2 * time.Millisecond
	sleepPolls = 1000 // vendor's drivers have no bound
	sleepPause = time.Millisecond
)

// wakeChip makes the clocked registers reachable, if the device may be asleep, in
// the manner of the 19.7.7 drivers. Messages are always taken whole before
// anything is sent, so the rule that an open message keeps the chip awake does not
// come into play. Lock held; sleepChip follows, unless the bus failed.
func (d *Driver) wakeChip() error {
	if !d.dozes {
		return nil
	}
	if err := d.spi.WriteReg(reg.HostCortComm, reg.HostAwake); err != nil {
		return err
	}
	if err := d.spi.WriteReg(reg.WakeClk, reg.WakeClkHost); err != nil {
		return err
	}
	d.cfg.Sleep(wakeSettle)
	err := d.poll(reg.ClocksEn, wakePolls, wakePause, func(v uint32) bool { return v&reg.ClocksRunning != 0 })
	if err != nil {
		return fmt.Errorf("the chip does not wake: %w", err)
	}
	return d.spi.Reset() // [BH-10]
}

// sleepChip is the other end of wakeChip, in a mode that may be another by now.
// Its failure is no failure of what was done before it; the pump finds out.
func (d *Driver) sleepChip() {
	if !d.dozes {
		return
	}
	if err := d.sleepSequence(); err != nil {
		_ = d.busFault(err)
	}
}

func (d *Driver) sleepSequence() error {
	err := d.poll(reg.CortHostComm, sleepPolls, sleepPause, func(v uint32) bool { return v&reg.CortBusy == 0 })
	if err != nil {
		return err
	}
	if err := d.clearBit(reg.WakeClk, reg.WakeClkHost); err != nil {
		return err
	}
	return d.clearBit(reg.HostCortComm, reg.HostAwake)
}

// clearBit clears a bit that is set.
func (d *Driver) clearBit(a reg.Addr, bit uint32) error {
	v, err := d.spi.ReadReg(a)
	if err != nil || v&bit == 0 {
		return err
	}
	return d.spi.WriteReg(a, v&^bit)
}
