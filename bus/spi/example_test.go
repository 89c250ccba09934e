package spi_test

import (
	"fmt"
	"time"

	"github.com/understudy-net/understudy/bus/reg"
	"github.com/understudy-net/understudy/bus/spi"
)

// memory is a chip of two registers.
type memory struct{ gp uint32 }

func (m *memory) ReadReg(_ time.Time, addr uint32) uint32 {
	switch addr {
	case reg.ChipID:
		return reg.ChipID1500
	case reg.GP1:
		return m.gp
	}
	return 0
}

func (m *memory) WriteReg(_ time.Time, addr, v uint32) {
	if addr == reg.GP1 {
		m.gp = v
	}
}

func (m *memory) ReadMem(_ time.Time, _ uint32, p []byte) { clear(p) }
func (m *memory) WriteMem(time.Time, uint32, []byte)      {}

// wire joins the two ends.
type wire struct{ slave *spi.Slave }

func (w wire) Tx(o, i []byte) error {
	w.slave.Transfer(time.Now(), o, i)
	return nil
}

// A host reads the chip id of a controller, after it found out how the controller speaks.
func Example() {
	slave := spi.NewSlave(&memory{})
	master := spi.NewMaster(wire{slave}, spi.MasterConfig{})
	if err := master.Init(); err != nil {
		fmt.Println(err)
		return
	}
	id, err := master.ReadReg(reg.ChipID)
	fmt.Printf("%#x %v\n", id, err)
	fmt.Printf("checksums: %v\n", slave.Config()&reg.SPICRC7 != 0)
	// Output:
	// 0x1003a0 <nil>
	// checksums: false
}
