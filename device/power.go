package device

import (
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
)

// cpuState is what the chip's processor does. Spec host-bus 4.
//
//	             hard reset, 0x1400 = 0, bit 10 of 0x1400 rises
//	                       │
//	                       ▼            0xC000C = start word
//	STOPPED ──────────▶ BOOT-ROM ───────────────────────────▶ FIRMWARE
//	   ▲                   │                                      │
//	   └───────────────────┴──── 0x1400 with bit 10 clear ◀───────┘
//	                             (or 0x1118 with bit 0, when it is)
type cpuState uint8

const (
	cpuStopped cpuState = iota
	cpuBootROM
	cpuFirmware
)

// String prints the state.
func (s cpuState) String() string {
	return [...]string{"stopped", "boot ROM", "firmware"}[s]
}

// on reports whether the chip has power and is out of reset.
func (d *Device) on() bool { return d.enabled && !d.inReset }

// Reset drives RESET_N. The chip is reset when it goes low and boots when it goes high. Spec host-bus 1.4.
func (d *Device) Reset(now time.Time, low bool) {
	if low == d.inReset {
		return
	}
	d.inReset = low
	d.lineMoved(now, low, "reset line low", "reset line high")
}

// Enable drives CHIP_EN, the chip's power switch.
func (d *Device) Enable(now time.Time, high bool) {
	if high == d.enabled {
		return
	}
	d.enabled = high
	d.lineMoved(now, !high, "chip enable low", "chip enable high")
}

func (d *Device) lineMoved(now time.Time, off bool, down, up string) {
	if off {
		d.trace(now, EventPower, 0, nil, down)
		d.stop(now)
		return
	}
	d.trace(now, EventPower, 0, nil, up)
	if d.on() {
		d.hardReset(now)
	}
}

// hardReset puts every register to its default and starts the boot ROM. Spec host-bus 1.4, 4.4.
func (d *Device) hardReset(now time.Time) {
	d.stop(now)
	d.slave.HardReset()
	d.resetRegisters()
	d.startROM()
}

// globalReset is the write of 0 to NMI_GLB_RESET_0: as a hard reset, but the settings of the SPI block stay, so that a
// host in either CRC mode finds the chip again. Spec host-bus 4.4.
func (d *Device) globalReset(now time.Time) {
	d.trace(now, EventPower, 0, nil, "global reset")
	d.stop(now)
	d.resetRegisters()
	d.startROM()
}

// startROM starts the boot ROM, which wakes the flash: a host may have put it into deep power-down (4.4).
func (d *Device) startROM() {
	d.cpu = cpuBootROM
	d.flash.Power()
	d.bootErr = nil
	d.quiet = d.slave.Stats().Commands
}

// stop halts the CPU: no mailbox, no network, the interrupt line idle. Registers and memory stay as they are.
func (d *Device) stop(now time.Time) {
	if d.fw != nil {
		d.fw.shutdown(now)
		d.fw = nil
	}
	d.cpu = cpuStopped
	d.in.reset()
	d.out.reset()
	d.setIRQ(false)
}

// haltCPU stops the CPU for download mode or de-init. Spec host-bus 4.3, 4.4.
func (d *Device) haltCPU(now time.Time) {
	if d.cpu == cpuStopped {
		return
	}
	d.trace(now, EventPower, 0, nil, "CPU stops")
	d.stop(now)
}

// restartCPU begins at the boot ROM. Registers keep their values but for what the ROM writes.
func (d *Device) restartCPU(now time.Time) {
	d.stop(now)
	d.trace(now, EventPower, 0, nil, "CPU starts")
	d.startROM()
	d.regs.bootROM = reg.BootROMFinished
	d.regs.state = 0
}

// startFirmware is what the boot ROM does on the start word. The order of what becomes valid is that of host-bus 4.4:
// pointers, version word and blocks, and last the word that the host polls.
func (d *Device) startFirmware(now time.Time) {
	if d.cpu != cpuBootROM {
		return
	}
	if err := d.bootFlash(now); err != nil {
		d.trace(now, EventFlash, 0, nil, err.Error())
		return // a dead chip: the host's poll runs out
	}
	host := hif.VersionWord(d.regs.state).Low() // written at step 11 of the boot [HM-02]
	fw, err := newFirmware(d, now, host)
	if err != nil {
		d.trace(now, EventPower, 0, nil, err.Error())
		return // the same
	}
	d.counters.Boots++
	d.cpu = cpuFirmware
	d.fw = fw
	d.regs.receive, d.regs.messageAt, d.regs.request, d.regs.grantAt = 0, 0, 0, 0
	d.writeVersionBlocks()
	d.regs.gp2 = gpOffset
	rev := d.revision(d.boot.Running)
	d.regs.version = uint32(hif.MakeVersionWord(rev.Firmware, rev.MinDriver))
	d.regs.state = reg.FirmwareReady
	if d.cfg.Trace != nil {
		d.trace(now, EventFirmware, 0, nil, rev.Firmware.String()+" runs, host driver "+host.String())
	}
}

// setIRQ moves the interrupt line, and tells who waits when it falls.
func (d *Device) setIRQ(asserted bool) {
	was := d.irq
	d.irq = asserted
	if !asserted || was {
		return
	}
	if d.cfg.OnIRQ != nil {
		d.cfg.OnIRQ()
	}
	if d.onIRQ != nil {
		d.onIRQ()
	}
}
