package device_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
	"github.com/understudy-net/understudy/bus/spi"
	"github.com/understudy-net/understudy/device"
	"github.com/understudy-net/understudy/wire"
	"github.com/understudy-net/understudy/world"
)

// A device in a virtual world, and a host on its bus that boots it. Real hosts are package driver, a firmware behind
// bus/remote, or anything else that speaks SPI.
func Example() {
	w := world.NewVirtual(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC))
	defer w.Close()
	medium := air.New(air.Config{})
	d, err := device.New(device.Config{
		MAC:  wire.MAC{0x02, 0, 0, 0, 0, 1},
		Rand: rand.NewPCG(1, 2), // a seed of your own; outside of tests one from crypto/rand
		Air:  medium,
		Trace: func(e device.Event) {
			if e.Kind == device.EventFirmware {
				fmt.Println(e)
			}
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	w.Lock()
	airSlot := w.Add(medium)
	medium.OnSend = airSlot.Touch
	slot := w.Add(d)
	d.SetTouch(slot.Touch)
	w.Unlock()

	host := spi.NewMaster(d.Port(w, slot.Touch), spi.MasterConfig{Sleep: func(time.Duration) {}})
	host.Init()
	id, _ := host.ReadReg(reg.ChipID)
	fmt.Printf("chip %#x\n", id)
	host.WriteReg(reg.State, uint32(hif.MakeVersionWord(hif.V19_7_7, hif.V19_3_0))) // who we are
	host.WriteReg(reg.BootROM, reg.StartFirmware)
	ready, _ := host.ReadReg(reg.State)
	fmt.Println("running:", ready == reg.FirmwareReady)

	w.Lock()
	fmt.Println(d.Snapshot().Power, d.HostVersion())
	w.Unlock()
	// Output:
	// chip 0x1003a0
	// firmware: 19.7.7 runs, host driver 19.7.7
	// running: true
	// firmware 19.7.7
}
