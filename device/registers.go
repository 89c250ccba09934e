package device

import (
	"time"

	"github.com/understudy-net/understudy/bus/reg"
)

// registers holds the registers that mean something to the device. All others keep what was written to them, as far as
// there is room. Spec host-bus 3.
type registers struct {
	wakeClk, hostComm uint32 // clockless

	bootROM uint32 // BOOTROM_REG
	state   uint32 // NMI_STATE_REG: version word, readiness, then the head of a request
	gp2     uint32 // pointer to the GP structure, 0 until firmware runs
	version uint32 // NMI_REV_REG
	reset   uint32 // NMI_GLB_RESET_0
	intr    uint32 // NMI_INTR_ENABLE

	receive   uint32 // WIFI_HOST_RCV_CTRL_0: notice of a message to the host
	messageAt uint32 // WIFI_HOST_RCV_CTRL_1
	request   uint32 // WIFI_HOST_RCV_CTRL_2
	grantAt   uint32 // WIFI_HOST_RCV_CTRL_4

	flashShort uint32 // a short read of the flash, which also shows in WIFI_HOST_RCV_CTRL_1
	flashFresh bool

	stored map[uint32]uint32 // last value written to a register without a meaning
}

// maxStoredRegisters bounds what a host can make the device remember. The chip has far fewer.
const maxStoredRegisters = 1024

// resetRegisters puts all to the values after a hard reset (4.4). The SPI block has its own reset.
func (d *Device) resetRegisters() {
	d.regs = registers{
		wakeClk: reg.WakeClkAtReset,
		bootROM: reg.BootROMFinished, // at the first read: a known host reads once and then only waits
		reset:   reg.GlobalResetAtReset,
	}
	d.mem.reset()
}

// chip is what the SPI slave reaches: registers and memory of a device.
type chip struct{ d *Device }

// ReadReg reads a register, or a word of memory. It never fails: what does not exist reads 0.
func (c chip) ReadReg(now time.Time, a uint32) uint32 {
	d, r := c.d, &c.d.regs
	switch a {
	case reg.WakeClk:
		return r.wakeClk
	case reg.HostCortComm:
		return r.hostComm
	case reg.ClocksEn:
		return reg.ClocksRunning // sleep and wake are hints: the chip is always awake [BD-11]
	case reg.CortHostComm:
		return 0 // never busy [BD-10]
	case reg.ChipID:
		return d.profile.ChipID
	case reg.RFRevID:
		return d.profile.RFRevID
	case reg.EfuseControl:
		return reg.EfuseLoaded // hosts poll it without a limit [BD-09]
	case reg.BootROM:
		return r.bootROM
	case reg.State:
		return r.state
	case reg.GP2:
		return r.gp2
	case reg.Rev:
		return r.version
	case reg.GlobalReset:
		return r.reset
	case reg.IntrEnable:
		return r.intr
	case reg.RcvCtrl0:
		return r.receive
	case reg.RcvCtrl1:
		return d.readMessageAt()
	case reg.RcvCtrl2:
		return r.request
	case reg.RcvCtrl4:
		return r.grantAt
	case reg.GPIOInput:
		return d.gpioInput()
	case reg.FlashTrDone:
		return 1 // hosts poll it without a limit [BD-13]
	}
	if d.mem.has(a) {
		var b [4]byte
		c.ReadMem(now, a, b[:])
		return le.Uint32(b[:])
	}
	return r.stored[a]
}

// WriteReg writes a register, or a word of memory. What a write sets in motion has happened when it returns.
func (c chip) WriteReg(now time.Time, a, v uint32) {
	d, r := c.d, &c.d.regs
	switch a {
	case reg.WakeClk:
		r.wakeClk = v
	case reg.HostCortComm:
		r.hostComm = v
	case reg.ClocksEn, reg.CortHostComm, reg.ChipID, reg.RFRevID, reg.EfuseControl, reg.RcvCtrl4, reg.GPIOInput, reg.FlashTrDone: // read only
	case reg.BootROM:
		d.writeBootROM(now, v)
	case reg.State:
		r.state = v
	case reg.GP2:
		r.gp2 = v
	case reg.Rev:
		r.version = v
	case reg.GlobalReset:
		d.writeGlobalReset(now, v)
	case reg.BootResetMux:
		d.store(a, v)
		if v&reg.MuxCPUByRegister != 0 && r.reset&reg.CPURun == 0 { // from now on bit 10 of 0x1400 rules the CPU
			d.haltCPU(now)
		}
	case reg.IntrEnable:
		r.intr = v
		d.updateIRQ()
	case reg.RcvCtrl0:
		d.writeReceive(now, v)
	case reg.RcvCtrl1:
		if !d.out.open {
			r.messageAt, r.flashFresh = v, false
		}
	case reg.RcvCtrl2:
		d.writeRequest(now, v)
	case reg.RcvCtrl3:
		d.writeDoorbell(now, v)
	case reg.FlashCmdCnt:
		d.store(a, v)
		d.flashCommand(now, v)
	default:
		if d.mem.has(a) {
			var b [4]byte
			le.PutUint32(b[:], v)
			c.WriteMem(now, a, b[:])
			return
		}
		d.store(a, v)
	}
}

// store keeps the value of a register without a meaning.
func (d *Device) store(a, v uint32) {
	r := &d.regs
	if r.stored == nil {
		r.stored = map[uint32]uint32{}
	}
	if _, ok := r.stored[a]; !ok && len(r.stored) >= maxStoredRegisters {
		d.counters.Overrun += 4
		return
	}
	r.stored[a] = v
}

// writeBootROM takes the start word; other values are storage, so that a host can clear the register before it restarts
// the CPU (4.2, LITE).
func (d *Device) writeBootROM(now time.Time, v uint32) {
	d.regs.bootROM = v
	if v == reg.StartFirmware {
		d.startFirmware(now)
	}
}

// writeGlobalReset is the model of host-bus 4.4: 0 resets the chip, bit 10 falling stops the CPU and rising starts it.
func (d *Device) writeGlobalReset(now time.Time, v uint32) {
	old := d.regs.reset
	switch {
	case v == 0:
		d.globalReset(now)
		return
	case v&reg.CPURun == 0:
		d.haltCPU(now)
	case old&reg.CPURun == 0:
		d.restartCPU(now)
	}
	d.regs.reset = v
}
