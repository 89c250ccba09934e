package driver

import (
	"fmt"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
)

// Bounds and pauses of the start-up polls. The pauses are not optional: real
// chips show bus errors without them [BH-11].
const (
	efusePolls, efusePause = 2000, time.Millisecond
	romPolls, romPause     = 8192, time.Millisecond
	firmPolls, firmPause   = 8192, 2 * time.Millisecond
	configPolls            = 100
	busSettle              = time.Millisecond
)

// versions is what the firmware says about itself.
type versions struct {
	active  hif.Revision
	factory MAC
	hasMAC  bool // factory is burnt in
}

// startUp brings the chip from power-on to READY: hard reset, SPI, chip id,
// firmware, versions, MAC (spec/host-bus.md 1.4, 4.1 and 4.2, in the order of
// the 19.7.7 drivers). Its pauses are spent in Config.Sleep. Lock held.
func (d *Driver) startUp() error {
	err := d.bringUp()
	if err != nil {
		d.become(StateError, err)
		d.trace("driver: start-up failed: %v", err)
		return err
	}
	d.become(StateReady, nil)
	d.trace("driver: ready, chip %#x, firmware %v, MAC %v", d.chipID, d.versions.active.Firmware, d.mac)
	return nil
}

func (d *Driver) bringUp() error {
	if err := d.hardReset(); err != nil {
		return fmt.Errorf("hard reset: %w: %w", ErrBus, err)
	}
	if err := d.spi.Init(); err != nil {
		return fmt.Errorf("%w: %w", ErrDeviceNotFound, err)
	}
	if err := d.identify(); err != nil {
		return err
	}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"wait for the boot ROM", d.awaitBootROM},
		{"start the firmware", d.startFirmware},
		{"enable the interrupt", d.enableInterrupt},
		{"read the versions", d.readInfo},
		{"agree on limits", d.askLimits},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrDeviceFailure, step.name, err)
		}
	}
	return nil
}

// hardReset restores every default of the chip, CRC among them, so that a
// session that ended badly does not matter [BH-01].
func (d *Driver) hardReset() error {
	p := d.port
	d.dozes, d.roams, d.file.late, d.ota.swap.owed = false, false, 0, 0 // all are off after it
	for _, step := range []struct {
		do    func() error
		pause time.Duration
	}{
		{func() error { return p.SetEnable(false) }, 0},
		{func() error { return p.SetReset(true) }, d.cfg.ResetHold},
		{func() error { return p.SetEnable(true) }, d.cfg.ResetSettle},
		{func() error { return p.SetReset(false) }, d.cfg.ResetSettle},
	} {
		if err := step.do(); err != nil {
			return err
		}
		if step.pause > 0 {
			d.cfg.Sleep(step.pause)
		}
	}
	d.cfg.Sleep(busSettle)
	return nil
}

// identify checks that a chip of the family answers.
func (d *Driver) identify() error {
	id, err := d.spi.ReadReg(reg.ChipID)
	if err == nil {
		_, err = d.spi.ReadReg(reg.RFRevID)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDeviceNotFound, err)
	}
	if f := id & reg.ChipFamilyMask; f != reg.ChipFamily3A0 && f != reg.ChipFamily2B0 || id == reg.ChipID3400 {
		return fmt.Errorf("%w: chip id %#x", ErrDeviceNotFound, id)
	}
	d.chipID = id&^reg.ChipIDHostMask | reg.ChipIDHostBits
	return nil
}

// poll reads a register until done says so of its value, at most n times.
func (d *Driver) poll(a reg.Addr, n int, pause time.Duration, done func(uint32) bool) error {
	for range n {
		v, err := d.spi.ReadReg(a)
		if err != nil {
			return err
		}
		if done(v) {
			return nil
		}
		d.cfg.Sleep(pause)
	}
	return fmt.Errorf("register %s did not come to its value", reg.String(a))
}

func (d *Driver) awaitBootROM() error {
	err := d.poll(reg.EfuseControl, efusePolls, efusePause, func(v uint32) bool { return v&reg.EfuseLoaded != 0 })
	if err != nil {
		return err
	}
	v, err := d.spi.ReadReg(reg.WaitForHost)
	if err != nil || v&reg.WaitSkip != 0 {
		return err
	}
	d.cfg.Sleep(romPause)
	return d.poll(reg.BootROM, romPolls, romPause, func(v uint32) bool { return v == reg.BootROMFinished })
}

// startFirmware tells the firmware our release, which decides the layouts that
// it uses [HM-02], and waits until it runs.
func (d *Driver) startFirmware() error {
	word := uint32(hif.MakeVersionWord(driverVersion, oldestVersion))
	if err := d.spi.WriteReg(reg.State, word); err != nil {
		return err
	}
	config := uint32(reg.GP1Reserved8 | reg.GP1UsePMU)
	if d.cfg.Bypass {
		config |= reg.GP1Ethernet
	}
	if err := d.configure(config); err != nil {
		return err
	}
	if err := d.spi.WriteReg(reg.BootROM, reg.StartFirmware); err != nil {
		return err
	}
	d.cfg.Sleep(firmPause)
	err := d.poll(reg.State, firmPolls, firmPause, func(v uint32) bool { return v == reg.FirmwareReady })
	if err != nil {
		return fmt.Errorf("it does not run; the flash may hold no valid image: %w", err)
	}
	return d.spi.WriteReg(reg.State, 0)
}

// configure writes the configuration word until it reads back.
func (d *Driver) configure(word uint32) error {
	if d.chipID&reg.ChipFamilyMask != reg.ChipFamily3A0 {
		word &^= reg.GP1UsePMU // older chips have no PMU
	}
	for range configPolls {
		if err := d.spi.WriteReg(reg.GP1, word); err != nil {
			return err
		}
		v, err := d.spi.ReadReg(reg.GP1)
		if err != nil || v == word {
			return err
		}
		d.cfg.Sleep(busSettle)
	}
	return fmt.Errorf("register %s does not keep its value", reg.String(reg.GP1))
}

func (d *Driver) enableInterrupt() error {
	if err := d.setBits(reg.PinMux0, reg.PinMuxIRQN); err != nil {
		return err
	}
	return d.setBits(reg.IntrEnable, reg.IntrHost)
}

func (d *Driver) setBits(a reg.Addr, bits uint32) error {
	v, err := d.spi.ReadReg(a)
	if err != nil {
		return err
	}
	return d.spi.WriteReg(a, v|bits)
}

// readInfo reads the version blocks and the MACs (spec/host-bus.md 4.5).
func (d *Driver) readInfo() error {
	p, err := d.readPointers()
	if err != nil {
		return err
	}
	d.versions = versions{}
	if d.versions.active, err = d.readRevision(p.Rev); err != nil {
		return err
	}
	if err := d.checkVersions(d.versions.active); err != nil {
		return err
	}
	if p.MAC == 0 {
		return fmt.Errorf("the firmware gives no MAC")
	}
	if err := d.spi.ReadBlock(reg.DataMemory|reg.Addr(p.MAC), d.mac[:]); err != nil {
		return err
	}
	if p.OTPMAC == 0 {
		return nil
	}
	d.versions.hasMAC = true
	return d.spi.ReadBlock(reg.DataMemory|reg.Addr(p.OTPMAC), d.versions.factory[:])
}

func (d *Driver) readPointers() (hif.Pointers, error) {
	at, err := d.spi.ReadReg(reg.GP2)
	if err != nil {
		return hif.Pointers{}, err
	}
	if at == 0 {
		return hif.Pointers{}, fmt.Errorf("the firmware gives no version block: %w", ErrVersion)
	}
	var b [hif.PointersLen]byte
	if err := d.spi.ReadBlock(reg.DataMemory|at&0xffff, b[:]); err != nil {
		return hif.Pointers{}, err
	}
	return hif.ParsePointers(b[:])
}

func (d *Driver) readRevision(at uint16) (hif.Revision, error) {
	if at == 0 {
		return hif.Revision{}, nil
	}
	var b [hif.RevisionLen]byte
	if err := d.spi.ReadBlock(reg.DataMemory|reg.Addr(at), b[:]); err != nil {
		return hif.Revision{}, err
	}
	return hif.ParseRevision(b[:])
}

// checkVersions is the rule of the vendor's drivers (spec/host-bus.md 4.5): ours
// must be at least what the firmware demands and not newer than it, unless
// Config.OldFirmware bears that.
func (d *Driver) checkVersions(r hif.Revision) error {
	switch {
	case r.Firmware == 0 || r.MinDriver == 0:
		return fmt.Errorf("%w: the version block is empty", ErrVersion)
	case driverVersion < r.MinDriver:
		return fmt.Errorf("%w: firmware %v wants a driver of at least %v, this one is %v",
			ErrVersion, r.Firmware, r.MinDriver, driverVersion)
	case d.cfg.OldFirmware && r.Firmware >= hif.V19_6_1:
	case driverVersion > r.Firmware:
		return fmt.Errorf("%w: firmware %v is older than the driver's %v; update it (Config.OldFirmware)",
			ErrVersion, r.Firmware, driverVersion)
	}
	return nil
}

// powerDown stops the chip as far as it listens and holds it in reset. Errors
// do not matter any more.
func (d *Driver) powerDown() {
	_ = d.wakeChip()
	if v, err := d.spi.ReadReg(reg.GlobalReset); err == nil {
		_ = d.spi.WriteReg(reg.GlobalReset, v&^reg.CPURun) // nobody waits for its answer [BH-09]
	}
	_ = d.port.SetReset(true)
	_ = d.port.SetEnable(false)
}
