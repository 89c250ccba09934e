// Package bus is what a host and a controller meet in: [Port], the wires between them, and wrappers
// that look at the wires or disturb them.
//
//   - [Tap] writes down what passes, one line an access, decoded: registers by name, block transfers,
//     lines, and the messages with their fields.
//   - [Player] is the chip of such a transcript: it answers a host as recorded and says where the host
//     does something else. So a trace of today is a test of tomorrow.
//   - [Faults] flips bits, loses or holds interrupts, makes transfers slow or fail, all from one seed.
//
// Above the wires are bus/spi (the SPI protocol, both ends), bus/reg (the registers) and bus/hif (the
// messages); bus/remote carries a Port over a socket to another process.
//
// Wrappers are Ports again, so they can be stacked:
//
//	port := bus.NewTap(device.Port(...), bus.TapConfig{Line: func(s string) { fmt.Println(s) }})
package bus
