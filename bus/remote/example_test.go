package remote_test

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/understudy-net/understudy/bus/reg"
	"github.com/understudy-net/understudy/bus/remote"
	"github.com/understudy-net/understudy/bus/spi"
)

// device is the least that a server needs: a slave, and lines that are not connected.
type device struct{ slave *spi.Slave }

func (d device) Tx(w, r []byte) error {
	d.slave.Transfer(time.Now(), w, r)
	return nil
}

func (device) SetReset(bool) error  { return nil }
func (device) SetEnable(bool) error { return nil }
func (device) IRQ() (bool, error)   { return false, nil }
func (device) OnIRQ(func())         {}

// memory is a chip that has an id and nothing else.
type memory struct{}

func (memory) ReadReg(_ time.Time, addr uint32) uint32 {
	if addr == reg.ChipID {
		return reg.ChipID1500
	}
	return 0
}
func (memory) WriteReg(time.Time, uint32, uint32)       {}
func (memory) ReadMem(_ time.Time, _ uint32, p []byte)  { clear(p) }
func (memory) WriteMem(_ time.Time, _ uint32, _ []byte) {}

// A device is served over a socket; a host dials it and reads the chip id.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // or "unix", "/tmp/bus.sock"
	if err != nil {
		fmt.Println(err)
		return
	}
	served := make(chan error)
	go func() { served <- remote.Serve(ctx, l, device{spi.NewSlave(memory{})}) }()

	port, err := remote.Dial(ctx, "tcp", l.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	m := spi.NewMaster(port, spi.MasterConfig{})
	if err := m.Init(); err != nil {
		fmt.Println(err)
	}
	id, err := m.ReadReg(reg.ChipID)
	fmt.Printf("chip %#x, %v\n", id, err)

	port.Close()
	cancel()
	fmt.Println("served:", <-served)
	// Output:
	// chip 0x1003a0, <nil>
	// served: <nil>
}
