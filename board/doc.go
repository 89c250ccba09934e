// Package board is the bus to a real module: SPI, the reset and enable lines and the interrupt line of a board that runs
// Go. On Linux, [Open] takes spidev and GPIO character devices:
//
//	port, err := board.Open("spi:/dev/spidev0.0,irq=GPIO25,reset=GPIO27,en=GPIO22")
//	if err != nil { ... }
//	defer port.Close()
//	d := driver.New(port, driver.Config{})
//
// [New] makes a bus of any SPI connection and pins of periph.io, a USB bridge for instance. For microcontrollers see the
// module board/tinygo.
//
// # Wiring
//
// SPI mode 0 at up to 48 MHz, 12 MHz unless told otherwise. IRQN is an input with a pull-up, RESET_N and CHIP_EN are
// outputs. SPI_CFG of the module must be tied high, or it does not listen on SPI at all. CHIP_EN may be tied high as well;
// RESET_N is needed: a module that was left with checksums off does not answer a new host without it (spec/host-bus.md
// 2.13).
//
// # Limits
//
// A window that is longer than the buffer of spidev (4096 bytes unless its parameter bufsiz says otherwise) is cut, which
// the module does not notice. The kernel can be a master only: the device in software cannot be reached this way.
package board
