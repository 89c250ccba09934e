package bus_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/understudy-net/understudy/bus"
	"github.com/understudy-net/understudy/bus/reg"
	"github.com/understudy-net/understudy/bus/spi"
)

// memory is a chip that has an id and nothing else.
type memory struct{}

func (memory) ReadReg(_ time.Time, addr uint32) uint32 {
	if addr == reg.ChipID {
		return reg.ChipID1500
	}
	return 0
}
func (memory) WriteReg(time.Time, uint32, uint32)      {}
func (memory) ReadMem(_ time.Time, _ uint32, p []byte) { clear(p) }
func (memory) WriteMem(time.Time, uint32, []byte)      {}

// device is a port; package device has a real one.
type device struct{ slave *spi.Slave }

func (d device) Tx(w, r []byte) error {
	d.slave.Transfer(time.Now(), w, r)
	return nil
}
func (device) SetReset(bool) error  { return nil }
func (device) SetEnable(bool) error { return nil }
func (device) IRQ() (bool, error)   { return false, nil }
func (device) OnIRQ(func())         {}

// A tap between host and device writes down what the host does.
func ExampleTap() {
	port := bus.NewTap(device{spi.NewSlave(memory{})}, bus.TapConfig{
		Line: func(s string) { fmt.Println(s) },
	})
	port.SetReset(true)
	port.SetReset(false)
	m := spi.NewMaster(port, spi.MasterConfig{})
	if err := m.Init(); err != nil {
		fmt.Println(err)
	}
	m.WriteBlock(reg.SharedMemory, []byte{1, 2, 3, 4})
	// Output:
	// RESET low
	// RESET high
	// R SPI_CONFIG = 0x2e
	// W SPI_CONFIG = 0x52
	// R CHIPID = 0x1003a0
	// W 0xd0000 [4] 01 02 03 04
}

// A transcript is played back to a host, which does one thing more than was recorded.
func ExamplePlayer() {
	p, err := bus.NewPlayer(strings.NewReader(`
   0.000000  RESET low
   0.100201  RESET high
   0.110310  R SPI_CONFIG = 0x2e
   0.110362  W SPI_CONFIG = 0x52
   0.110401  R CHIPID = 0x1003a0
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	p.SetReset(true)
	p.SetReset(false)
	m := spi.NewMaster(p, spi.MasterConfig{})
	fmt.Println(m.Init(), p.Done())
	m.ReadReg(reg.ChipID)
	fmt.Println(p.Done())
	// Output:
	// <nil> <nil>
	// bus: the host does "R CHIPID", the transcript is at its end
}
