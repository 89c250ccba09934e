package driver

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/understudy-net/understudy/bus/reg"
)

// Geometry of the flash (spec/host-bus.md 6.3).
const (
	flashPage   = 256
	flashSector = 4096
	flashUnit   = 32 << 10 // of a read: the staging buffer
	flash4M     = 512 << 10
	flash8M     = 1 << 20
)

// Opcodes of the serial flash (6.2).
const (
	flashProgram      = 0x02
	flashWriteDisable = 0x04
	flashReadStatus   = 0x05
	flashWriteEnable  = 0x06
	flashFastRead     = 0x0b
	flashErase        = 0x20
	flashReadID       = 0x9f
	flashRelease      = 0xab // from deep power-down
	flashPowerDown    = 0xb9
)

const (
	flashDummy   = 0xa5   // the byte between the address of a fast read and its data
	flashAnswer  = 4      // bytes of an id or a status
	flashBusy    = 1 << 0 // in the status
	flashPolls   = 5000   // an erase takes up to some seconds
	flashPause   = time.Millisecond
	flashCmdAll  = 0x1f // directions: five bytes out
	flashCmdAddr = 0x0f // four
	flashCmdOne  = 0x01
)

// flashOp is one operation of the flash controller (6.2).
type flashOp struct {
	cmd   [8]byte // opcode, address, dummy
	n     int     // bytes of cmd
	dir   uint32  // a bit for each, 1: out
	write int     // bytes sent from memory after cmd
	read  int     // bytes read to memory after cmd
	dma   reg.Addr
}

// command is an operation of one byte. Its answer, if it has one, goes to a register that is idle then.
func command(op byte, read int) flashOp {
	o := flashOp{cmd: [8]byte{op}, n: 1, dir: flashCmdOne, read: read}
	if read > 0 {
		o.dma = reg.RcvCtrl1
	}
	return o
}

// addressed is an operation at an address.
func addressed(op byte, at int64) flashOp {
	return flashOp{cmd: [8]byte{op, byte(at >> 16), byte(at >> 8), byte(at)}, n: 4, dir: flashCmdAddr}
}

// flashDo has the controller do o and waits for it, in the host's order of writes (6.1).
func (d *Driver) flashDo(o flashOp) error {
	type write struct {
		at reg.Addr
		v  uint32
	}
	ws := []write{
		{reg.FlashDataCnt, uint32(o.read)},
		{reg.FlashBuf1, binary.LittleEndian.Uint32(o.cmd[:])},
		{reg.FlashBuf2, binary.LittleEndian.Uint32(o.cmd[4:])},
		{reg.FlashBufDir, o.dir},
		{reg.FlashDMAAddr, o.dma},
		{reg.FlashCmdCnt, uint32(o.n) | reg.FlashStart | uint32(o.write)<<reg.FlashWriteCntShift},
	}
	for _, w := range ws {
		if w.at == reg.FlashBuf2 && o.n <= 4 {
			continue
		}
		if err := d.spi.WriteReg(w.at, w.v); err != nil {
			return err
		}
	}
	return d.poll(reg.FlashTrDone, flashPolls, flashPause, func(v uint32) bool { return v == 1 })
}

// flashAsk is an operation of one byte with a short answer.
func (d *Driver) flashAsk(op byte) (uint32, error) {
	if err := d.flashDo(command(op, flashAnswer)); err != nil {
		return 0, err
	}
	return d.spi.ReadReg(reg.RcvCtrl1)
}

func (d *Driver) flashID() (uint32, error) { return d.flashAsk(flashReadID) }

// flashIdle waits until the flash has programmed or erased. Like the vendor's
// drivers it reads the status twice at least.
func (d *Driver) flashIdle() error {
	if _, err := d.flashAsk(flashReadStatus); err != nil {
		return err
	}
	for range flashPolls {
		v, err := d.flashAsk(flashReadStatus)
		if err != nil || v&flashBusy == 0 {
			return err
		}
		d.cfg.Sleep(flashPause)
	}
	return fmt.Errorf("the flash stays busy")
}

// flashSize is the size in bytes that an id tells, 0 if there is no flash:
// 2^n megabits (6.2).
func flashSize(id uint32) int64 {
	n := int(id>>16&0xff) - 0x11
	if id == 0 || id == 0xffffffff || n < 0 || n > 7 { // an address has 24 bits
		return 0
	}
	return 1 << (17 + n)
}

// withFlash connects the flash to its controller and wakes it, does f, and puts
// both back, after a failure too, where the vendor's driver does not
// (spec/driver-api.md 2.11, spec/host-bus.md 3.3). Lock held.
func (d *Driver) withFlash(f func() error) (err error) {
	if err := d.flashPads(reg.FlashPadsConnected); err != nil {
		return err
	}
	defer func() {
		down := d.flashDo(command(flashPowerDown, 0))
		if down == nil {
			down = d.flashPads(reg.FlashPadsParked)
		}
		if err == nil {
			err = down
		}
	}()
	if err := d.flashDo(command(flashRelease, 0)); err != nil {
		return err
	}
	return f()
}

// flashPads switches the pads of the flash. Chips before 3A0 have no switch.
func (d *Driver) flashPads(to uint32) error {
	if d.chipID&reg.ChipFamilyMask != reg.ChipFamily3A0 {
		return nil
	}
	v, err := d.spi.ReadReg(reg.FlashPinMux)
	if err != nil {
		return err
	}
	return d.spi.WriteReg(reg.FlashPinMux, v&^reg.FlashPadsMask|to)
}

// flashRead fills p from at on, a staging buffer at a time.
func (d *Driver) flashRead(p []byte, at int64) (n int, err error) {
	for len(p) > 0 {
		k := min(len(p), flashUnit)
		o := addressed(flashFastRead, at)
		o.cmd[4], o.n, o.dir = flashDummy, 5, flashCmdAll
		o.read, o.dma = k, reg.SharedMemory
		if err := d.flashDo(o); err != nil {
			return n, err
		}
		if err := d.spi.ReadBlock(reg.SharedMemory, p[:k]); err != nil {
			return n, err
		}
		n, p, at = n+k, p[k:], at+int64(k)
	}
	return n, nil
}

// flashWrite programs p at at, page by page. It erases nothing.
func (d *Driver) flashWrite(p []byte, at int64) (n int, err error) {
	for len(p) > 0 {
		k := min(len(p), flashPage-int(at%flashPage))
		if err := d.flashPageProgram(p[:k], at); err != nil {
			return n, err
		}
		n, p, at = n+k, p[k:], at+int64(k)
	}
	return n, nil
}

// flashPageProgram programs bytes of one page.
func (d *Driver) flashPageProgram(p []byte, at int64) error {
	if err := d.flashDo(command(flashWriteEnable, 0)); err != nil {
		return err
	}
	if err := d.spi.WriteBlock(reg.SharedMemory, p); err != nil {
		return err
	}
	o := addressed(flashProgram, at)
	o.write, o.dma = len(p), reg.SharedMemory
	if err := d.flashDo(o); err != nil {
		return err
	}
	if err := d.flashIdle(); err != nil {
		return err
	}
	return d.flashDo(command(flashWriteDisable, 0))
}

// flashEraseSector erases the sector at at.
func (d *Driver) flashEraseSector(at int64) error {
	if err := d.flashDo(command(flashWriteEnable, 0)); err != nil {
		return err
	}
	if _, err := d.flashAsk(flashReadStatus); err != nil {
		return err
	}
	if err := d.flashDo(addressed(flashErase, at)); err != nil {
		return err
	}
	return d.flashIdle()
}
