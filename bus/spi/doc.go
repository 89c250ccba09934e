// Package spi is the byte protocol between a host and a WINC1500 class controller, both ends:
// [Master] for the host and [Slave] for the controller. Spec host-bus, section 2.
//
// A master needs a wire with one method, Tx, which periph.io, TinyGo and bus.Port have:
//
//	m := spi.NewMaster(port, spi.MasterConfig{})
//	if err := m.Init(); err != nil { ... }
//	id, err := m.ReadReg(reg.ChipID)
//
// A slave is a machine: it is told each chip-select window, and calls a [Memory] for what is read and
// written. It keeps its state from window to window, so it does not matter how a host cuts its bytes
// into windows.
//
// An access is a command, an echo and a state from the device, and, for blocks and reads, packets of
// data behind a token:
//
//	C8 addr size [CRC7]                      host
//	                    C8 00  F3 data [CRC16]   device
//
// Neither end allocates after it was made, and neither is safe for concurrent use.
package spi
