package spi

import (
	"encoding/binary"
	"time"

	"github.com/understudy-net/understudy/bus/reg"
)

var be = binary.BigEndian

// execute does a checked command. Echo and state stand back to back, without filler (2.6) [BD-02].
func (s *Slave) execute(now time.Time, cmd byte) {
	a := s.cmd[1:]
	switch cmd {
	case cmdInternalRead, cmdSingleRead:
		addr := s.address(cmd)
		s.out.push(cmd, 0)
		s.out.register(s.readReg(now, addr), addr&reg.Clockless == 0)
	case cmdInternalWrite:
		addr := s.address(cmd)
		s.out.push(cmd, 0)
		s.writeReg(now, addr, be.Uint32(a[2:]))
	case cmdSingleWrite:
		addr := s.address(cmd)
		s.out.push(cmd, 0)
		s.writeReg(now, addr, be.Uint32(a[3:]))
	case cmdDMARead:
		s.out.push(cmd, 0)
		s.out.block(s.address(cmd), uint32(be.Uint16(a[3:])))
	case cmdDMAExtRead:
		s.out.push(cmd, 0)
		s.out.block(s.address(cmd), uint24(a[3:]))
	case cmdDMAWrite:
		s.beginWrite(cmd, uint32(be.Uint16(a[3:])))
	case cmdDMAExtWrite:
		s.beginWrite(cmd, uint24(a[3:]))
	case cmdRepeat:
		s.out.push(0, cmd, 0)
		s.out.repeat()
	case cmdTerminate, cmdReset:
		// Neither changes registers, CRC or packet size (2.12).
		s.out.push(0, cmd, 0)
	}
}

// address reads the address of the command. Without the clockless flag, C3 and C4 count from the start
// of the SPI block (2.2).
func (s *Slave) address(cmd byte) uint32 {
	if cmd != cmdInternalRead && cmd != cmdInternalWrite {
		return uint24(s.cmd[1:])
	}
	a := uint32(be.Uint16(s.cmd[1:])) & 0x7fff
	if s.cmd[1]&clocklessFlag != 0 {
		return reg.Clockless | a
	}
	return reg.SPIBlock + a
}

func uint24(b []byte) uint32 { return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]) }

func (s *Slave) readReg(now time.Time, addr uint32) uint32 {
	switch {
	case addr == reg.SPIConfig:
		return s.config
	case addr&reg.Clockless != 0:
		return s.mem.ReadReg(now, addr) & 0xff // 8 bits wide (2.7)
	}
	return s.mem.ReadReg(now, addr)
}

// writeReg writes a register. After a write of GLB_RESET_0 the next command may follow at once, so
// its first byte is not taken for a stray CRC7 (2.13).
func (s *Slave) writeReg(now time.Time, addr, v uint32) {
	switch addr {
	case reg.SPIConfig:
		s.config = v
		return
	case reg.GlobalReset:
		s.guarded = false
	}
	s.mem.WriteReg(now, addr, v)
}

func (s *Slave) beginWrite(cmd byte, size uint32) {
	s.out.push(cmd, 0)
	s.write = window{addr: s.address(cmd), left: size}
	if size > 0 {
		s.in = inToken
	}
}
